//! Buckets and segments: the memory of the hash table, and all arithmetic on its bytes.
//!
//! ```text
//! bucket, one cache line:   meta 8 B                              elements 7 x 8 B
//!   [t0 t1 t2 t3 t4 t5 t6 | overflow] [e0] [e1] [e2] [e3] [e4] [e5] [e6]
//! segment: 2^bits buckets in one allocation; home bucket of a hash:
//!   hash  [ depth bits: which segment ][ bits: which bucket ] ............ [ low 8 bits: the tag ]
//! ```
//!
//! A tag is 1..=255, and 0 marks a free slot. An element sits in its home bucket or, if that was full, in the
//! first bucket after it (wrapping) with a free slot; each bucket it passed counts it in its overflow byte. A
//! lookup goes on only while that byte is not 0, so nothing needs tombstones. A count that reached 255 is no
//! longer exact and stays.
//!
//! Invariants:
//! - I1  A segment owns `2^bits` buckets at `span.base`, allocated with `Segment::layout(bits)`.
//! - I2  Slot `i` of a bucket holds a live element exactly when tag `i` is not 0.
//! - I3  `len` is the number of slots that hold an element.
//! - I4  A `Span` taken from a segment is used only while that segment has neither been dropped nor replaced.
//! - I5  A `Place` is used only until the next change of its segment, and only for a slot that holds an
//!   element.
//!
//! Soundness needs none of: honest hashes, honest keys. Those only decide what is found.

#![expect(
    unsafe_code,
    reason = "7 owning pointers and their tags in one cache line, which no safe type can hold"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

use super::{ThinElement, Verdict};
use crate::base::hash::HashKey;
use crate::base::relocate::Mover;

/// Elements per bucket.
pub(super) const BUCKET_SLOTS: usize = 7;
/// Buckets of a full-grown segment, as a power of two: 256 of them, 16 KiB.
pub(super) const SEGMENT_BITS: u8 = 8;
/// No mark: later than any.
pub(super) const NO_MARK: u64 = u64::MAX;

const LANE_ONES: u64 = 0x0001_0101_0101_0101;
const LANE_LOW7: u64 = 0x007f_7f7f_7f7f_7f7f;
const LANE_TOPS: u64 = 0x0080_8080_8080_8080;
const OVERFLOW_SHIFT: u32 = 56;
const OVERFLOW_ONE: u64 = 1 << OVERFLOW_SHIFT;
const OVERFLOW_MAX: u64 = 255;

const PAGE: usize = 4096;

/// One cache line of the table.
#[repr(C, align(64))]
struct Bucket<E> {
    meta: u64,
    slots: [MaybeUninit<E>; BUCKET_SLOTS],
}

/// The tag of `hash`: its low byte, with 0 (a free slot) folded into 1.
#[inline(always)]
fn tag_of(hash: u64) -> u64 {
    let low = hash & 0xff;
    low | u64::from(low == 0)
}

/// The top bit of each of the seven lanes of `meta` whose tag is `tag`. Exact: the cheaper borrow trick can
/// also report the lane above a match, which may be free.
#[inline(always)]
fn lanes_with(meta: u64, tag: u64) -> u64 {
    let difference = meta ^ (LANE_ONES * tag);
    let nonzero = ((difference & LANE_LOW7) + LANE_LOW7) | difference;
    !nonzero & LANE_TOPS
}

#[inline(always)]
fn lanes_free(meta: u64) -> u64 {
    lanes_with(meta, 0)
}

#[inline(always)]
fn first_lane(lanes: u64) -> usize {
    lanes.trailing_zeros() as usize / 8
}

#[inline(always)]
fn overflow_of(meta: u64) -> u64 {
    meta >> OVERFLOW_SHIFT
}

/// The slot indexes in a lane set, lowest first.
#[derive(Clone, Copy)]
pub(super) struct Lanes(u64);

impl Lanes {
    pub(super) const NONE: Lanes = Lanes(0);

    pub(super) fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = (self.0 != 0).then(|| first_lane(self.0));
        self.0 &= self.0.wrapping_sub(1);
        slot
    }
}

/// Asks the processor for the cache line at `address`; any address is allowed.
#[inline(always)]
fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and faults on nothing; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Where a segment's buckets are: what a directory slot holds, 16 bytes. A copy owns nothing (I4).
pub(super) struct Span<E> {
    base: NonNull<Bucket<E>>,
    /// Index of the segment among the table's segments.
    pub(super) segment: u32,
    /// Hash bits that all elements of the segment share.
    pub(super) depth: u8,
    /// The segment has `2^bits` buckets.
    pub(super) bits: u8,
}

