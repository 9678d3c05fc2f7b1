//! Ordered map for what Redis keeps in radix trees: nodes and pending entries by stream id, groups by name.
//!
//! ```text
//! blocks  [ 1-0 1-1 … 9-0 ] [ 9-1 … 12-4 ] [ 12-5 ]      a queue of sorted blocks of at most 128 entries
//!           ^ pop_first                          ^ append
//! ```
//!
//! A stream grows at its end and is trimmed at its beginning; in between it is searched and seldom changed. Sorted
//! blocks in a queue serve that with one allocation per 128 entries instead of one or two per entry, at 16 bytes for
//! an id where a leaf of a radix tree takes about 25.
//!
//! Invariants:
//! - I1  Keys ascend within a block and from block to block.
//! - I2  No block is empty, none has more than [`BLOCK_ENTRIES_MAX`] entries.
//! - I3  `len` is the number of entries.
//!
//! Costs: append and removal at either end O(1) amortised; search O(log n), at once when the key belongs to the first
//! or the last block; a change in the middle moves at most a block, and now and then the shorter half of the queue
//! (40 bytes for 128 entries). Nothing is ever rebuilt as a whole: at 5 million entries the queue's own doubling moves
//! 1 MB.
//! Not here: what keys and values mean; [`shape`] tells the size of the tree Redis would have built.

pub mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::mem;

/// Entries of a full block.
pub const BLOCK_ENTRIES_MAX: usize = 128;

/// A block with fewer entries than this joins a neighbour that has room.
const JOIN_BELOW: usize = BLOCK_ENTRIES_MAX / 4;

/// Two blocks are joined when they fill no more than this, so that the next insert does not part them again.
const JOINED_ENTRIES_MAX: usize = BLOCK_ENTRIES_MAX * 3 / 4;

type Block<K, V> = Vec<(K, V)>;

/// An ordered map that is cheap at its ends.
///
/// ```
/// use russet::ds::radix::Radix;
/// let mut map = Radix::new();
/// map.insert(2, "b");
/// map.insert(1, "a");
/// assert_eq!(map.first(), Some((&1, &"a")));
/// assert_eq!(map.iter_from(&2).count(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Radix<K, V> {
    blocks: VecDeque<Block<K, V>>,
    len: usize,
}

/// Where an entry is; good until the next insert or removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    block: usize,
    slot: usize,
}

impl<K, V> Default for Radix<K, V> {
    fn default() -> Self {
        Radix {
            blocks: VecDeque::new(),
            len: 0,
        }
    }
}

impl<K, V> Radix<K, V> {
    /// An empty map, without memory.
    pub fn new() -> Self {
        Radix::default()
    }

    /// How many entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many blocks of memory there are: what freeing costs.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes of the blocks and their queue; what entries own is not counted.
    pub fn heap_bytes(&self) -> usize {
        let entries: usize = self.blocks.iter().map(Vec::capacity).sum();
        self.blocks.capacity() * size_of::<Block<K, V>>() + entries * size_of::<(K, V)>()
    }

    /// The entry of the smallest key.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.first_spot().map(|spot| self.at(spot))
    }

    /// The entry of the largest key.
    pub fn last(&self) -> Option<(&K, &V)> {
        self.last_spot().map(|spot| self.at(spot))
    }

    /// The entry of the largest key, its value to be changed.
    #[inline]
    pub fn last_mut(&mut self) -> Option<(&K, &mut V)> {
        let (key, value) = self.blocks.back_mut()?.last_mut()?;
        Some((key, value))
    }

    /// Takes the entry of the smallest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.first_spot().map(|spot| self.take(spot))
    }

    /// All entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.blocks.iter().flatten().map(|(key, value)| (key, value))
    }

    /// All values in the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.blocks.iter_mut().flatten().map(|(_, value)| value)
    }

    /// Where the smallest key is.
    #[inline]
    pub fn first_spot(&self) -> Option<Spot> {
        (self.len > 0).then_some(Spot { block: 0, slot: 0 })
    }

    /// Where the largest key is.
    #[inline]
    pub fn last_spot(&self) -> Option<Spot> {
        let block = self.blocks.len().checked_sub(1)?;
        let slot = self.blocks[block].len() - 1;
        Some(Spot { block, slot })
    }

    /// The spot behind.
    #[inline]
    pub fn next(&self, spot: Spot) -> Option<Spot> {
        let next = Spot {
            slot: spot.slot + 1,
            ..spot
        };
        self.settle(next)
    }

    /// The spot before.
    #[inline]
    pub fn prev(&self, spot: Spot) -> Option<Spot> {
        if let Some(slot) = spot.slot.checked_sub(1) {
            return Some(Spot { slot, ..spot });
        }
        let block = spot.block.checked_sub(1)?;
        let slot = self.blocks[block].len() - 1;
        Some(Spot { block, slot })
    }

    /// The entry at a spot.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    #[inline]
    pub fn at(&self, spot: Spot) -> (&K, &V) {
        let (key, value) = &self.blocks[spot.block][spot.slot];
        (key, value)
    }

    /// The value at a spot, to be changed.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    #[inline]
    pub fn at_mut(&mut self, spot: Spot) -> &mut V {
        &mut self.blocks[spot.block][spot.slot].1
    }

    /// Takes the entry at a spot.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    pub fn take(&mut self, spot: Spot) -> (K, V) {
        let block = &mut self.blocks[spot.block];
        let entry = block.remove(spot.slot);
        self.len -= 1;
        match block.len() {
            0 => self.drop_block(spot.block),
            1..JOIN_BELOW => self.tighten(spot.block),
            _ => {}
        }
        entry
    }

    fn drop_block(&mut self, block: usize) {
        self.blocks.remove(block);
        if self.blocks.capacity() > 4 * self.blocks.len() + 4 {
            self.blocks.shrink_to(2 * self.blocks.len());
        }
    }

    /// Joins a nearly empty block with a neighbour, or gives its spare memory back.
    fn tighten(&mut self, block: usize) {
        let fits = |left: usize| {
            let together = self.blocks[left].len() + self.blocks.get(left + 1)?.len();
            (together <= JOINED_ENTRIES_MAX).then_some(left)
        };
        let left = fits(block).or_else(|| block.checked_sub(1).and_then(fits));
        if let Some(left) = left {
            let mut right = self.blocks.remove(left + 1).unwrap_or_default();
            self.blocks[left].append(&mut right);
            return;
        }
        let entries = &mut self.blocks[block];
        if entries.capacity() > 4 * entries.len() {
            entries.shrink_to(2 * entries.len());
        }
    }

    /// A spot behind the end of a block is the first of the next one.
    #[inline]
    fn settle(&self, spot: Spot) -> Option<Spot> {
        if spot.slot < self.blocks.get(spot.block)?.len() {
            return Some(spot);
        }
        let block = spot.block + 1;
        (block < self.blocks.len()).then_some(Spot { block, slot: 0 })
    }

    fn insert_at(&mut self, spot: Spot, entry: (K, V)) {
        self.len += 1;
        let blocks = self.blocks.len();
        let Some(block) = self.blocks.get_mut(spot.block) else {
            return self.push_block(entry, 1);
        };
        if block.len() < BLOCK_ENTRIES_MAX {
            return insert(block, spot.slot, entry);
        }
        let is_append = spot.slot == block.len() && spot.block + 1 == blocks;
        if is_append {
            return self.push_block(entry, BLOCK_ENTRIES_MAX);
        }
        let half = BLOCK_ENTRIES_MAX / 2;
        let mut upper = block.split_off(half);
        match spot.slot.checked_sub(half) {
            Some(slot) => insert(&mut upper, slot, entry),
            None => insert(block, spot.slot, entry),
        }
        self.blocks.insert(spot.block + 1, upper);
    }

    fn push_block(&mut self, entry: (K, V), capacity: usize) {
        let mut block = Vec::with_capacity(capacity);
        block.push(entry);
        if self.blocks.is_empty() {
            self.blocks.reserve_exact(1);
        }
        self.blocks.push_back(block);
    }
}

