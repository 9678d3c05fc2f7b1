//! A key and a payload in one allocation behind an owning pointer of 8 bytes: the element of big sets, whose
//! payload is empty, and of big hashes, whose payload is the value.
//!
//! ```text
//! small:  [0kkkkkkk | key]                                  key of at most 127 bytes, nothing else
//! wide:   [1mppp0kk | key len | payload len | key | payload]
//!            |  |    |
//!            |  |    width of key len: 1, 2, 4 or 8 bytes
//!            |  width of payload len: 0, 1, 2, 4 or 8 bytes
//!            the owner's mark
//! ```
//!
//! A 15-byte member takes 16 bytes, a 16-byte field with a 8-byte value 32. The *mark* is one bit that means
//! what the owner says: a hash marks the fields whose payload begins with an expiry.
//!
//! Invariants:
//! - I1  The pointer comes from `alloc` with `layout(shape().size())`, and is owned by this `Thin` alone.
//! - I2  The header says truly how long key and payload are, and both stand behind it, initialized.
//! - I3  Allocations are whole size classes: a header that is rewritten in place keeps the class.
//!
//! Costs: every reader O(1), and one branch for small ones. Not here: what a payload means.

#![expect(
    unsafe_code,
    reason = "one allocation and 8 bytes per element: Box<[u8]> takes 16, a pair of them 32 and two allocations"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use crate::base::relocate::Mover;
use crate::base::size_class::rounded;
use crate::ds::dict::ThinElement;

/// Set in the first byte of all that are not small.
const WIDE: u8 = 0x80;
const MARK: u8 = 0x40;
/// Width of the payload's length: an index into [`PAYLOAD_WIDTHS`].
const PAYLOAD_WIDTH_SHIFT: u32 = 3;
/// Width of the key's length, as a power of two.
const KEY_WIDTH_MASK: u8 = 0b11;
const SMALL_KEY_MAX: usize = 127;

/// An owned key with a payload. See the module's documentation.
#[repr(transparent)]
pub struct Thin(NonNull<u8>);

// SAFETY: I1: a `Thin` owns all it points to, which is bytes.
unsafe impl Send for Thin {}
// SAFETY: as above; through a shared borrow nothing changes.
unsafe impl Sync for Thin {}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    first: u8,
    key_at: usize,
    key_len: usize,
    payload_len: usize,
}

impl Shape {
    /// The smallest header for these lengths.
    #[inline]
    fn of(key_len: usize, payload_len: usize, marked: bool) -> Shape {
        if key_len <= SMALL_KEY_MAX && payload_len == 0 && !marked {
            return Shape {
                first: key_len as u8,
                key_at: 1,
                key_len,
                payload_len: 0,
            };
        }
        let (key_code, payload_code) = (width_code(key_len), payload_width_code(payload_len));
        let first = WIDE | if marked { MARK } else { 0 } | payload_code << PAYLOAD_WIDTH_SHIFT | key_code;
        Shape {
            first,
            key_at: 1 + (1 << key_code) + payload_width(payload_code),
            key_len,
            payload_len,
        }
    }

    #[inline]
    fn size(self) -> usize {
        self.key_at
            .checked_add(self.key_len)
            .and_then(|end| end.checked_add(self.payload_len))
            .expect("an element is shorter than isize::MAX")
    }
}

/// log2 of the bytes that a length needs.
#[inline]
fn width_code(len: usize) -> u8 {
    match len {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    }
}

#[inline]
fn payload_width_code(len: usize) -> u8 {
    if len == 0 { 0 } else { 1 + width_code(len) }
}

#[inline]
fn payload_width(code: u8) -> usize {
    (1 << code) >> 1
}

