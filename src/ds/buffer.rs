//! Bytes that say themselves how many they are, behind an owning pointer of 8 bytes: what a listpack and an intset are
//! kept in.
//!
//! ```text
//! null            nothing, and no memory
//! pointer ──> [ header | body ........................ | idle ]
//!               '------- L bytes, as the header says --'
//!               '------- the allocator's size class of L -----'
//! ```
//!
//! A `Vec` would say pointer, length and capacity once more beside it: 24 bytes in every small collection.
//!
//! - I1  The pointer is null, or comes from the allocator with `layout(L)` and is owned by this buffer alone.
//! - I2  L is what the header says, at least the header's own size. All L bytes are initialized.
//! - I3  Nobody writes a header but `resize`, which keeps I1: callers are lent the body alone.
//!
//! Costs: the length is read from the heap. A change of length allocates when, and only when, the size class changes,
//! both ways: growing by a byte at a time copies each byte O(1) times, a class being an eighth larger at least.
//! Not here: room reserved in advance; what the bytes mean.

#![expect(
    unsafe_code,
    reason = "8 bytes where Vec takes 24, so that a small collection fits into its key's entry"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::base::relocate::Mover;
use crate::base::size_class::rounded;

/// What a header looks like and says.
///
/// # Safety
/// `len` depends on the header alone, and `Header` is bytes: any pattern is one, without padding.
pub(super) unsafe trait Form {
    /// The header's bytes.
    type Header: Copy;
    /// Bytes in all, the header's included.
    fn len(header: Self::Header) -> usize;
}

/// `[bytes in all: u32 LE]`: a listpack's.
pub(super) enum Total {}

// SAFETY: nothing but arithmetic on the header.
unsafe impl Form for Total {
    type Header = [u8; 4];

    #[inline(always)]
    fn len(header: [u8; 4]) -> usize {
        u32::from_le_bytes(header) as usize
    }
}

/// `[width: u32 LE | count: u32 LE]` and `count` pieces of `width` bytes: an intset's.
pub(super) enum Counted {}

impl Counted {
    #[inline(always)]
    pub(super) fn header(width: usize, count: u32) -> [u8; 8] {
        (width as u64 | u64::from(count) << 32).to_le_bytes()
    }
}

// SAFETY: nothing but arithmetic on the header.
unsafe impl Form for Counted {
    type Header = [u8; 8];

    #[inline(always)]
    fn len(header: [u8; 8]) -> usize {
        let both = u64::from_le_bytes(header);
        let (width, count) = (both & 0xffff_ffff, both >> 32);
        // Not even the largest numbers overflow.
        size_of::<Self::Header>().saturating_add((width * count) as usize)
    }
}

/// The bytes. See the module's documentation.
pub(super) struct Buffer<F: Form>(Option<NonNull<u8>>, PhantomData<F>);

// SAFETY: I1: a buffer owns all it points to, which is bytes.
unsafe impl<F: Form> Send for Buffer<F> {}
// SAFETY: as above; through a shared borrow nothing changes.
unsafe impl<F: Form> Sync for Buffer<F> {}

impl<F: Form> Buffer<F> {
    /// Nothing; allocates nothing.
    pub(super) const fn new() -> Self {
        Buffer(None, PhantomData)
    }

