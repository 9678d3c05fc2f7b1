//! `appendfsync always`: who waits for which sync.
//!
//! ```text
//! turn 1   A: SET k    B: GET x ──> goes out         group 1 { k }  ── sync ──┐
//! turn 2   C: SET y    D: GET k ──> waits for 1      group 2 { y }            │ done: A and D go out
//! turn 3   E: GET y ──> waits for 2                           └── sync ──> C and E
//! ```
//!
//! What is written while a sync is under way gathers in one group, which the next sync covers. A client waits if it has
//! written, or touched a key whose newest write is not durable yet, so that nobody is shown what a crash could take
//! back; all others go on. Keys are known by their hashes, whatever the database: a collision makes somebody wait in
//! vain. What has no keys of its own (KEYS, scripts, FLUSHALL) waits for, or counts as, everything.
//!
//! I1: `durable < gathering`. I2: the group under way, if there is one, is `gathering - 1`. I3: a session waits for
//! `log_awaited`, which is at most `gathering`.

use std::collections::HashSet;

use crate::command::row::Flags;
use crate::command::table::{Command, CommandId, is_positional};
use crate::resp::{self, Batch};
use crate::session::SessionId;

use super::super::Executor;
use super::super::dispatch::Resolved;
use super::crowd::Crowd;

/// Keys that were written.
#[derive(Default)]
struct Written {
    keys: HashSet<u64>,
    /// Everything may have been.
    all: bool,
    any: bool,
}

impl Written {
    fn holds(&self, hash: u64) -> bool {
        self.all || self.keys.contains(&hash)
    }

    fn clear(&mut self) {
        self.keys.clear();
        (self.all, self.any) = (false, false);
    }
}

/// What waits for a sync.
enum Held {
    Batch(Box<Batch>),
    /// Replies of a batch that has stopped half-way.
    Push(Vec<u8>),
}

/// Writes that are not durable, and who waits for them.
pub struct Guard {
    gathering: u64,
    durable: u64,
    now: Written,
    under_way: Written,
    held: Vec<(SessionId, Held)>,
    /// Who may be worth waiting for.
    pub crowd: Crowd,
}

impl Default for Guard {
    fn default() -> Guard {
        Guard {
            gathering: 1,
            durable: 0,
            now: Written::default(),
            under_way: Written::default(),
            held: Vec::new(),
            crowd: Crowd::default(),
        }
    }
}

impl Guard {
    /// Whether every write is durable.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        !self.now.any && !self.under_way.any
    }

    /// Whether anybody waits.
    #[inline]
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether replies to this client are kept, behind which others must wait, too.
    fn keeps(&self, client: SessionId) -> bool {
        self.held.iter().any(|&(kept, _)| kept == client)
    }

    /// Whether something has been written that no sync covers yet.
    pub fn has_gathered(&self) -> bool {
        self.now.any
    }

    /// From now on everything counts as not durable: the directive has just been set.
    pub fn distrust(&mut self) {
        (self.now.all, self.now.any) = (true, true);
    }

    /// A sync begins; its ticket.
    pub fn begin_sync(&mut self) -> u64 {
        std::mem::swap(&mut self.under_way, &mut self.now);
        self.now.clear();
        self.crowd.begin_sync();
        self.gathering += 1;
        self.gathering - 1
    }

    /// The sync with this ticket is done.
    pub fn note_synced(&mut self, ticket: u64) {
        self.durable = self.durable.max(ticket);
        if ticket + 1 == self.gathering {
            self.under_way.clear();
        }
    }

    /// Everything is durable, or need not be.
    pub fn settle(&mut self) {
        let ticket = self.begin_sync();
        self.note_synced(ticket);
    }

    /// The newest group that has written such a key, 0 for none.
    fn group_of(&self, hash: u64) -> u64 {
        if self.now.holds(hash) {
            self.gathering
        } else if self.under_way.holds(hash) {
            self.gathering - 1
        } else {
            0
        }
    }

    /// The newest group that has written anything.
    fn newest_group(&self) -> u64 {
        if self.now.any {
            self.gathering
        } else {
            self.gathering - 1
        }
    }
}

/// The words of a command that are keys; only for one whose keys have fixed places.
fn key_places(command: &Command, words: usize) -> impl Iterator<Item = usize> + use<> {
    let last = match command.last_key {
        last @ ..0 => words as i64 + i64::from(last),
        last => i64::from(last).min(words as i64 - 1),
    };
    let range = i64::from(command.first_key)..=last;
    range
        .step_by(command.key_step.max(1) as usize)
        .map(|place| place as usize)
}

