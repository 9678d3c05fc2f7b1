//! The directory and the segments it leads to: lookup, and the moves that split, join and resize segments.
//!
//! ```text
//! directory, 2^depth slots of 16 B      segments, in no order
//!   00 [span 0]  -------------------->   #0 depth 1, hashes 0.....
//!   01 [span 0]  ---/              /->   #1 depth 2, hashes 11....
//!   10 [span 2]  ----------------------> #2 depth 2, hashes 10....
//!   11 [span 1]  -----------------/
//! ```
//!
//! Invariants, beside those of `raw`:
//! - T1  There is no segment, or the ranges of the segments divide the hash space.
//! - T2  Every slot is a copy of the span of the segment whose range it falls into; nothing else changes a
//!   span.
//! - T3  `deepest` segments have the depth of the directory; it is 0 only if there is no segment.
//!
//! When to do these moves is decided by the module above.

#![expect(
    unsafe_code,
    reason = "a slot leads straight to a bucket, sparing each lookup the segment's record"
)]

use super::raw::{Place, SEGMENT_BITS, Segment, Span};
use super::{ThinElement, Verdict};
use crate::base::hash::HashKey;
use crate::base::relocate::{self, Mover};
use crate::base::size_class::allocated;

/// Longest shared prefix of a segment. With it and `BITS_MAX` a position fits the 48 bits of a scan cursor.
pub(super) const DEPTH_MAX: u8 = 24;
/// Most buckets of an oversized segment, as a power of two.
pub(super) const BITS_MAX: u8 = 24;
/// Slots the directory may have for each segment. Random hashes need 2 to 4; more means that the hashes share
/// long prefixes, where splitting would cost a directory without separating anything.
const SLOTS_PER_SEGMENT: usize = 8;

pub(super) struct Table<E> {
    slots: Vec<Span<E>>,
    segments: Vec<Segment<E>>,
    depth: u8,
    deepest: u32,
    bucket_count: usize,
}

impl<E> Table<E> {
    pub(super) const fn new() -> Self {
        Table {
            slots: Vec::new(),
            segments: Vec::new(),
            depth: 0,
            deepest: 0,
            bucket_count: 0,
        }
    }

    #[inline(always)]
    fn slot_index(&self, hash: u64) -> usize {
        ((hash >> 1) >> (63 - self.depth)) as usize
    }

    /// The segment for `hash`; none if the table has no memory yet.
    #[inline]
    pub(super) fn segment_of(&self, hash: u64) -> Option<&Segment<E>> {
        let slot = self.slots.get(self.slot_index(hash))?;
        Some(&self.segments[slot.segment as usize])
    }

    #[inline]
    fn segment_mut(&mut self, hash: u64) -> Option<&mut Segment<E>> {
        let slot = self.slots.get(self.slot_index(hash))?;
        Some(&mut self.segments[slot.segment as usize])
    }

    /// Segments in no particular order.
    pub(super) fn segments(&self) -> &[Segment<E>] {
        &self.segments
    }

    pub(super) fn depth(&self) -> u8 {
        self.depth
    }

