//! The drain: what a command changed, told to the rest of the world in one order.
//!
//! ```text
//!   Changes ──> 1 AOF and replicas ──> 2 caches ──> 3 keyspace events ──> 4 waiters
//! ```
//!
//! 1 what was propagated, else the command itself, as one unit once the outermost command is over; 2 clients that hold a
//! changed key in a cache (`tracking`); 3 events as messages to subscribers; 4 clients blocked on keys that became ready
//! (`blocking`). Watchers are served already: their keys' versions have changed. A room that is not there yet costs its
//! line nothing: `Changes` records only what somebody follows.

use crate::command::row::{Flags, Row};
#[cfg(test)]
use crate::keyspace::changes::Propagated;
use crate::keyspace::changes::{Audience, Classes, Event};
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
    executor.invalidate(Some(cause.client));
    publish(executor, Some(cause.client));
    executor.keys.changes.overridden = false;
}

/// Drains what happened outside any command: active expiry.
pub fn drain_background(executor: &mut Executor) {
    executor.invalidate(None);
    publish(executor, None);
    hand_on(executor, None, false);
    executor.settle(&mut Vec::new());
    executor.serve_ready();
    executor.run_released();
    executor.broadcast_invalidations();
}

/// Drains what followed from an eviction: each deletion is a unit of its own, whatever the next command does. Clients
/// that waited for the key are served behind that command. `client` is whose command memory is needed for.
pub fn drain_eviction(executor: &mut Executor, client: Option<SessionId>) {
    if executor.keys.changes.is_quiet() {
        return;
    }
    // Before the next command can store anew what caches hold of the key.
    executor.invalidate(client);
    publish(executor, client);
    hand_on(executor, None, false);
}

/// Adds the command itself when it wrote and did not say otherwise; the outermost command hands all on as one unit.
fn propagate(executor: &mut Executor, cause: &Cause<'_>) {
    let changes = &mut executor.keys.changes;
    if !changes.followed {
        return;
    }
    if cause.row.flags.contains(Flags::WRITE) && changes.dirty != cause.dirty && !changes.overridden {
        if changes.propagated.is_empty() && !cause.nested {
            // Alone, as most are: no copy on the way.
            let audience = changes.audience;
            return follow(
                executor,
                Some(cause.client),
                Some(cause.db),
                audience,
                cause.words.iter(),
            );
        }
        let words: Vec<&[u8]> = cause.words.iter().collect();
        changes.propagate(cause.db, &words);
    }
    if !cause.nested {
        hand_on(executor, Some(cause.client), true);
    }
}

/// Gives what was propagated to those who follow. Several commands of one `unit` they run as a transaction.
fn hand_on(executor: &mut Executor, client: Option<SessionId>, unit: bool) {
    if executor.keys.changes.propagated.is_empty() {
        return;
    }
    let mut commands = std::mem::take(&mut executor.keys.changes.propagated);
    let enclosed = unit && commands.len() > 1;
    let audience = commands
        .iter()
        .fold(Audience::empty(), |all, command| all | command.audience);
    if enclosed {
        follow(executor, client, None, audience, [&b"MULTI"[..]].into_iter());
    }
    for command in commands.drain(..) {
        let words = command.words.iter().map(|word| &**word);
        follow(executor, client, command.db, command.audience, words);
    }
    if enclosed {
        follow(executor, client, None, audience, [&b"EXEC"[..]].into_iter());
    }
    executor.keys.changes.propagated = commands;
}

/// One command for those who follow: what runs in no database of its own (`None`) is a bracket around others.
#[inline]
fn follow<'a>(
    executor: &mut Executor,
    client: Option<SessionId>,
    db: Option<usize>,
    audience: Audience,
    words: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) {
    #[cfg(test)]
    executor.journal.push(Propagated {
        db,
        words: words.clone().map(Into::into).collect(),
        audience,
    });
    if !audience.contains(Audience::LOG) {
        return;
    }
    let now_s = executor.now_unix_us / 1_000_000;
    executor.aof.append(db, words.clone(), now_s);
    if db.is_some() && executor.aof.is_strict() {
        executor.note_written(client, words);
    }
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
        if !self.pubsub.is_settled() || !self.own_invalidations.is_empty() {
            self.settle_messages(reply);
        }
    }

    #[cold]
    fn settle_messages(&mut self, reply: &mut Vec<u8>) {
        self.pubsub.append_own(reply);
        self.send_own_invalidations();
        self.pubsub.append_own(reply);
        self.stats.counters.net_output_bytes += self.pubsub.take_pushed_bytes();
        for slow in self.pubsub.take_cut_off() {
            self.cut_off(slow);
        }
    }
}
