//! Hashes: fields with values, some of which expire, and the switches between three encodings.
//!
//! ```text
//!   listpack ──────── a field gets an expiry ───────> listpackex
//!   packed.rs                                         expiring.rs
//!       └──── too many fields, or a long one ────┬────────┘
//!                                                v
//!                                            hashtable: few.rs, with more than 8 fields table.rs
//! ```
//!
//! There is no way back, as in Redis; a hash that is emptied goes, and starts small again.
//!
//! Time: nothing here reads a clock. A field is *due* when its expiry is at or before a moment the caller gives, `due_ms`
//! (`i64::MIN` where nothing may expire). A due field stays until somebody removes it; readers who must not see it
//! compare ([`Field::is_due`], [`Found::is_due`]) or ask with the moment ([`Hash::get`]). [`Hash::len`] counts it, as
//! HLEN does. Expiries are Unix milliseconds from 1 to [`EXPIRE_AT_MAX`].
//!
//! Costs: listpacks walk, tables are O(1); see the files. Not here: events, what is propagated, and when to expire.

mod element;
mod expiring;
mod few;
mod packed;
mod random;
mod table;
#[cfg(test)]
mod tests;

use crate::base::hash::KeyHasher;
use crate::base::relocate::{self, Mover};
use crate::base::size_class::rounded;
use crate::ds::dict;
use crate::ds::listpack::{Damaged, Item, Listpack, Pairs};
use crate::ds::thin::Thin;

use super::{Kind, Limits, Typed};
use expiring::Expiring;
use few::{FEW_MAX, Few};
use table::Table;

pub use random::Sample;

/// The latest expiry of a field: 46 bits of milliseconds.
pub const EXPIRE_AT_MAX: i64 = (1 << 46) - 1;

/// A hash. See the module's documentation.
#[derive(Clone)]
pub struct Hash(Repr);

/// The encodings. Boxes keep a hash at three words.
#[derive(Clone)]
enum Repr {
    Packed(Listpack),
    Expiring(Box<Expiring>),
    Few(Box<Few>),
    Table(Box<Table>),
}

/// A field with all that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Item<'a>,
    /// Its value.
    pub value: Item<'a>,
    /// When it expires, in Unix milliseconds.
    pub expire_at: Option<i64>,
}

/// What a lookup finds behind a field's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// The value.
    pub value: Item<'a>,
    /// When the field expires, in Unix milliseconds.
    pub expire_at: Option<i64>,
}

/// What a write found in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// No such field.
    Missing,
    /// A field without expiry.
    Lasting,
    /// A field that was to expire then, due or not.
    Expiring(i64),
}

impl Field<'_> {
    /// Whether its time has come at `due_ms`.
    #[inline]
    pub fn is_due(&self, due_ms: i64) -> bool {
        self.expire_at.is_some_and(|at_ms| at_ms <= due_ms)
    }
}

impl Found<'_> {
    /// Whether the field's time has come at `due_ms`.
    #[inline]
    pub fn is_due(&self, due_ms: i64) -> bool {
        self.expire_at.is_some_and(|at_ms| at_ms <= due_ms)
    }
}

impl Previous {
    fn of(expire_at: Option<i64>) -> Previous {
        expire_at.map_or(Previous::Lasting, Previous::Expiring)
    }

    fn expire_at(self) -> Option<i64> {
        match self {
            Previous::Expiring(at_ms) => Some(at_ms),
            Previous::Missing | Previous::Lasting => None,
        }
    }

    /// Whether readers saw a field there.
    #[inline]
    pub fn was_visible(self, due_ms: i64) -> bool {
        match self {
            Previous::Missing => false,
            Previous::Lasting => true,
            Previous::Expiring(at_ms) => at_ms > due_ms,
        }
    }
}

