//! Adding and removing members, and every switch between encodings.
//!
//! Compat: the switches are those of Redis 7.4, at the same thresholds. Two of them look ahead: a set is created, and
//! converted, for as many members as a command names, whether or not they are distinct.

use crate::base::number;
use crate::ds::dict::{Dict, Entry};
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
            Set::Table(Box::new(Dict::new(limits.hasher)))
        }
    }

    /// Becomes a table if its encoding would not do for `count` members.
    pub fn expect(&mut self, count: usize, limits: &Limits) {
        let too_many = match self {
            Set::Ints(_) => count > limits.set_max_intset_entries,
            Set::Packed(_) => count > limits.set_max_listpack_entries,
            Set::Table(_) => false,
        };
        if too_many {
            self.become_table(limits);
        }
    }

    /// Adds a member; whether it was not there before.
    #[inline]
    pub fn insert(&mut self, text: &[u8], limits: &Limits) -> bool {
        match self {
            Set::Table(table) => insert_into(table, text),
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
            Set::Table(table) => table.remove(table.hash(text), text).is_some(),
        }
    }

    fn insert_int(&mut self, value: i64, limits: &Limits) -> bool {
        let Set::Ints(ints) = self else {
            return self.insert_member(Member::Int(value), limits);
        };
        let added = ints.insert(value);
        if added && ints.len() > ints_max(limits) {
            self.become_table(limits);
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
        insert_into(self.become_table(limits), text)
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
        insert_into(self.become_table(limits), text)
    }

    /// The table it is from now on.
    pub(super) fn become_table(&mut self, limits: &Limits) -> &mut Table {
        if !matches!(self, Set::Table(_)) {
            let mut table: Box<Table> = Box::new(Dict::new(limits.hasher));
            self.iter().for_each(|member| {
                with_text(member, |text| insert_into(&mut table, text));
            });
            *self = Set::Table(table);
        }
        match self {
            Set::Table(table) => table,
            _ => unreachable!("it was just made one"),
        }
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

    /// Adds an element taken from a table, without copying it if this is one too.
    pub(super) fn adopt(&mut self, element: Thin, limits: &Limits) {
        match self {
            Set::Table(table) => {
                let hash = table.hash(element.key());
                table.insert_new(hash, element);
            }
            _ => {
                self.insert(element.key(), limits);
            }
        }
    }
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
