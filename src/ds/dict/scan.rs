//! Walks over a table: scanning and sweeping by cursor, random choice, iteration. All in the order of hashes.
//!
//! ```text
//! hash space  0 |--bucket--|--bucket--|--bucket--|--bucket--| 2^64      cursor = position >> 16, below 2^48
//!                            ^ cursor   ^ next
//! ```
//!
//! A cursor is a position in hash space, not in memory, so any split, join or resize between two calls leaves
//! it meaning the same: what lies below has been visited, what lies at or above has not.

use super::raw::{BUCKET_SLOTS, Lanes, SEGMENT_BITS, Segment};
use super::table::Table;
use super::{Dict, Glance, NO_MARK, Occupied, ThinElement, Verdict};
use crate::base::hash::HashKey;
use crate::base::relocate::Mover;

/// Cursors leave out the low bits of a position, as some clients keep them in a double. Home buckets are
/// never narrower than this (`DEPTH_MAX + BITS_MAX <= 48`), so their borders are exact.
const CURSOR_SHIFT: u32 = 16;
/// Slots tried in the only segment, and in a table of several, before a random choice counts instead.
const SLOT_TRIES: usize = 32;
const TABLE_TRIES: usize = 128;
/// Buckets between asking for the elements of one and reading them.
const PREFETCH_AHEAD: usize = 2;

impl<E: ThinElement> Segment<E> {
    /// The elements in bucket `index`, whatever their home, lowest slot first.
    pub(super) fn elements_of(&self, index: usize) -> impl Iterator<Item = &E> {
        self.lanes(index)
            .filter_map(move |slot| self.element_at(index, slot))
    }

    /// The element that is number `rank` in the order of slots.
    fn nth(&self, mut rank: usize) -> Option<&E> {
        for index in 0..self.span().bucket_count() {
            let lanes = self.lanes(index);
            if rank < lanes.count() {
                return self.elements_of(index).nth(rank);
            }
            rank -= lanes.count();
        }
        None
    }

    /// The element in slot `slot`, counted from the segment's first, if both exist.
    fn element_in(&self, slot: usize) -> Option<&E> {
        (slot < self.capacity())
            .then(|| self.element_at(slot / BUCKET_SLOTS, slot % BUCKET_SLOTS))
            .flatten()
    }

    /// Shows all elements, from slot `first` on and round. Marked if any is.
    ///
    /// It begins in the middle of a bucket: the lowest slots are filled anew first, so their elements are the youngest.
    fn walk_round(&self, first: usize, visit: &mut dyn FnMut(&E) -> Glance) -> Glance {
        let mut all = Glance::Unmarked;
        let count = self.span().bucket_count();
        let (first, slot) = (first / BUCKET_SLOTS, first % BUCKET_SLOTS);
        self.prefetch_elements(first);
        for (step, index) in (first..count).chain(0..=first).enumerate() {
            self.prefetch_elements((index + 1) % count);
            let slots = match step {
                0 => slot..BUCKET_SLOTS,
                _ if step == count => 0..slot,
                _ => 0..BUCKET_SLOTS,
            };
            for element in slots.filter_map(|slot| self.element_at(index, slot)) {
                match visit(element) {
                    Glance::Unmarked => {}
                    Glance::Marked => all = Glance::Marked,
                    Glance::Enough => return Glance::Enough,
                }
            }
        }
        all
    }

    /// A random element of a segment that is not empty, all equally likely.
    fn random(&self, r: &mut dyn FnMut() -> u64) -> Option<&E> {
        let tries = if self.len() * 8 < self.capacity() {
            0
        } else {
            SLOT_TRIES
        };
        (0..tries)
            .find_map(|_| {
                let slot = below(r(), self.capacity());
                self.element_in(slot)
            })
            .or_else(|| self.nth(below(r(), self.len())))
    }
}

/// Maps a random number evenly to `0..n`.
fn below(random: u64, n: usize) -> usize {
    ((u128::from(random) * n as u128) >> 64) as usize
}