/// Doubles up to the size of a block and not beyond.
fn insert<T>(block: &mut Vec<T>, slot: usize, entry: T) {
    if block.len() == block.capacity() {
        block.reserve_exact(block.len().clamp(1, BLOCK_ENTRIES_MAX - block.len()));
    }
    block.insert(slot, entry);
}

impl<K: Ord, V> Radix<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.locate(key).ok().map(|spot| self.at(spot).1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.locate(key).ok().map(|spot| self.at_mut(spot))
    }

    /// Whether there is such a key.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.locate(key).is_ok()
    }

    /// Puts a value in; hands back the one the key had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.locate(&key) {
            Ok(spot) => Some(mem::replace(self.at_mut(spot), value)),
            Err(spot) => {
                self.insert_at(spot, (key, value));
                None
            }
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.locate(key).ok().map(|spot| self.take(spot).1)
    }

    /// Where the smallest key is that is not below `key`.
    pub fn at_or_after<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Spot>
    where
        K: Borrow<Q>,
    {
        match self.locate(key) {
            Ok(spot) => Some(spot),
            Err(gap) => self.settle(gap),
        }
    }

    /// Where the largest key is that is not above `key`.
    pub fn at_or_before<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Spot>
    where
        K: Borrow<Q>,
    {
        match self.locate(key) {
            Ok(spot) => Some(spot),
            Err(gap) => self.prev(gap),
        }
    }

    /// The entries from `key` on, in order.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let start = self.locate(key).unwrap_or_else(|gap| gap);
        let rest = self.blocks.range((start.block + 1).min(self.blocks.len())..);
        let begun = self.blocks.get(start.block).map(|block| &block[start.slot..]);
        let begun = begun.unwrap_or_default().iter();
        begun.chain(rest.flatten()).map(|(key, value)| (key, value))
    }

    /// Where `key` is, or the gap it belongs in: before that slot of that block, which may be the block's end.
    #[inline]
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Spot, Spot>
    where
        K: Borrow<Q>,
    {
        let block = self.block_of(key);
        let Some(entries) = self.blocks.get(block) else {
            return Err(Spot { block: 0, slot: 0 });
        };
        if entries.last().is_some_and(|(last, _)| last.borrow() < key) {
            let slot = entries.len();
            return Err(Spot { block, slot });
        }
        entries
            .binary_search_by(|(other, _)| other.borrow().cmp(key))
            .map(|slot| Spot { block, slot })
            .map_err(|slot| Spot { block, slot })
    }

    /// The block that holds the key or the gap it belongs in; the ends are asked first.
    #[inline]
    fn block_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins_by_then = |block: &Block<K, V>| block[0].0.borrow() <= key;
        let last = self.blocks.len().saturating_sub(1);
        if self.blocks.get(last).is_some_and(begins_by_then) {
            return last;
        }
        if !self.blocks.get(1).is_some_and(begins_by_then) {
            return 0;
        }
        self.blocks.partition_point(begins_by_then) - 1
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let sizes = self.blocks.iter().map(Vec::len);
        assert!(
            sizes.clone().all(|len| (1..=BLOCK_ENTRIES_MAX).contains(&len)),
            "I2"
        );
        assert_eq!(sizes.sum::<usize>(), self.len, "I3");
        assert!(self.iter().is_sorted_by(|(a, _), (b, _)| a < b), "I1");
    }
}
