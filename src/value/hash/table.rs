//! The `hashtable` encoding of more than a few fields: a table of elements (see `element.rs`).
//!
//! The table's segments carry the earliest expiry among their fields as their mark, so looking for what is due opens
//! only segments that may have some. Beyond 8 bytes in such a field, expiry costs no memory.
//!
//! I1  `volatile` is how many elements are marked.
//! I2  `soonest_ms` is at most the earliest expiry of all, `i64::MAX` when there is none. It may be too early after a
//!     field has lost its expiry; the next look for due fields corrects it.
//!
//! Costs: O(1) a field; looking for due ones O(segments) plus the elements of the segments opened.

use crate::base::hash::KeyHasher;
use crate::base::relocate::Mover;
use crate::base::size_class::sampled;
use crate::ds::dict::{self, Dict, Entry as Place, NO_MARK, Verdict};
use crate::ds::thin::Thin;

use super::element::{field, found, parts, set_expiry, update};
use super::{Field, Found, Previous};

pub(super) struct Table {
    dict: Dict<Thin>,
    volatile: usize,
    soonest_ms: i64,
    /// Where the present pass over due fields stands; 0 between passes.
    cursor: u64,
}

/// A time as a segment's mark.
fn mark_of(at_ms: i64) -> u64 {
    at_ms.max(0) as u64
}

impl Table {
    pub(super) fn new(hasher: KeyHasher) -> Table {
        Table {
            dict: Dict::new(hasher),
            volatile: 0,
            soonest_ms: i64::MAX,
            cursor: 0,
        }
    }

    /// See [`Dict::relocate`].
    pub(super) fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        self.dict
            .relocate(cursor, mover, &mut |field, mover| field.relocate(mover))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.dict.len()
    }

    pub(super) fn dict(&self) -> &Dict<Thin> {
        &self.dict
    }

    pub(super) fn iter(&self) -> dict::Iter<'_, Thin> {
        self.dict.iter()
    }

    /// Fields that expire.
    pub(super) fn volatile(&self) -> usize {
        self.volatile
    }

    #[inline]
    pub(super) fn soonest(&self) -> Option<i64> {
        (self.volatile > 0).then_some(self.soonest_ms)
    }

    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        self.dict.find(self.dict.hash(name), name).map(found)
    }

    /// Stores a value; the field lives for ever afterwards.
    #[inline]
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let hash = self.dict.hash(name);
        match self.dict.entry(hash, name) {
            Place::Vacant(place) => {
                place.insert(Thin::new(name, &[value]));
                Previous::Missing
            }
            Place::Occupied(mut place) => {
                let element = place.get_mut();
                let previous = Previous::of(parts(element).0);
                element.set_payload(&[value]);
                self.count_change(previous.expire_at(), None);
                previous
            }
        }
    }

    /// Stores a value and leaves the expiry as it is.
    pub(super) fn update(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let hash = self.dict.hash(name);
        match self.dict.find_mut(hash, name) {
            Some(element) => update(element, value),
            None => self.set(name, value),
        }
    }

    /// Adds a field that is known to be new.
    pub(super) fn insert_new(&mut self, element: Thin) {
        let (hash, expire_at) = (self.dict.hash(element.key()), parts(&element).0);
        self.dict.insert_new(hash, element);
        self.note_expiry(hash, None, expire_at);
    }

    /// Whether the field was there.
    #[inline]
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let removed = self.dict.remove(self.dict.hash(name), name);
        if let Some(element) = &removed {
            self.count_change(parts(element).0, None);
        }
        removed.is_some()
    }

    /// Sets or removes the expiry; false when there is no such field.
    pub(super) fn set_expiry(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let hash = self.dict.hash(name);
        let Some(element) = self.dict.find_mut(hash, name) else {
            return false;
        };
        let old = set_expiry(element, expire_at);
        self.note_expiry(hash, old, expire_at);
        true
    }

    /// Keeps I1 and I2 and the segment's mark when the field of this hash changes its expiry.
    fn note_expiry(&mut self, hash: u64, old: Option<i64>, new: Option<i64>) {
        self.count_change(old, new);
        if let Some(at_ms) = new {
            self.dict.lower_mark(hash, mark_of(at_ms));
        }
    }

    /// Keeps I1 and I2.
    #[inline]
    fn count_change(&mut self, old: Option<i64>, new: Option<i64>) {
        self.volatile -= usize::from(old.is_some());
        if let Some(at_ms) = new {
            self.volatile += 1;
            self.soonest_ms = self.soonest_ms.min(at_ms);
        } else if self.volatile == 0 {
            self.soonest_ms = i64::MAX;
        }
    }

    /// Removes due fields, a segment at a time, until `budget` fields have been looked at or the pass is over; how many
    /// were, and whether it is.
    pub(super) fn expire(
        &mut self,
        due_ms: i64,
        budget: usize,
        gone: &mut dyn FnMut(Field<'_>),
    ) -> (usize, bool) {
        let (mut seen, mut removed) = (0, 0);
        while seen < budget {
            self.cursor = self.dict.sweep(
                self.cursor,
                mark_of(due_ms),
                &mut |element| {
                    seen += 1;
                    match parts(element).0 {
                        None => Verdict::Keep(NO_MARK),
                        Some(at_ms) if at_ms <= due_ms => Verdict::Remove,
                        Some(at_ms) => Verdict::Keep(mark_of(at_ms)),
                    }
                },
                &mut |element| {
                    removed += 1;
                    gone(field(&element));
                },
            );
            if self.cursor == 0 {
                break;
            }
        }
        self.volatile -= removed;
        let over = self.cursor == 0;
        if over {
            self.soonest_ms = i64::try_from(self.dict.lowest_mark()).unwrap_or(i64::MAX);
        }
        (seen, over)
    }

    /// Bytes on the heap: the table exactly, its fields by so many samples (0: all).
    pub(super) fn sampled_bytes(&self, samples: usize) -> usize {
        self.dict.heap_bytes() + sampled(self.len(), samples, self.iter().map(Thin::heap_bytes))
    }

    /// Asserts I1, I2 and the table's invariants. O(n).
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        self.dict.check_invariants();
        let expiries = || self.iter().filter_map(|element| parts(element).0);
        assert_eq!(self.volatile, expiries().count(), "I1");
        assert!(
            expiries().all(|at_ms| self.soonest_ms <= at_ms && self.dict.lowest_mark() <= mark_of(at_ms)),
            "I2"
        );
        assert!(self.volatile > 0 || self.soonest_ms == i64::MAX, "I2");
    }
}

impl Clone for Table {
    fn clone(&self) -> Table {
        let mut copy = Table::new(self.dict.hasher());
        for element in self.iter() {
            copy.insert_new(element.clone());
        }
        copy
    }
}