/// Reading.
impl Hash {
    /// How many fields there are, due ones included.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(pack) => pack.len() / 2,
            Repr::Expiring(pack) => pack.len(),
            Repr::Few(few) => few.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::Packed(pack) => pack.is_empty(),
            Repr::Expiring(pack) => pack.pack().is_empty(),
            Repr::Few(few) => few.len() == 0,
            Repr::Table(table) => table.len() == 0,
        }
    }

    /// How many fields are not due. O(n) when some may be.
    pub fn visible_len(&self, due_ms: i64) -> usize {
        if self.may_have_due(due_ms) {
            self.visible(due_ms).count()
        } else {
            self.len()
        }
    }

    /// The field, due or not.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        match &self.0 {
            Repr::Packed(pack) => packed::find(pack, name),
            Repr::Expiring(pack) => pack.find(name),
            Repr::Few(few) => few.find(name),
            Repr::Table(table) => table.find(name),
        }
    }

    /// The value of a field that is not due.
    #[inline]
    pub fn get(&self, name: &[u8], due_ms: i64) -> Option<Item<'_>> {
        let found = self.find(name)?;
        (!found.is_due(due_ms)).then_some(found.value)
    }

    /// All fields, due ones included.
    pub fn fields(&self) -> Fields<'_> {
        Fields(match &self.0 {
            Repr::Packed(pack) => Walk::Packed(pack.pairs()),
            Repr::Expiring(pack) => Walk::Expiring(pack.iter()),
            Repr::Few(few) => Walk::Few(few.iter()),
            Repr::Table(table) => Walk::Table(table.iter()),
        })
    }

    /// All fields that are not due.
    pub fn visible(&self, due_ms: i64) -> impl Iterator<Item = Field<'_>> {
        self.fields().filter(move |field| !field.is_due(due_ms))
    }

    /// Visits the fields of one step of an iteration, due ones included; the next cursor, 0 at the end. A listpack is
    /// visited in one step.
    ///
    /// Guarantee: a field that is there from the first call to the last is visited.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Field<'_>)) -> u64 {
        match &self.0 {
            Repr::Table(table) => table
                .dict()
                .scan(cursor, &mut |element| visit(element::field(element))),
            _ => {
                self.fields().for_each(visit);
                0
            }
        }
    }

    /// Whether a field may be due. Not exact: a field that has lost its expiry may still count.
    #[inline]
    pub fn may_have_due(&self, due_ms: i64) -> bool {
        self.soonest().is_some_and(|at_ms| at_ms <= due_ms)
    }

    /// About how many fields expire: an upper bound for small hashes.
    pub fn volatile(&self) -> usize {
        match &self.0 {
            Repr::Packed(_) => 0,
            Repr::Expiring(pack) => pack.len(),
            Repr::Few(few) => few.len(),
            Repr::Table(table) => table.volatile(),
        }
    }

    /// The table, when the hash is one and has more than a few fields.
    pub fn table(&self) -> Option<&dict::Dict<Thin>> {
        match &self.0 {
            Repr::Table(table) => Some(table.dict()),
            Repr::Packed(_) | Repr::Expiring(_) | Repr::Few(_) => None,
        }
    }

    /// The shape of the table; a few fields in a row look like two buckets. O(n).
    pub fn table_stats(&self) -> Option<dict::Stats> {
        match &self.0 {
            Repr::Table(table) => Some(table.dict().stats()),
            Repr::Few(few) => Some(few.table_stats()),
            Repr::Packed(_) | Repr::Expiring(_) => None,
        }
    }

    /// The listpack, when the hash is one, and how many entries a field has in it: 2, or 3 with its expiry (0 for none),
    /// the soonest first.
    pub fn listpack(&self) -> Option<(&Listpack, usize)> {
        match &self.0 {
            Repr::Packed(pack) => Some((pack, 2)),
            Repr::Expiring(pack) => Some((pack.pack(), 3)),
            Repr::Few(_) | Repr::Table(_) => None,
        }
    }
}

/// Out of what files hold.
impl Hash {
    /// Takes over a listpack of fields with their values (`width` 2), or of those with expiries, too (3; see
    /// [`Hash::listpack`]). That no field comes twice is for the caller to check.
    ///
    /// # Errors
    /// [`Damaged`] when the entries are no whole fields, or an expiry is none or out of order.
    pub fn from_listpack(pack: Listpack, width: usize) -> Result<Hash, Damaged> {
        match width {
            2 if pack.len().is_multiple_of(2) => Ok(Hash(Repr::Packed(pack))),
            3 => Ok(Hash(Repr::Expiring(Box::new(Expiring::from_pack(pack)?)))),
            _ => Err(Damaged),
        }
    }

