//! Random members: one, many with repeats, a sample without.
//!
//! Ranks are drawn, so every member is exactly equally likely.

use std::collections::HashSet;

use crate::base::rng::Rng;

use super::{Direction, Member, Zset};

/// A sample of more than one in so many members is chosen on a walk through all of them.
const WALK_FROM_ONE_IN: usize = 3;

impl Zset {
    /// The member of a rank, and its score.
    pub fn get(&self, rank: usize) -> Option<(Member<'_>, f64)> {
        self.walk(rank..rank.saturating_add(1), Direction::Up).next()
    }

    /// Any member, and its score.
    pub fn random(&self, rng: &mut Rng) -> Option<(Member<'_>, f64)> {
        self.get(rng.index(self.len()))
    }

    /// `count` times any member: the same one may come again, and the order is by chance too. Ends early when `visit`
    /// answers false. O(n + count) in a listpack, else O(count log n).
    pub fn random_with_repeats(
        &self,
        count: u64,
        rng: &mut Rng,
        mut visit: impl FnMut(Member<'_>, f64) -> bool,
    ) {
        let members: Vec<_> = match self {
            Zset::Packed(_) if count > 1 => self.iter().collect(),
            _ => Vec::new(),
        };
        for _ in 0..count {
            let rank = rng.index(self.len());
            let Some((member, score)) = members.get(rank).copied().or_else(|| self.get(rank)) else {
                return;
            };
            if !visit(member, score) {
                return;
            }
        }
    }

    /// `count` different members, or all if there are no more. Their order is not by chance.
    ///
    /// O(count log n) among many more, else O(n).
    pub fn sample(&self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Member<'_>, f64)) {
        if count >= self.len() {
            return self.iter().for_each(|(member, score)| visit(member, score));
        }
        if count < self.len() / WALK_FROM_ONE_IN {
            return self.sample_by_draws(count, rng, visit);
        }
        // Selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S.
        let (mut wanted, mut left) = (count, self.len());
        for (member, score) in self.iter() {
            if rng.index(left) < wanted {
                wanted -= 1;
                visit(member, score);
            }
            left -= 1;
        }
    }

    fn sample_by_draws(&self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Member<'_>, f64)) {
        let mut drawn = HashSet::with_capacity(count);
        while drawn.len() < count {
            let rank = rng.index(self.len());
            if drawn.insert(rank)
                && let Some((member, score)) = self.get(rank)
            {
                visit(member, score);
            }
        }
    }
}
