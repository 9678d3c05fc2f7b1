//! The `hashtable` encoding of a few fields: elements (see `element.rs`) in a row, without a table around them.
//!
//! A hash that left its listpack for a single long value takes 150 bytes less than with a table of its own, and a lookup
//! among so few compares as many names as it would in one bucket of a table.
//!
//! Compat: Redis knows no such encoding; it is a hashtable to everybody outside.

use crate::base::relocate::{self, Mover};
use crate::base::size_class::rounded;
use crate::ds::thin::Thin;

use super::element::{field, found, parts, set_expiry, update};
use super::{Field, Found, Previous};

/// More fields get a table.
pub(super) const FEW_MAX: usize = 8;

/// At most [`FEW_MAX`] elements, in no order.
#[derive(Clone, Default)]
pub(super) struct Few(Vec<Thin>);

impl Few {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Thin> {
        self.0.iter()
    }

    /// Offers the row and its elements.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        relocate::vec(&mut self.0, mover);
        self.0.iter_mut().for_each(|field| field.relocate(mover));
    }

    /// All elements.
    pub(super) fn into_elements(self) -> Vec<Thin> {
        self.0
    }

    pub(super) fn soonest(&self) -> Option<i64> {
        self.0.iter().filter_map(|element| parts(element).0).min()
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        Some(found(&self.0[self.index(name)?]))
    }

    /// Stores a value; the field lives for ever afterwards.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let Some(index) = self.index(name) else {
            self.push(Thin::new(name, &[value]));
            return Previous::Missing;
        };
        let element = &mut self.0[index];
        let previous = Previous::of(parts(element).0);
        element.set_payload(&[value]);
        previous
    }

    /// Stores a value and leaves the expiry as it is.
    pub(super) fn update(&mut self, name: &[u8], value: &[u8]) -> Previous {
        match self.index(name) {
            Some(index) => update(&mut self.0[index], value),
            None => self.set(name, value),
        }
    }

    /// Adds a field that is known to be new, in whole size classes.
    pub(super) fn push(&mut self, element: Thin) {
        if self.0.len() == self.0.capacity() {
            let wanted = rounded((self.0.len() + 1) * size_of::<Thin>()) / size_of::<Thin>();
            self.0.reserve_exact(wanted - self.0.len());
        }
        self.0.push(element);
    }

    /// Whether the field was there.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let index = self.index(name);
        if let Some(index) = index {
            self.0.swap_remove(index);
        }
        index.is_some()
    }

    /// Sets or removes the expiry; false when there is no such field.
    pub(super) fn set_expiry(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let index = self.index(name);
        if let Some(index) = index {
            set_expiry(&mut self.0[index], expire_at);
        }
        index.is_some()
    }

    /// Removes due fields; how many were looked at.
    pub(super) fn expire(&mut self, due_ms: i64, gone: &mut dyn FnMut(Field<'_>)) -> usize {
        let seen = self.0.len();
        self.0.retain(|element| {
            let field = field(element);
            if field.is_due(due_ms) {
                gone(field);
            }
            !field.is_due(due_ms)
        });
        seen
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let elements: usize = self.0.iter().map(Thin::heap_bytes).sum();
        size_of::<Few>() + self.0.capacity() * size_of::<Thin>() + elements
    }

    fn index(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().position(|element| element.key() == name)
    }
}
