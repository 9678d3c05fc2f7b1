//! The drain: what a command changed, told to the rest of the world in one order.
//!
//! ```text
//!   Changes ──> 1 AOF and replicas ──> 2 keyspace events ──> 3 waiters
//! ```
//!
//! 1 what was propagated, else the command itself, as one unit once the outermost command is over; 2 events as messages
//! to subscribers; 3 clients blocked on keys that became ready (`blocking`). Watchers are served already: their keys'
//! versions have changed. A room that is not there yet costs its line nothing: `Changes` records only what somebody
//! follows.

use crate::command::row::{Flags, Row};
use crate::keyspace::changes::{Classes, Event, Propagated};
use crate::resp;
use crate::session::SessionId;

use super::Executor;

/// The command whose changes are drained.
#[derive(Clone, Copy)]
pub struct Cause<'a> {
    /// Who ran it.
    pub client: SessionId,
    /// In which database.
    pub db: usize,
    /// Its words.
    pub words: resp::Args<'a>,
    /// Its row.
    pub row: &'a Row,
    /// The count of changes from before it.
    pub dirty: u64,
    /// It is part of another command, with which its changes are handed on.
    pub nested: bool,
}

/// Drains the changes that a command has left behind.
pub fn drain(executor: &mut Executor, cause: Cause<'_>) {
    propagate(executor, &cause);
    publish(executor, Some(cause.client));
    executor.keys.changes.overridden = false;
}

/// Drains what happened outside any command: active expiry.
pub fn drain_background(executor: &mut Executor) {
    publish(executor, None);
    executor.settle(&mut Vec::new());
    executor.serve_ready();
    executor.run_released();
    executor.keys.changes.propagated.clear();
}

/// Drains what followed from an eviction: each deletion is a unit of its own, whatever the next command does. Clients
/// that waited for the key are served behind that command.
pub fn drain_eviction(executor: &mut Executor) {
    if executor.keys.changes.is_quiet() {
        return;
    }
    publish(executor, None);
    if !executor.keys.changes.propagated.is_empty() {
        hand_on(executor);
    }
}

/// Adds the command itself when it wrote and did not say otherwise; the outermost command hands all on as one unit.
fn propagate(executor: &mut Executor, cause: &Cause<'_>) {
    let changes = &mut executor.keys.changes;
    if !changes.followed {
        return;
    }
    if cause.row.flags.contains(Flags::WRITE) && changes.dirty != cause.dirty && !changes.overridden {
        let words: Vec<&[u8]> = cause.words.iter().collect();
        changes.propagate(cause.db, &words);
    }
    if !cause.nested {
        hand_on(executor);
    }
}

/// Gives what was propagated to those who follow. Several commands make one unit: followers run them as a transaction.
fn hand_on(executor: &mut Executor) {
    let mut unit = std::mem::take(&mut executor.keys.changes.propagated);
    if unit.len() > 1 {
        enclose(&mut unit);
    }
    #[cfg(test)]
    executor.journal.extend(unit.iter().cloned());
    unit.clear();
    executor.keys.changes.propagated = unit;
}

/// Puts a unit between MULTI and EXEC.
fn enclose(unit: &mut Vec<Propagated>) {
    let word = |db, word: &[u8]| Propagated {
        db,
        words: vec![word.into()],
    };
    let (first, last) = (unit[0].db, unit[unit.len() - 1].db);
    unit.insert(0, word(first, b"MULTI"));
    unit.push(word(last, b"EXEC"));
}

/// Sends the recorded events to their subscribers, in order. `client` is whose command caused them.
fn publish(executor: &mut Executor, client: Option<SessionId>) {
    if executor.keys.changes.events.is_empty() {
        return;
    }
    let mut events = std::mem::take(&mut executor.keys.changes.events);
    if !executor.pubsub.registry.is_empty() {
        events.iter().for_each(|event| announce(executor, client, event));
    }
    events.clear();
    executor.keys.changes.events = events;
}

/// One event as its messages: by key, then by event, as far as they are wanted.
fn announce(executor: &mut Executor, client: Option<SessionId>, event: &Event) {
    let (wanted, db, name) = (executor.keys.changes.wanted, event.db, event.name.as_bytes());
    let Executor { pubsub, sessions, .. } = executor;
    let mut send = |prefix: String, subject: &[u8], payload: &[u8]| {
        let channel = [prefix.as_bytes(), subject].concat();
        pubsub.publish(sessions, client, &channel, payload);
    };
    if wanted.contains(Classes::KEYSPACE) {
        send(format!("__keyspace@{db}__:"), &event.key, name);
    }
    if wanted.contains(Classes::KEYEVENT) {
        send(format!("__keyevent@{db}__:"), name, &event.key);
    }
}

impl Executor {
    /// Finishes what a command, nested ones included, has published: messages to its own client go behind its reply,
    /// subscribers too slow to follow are cleared away.
    #[inline]
    pub(super) fn settle(&mut self, reply: &mut Vec<u8>) {
        if !self.pubsub.is_settled() {
            self.settle_messages(reply);
        }
    }

    #[cold]
    fn settle_messages(&mut self, reply: &mut Vec<u8>) {
        self.pubsub.append_own(reply);
        self.stats.counters.net_output_bytes += self.pubsub.take_pushed_bytes();
        for slow in self.pubsub.take_cut_off() {
            self.cut_off(slow);
        }
    }
}