impl<E> Clone for Span<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Span<E> {}

impl<E> PartialEq for Span<E> {
    fn eq(&self, other: &Self) -> bool {
        let shape = |span: &Self| (span.base, span.segment, span.depth, span.bits);
        shape(self) == shape(other)
    }
}

// SAFETY: a span is an address. What it leads to are `E`s, reached through `&Segment` or `&mut Segment` rules
// only.
unsafe impl<E: Send> Send for Span<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Span<E> {}

/// A slot that holds an element (I5).
pub(super) struct Place<E> {
    bucket: NonNull<Bucket<E>>,
    slot: usize,
}

impl<E> Clone for Place<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Place<E> {}

impl<E> Place<E> {
    /// # Safety
    /// I5, and no mutable borrow of the element is alive during `'a`.
    #[inline(always)]
    pub(super) unsafe fn element<'a>(self) -> &'a E {
        // SAFETY: I5, I2: the bucket is alive and its slot holds an element.
        unsafe { (*self.bucket.as_ptr()).slots[self.slot].assume_init_ref() }
    }

    /// # Safety
    /// I5, and no other borrow of the element is alive during `'a`.
    #[inline(always)]
    pub(super) unsafe fn element_mut<'a>(self) -> &'a mut E {
        // SAFETY: I5, I2: the bucket is alive and its slot holds an element.
        unsafe { (*self.bucket.as_ptr()).slots[self.slot].assume_init_mut() }
    }
}

impl<E> Span<E> {
    /// The home bucket of `hash`: the `bits` bits after the first `depth`. The two-step shift serves `bits ==
    /// 0`.
    #[inline(always)]
    pub(super) fn home(self, hash: u64) -> usize {
        (((hash << self.depth) >> 1) >> (63 - self.bits)) as usize
    }

    #[inline(always)]
    pub(super) fn bucket_count(self) -> usize {
        1 << self.bits
    }

    #[inline(always)]
    fn after(self, index: usize) -> usize {
        (index + 1) & (self.bucket_count() - 1)
    }

    /// # Safety
    /// I4, and `index < bucket_count()`.
    #[inline(always)]
    unsafe fn at(self, index: usize) -> NonNull<Bucket<E>> {
        debug_assert!(index < self.bucket_count());
        // SAFETY: I1: inside the allocation.
        unsafe { self.base.add(index) }
    }

    /// # Safety
    /// As for [`at`](Self::at).
    #[inline(always)]
    unsafe fn meta(self, index: usize) -> u64 {
        // SAFETY: I1: the allocation was zeroed, so every `meta` is initialized.
        unsafe { (*self.at(index).as_ptr()).meta }
    }

    /// # Safety
    /// I4.
    #[inline(always)]
    pub(super) unsafe fn prefetch_home(self, hash: u64) {
        // SAFETY: I4; `home` is below `bucket_count`.
        prefetch(unsafe { self.at(self.home(hash)) }.as_ptr());
    }
}

impl<E: ThinElement> Span<E> {
    /// Finds the element with this hash that `is_it` recognizes. Usually one bucket and one comparison; never
    /// more buckets than the segment has.
    ///
    /// # Safety
    /// I4.
    #[inline(always)]
    pub(super) unsafe fn find(self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<Place<E>> {
        let tag = tag_of(hash);
        let home = self.home(hash);
        let mut index = home;
        loop {
            // SAFETY: I4; `home` and `after` stay below `bucket_count`.
            let bucket = unsafe { self.at(index) };
            // SAFETY: I1.
            let meta = unsafe { (*bucket.as_ptr()).meta };
            for slot in Lanes(lanes_with(meta, tag)) {
                let place = Place { bucket, slot };
                // SAFETY: I2: its tag is `tag`, which is not 0.
                if is_it(unsafe { place.element() }) {
                    return Some(place);
                }
            }
            if overflow_of(meta) == 0 {
                return None;
            }
            index = self.after(index);
            if index == home {
                return None;
            }
        }
    }

    /// Asks for the first line of the elements whose tag fits in the home bucket, or else for the next
    /// bucket.
    ///
    /// # Safety
    /// I4.
    #[inline(always)]
    pub(super) unsafe fn prefetch_match(self, hash: u64) {
        let home = self.home(hash);
        // SAFETY: I4; `home` is below `bucket_count`.
        let (bucket, meta) = unsafe { (self.at(home), self.meta(home)) };
        let lanes = lanes_with(meta, tag_of(hash));
        for slot in Lanes(lanes) {
            // SAFETY: I2: its tag is not 0.
            prefetch(unsafe { Place { bucket, slot }.element() }.address());
        }
        if lanes == 0 && overflow_of(meta) != 0 {
            // SAFETY: I4; `after` is below `bucket_count`.
            prefetch(unsafe { self.at(self.after(home)) }.as_ptr());
        }
    }
}

/// The elements of one range of hashes: those that begin with the `depth` bits of `start`.
pub(super) struct Segment<E> {
    span: Span<E>,
    start: u64,
    mark: u64,
    len: u32,
    limit: u32,
}

impl<E> Segment<E> {
    /// An empty segment of `2^bits` buckets for the hashes that begin with the first `depth` bits of `start`.
    pub(super) fn new(segment: u32, start: u64, depth: u8, bits: u8) -> Self {
        const { assert!(size_of::<E>() == 8 && align_of::<E>() == 8) };
        const { assert!(size_of::<Bucket<E>>() == 64 && align_of::<Bucket<E>>() == 64) };
        let layout = Self::layout(bits);
        // SAFETY: a bucket is not zero-sized, nor is `2^bits` of them.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(memory.cast::<Bucket<E>>()) else {
            handle_alloc_error(layout)
        };
        let span = Span {
            base,
            segment,
            depth,
            bits,
        };
        Segment {
            span,
            start,
            mark: NO_MARK,
            len: 0,
            limit: fill_limit(start, depth, bits),
        }
    }

