//! Elements one after another in one buffer: how small lists, hashes, sets and sorted sets are kept.
//!
//! ```text
//! [ total bytes: u32 LE | entries: u16 LE | entry | entry | ... | 0xFF ]
//!    7 bytes around the entries             codec.rs draws one
//! ```
//!
//! The bytes are Redis's listpack, as DUMP and RDB files have it, so saving and loading is a copy. An element is text
//! or a number; text that is the canonical decimal form of a 64-bit number is kept as that number.
//!
//! I1  `buffer` is nothing (a new listpack owns no memory) or a whole listpack: header, entries, end.
//! I2  The count is exact; 65535 says "at least so many", and counting takes a walk.
//! I3  Each entry is in its shortest form, so equal elements have equal bytes.
//! I4  The buffer is of the allocator's size class for its length (`Buffer`).
//!
//! Costs: both ends O(1) plus moving what lies behind; everything else walks, which for the few kilobytes a listpack
//! should have is faster than any index. `find` compares one byte per entry until that one agrees.
//!
//! Positions ([`At`]) are byte offsets: a change before or at one makes it meaningless, and using it then answers
//! nonsense or panics, but does no harm beyond. Limit: 4 GiB, far above [`Listpack::fits`]'s 1 GiB, which callers ask.
//!
//! Not here: pairs with meaning (fields, scores), order, encodings' thresholds. After Redis's listpack.

mod builder;
mod codec;
mod distinct;
pub mod fuzz;
mod iter;
#[cfg(test)]
mod tests;

use super::buffer::{Buffer, Total};
use crate::base::number;
use crate::base::relocate::Mover;
use codec::{END, Encoded, entry_len};

pub use builder::Builder;
pub use distinct::all_distinct;
pub use iter::{Iter, Pairs};

const HEADER: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;
const EMPTY: &[u8] = &[7, 0, 0, 0, 0, 0, END];

/// Callers make something else of a listpack before it grows beyond this.
const SAFE_BYTES_MAX: usize = 1 << 30;

/// Elements in one buffer, in order.
#[derive(Clone, Default)]
pub struct Listpack {
    buffer: Buffer<Total>,
}

/// Where an entry is, until the next change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At(u32);

/// An element as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Stored as a number; its text is the decimal form.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

/// Bytes that are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a listpack")]
pub struct Damaged;

impl<'a> Item<'a> {
    /// Text as a listpack would give it back. Equal texts give equal items.
    #[inline]
    pub fn of(text: &'a [u8]) -> Item<'a> {
        let may_be_number = matches!(text.first(), Some(b'0'..=b'9' | b'-'));
        match may_be_number.then(|| number::parse_i64(text)).flatten() {
            Some(value) => Item::Int(value),
            None => Item::Bytes(text),
        }
    }

    /// The text as owned bytes.
    pub fn to_vec(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.write_to(&mut out);
        out
    }

    /// Appends the text.
    #[inline]
    pub fn write_to(self, out: &mut Vec<u8>) {
        match self {
            Item::Int(value) => number::write_i64(value, out),
            Item::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Length of the text in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an item is no collection")]
    pub fn len(self) -> usize {
        match self {
            Item::Int(value) => number::decimal_len(value),
            Item::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether the text is `text`.
    #[inline]
    pub fn eq_bytes(self, text: &[u8]) -> bool {
        match self {
            Item::Int(value) => number::parse_i64(text) == Some(value),
            Item::Bytes(bytes) => bytes == text,
        }
    }

    /// The number, if it is stored as one: exactly then its text is the canonical text of a 64-bit integer.
    #[inline]
    pub fn int(self) -> Option<i64> {
        match self {
            Item::Int(value) => Some(value),
            Item::Bytes(_) => None,
        }
    }
}

/// What it is made of.
impl Listpack {
    /// An empty one; allocates nothing.
    pub const fn new() -> Listpack {
        Listpack {
            buffer: Buffer::new(),
        }
    }

    /// Takes over the bytes of a listpack, from a file or a client.
    ///
    /// # Errors
    /// [`Damaged`] unless header, every entry and the end fit together. O(n).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Listpack, Damaged> {
        let [a, b, c, d, low, high, ..] = *bytes.as_slice() else {
            return Err(Damaged);
        };
        if u32::from_le_bytes([a, b, c, d]) as usize != bytes.len() {
            return Err(Damaged);
        }
        let (mut at, mut count, mut all_shortest) = (HEADER, 0usize, true);
        while *bytes.get(at).ok_or(Damaged)? != END {
            let len = codec::checked_entry_len(&bytes[at..]).ok_or(Damaged)?;
            all_shortest &= codec::is_shortest(&bytes[at..at + len]);
            (at, count) = (at + len, count + 1);
        }
        let told = u16::from_le_bytes([low, high]);
        if at + 1 != bytes.len() || (told != COUNT_UNKNOWN && usize::from(told) != count) {
            return Err(Damaged);
        }
        let mut listpack = Listpack::from_own_bytes(bytes);
        listpack.set_count(count);
        // Redis writes shortest forms only; but I3 must hold whoever wrote this.
        Ok(if all_shortest {
            listpack
        } else {
            listpack.rewritten()
        })
    }

    /// Takes bytes back that [`Listpack::into_bytes`] gave; others make it panic later.
    pub(in crate::ds) fn from_own_bytes(bytes: Vec<u8>) -> Listpack {
        Listpack {
            buffer: Buffer::from_vec(bytes),
        }
    }

    fn rewritten(&self) -> Listpack {
        let mut fresh = Listpack::new();
        self.iter().for_each(|item| fresh.push_back_item(item));
        fresh
    }

    /// The bytes, as DUMP and RDB files have them.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.bytes_or(EMPTY)
    }

    /// As [`Listpack::as_bytes`], but nothing when it owns no memory.
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// The bytes, as DUMP and RDB files have them.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.buffer.is_none() {
            EMPTY.to_vec()
        } else {
            self.buffer.into_vec()
        }
    }

    /// How many entries. O(1) below 65535.
    #[inline]
    pub fn len(&self) -> usize {
        match self.bytes().get(4..6) {
            None => 0,
            Some(&[0xFF, 0xFF]) => self.iter().count(),
            Some(count) => usize::from(u16::from_le_bytes([count[0], count[1]])),
        }
    }

    /// True without entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.len() <= EMPTY.len()
    }

