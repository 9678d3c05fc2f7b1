//! Members with scores, kept in the order of their scores: Redis's skip list beside a hash table, without the skip
//! list.
//!
//! ```text
//!   Dict (by member) ──owns──> [ score | member ] <──refers── Order: counted B+ tree of (score, pointer)
//! ```
//!
//! Order is by score, then by the bytes of the member; a *rank* is the number of members before one. Ranges of scores
//! or of members are ranges of ranks: [`Ranked::partition_point`] finds where one begins and where it ends.
//!
//! Invariants:
//! - R1  Every element of the table has its item in the order, with the element's score, and no other item is there.
//! - R2  No score is NaN.
//!
//! Costs: a member of 8 to 22 bytes takes 32 bytes, about 16 in the table and 18 in the order. Finding a score is a
//! lookup in the table; a rank, an insertion and a removal add a search through about five nodes. Nothing ever pauses for
//! the size of the whole.
//!
//! Why no skip list: among 5 million members a search in one reads about 30 scattered nodes, in this tree 5
//! (docs/decisions/2026-11-21-counted-tree.md has the measurement).
//!
//! Not here: what a range looks like as text, NaN's error, encodings of small sorted sets.

#![expect(
    unsafe_code,
    reason = "the order refers to elements that the table owns; docs/UNSAFE.md"
)]

mod raw;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

use crate::base::hash::KeyHasher;
use crate::base::relocate::Mover;
use crate::ds::dict::{Dict, Entry};
use raw::{Element, Item, Order};

pub use raw::Iter;

/// What became of one member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Its score before; `None` if it was not there.
    pub old: Option<f64>,
    /// Its score now; `None` if it is not there.
    pub new: Option<f64>,
}

/// The members. See the module's documentation.
pub struct Ranked {
    order: Order,
    members: Dict<Element>,
    /// Bytes of all elements.
    element_bytes: usize,
}

impl Ranked {
    /// Without members.
    pub const fn new(hasher: KeyHasher) -> Ranked {
        Ranked {
            order: Order::new(),
            members: Dict::new(hasher),
            element_bytes: 0,
        }
    }

    /// Of members that come in order, each once. O(members).
    ///
    /// # Panics
    /// If they do not, or a score is NaN.
    pub fn from_sorted<'a>(hasher: KeyHasher, sorted: impl Iterator<Item = (&'a [u8], f64)>) -> Ranked {
        let mut tally = Tally::new(hasher);
        let mut items = Vec::with_capacity(sorted.size_hint().0);
        for (member, score) in sorted {
            items.push(tally.add(member, score));
        }
        tally.with_order(&items)
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap: exact with 0 samples, in O(n); of a big order's nodes an estimate in O(1) otherwise.
    pub fn sampled_bytes(&self, samples: usize) -> usize {
        self.members.heap_bytes() + self.order.sampled_bytes(samples) + self.element_bytes
    }

    /// The table of members, for DEBUG HTSTATS.
    pub fn table_stats(&self) -> crate::ds::dict::Stats {
        self.members.stats()
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(Element::score)
    }

    #[inline]
    fn find(&self, member: &[u8]) -> Option<&Element> {
        self.members.find(self.members.hash(member), member)
    }

    /// Gives a member a score, and adds it if need be; its old score.
    ///
    /// # Panics
    /// If the score is NaN.
    #[inline]
    pub fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.change(member, |_| Some(score)).old
    }

    /// Gives a member the score that `decide` answers to its present one; `None` leaves all as it is. One lookup.
    ///
    /// # Panics
    /// If the score is NaN.
    #[inline]
    pub fn change(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Outcome {
        let hash = self.members.hash(member);
        match self.members.entry(hash, member) {
            Entry::Occupied(mut place) => {
                let item = place.get().item();
                let old = Some(item.score);
                let Some(score) = decide(old) else {
                    return Outcome { old, new: old };
                };
                assert!(!score.is_nan(), "R2");
                if score != item.score {
                    place.get_mut().set_score(score);
                    self.order.change(item, score);
                }
                Outcome {
                    old,
                    new: Some(score),
                }
            }
            Entry::Vacant(place) => {
                let new = decide(None);
                if let Some(score) = new {
                    assert!(!score.is_nan(), "R2");
                    let element = place.insert(Element::new(member, score));
                    self.element_bytes += element.heap_bytes();
                    // SAFETY: R1: it stays in the table until its item leaves the order.
                    unsafe { self.order.insert(element.item()) };
                }
                Outcome { old: None, new }
            }
        }
    }

    /// Removes a member; the score it had.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let element = self.members.remove(self.members.hash(member), member)?;
        self.order.remove(&element);
        self.element_bytes -= element.heap_bytes();
        Some(element.score())
    }

    /// Rank and score of a member.
    #[inline]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.order.place(score, member), score))
    }

    /// The member of a rank and its score.
    #[inline]
    pub fn get(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.order.get(rank)
    }

    /// The number of members before the first one for which `is_before(score, member)` does not hold; it must hold for
    /// all before that.
    #[inline]
    pub fn partition_point(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.order.partition_point(is_before)
    }

    /// Members with their scores by rank, from either end.
    #[inline]
    pub fn iter(&self, ranks: Range<usize>) -> Iter<'_> {
        self.order.iter(ranks)
    }

    /// Removes the members of a range of ranks.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        let Ranked {
            order,
            members,
            element_bytes,
        } = self;
        order.remove_range(ranks, &mut |item| {
            // SAFETY: R1: the element is in the table still.
            let member = unsafe { item.member() };
            let element = members.remove(members.hash(member), member).expect("R1");
            *element_bytes -= element.heap_bytes();
        });
    }

    /// Visits some members and returns the next cursor, 0 at the end, with the guarantees of [`Dict::scan`].
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&[u8], f64)) -> u64 {
        self.members
            .scan(cursor, &mut |element| visit(element.member(), element.score()))
    }

    /// Offers elements, then nodes of the order, from `cursor` on until the end or until `mover` says stop; the next
    /// cursor, 0 at the end. Start with 0; every number is a legal cursor.
    ///
    /// O(1) an element that stays, O(log members) one that moves.
    pub fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        // The lowest bit tells which of the two it is.
        if cursor & 1 == 0 {
            let Ranked { order, members, .. } = self;
            let next = members.relocate(cursor >> 1, mover, &mut |element, mover| {
                if let Some(old) = element.relocate(mover) {
                    order.follow(old, element);
                }
            });
            return if next == 0 { 1 } else { next << 1 };
        }
        let mut place = Some((cursor >> 1) as usize);
        while let Some(at) = place {
            place = self.order.relocate_leaf(at, mover);
            if !mover.goes_on() {
                break;
            }
        }
        place.map_or(0, |place| (place as u64) << 1 | 1)
    }

    /// A random member with its score, all exactly equally likely.
    pub fn random(&self, r: &mut dyn FnMut() -> u64) -> Option<(&[u8], f64)> {
        let below = |random: u64| ((u128::from(random) * self.len() as u128) >> 64) as usize;
        self.get(below(r()))
    }

    /// Asserts the invariants. O(members).
    ///
    /// # Panics
    /// If one does not hold.
    pub fn check_invariants(&self) {
        self.members.check_invariants();
        self.order.check_invariants();
        assert_eq!(self.members.len(), self.order.len(), "R1");
        for (member, score) in self.iter(0..self.len()) {
            assert_eq!(self.score(member), Some(score), "R1");
        }
        let bytes: usize = self.members.iter().map(Element::heap_bytes).sum();
        assert_eq!(bytes, self.element_bytes);
    }
}

