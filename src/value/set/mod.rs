//! Sets: distinct byte strings in no order, in one of three encodings.
//!
//! ```text
//!            a member that is no integer          too long, or too many
//!   Ints ─────────────────────────────> Packed ─────────────────────────> Few ── more than 8 ──> Table
//!   intset │                            listpack                          hashtable              hashtable
//!          └── too many ───────────────────────────────────────────────────^
//! ```
//!
//! A set only ever moves to the right; results of set operations start anew. A member that is the canonical text of a
//! 64-bit integer is an integer in `Ints` and `Packed`, and text in the others: to readers the same member
//! ([`Member`]). Compat: Redis knows no set of a few; it is a hashtable to everybody outside.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the encodings, reading |
//! | `edit` | adding and removing, and every switch of encoding |
//! | `chance` | random members: looking, sampling, popping |
//! | `algebra` | intersection, union, difference |
//!
//! Costs: membership O(1) in a table, O(log n) among integers, O(n) in a listpack, which is kept short. Memory of a
//! table: 12 to 19 bytes per member beside its own allocation, which is the member and one byte; a few members take 8.

pub mod algebra;
mod chance;
mod edit;
#[cfg(test)]
mod tests;

use crate::base::number;
use crate::base::relocate::{self, Mover};
use crate::base::size_class::{rounded, sampled};
use crate::ds::dict::{self, Dict};
use crate::ds::few::Few;
use crate::ds::intset::{self, Intset};
use crate::ds::listpack::{self, Listpack};
use crate::ds::thin::Thin;

use super::{Kind, Typed, variant};

/// A member as a reader sees it.
pub use crate::ds::listpack::Item as Member;

/// The table of a big set.
pub type Table = Dict<Thin>;

/// A set. See the module's documentation.
pub enum Set {
    /// Integers only (`intset`).
    Ints(Intset),
    /// Few and short (`listpack`).
    Packed(Listpack),
    /// A few of any length (`hashtable`).
    Few(Box<Few>),
    /// Anything (`hashtable`).
    Table(Box<Table>),
}

impl Set {
    /// How many members. O(1), but O(n) in a listpack of 65535 or more.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.len(),
            Set::Packed(list) => list.len(),
            Set::Few(few) => few.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// True without members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Set::Ints(ints) => ints.is_empty(),
            Set::Packed(list) => list.is_empty(),
            Set::Few(few) => few.is_empty(),
            Set::Table(table) => table.is_empty(),
        }
    }

    /// Whether `text` is a member.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => number::parse_i64(text).is_some_and(|value| ints.contains(value)),
            Set::Packed(list) => list.first().is_some_and(|at| list.find(at, text, 0).is_some()),
            Set::Few(few) => few.find(text).is_some(),
            Set::Table(table) => table.find(table.hash(text), text).is_some(),
        }
    }

    /// Whether a member of another set is one of this.
    #[inline]
    pub fn contains_member(&self, member: Member<'_>) -> bool {
        match (self, member) {
            (Set::Ints(ints), Member::Int(value)) => ints.contains(value),
            _ => with_text(member, |text| self.contains(text)),
        }
    }

    /// All members, each once.
    #[inline]
    pub fn iter(&self) -> Members<'_> {
        match self {
            Set::Ints(ints) => Members::Ints(ints.iter()),
            Set::Packed(list) => Members::Packed(list.iter()),
            Set::Few(few) => Members::Few(few.iter()),
            Set::Table(table) => Members::Table(table.iter()),
        }
    }

    /// The shape of the table; a few members in a row look like two buckets. O(n).
    pub fn table_stats(&self) -> Option<dict::Stats> {
        match self {
            Set::Table(table) => Some(table.stats()),
            Set::Few(few) => Some(few.table_stats()),
            Set::Ints(_) | Set::Packed(_) => None,
        }
    }

    /// Visits the members of one step of a walk; the next cursor, 0 at the end. Start with 0.
    ///
    /// Guarantee: a member that is there from the first call to the last is visited, whatever comes and goes
    /// meanwhile. Only a table has more than one step.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        if let Set::Table(table) = self {
            return table.scan(cursor, &mut |element| visit(Member::Bytes(element.key())));
        }
        self.iter().for_each(visit);
        0
    }
}

