//! Adding and removing members, and every switch between encodings.
//!
//! Compat: the switches are those of Redis 7.4, at the same thresholds. Two of them look ahead: a set is created, and
//! converted, for as many members as a command names, whether or not they are distinct.

use crate::base::number;
use crate::ds::dict::{Dict, Entry};
use crate::ds::few::{FEW_MAX, Few};
use crate::ds::intset::Intset;
use crate::ds::listpack::Listpack;
use crate::ds::thin::Thin;
use crate::value::Limits;

use super::{Member, Set, Table, with_text};

/// Integers an intset holds at most, whatever is configured.
const INTS_MAX: usize = 1 << 30;

fn ints_max(limits: &Limits) -> usize {
    limits.set_max_intset_entries.min(INTS_MAX)
}

impl Set {
    /// An empty set in the encoding that suits `first` and `count` members in all.
    pub fn suited(first: &[u8], count: usize, limits: &Limits) -> Set {
        if count <= limits.set_max_intset_entries && number::parse_i64(first).is_some() {
            Set::Ints(Intset::new())
        } else if count <= limits.set_max_listpack_entries {
            Set::Packed(Listpack::new())
        } else {
            hashtable(count, limits)
        }
    }

    /// Becomes a hashtable if its encoding would not do for `count` members.
    pub fn expect(&mut self, count: usize, limits: &Limits) {
        let too_many = match self {
            Set::Ints(_) => count > limits.set_max_intset_entries,
            Set::Packed(_) => count > limits.set_max_listpack_entries,
            Set::Few(_) => count > FEW_MAX,
            Set::Table(_) => false,
        };
        if too_many {
            self.become_hashtable(count, limits);
        }
    }

    /// Adds a member; whether it was not there before.
    #[inline]
    pub fn insert(&mut self, text: &[u8], limits: &Limits) -> bool {
        match self {
            Set::Table(table) => insert_into(table, text),
            Set::Few(few) => few.find(text).is_none() && self.insert_new(Thin::new(text, &[]), limits),
            Set::Packed(list) => {
                let found = list.first().and_then(|at| list.find(at, text, 0));
                found.is_none() && self.insert_packed(text, limits)
            }
            Set::Ints(_) => match number::parse_i64(text) {
                Some(value) => self.insert_int(value, limits),
                None => self.insert_among_ints(text, limits),
            },
        }
    }

    /// Adds a member that ought not to be there: in a listpack nobody looks, and the caller checks at the end.
    pub fn append(&mut self, text: &[u8], limits: &Limits) {
        if let Set::Packed(_) = self {
            self.insert_packed(text, limits);
        } else {
            self.insert(text, limits);
        }
    }

    /// Adds a member of another set; whether it was not there before.
    #[inline]
    pub fn insert_member(&mut self, member: Member<'_>, limits: &Limits) -> bool {
        match (&*self, member) {
            (Set::Ints(_), Member::Int(value)) => self.insert_int(value, limits),
            _ => with_text(member, |text| self.insert(text, limits)),
        }
    }

