//! A member with its score in one allocation, and the order of members by score.
//!
//! ```text
//! [ score 8 | len 1 | member ]            len 255: the real length, 8 bytes, stands before the member
//! ```
//!
//! A table of members owns the elements; the order refers to them by [`Item`]s, 16 bytes each, that repeat the score so
//! that a search reads a member only where scores are equal.
//!
//! Invariants:
//! - I1  An element's pointer comes from `alloc` with `layout(size())`, alignment 8, and is owned by it alone.
//! - I2  The length says truly how many bytes the member has, and they are initialized and never change.
//! - I3  The element of every item in an [`Order`] is alive: whoever inserts promises that it stays so until the item
//!   is removed. Nothing is read through an item that is not in an order, but by the unsafe [`Item::member`].

#![expect(
    unsafe_code,
    reason = "members are stored once, in one allocation, although a table and an order both lead to them"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cmp::Ordering;
use std::ops::Range;
use std::ptr::{self, NonNull};

use super::tree::{self, Tree};
use crate::base::relocate::Mover;
use crate::base::size_class::rounded;
use crate::ds::dict::ThinElement;

const LONG: u8 = u8::MAX;
const SCORE_BYTES: usize = 8;

/// An owned member with its score.
#[repr(transparent)]
pub(super) struct Element(NonNull<u8>);

// SAFETY: I1: an element owns all it points to, which is plain data.
unsafe impl Send for Element {}
// SAFETY: as above; through a shared borrow nothing changes.
unsafe impl Sync for Element {}

impl ThinElement for Element {
    #[inline]
    fn key(&self) -> &[u8] {
        self.member()
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

/// Where the member begins.
#[inline]
fn member_at(len: usize) -> usize {
    SCORE_BYTES + if len < usize::from(LONG) { 1 } else { 9 }
}

fn layout(member_len: usize) -> Layout {
    Layout::from_size_align(rounded(member_at(member_len) + member_len), 8)
        .expect("a member is shorter than isize::MAX")
}

/// # Safety
/// `start` is that of an element that is alive for `'a`.
#[inline]
unsafe fn member_behind<'a>(start: NonNull<u8>) -> &'a [u8] {
    // SAFETY: I2, and the caller's promise.
    unsafe {
        let len_at = start.as_ptr().add(SCORE_BYTES);
        let len = match len_at.read() {
            LONG => len_at.add(1).cast::<u64>().read_unaligned() as usize,
            len => usize::from(len),
        };
        std::slice::from_raw_parts(start.as_ptr().add(member_at(len)), len)
    }
}

impl Element {
    pub(super) fn new(member: &[u8], score: f64) -> Element {
        let (len, layout) = (member.len(), layout(member.len()));
        // SAFETY: the layout's size is at least 16.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        let at = start.as_ptr();
        // SAFETY: I1, I2: the allocation holds the score, aligned, the length, and the member behind it.
        unsafe {
            at.cast::<f64>().write(score);
            let len_at = at.add(SCORE_BYTES);
            if len < usize::from(LONG) {
                len_at.write(len as u8);
            } else {
                len_at.write(LONG);
                len_at.add(1).cast::<u64>().write_unaligned(len as u64);
            }
            ptr::copy_nonoverlapping(member.as_ptr(), at.add(member_at(len)), len);
        }
        Element(start)
    }

    #[inline]
    pub(super) fn member(&self) -> &[u8] {
        // SAFETY: I1; the borrow of `self` keeps it alive.
        unsafe { member_behind(self.0) }
    }

    #[inline]
    pub(super) fn score(&self) -> f64 {
        // SAFETY: I1.
        unsafe { self.0.as_ptr().cast::<f64>().read() }
    }

    /// An order that has the element must be told as well ([`Order::change`]).
    #[inline]
    pub(super) fn set_score(&mut self, score: f64) {
        // SAFETY: I1; nobody borrows the score.
        unsafe { self.0.as_ptr().cast::<f64>().write(score) }
    }

    #[inline]
    pub(super) fn item(&self) -> Item {
        Item {
            score: self.score(),
            element: self.0,
        }
    }

    /// Offers its memory; its old item if it has moved, which an order that has it must be told
    /// ([`Order::follow`]) before anything else is asked of it.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) -> Option<Item> {
        let (old, layout) = (self.item(), layout(self.member().len()));
        // SAFETY: I1, and nobody borrows it.
        self.0 = unsafe { mover.offer(self.0, layout) }?;
        Some(old)
    }

    /// Bytes it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        layout(self.member().len()).size()
    }
}