impl Clone for Ranked {
    /// O(members).
    fn clone(&self) -> Ranked {
        Ranked::from_sorted(self.members.hasher(), self.iter(0..self.len()))
    }
}

impl std::fmt::Debug for Ranked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter(0..self.len())).finish()
    }
}

/// Members with scores that are in no order yet: for sums over several sorted sets, whose scores change often before
/// anybody asks for an order.
pub struct Tally {
    members: Dict<Element>,
    element_bytes: usize,
}

impl Tally {
    /// Without members.
    pub const fn new(hasher: KeyHasher) -> Tally {
        Tally {
            members: Dict::new(hasher),
            element_bytes: 0,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Gives a member the score that `decide` makes of its present one.
    #[inline]
    pub fn change(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> f64) {
        let hash = self.members.hash(member);
        match self.members.entry(hash, member) {
            Entry::Occupied(mut place) => {
                let score = decide(Some(place.get().score()));
                place.get_mut().set_score(score);
            }
            Entry::Vacant(place) => {
                let element = place.insert(Element::new(member, decide(None)));
                self.element_bytes += element.heap_bytes();
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: &[u8]) {
        if let Some(element) = self.members.remove(self.members.hash(member), member) {
            self.element_bytes -= element.heap_bytes();
        }
    }

    /// Adds a member that is not there.
    fn add(&mut self, member: &[u8], score: f64) -> Item {
        let hash = self.members.hash(member);
        let Entry::Vacant(place) = self.members.entry(hash, member) else {
            panic!("R1: a member comes once");
        };
        let element = place.insert(Element::new(member, score));
        self.element_bytes += element.heap_bytes();
        element.item()
    }

    /// Puts the members in order. O(n log n).
    ///
    /// # Panics
    /// If a score is NaN.
    pub fn into_ranked(self) -> Ranked {
        let mut items: Vec<Item> = self.members.iter().map(Element::item).collect();
        // SAFETY: the elements are in the table.
        unsafe { Order::sort(&mut items) };
        self.with_order(&items)
    }

    /// `items` are those of all elements, sorted.
    fn with_order(self, items: &[Item]) -> Ranked {
        // SAFETY: R1: the elements stay in the table until their items leave the order.
        let order = unsafe { Order::from_sorted(items) };
        assert_eq!(order.len(), self.members.len(), "R1");
        Ranked {
            order,
            members: self.members,
            element_bytes: self.element_bytes,
        }
    }
}
