//! Intersection, union and difference of any number of sets.
//!
//! ```text
//! smallest table   k k k k .. k     a batch of 32
//!                  h h h h .. h     hashed once, for all tables hash alike
//! each other set   bucket, element prefetched for the whole batch, then asked: what is left goes on to the next set
//! ```
//!
//! Tables are walked in the order of hashes, so the buckets asked for in another table come in ascending order as well:
//! two sets of a million intersect with hardly a cache miss but for the members themselves.
//!
//! Nothing is copied: results are visited as members of the operands. The `store` forms make a set of them, in the
//! encodings Redis gives its results.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::base::hash::KeyHasher;
use crate::ds::listpack::Listpack;
use crate::value::{Limits, Typed};

use super::edit::int_of;
use super::{Member, Set, Table};

const BATCH: usize = 32;
/// A union of at most so many sets asks the earlier ones whether they had a member, instead of noting all members.
const ASKED_MAX: usize = 4;
/// Members of a listpack that is still asked quickly.
const ASKED_PACKED_MAX: usize = 32;

/// Visits what all of `sets` have in common, until `visit` answers false. No sets have nothing in common.
///
/// O(n * m), n being the size of the smallest and m the number of sets.
pub fn intersection<'a>(sets: &[&'a Set], visit: impl FnMut(Member<'a>) -> bool) {
    let mut sets = sets.to_vec();
    sets.sort_by_key(|set| set.len());
    if let Some((smallest, others)) = sets.split_first() {
        sift(smallest, &without(others, smallest), true, visit);
    }
}

/// The intersection as a set.
pub fn intersection_to_store(sets: &[&Set], limits: &Limits) -> Set {
    let of_ints = sets
        .iter()
        .min_by_key(|set| set.len())
        .is_some_and(|set| matches!(set, Set::Ints(_)));
    let mut result = if of_ints {
        Set::empty()
    } else {
        Set::Packed(Listpack::new())
    };
    intersection(sets, |member| {
        result.insert_member(member, limits);
        true
    });
    result.become_ints(limits);
    result
}

/// Visits what is in any of `sets`, each member once.
///
/// O(n), n being the members of all sets. Needs memory only if there are many sets.
pub fn union<'a>(sets: &[&'a Set], hasher: KeyHasher, mut visit: impl FnMut(Member<'a>)) {
    let earlier = sets.split_last().map_or(&[][..], |(_, earlier)| earlier);
    let asked_quickly = |set: &&Set| !matches!(set, Set::Packed(list) if list.len() > ASKED_PACKED_MAX);
    if sets.len() <= ASKED_MAX && earlier.iter().all(asked_quickly) {
        for (index, set) in sets.iter().enumerate() {
            sift(set, &sets[..index], false, |member| {
                visit(member);
                true
            });
        }
        return;
    }
    let mut seen = Seen::new(hasher);
    for member in sets.iter().flat_map(|set| set.iter()) {
        if seen.insert(member) {
            visit(member);
        }
    }
}

/// The union as a set.
pub fn union_to_store(sets: &[&Set], limits: &Limits) -> Set {
    let mut result = Set::empty();
    for member in sets.iter().flat_map(|set| set.iter()) {
        result.insert_member(member, limits);
    }
    result
}

/// Visits the members of `first` that none of `others` has.
///
/// Asks the others for each member of the first, or notes all members of the others, whichever is less work: O(n * m)
/// or O(n of all sets).
pub fn difference<'a>(
    first: &'a Set,
    others: &[&'a Set],
    hasher: KeyHasher,
    mut visit: impl FnMut(Member<'a>),
) {
    if others.iter().any(|other| std::ptr::eq(*other, first)) {
        return;
    }
    if asks_others(first, others) {
        let mut others = others.to_vec();
        // The largest is the likeliest to have a member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        return sift(first, &others, false, |member| {
            visit(member);
            true
        });
    }
    let mut seen = Seen::new(hasher);
    others.iter().flat_map(|set| set.iter()).for_each(|member| {
        seen.insert(member);
    });
    first
        .iter()
        .filter(|member| !seen.contains(*member))
        .for_each(visit);
}

/// The difference as a set.
pub fn difference_to_store(first: &Set, others: &[&Set], limits: &Limits) -> Set {
    let mut result = Set::empty();
    difference(first, others, limits.hasher, |member| {
        result.insert_member(member, limits);
    });
    // Compat: this way Redis copies the first set and removes from the copy, whose encoding stays.
    if !asks_others(first, others) && !fits_small(first, limits) {
        result.become_hashtable(0, limits);
    }
    result
}