    /// `2^bits` lines, aligned to their size, and to a page from there on: without it an allocator that
    /// colours large blocks (jemalloc) would start a full-grown segment inside a page and touch a fifth one.
    fn layout(bits: u8) -> Layout {
        let bytes = size_of::<Bucket<E>>() << bits;
        Layout::from_size_align(bytes, bytes.min(PAGE)).expect("2^24 lines fit an address space")
    }

    pub(super) fn span(&self) -> Span<E> {
        self.span
    }

    pub(super) fn set_index(&mut self, segment: u32) {
        self.span.segment = segment;
    }

    /// The lowest hash of the range.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The first hash after the range, 0 if the range is the last.
    pub(super) fn end(&self) -> u64 {
        self.end_of_home(self.span.bucket_count() - 1)
    }

    /// The first hash whose home bucket comes after `home`, 0 if there is none.
    pub(super) fn end_of_home(&self, home: usize) -> u64 {
        let width_bits = 64 - u32::from(self.span.depth) - u32::from(self.span.bits);
        self.start
            .wrapping_add((home as u64 + 1).checked_shl(width_bits).unwrap_or(0))
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn capacity(&self) -> usize {
        self.span.bucket_count() * BUCKET_SLOTS
    }

    /// Fuller than its limit: time to grow or split.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.len >= self.limit
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    pub(super) fn lower_mark(&mut self, mark: u64) {
        self.mark = self.mark.min(mark);
    }

    pub(super) fn clear_mark(&mut self) {
        self.mark = NO_MARK;
    }

    pub(super) fn is_home_of(&self, hash: u64) -> bool {
        ((hash ^ self.start) >> 1) >> (63 - self.span.depth) == 0
    }

    /// Stores an element of this hash; the caller knows that its key is absent.
    ///
    /// # Panics
    /// If every slot is taken.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, element: E) -> Place<E> {
        assert!(
            self.len() < self.capacity(),
            "more keys share their hash than one segment can hold"
        );
        debug_assert!(self.is_home_of(hash));
        let mut index = self.span.home(hash);
        loop {
            // SAFETY: I1; `home` and `after` stay below `bucket_count`; `&mut self` is the only access.
            let bucket = unsafe { &mut *self.span.at(index).as_ptr() };
            let free = lanes_free(bucket.meta);
            if free != 0 {
                let slot = first_lane(free);
                bucket.slots[slot].write(element);
                bucket.meta |= tag_of(hash) << (slot * 8);
                self.len += 1;
                return Place {
                    bucket: NonNull::from(bucket),
                    slot,
                };
            }
            if overflow_of(bucket.meta) < OVERFLOW_MAX {
                bucket.meta += OVERFLOW_ONE;
            }
            index = self.span.after(index);
        }
    }