    /// Removes a member; whether it was there. The encoding stays.
    #[inline]
    pub fn remove(&mut self, text: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => number::parse_i64(text).is_some_and(|value| ints.remove(value)),
            Set::Packed(list) => {
                let found = list.first().and_then(|at| list.find(at, text, 0));
                found.is_some_and(|at| {
                    list.remove(at);
                    true
                })
            }
            Set::Few(few) => few.remove(text).is_some(),
            Set::Table(table) => table.remove(table.hash(text), text).is_some(),
        }
    }

    fn insert_int(&mut self, value: i64, limits: &Limits) -> bool {
        let Set::Ints(ints) = self else {
            return self.insert_member(Member::Int(value), limits);
        };
        let added = ints.insert(value);
        if added && ints.len() > ints_max(limits) {
            self.become_hashtable(0, limits);
        }
        added
    }

    /// Adds what is known not to be in the listpack.
    fn insert_packed(&mut self, text: &[u8], limits: &Limits) -> bool {
        if let Set::Packed(list) = self
            && list.len() < limits.set_max_listpack_entries
            && text.len() <= limits.set_max_listpack_value
            && list.fits(text.len())
        {
            list.push_back(text);
            return true;
        }
        self.become_hashtable(self.len() + 1, limits);
        self.insert_new(Thin::new(text, &[]), limits)
    }

    /// Adds what is no integer to a set that so far had nothing else.
    fn insert_among_ints(&mut self, text: &[u8], limits: &Limits) -> bool {
        if let Set::Ints(ints) = self
            && ints.len() < limits.set_max_listpack_entries
            && longest(ints) <= limits.set_max_listpack_value
        {
            let mut list = Listpack::new();
            ints.iter().for_each(|value| list.push_back_int(value));
            *self = Set::Packed(list);
            return self.insert_packed(text, limits);
        }
        self.become_hashtable(self.len() + 1, limits);
        self.insert_new(Thin::new(text, &[]), limits)
    }

    /// Becomes a hashtable for its members and at least `expected` in all, if it is none that holds them.
    #[cold]
    pub(super) fn become_hashtable(&mut self, expected: usize, limits: &Limits) {
        let elements: Vec<Thin> = match self {
            Set::Table(_) => return,
            Set::Few(few) if few.len().max(expected) <= FEW_MAX => return,
            Set::Few(few) => std::mem::take(&mut **few).into_iter().collect(),
            _ => self.iter().map(element_of).collect(),
        };
        *self = hashtable(elements.len().max(expected), limits);
        for element in elements {
            self.insert_new(element, limits);
        }
    }

    /// Adds an element that is known to be new to a hashtable; true, for it was new.
    fn insert_new(&mut self, element: Thin, limits: &Limits) -> bool {
        if let Set::Few(few) = self {
            if !few.is_full() {
                few.push(element);
                return true;
            }
            self.become_hashtable(FEW_MAX + 1, limits);
        }
        if let Set::Table(table) = self {
            table.insert_new(table.hash(element.key()), element);
        }
        true
    }

    /// Becomes an intset if all members are integers and few enough. O(n).
    pub(super) fn become_ints(&mut self, limits: &Limits) {
        if matches!(self, Set::Ints(_)) || self.len() > ints_max(limits) {
            return;
        }
        let mut values = Vec::with_capacity(self.len());
        for member in self.iter() {
            let Some(value) = int_of(member) else { return };
            values.push(value);
        }
        // Ascending insertion moves nothing.
        values.sort_unstable();
        *self = Set::Ints(values.into_iter().collect());
    }

    /// Adds an element taken from a hashtable, without copying it if this is one too.
    pub(super) fn adopt(&mut self, element: Thin, limits: &Limits) {
        match self {
            Set::Few(_) | Set::Table(_) => self.insert_new(element, limits),
            _ => self.insert(element.key(), limits),
        };
    }
}

/// An empty one for so many members.
fn hashtable(count: usize, limits: &Limits) -> Set {
    if count <= FEW_MAX {
        Set::Few(Box::new(Few::new()))
    } else {
        Set::Table(Box::new(Dict::new(limits.hasher)))
    }
}

fn element_of(member: Member<'_>) -> Thin {
    with_text(member, |text| Thin::new(text, &[]))
}

#[inline]
fn insert_into(table: &mut Table, text: &[u8]) -> bool {
    match table.entry(table.hash(text), text) {
        Entry::Occupied(_) => false,
        Entry::Vacant(place) => {
            place.insert(Thin::new(text, &[]));
            true
        }
    }
}

/// The integer a member is, in whatever encoding.
pub(super) fn int_of(member: Member<'_>) -> Option<i64> {
    match member {
        Member::Int(value) => Some(value),
        Member::Bytes(text) => number::parse_i64(text),
    }
}

/// Length of the longest text among integers: that of the lowest or the highest.
fn longest(ints: &Intset) -> usize {
    [ints.first(), ints.last()]
        .into_iter()
        .flatten()
        .map(number::decimal_len)
        .max()
        .unwrap_or(0)
}
