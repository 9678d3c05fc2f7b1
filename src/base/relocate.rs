//! Moving live allocations, so that the allocator can give back the pages they leave.
//!
//! ```text
//!   owner ── where is it? ──> Mover ── crowded page: stay     ──> None
//!                                   └─ sparse page: copy, free ──> the new place, which the owner points to from now on
//! ```
//!
//! Whoever owns memory offers each piece to a [`Mover`], which alone knows the allocator. Standard containers are offered
//! by the functions here, hand-made ones by their own files; no pointer but the owner's may lead to such a piece, which
//! is what owning it exclusively means. Walks over many pieces ask [`Mover::goes_on`] and can be resumed.
//!
//! Invariants:
//! - I1  What is offered was allocated by the global allocator with the layout named, and is borrowed by nobody.
//! - I2  After an answer the old memory is gone, and the new has the same layout and the same bytes.
//! - I3  Between the offer and the owner's taking note of the answer nothing can panic.
//!
//! Not here: which pieces move, and when (`stats::compactor`, `exec::defrag`).
#![expect(
    unsafe_code,
    reason = "an owner's memory changes place beneath it, which no container of the standard library offers"
)]

use std::alloc::Layout;
use std::collections::VecDeque;
use std::ptr::{self, NonNull};

/// Decides which allocations move, and moves them.
///
/// # Safety
/// An implementor keeps I2, and neither panics nor unwinds in `offer`.
pub unsafe trait Mover {
    /// The new place of an allocation, or `None` when it stays where it is.
    ///
    /// # Safety
    /// I1. After an answer the caller never uses `start` again.
    unsafe fn offer(&mut self, start: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>>;

    /// How many allocations it has moved so far.
    fn moved(&self) -> u64;

    /// Whether the caller may go on, or is to stop at the next place where it can.
    fn goes_on(&mut self) -> bool;
}

/// Offers the memory of a vector, not what its items own. O(capacity) when it moves.
pub fn vec<T>(items: &mut Vec<T>, mover: &mut dyn Mover) {
    let (len, capacity) = (items.len(), items.capacity());
    if size_of::<T>() == 0 || capacity == 0 {
        return;
    }
    let layout = Layout::array::<T>(capacity).expect("a vector has this layout");
    let start = NonNull::new(items.as_mut_ptr().cast::<u8>()).expect("a vector's pointer is not null");
    // SAFETY: I1: a vector owns memory of this layout, and is borrowed exclusively.
    if let Some(fresh) = unsafe { mover.offer(start, layout) } {
        // SAFETY: I2, I3: the new memory has the items, and the old vector, whose memory is gone, is overwritten
        // without being dropped.
        unsafe { ptr::write(items, Vec::from_raw_parts(fresh.as_ptr().cast(), len, capacity)) };
    }
}

/// Offers the memory of a box, not what its content owns.
pub fn boxed<T>(content: &mut Box<T>, mover: &mut dyn Mover) {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return;
    }
    // SAFETY: I3: the place is written again before anybody can see it.
    let start = NonNull::from(Box::leak(unsafe { ptr::read(content) })).cast::<u8>();
    // SAFETY: I1: a box owns memory of this layout, and is borrowed exclusively.
    let place = unsafe { mover.offer(start, layout) }.unwrap_or(start);
    // SAFETY: I2, I3: `place` has the content, and what is overwritten is the box that was read above.
    unsafe { ptr::write(content, Box::from_raw(place.as_ptr().cast())) };
}

/// The same at the beginning of a walk only.
pub fn first<T>(cursor: u64, content: &mut Box<T>, mover: &mut dyn Mover) {
    if cursor == 0 {
        boxed(content, mover);
    }
}

/// Offers the memory of a boxed slice, not what its items own.
pub fn slice<T>(items: &mut Box<[T]>, mover: &mut dyn Mover) {
    let mut row = std::mem::take(items).into_vec();
    vec(&mut row, mover);
    *items = row.into_boxed_slice();
}

/// Offers the memory of a deque, not what its items own. Nothing when it is so large that no allocator would put it on a
/// page with others: to move it would take long.
pub fn deque<T>(items: &mut VecDeque<T>, mover: &mut dyn Mover) {
    if items.capacity() * size_of::<T>() > SHARED_BYTES_MAX {
        return;
    }
    let mut row = Vec::from(std::mem::take(items));
    vec(&mut row, mover);
    *items = VecDeque::from(row);
}

/// Larger allocations have pages of their own, and leave no gaps when they go.
pub const SHARED_BYTES_MAX: usize = 14 << 10;

/// For tests: moves whatever it is offered by way of the global allocator, and stops after so many pieces.
#[cfg(test)]
pub struct MoveAll {
    /// Pieces it moves until it says stop.
    pub budget: u64,
    /// Pieces moved.
    pub moved: u64,
}

#[cfg(test)]
impl MoveAll {
    /// One that stops after `budget` pieces, again and again.
    pub fn pausing_after(budget: u64) -> MoveAll {
        MoveAll { budget, moved: 0 }
    }
}

#[cfg(test)]
// SAFETY: I2 as `offer` says below; running out of memory aborts.
unsafe impl Mover for MoveAll {
    unsafe fn offer(&mut self, start: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the layout is that of a live allocation, so it is not empty.
        let fresh = NonNull::new(unsafe { std::alloc::alloc(layout) })?;
        self.moved += 1;
        // SAFETY: I1, I2: both are of this layout, the old one is not used again. Its bytes are spoilt first, so that
        // whoever still reads them is found out.
        unsafe {
            ptr::copy_nonoverlapping(start.as_ptr(), fresh.as_ptr(), layout.size());
            ptr::write_bytes(start.as_ptr(), 0xdd, layout.size());
            std::alloc::dealloc(start.as_ptr(), layout);
        }
        Some(fresh)
    }

    fn moved(&self) -> u64 {
        self.moved
    }

    fn goes_on(&mut self) -> bool {
        self.budget == 0 || !self.moved.is_multiple_of(self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_hold_the_same_at_another_place() {
        let mut mover = MoveAll::pausing_after(0);
        let mut items = Vec::with_capacity(10);
        items.extend(["a".to_owned(), "b".to_owned()]);
        let before = items.as_ptr();
        vec(&mut items, &mut mover);
        assert_ne!(items.as_ptr(), before);
        assert_eq!(
            (items.capacity(), &items[..]),
            (10, &["a".to_owned(), "b".to_owned()][..])
        );

        let mut content = Box::new("c".to_owned());
        let before: *const String = &*content;
        boxed(&mut content, &mut mover);
        assert!(!ptr::eq(&*content, before) && *content == "c");

        let mut row: Box<[String]> = items.into();
        slice(&mut row, &mut mover);
        assert_eq!(&row[..], ["a", "b"]);

        let mut queue = VecDeque::from(["x".to_owned(), "y".to_owned()]);
        queue.rotate_left(1);
        queue.push_front("z".to_owned());
        deque(&mut queue, &mut mover);
        assert_eq!(queue, ["z", "y", "x"]);
        assert_eq!(mover.moved, 4);
    }

    #[test]
    fn what_has_no_memory_is_not_offered() {
        let mut mover = MoveAll::pausing_after(0);
        vec(&mut Vec::<u8>::new(), &mut mover);
        vec(&mut vec![(), ()], &mut mover);
        boxed(&mut Box::new(()), &mut mover);
        slice(&mut Box::<[u8]>::default(), &mut mover);
        deque(&mut VecDeque::from(vec![0u64; 10_000]), &mut mover);
        assert_eq!(mover.moved, 0);
    }
}
