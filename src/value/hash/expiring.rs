//! The `listpackex` encoding: a listpack whose fields carry an expiry, the soonest first.
//!
//! ```text
//! [ header | field | value | 1700000000123 | field | value | 1700000009000 | field | value | 0 | ... | end ]
//!            due first ------------------------------------------------->    0: lives for ever
//! ```
//!
//! I1  Entries come in threes: field, value, expiry in Unix milliseconds or 0.
//! I2  Expiries ascend; fields without one stand behind all others. RDB files rely on this order.
//!
//! So the soonest expiry is the third entry, and what is due is at the front. Cost: a lookup walks.

use crate::base::relocate::Mover;
use crate::ds::listpack::{At, Damaged, Item, Listpack};

use super::{EXPIRE_AT_MAX, Field, Found, Previous};

const NEVER: i64 = 0;

#[derive(Clone)]
pub(super) struct Expiring(Listpack);

/// Where the three entries of a field are.
#[derive(Clone, Copy)]
struct Triple {
    name: At,
    value: At,
    expiry: At,
}

impl Expiring {
    /// Fields and values of the plain encoding, without expiries.
    pub(super) fn from_pairs(pairs: &Listpack) -> Expiring {
        let mut pack = Listpack::new();
        for (name, value) in pairs.pairs() {
            pack.push_back_item(name);
            pack.push_back_item(value);
            pack.push_back_int(NEVER);
        }
        Expiring(pack)
    }

    /// What a file holds, if I1 and I2 hold for it.
    pub(super) fn from_pack(pack: Listpack) -> Result<Expiring, Damaged> {
        let mut last = 1;
        for expiry in pack.iter().skip(2).step_by(3) {
            let at_ms = match expiry.int().ok_or(Damaged)? {
                NEVER => i64::MAX,
                at_ms @ 1..=EXPIRE_AT_MAX => at_ms,
                _ => return Err(Damaged),
            };
            if at_ms < last {
                return Err(Damaged);
            }
            last = at_ms;
        }
        if !pack.len().is_multiple_of(3) {
            return Err(Damaged);
        }
        Ok(Expiring(pack))
    }

    pub(super) fn pack(&self) -> &Listpack {
        &self.0
    }

    #[inline]
    /// Offers the listpack.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        self.0.relocate(mover);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / 3
    }

    /// The soonest expiry, the first there is (I2).
    pub(super) fn soonest(&self) -> Option<i64> {
        self.expiry(self.front()?)
    }

    pub(super) fn iter(&self) -> Fields<'_> {
        Fields(self.0.iter())
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        let triple = self.triple(name)?;
        Some(Found {
            value: self.0.get(triple.value),
            expire_at: self.expiry(triple),
        })
    }

    /// Stores a value; the field lives for ever afterwards.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let previous = match self.triple(name) {
            None => Previous::Missing,
            Some(triple) => match self.expiry(triple) {
                None => {
                    self.0.replace(triple.value, value);
                    return Previous::Lasting;
                }
                Some(at_ms) => {
                    self.0.remove_many(triple.name, 3);
                    Previous::Expiring(at_ms)
                }
            },
        };
        self.0.push_back(name);
        self.0.push_back(value);
        self.0.push_back_int(NEVER);
        previous
    }

    /// Stores a value and leaves the expiry as it is.
    pub(super) fn update(&mut self, name: &[u8], value: &[u8]) -> Previous {
        let Some(triple) = self.triple(name) else {
            return self.set(name, value);
        };
        let previous = Previous::of(self.expiry(triple));
        self.0.replace(triple.value, value);
        previous
    }

    /// Whether the field was there.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let triple = self.triple(name);
        if let Some(triple) = triple {
            self.0.remove_many(triple.name, 3);
        }
        triple.is_some()
    }

    /// Sets or removes the expiry, which moves the field to its place in the order; false when there is no such field.
    pub(super) fn set_expiry(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let Some(triple) = self.triple(name) else {
            return false;
        };
        let value = self.0.get(triple.value).to_vec();
        self.0.remove_many(triple.name, 3);
        match expire_at.and_then(|at_ms| self.behind_those_until(at_ms)) {
            None => {
                self.0.push_back(name);
                self.0.push_back(&value);
                self.0.push_back_int(expire_at.unwrap_or(NEVER));
            }
            Some(next) => {
                let name_at = self.0.insert_before(next, name);
                let value_at = self.0.insert_after(name_at, &value);
                let mut expiry = itoa::Buffer::new();
                self.0
                    .insert_after(value_at, expiry.format(expire_at.unwrap_or(NEVER)).as_bytes());
            }
        }
        true
    }

    /// Removes due fields, at most `budget` of them; how many, and whether all due ones are gone.
    pub(super) fn expire(
        &mut self,
        due_ms: i64,
        budget: usize,
        gone: &mut dyn FnMut(Field<'_>),
    ) -> (usize, bool) {
        let due = self.iter().take_while(|field| field.is_due(due_ms));
        let count = due.take(budget).map(gone).count();
        if let Some(first) = self.0.first() {
            self.0.remove_many(first, count * 3);
        }
        (count, self.soonest().is_none_or(|at_ms| at_ms > due_ms))
    }

    /// The first field that expires later than `at_ms` or never.
    fn behind_those_until(&self, at_ms: i64) -> Option<At> {
        let mut next = self.front();
        while let Some(triple) = next {
            if self.expiry(triple).is_none_or(|other| other > at_ms) {
                return Some(triple.name);
            }
            next = self.0.next(triple.expiry).and_then(|name| self.triple_at(name));
        }
        None
    }

    fn front(&self) -> Option<Triple> {
        self.triple_at(self.0.first()?)
    }

    fn triple(&self, name: &[u8]) -> Option<Triple> {
        self.triple_at(self.0.find(self.0.first()?, name, 2)?)
    }

    /// The triple that begins at `name` (I1).
    fn triple_at(&self, name: At) -> Option<Triple> {
        let value = self.0.next(name)?;
        let expiry = self.0.next(value)?;
        Some(Triple { name, value, expiry })
    }

    fn expiry(&self, triple: Triple) -> Option<i64> {
        expiry_of(self.0.get(triple.expiry))
    }

    /// Asserts I1 and I2.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.0.len() % 3, 0, "I1");
        let order: Vec<i64> = self
            .iter()
            .map(|field| field.expire_at.unwrap_or(i64::MAX))
            .collect();
        assert!(order.is_sorted(), "I2: {order:?}");
    }
}

fn expiry_of(item: Item<'_>) -> Option<i64> {
    item.int().filter(|&at_ms| at_ms != NEVER)
}

/// The fields in order; made by [`Expiring::iter`].
pub(super) struct Fields<'a>(crate::ds::listpack::Iter<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        Some(Field {
            name: self.0.next()?,
            value: self.0.next()?,
            expire_at: expiry_of(self.0.next()?),
        })
    }
}
