//! Sorted sets: members with scores, in the order of scores and, among equal scores, of bytes.
//!
//! ```text
//! Packed (listpack)      at most zset-max-listpack-entries members of at most zset-max-listpack-value bytes
//!    | one more, or a longer one
//!    v
//! Ranked (skiplist)      ds::ranked: a table of members and a counted tree of scores
//! ```
//!
//! A sorted set never goes back to the small encoding by itself; one that is stored whole starts small again
//! ([`Zset::from_tally`]).
//!
//! Ranges of scores and members are turned into ranges of ranks, and those are walked, counted or removed.
//!
//! Not here: keys, replies, what options of commands mean.

mod algebra;
mod chance;
mod packed;
mod range;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::base::relocate::{self, Mover};
use crate::base::size_class::rounded;
use crate::ds::listpack::{Damaged, Listpack};
use crate::ds::ranked::{self, Ranked};

use super::{Kind, Limits, Typed, variant};

pub use crate::ds::ranked::{Outcome, Tally};
pub use algebra::{Aggregate, Source, Weighted, difference, intersection, intersection_size, union};
pub use packed::{Packed, with_text};
pub use range::{LexBorder, LexRange, ScoreRange};

/// A member as a reader sees it.
pub use crate::ds::listpack::Item as Member;

/// A sorted set. See the module's documentation.
#[derive(Debug, Clone)]
pub enum Zset {
    /// Few and short (`listpack`).
    Packed(Packed),
    /// Anything (`skiplist`).
    Ranked(Box<Ranked>),
}

impl Default for Zset {
    fn default() -> Zset {
        Zset::Packed(Packed::default())
    }
}

/// From which end to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lowest scores first.
    Up,
    /// Highest scores first.
    Down,
}

/// Reading.
impl Zset {
    /// How many members. O(1), but O(n) in a listpack of 32768 or more.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Zset::Packed(packed) => packed.len(),
            Zset::Ranked(ranked) => ranked.len(),
        }
    }

    /// True without members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Zset::Packed(packed) => packed.is_empty(),
            Zset::Ranked(ranked) => ranked.is_empty(),
        }
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Packed(packed) => packed.find(member).map(|(_, score)| score),
            Zset::Ranked(ranked) => ranked.score(member),
        }
    }

    /// The number of members before this one, and its score. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Zset::Packed(packed) => {
                let (at, score) = packed.find(member)?;
                Some((packed.rank_of(at), score))
            }
            Zset::Ranked(ranked) => ranked.rank(member),
        }
    }

    /// The ranks of the members with scores in a range. O(log n).
    pub fn ranks_of_scores(&self, range: &ScoreRange) -> Range<usize> {
        let begin = self.partition_point(|score, _| range.is_below(score));
        let end = self.partition_point(|score, _| range.is_not_above(score));
        begin..end.max(begin)
    }

    /// The ranks of the members in a range, all scores being equal. O(log n).
    pub fn ranks_of_members(&self, range: &LexRange<'_>) -> Range<usize> {
        let begin = self.partition_point(|_, member| with_text(member, |text| range.is_below(text)));
        let end = self.partition_point(|_, member| with_text(member, |text| range.is_not_above(text)));
        begin..end.max(begin)
    }

    #[inline]
    fn partition_point(&self, is_before: impl Fn(f64, Member<'_>) -> bool) -> usize {
        match self {
            Zset::Packed(packed) => packed.partition_point(is_before),
            Zset::Ranked(ranked) => {
                ranked.partition_point(|score, member| is_before(score, Member::Bytes(member)))
            }
        }
    }

    /// Walks through the members of a range of ranks, from either end of it.
    #[inline]
    pub fn walk(&self, ranks: Range<usize>, direction: Direction) -> Walk<'_> {
        let end = ranks.end.min(self.len());
        let left = end.saturating_sub(ranks.start);
        let steps = match self {
            Zset::Packed(packed) => {
                let mut pairs = packed.iter();
                match direction {
                    Direction::Up if ranks.start > 0 => drop(pairs.nth(ranks.start - 1)),
                    Direction::Down if end < packed.len() => drop(pairs.nth_back(packed.len() - end - 1)),
                    _ => {}
                }
                Steps::Packed(pairs)
            }
            Zset::Ranked(ranked) => Steps::Ranked(ranked.iter(ranks.start.min(end)..end)),
        };
        Walk {
            steps,
            direction,
            left,
        }
    }

    /// All members in order.
    pub fn iter(&self) -> Walk<'_> {
        self.walk(0..usize::MAX, Direction::Up)
    }

    /// Visits the members of one step of a walk that changes may interrupt; the next cursor, 0 at the end. Start with 0.
    ///
    /// Guarantee: a member that is there from the first call to the last is visited, whatever comes and goes
    /// meanwhile. A listpack is one step.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Member<'_>, f64)) -> u64 {
        match self {
            Zset::Packed(packed) => {
                packed.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Zset::Ranked(ranked) => {
                ranked.scan(cursor, &mut |member, score| visit(Member::Bytes(member), score))
            }
        }
    }

    /// The bytes of the small encoding, as DUMP and RDB files have them.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match self {
            Zset::Packed(packed) => Some(packed.listpack()),
            Zset::Ranked(_) => None,
        }
    }

    /// The structure of the big encoding.
    pub fn as_ranked(&self) -> Option<&Ranked> {
        match self {
            Zset::Packed(_) => None,
            Zset::Ranked(ranked) => Some(ranked),
        }
    }
}

