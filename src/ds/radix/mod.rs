//! Ordered map for what Redis keeps in radix trees: nodes and pending entries by stream id, groups by name.
//!
//! ```text
//! blocks  [ 1-0 1-1 … 9-0 ] [ 9-1 … 12-4 ] [ 12-5 ]      a queue of sorted blocks of at most 128 entries
//!           ^ pop_first                          ^ append
//! ```
//!
//! A stream grows at its end and is trimmed at its beginning; in between it is searched and seldom changed. Sorted
//! blocks in a queue serve that with one allocation per 128 entries instead of one or two per entry, at 16 bytes for
//! an id where a leaf of a radix tree takes about 25. Most maps are small: the first block has no queue around it.
//!
//! Invariants:
//! - I1  Keys ascend within a block and from block to block.
//! - I2  No block is empty, none has more than [`BLOCK_ENTRIES_MAX`] entries.
//! - I3  `len` is the number of entries.
//! - I4  A queue holds two blocks or more.
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

use crate::base::relocate::{self, Mover};
use crate::base::size_class::{allocated, rounded};

/// Entries of a full block.
pub const BLOCK_ENTRIES_MAX: usize = 128;

/// A block with fewer entries than this joins a neighbour that has room.
const JOIN_BELOW: usize = BLOCK_ENTRIES_MAX / 4;

/// Two blocks are joined when they fill no more than this, so that the next insert does not part them again.
const JOINED_ENTRIES_MAX: usize = BLOCK_ENTRIES_MAX * 3 / 4;

type Block<K, V> = Vec<(K, V)>;

/// An ordered map that is cheap at its ends; 24 bytes, and no allocation without entries.
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
pub struct Radix<K, V>(Shape<K, V>);

#[derive(Debug, Clone)]
enum Shape<K, V> {
    One(Block<K, V>),
    Many(Box<Queue<K, V>>),
}

#[derive(Debug, Clone)]
struct Queue<K, V> {
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
        Radix(Shape::One(Vec::new()))
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
        match &self.0 {
            Shape::One(block) => block.len(),
            Shape::Many(queue) => queue.len,
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many blocks of memory there are: what freeing costs.
    pub fn blocks(&self) -> usize {
        match &self.0 {
            Shape::One(block) => usize::from(!block.is_empty()),
            Shape::Many(queue) => queue.blocks.len(),
        }
    }

    /// Bytes of the blocks and their queue, as the allocator rounds them; what entries own is not counted. O(blocks).
    pub fn heap_bytes(&self) -> usize {
        let each = self.each_block();
        let blocks = each.map(|block| allocated(block.capacity() * size_of::<(K, V)>()));
        let queue = match &self.0 {
            Shape::One(_) => 0,
            Shape::Many(queue) => {
                rounded(size_of_val(&**queue)) + allocated(queue.blocks.capacity() * size_of::<Block<K, V>>())
            }
        };
        queue + blocks.sum::<usize>()
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
        let block = match &mut self.0 {
            Shape::One(block) => block,
            Shape::Many(queue) => queue.blocks.back_mut()?,
        };
        block.last_mut().map(|(key, value)| (&*key, value))
    }

    /// Takes the entry of the smallest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.first_spot().map(|spot| self.take(spot))
    }

