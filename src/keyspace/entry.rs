//! A key with its value in one allocation behind a thin pointer.
//!
//! ```text
//!  0      3      4         6         8
//!  +------+------+---------+---------+----------------+-------------+--------------+-----+---------------+
//!  |access| kind | key len | val len | long key len 8 | expire at 8 | slot 8 or 24 | key | inline string |
//!  +------+------+---------+---------+----------------+-------------+--------------+-----+---------------+
//!    24 b   8 b     u16       u16      if LONG_KEY       if EXPIRES    INT or VALUE         if INLINE
//! ```
//!
//! `slot` is an `i64` (INT) or a whole [`Value`] (VALUE). All of this stands before the key, so it is aligned. The
//! allocation is rounded up to the allocator's own size class, so overwriting a string by one that fits the class
//! touches no allocator: a 16-byte key with an 8-byte value takes 32 bytes, with a 200-byte value 224, and with a
//! small collection 48 beside that one's own bytes.
//!
//! Invariants:
//! - I1  The pointer comes from `alloc` with `layout(size())`, alignment 8, and is owned by this `Entry` alone.
//! - I2  The header says truly which optional parts exist and how long key and inline string are.
//! - I3  `slot` of a VALUE entry holds a live `Value`, owned by the entry. A TAKEN one, whose
//!   value has moved out, is seen by nothing but its own drop.
//! - I4  `size()` depends on the header alone, so it names the allocated size until the header is rewritten.
//!
//! Cost: every reader is O(1) without branches on the key's length but one. Not here: databases, clocks, policy.
#![expect(
    unsafe_code,
    reason = "one allocation per key: 64 bytes where Box<[u8]> and an enum take 141 (docs/UNSAFE.md)"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use crate::base::relocate::Mover;
pub use crate::base::size_class::rounded;
use crate::ds::dict::ThinElement;
use crate::value::string::{EMBSTR_BYTES_MAX, StringRef};
use crate::value::{Kind, Value};

/// Longest string kept inside the entry; longer ones have memory of their own, so that growing them does not move the key.
pub const INLINE_BYTES_MAX: usize = 1024;

const INLINE: u8 = 0;
const INT: u8 = 1;
const VALUE: u8 = 2;
/// Only on the way to being dropped: the value has been moved out, and its room is idle.
const TAKEN: u8 = 3;
const STORAGE: u8 = 0b0000_0011;
const EXPIRES: u8 = 0b0000_0100;
const LONG_KEY: u8 = 0b0000_1000;
/// An inline string that Redis would report as `raw` although it is short: it was modified in place.
const MODIFIED: u8 = 0b0001_0000;

const ACCESS_MASK: u32 = 0x00ff_ffff;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Header {
    /// Low 24 bits: access field (LRU clock or LFU counter); high 8 bits: kind.
    access_kind: u32,
    key_len: u16,
    inline_len: u16,
}

impl Header {
    fn kind(self) -> u8 {
        (self.access_kind >> 24) as u8
    }

    fn has(self, flag: u8) -> bool {
        self.kind() & flag != 0
    }

    fn storage(self) -> u8 {
        self.kind() & STORAGE
    }

    /// Offsets follow from the header (I2).
    fn expire_offset(self) -> usize {
        8 + if self.has(LONG_KEY) { 8 } else { 0 }
    }

    fn slot_offset(self) -> usize {
        self.expire_offset() + if self.has(EXPIRES) { 8 } else { 0 }
    }

    fn key_offset(self) -> usize {
        self.slot_offset()
            + match self.storage() {
                INLINE => 0,
                INT => 8,
                _ => size_of::<Value>(),
            }
    }
}

/// What an entry holds, as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A string that is a canonical integer.
    Int(i64),
    /// A string inside the entry.
    Inline(&'a [u8]),
    /// Anything else.
    Value(&'a Value),
}

/// A value on its way into an entry.
#[derive(Debug)]
pub enum NewValue<'a> {
    /// An integer.
    Int(i64),
    /// Bytes, copied in.
    Bytes(&'a [u8]),
    /// Anything else, moved in.
    Value(Value),
}

const _: () = assert!(align_of::<Value>() == 8, "a slot is aligned as the header is");

impl<'a> From<StringRef<'a>> for NewValue<'a> {
    fn from(text: StringRef<'a>) -> Self {
        match text {
            StringRef::Int(n) => NewValue::Int(n),
            StringRef::Bytes(bytes) => NewValue::Bytes(bytes),
        }
    }
}