/// Calls `read` with a member's text.
#[inline]
pub fn with_text<R>(member: Member<'_>, read: impl FnOnce(&[u8]) -> R) -> R {
    match member {
        Member::Bytes(text) => read(text),
        Member::Int(value) => read(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// The members of a [`Set`].
pub enum Members<'a> {
    /// Of integers, ascending.
    Ints(intset::Iter<'a>),
    /// Of a listpack, oldest first.
    Packed(listpack::Iter<'a>),
    /// Of a few, in no order.
    Few(std::slice::Iter<'a, Thin>),
    /// Of a table, in the order of hashes.
    Table(dict::Iter<'a, Thin>),
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match self {
            Members::Ints(ints) => ints.next().map(Member::Int),
            Members::Packed(items) => items.next(),
            Members::Few(elements) => elements.next().map(|element| Member::Bytes(element.key())),
            Members::Table(elements) => elements.next().map(|element| Member::Bytes(element.key())),
        }
    }

    /// Asks for the encoding once instead of at each member.
    #[inline]
    fn fold<B, F: FnMut(B, Member<'a>) -> B>(self, init: B, mut f: F) -> B {
        match self {
            Members::Ints(ints) => ints.fold(init, |sum, value| f(sum, Member::Int(value))),
            Members::Packed(items) => items.fold(init, f),
            Members::Few(elements) => {
                elements.fold(init, |sum, element| f(sum, Member::Bytes(element.key())))
            }
            Members::Table(elements) => {
                elements.fold(init, |sum, element| f(sum, Member::Bytes(element.key())))
            }
        }
    }
}

impl Typed for Set {
    const KIND: Kind = Kind::Set;

    variant!(Set);

    fn empty() -> Set {
        Set::Ints(Intset::new())
    }

    #[inline]
    fn is_empty(&self) -> bool {
        Set::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match self {
            Set::Ints(_) => "intset",
            Set::Packed(_) => "listpack",
            Set::Few(_) | Set::Table(_) => "hashtable",
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            Set::Few(few) => few.len(),
            Set::Table(table) => table.len(),
            _ => 1,
        }
    }

    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        match self {
            Set::Ints(ints) => ints.relocate(mover),
            Set::Packed(pack) => pack.relocate(mover),
            Set::Few(few) => {
                relocate::boxed(few, mover);
                few.relocate(mover);
            }
            Set::Table(table) => {
                relocate::first(cursor, table, mover);
                return table.relocate(cursor, mover, &mut |member, mover| member.relocate(mover));
            }
        }
        0
    }

    fn sampled_bytes(&self, samples: usize) -> usize {
        match self {
            Set::Ints(ints) => ints.heap_bytes(),
            Set::Packed(list) => list.heap_bytes(),
            Set::Few(few) => rounded(size_of::<Few>()) + few.heap_bytes(),
            Set::Table(table) => {
                let members = sampled(table.len(), samples, table.iter().map(Thin::heap_bytes));
                rounded(size_of::<Table>()) + table.heap_bytes() + members
            }
        }
    }
}

/// The same members in the same encoding.
impl Clone for Set {
    fn clone(&self) -> Set {
        let table = match self {
            Set::Ints(ints) => return Set::Ints(ints.clone()),
            Set::Packed(list) => return Set::Packed(list.clone()),
            Set::Few(few) => return Set::Few(few.clone()),
            Set::Table(table) => table,
        };
        let mut copy = Dict::new(table.hasher());
        for element in table.iter() {
            copy.insert_new(table.hash(element.key()), element.clone());
        }
        Set::Table(Box::new(copy))
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}