/// Reads a length of `width` bytes, little-endian.
///
/// # Safety
/// `width` bytes can be read at `at`, and it is 0, 1, 2, 4 or 8.
#[inline]
unsafe fn read_len(at: *const u8, width: usize) -> usize {
    // SAFETY: the caller's promise; no alignment is asked for.
    unsafe {
        match width {
            0 => 0,
            1 => usize::from(at.read()),
            2 => usize::from(u16::from_le_bytes(at.cast::<[u8; 2]>().read())),
            4 => u32::from_le_bytes(at.cast::<[u8; 4]>().read()) as usize,
            _ => u64::from_le_bytes(at.cast::<[u8; 8]>().read()) as usize,
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(rounded(size), 1).expect("an element is shorter than isize::MAX")
}

impl ThinElement for Thin {
    #[inline]
    fn key(&self) -> &[u8] {
        Thin::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl Thin {
    /// A key with the payload that `parts` make one after the other, unmarked.
    #[inline]
    pub fn new(key: &[u8], parts: &[&[u8]]) -> Thin {
        Thin::with_mark(key, false, parts)
    }

    /// A key with the payload that `parts` make one after the other.
    #[inline]
    pub fn with_mark(key: &[u8], marked: bool, parts: &[&[u8]]) -> Thin {
        let shape = Shape::of(key.len(), total(parts), marked);
        let layout = layout(shape.size());
        // SAFETY: the layout's size is at least 8.
        let raw = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        // SAFETY: I2: the allocation has `shape.size()` bytes, and borrowed memory cannot be in it.
        unsafe {
            write_header(raw, shape);
            ptr::copy_nonoverlapping(key.as_ptr(), raw.add(shape.key_at), key.len());
            write_parts(raw.add(shape.key_at + shape.key_len), parts);
        }
        Thin(start)
    }

    /// The key's bytes.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: I2; the borrow of `self` keeps them.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(shape.key_at), shape.key_len) }
    }

    /// The payload's bytes.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: I2; the borrow of `self` keeps them.
        unsafe {
            let start = self.0.as_ptr().add(shape.key_at + shape.key_len);
            std::slice::from_raw_parts(start, shape.payload_len)
        }
    }

    /// The payload's bytes, to be overwritten by as many.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let shape = self.shape();
        // SAFETY: I2; the exclusive borrow of `self` keeps them for the caller alone.
        unsafe {
            let start = self.0.as_ptr().add(shape.key_at + shape.key_len);
            std::slice::from_raw_parts_mut(start, shape.payload_len)
        }
    }

    /// Offers its memory.
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        let layout = layout(self.shape().size());
        // SAFETY: I1, and nobody borrows it.
        self.0 = unsafe { mover.offer(self.0, layout) }.unwrap_or(self.0);
    }

    /// The owner's bit.
    #[inline]
    pub fn is_marked(&self) -> bool {
        // SAFETY: I2: the first byte is there.
        unsafe { self.0.as_ptr().read() & (WIDE | MARK) == WIDE | MARK }
    }

    /// Replaces the payload, unmarked. Allocates only when the size class or the header's size changes.
    #[inline]
    pub fn set_payload(&mut self, parts: &[&[u8]]) {
        self.set_marked_payload(false, parts);
    }

    /// Replaces mark and payload. Allocates only when the size class or the header's size changes.
    #[inline]
    pub fn set_marked_payload(&mut self, marked: bool, parts: &[&[u8]]) {
        let old = self.shape();
        let new = Shape::of(old.key_len, total(parts), marked);
        if new.key_at != old.key_at || rounded(new.size()) != rounded(old.size()) {
            *self = Thin::with_mark(self.key(), marked, parts);
            return;
        }
        // SAFETY: I2, I3: the allocation has room for the new size, the key stays where it is, and memory borrowed
        // by `parts` is not this element's, which is borrowed exclusively.
        unsafe {
            write_header(self.0.as_ptr(), new);
            write_parts(self.0.as_ptr().add(new.key_at + new.key_len), parts);
        }
    }

    /// Bytes it takes on the heap, as the allocator rounds them.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        rounded(self.shape().size())
    }

    #[inline]
    fn shape(&self) -> Shape {
        let start = self.0.as_ptr();
        // SAFETY: I2: the first byte is there.
        let first = unsafe { start.read() };
        if first & WIDE == 0 {
            return Shape {
                first,
                key_at: 1,
                key_len: usize::from(first),
                payload_len: 0,
            };
        }
        let key_width = 1 << (first & KEY_WIDTH_MASK);
        let payload_width = payload_width((first & !(WIDE | MARK)) >> PAYLOAD_WIDTH_SHIFT);
        // SAFETY: I2: both lengths stand behind the first byte.
        unsafe {
            Shape {
                first,
                key_at: 1 + key_width + payload_width,
                key_len: read_len(start.add(1), key_width),
                payload_len: read_len(start.add(1 + key_width), payload_width),
            }
        }
    }
}

fn total(parts: &[&[u8]]) -> usize {
    parts
        .iter()
        .try_fold(0usize, |sum, part| sum.checked_add(part.len()))
        .expect("an element is shorter than isize::MAX")
}