/// An owned key with its value, expiry and access field.
#[repr(transparent)]
pub struct Entry(NonNull<Header>);

// SAFETY: I1, I3: an entry owns all it points to, and `Value` is `Send`.
unsafe impl Send for Entry {}

impl ThinElement for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        Entry::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.bytes()
    }
}

impl Entry {
    /// A new entry. `access` keeps its low 24 bits.
    pub fn new(key: &[u8], value: NewValue<'_>, expire_at: Option<i64>, access: u32) -> Entry {
        let value = settle(value);
        let mut kind = match &value {
            NewValue::Int(_) => INT,
            NewValue::Bytes(_) => INLINE,
            NewValue::Value(_) => VALUE,
        };
        if expire_at.is_some() {
            kind |= EXPIRES;
        }
        let long = key.len() > u16::MAX as usize;
        if long {
            kind |= LONG_KEY;
        }
        let header = Header {
            access_kind: access & ACCESS_MASK | u32::from(kind) << 24,
            key_len: if long { 0 } else { key.len() as u16 },
            inline_len: if let NewValue::Bytes(bytes) = &value {
                bytes.len() as u16
            } else {
                0
            },
        };
        let layout = layout(header.key_offset() + key.len() + usize::from(header.inline_len));
        // SAFETY: the layout's size is at least 16.
        let raw = unsafe { alloc(layout) };
        let Some(entry) = NonNull::new(raw.cast::<Header>()) else {
            handle_alloc_error(layout)
        };
        // SAFETY: the allocation holds every part at the offsets the header gives (I2), 8-byte parts aligned.
        unsafe {
            entry.write(header);
            if long {
                raw.add(8).cast::<u64>().write(key.len() as u64);
            }
            if let Some(at) = expire_at {
                raw.add(header.expire_offset()).cast::<i64>().write(at);
            }
            let key_at = raw.add(header.key_offset());
            ptr::copy_nonoverlapping(key.as_ptr(), key_at, key.len());
            match value {
                NewValue::Int(n) => raw.add(header.slot_offset()).cast::<i64>().write(n),
                NewValue::Bytes(bytes) => {
                    ptr::copy_nonoverlapping(bytes.as_ptr(), key_at.add(key.len()), bytes.len());
                }
                NewValue::Value(value) => raw.add(header.slot_offset()).cast::<Value>().write(value),
            }
        }
        Entry(entry)
    }

    #[inline]
    fn header(&self) -> Header {
        // SAFETY: I1.
        unsafe { *self.0.as_ptr() }
    }

    #[inline]
    fn bytes(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    #[inline]
    fn key_len(&self, header: Header) -> usize {
        if !header.has(LONG_KEY) {
            return usize::from(header.key_len);
        }
        // SAFETY: I2: a long key's length stands behind the header.
        unsafe { self.bytes().add(8).cast::<u64>().read() as usize }
    }

    /// The key's bytes.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let header = self.header();
        // SAFETY: I2.
        unsafe { std::slice::from_raw_parts(self.bytes().add(header.key_offset()), self.key_len(header)) }
    }