    /// Takes over bytes whose header tells their number.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn from_vec(mut bytes: Vec<u8>) -> Self {
        let class = rounded(bytes.len());
        if bytes.capacity() < class {
            bytes.reserve_exact(class - bytes.len());
        } else {
            bytes.shrink_to(class);
        }
        if bytes.capacity() != class {
            return Self::from_slice(&bytes);
        }
        let header = Self::header_of(&bytes);
        assert_eq!(F::len(header), bytes.len(), "the header tells the length");
        let start = bytes.as_mut_ptr();
        std::mem::forget(bytes);
        // I1: the capacity was the class, and a `Vec` of bytes has their alignment.
        Buffer(NonNull::new(start), PhantomData)
    }

    /// Copies bytes whose header tells their number.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn from_slice(bytes: &[u8]) -> Self {
        let mut copy = Self::new();
        copy.resize(Self::header_of(bytes));
        assert_eq!(copy.len(), bytes.len(), "the header tells the length");
        let body = size_of::<F::Header>();
        copy.body_mut(body).copy_from_slice(&bytes[body..]);
        copy
    }

    fn header_of(bytes: &[u8]) -> F::Header {
        let header = &bytes[..size_of::<F::Header>()];
        // SAFETY: as many bytes are there, and any are a header (`Form`).
        unsafe { header.as_ptr().cast::<F::Header>().read_unaligned() }
    }

    /// The bytes as a vector of their own memory.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let len = self.len();
        let Some(start) = self.0 else { return Vec::new() };
        std::mem::forget(self);
        // SAFETY: I1, I2: allocated as a vector of this capacity would be, and owned by nobody else any more.
        unsafe { Vec::from_raw_parts(start.as_ptr(), len, rounded(len)) }
    }

    /// How many bytes, the header's included; 0 without memory.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        match self.0 {
            None => 0,
            // SAFETY: I2: the header is there.
            Some(start) => F::len(unsafe { start.as_ptr().cast::<F::Header>().read_unaligned() }),
        }
    }

    /// Whether it has no memory.
    #[inline(always)]
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// All bytes.
    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        match self.0 {
            None => &[],
            // SAFETY: I2; the borrow of `self` keeps them.
            Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len()) },
        }
    }

    /// All bytes; with no memory, `otherwise`: what a container that has never held anything stands for.
    #[inline]
    pub(super) fn bytes_or<'a>(&'a self, otherwise: &'a [u8]) -> &'a [u8] {
        if self.is_none() { otherwise } else { self.bytes() }
    }

    /// The bytes from offset `from` on, to be overwritten.
    ///
    /// # Panics
    /// When that is in the header, or beyond the end.
    #[inline(always)]
    pub(super) fn body_mut(&mut self, from: usize) -> &mut [u8] {
        let len = self.len();
        assert!(
            size_of::<F::Header>() <= from && from <= len,
            "a place in the body"
        );
        let start = self.0.map_or(std::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: I2, I3: the check above left bytes of the body alone, so there is memory; `self` is borrowed
        // exclusively.
        unsafe { std::slice::from_raw_parts_mut(start.add(from), len - from) }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.is_none() { 0 } else { rounded(self.len()) }
    }

    /// Offers its memory.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        if let Some(start) = self.0 {
            // SAFETY: I1, and nobody borrows it.
            self.0 = unsafe { mover.offer(start, layout(self.len())) }.or(self.0);
        }
    }

    /// Rewrites the header, and cuts the bytes at their end or adds zeros there, as it says.
    ///
    /// # Panics
    /// When the header tells fewer bytes than it has itself.
    #[inline]
    pub(super) fn resize(&mut self, header: F::Header) {
        let (old, new) = (self.len(), F::len(header));
        assert!(
            new >= size_of::<F::Header>(),
            "a header tells its own bytes at least"
        );
        let start = match self.0 {
            Some(start) if rounded(old) == rounded(new) => start,
            _ => self.reallocate(old, new),
        };
        // SAFETY: I1: the memory is as large as `new` needs; by I2 the first `old` bytes are initialized, and after
        // this all are.
        unsafe {
            if new > old {
                start.as_ptr().add(old).write_bytes(0, new - old);
            }
            start.as_ptr().cast::<F::Header>().write_unaligned(header);
        }
    }

    /// Memory of the class of `new`, with the first bytes of the old.
    fn reallocate(&mut self, old: usize, new: usize) -> NonNull<u8> {
        let to = layout(new);
        // SAFETY: I1 names the old layout; no layout is empty, 8 being the smallest class.
        let start = NonNull::new(unsafe {
            match self.0 {
                Some(start) => realloc(start.as_ptr(), layout(old), to.size()),
                None => alloc(to),
            }
        });
        let Some(start) = start else {
            handle_alloc_error(to)
        };
        self.0 = Some(start);
        start
    }
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(rounded(len), 1).expect("bytes are fewer than isize::MAX")
}