impl<E: ThinElement, H: HashKey> Dict<E, H> {
    /// Visits the elements of one home bucket, those at `cursor`, and returns the next cursor: 0 at the end.
    /// Start with 0.
    ///
    /// Whatever is inserted and removed between the calls: an element that is in the table from the first
    /// call to the last is visited exactly once; one that is there for part of the time, at most once for
    /// each time it was inserted; one that never was, never. Every number is a legal cursor; only its low 48
    /// bits count.
    ///
    /// O(1) expected, and hashes the keys it meets.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&E)) -> u64 {
        let from = cursor << CURSOR_SHIFT;
        let Some(segment) = self.table.segment_of(from) else {
            return 0;
        };
        let home = segment.span().home(from);
        segment
            .chain(home)
            .for_each(|index| segment.prefetch_elements(index));
        for element in segment.chain(home).flat_map(|index| segment.elements_of(index)) {
            let hash = self.hash(element.key());
            // The bucket may hold guests from other homes, and may have been two buckets when `cursor` was
            // made.
            if segment.span().home(hash) == home && hash >= from {
                visit(element);
            }
        }
        segment.end_of_home(home) >> CURSOR_SHIFT
    }

    /// Finds the first segment at or after `cursor` whose mark is at most `mark_at_most`, has `judge` see
    /// each of its elements, hands those told to go to `removed`, and sets the segment's mark to the lowest
    /// kept. Returns the next cursor, 0 if the walk reached the end. Start with 0; every number is a legal
    /// cursor.
    ///
    /// Segments may split and join between the calls: whole segments are visited, so an element may be judged
    /// again on the same walk, but none that was due at its start is left out. With `mark_at_most` =
    /// [`NO_MARK`] every segment is visited.
    ///
    /// O(segments passed + elements of one segment), and the joins that became due.
    ///
    /// [`NO_MARK`]: super::NO_MARK
    pub fn sweep(
        &mut self,
        cursor: u64,
        mark_at_most: u64,
        judge: &mut dyn FnMut(&mut E) -> Verdict,
        removed: &mut dyn FnMut(E),
    ) -> u64 {
        let Some(segment) = self.table.first_marked(cursor << CURSOR_SHIFT, mark_at_most) else {
            return 0;
        };
        let (start, end) = (segment.start(), segment.end());
        let removed_count = self.table.sweep(start, self.hasher, judge, removed);
        self.len -= removed_count;
        if removed_count > 0 {
            self.relax_fully(start);
        }
        end >> CURSOR_SHIFT
    }

    /// Offers the table's own memory at `cursor` 0, has `visit` see to the elements of one bucket, and returns the next
    /// cursor: 0 at the end. Start with 0; every number is a legal cursor.
    ///
    /// It is about memory, not contents: what moves between buckets between two calls may be seen twice or not at all.
    /// O(1), and hashes nothing.
    pub fn relocate_step(
        &mut self,
        cursor: u64,
        mover: &mut dyn Mover,
        visit: &mut dyn FnMut(&mut E, &mut dyn Mover),
    ) -> u64 {
        if cursor == 0 {
            self.table.relocate(mover);
        }
        let position = cursor << CURSOR_SHIFT;
        let next = self
            .table
            .each_mut(position, &mut |element| visit(element, mover));
        next >> CURSOR_SHIFT
    }

    /// The same, bucket after bucket until the end or until `mover` says stop.
    pub fn relocate(
        &mut self,
        mut cursor: u64,
        mover: &mut dyn Mover,
        visit: &mut dyn FnMut(&mut E, &mut dyn Mover),
    ) -> u64 {
        loop {
            cursor = self.relocate_step(cursor, mover, visit);
            if cursor == 0 || !mover.goes_on() {
                return cursor;
            }
        }
    }

    /// A random element, every one exactly as likely as any other, however unevenly they are spread.
    ///
    /// Slots are tried until one is taken: two or three of them usually. O(segments) if nearly all are free.
    pub fn random(&self, r: &mut dyn FnMut() -> u64) -> Option<&E> {
        let segments = self.table.segments();
        if self.is_empty() {
            return None;
        } else if let [only] = segments {
            return only.random(r);
        }
        for _ in 0..TABLE_TRIES {
            let segment = &segments[below(r(), segments.len())];
            if segment.span().bits > SEGMENT_BITS {
                break;
            }
            // As if all segments were full-grown: what a smaller one lacks counts as free.
            let slot = below(r(), BUCKET_SLOTS << SEGMENT_BITS);
            if let Some(element) = segment.element_in(slot) {
                return Some(element);
            }
        }
        self.nth(below(r(), self.len()))
    }

    /// Takes a random element out, chosen as [`random`](Self::random) does; its key is not compared again.
    pub fn take_random(&mut self, r: &mut dyn FnMut() -> u64) -> Option<E> {
        let element = self.random(r)?;
        let (hash, address) = (self.hash(element.key()), element.address());
        Some(Occupied::at_address(self, hash, address)?.remove())
    }

    /// The element of this hash, whatever its key: any one if several share it, which a good hash makes unheard of.
    pub fn find_hashed(&self, hash: u64) -> Option<&E> {
        self.table
            .find_where(hash, |element| self.hasher.hash(element.key()) == hash)
    }

    /// Takes out the element that [`find_hashed`](Self::find_hashed) finds.
    pub fn take_hashed(&mut self, hash: u64) -> Option<E> {
        let address = self.find_hashed(hash)?.address();
        Some(Occupied::at_address(self, hash, address)?.remove())
    }

    /// Shows `visit` the elements that lie together around a random place, then those of the following segments, until
    /// it has had enough or has seen all; a segment whose mark is above `mark_at_most` is passed over. A segment none
    /// of whose elements turns out to be [`Glance::Marked`] loses its mark.
    ///
    /// O(segments passed + elements shown).
    pub fn look_around(
        &mut self,
        r: &mut dyn FnMut() -> u64,
        mark_at_most: u64,
        visit: &mut dyn FnMut(&E) -> Glance,
    ) {
        let mut position = r();
        // One segment more than there are: each is walked round, so nothing is left out where it began.
        for _ in 0..=self.segment_count() {
            let segment = self
                .table
                .first_marked(position, mark_at_most)
                .or_else(|| self.table.first_marked(0, mark_at_most));
            let Some(segment) = segment else { return };
            let (start, end) = (segment.start(), segment.end());
            match segment.walk_round(below(r(), segment.capacity()), visit) {
                Glance::Enough => return,
                Glance::Marked => {}
                Glance::Unmarked if segment.mark() == NO_MARK => {}
                Glance::Unmarked => self.table.clear_mark(start),
            }
            position = end;
        }
    }

    /// The element that is number `rank` in an order that holds until the next change. O(segments).
    fn nth(&self, mut rank: usize) -> Option<&E> {
        for segment in self.table.segments() {
            if rank < segment.len() {
                return segment.nth(rank);
            }
            rank -= segment.len();
        }
        None
    }

    /// All elements, segment after segment in the order of hashes.
    pub fn iter(&self) -> Iter<'_, E> {
        let segment = self.table.segment_of(0);
        let mut iter = Iter {
            table: &self.table,
            segment,
            index: 0,
            lanes: Lanes::NONE,
            left: self.len(),
        };
        iter.enter();
        iter
    }
}

