//! Keys and bytes by prefix, however many prefixes there are.
//!
//! ```text
//! user:42:name, separator ":", depth 2     counts for   user:   and   user:42:
//! counter                                  counts for no prefix
//! ```
//!
//! When twice as many prefixes have gathered as are wanted, the smaller half is given up. Keys come in the order of
//! their hashes, which is by chance, so what is big altogether is big early and stays: its numbers are exact. A prefix
//! met for the first time, or again, after some were given up may lack what it had before, and says so
//! ([`Prefix::since_start`]).
//!
//! Invariant: a prefix is at least as big as those within it, so none is kept without the one around it.
//!
//! Costs: O(depth) lookups a key; giving up costs O(1) for each prefix that came.

use std::collections::HashMap;

use super::{NAME_BYTES_MAX, Options, Tally};

/// What is known of one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Its keys, those of prefixes within it included.
    pub tally: Tally,
    /// How many separators it has.
    pub depth: usize,
    /// Counted from the start: exact. Else at least so much.
    pub since_start: bool,
}

/// Prefixes by name.
#[derive(Debug)]
pub struct Prefixes {
    separator: Box<[u8]>,
    depth: usize,
    max: usize,
    known: HashMap<Box<[u8]>, Prefix>,
    /// Keys without a prefix.
    bare: Tally,
    /// How many prefixes were given up, some of them more than once.
    given_up: u64,
}

impl Prefixes {
    /// Of the keys of a survey with these options.
    pub fn new(options: &Options) -> Prefixes {
        Prefixes {
            separator: options.separator.clone(),
            depth: options.depth,
            max: options.prefixes_max,
            known: HashMap::new(),
            bare: Tally::default(),
            given_up: 0,
        }
    }

    /// Counts a key for each of its prefixes.
    pub fn add(&mut self, key: &[u8], bytes: u64) {
        let (mut end, mut depth) = (0, 0);
        while depth < self.depth
            && let Some(at) = memchr::memmem::find(&key[end..], &self.separator)
        {
            end += at + self.separator.len();
            depth += 1;
            if end > NAME_BYTES_MAX {
                break;
            }
            self.count(&key[..end], depth, bytes);
        }
        if depth == 0 {
            self.bare.add(bytes);
        }
    }

    fn count(&mut self, name: &[u8], depth: usize, bytes: u64) {
        if let Some(prefix) = self.known.get_mut(name) {
            return prefix.tally.add(bytes);
        }
        if self.known.len() >= 2 * self.max {
            self.give_up();
        }
        let mut tally = Tally::default();
        tally.add(bytes);
        let since_start = self.given_up == 0;
        let prefix = Prefix {
            tally,
            depth,
            since_start,
        };
        self.known.insert(name.into(), prefix);
    }

    /// Leaves the bigger half.
    #[cold]
    fn give_up(&mut self) {
        let before = self.known.len();
        let mut all: Vec<_> = std::mem::take(&mut self.known).into_iter().collect();
        if self.max < before {
            // Of two with the same keys the outer one comes first.
            all.select_nth_unstable_by_key(self.max, |(name, prefix)| rank(name, prefix));
            all.truncate(self.max);
        }
        self.given_up += (before - all.len()) as u64;
        self.known = all.into_iter().collect();
    }

    /// The biggest prefixes, at most as many as were wanted.
    pub fn biggest(&self) -> Vec<(&[u8], Prefix)> {
        let mut all: Vec<(&[u8], Prefix)> = self
            .known
            .iter()
            .map(|(name, prefix)| (&**name, *prefix))
            .collect();
        all.sort_unstable_by_key(|(name, prefix)| (rank(name, prefix), name.to_vec()));
        all.truncate(self.max);
        all
    }

    /// Keys without a prefix.
    pub fn bare(&self) -> Tally {
        self.bare
    }

    /// How many prefixes were given up.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}

/// Big ones first.
fn rank(name: &[u8], prefix: &Prefix) -> (std::cmp::Reverse<u64>, usize) {
    (std::cmp::Reverse(prefix.tally.bytes), name.len())
}