/// Changing.
impl Zset {
    /// An empty one that is about to get `count` members, the first of them `first_len` bytes long.
    ///
    /// Compat: the small encoding only if both are within the limits, although members may be the same one.
    pub fn suited(count: usize, first_len: usize, limits: &Limits) -> Zset {
        if count <= limits.zset_max_listpack_entries && first_len <= limits.zset_max_listpack_value {
            return Zset::default();
        }
        Zset::Ranked(Box::new(Ranked::new(limits.hasher)))
    }

    /// Prepares for `count` members at once: more than fit the small encoding need not wait for it to fill up.
    #[inline]
    pub fn expect(&mut self, count: usize, limits: &Limits) {
        if count > limits.zset_max_listpack_entries {
            self.become_ranked(limits);
        }
    }

    /// From a listpack of a file.
    ///
    /// # Errors
    /// [`Damaged`] unless it has members with scores, in order, each member once.
    pub fn from_listpack(listpack: Listpack) -> Result<Zset, Damaged> {
        Packed::from_listpack(listpack).map(Zset::Packed)
    }

    /// The members of a range of ranks, in the encoding they fit. O(log n + members copied).
    pub fn copy_of(&self, ranks: Range<usize>, limits: &Limits) -> Zset {
        match self {
            Zset::Ranked(ranked) => {
                let members = || ranked.iter(ranks.clone());
                Zset::from_sorted(members(), limits)
                    .unwrap_or_else(|| Zset::Ranked(Box::new(Ranked::from_sorted(limits.hasher, members()))))
            }
            Zset::Packed(_) => {
                let mut copy = Zset::default();
                for (member, score) in self.walk(ranks, Direction::Up) {
                    with_text(member, |text| copy.set(text, score, limits));
                }
                copy
            }
        }
    }

    /// Of members in no order, in the encoding they fit. O(n log n).
    pub fn from_tally(tally: Tally, limits: &Limits) -> Zset {
        let ranked = tally.into_ranked();
        Zset::from_sorted(ranked.iter(0..ranked.len()), limits)
            .unwrap_or_else(|| Zset::Ranked(Box::new(ranked)))
    }

    /// In the small encoding, if the members fit it.
    fn from_sorted(members: ranked::Iter<'_>, limits: &Limits) -> Option<Zset> {
        if members.len() > limits.zset_max_listpack_entries {
            return None;
        }
        let mut packed = Packed::default();
        for (member, score) in members {
            if !fits(&packed, member, limits) {
                return None;
            }
            packed.push(member, score);
        }
        Some(Zset::Packed(packed))
    }

    /// Gives a member a score; its old one.
    #[inline]
    pub fn set(&mut self, member: &[u8], score: f64, limits: &Limits) -> Option<f64> {
        self.change(member, limits, |_| Some(score)).old
    }