    /// What it holds.
    #[inline]
    pub fn view(&self) -> View<'_> {
        let header = self.header();
        // SAFETY: I2, I3; the borrow of `self` keeps the parts alive and unchanged.
        unsafe {
            match header.storage() {
                INLINE => {
                    let start = self.bytes().add(header.key_offset() + self.key_len(header));
                    View::Inline(std::slice::from_raw_parts(start, usize::from(header.inline_len)))
                }
                INT => View::Int(self.bytes().add(header.slot_offset()).cast::<i64>().read()),
                _ => View::Value(&*self.bytes().add(header.slot_offset()).cast::<Value>()),
            }
        }
    }

    /// The string it holds, or `None` when it is another type.
    #[inline]
    pub fn string(&self) -> Option<StringRef<'_>> {
        match self.view() {
            View::Int(n) => Some(StringRef::Int(n)),
            View::Inline(bytes) => Some(StringRef::Bytes(bytes)),
            View::Value(Value::String(bytes)) => Some(StringRef::Bytes(bytes)),
            View::Value(_) => None,
        }
    }

    /// When it expires, in Unix milliseconds.
    #[inline]
    pub fn expire_at(&self) -> Option<i64> {
        let header = self.header();
        if !header.has(EXPIRES) {
            return None;
        }
        // SAFETY: I2.
        Some(unsafe { self.bytes().add(header.expire_offset()).cast::<i64>().read() })
    }

    /// A time before which no part of the value expires by itself (see [`Value::soonest`]).
    #[inline]
    pub fn soonest(&self) -> Option<i64> {
        match self.view() {
            View::Value(value) => value.soonest(),
            _ => None,
        }
    }

    /// Sets or removes the expiry. Costs a move of the entry when it gains or loses one.
    pub fn set_expire_at(&mut self, at: Option<i64>) {
        let header = self.header();
        match at {
            Some(at) if header.has(EXPIRES) => {
                // SAFETY: I2.
                unsafe { self.bytes().add(header.expire_offset()).cast::<i64>().write(at) };
            }
            None if !header.has(EXPIRES) => {}
            at => self.rebuild(None, at),
        }
    }

    /// The 24-bit access field.
    #[inline]
    pub fn access(&self) -> u32 {
        self.header().access_kind & ACCESS_MASK
    }

    /// Sets the access field to the low 24 bits of `access`.
    #[inline]
    pub fn set_access(&mut self, access: u32) {
        // SAFETY: I1, and `&mut self` is exclusive.
        let header = unsafe { self.0.as_mut() };
        header.access_kind = header.access_kind & !ACCESS_MASK | access & ACCESS_MASK;
    }

    /// Replaces the value; key, expiry and access field stay.
    #[inline]
    pub fn set(&mut self, value: NewValue<'_>) {
        let header = self.header();
        if let NewValue::Bytes(bytes) = value
            && header.storage() == INLINE
            && bytes.len() <= INLINE_BYTES_MAX
        {
            let value_at = header.key_offset() + self.key_len(header);
            if rounded(value_at + bytes.len()) == rounded(value_at + usize::from(header.inline_len)) {
                // SAFETY: I2, I4: the allocation is as large as the new contents' layout; `bytes` borrows other memory.
                unsafe {
                    let stored = self.0.as_mut();
                    stored.inline_len = bytes.len() as u16;
                    stored.access_kind &= !(u32::from(MODIFIED) << 24);
                    ptr::copy_nonoverlapping(bytes.as_ptr(), self.bytes().add(value_at), bytes.len());
                }
                return;
            }
        } else if let NewValue::Int(n) = value
            && header.storage() == INT
        {
            // SAFETY: I2.
            unsafe { self.bytes().add(header.slot_offset()).cast::<i64>().write(n) };
            return;
        }
        match (value, self.held_mut()) {
            (NewValue::Value(value), Some(held)) => *held = value,
            (value, _) => {
                let at = self.expire_at();
                self.rebuild(Some(value), at);
            }
        }
    }

    /// Marks a short string as one that Redis would report as `raw`.
    pub fn mark_modified(&mut self) {
        // SAFETY: I1.
        unsafe { self.0.as_mut() }.access_kind |= u32::from(MODIFIED) << 24;
    }

    /// The value, to be changed in place; a string of the entry's own bytes becomes a value of its own first.
    pub fn value_mut(&mut self) -> &mut Value {
        let text = match self.view() {
            View::Value(_) => None,
            View::Int(n) => Some(StringRef::Int(n).to_vec()),
            View::Inline(bytes) => Some(bytes.to_vec()),
        };
        if let Some(text) = text {
            self.set(NewValue::Value(Value::String(text)));
        }
        self.held_mut().expect("it holds a value now")
    }

    /// The value, to be changed in place, unless it is a number or a string of the entry's own bytes.
    #[inline]
    pub fn held_mut(&mut self) -> Option<&mut Value> {
        let header = self.header();
        if header.storage() != VALUE {
            return None;
        }
        // SAFETY: I3: the entry is a VALUE, and borrowed exclusively.
        Some(unsafe { &mut *self.bytes().add(header.slot_offset()).cast::<Value>() })
    }

    /// The string's bytes, to be changed in place.
    ///
    /// # Panics
    /// When the entry holds another type: callers check with [`Entry::string`].
    pub fn string_mut(&mut self) -> &mut Vec<u8> {
        match self.value_mut() {
            Value::String(bytes) => bytes,
            other => unreachable!("a {} taken for a string", other.type_name()),
        }
    }

    /// The same key, value and expiry in a new allocation under another key.
    pub fn duplicate(&self, key: &[u8]) -> Entry {
        let value = match self.view() {
            View::Int(n) => NewValue::Int(n),
            View::Inline(bytes) => NewValue::Bytes(bytes),
            View::Value(value) => NewValue::Value(value.clone()),
        };
        let mut copy = Entry::new(key, value, self.expire_at(), self.access());
        if self.header().has(MODIFIED) {
            copy.mark_modified();
        }
        copy
    }

    /// Moves value and expiry under another key.
    pub fn rename(mut self, key: &[u8]) -> Entry {
        let (expire_at, access, modified) = (self.expire_at(), self.access(), self.header().has(MODIFIED));
        let mut renamed = match self.take_value() {
            Some(value) => Entry::new(key, NewValue::Value(value), expire_at, access),
            None => self.duplicate(key),
        };
        if modified {
            renamed.mark_modified();
        }
        renamed
    }

    /// Offers its memory, not what its value has elsewhere.
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        let (start, layout) = (self.0.cast(), layout(self.size()));
        // SAFETY: I1, I4, and nobody borrows it. A `Value` may be moved as any other.
        let place = unsafe { mover.offer(start, layout) };
        self.0 = place.map_or(self.0, NonNull::cast);
    }

    /// The type of its value.
    pub fn kind(&self) -> Kind {
        match self.view() {
            View::Value(value) => value.kind(),
            _ => Kind::String,
        }
    }

    /// The name `TYPE` answers.
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    /// The name `OBJECT ENCODING` answers.
    pub fn encoding(&self) -> &'static str {
        match self.view() {
            View::Int(_) => "int",
            View::Inline(bytes) if bytes.len() <= EMBSTR_BYTES_MAX && !self.header().has(MODIFIED) => {
                "embstr"
            }
            View::Inline(_) => "raw",
            View::Value(value) => value.encoding(),
        }
    }

    /// How much work freeing it is (see [`Value::free_effort`]).
    pub fn free_effort(&self) -> usize {
        match self.view() {
            View::Value(value) => value.free_effort(),
            _ => 1,
        }
    }

    /// Bytes it takes on the heap, what its value has there included, as the allocator rounds them: a big value estimated
    /// from so many elements, exact with 0.
    pub fn sampled_bytes(&self, samples: usize) -> usize {
        let value_bytes = match self.view() {
            View::Value(value) => value.sampled_bytes(samples),
            _ => 0,
        };
        rounded(self.size()) + value_bytes
    }

    fn size(&self) -> usize {
        let header = self.header();
        header.key_offset() + self.key_len(header) + usize::from(header.inline_len)
    }

    /// Moves to a new allocation with another value (`None`: the present one) and the given expiry.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self, value: Option<NewValue<'_>>, expire_at: Option<i64>) {
        let fresh = match value {
            Some(value) => Entry::new(self.key(), value, expire_at, self.access()),
            None => match self.take_value() {
                Some(value) => Entry::new(self.key(), NewValue::Value(value), expire_at, self.access()),
                None => {
                    let value = match self.view() {
                        View::Int(n) => NewValue::Int(n),
                        View::Inline(bytes) => NewValue::Bytes(bytes),
                        View::Value(_) => unreachable!("a value was just not there"),
                    };
                    let mut fresh = Entry::new(self.key(), value, expire_at, self.access());
                    if self.header().has(MODIFIED) {
                        fresh.mark_modified();
                    }
                    fresh
                }
            },
        };
        *self = fresh;
    }

    /// Takes the value out; the entry holds none afterwards, so that dropping stays sound.
    fn take_value(&mut self) -> Option<Value> {
        let header = self.header();
        if header.storage() != VALUE {
            return None;
        }
        // SAFETY: I3: ownership moves to the caller, and I4 stays: a TAKEN entry is as large.
        unsafe {
            let value = self.bytes().add(header.slot_offset()).cast::<Value>().read();
            let kind = header.kind() & !STORAGE | TAKEN;
            self.0.as_mut().access_kind = header.access_kind & ACCESS_MASK | u32::from(kind) << 24;
            Some(value)
        }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.held_mut() {
            // SAFETY: I3: the value is the entry's, and nobody looks at it again.
            unsafe { ptr::drop_in_place(value) }
        }
        // SAFETY: I1, I4.
        unsafe { dealloc(self.bytes(), layout(self.size())) }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}: {:?} expires {:?}",
            self.key(),
            self.view(),
            self.expire_at()
        )
    }
}