    /// All entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.each_block().flatten().map(|(key, value)| (key, value))
    }

    /// Where the smallest key is.
    #[inline]
    pub fn first_spot(&self) -> Option<Spot> {
        (!self.is_empty()).then_some(Spot { block: 0, slot: 0 })
    }

    /// Where the largest key is.
    #[inline]
    pub fn last_spot(&self) -> Option<Spot> {
        self.end_of(self.blocks().checked_sub(1)?)
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
        self.end_of(spot.block.checked_sub(1)?)
    }

    /// The entry at a spot.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    #[inline]
    pub fn at(&self, spot: Spot) -> (&K, &V) {
        let (key, value) = &self.block(spot.block).expect("the map has not changed")[spot.slot];
        (key, value)
    }

    /// The value at a spot, to be changed.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    #[inline]
    pub fn at_mut(&mut self, spot: Spot) -> &mut V {
        &mut self.block_mut(spot.block)[spot.slot].1
    }

    /// Takes the entry at a spot.
    ///
    /// # Panics
    /// When the map has changed since and there is none.
    pub fn take(&mut self, spot: Spot) -> (K, V) {
        let block = self.block_mut(spot.block);
        let entry = block.remove(spot.slot);
        let left = block.len();
        if let Shape::Many(queue) = &mut self.0 {
            queue.len -= 1;
        }
        match left {
            0 => drop(self.remove_block(spot.block)),
            1..JOIN_BELOW => self.tighten(spot.block),
            _ => {}
        }
        entry
    }

    /// Joins a nearly empty block with a neighbour, or gives its spare memory back.
    fn tighten(&mut self, block: usize) {
        let fits = |left: usize| {
            let together = self.block(left)?.len() + self.block(left + 1)?.len();
            (together <= JOINED_ENTRIES_MAX).then_some(left)
        };
        let left = fits(block).or_else(|| block.checked_sub(1).and_then(fits));
        if let Some(left) = left {
            let mut right = self.remove_block(left + 1);
            return self.block_mut(left).append(&mut right);
        }
        let entries = self.block_mut(block);
        if entries.capacity() > 4 * entries.len() {
            entries.shrink_to(2 * entries.len());
        }
    }

    fn insert_at(&mut self, spot: Spot, entry: (K, V)) {
        let is_last = spot.block + 1 >= self.blocks();
        if let Shape::Many(queue) = &mut self.0 {
            queue.len += 1;
        }
        let block = self.block_mut(spot.block);
        if block.len() < BLOCK_ENTRIES_MAX {
            return insert(block, spot.slot, entry);
        }
        if is_last && spot.slot == block.len() {
            let mut fresh = Vec::with_capacity(BLOCK_ENTRIES_MAX);
            fresh.push(entry);
            return self.insert_block(spot.block + 1, fresh);
        }
        let half = BLOCK_ENTRIES_MAX / 2;
        let mut upper = block.split_off(half);
        match spot.slot.checked_sub(half) {
            Some(slot) => insert(&mut upper, slot, entry),
            None => insert(block, spot.slot, entry),
        }
        self.insert_block(spot.block + 1, upper);
    }
}

/// Doubles up to the size of a block and not beyond.
fn insert<T>(block: &mut Vec<T>, slot: usize, entry: T) {
    if block.len() == block.capacity() {
        block.reserve_exact(block.len().clamp(1, BLOCK_ENTRIES_MAX - block.len()));
    }
    block.insert(slot, entry);
}

/// The blocks, however many there are.
impl<K, V> Radix<K, V> {
    /// Offers the queue around the blocks.
    pub fn relocate_queue(&mut self, mover: &mut dyn Mover) {
        if let Shape::Many(queue) = &mut self.0 {
            relocate::boxed(queue, mover);
            relocate::deque(&mut queue.blocks, mover);
        }
    }

    /// Offers block `index`, and has `visit` see to what its entries own; nothing if there is no such block.
    ///
    /// `visit` must leave keys equal to what they were.
    pub fn relocate_block(
        &mut self,
        index: usize,
        mover: &mut dyn Mover,
        visit: &mut dyn FnMut(&mut K, &mut V, &mut dyn Mover),
    ) {
        if index < self.blocks() {
            let block = self.block_mut(index);
            relocate::vec(block, mover);
            block.iter_mut().for_each(|(key, value)| visit(key, value, mover));
        }
    }