    /// The same hash in the encoding that suits the number of its fields.
    pub fn suited(mut self, limits: &Limits) -> Hash {
        if self.listpack().is_some() && self.len() > limits.hash_max_listpack_entries {
            self.make_table(0, limits.hasher);
        }
        self
    }
}

/// Changing.
impl Hash {
    /// Prepares for storing `count` fields at once: most are taken to be new, so many make it a table at once.
    #[inline]
    pub fn expect(&mut self, count: usize, limits: &Limits) {
        if count > limits.hash_max_listpack_entries {
            self.make_table(count, limits.hasher);
        }
    }

    /// Stores a value, which clears the field's expiry; what was there.
    #[inline]
    pub fn set(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Previous {
        self.make_fit(name, value, limits);
        let previous = match &mut self.0 {
            Repr::Packed(pack) => packed::set(pack, name, value),
            Repr::Expiring(pack) => pack.set(name, value),
            Repr::Few(few) => few.set(name, value),
            Repr::Table(table) => return table.set(name, value),
        };
        self.after_insert(previous, limits);
        previous
    }

    /// Stores a value and leaves the field's expiry as it is; what was there.
    pub fn update(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Previous {
        self.make_fit(name, value, limits);
        let previous = match &mut self.0 {
            Repr::Packed(pack) => packed::set(pack, name, value),
            Repr::Expiring(pack) => pack.update(name, value),
            Repr::Few(few) => few.update(name, value),
            Repr::Table(table) => return table.update(name, value),
        };
        self.after_insert(previous, limits);
        previous
    }

    /// Removes a field, due or not; whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Packed(pack) => packed::remove(pack, name),
            Repr::Expiring(pack) => pack.remove(name),
            Repr::Few(few) => few.remove(name),
            Repr::Table(table) => table.remove(name),
        }
    }

    /// Sets or removes a field's expiry, in Unix milliseconds from 1 to [`EXPIRE_AT_MAX`]; false when there is no such
    /// field.
    pub fn set_expiry(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let expire_at = expire_at.map(|at_ms| at_ms.clamp(1, EXPIRE_AT_MAX));
        if let Repr::Packed(pack) = &self.0 {
            let found = packed::find(pack, name).is_some();
            if !found || expire_at.is_none() {
                return found;
            }
            self.0 = Repr::Expiring(Box::new(Expiring::from_pairs(pack)));
        }
        match &mut self.0 {
            Repr::Expiring(pack) => pack.set_expiry(name, expire_at),
            Repr::Few(few) => few.set_expiry(name, expire_at),
            Repr::Table(table) => table.set_expiry(name, expire_at),
            Repr::Packed(_) => false,
        }
    }