/// Whether a difference asks the other sets for each member of the first.
///
/// Compat: Redis's own estimate. Asking has the better constant, so it counts half.
fn asks_others(first: &Set, others: &[&Set]) -> bool {
    let all: usize = others.iter().map(|set| set.len()).sum::<usize>() + first.len();
    first.len().saturating_mul(others.len() + 1) / 2 <= all
}

/// Whether a fresh set of these members would be anything but a table.
fn fits_small(set: &Set, limits: &Limits) -> bool {
    let len = set.len();
    if set.iter().all(|member| int_of(member).is_some()) {
        return len <= limits.set_max_intset_entries;
    }
    let short = |member: Member<'_>| member.len() <= limits.set_max_listpack_value;
    len <= limits.set_max_listpack_entries && set.iter().all(short)
}

/// `sets` but those that are `one` itself.
fn without<'a>(sets: &[&'a Set], one: &Set) -> Vec<&'a Set> {
    let is_other = |set: &&&Set| !std::ptr::eq(**set, one);
    sets.iter().filter(is_other).copied().collect()
}

/// Visits the members of `set` that all of `others` have (`wanted`), or that none has, until `visit` answers false.
fn sift<'a>(set: &'a Set, others: &[&Set], wanted: bool, mut visit: impl FnMut(Member<'a>) -> bool) {
    if let Set::Table(table) = set
        && !others.is_empty()
    {
        return sift_table(table, others, wanted, visit);
    }
    let mut members = set.iter();
    members.all(|member| {
        let passes = others.iter().all(|other| other.contains_member(member) == wanted);
        !passes || visit(member)
    });
}

/// A member with its hash, on its way through the sets.
type Hashed<'a> = (u64, &'a [u8]);

fn sift_table<'a>(
    table: &'a Table,
    others: &[&Set],
    wanted: bool,
    mut visit: impl FnMut(Member<'a>) -> bool,
) {
    let mut members = table.iter();
    let mut batch: Vec<Hashed<'a>> = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        batch.extend(members.by_ref().take(BATCH).map(|element| {
            let text = element.key();
            (table.hash(text), text)
        }));
        if batch.is_empty() {
            return;
        }
        others.iter().for_each(|other| pass(&mut batch, other, wanted));
        if !batch.iter().all(|&(_, text)| visit(Member::Bytes(text))) {
            return;
        }
    }
}

/// Leaves in the batch what `set` has, or what it has not.
#[inline]
fn pass(batch: &mut Vec<Hashed<'_>>, set: &Set, wanted: bool) {
    let Set::Table(table) = set else {
        return batch.retain(|&(_, text)| set.contains(text) == wanted);
    };
    batch.iter().for_each(|&(hash, _)| table.prefetch_bucket(hash));
    batch.iter().for_each(|&(hash, _)| table.prefetch_element(hash));
    batch.retain(|&(hash, text)| table.find(hash, text).is_some() == wanted);
}

/// Members met so far. Integers and their texts count as the same.
struct Seen<'a> {
    members: HashSet<Noted<'a>, BuildHasherDefault<Ready>>,
    hasher: KeyHasher,
}

/// A member with its hash. Text that is an integer's has become that integer.
#[derive(PartialEq, Eq)]
struct Noted<'a> {
    hash: u64,
    member: Member<'a>,
}

impl<'a> Seen<'a> {
    fn new(hasher: KeyHasher) -> Seen<'a> {
        Seen {
            members: HashSet::default(),
            hasher,
        }
    }

    fn note(&self, member: Member<'a>) -> Noted<'a> {
        let member = int_of(member).map_or(member, Member::Int);
        let hash = match member {
            Member::Int(value) => self.hasher.hash(&value.to_le_bytes()),
            Member::Bytes(text) => self.hasher.hash(text),
        };
        Noted { hash, member }
    }

    fn insert(&mut self, member: Member<'a>) -> bool {
        let noted = self.note(member);
        self.members.insert(noted)
    }

    fn contains(&self, member: Member<'a>) -> bool {
        self.members.contains(&self.note(member))
    }
}

impl Hash for Noted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hands a hash through that is one already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are noted")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