    /// All entries in order, to be changed; keys must stay equal to what they were.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = (&mut K, &mut V)> {
        let (front, back) = match &mut self.0 {
            Shape::One(block) => (std::slice::from_mut(block), [].as_mut_slice()),
            Shape::Many(queue) => queue.blocks.as_mut_slices(),
        };
        let entries = front.iter_mut().chain(back).flatten();
        entries.map(|(key, value)| (key, value))
    }

    fn each_block(&self) -> impl DoubleEndedIterator<Item = &Block<K, V>> {
        let (front, back) = match &self.0 {
            Shape::One(block) => (std::slice::from_ref(block), [].as_slice()),
            Shape::Many(queue) => queue.blocks.as_slices(),
        };
        front.iter().chain(back)
    }

    #[inline]
    fn block(&self, index: usize) -> Option<&Block<K, V>> {
        match &self.0 {
            Shape::One(block) => (index == 0 && !block.is_empty()).then_some(block),
            Shape::Many(queue) => queue.blocks.get(index),
        }
    }

    #[inline]
    fn block_mut(&mut self, index: usize) -> &mut Block<K, V> {
        match &mut self.0 {
            Shape::One(block) => block,
            Shape::Many(queue) => &mut queue.blocks[index],
        }
    }

    /// The last spot of a block.
    #[inline]
    fn end_of(&self, block: usize) -> Option<Spot> {
        let slot = self.block(block)?.len() - 1;
        Some(Spot { block, slot })
    }

    /// A spot behind the end of a block is the first of the next one.
    #[inline]
    fn settle(&self, spot: Spot) -> Option<Spot> {
        if spot.slot < self.block(spot.block)?.len() {
            return Some(spot);
        }
        let block = spot.block + 1;
        (block < self.blocks()).then_some(Spot { block, slot: 0 })
    }

    /// Puts a block before the one at `index`. A queue's length counts its entries already; a new one counts them here.
    fn insert_block(&mut self, index: usize, block: Block<K, V>) {
        match &mut self.0 {
            Shape::One(first) => {
                let mut blocks = VecDeque::from([mem::take(first)]);
                blocks.insert(index, block);
                let len = blocks.iter().map(Vec::len).sum();
                self.0 = Shape::Many(Box::new(Queue { blocks, len }));
            }
            Shape::Many(queue) => queue.blocks.insert(index, block),
        }
    }

    /// Takes a block out; the length is the caller's business. Keeps I4.
    fn remove_block(&mut self, index: usize) -> Block<K, V> {
        let queue = match &mut self.0 {
            Shape::One(block) => return mem::take(block),
            Shape::Many(queue) => queue,
        };
        let removed = queue.blocks.remove(index).unwrap_or_default();
        match queue.blocks.len() {
            1 => self.0 = Shape::One(queue.blocks.pop_front().unwrap_or_default()),
            left if queue.blocks.capacity() > 4 * left + 4 => queue.blocks.shrink_to(2 * left),
            _ => {}
        }
        removed
    }
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
        let begun = self.block(start.block).map(|block| &block[start.slot..]);
        let rest = (start.block + 1..self.blocks()).filter_map(|index| self.block(index));
        let entries = begun.unwrap_or_default().iter().chain(rest.flatten());
        entries.map(|(key, value)| (key, value))
    }

    /// Where `key` is, or the gap it belongs in: before that slot of that block, which may be the block's end.
    #[inline]
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Spot, Spot>
    where
        K: Borrow<Q>,
    {
        let block = self.block_of(key);
        let Some(entries) = self.block(block) else {
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
        let Shape::Many(queue) = &self.0 else {
            return 0;
        };
        let begins_by_then = |block: &Block<K, V>| block[0].0.borrow() <= key;
        if queue.blocks.back().is_some_and(begins_by_then) {
            return queue.blocks.len() - 1;
        }
        if !begins_by_then(&queue.blocks[1]) {
            return 0;
        }
        queue.blocks.partition_point(begins_by_then) - 1
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let sizes: Vec<usize> = self.each_block().map(Vec::len).collect();
        if let Shape::Many(queue) = &self.0 {
            assert!(sizes.iter().all(|&len| len > 0), "I2");
            assert!(queue.blocks.len() > 1, "I4");
        }
        assert!(sizes.iter().all(|&len| len <= BLOCK_ENTRIES_MAX), "I2");
        assert_eq!(sizes.iter().sum::<usize>(), self.len(), "I3");
        assert!(self.iter().is_sorted_by(|(a, _), (b, _)| a < b), "I1");
    }
}