    /// Removes due fields until about `budget` fields have been looked at, and shows each to `gone`; how many it has
    /// looked at and whether it has come to its end. The next call goes on where this one stopped.
    ///
    /// A piece of a big table is looked at whole, so this may be 2,000 fields more.
    pub fn expire(&mut self, due_ms: i64, budget: usize, gone: &mut dyn FnMut(Field<'_>)) -> (usize, bool) {
        match &mut self.0 {
            Repr::Packed(_) => (0, true),
            Repr::Expiring(pack) => pack.expire(due_ms, budget, gone),
            Repr::Few(few) => (few.expire(due_ms, gone), true),
            Repr::Table(table) => table.expire(due_ms, budget, gone),
        }
    }

    #[inline]
    fn make_fit(&mut self, name: &[u8], value: &[u8], limits: &Limits) {
        let pack = match &self.0 {
            Repr::Few(_) | Repr::Table(_) => return,
            Repr::Packed(pack) => pack,
            Repr::Expiring(pack) => pack.pack(),
        };
        let longest = limits.hash_max_listpack_value;
        if name.len() > longest || value.len() > longest || !pack.fits(name.len() + value.len()) {
            self.make_table(0, limits.hasher);
        }
    }

    #[inline]
    fn after_insert(&mut self, previous: Previous, limits: &Limits) {
        if previous != Previous::Missing {
            return;
        }
        let fields_max = match self.0 {
            Repr::Few(_) => FEW_MAX,
            _ => limits.hash_max_listpack_entries,
        };
        if self.len() > fields_max {
            self.make_table(0, limits.hasher);
        }
    }

    /// Leaves the listpack, or what is for a few fields; `expected` are going to be there at least.
    #[cold]
    fn make_table(&mut self, expected: usize, hasher: KeyHasher) {
        let elements = match std::mem::replace(&mut self.0, Repr::Packed(Listpack::new())) {
            Repr::Table(table) => {
                self.0 = Repr::Table(table);
                return;
            }
            Repr::Few(few) => few.into_elements(),
            pack => Hash(pack).fields().map(element_of).collect(),
        };
        self.0 = if elements.len().max(expected) <= FEW_MAX {
            let mut few = Few::default();
            elements.into_iter().for_each(|element| few.push(element));
            Repr::Few(Box::new(few))
        } else {
            let mut table = Table::new(hasher);
            elements.into_iter().for_each(|element| table.insert_new(element));
            Repr::Table(Box::new(table))
        };
    }

    /// Asserts the invariants of the encoding. O(n).
    #[cfg(test)]
    fn check_invariants(&self) {
        match &self.0 {
            Repr::Packed(pack) => assert_eq!(pack.len() % 2, 0, "fields have values"),
            Repr::Expiring(pack) => pack.check_invariants(),
            Repr::Few(few) => assert!(few.len() <= FEW_MAX, "a few"),
            Repr::Table(table) => table.check_invariants(),
        }
    }
}

impl Typed for Hash {
    const KIND: Kind = Kind::Hash;

    super::variant!(Hash);

    fn empty() -> Hash {
        Hash(Repr::Packed(Listpack::new()))
    }

    fn is_empty(&self) -> bool {
        Hash::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Packed(_) => "listpack",
            Repr::Expiring(_) => "listpackex",
            Repr::Few(_) | Repr::Table(_) => "hashtable",
        }
    }

    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Packed(_) | Repr::Expiring(_) => 1,
            Repr::Few(few) => few.len(),
            Repr::Table(table) => table.len(),
        }
    }

    #[inline]
    fn soonest(&self) -> Option<i64> {
        match &self.0 {
            Repr::Packed(_) => None,
            Repr::Expiring(pack) => pack.soonest(),
            Repr::Few(few) => few.soonest(),
            Repr::Table(table) => table.soonest(),
        }
    }

    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        match &mut self.0 {
            Repr::Packed(pack) => pack.relocate(mover),
            Repr::Expiring(triples) => {
                relocate::boxed(triples, mover);
                triples.relocate(mover);
            }
            Repr::Few(few) => {
                relocate::boxed(few, mover);
                few.relocate(mover);
            }
            Repr::Table(table) => {
                relocate::first(cursor, table, mover);
                return table.relocate(cursor, mover);
            }
        }
        0
    }

    fn sampled_bytes(&self, samples: usize) -> usize {
        match &self.0 {
            Repr::Packed(pack) => pack.heap_bytes(),
            Repr::Expiring(pack) => rounded(size_of::<Expiring>()) + pack.pack().heap_bytes(),
            Repr::Few(few) => rounded(size_of::<Few>()) + few.heap_bytes(),
            Repr::Table(table) => rounded(size_of::<Table>()) + table.sampled_bytes(samples),
        }
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::empty()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

/// The fields of a hash; made by [`Hash::fields`].
pub struct Fields<'a>(Walk<'a>);

enum Walk<'a> {
    Packed(Pairs<'a>),
    Expiring(expiring::Fields<'a>),
    Few(std::slice::Iter<'a, Thin>),
    Table(dict::Iter<'a, Thin>),
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        match &mut self.0 {
            Walk::Packed(pairs) => pairs.next().map(|(name, value)| Field {
                name,
                value,
                expire_at: None,
            }),
            Walk::Expiring(fields) => fields.next(),
            Walk::Few(elements) => elements.next().map(element::field),
            Walk::Table(elements) => elements.next().map(element::field),
        }
    }
}

fn element_of(field: Field<'_>) -> Thin {
    element::element(&field.name.to_vec(), &field.value.to_vec(), field.expire_at)
}
