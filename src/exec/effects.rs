//! The drain: what a command changed, told to the rest of the world in one order.
//!
//! ```text
//!   Changes ──> 1 AOF and replicas ──> 2 watchers ──> 3 keyspace events ──> 4 waiters
//! ```
//!
//! 1 what was propagated, else the command itself; 2 clients whose watched keys were touched; 3 events as messages to
//! subscribers; 4 clients blocked on keys that became ready. A room that is not there yet costs its line nothing:
//! `Changes` records only what somebody follows.

use crate::command::row::{Flags, Row};
use crate::resp;

use super::Executor;

/// Drains the changes that `words`, run in database `db`, left behind; `dirty` is the count from before it ran.
pub fn drain(executor: &mut Executor, db: usize, words: resp::Args<'_>, row: &Row, dirty: u64) {
    propagate(executor, db, words, row, dirty);
    publish(executor);
    let changes = &mut executor.keys.changes;
    changes.touched.clear();
    changes.overridden = false;
}

/// Drains what happened outside any command: active expiry.
pub fn drain_background(executor: &mut Executor) {
    publish(executor);
    let changes = &mut executor.keys.changes;
    changes.touched.clear();
    changes.propagated.clear();
}

/// Adds the command itself when it wrote and did not say otherwise, then hands all on.
fn propagate(executor: &mut Executor, db: usize, words: resp::Args<'_>, row: &Row, dirty: u64) {
    let changes = &mut executor.keys.changes;
    if !changes.followed {
        return;
    }
    if row.flags.contains(Flags::WRITE) && changes.dirty != dirty && !changes.overridden {
        let words: Vec<&[u8]> = words.iter().collect();
        changes.propagate(db, &words);
    }
    executor.propagated_count += changes.propagated.len() as u64;
    changes.propagated.clear();
}

/// Sends the recorded events to their subscribers.
fn publish(executor: &mut Executor) {
    executor.keys.changes.events.clear();
}