    /// Bytes of the listpack, at least 7.
    #[inline]
    pub fn size(&self) -> usize {
        self.buffer.len().max(EMPTY.len())
    }

    /// Offers its memory (see [`relocate`](crate::base::relocate)).
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        self.buffer.relocate(mover);
    }

    /// Bytes it holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buffer.heap_bytes()
    }

    /// Whether `more` bytes may be added without coming near the format's limit.
    #[inline]
    pub fn fits(&self, more: usize) -> bool {
        self.size().saturating_add(more) <= SAFE_BYTES_MAX
    }
}

/// Walking and reading.
impl Listpack {
    /// The first entry.
    #[inline]
    pub fn first(&self) -> Option<At> {
        (!self.is_empty()).then_some(At(HEADER as u32))
    }

    /// The last entry.
    #[inline]
    pub fn last(&self) -> Option<At> {
        (!self.is_empty()).then(|| self.before(self.buffer.len() - 1))
    }

    /// The entry behind `at`.
    #[inline]
    pub fn next(&self, at: At) -> Option<At> {
        self.entry_at(self.behind(at))
    }

    /// The entry before `at`.
    #[inline]
    pub fn prev(&self, at: At) -> Option<At> {
        (at.index() > HEADER).then(|| self.before(at.index()))
    }

    /// Entry `index`; negative ones count from the end, -1 being the last. Walks from the nearer end.
    pub fn seek(&self, index: i64) -> Option<At> {
        let len = self.len() as i64;
        let index = if index < 0 { index.checked_add(len)? } else { index };
        if index < 0 || index >= len {
            return None;
        }
        if index <= len / 2 {
            (0..index).try_fold(self.first()?, |at, _| self.next(at))
        } else {
            (index + 1..len).try_fold(self.last()?, |at, _| self.prev(at))
        }
    }

