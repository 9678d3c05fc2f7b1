//! The first few of many by some number, in memory for those few.
//!
//! Costs: an offer that is not good enough is one comparison; the others O(log n). What is offered is made only if it is
//! kept.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The items of the highest rank, at most so many.
#[derive(Debug)]
pub struct Top<T> {
    max: usize,
    /// The lowest of those kept comes first.
    kept: BinaryHeap<Reverse<(u64, T)>>,
}

impl<T: Ord> Top<T> {
    /// Keeps `max` items.
    pub fn new(max: usize) -> Top<T> {
        Top {
            max,
            kept: BinaryHeap::new(),
        }
    }

    /// Keeps the item if it belongs to the highest; of equals those that came first.
    #[inline]
    pub fn offer(&mut self, rank: u64, item: impl FnOnce() -> T) {
        if self.kept.len() < self.max {
            self.kept.push(Reverse((rank, item())));
        } else if let Some(mut lowest) = self.kept.peek_mut()
            && lowest.0.0 < rank
        {
            *lowest = Reverse((rank, item()));
        }
    }

    /// What is kept, the highest first, each with its rank.
    pub fn highest(&self) -> Vec<(u64, &T)> {
        let mut all: Vec<(u64, &T)> = self
            .kept
            .iter()
            .map(|Reverse((rank, item))| (*rank, item))
            .collect();
        all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        all
    }
}