    /// Takes the element out of `place`, uncounting it in the buckets between home and there.
    ///
    /// # Safety
    /// I5, and the place is in this segment.
    #[inline]
    pub(super) unsafe fn take(&mut self, place: Place<E>, hash: u64) -> E {
        let home = self.span.home(hash);
        let mut index = home;
        loop {
            // SAFETY: I1; `home` and `after` stay below `bucket_count`; `&mut self` is the only access.
            let bucket = unsafe { &mut *self.span.at(index).as_ptr() };
            if std::ptr::eq(bucket, place.bucket.as_ptr()) {
                break;
            }
            if (1..OVERFLOW_MAX).contains(&overflow_of(bucket.meta)) {
                bucket.meta -= OVERFLOW_ONE;
            }
            index = self.span.after(index);
        }
        self.len -= 1;
        // SAFETY: I5, I2: the slot holds an element; clearing its tag makes the copy its only owner.
        unsafe {
            let bucket = &mut *place.bucket.as_ptr();
            bucket.meta &= !(0xff << (place.slot * 8));
            bucket.slots[place.slot].assume_init_read()
        }
    }

    /// The meta word of bucket `index`.
    ///
    /// # Panics
    /// If there is no such bucket.
    fn meta(&self, index: usize) -> u64 {
        assert!(index < self.span.bucket_count());
        // SAFETY: I1; checked above.
        unsafe { self.span.meta(index) }
    }

    /// The slots of bucket `index` that hold elements.
    pub(super) fn lanes(&self, index: usize) -> Lanes {
        Lanes(lanes_free(self.meta(index)) ^ LANE_TOPS)
    }

    /// How many elements went past bucket `index` because it was full; 255 stands for "255 or more, once".
    pub(super) fn overflow(&self, index: usize) -> u64 {
        overflow_of(self.meta(index))
    }

    /// The tag in a slot, 0 if it is free.
    pub(super) fn tag(&self, index: usize, slot: usize) -> u64 {
        (self.meta(index) >> (slot * 8)) & 0xff
    }

    pub(super) fn element_at(&self, index: usize, slot: usize) -> Option<&E> {
        (slot < BUCKET_SLOTS && self.tag(index, slot) != 0).then(|| {
            // SAFETY: I1, I2: `tag` checked the index, and that the slot holds an element; `&self` lends it.
            unsafe {
                Place {
                    bucket: self.span.at(index),
                    slot,
                }
                .element()
            }
        })
    }

    /// The home bucket and those after it where an element of that home may be.
    pub(super) fn chain(&self, home: usize) -> impl Iterator<Item = usize> {
        let mut next = Some(home);
        std::iter::from_fn(move || {
            let index = next?;
            let after = self.span.after(index);
            next = (self.overflow(index) != 0 && after != home).then_some(after);
            Some(index)
        })
    }

    /// Offers the memory of the buckets. Spans are to be renewed (I4).
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        let (start, layout) = (self.span.base.cast(), Self::layout(self.span.bits));
        // SAFETY: I1, and `&mut self` keeps all others out.
        let place = unsafe { mover.offer(start, layout) };
        self.span.base = place.map_or(self.span.base, NonNull::cast);
    }

    fn free_memory(&mut self) {
        // SAFETY: I1; called once, by `drop` or by `drain`, after which nobody uses the segment.
        unsafe { dealloc(self.span.base.as_ptr().cast(), Self::layout(self.span.bits)) }
    }
}

impl<E: ThinElement> Segment<E> {
    /// Asks for the first line of each element in bucket `index`; none if there is no such bucket.
    pub(super) fn prefetch_elements(&self, index: usize) {
        if index < self.span.bucket_count() {
            for slot in self.lanes(index) {
                // SAFETY: I1, I2: the index was checked and the slot holds an element.
                prefetch(
                    unsafe {
                        Place {
                            bucket: self.span.at(index),
                            slot,
                        }
                        .element()
                    }
                    .address(),
                );
            }
        }
    }

    /// Shows every element in bucket `index`, whatever its home, to be changed in place.
    pub(super) fn each_mut(&mut self, index: usize, visit: &mut dyn FnMut(&mut E)) {
        self.prefetch_elements(index + PREFETCH_AHEAD);
        for slot in self.lanes(index) {
            // SAFETY: I1; `lanes` has checked the index.
            let place = Place {
                bucket: unsafe { self.span.at(index) },
                slot,
            };
            // SAFETY: I5: the slot holds an element, and `&mut self` keeps all others out.
            visit(unsafe { place.element_mut() });
        }
    }

    /// Moves every element out, with its hash, in the order of the buckets. Aborts the process if hashing
    /// panics: elements moved half-way would have two owners.
    pub(super) fn drain(self, hasher: impl HashKey, mut sink: impl FnMut(u64, E)) {
        let guard = AbortOnUnwind;
        let mut this = ManuallyDrop::new(self);
        (0..PREFETCH_AHEAD).for_each(|index| this.prefetch_elements(index));
        for index in 0..this.span.bucket_count() {
            this.prefetch_elements(index + PREFETCH_AHEAD);
            for slot in this.lanes(index) {
                // SAFETY: I2: the slot holds an element, which nobody reads here again (`ManuallyDrop`).
                let element = unsafe { (*this.span.at(index).as_ptr()).slots[slot].assume_init_read() };
                sink(hasher.hash(element.key()), element);
            }
        }
        this.free_memory();
        std::mem::forget(guard);
    }