    /// The element at `at`.
    #[inline]
    pub fn get(&self, at: At) -> Item<'_> {
        codec::decode(&self.bytes()[at.index()..])
    }

    /// The first of the entries `from`, `from + 1 + skip`, ... that is `needle`. `skip` 1 finds fields of a hash.
    #[inline]
    pub fn find(&self, from: At, needle: &[u8], skip: usize) -> Option<At> {
        let (bytes, needle) = (self.bytes(), Encoded::text(needle));
        let mut at = from.index();
        loop {
            let rest = &bytes[at..];
            if rest[0] == END {
                return None;
            }
            if needle.is_at(rest) {
                return Some(At(at as u32));
            }
            at += entry_len(rest);
            for _ in 0..skip {
                let rest = &bytes[at..];
                if rest[0] == END {
                    return None;
                }
                at += entry_len(rest);
            }
        }
    }

    /// All elements, from either end.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self.entries())
    }

    /// The elements from `at` on.
    pub fn iter_from(&self, at: At) -> Iter<'_> {
        Iter::new(&self.bytes()[at.index()..self.buffer.len() - 1])
    }

    /// The elements up to `at`, that one included.
    pub fn iter_to(&self, at: At) -> Iter<'_> {
        Iter::new(&self.bytes()[HEADER..self.behind(at)])
    }

    /// The elements two by two: fields and values, members and scores.
    pub fn pairs(&self) -> Pairs<'_> {
        Pairs::new(self.iter())
    }

    /// The entries' bytes alone.
    fn entries(&self) -> &[u8] {
        let bytes = self.as_bytes();
        &bytes[HEADER..bytes.len() - 1]
    }

    /// The offset behind the entry at `at`.
    #[inline]
    fn behind(&self, at: At) -> usize {
        at.index() + entry_len(&self.bytes()[at.index()..])
    }

    /// The entry that ends before offset `end`.
    #[inline]
    fn before(&self, end: usize) -> At {
        At((end - iter::last_entry_len(&self.bytes()[..end])) as u32)
    }

    /// An offset as the entry there; none at the end.
    #[inline]
    fn entry_at(&self, offset: usize) -> Option<At> {
        (self.bytes()[offset] != END).then_some(At(offset as u32))
    }
}

/// Changing.
impl Listpack {
    /// Appends an element.
    #[inline]
    pub fn push_back(&mut self, text: &[u8]) {
        self.append_entry(&Encoded::text(text));
    }

    /// Appends a number.
    #[inline]
    pub fn push_back_int(&mut self, value: i64) {
        self.append_entry(&Encoded::number(value));
    }

    /// Appends an element.
    #[inline]
    pub fn push_back_item(&mut self, item: Item<'_>) {
        self.append_entry(&Encoded::item(item));
    }

    /// Puts an element before all others. O(n) bytes move.
    #[inline]
    pub fn push_front(&mut self, text: &[u8]) {
        if self.buffer.is_none() {
            return self.push_back(text);
        }
        self.splice(HEADER, 0, &Encoded::text(text));
        self.count_more(1);
    }

    /// Puts an element before `at`; where it is.
    pub fn insert_before(&mut self, at: At, text: &[u8]) -> At {
        self.splice(at.index(), 0, &Encoded::text(text));
        self.count_more(1);
        at
    }

    /// Puts an element behind `at`; where it is.
    pub fn insert_after(&mut self, at: At, text: &[u8]) -> At {
        self.insert_before(At(self.behind(at) as u32), text)
    }

    /// Puts an element behind `at`; where it is.
    #[inline]
    pub fn insert_item_after(&mut self, at: At, item: Item<'_>) -> At {
        let behind = self.behind(at);
        self.splice(behind, 0, &Encoded::item(item));
        self.count_more(1);
        At(behind as u32)
    }

    /// Replaces an element; where the new one is.
    #[inline]
    pub fn replace_item(&mut self, at: At, item: Item<'_>) -> At {
        self.replace_entry(at, &Encoded::item(item))
    }

    /// Replaces an element; where the new one is.
    #[inline]
    pub fn replace(&mut self, at: At, text: &[u8]) -> At {
        self.replace_entry(at, &Encoded::text(text))
    }

    /// Replaces an element by a number; where it is.
    #[inline]
    pub fn replace_int(&mut self, at: At, value: i64) -> At {
        self.replace_entry(at, &Encoded::number(value))
    }

    /// Removes an element; the one that followed it.
    #[inline]
    pub fn remove(&mut self, at: At) -> Option<At> {
        self.cut(at.index(), self.behind(at), 1);
        self.entry_at(at.index())
    }

    /// Removes `count` elements, or as many as there are, from `at` on; the one that followed them.
    pub fn remove_many(&mut self, at: At, count: usize) -> Option<At> {
        let (mut end, mut removed) = (at.index(), 0);
        while removed < count && self.bytes()[end] != END {
            end += entry_len(&self.bytes()[end..]);
            removed += 1;
        }
        self.cut(at.index(), end, removed);
        self.entry_at(at.index())
    }

    /// Removes `count` elements, or as many as there are, from entry `index` on; a negative index counts from the end.
    pub fn remove_range(&mut self, index: i64, count: usize) {
        if let Some(at) = self.seek(index) {
            self.remove_many(at, count);
        }
    }

