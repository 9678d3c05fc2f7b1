//! A walk over all that keys and values have in memory, in slices, so that it may be moved.
//!
//! ```text
//!   databases, bucket after bucket ── entry ── small value: at once
//!                                          └── big value, or time is up: noted by name ──> later, from where it stopped
//! ```
//!
//! Between two slices anything may happen: keys go, come and change their type, tables grow. Positions are cursors that
//! survive it, and a value noted by name is looked up anew. Nothing changes to anybody who reads: no access field, no
//! event, no version.
//!
//! Costs: O(1) a bucket and an allocation. Between two looks at the clock it handles a bucket of seven elements or of
//! seven keys without their values, a node of a list, or a block of a stream. Not here: which allocations move, how long a
//! slice is.

use std::collections::VecDeque;

use crate::base::relocate::Mover;

use super::entry::Entry;
use super::{Db, Keyspace};

/// A walk, and how far it has come.
#[derive(Debug, Default)]
pub struct Pass {
    db: usize,
    cursor: u64,
    later: VecDeque<Unfinished>,
    /// Keys of which something has moved.
    pub key_hits: u64,
    /// Keys of which nothing has.
    pub key_misses: u64,
}

/// A value to go on with.
#[derive(Debug)]
struct Unfinished {
    db: usize,
    key: Box<[u8]>,
    cursor: u64,
    /// Whether something of it has moved already.
    is_hit: bool,
}

impl Pass {
    fn count(&mut self, is_hit: bool) {
        self.key_hits += u64::from(is_hit);
        self.key_misses += u64::from(!is_hit);
    }
}

impl Keyspace {
    /// Offers all allocations in turn to `mover`, from where `pass` stands, until the end or until `mover` says stop.
    /// Values of more than `at_once` allocations wait until their names come up. True when the pass is over.
    pub fn relocate(&mut self, pass: &mut Pass, at_once: usize, mover: &mut dyn Mover) -> bool {
        loop {
            if let Some(value) = pass.later.pop_front() {
                self.relocate_value(pass, value, mover);
            } else if let Some(db) = self.dbs.get_mut(pass.db) {
                db.relocate_bucket(pass, at_once, mover);
            } else {
                return true;
            }
            if !mover.goes_on() {
                return false;
            }
        }
    }

    /// Goes on with a value, if its key is still there.
    fn relocate_value(&mut self, pass: &mut Pass, value: Unfinished, mover: &mut dyn Mover) {
        let hash = self.hasher.hash(&value.key);
        let entry = self.dbs[value.db].dict.find_mut(hash, &value.key);
        let Some(held) = entry.and_then(Entry::held_mut) else {
            return;
        };
        let before = mover.moved();
        let cursor = held.relocate(value.cursor, mover);
        let is_hit = value.is_hit || mover.moved() > before;
        if cursor == 0 {
            return pass.count(is_hit);
        }
        pass.later.push_front(Unfinished {
            cursor,
            is_hit,
            ..value
        });
    }
}

impl Db {
    /// One bucket; then the next database.
    fn relocate_bucket(&mut self, pass: &mut Pass, at_once: usize, mover: &mut dyn Mover) {
        let cursor = pass.cursor;
        pass.cursor = self.dict.relocate_step(cursor, mover, &mut |entry, mover| {
            let before = mover.moved();
            entry.relocate(mover);
            let unfinished = relocate_held(entry, at_once, mover);
            let is_hit = mover.moved() > before;
            match unfinished {
                None => pass.count(is_hit),
                Some(cursor) => pass.later.push_back(Unfinished {
                    db: pass.db,
                    key: entry.key().into(),
                    cursor,
                    is_hit,
                }),
            }
        });
        if pass.cursor == 0 {
            pass.db += 1;
        }
    }
}

/// Sees to the value of an entry, unless it is big; the cursor to go on with, if there is more to do.
fn relocate_held(entry: &mut Entry, at_once: usize, mover: &mut dyn Mover) -> Option<u64> {
    let value = entry.held_mut()?;
    // Of seven entries in a bucket each may have a value that would take its time.
    if value.free_effort() > at_once || !mover.goes_on() {
        return Some(0);
    }
    Some(value.relocate(0, mover)).filter(|&cursor| cursor != 0)
}