impl<F: Form> Drop for Buffer<F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(start) = self.0 {
            // SAFETY: I1.
            unsafe { dealloc(start.as_ptr(), layout(self.len())) }
        }
    }
}

impl<F: Form> Clone for Buffer<F> {
    fn clone(&self) -> Self {
        if self.is_none() {
            Self::new()
        } else {
            Self::from_slice(self.bytes())
        }
    }
}

impl<F: Form> Default for Buffer<F> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::relocate::MoveAll;
    use proptest::prelude::*;

    fn total(len: usize) -> [u8; 4] {
        (len as u32).to_le_bytes()
    }

    #[test]
    fn nothing_owns_no_memory() {
        let buffer = Buffer::<Total>::new();
        assert_eq!(
            (buffer.len(), buffer.heap_bytes(), buffer.bytes()),
            (0, 0, &[][..])
        );
        assert_eq!(buffer.clone().into_vec(), Vec::new());
        assert_eq!(size_of::<Buffer<Total>>(), 8);
    }

    #[test]
    fn pieces_are_counted_without_overflow() {
        assert_eq!(Counted::len(Counted::header(8, 3)), 32);
        assert_eq!(Counted::len([0xff; 8]), 0xffff_ffff * 0xffff_ffff + 8);
        let mut buffer = Buffer::<Counted>::new();
        buffer.resize(Counted::header(2, 5));
        buffer.body_mut(8).fill(7);
        assert_eq!(
            buffer.into_vec(),
            [2, 0, 0, 0, 5, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]
        );
    }

    #[test]
    #[should_panic(expected = "a place in the body")]
    fn the_header_is_lent_to_nobody() {
        let mut buffer = Buffer::<Total>::new();
        buffer.resize(total(9));
        buffer.body_mut(3);
    }

    #[test]
    #[should_panic(expected = "the header tells the length")]
    fn a_header_that_lies_is_refused() {
        Buffer::<Total>::from_vec(vec![200, 0, 0, 0, 0]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Resize(usize),
        Fill(usize, u8),
        Clone,
        Relocate,
        /// Out into a vector and back, with that much idle capacity.
        Vec(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![4..40usize, 4..3000usize].prop_map(Step::Resize),
            3 => (any::<usize>(), any::<u8>()).prop_map(|(from, byte)| Step::Fill(from, byte)),
            1 => Just(Step::Clone),
            1 => Just(Step::Relocate),
            2 => (0..100usize).prop_map(Step::Vec),
        ]
    }

    proptest! {
        #[test]
        fn a_buffer_behaves_as_a_vector(steps in prop::collection::vec(step(), 0..60)) {
            let (mut buffer, mut twin) = (Buffer::<Total>::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Resize(len) => {
                        buffer.resize(total(len));
                        twin.resize(len, 0);
                        twin[..4].copy_from_slice(&total(len));
                    }
                    Step::Fill(from, byte) if !twin.is_empty() => {
                        let from = 4 + from % (twin.len() - 3);
                        buffer.body_mut(from).fill(byte);
                        twin[from..].fill(byte);
                    }
                    Step::Vec(idle) if !twin.is_empty() => {
                        let mut bytes = buffer.into_vec();
                        bytes.reserve(idle);
                        buffer = Buffer::from_vec(bytes);
                    }
                    Step::Clone => buffer = buffer.clone(),
                    Step::Relocate => buffer.relocate(&mut MoveAll::pausing_after(0)),
                    Step::Fill(..) | Step::Vec(_) => {}
                }
                prop_assert_eq!(buffer.bytes(), &twin[..]);
                let class = if twin.is_empty() { 0 } else { rounded(twin.len()) };
                prop_assert_eq!(buffer.heap_bytes(), class);
            }
        }
    }
}
