//! Integers in ascending order, each once, in one buffer: how small sets of numbers are kept.
//!
//! ```text
//! [ width: u32 LE, 2 4 or 8 | count: u32 LE | integer | integer | .. ]     integers little-endian, `width` bytes each
//! ```
//!
//! The bytes are Redis's intset, as DUMP and RDB files have it, so saving and loading is a copy. All integers have the
//! width of the widest that was ever in it.
//!
//! I1  `buffer` is nothing (a new set owns no memory), or a header and as many integers as it counts.
//! I2  Integers ascend, none twice.
//! I3  The buffer is of the allocator's size class for its length (`Buffer`).
//!
//! Costs: lookup O(log n), one comparison for what lies outside the range; a change moves what lies behind it, which
//! for ascending insertion is nothing; a wider integer rewrites all. Limit: 2^32 - 1 integers.

use crate::base::relocate::Mover;
use crate::base::rng::Rng;

use super::buffer::{Buffer, Counted};

const HEADER: usize = 8;
const EMPTY: &[u8; HEADER] = &[2, 0, 0, 0, 0, 0, 0, 0];

/// A set of integers. See the module's documentation.
#[derive(Clone, Default)]
pub struct Intset {
    buffer: Buffer<Counted>,
}

/// Bytes that are no intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an intset")]
pub struct Damaged;

/// Bytes that `value` needs.
#[inline]
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// The integer of `width` bytes at `offset`.
#[inline]
fn read(bytes: &[u8], offset: usize, width: usize) -> i64 {
    let part = &bytes[offset..offset + width];
    match *part {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(part.try_into().expect("widths are 2, 4 and 8")),
    }
}

impl Intset {
    /// An empty set; allocates nothing.
    pub const fn new() -> Intset {
        Intset {
            buffer: Buffer::new(),
        }
    }

    /// Takes over the bytes of an intset, from a file or a client.
    ///
    /// # Errors
    /// [`Damaged`] unless width, count and length fit together and the integers ascend. O(n).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Intset, Damaged> {
        let (Some(width), Some(count)) = (bytes.get(..4), bytes.get(4..HEADER)) else {
            return Err(Damaged);
        };
        let whole = |part: &[u8]| part.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let (width, count) = (whole(width), whole(count));
        if !matches!(width, 2 | 4 | 8) || bytes.len() as u64 != HEADER as u64 + width * count {
            return Err(Damaged);
        }
        let set = Intset {
            buffer: Buffer::from_vec(bytes),
        };
        if set.iter().is_sorted_by(|a, b| a < b) {
            Ok(set)
        } else {
            Err(Damaged)
        }
    }

    /// The bytes, as DUMP and RDB files have them.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.bytes_or(EMPTY)
    }

    /// As [`Intset::as_bytes`], but nothing when it owns no memory.
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// How many integers.
    #[inline]
    pub fn len(&self) -> usize {
        match self.bytes().get(4..HEADER) {
            Some(count) => u32::from_le_bytes(count.try_into().expect("four bytes")) as usize,
            None => 0,
        }
    }

    /// True without integers.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.len() <= HEADER
    }

    /// Offers its memory (see [`relocate`](crate::base::relocate)).
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        self.buffer.relocate(mover);
    }

    /// Bytes it holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buffer.heap_bytes()
    }

    /// Integer number `index`, the lowest being 0.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The lowest integer.
    pub fn first(&self) -> Option<i64> {
        self.get(0)
    }

    /// The highest integer.
    pub fn last(&self) -> Option<i64> {
        self.get(self.len().wrapping_sub(1))
    }

    /// Whether `value` is one of them.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Any of them, all equally likely.
    pub fn random(&self, rng: &mut Rng) -> Option<i64> {
        self.get(rng.index(self.len()))
    }

    /// All of them, ascending.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        let width = self.width();
        Iter {
            integers: self.as_bytes()[HEADER..].chunks_exact(width),
        }
    }

    /// Adds `value`; whether it was not there before.
    #[inline]
    pub fn insert(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            self.widen(value);
            return true;
        }
        let Err(index) = self.search(value) else {
            return false;
        };
        self.open_gap(index);
        self.write(index, value);
        true
    }

    /// Removes `value`; whether it was there. The width stays.
    #[inline]
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.search(value) else {
            return false;
        };
        let (width, offset, count) = (self.width(), self.offset(index), self.len());
        self.buffer.body_mut(offset).copy_within(width.., 0);
        self.resize(width, count - 1);
        true
    }

    /// Keeps the integers that `keep` says yes to. O(n).
    pub fn retain(&mut self, mut keep: impl FnMut(i64) -> bool) {
        let (width, mut kept) = (self.width(), 0);
        for index in 0..self.len() {
            let value = self.at(index);
            if keep(value) {
                self.write(kept, value);
                kept += 1;
            }
        }
        if kept < self.len() {
            self.resize(width, kept);
        }
    }

    #[inline]
    fn width(&self) -> usize {
        self.bytes().first().map_or(2, |&width| usize::from(width))
    }

    #[inline]
    fn offset(&self, index: usize) -> usize {
        HEADER + index * self.width()
    }

    #[inline]
    fn at(&self, index: usize) -> i64 {
        read(self.bytes(), self.offset(index), self.width())
    }

    /// Where `value` is, or where it belongs.
    #[inline]
    fn search(&self, value: i64) -> Result<usize, usize> {
        let len = self.len();
        if len == 0 {
            return Err(0);
        }
        // Sets are often filled in order.
        if value > self.at(len - 1) {
            return Err(len);
        }
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle) < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if self.at(low) == value { Ok(low) } else { Err(low) }
    }

    /// Makes room for one more integer at `index`.
    #[inline]
    fn open_gap(&mut self, index: usize) {
        let (width, offset, count) = (self.width(), self.offset(index), self.len());
        self.resize(width, count + 1);
        let behind = self.buffer.body_mut(offset);
        behind.copy_within(..(count - index) * width, width);
    }

    /// Adds an integer too wide for the others, which is below or above them all.
    fn widen(&mut self, value: i64) {
        let first = usize::from(value < 0);
        let mut wider = Intset::new();
        wider.resize(width_of(value), self.len() + 1);
        for (index, old) in self.iter().enumerate() {
            wider.write(index + first, old);
        }
        wider.write(if value < 0 { 0 } else { self.len() }, value);
        *self = wider;
    }

    #[inline]
    fn write(&mut self, index: usize, value: i64) {
        let (width, offset) = (self.width(), self.offset(index));
        self.buffer.body_mut(offset)[..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    #[inline]
    fn resize(&mut self, width: usize, count: usize) {
        let count = u32::try_from(count).expect("sets become tables long before");
        self.buffer.resize(Counted::header(width, count));
    }
}

/// The integers of an [`Intset`], ascending.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    integers: std::slice::ChunksExact<'a, u8>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.integers.next().map(|part| read(part, 0, part.len()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.integers.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Intset {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<i64> for Intset {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Intset {
        let mut set = Intset::new();
        values.into_iter().for_each(|value| {
            set.insert(value);
        });
        set
    }
}