/// Bytes too long to stay inside the entry get memory of their own.
#[inline]
fn settle(value: NewValue<'_>) -> NewValue<'_> {
    match value {
        NewValue::Bytes(bytes) if bytes.len() > INLINE_BYTES_MAX => {
            NewValue::Value(Value::String(bytes.to_vec()))
        }
        value => value,
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(rounded(size), 8).expect("a key is shorter than isize::MAX")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::relocate::MoveAll;
    use proptest::prelude::*;

    fn value_of(entry: &Entry) -> Vec<u8> {
        entry.string().unwrap().to_vec()
    }

    #[test]
    fn a_short_string_and_its_key_take_one_small_allocation() {
        let entry = Entry::new(b"key:000000000001", NewValue::Bytes(&[b'x'; 200]), None, 0);
        assert_eq!(entry.sampled_bytes(0), 224);
        assert_eq!(
            Entry::new(b"key:000000000001", NewValue::Bytes(b"12345678"), None, 0).sampled_bytes(0),
            32
        );
    }

    #[test]
    fn encodings_are_named_as_redis_names_them() {
        let encoding = |value: NewValue<'_>| Entry::new(b"k", value, None, 0).encoding();
        assert_eq!(encoding(NewValue::Int(1)), "int");
        assert_eq!(encoding(NewValue::Bytes(&[b'x'; 44])), "embstr");
        assert_eq!(encoding(NewValue::Bytes(&[b'x'; 45])), "raw");
        assert_eq!(encoding(NewValue::Bytes(&[b'x'; 5000])), "raw");
        let mut entry = Entry::new(b"k", NewValue::Bytes(b"ab"), None, 0);
        entry.string_mut().push(b'c');
        assert_eq!((entry.encoding(), value_of(&entry)), ("raw", b"abc".to_vec()));
    }

    #[test]
    fn a_key_longer_than_the_header_counts_is_whole() {
        let key = vec![b'k'; 70_000];
        let entry = Entry::new(&key, NewValue::Bytes(b"v"), Some(5), 9);
        assert_eq!(
            (entry.key(), entry.expire_at(), entry.access()),
            (&key[..], Some(5), 9)
        );
        assert_eq!(value_of(&entry), b"v");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Bytes(Vec<u8>),
        Int(i64),
        Value(Vec<u8>),
        Push(u8),
        Expire(Option<i64>),
        Access(u32),
        Rename(Vec<u8>),
        Duplicate,
        Relocate,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..1200).prop_map(Step::Bytes),
            any::<i64>().prop_map(Step::Int),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Value),
            any::<u8>().prop_map(Step::Push),
            any::<Option<i64>>().prop_map(Step::Expire),
            any::<u32>().prop_map(Step::Access),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Rename),
            Just(Step::Duplicate),
            Just(Step::Relocate),
        ]
    }

    proptest! {
        #[test]
        fn an_entry_behaves_as_a_plain_struct(steps in prop::collection::vec(step(), 0..40)) {
            let mut entry = Entry::new(b"k", NewValue::Bytes(b""), None, 0);
            let (mut key, mut value, mut expire, mut access) = (b"k".to_vec(), Vec::new(), None, 0);
            for step in steps {
                match step {
                    Step::Bytes(bytes) => { entry.set(NewValue::Bytes(&bytes)); value = bytes; }
                    Step::Int(n) => { entry.set(NewValue::Int(n)); value = n.to_string().into_bytes(); }
                    Step::Value(bytes) => {
                        entry.set(NewValue::Value(Value::String(bytes.clone())));
                        value = bytes;
                    }
                    Step::Push(byte) => { entry.string_mut().push(byte); value.push(byte); }
                    Step::Expire(at) => { entry.set_expire_at(at); expire = at; }
                    Step::Access(a) => { entry.set_access(a); access = a & ACCESS_MASK; }
                    Step::Rename(to) => { entry = entry.rename(&to); key = to; }
                    Step::Relocate => entry.relocate(&mut MoveAll::pausing_after(0)),
                    Step::Duplicate => entry = entry.duplicate(&key),
                }
                prop_assert_eq!(entry.key(), &key[..]);
                prop_assert_eq!(value_of(&entry), value.clone());
                prop_assert_eq!(entry.expire_at(), expire);
                prop_assert_eq!(entry.access(), access);
            }
        }
    }
}