impl Drop for Element {
    #[inline]
    fn drop(&mut self) {
        let layout = layout(self.member().len());
        // SAFETY: I1.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

/// A score and whose it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Item {
    pub(super) score: f64,
    element: NonNull<u8>,
}

impl Item {
    /// # Safety
    /// The element is alive for `'a`.
    #[inline]
    pub(super) unsafe fn member<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { member_behind(self.element) }
    }

    /// # Safety
    /// Both elements are alive.
    unsafe fn compare(self, other: Item) -> Ordering {
        let by_score = self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal);
        // SAFETY: the caller's promise.
        by_score.then_with(|| unsafe { self.member().cmp(other.member()) })
    }

    #[inline]
    fn prefetch(self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing and faults on nothing; SSE is part of x86_64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.element.as_ptr().cast::<i8>());
        }
    }
}

/// Members by score, those of equal score by their bytes.
pub(super) struct Order(Tree<Item>);

// SAFETY: it owns its nodes, and reads elements (I3), which are `Send` and `Sync`.
unsafe impl Send for Order {}
// SAFETY: as above; through a shared borrow nothing changes.
unsafe impl Sync for Order {}

/// Above so many members nodes are not counted but estimated.
const ESTIMATE_FROM: usize = 10_000;
/// Bytes of nodes for each member of a big order, in practice.
const TYPICAL_BYTES: usize = 20;

impl Order {
    pub(super) const fn new() -> Order {
        Order(Tree::new())
    }

    /// # Safety
    /// I3 for all items.
    ///
    /// # Panics
    /// If they are not in order, or a score is NaN: an order that is none could not be kept.
    pub(super) unsafe fn from_sorted(items: &[Item]) -> Order {
        assert!(
            items.iter().all(|item| !item.score.is_nan()),
            "R2: scores are numbers"
        );
        // SAFETY: the caller's promise.
        let sorted = items
            .windows(2)
            .all(|pair| unsafe { pair[0].compare(pair[1]).is_lt() });
        assert!(sorted, "items come in order");
        Order(Tree::from_sorted(items))
    }