/// # Safety
/// `shape.key_at` bytes can be written at `to`.
#[inline]
unsafe fn write_header(to: *mut u8, shape: Shape) {
    // SAFETY: the caller's promise: both lengths end before `key_at`.
    unsafe {
        to.write(shape.first);
        if shape.first & WIDE != 0 {
            let key_width = 1 << (shape.first & KEY_WIDTH_MASK);
            let lengths = [shape.key_len as u64, shape.payload_len as u64].map(u64::to_le_bytes);
            ptr::copy_nonoverlapping(lengths[0].as_ptr(), to.add(1), key_width);
            let payload_width = shape.key_at - 1 - key_width;
            ptr::copy_nonoverlapping(lengths[1].as_ptr(), to.add(1 + key_width), payload_width);
        }
    }
}

/// # Safety
/// As many bytes as all parts have together can be written at `to`, and no part overlaps them.
#[inline]
unsafe fn write_parts(mut to: *mut u8, parts: &[&[u8]]) {
    for part in parts {
        // SAFETY: the caller's promise.
        unsafe {
            ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
            to = to.add(part.len());
        }
    }
}

impl Clone for Thin {
    fn clone(&self) -> Self {
        Thin::with_mark(self.key(), self.is_marked(), &[self.payload()])
    }
}

impl Drop for Thin {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: I1, I3.
        unsafe { dealloc(self.0.as_ptr(), layout(self.shape().size())) }
    }
}

impl std::fmt::Debug for Thin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.is_marked() { " (marked)" } else { "" };
        write!(f, "{:?}: {:?}{mark}", self.key(), self.payload())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::relocate::MoveAll;
    use proptest::prelude::*;

    #[test]
    fn small_members_cost_one_byte_beside_themselves() {
        let heap_bytes = |len: usize| Thin::new(&vec![b'm'; len], &[]).heap_bytes();
        assert_eq!([0, 7, 8, 15, 16, 31].map(heap_bytes), [8, 8, 16, 16, 32, 32]);
        assert_eq!(Thin::new(b"field:0000000016", &[b"12345678"]).heap_bytes(), 32);
    }

    #[test]
    fn every_width_of_length_reads_back() {
        for key_len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            for payload_len in [0, 1, 255, 256, 65_535, 65_536] {
                let (key, payload) = (vec![b'k'; key_len], vec![b'p'; payload_len]);
                for marked in [false, true] {
                    let (head, tail) = payload.split_at(payload_len / 3);
                    let element = Thin::with_mark(&key, marked, &[head, tail]);
                    assert_eq!((element.key(), element.payload()), (&key[..], &payload[..]));
                    assert_eq!(element.is_marked(), marked);
                }
            }
        }
    }

    #[test]
    fn a_payload_of_the_same_class_stays_where_it_is() {
        let mut element = Thin::new(b"key", &[b"first"]);
        let before = element.address();
        element.set_payload(&[b"sec", b"ond"]);
        assert_eq!((element.payload(), element.address()), (&b"second"[..], before));
        element.payload_mut().copy_from_slice(b"third!");
        assert_eq!((element.key(), element.payload()), (&b"key"[..], &b"third!"[..]));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(bool, Vec<u8>, usize),
        Overwrite(u8),
        Clone,
        Relocate,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (
                any::<bool>(),
                prop::collection::vec(any::<u8>(), 0..600),
                any::<usize>()
            )
                .prop_map(|(marked, payload, cut)| Step::Set(marked, payload, cut)),
            (
                any::<bool>(),
                prop::collection::vec(any::<u8>(), 0..20),
                any::<usize>()
            )
                .prop_map(|(marked, payload, cut)| Step::Set(marked, payload, cut)),
            any::<u8>().prop_map(Step::Overwrite),
            Just(Step::Clone),
            Just(Step::Relocate),
        ]
    }

    proptest! {
        #[test]
        fn an_element_behaves_as_a_plain_struct(
            key in prop::collection::vec(any::<u8>(), 0..300),
            steps in prop::collection::vec(step(), 0..40),
        ) {
            let mut element = Thin::new(&key, &[]);
            let (mut marked, mut payload) = (false, Vec::new());
            for step in steps {
                match step {
                    Step::Set(mark, bytes, cut) => {
                        let (head, tail) = bytes.split_at(cut % (bytes.len() + 1));
                        element.set_marked_payload(mark, &[head, tail]);
                        (marked, payload) = (mark, bytes);
                    }
                    Step::Overwrite(byte) => {
                        element.payload_mut().fill(byte);
                        payload.fill(byte);
                    }
                    Step::Clone => element = element.clone(),
                    Step::Relocate => element.relocate(&mut MoveAll::pausing_after(0)),
                }
                prop_assert_eq!(element.key(), &key[..]);
                prop_assert_eq!(element.payload(), &payload[..]);
                prop_assert_eq!(element.is_marked(), marked);
            }
        }
    }
}
