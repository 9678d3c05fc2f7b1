//! The `hashtable` encoding of a few fields: elements (see `element.rs`) in a row, without a table around them.
//!
//! Compat: Redis knows no such encoding; it is a hashtable to everybody outside.

use crate::base::relocate::Mover;
use crate::ds::dict::Stats;
use crate::ds::few::Few as Elements;
use crate::ds::thin::Thin;

use super::element::{field, found, parts, set_expiry, update};
use super::{Field, Found, Previous};

pub(super) use crate::ds::few::FEW_MAX;

/// At most [`FEW_MAX`] fields.
#[derive(Clone, Default)]
pub(super) struct Few(Elements);

impl Few {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Thin> {
        self.0.iter()
    }

    /// Offers the row and its elements.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        self.0.relocate(mover);
    }

    /// All elements.
    pub(super) fn into_elements(self) -> Vec<Thin> {
        self.0.into_iter().collect()
    }

    pub(super) fn soonest(&self) -> Option<i64> {
        self.0.iter().filter_map(|element| parts(element).0).min()
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        self.0.find(name).map(found)
    }

    /// Stores a value; the field lives for ever afterwards.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let Some(element) = self.0.find_mut(name) else {
            self.push(Thin::new(name, &[value]));
            return Previous::Missing;
        };
        let previous = Previous::of(parts(element).0);
        element.set_payload(&[value]);
        previous
    }

    /// Stores a value and leaves the expiry as it is.
    pub(super) fn update(&mut self, name: &[u8], value: &[u8]) -> Previous {
        match self.0.find_mut(name) {
            Some(element) => update(element, value),
            None => self.set(name, value),
        }
    }

    /// Adds a field that is known to be new.
    pub(super) fn push(&mut self, element: Thin) {
        self.0.push(element);
    }

    /// Whether the field was there.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }

    /// Sets or removes the expiry; false when there is no such field.
    pub(super) fn set_expiry(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let element = self.0.find_mut(name);
        let found = element.is_some();
        element.map(|element| set_expiry(element, expire_at));
        found
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

    pub(super) fn table_stats(&self) -> Stats {
        self.0.table_stats()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}