    /// Puts items in order.
    ///
    /// # Safety
    /// All their elements are alive.
    pub(super) unsafe fn sort(items: &mut [Item]) {
        // SAFETY: the caller's promise.
        items.sort_unstable_by(|a, b| unsafe { a.compare(*b) });
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn sampled_bytes(&self, samples: usize) -> usize {
        if samples > 0 && self.len() > ESTIMATE_FROM {
            return self.len() * TYPICAL_BYTES;
        }
        self.0.heap_bytes()
    }

    /// How many members come before the first one for which `is_before` does not hold.
    #[inline]
    pub(super) fn partition_point(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> usize {
        // SAFETY: I3.
        self.0
            .partition_point(|item| is_before(item.score, unsafe { item.member() }))
    }

    /// How many members come before this one.
    #[inline]
    pub(super) fn place(&self, score: f64, member: &[u8]) -> usize {
        // SAFETY: I3.
        self.0.partition_point(|item| {
            item.score < score || item.score == score && unsafe { item.member() } < member
        })
    }

    /// The member at `place`.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(&[u8], f64)> {
        // SAFETY: I3; the borrow of `self` keeps it in the order.
        self.0
            .get(place)
            .map(|item| (unsafe { item.member() }, item.score))
    }

    /// # Safety
    /// I3: the element outlives its stay here.
    #[inline]
    pub(super) unsafe fn insert(&mut self, item: Item) {
        // SAFETY: the caller's promise.
        let place = self.place(item.score, unsafe { item.member() });
        self.0.insert(place, item);
    }

    /// Takes out the item of an element.
    ///
    /// # Panics
    /// If it is not there, which would leave an item without an element behind.
    #[inline]
    pub(super) fn remove(&mut self, element: &Element) {
        let place = self.place(element.score(), element.member());
        self.0.remove(place..place + 1, &mut |item| {
            assert!(item.element == element.0, "R1: the order knows every element");
        });
    }

    /// Leads the item of an element that has moved to where it is now.
    ///
    /// # Panics
    /// If it is not there, which would leave an item without an element behind.
    pub(super) fn follow(&mut self, old: Item, element: &Element) {
        let (score, member) = (element.score(), element.member());
        // SAFETY: I3 for all but the old item, which is recognized by its address before its member would be read.
        let place = self.0.partition_point(|item| {
            item.score < score
                || item.score == score && item.element != old.element && unsafe { item.member() } < member
        });
        let found = self.0.get(place).map(|item| item.element);
        assert!(found == Some(old.element), "R1: the order knows every element");
        self.0.replace(place, element.item());
    }

    /// Offers the leaf of the member at `place`, and nodes above it; the place behind it, `None` at the end.
    pub(super) fn relocate_leaf(&mut self, place: usize, mover: &mut dyn Mover) -> Option<usize> {
        let next = self.0.relocate_leaf(place, mover);
        (next > place && next < self.len()).then_some(next)
    }

    /// Takes out the members of `places`, handing over each of their items in order.
    pub(super) fn remove_range(&mut self, places: Range<usize>, removed: &mut impl FnMut(Item)) {
        self.0.remove(places, removed);
    }

    /// Moves the item of an element to the place of another score.
    #[inline]
    pub(super) fn change(&mut self, old: Item, score: f64) {
        // SAFETY: I3: the item is here.
        let member = unsafe { old.member() };
        let place = self.place(old.score, member);
        let item = Item { score, ..old };
        if self.keeps_place(place, score, member) {
            return self.0.replace(place, item);
        }
        self.0.remove(place..place + 1, &mut |_| {});
        // SAFETY: I3: it was here before.
        unsafe { self.insert(item) };
    }

    /// Whether a member at `place` would stay there with another score. Reads other members only where scores are equal.
    #[inline]
    fn keeps_place(&self, place: usize, score: f64, member: &[u8]) -> bool {
        let above = place.checked_sub(1).and_then(|before| self.0.get(before));
        let below = self.0.get(place + 1);
        // SAFETY: I3, twice.
        above
            .is_none_or(|item| item.score < score || item.score == score && unsafe { item.member() } < member)
            && below.is_none_or(|item| {
                score < item.score || item.score == score && member < unsafe { item.member() }
            })
    }

    pub(super) fn iter(&self, places: Range<usize>) -> Iter<'_> {
        Iter(self.0.iter(places))
    }

    /// Asserts the order and that the tree is whole. O(members).
    pub(super) fn check_invariants(&self) {
        self.0.check_invariants();
        let pairs = self.iter(0..usize::MAX).zip(self.iter(1..usize::MAX));
        for ((name, score), (next_name, next_score)) in pairs {
            assert!(score < next_score || score == next_score && name < next_name);
        }
    }
}

/// Members of a range with their scores, from either end.
pub struct Iter<'a>(tree::Iter<'a, Item>);

/// Items between asking for a member and reading it.
const PREFETCH_AHEAD: usize = 6;

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next()?;
        if let Some(soon) = self.0.ahead().get(PREFETCH_AHEAD) {
            soon.prefetch();
        }
        // SAFETY: I3; the order is borrowed for `'a`.
        Some((unsafe { item.member() }, item.score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let item = self.0.next_back()?;
        let behind = self.0.ahead_back();
        if let Some(soon) = behind.len().checked_sub(PREFETCH_AHEAD + 1) {
            behind[soon].prefetch();
        }
        // SAFETY: I3; the order is borrowed for `'a`.
        Some((unsafe { item.member() }, item.score))
    }
}

impl ExactSizeIterator for Iter<'_> {}