/// Equal when they hold the same integers, at whatever width.
impl PartialEq for Intset {
    fn eq(&self, other: &Intset) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Intset {}

impl std::fmt::Debug for Intset {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

/// The fuzz entry: any bytes are refused or are an intset that finds what it holds.
pub fn fuzz_intset(data: &[u8]) {
    let Ok(mut set) = Intset::from_bytes(data.to_vec()) else {
        return;
    };
    assert_eq!(set.as_bytes(), data);
    let values: Vec<i64> = set.iter().collect();
    assert!(values.len() == set.len() && values.iter().all(|&value| set.contains(value)));
    assert!(values.iter().rev().all(|&value| set.remove(value)) && set.is_empty());
    assert!(values.iter().all(|&value| set.insert(value)) && set.iter().eq(values));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size_class::rounded;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_bytes_are_those_of_an_rdb_file() {
        let set: Intset = [-1, 1, 256].into_iter().collect();
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 3, 0, 0, 0, 0xff, 0xff, 1, 0, 0, 1]);
        let wide: Intset = [i64::MIN, 7].into_iter().collect();
        assert_eq!(wide.as_bytes()[..8], [8, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(Intset::new().as_bytes(), EMPTY);
    }

    #[test]
    fn no_memory_lies_idle() {
        let set: Intset = (0..3).collect();
        assert_eq!(set.heap_bytes(), 16);
        let mut set: Intset = (0..512).collect();
        assert_eq!(set.heap_bytes(), rounded(8 + 1024));
        set.retain(|value| value < 4);
        assert_eq!((set.len(), set.heap_bytes()), (4, 16));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let refused = |bytes: &[u8]| Intset::from_bytes(bytes.to_vec()) == Err(Damaged);
        assert!(refused(b""));
        assert!(refused(&[2, 0, 0, 0, 1, 0, 0, 0]), "too short");
        assert!(refused(&[3, 0, 0, 0, 0, 0, 0, 0]), "no such width");
        assert!(refused(&[2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 5, 0]), "one twice");
        assert!(refused(&[2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0]), "descending");
        assert!(
            refused(&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0]),
            "a count beyond all"
        );
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(i64),
        Remove(usize),
        Retain(i64),
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20i64..20,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>()
        ]
    }

    proptest! {
        #[test]
        fn an_intset_behaves_as_an_ordered_set(steps in prop::collection::vec(prop_oneof![
            6 => value().prop_map(Step::Insert),
            2 => any::<usize>().prop_map(Step::Remove),
            1 => (2i64..5).prop_map(Step::Retain),
        ], 0..120)) {
            let (mut set, mut twin) = (Intset::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Insert(value) => prop_assert_eq!(set.insert(value), twin.insert(value)),
                    Step::Remove(rank) => {
                        let value = twin.iter().nth(rank % (twin.len() + 1)).copied().unwrap_or(3);
                        prop_assert_eq!(set.remove(value), twin.remove(&value));
                    }
                    Step::Retain(modulus) => {
                        set.retain(|value| value % modulus == 0);
                        twin.retain(|value| value % modulus == 0);
                    }
                }
                prop_assert_eq!(set.len(), twin.len());
                prop_assert!(set.iter().eq(twin.iter().copied()));
                prop_assert_eq!((set.first(), set.last()), (twin.first().copied(), twin.last().copied()));
                prop_assert!((-20..20).all(|value| set.contains(value) == twin.contains(&value)));
                prop_assert_eq!(Intset::from_bytes(set.as_bytes().to_vec()), Ok(set.clone()));
            }
        }
    }
}