    /// Removes elements equal to `wanted`, at most `max` of them, from the front or from the back; how many.
    pub fn remove_equal(&mut self, wanted: Item<'_>, from_back: bool, max: usize) -> usize {
        let (mut removed, mut walker) = (0, if from_back { self.last() } else { self.first() });
        while let Some(at) = walker.filter(|_| removed < max) {
            let before = if from_back { self.prev(at) } else { None };
            let is_equal = self.get(at) == wanted;
            removed += usize::from(is_equal);
            let behind = if is_equal { self.remove(at) } else { self.next(at) };
            walker = if from_back { before } else { behind };
        }
        removed
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        *self = Listpack::new();
    }

    /// Appends the elements of another listpack. O(bytes of the other).
    pub fn append(&mut self, other: &Listpack) {
        if other.is_empty() {
            return;
        }
        let count = self.len() + other.len();
        let entries = other.entries();
        self.extend(entries.len()).copy_from_slice(entries);
        self.set_count(count);
    }

    /// Moves the elements from entry `index` on into a listpack of their own.
    pub fn split_off(&mut self, index: usize) -> Listpack {
        let Some(at) = self.seek(index as i64) else {
            return Listpack::new();
        };
        let moved = self.len() - index;
        let end = self.buffer.len() - 1;
        let mut tail = Listpack::new();
        let entries = &self.bytes()[at.index()..end];
        tail.extend(entries.len()).copy_from_slice(entries);
        tail.set_count(moved);
        self.cut(at.index(), end, moved);
        tail
    }

    /// Appends an entry; the fast path of everything that builds a listpack.
    #[inline]
    fn append_entry(&mut self, entry: &Encoded<'_>) {
        entry.write_to(self.extend(entry.size()));
        self.count_more(1);
    }

    /// Room for `more` bytes of entries before the end mark. The count is the caller's.
    #[inline]
    fn extend(&mut self, more: usize) -> &mut [u8] {
        let start = self.size() - 1;
        self.set_size(start + more + 1);
        let (room, end) = self.buffer.body_mut(start).split_at_mut(more);
        end[0] = END;
        room
    }

    #[inline]
    fn replace_entry(&mut self, at: At, entry: &Encoded<'_>) -> At {
        let old = entry_len(&self.bytes()[at.index()..]);
        self.splice(at.index(), old, entry);
        at
    }

    /// Puts `entry` in the place of `old` bytes at `offset`.
    #[inline]
    fn splice(&mut self, offset: usize, old: usize, entry: &Encoded<'_>) {
        let (len, new) = (self.buffer.len(), entry.size());
        if new > old {
            self.set_size(len + (new - old));
            let tail = self.buffer.body_mut(offset);
            tail.copy_within(old..len - offset, new);
        } else if new < old {
            self.buffer.body_mut(offset).copy_within(old.., new);
            self.set_size(len - (old - new));
        }
        entry.write_to(&mut self.buffer.body_mut(offset)[..new]);
    }

    /// Takes the bytes `start..end`, which are `count` entries, out.
    #[inline]
    fn cut(&mut self, start: usize, end: usize, count: usize) {
        let len = self.buffer.len();
        self.buffer.body_mut(start).copy_within(end - start.., 0);
        self.set_size(len - (end - start));
        self.count_less(count);
    }

    /// Makes it so many bytes, cut or zeros added at the end.
    #[inline]
    fn set_size(&mut self, bytes: usize) {
        let total = u32::try_from(bytes).expect("callers ask `fits`");
        self.buffer.resize(total.to_le_bytes());
    }

    #[inline]
    fn count_more(&mut self, more: u16) {
        let told = self.told_count();
        self.write_count(told.saturating_add(more));
    }

    /// An unknown count stays unknown unless nothing is left.
    #[inline]
    fn count_less(&mut self, less: usize) {
        let told = self.told_count();
        if self.is_empty() {
            self.write_count(0);
        } else if told != COUNT_UNKNOWN {
            self.write_count(told - less as u16);
        }
    }

    fn set_count(&mut self, count: usize) {
        self.write_count(u16::try_from(count).unwrap_or(COUNT_UNKNOWN));
    }

    #[inline]
    fn told_count(&self) -> u16 {
        let bytes = self.bytes();
        u16::from_le_bytes([bytes[4], bytes[5]])
    }

    #[inline]
    fn write_count(&mut self, count: u16) {
        self.buffer.body_mut(4)[..2].copy_from_slice(&count.to_le_bytes());
    }
}

impl At {
    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Listpack) -> bool {
        // I3 lets entries be compared as bytes.
        self.entries() == other.entries()
    }
}

impl Eq for Listpack {}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