impl<E> Table<E> {
    /// The first segment at or after the hash `position` with a mark of at most `mark_at_most`.
    fn first_marked(&self, mut position: u64, mark_at_most: u64) -> Option<&Segment<E>> {
        loop {
            let segment = self.segment_of(position)?;
            if segment.mark() <= mark_at_most {
                return Some(segment);
            }
            position = self.after(segment)?;
        }
    }

    fn after(&self, segment: &Segment<E>) -> Option<u64> {
        Some(segment.end()).filter(|&end| end != 0)
    }
}

/// The elements of a [`Dict`]; made by [`Dict::iter`].
pub struct Iter<'a, E: ThinElement> {
    table: &'a Table<E>,
    segment: Option<&'a Segment<E>>,
    index: usize,
    lanes: Lanes,
    left: usize,
}

impl<E: ThinElement> Iter<'_, E> {
    /// Begins bucket `index` of the segment.
    fn enter(&mut self) {
        if let Some(segment) = self.segment {
            self.lanes = segment.lanes(self.index);
            segment.prefetch_elements(self.index + PREFETCH_AHEAD);
        }
    }

    /// Goes to the next bucket, or to the next segment's first; to no segment at the end.
    fn advance(&mut self) {
        let Some(segment) = self.segment else { return };
        self.index += 1;
        if self.index == segment.span().bucket_count() {
            self.index = 0;
            self.segment = self
                .table
                .after(segment)
                .and_then(|start| self.table.segment_of(start));
        }
        self.enter();
    }
}

impl<'a, E: ThinElement> Iterator for Iter<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        loop {
            let segment = self.segment?;
            if let Some(slot) = self.lanes.next() {
                self.left -= 1;
                return segment.element_at(self.index, slot);
            }
            self.advance();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E: ThinElement> ExactSizeIterator for Iter<'_, E> {}

impl<'a, E: ThinElement, H: HashKey> IntoIterator for &'a Dict<E, H> {
    type Item = &'a E;
    type IntoIter = Iter<'a, E>;

    fn into_iter(self) -> Iter<'a, E> {
        self.iter()
    }
}