    /// Shows every element to `judge`, hands those told to go to `removed`, and sets the mark to the lowest
    /// kept.
    pub(super) fn sweep(
        &mut self,
        hasher: impl HashKey,
        judge: &mut dyn FnMut(&mut E) -> Verdict,
        removed: &mut dyn FnMut(E),
    ) {
        let mut mark = NO_MARK;
        for index in 0..self.span.bucket_count() {
            self.prefetch_elements(index + PREFETCH_AHEAD);
            for slot in self.lanes(index) {
                // SAFETY: I1; `index` is below `bucket_count`.
                let place = Place {
                    bucket: unsafe { self.span.at(index) },
                    slot,
                };
                // SAFETY: I5: only this loop changes the segment, and it frees a slot after its last use.
                let element = unsafe { place.element_mut() };
                match judge(element) {
                    Verdict::Keep(kept) => mark = mark.min(kept),
                    Verdict::Remove => {
                        let hash = hasher.hash(element.key());
                        // SAFETY: as above.
                        removed(unsafe { self.take(place, hash) });
                    }
                }
            }
        }
        self.mark = mark;
    }
}

/// Buckets between asking for elements and reading them: about as many lines as the processor fetches at a
/// time.
const PREFETCH_AHEAD: usize = 3;

impl<E> Drop for Segment<E> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<E>() {
            for index in 0..self.span.bucket_count() {
                for slot in self.lanes(index) {
                    // SAFETY: I2: the slot holds an element; the segment is going, so nobody reads it again.
                    unsafe { (*self.span.at(index).as_ptr()).slots[slot].assume_init_drop() };
                }
            }
        }
        self.free_memory();
    }
}

/// Ends the process when dropped: held while elements are between two owners, forgotten afterwards.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Elements at which a segment grows or splits. Full-grown segments get a limit of 75-95% from their prefix,
/// so that an evenly filled table does not split all of them at once; smaller and oversized ones grow at 7/8.
fn fill_limit(start: u64, depth: u8, bits: u8) -> u32 {
    let capacity = (BUCKET_SLOTS as u32) << bits;
    match bits {
        0 => capacity,
        SEGMENT_BITS => {
            // Multiples of the golden ratio: consecutive prefixes, and a prefix and its parent, land far
            // apart.
            let prefix = ((start >> 1) >> (63 - depth)) | (1 << depth);
            let fraction = prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let (least, most) = (capacity * 75 / 100, capacity * 95 / 100);
            least + ((u64::from(most - least) * fraction) >> 32) as u32
        }
        _ => capacity - capacity / 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lane_search_agrees_with_a_loop_over_the_bytes(meta: u64, tag in 0u64..=255) {
            let naive: Vec<usize> = (0..7).filter(|i| (meta >> (i * 8)) & 0xff == tag).collect();
            prop_assert_eq!(Lanes(lanes_with(meta, tag)).collect::<Vec<_>>(), naive);
        }

        #[test]
        fn lane_search_tells_nearly_equal_tags_apart(tags in prop::array::uniform8(0u8..3)) {
            let meta = u64::from_le_bytes(tags);
            for tag in 0..3 {
                let naive: Vec<usize> = (0..7).filter(|&i| u64::from(tags[i]) == tag).collect();
                prop_assert_eq!(Lanes(lanes_with(meta, tag)).collect::<Vec<_>>(), naive);
            }
        }
    }

    #[test]
    fn a_tag_is_never_that_of_a_free_slot() {
        assert_eq!((0..=255).map(tag_of).filter(|&tag| tag == 0).count(), 0);
        assert_eq!((tag_of(0x100), tag_of(0x1ff), tag_of(2)), (1, 255, 2));
    }

    #[test]
    fn limits_of_full_grown_segments_are_spread_between_75_and_95_percent() {
        let mut limits: Vec<u32> = (0..64u64).map(|p| fill_limit(p << 58, 6, SEGMENT_BITS)).collect();
        limits.sort_unstable();
        assert!(limits[0] >= 1344 && limits[63] <= 1702);
        let widest_gap = limits.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest_gap < Some(20), "limits bunch: {limits:?}");
    }
}