    pub(super) fn directory_len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.bucket_count
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bucket_count * 64
            + allocated(self.slots.capacity() * size_of::<Span<E>>())
            + allocated(self.segments.capacity() * size_of::<Segment<E>>())
    }

    /// The segment that shares all but the last prefix bit with the one for `hash`, if it is as deep.
    pub(super) fn buddy_of(&self, hash: u64) -> Option<&Segment<E>> {
        let segment = self.segment_of(hash)?;
        let last_prefix_bit = 1u64.checked_shl(64 - u32::from(segment.span().depth))?;
        let buddy = self.segment_of(segment.start() ^ last_prefix_bit)?;
        (buddy.span().depth == segment.span().depth).then_some(buddy)
    }

    /// Whether splitting helps, or the directory would outgrow the segments.
    pub(super) fn may_split(&self, segment: &Segment<E>) -> bool {
        let depth = segment.span().depth;
        depth < self.depth
            || (depth < DEPTH_MAX && self.slots.len() * 2 <= (self.segments.len() + 1) * SLOTS_PER_SEGMENT)
    }

    /// Gives an empty table its first bucket.
    pub(super) fn begin(&mut self) {
        debug_assert!(self.segments.is_empty());
        let first = Segment::new(0, 0, 0, 0);
        // Most tables of sets and hashes never have a second segment.
        self.slots.reserve_exact(1);
        self.segments.reserve_exact(1);
        self.slots.push(first.span());
        self.segments.push(first);
        (self.deepest, self.bucket_count) = (1, 1);
    }

    /// See [`Segment::lower_mark`].
    pub(super) fn lower_mark(&mut self, hash: u64, mark: u64) {
        if let Some(segment) = self.segment_mut(hash) {
            segment.lower_mark(mark);
        }
    }

    /// Says that nothing in the segment for `hash` will ever be due.
    pub(super) fn clear_mark(&mut self, hash: u64) {
        if let Some(segment) = self.segment_mut(hash) {
            segment.clear_mark();
        }
    }

    /// Stores an element of an absent key. The table has begun and its segment has room.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, element: E) -> &mut E {
        let place = self
            .segment_mut(hash)
            .expect("the table has begun")
            .insert(hash, element);
        // SAFETY: I5: just filled, and `&mut self` keeps it so and all others out.
        unsafe { place.element_mut() }
    }

    /// # Safety
    /// `place` holds an element of this hash and nothing has changed since it was found.
    #[inline]
    pub(super) unsafe fn take(&mut self, place: Place<E>, hash: u64) -> E {
        let segment = self.segment_mut(hash).expect("an element was found here");
        // SAFETY: I5 by contract; `find` looked in this very segment.
        unsafe { segment.take(place, hash) }
    }

    /// Points the slots of a segment's range at it.
    fn publish(&mut self, segment: u32) {
        let segment = &self.segments[segment as usize];
        let (span, start) = (segment.span(), segment.start());
        let first = self.slot_index(start);
        self.slots[first..first + (1 << (self.depth - span.depth))].fill(span);
    }

    /// Offers the directory, the records of the segments, and the buckets if they are few: those of a full-grown
    /// segment have pages of their own.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        relocate::vec(&mut self.slots, mover);
        relocate::vec(&mut self.segments, mover);
        if let [only] = &mut self.segments[..]
            && only.span().bits < SEGMENT_BITS
        {
            only.relocate(mover);
            self.publish(0);
        }
    }

    fn double_directory(&mut self) {
        self.slots = self.slots.iter().flat_map(|&slot| [slot, slot]).collect();
        self.depth += 1;
        self.deepest = 0;
    }

    /// Halves the directory while no segment needs all of it. O(directory).
    fn trim_directory(&mut self) {
        while self.deepest == 0 && self.depth > 0 {
            self.slots = self.slots.iter().copied().step_by(2).collect();
            self.depth -= 1;
            self.deepest = self.slots.iter().filter(|slot| slot.depth == self.depth).count() as u32;
        }
    }
}

impl<E: ThinElement> Table<E> {
    #[inline(always)]
    pub(super) fn place(&self, hash: u64, key: &[u8]) -> Option<Place<E>> {
        self.place_of(hash, |element| element.key() == key)
    }

    /// The place of the element of this hash that `is_it` recognizes.
    #[inline(always)]
    pub(super) fn place_of(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<Place<E>> {
        let slot = *self.slots.get(self.slot_index(hash))?;
        // SAFETY: I4 by T2: the slot is the span of a segment of this table.
        unsafe { slot.find(hash, is_it) }
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<&E> {
        // SAFETY: I5: just found, and `&self` keeps it so.
        self.place(hash, key).map(|place| unsafe { place.element() })
    }

    /// The element of this hash that `is_it` recognizes.
    pub(super) fn find_where(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<&E> {
        // SAFETY: I5: just found, and `&self` keeps it so.
        self.place_of(hash, is_it).map(|place| unsafe { place.element() })
    }

    #[inline(always)]
    pub(super) fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut E> {
        // SAFETY: I5: just found, and `&mut self` keeps it so and all others out.
        self.place(hash, key).map(|place| unsafe { place.element_mut() })
    }

    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.slot_index(hash)) {
            // SAFETY: I4 by T2.
            unsafe { slot.prefetch_home(hash) }
        }
    }

    #[inline]
    pub(super) fn prefetch_element(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.slot_index(hash)) {
            // SAFETY: I4 by T2.
            unsafe { slot.prefetch_match(hash) }
        }
    }

    /// Puts `fresh` in the place of segment `index` and returns the old one. T2 is broken until `publish`.
    fn swap(&mut self, index: usize, fresh: Segment<E>) -> Segment<E> {
        self.bucket_count += fresh.span().bucket_count();
        let old = std::mem::replace(&mut self.segments[index], fresh);
        self.bucket_count -= old.span().bucket_count();
        old
    }

    /// Gives the segment for `hash` `2^bits` buckets. O(segment).
    pub(super) fn rebuild(&mut self, hash: u64, bits: u8, hasher: impl HashKey) {
        let Some(old) = self.segment_of(hash) else { return };
        let (span, start, mark) = (old.span(), old.start(), old.mark());
        let mut fresh = Segment::new(span.segment, start, span.depth, bits);
        assert!(old.len() <= fresh.capacity());
        fresh.lower_mark(mark);
        let index = span.segment as usize;
        let old = self.swap(index, fresh);
        let fresh = &mut self.segments[index];
        old.drain(hasher, |hash, element| {
            fresh.insert(hash, element);
        });
        self.publish(span.segment);
    }