    /// Gives a member the score that `decide` answers to its present one; `None` leaves all as it is.
    ///
    /// # Panics
    /// If the score is NaN.
    #[inline]
    pub fn change(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Outcome {
        let packed = match self {
            Zset::Ranked(ranked) => return ranked.change(member, decide),
            Zset::Packed(packed) => packed,
        };
        let found = packed.find(member);
        let old = found.map(|(_, score)| score);
        let Some(score) = decide(old) else {
            return Outcome { old, new: old };
        };
        assert!(!score.is_nan(), "scores are numbers");
        match found {
            Some((_, old)) if old == score => {}
            Some((at, _)) => packed.change(at, member, score),
            None if packed.len() < limits.zset_max_listpack_entries && fits(packed, member, limits) => {
                packed.insert(member, score);
            }
            None => drop(self.become_ranked(limits).set(member, score)),
        }
        Outcome {
            old,
            new: Some(score),
        }
    }

    /// Removes a member; the score it had.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Packed(packed) => {
                let (at, score) = packed.find(member)?;
                packed.remove(at);
                Some(score)
            }
            Zset::Ranked(ranked) => ranked.remove(member),
        }
    }

    /// Removes the members of a range of ranks.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        if ranks.is_empty() {
            return;
        }
        match self {
            Zset::Packed(packed) => packed.remove_range(ranks),
            Zset::Ranked(ranked) => ranked.remove_range(ranks),
        }
    }

    fn become_ranked(&mut self, limits: &Limits) -> &mut Ranked {
        if let Zset::Packed(packed) = self {
            let mut ranked = Ranked::new(limits.hasher);
            for (member, score) in packed.iter() {
                with_text(member, |text| ranked.set(text, score));
            }
            *self = Zset::Ranked(Box::new(ranked));
        }
        match self {
            Zset::Ranked(ranked) => ranked,
            Zset::Packed(_) => unreachable!("it has just become ranked"),
        }
    }
}

/// Whether one more member may join a listpack, whatever their number.
#[inline]
fn fits(packed: &Packed, member: &[u8], limits: &Limits) -> bool {
    member.len() <= limits.zset_max_listpack_value && packed.listpack().fits(packed::entry_bytes_max(member))
}

impl Typed for Zset {
    const KIND: Kind = Kind::Zset;
    variant!(Zset);

    fn empty() -> Zset {
        Zset::default()
    }

    fn is_empty(&self) -> bool {
        Zset::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        match self {
            Zset::Packed(_) => "listpack",
            Zset::Ranked(_) => "skiplist",
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            Zset::Packed(_) => 1,
            Zset::Ranked(ranked) => ranked.len(),
        }
    }

    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        match self {
            Zset::Packed(packed) => {
                packed.relocate(mover);
                0
            }
            Zset::Ranked(ranked) => {
                relocate::first(cursor, ranked, mover);
                ranked.relocate(cursor, mover)
            }
        }
    }

    fn sampled_bytes(&self, samples: usize) -> usize {
        match self {
            Zset::Packed(packed) => packed.listpack().heap_bytes(),
            Zset::Ranked(ranked) => rounded(size_of::<Ranked>()) + ranked.sampled_bytes(samples),
        }
    }
}

/// Members with scores on the way from one rank to another; made by [`Zset::walk`].
pub struct Walk<'a> {
    steps: Steps<'a>,
    direction: Direction,
    left: usize,
}

enum Steps<'a> {
    Packed(packed::Iter<'a>),
    Ranked(ranked::Iter<'a>),
}

impl<'a> Iterator for Walk<'a> {
    type Item = (Member<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let named = |(member, score)| (Member::Bytes(member), score);
        match (&mut self.steps, self.direction) {
            (Steps::Ranked(members), Direction::Up) => members.next().map(named),
            (Steps::Ranked(members), Direction::Down) => members.next_back().map(named),
            (Steps::Packed(pairs), Direction::Up) => pairs.next(),
            (Steps::Packed(pairs), Direction::Down) => pairs.next_back(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Walk<'_> {}
