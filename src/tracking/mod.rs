//! Who may hold which key in a cache of their own (CLIENT TRACKING), and whom a change therefore concerns.
//!
//! ```text
//!   table     key ──> [a, b]     noted by reads; a change takes the key out and tells a and b
//!   prefixes  "user:" ──> [c]    a change of any key below is kept until the end of the turn, then told in one message
//! ```
//!
//! A library of names and trackers' ids: it knows nothing of clients, messages or protocols. A tracker that leaves stays
//! in the table until its keys change, since finding all its keys would take long; who hands out the messages skips it.
//!
//! Costs: a noted key one map entry, about 100 bytes, with one tracker; 16 bytes for each further one. Imports: nothing.

mod prefixes;
mod table;

use std::hash::Hash;

pub use prefixes::{Overlap, Prefix, Prefixes};
pub use table::{Ids, Name, Table};

/// All that is tracked, by trackers called `Id`.
pub struct Tracking<Id> {
    /// Keys that reads have noted.
    pub table: Table<Id>,
    /// Prefixes that are listened to.
    pub prefixes: Prefixes<Id>,
    /// How many clients track, in either way.
    pub clients: usize,
    /// How many keys the table may hold; 0 for any number.
    pub keys_max: usize,
    /// How often in a row it was found too large, and not made small enough.
    pub overflows: usize,
}

impl<Id: Copy + Ord + Hash> Tracking<Id> {
    /// Nothing is tracked. `seed` makes the table's order repeatable.
    pub fn new(seed: u64) -> Tracking<Id> {
        Tracking {
            table: Table::new(seed),
            prefixes: Prefixes::default(),
            clients: 0,
            keys_max: 0,
            overflows: 0,
        }
    }

    /// A client tracks no more. O(listeners of its prefixes).
    pub fn leave(&mut self, id: Id) {
        self.clients -= 1;
        self.prefixes.leave(id);
    }

    /// Whether a change of a key concerns nobody.
    pub fn is_idle(&self) -> bool {
        self.clients == 0 && self.table.is_empty()
    }

    /// Whether the table holds more keys than it may.
    #[inline]
    pub fn is_over_limit(&self) -> bool {
        self.keys_max > 0 && self.table.len() > self.keys_max
    }
}