    /// Divides the segment for `hash` by the next hash bit; each half has as many buckets. O(segment), and
    /// O(directory) if that has to double.
    pub(super) fn split(&mut self, hash: u64, hasher: impl HashKey) {
        let Some(whole) = self.segment_of(hash) else {
            return;
        };
        let (span, start, mark) = (whole.span(), whole.start(), whole.mark());
        if span.depth == self.depth {
            self.double_directory();
        }
        let (depth, right_index) = (span.depth + 1, self.segments.len() as u32);
        let right_bit = 1 << (63 - span.depth);
        let mut left = Segment::new(span.segment, start, depth, span.bits);
        let mut right = Segment::new(right_index, start | right_bit, depth, span.bits);
        left.lower_mark(mark);
        right.lower_mark(mark);
        let left_index = span.segment as usize;
        let whole = self.swap(left_index, left);
        self.bucket_count += right.span().bucket_count();
        let left = &mut self.segments[left_index];
        whole.drain(hasher, |hash, element| {
            let half = if hash & right_bit == 0 {
                &mut *left
            } else {
                &mut right
            };
            half.insert(hash, element);
        });
        self.segments.push(right);
        self.deepest += if depth == self.depth { 2 } else { 0 };
        self.publish(span.segment);
        self.publish(right_index);
    }

    /// Joins the segment for `hash` and its buddy, which together fit a full-grown segment. O(segment), and
    /// O(directory) if that can be halved.
    pub(super) fn join(&mut self, hash: u64, hasher: impl HashKey) {
        let (Some(one), Some(other)) = (self.segment_of(hash), self.buddy_of(hash)) else {
            return;
        };
        let depth = one.span().depth;
        let (kept, gone) = ordered(one.span().segment, other.span().segment);
        let mut joined = Segment::new(kept, one.start().min(other.start()), depth - 1, SEGMENT_BITS);
        assert!(one.len() + other.len() <= joined.capacity());
        joined.lower_mark(one.mark().min(other.mark()));

        let one = self.swap(kept as usize, joined);
        let other = self.segments.swap_remove(gone as usize);
        self.bucket_count -= other.span().bucket_count();
        let joined = &mut self.segments[kept as usize];
        for half in [one, other] {
            half.drain(hasher, |hash, element| {
                joined.insert(hash, element);
            });
        }
        self.publish(kept);
        if let Some(moved) = self.segments.get_mut(gone as usize) {
            moved.set_index(gone);
            self.publish(gone);
        }
        self.deepest -= if depth == self.depth { 2 } else { 0 };
        self.trim_directory();
    }

    /// See [`Segment::sweep`]; returns how many elements left the segment for `hash`.
    pub(super) fn sweep(
        &mut self,
        hash: u64,
        hasher: impl HashKey,
        judge: &mut dyn FnMut(&mut E) -> Verdict,
        removed: &mut dyn FnMut(E),
    ) -> usize {
        let Some(segment) = self.segment_mut(hash) else {
            return 0;
        };
        let before = segment.len();
        segment.sweep(hasher, judge, removed);
        before - segment.len()
    }

    /// Shows the elements of the bucket at the hash `position`; the position of the next bucket, 0 at the end.
    pub(super) fn each_mut(&mut self, position: u64, visit: &mut dyn FnMut(&mut E)) -> u64 {
        let Some(segment) = self.segment_mut(position) else {
            return 0;
        };
        let index = segment.span().home(position);
        segment.each_mut(index, visit);
        segment.end_of_home(index)
    }

    /// Asserts T1 to T3 and I1 to I3; `visit` gets each segment in the order of hashes.
    pub(super) fn check_invariants(&self, visit: &mut dyn FnMut(&Segment<E>)) {
        let mut covered = 0;
        let mut seen = 0;
        while covered < self.slots.len() {
            let index = self.slots[covered].segment;
            let segment = &self.segments[index as usize];
            let span = segment.span();
            let width = 1 << (self.depth - span.depth);
            assert_eq!(span.segment, index, "T2: a segment knows its own index");
            assert_eq!(
                self.slot_index(segment.start()),
                covered,
                "T1: ranges follow each other"
            );
            for slot in &self.slots[covered..covered + width] {
                assert!(*slot == span, "T2: a slot is a copy of its segment's span");
            }
            visit(segment);
            covered += width;
            seen += 1;
        }
        assert_eq!(seen, self.segments.len(), "T1: every segment is in the directory");
        let deepest = self
            .segments
            .iter()
            .filter(|s| s.span().depth == self.depth)
            .count();
        assert_eq!(deepest, self.deepest as usize, "T3");
        assert!(
            deepest > 0 || self.segments.is_empty(),
            "T3: the directory is no longer than needed"
        );
        let buckets: usize = self.segments.iter().map(|s| s.span().bucket_count()).sum();
        assert_eq!(buckets, self.bucket_count, "buckets are counted");
    }
}

fn ordered(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}
