//! Unions, intersections and differences of sorted sets and sets.
//!
//! A member of a set counts as one with score 1. Results are a [`Tally`], which is put in order once, at the end.
//!
//! Compat: sums are added up from the smallest input to the largest, as Redis does, so that rounding gives the same
//! scores; a sum of opposite infinities, or zero times infinity, is 0. In an intersection zero times infinity is so only
//! in the smallest input: in another it makes a sum 0, and a minimum or maximum passes over it.

use crate::base::hash::KeyHasher;
use crate::ds::ranked::Tally;
use crate::value::set::{self, Set};

use super::{Member, Zset, with_text};

/// An input.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Nothing.
    Missing,
    /// Members with scores.
    Zset(&'a Zset),
    /// Members whose scores are 1.
    Set(&'a Set),
}

/// An input and what its scores are multiplied by.
#[derive(Clone, Copy)]
pub struct Weighted<'a> {
    /// The input.
    pub source: Source<'a>,
    /// The factor.
    pub weight: f64,
}

/// What becomes of a member's scores in several inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// Their sum.
    #[default]
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => number_or_zero(one + other),
            Aggregate::Min if other < one => other,
            Aggregate::Max if other > one => other,
            Aggregate::Min | Aggregate::Max => one,
        }
    }
}

fn number_or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Missing => 0,
            Source::Zset(zset) => zset.len(),
            Source::Set(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Missing => None,
            Source::Zset(zset) => zset.score(member),
            Source::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Visits members with scores until `visit` answers false.
    fn all(self, mut visit: impl FnMut(Member<'a>, f64) -> bool) {
        match self {
            Source::Missing => {}
            Source::Zset(zset) => drop(zset.iter().all(|(member, score)| visit(member, score))),
            Source::Set(set) => drop(set.iter().all(|member: set::Member<'a>| visit(member, 1.0))),
        }
    }

    fn for_each_text(self, mut visit: impl FnMut(&[u8], f64)) {
        self.all(|member, score| {
            with_text(member, |text| visit(text, score));
            true
        });
    }
}

impl Weighted<'_> {
    fn weigh(self, score: f64) -> f64 {
        number_or_zero(self.weight * score)
    }
}

fn smallest_first<'a>(inputs: &[Weighted<'a>]) -> Vec<Weighted<'a>> {
    let mut sorted = inputs.to_vec();
    sorted.sort_by_key(|input| input.source.len());
    sorted
}

/// The members of any input. O(n log n) for n members in all.
pub fn union(inputs: &[Weighted<'_>], aggregate: Aggregate, hasher: KeyHasher) -> Tally {
    let mut tally = Tally::new(hasher);
    for input in smallest_first(inputs) {
        input.source.for_each_text(|member, score| {
            let score = input.weigh(score);
            tally.change(member, |old| old.map_or(score, |old| aggregate.of(old, score)));
        });
    }
    tally
}

/// The members of all inputs. O(members of the smallest, times inputs).
pub fn intersection(inputs: &[Weighted<'_>], aggregate: Aggregate, hasher: KeyHasher) -> Tally {
    let mut tally = Tally::new(hasher);
    let sorted = smallest_first(inputs);
    let Some((smallest, others)) = sorted.split_first() else {
        return tally;
    };
    smallest.source.for_each_text(|member, score| {
        let sum = others.iter().try_fold(smallest.weigh(score), |sum, other| {
            let score = other.source.score(member)?;
            Some(aggregate.of(sum, other.weight * score))
        });
        if let Some(sum) = sum {
            tally.change(member, |_| sum);
        }
    });
    tally
}

/// How many members all inputs share, counted up to `limit`; 0 for all.
pub fn intersection_size(sources: &[Source<'_>], limit: usize) -> usize {
    let mut sorted = sources.to_vec();
    sorted.sort_by_key(|source| source.len());
    let Some((smallest, others)) = sorted.split_first() else {
        return 0;
    };
    let mut count = 0;
    smallest.all(|member, _| {
        let is_shared = with_text(member, |text| {
            others.iter().all(|other| other.score(text).is_some())
        });
        count += usize::from(is_shared);
        count != limit || limit == 0
    });
    count
}

/// The members of the first input that are in no other, with their scores.
///
/// Either looks up each member of the first in all others, or takes the members of all others out of the first, whichever
/// promises to be less work: O(min(first times inputs, members in all)).
pub fn difference(sources: &[Source<'_>], hasher: KeyHasher) -> Tally {
    let mut tally = Tally::new(hasher);
    let Some((first, others)) = sources.split_first() else {
        return tally;
    };
    let all: usize = sources.iter().map(|source| source.len()).sum();
    // Looking up mostly ends at the first input that has the member, and needs no removal: worth two.
    if first.len() * sources.len() / 2 <= all {
        first.for_each_text(|member, score| {
            if !others.iter().any(|other| other.score(member).is_some()) {
                tally.change(member, |_| score);
            }
        });
        return tally;
    }
    first.for_each_text(|member, score| tally.change(member, |_| score));
    for other in others {
        other.for_each_text(|member, _| tally.remove(member));
        if tally.is_empty() {
            break;
        }
    }
    tally
}
