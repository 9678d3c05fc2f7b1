//! The place of one key: find it once, then read, replace, remove or fill it.

#![expect(
    unsafe_code,
    reason = "an occupied entry remembers the slot, so that an upsert looks it up once"
)]

use super::raw::Place;
use super::{Dict, ThinElement};
use crate::base::hash::HashKey;

/// The place of a key in a [`Dict`].
pub enum Entry<'a, E: ThinElement, H: HashKey> {
    /// An element with this key is there.
    Occupied(Occupied<'a, E, H>),
    /// There is none.
    Vacant(Vacant<'a, E, H>),
}

/// A place with an element.
pub struct Occupied<'a, E: ThinElement, H: HashKey> {
    // I5 holds for `place` because the dictionary is borrowed for as long, and only `remove` changes the
    // segment.
    dict: &'a mut Dict<E, H>,
    place: Place<E>,
    hash: u64,
}

/// A place without an element.
pub struct Vacant<'a, E: ThinElement, H: HashKey> {
    dict: &'a mut Dict<E, H>,
    hash: u64,
}

impl<'a, E: ThinElement, H: HashKey> Entry<'a, E, H> {
    #[inline]
    pub(super) fn locate(dict: &'a mut Dict<E, H>, hash: u64, key: &[u8]) -> Self {
        debug_assert_eq!(hash, dict.hasher.hash(key), "the hash is that of the key");
        match dict.table.place(hash, key) {
            Some(place) => Entry::Occupied(Occupied { dict, place, hash }),
            None => Entry::Vacant(Vacant { dict, hash }),
        }
    }
}

impl<'a, E: ThinElement, H: HashKey> Occupied<'a, E, H> {
    /// The place of the very element at `address`.
    pub(super) fn at_address(dict: &'a mut Dict<E, H>, hash: u64, address: *const u8) -> Option<Self> {
        let place = dict
            .table
            .place_of(hash, |element| std::ptr::eq(element.address(), address))?;
        Some(Occupied { dict, place, hash })
    }

    /// The element.
    #[inline]
    pub fn get(&self) -> &E {
        // SAFETY: I5, see `place`; `&self` lends it.
        unsafe { self.place.element() }
    }

    /// The element, to change or to replace by another of the same key.
    #[inline]
    pub fn get_mut(&mut self) -> &mut E {
        // SAFETY: I5, see `place`; `&mut self` lends it.
        unsafe { self.place.element_mut() }
    }

    /// The element for as long as the dictionary is borrowed.
    #[inline]
    pub fn into_mut(self) -> &'a mut E {
        // SAFETY: I5, see `place`; the borrow of the dictionary goes on as that of the element.
        unsafe { self.place.element_mut() }
    }

    /// Puts another element of the same key there and returns the old one.
    #[inline]
    pub fn replace(&mut self, element: E) -> E {
        debug_assert!(
            element.key() == self.get().key(),
            "an element is replaced by one of the same key"
        );
        std::mem::replace(self.get_mut(), element)
    }

    /// Takes the element out. Joins at most two segments.
    #[inline]
    pub fn remove(self) -> E {
        // SAFETY: I5, see `place`; `self` ends here.
        let element = unsafe { self.dict.table.take(self.place, self.hash) };
        self.dict.len -= 1;
        self.dict.relax(self.hash);
        element
    }
}

impl<'a, E: ThinElement, H: HashKey> Vacant<'a, E, H> {
    /// Puts an element with the key of this entry there. Splits at most one segment.
    #[inline]
    pub fn insert(self, element: E) -> &'a mut E {
        self.dict.insert_new(self.hash, element)
    }
}