impl Executor {
    /// Notes what a command that goes to the log has written, and that its client waits.
    #[cold]
    pub(in crate::exec) fn note_written<'a>(
        &mut self,
        client: Option<SessionId>,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        let words: Vec<&[u8]> = words.collect();
        let guard = &mut self.aof.guard;
        guard.now.any = true;
        match self.table.resolve(words[0], || words.get(1).copied()) {
            Some(Ok(command)) if is_positional(command) => {
                let hasher = self.keys.hasher();
                let hashes = key_places(command, words.len()).map(|place| hasher.hash(words[place]));
                guard.now.keys.extend(hashes);
            }
            _ => guard.now.all = true,
        }
        if let Some(session) = client.and_then(|client| self.sessions.get_mut(client)) {
            let before = std::mem::replace(&mut session.log_awaited, guard.gathering);
            if before != guard.gathering {
                guard.crowd.join(before + 1 == guard.gathering);
            }
        }
    }

    /// Makes a client wait that has touched keys whose newest write is not durable.
    #[cold]
    pub(in crate::exec) fn await_log(&mut self, client: SessionId, words: resp::Args<'_>, id: u16) {
        let command = self.table.command(CommandId(id));
        let (guard, hasher) = (&self.aof.guard, self.keys.hasher());
        let group = if is_positional(command) {
            let groups =
                key_places(command, words.len()).map(|place| guard.group_of(hasher.hash(words.get(place))));
            groups.max().unwrap_or(0)
        } else if command
            .row
            .flags
            .intersects(Flags::READONLY.with(Flags::WRITE).with(Flags::MOVABLE_KEYS))
        {
            guard.newest_group()
        } else {
            0
        };
        if let Some(session) = self.sessions.get_mut(client) {
            session.log_awaited = session.log_awaited.max(group);
        }
    }

    /// Whether somebody is answered in this turn who waits for no sync.
    pub(super) fn has_bystanders(&self) -> bool {
        self.finished.iter().any(|&(client, _)| !self.awaits_log(client))
    }

    fn awaits_log(&self, client: SessionId) -> bool {
        let session = self.sessions.get(client);
        session.is_some_and(|session| session.log_awaited > self.aof.guard.durable)
    }

    /// Keeps the finished batches whose clients wait, and lets those go that need not wait any longer.
    pub(super) fn hold_replies(&mut self) {
        let held = std::mem::take(&mut self.aof.guard.held);
        let fresh = std::mem::take(&mut self.finished);
        let fresh = fresh
            .into_iter()
            .map(|(client, batch)| (client, Held::Batch(batch)));
        for (client, held) in held.into_iter().chain(fresh) {
            if self.awaits_log(client) {
                self.aof.guard.held.push((client, held));
                continue;
            }
            match held {
                Held::Batch(batch) => self.finished.push((client, batch)),
                Held::Push(bytes) => {
                    if let Some(session) = self.sessions.get_mut(client) {
                        session.push(&bytes);
                    }
                }
            }
        }
    }

    /// The log is lost: a sync of it that is under way helps nobody who waits.
    pub(super) fn prolong_waits(&mut self) {
        let guard = &self.aof.guard;
        for &(client, _) in &guard.held {
            if let Some(session) = self.sessions.get_mut(client) {
                session.log_awaited = guard.gathering;
            }
        }
    }

    /// Keeps replies of a batch that stops half-way, if its client waits; what is left to send now.
    pub(in crate::exec) fn hold_push(&mut self, client: SessionId, bytes: Vec<u8>) -> Vec<u8> {
        let is_next = !self.aof.guard.keeps(client);
        if is_next && (self.aof.guard.is_quiet() || !self.awaits_log(client)) {
            return bytes;
        }
        self.aof.guard.held.push((client, Held::Push(bytes)));
        Vec::new()
    }

    /// Finds the row of a command by its words, if there is one.
    pub(in crate::exec) fn find(&self, words: resp::Args<'_>) -> Option<u16> {
        match self.resolve(words) {
            Resolved::Command(id) => Some(id),
            Resolved::Unknown | Resolved::UnknownSubcommand(_) => None,
        }
    }
}
