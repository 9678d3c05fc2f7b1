//! Client-side caching: noting what clients read, and telling them what to forget.
//!
//! ```text
//!   read ──> table                       change ──drain──> table ──> each reader: now, or behind the own reply
//!                                               └────────> prefixes ──end of turn──> each listener: one message
//!   RESP3   >2 invalidate [key ...]      RESP2, to who is told instead   *3 message __redis__:invalidate [key ...]
//! ```
//!
//! Changes reach this file through `Changes::modified`, with the drain. Who makes a change that concerns itself is told
//! behind the reply of its outermost command; everybody else at once. A flush concerns all who track: the message says
//! nil in place of keys.
//!
//! Costs: while nobody tracks, a test for each change and one for each command. Not here: what is tracked (the room
//! `tracking`), and the switches (`command/connection/client/tracking.rs`).

use crate::command::row::{Access, Flags, KeySpec};
use crate::command::table::{Command, CommandId, is_positional, key_positions};
use crate::keyspace::modified::Change;
use crate::resp::{self, Reply};
use crate::session::{Session, SessionFlags, SessionId};
use crate::tracking::{Ids, Name, Prefix};

use super::Executor;

/// What a cache is to forget.
pub enum Forget {
    /// One key.
    Key(Name),
    /// Everything.
    All,
}

/// The same in a message.
#[derive(Clone, Copy)]
enum Payload<'a> {
    /// An array of keys, already RESP.
    Keys(&'a [u8]),
    All,
}

/// The channel of messages in RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Keys taken out of a table that is too large, for each time it was found so in a row.
const EFFORT_KEYS: usize = 100;

/// Reading.
impl Executor {
    /// Notes the keys that a tracking client has read, unless its mode says otherwise.
    #[cold]
    pub(super) fn note_read(&mut self, client: SessionId, id: u16, words: resp::Args<'_>) {
        let command = self.table.command(CommandId(id));
        let flags = command.row.flags;
        // Scripts that only read read with commands of their own. Only they read and are closed to scripts.
        if !flags.contains(Flags::READONLY) || flags.contains(Flags::NOSCRIPT) {
            return;
        }
        let caches = self.sessions.get(client).is_some_and(caches_next);
        if caches {
            let table = &mut self.tracking.table;
            for_each_key(command, words, |key| {
                table.note(key, client);
            });
        }
    }

    /// CLIENT CACHING holds no longer, unless it is still to hold for a transaction.
    #[cold]
    pub(super) fn spend_caching(&mut self, client: SessionId, flags: Flags) {
        if let Some(session) = self.sessions.get_mut(client)
            && session.multi < 0
            && !flags.contains(Flags::KEEPS_CACHING)
        {
            session.flags.remove(SessionFlags::TRACKING_CACHING);
        }
    }
}

/// Whether the client is told of the keys of this command.
fn caches_next(session: &Session) -> bool {
    let flags = session.flags;
    let said = flags.contains(SessionFlags::TRACKING_CACHING);
    flags.contains(SessionFlags::TRACKING)
        && !flags.contains(SessionFlags::TRACKING_BCAST)
        && (said || !flags.contains(SessionFlags::TRACKING_OPTIN))
        && !(said && flags.contains(SessionFlags::TRACKING_OPTOUT))
}

fn for_each_key(command: &Command, words: resp::Args<'_>, mut visit: impl FnMut(&[u8])) {
    if is_positional(command) && command.first_key == command.last_key {
        if let Some(key) = words.try_get(command.first_key as usize) {
            visit(key);
        }
        return;
    }
    let is_key = |spec: &KeySpec| !spec.access.contains(Access::NOT_KEY);
    let found = key_positions(command, words.len(), |at| words.get(at).to_vec());
    for (at, _) in found.iter().flatten().filter(|(_, spec)| is_key(spec)) {
        visit(words.get(*at));
    }
}

/// Changes.
impl Executor {
    /// Tells of the changes since the last drain. `client` is whose command made them.
    #[inline]
    pub(super) fn invalidate(&mut self, client: Option<SessionId>) {
        if !self.keys.changes.modified.is_empty() {
            self.tell_changes(client);
        }
    }

    #[cold]
    fn tell_changes(&mut self, client: Option<SessionId>) {
        let mut modified = std::mem::take(&mut self.keys.changes.modified);
        // Compat: what its script changes is a client told in spite of NOLOOP, below prefixes.
        let in_script = |id: &SessionId| self.sessions[*id].flags.contains(SessionFlags::SCRIPT);
        let author = client.filter(|client| !in_script(client));
        for change in modified.changes() {
            match change {
                Change::Key { name, by_command } => {
                    let key = modified.name(name);
                    self.tracking.prefixes.change(key, author.filter(|_| *by_command));
                    if let Some(ids) = self.tracking.table.take(key) {
                        self.forget_key(client, key, &ids, SessionFlags::TRACKING_NOLOOP);
                    }
                }
                Change::All => self.forget_all(client),
            }
        }
        modified.clear();
        self.keys.changes.modified = modified;
        self.keys.changes.tracked = !self.tracking.is_idle();
    }

    /// Tells those who have read a key that it is another now. What concerns the running client itself waits for its
    /// reply, and is left out when the client has one of the modes `spared`.
    fn forget_key(
        &mut self,
        running: Option<SessionId>,
        key: &[u8],
        readers: &Ids<SessionId>,
        spared: SessionFlags,
    ) {
        let message = array_of([key].into_iter());
        for &reader in readers.as_slice() {
            let Some(session) = self.sessions.get(reader) else {
                continue;
            };
            let flags = session.flags;
            // Compat: what it read before it took to prefixes is forgotten in silence.
            if !flags.contains(SessionFlags::TRACKING) || flags.contains(SessionFlags::TRACKING_BCAST) {
                continue;
            }
            if running != Some(reader) {
                self.tell(running, reader, Payload::Keys(&message));
            } else if !flags.intersects(spared) {
                self.own_invalidations.push((reader, Forget::Key(key.into())));
            }
        }
    }

    /// Tells all who track to forget everything.
    fn forget_all(&mut self, running: Option<SessionId>) {
        let tracking = self
            .sessions
            .iter()
            .filter(|(_, session)| session.flags.contains(SessionFlags::TRACKING));
        let clients: Vec<SessionId> = tracking.map(|(client, _)| client).collect();
        for client in clients {
            if running == Some(client) {
                self.own_invalidations.push((client, Forget::All));
            } else {
                self.tell(running, client, Payload::All);
            }
        }
        self.free_tracking_table();
    }

    /// Tells the running client what waited for its reply.
    pub(super) fn send_own_invalidations(&mut self) {
        for (client, forget) in std::mem::take(&mut self.own_invalidations) {
            match forget {
                Forget::Key(key) => {
                    let message = array_of([&*key].into_iter());
                    self.tell(Some(client), client, Payload::Keys(&message));
                }
                Forget::All => self.tell(Some(client), client, Payload::All),
            }
        }
    }

    /// At the end of a turn: tells of the changes below prefixes.
    #[inline]
    pub(super) fn broadcast_invalidations(&mut self) {
        if self.tracking.prefixes.is_dirty() {
            self.broadcast();
        }
    }

    #[cold]
    fn broadcast(&mut self) {
        for prefix in self.tracking.prefixes.take_changes() {
            let all = array_of(prefix.changed.keys().map(|key| &**key));
            for &listener in &prefix.listeners {
                let noloop = |session: &Session| session.flags.contains(SessionFlags::TRACKING_NOLOOP);
                if !self.sessions.get(listener).is_some_and(noloop) {
                    self.tell(None, listener, Payload::Keys(&all));
                } else if let Some(others) = changed_by_others(&prefix, listener) {
                    self.tell(None, listener, Payload::Keys(&others));
                }
            }
        }
        self.settle(&mut Vec::new());
    }

    /// Sends a message to a tracking client, or to the one that is told in its place.
    fn tell(&mut self, running: Option<SessionId>, client: SessionId, payload: Payload<'_>) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let (redirect, resp3) = (session.redirect, session.resp == 3);
        let Some(target) = self.sessions.get(redirect.unwrap_or(client)) else {
            return self.tell_broken(running, client);
        };
        let subscribed = redirect.is_some() && target.flags.contains(SessionFlags::PUBSUB);
        if target.resp < 3 && !subscribed {
            // In RESP2 there is no message that could not be taken for a reply.
            return;
        }
        let message = invalidation(target.resp == 3, resp3, payload);
        let Executor { pubsub, sessions, .. } = self;
        pubsub.send_to(sessions, running, redirect.unwrap_or(client), &message);
    }

    /// The client that should be told in its place is gone: that is news to a client that can be told.
    fn tell_broken(&mut self, running: Option<SessionId>, client: SessionId) {
        let session = &mut self.sessions[client];
        session.flags.insert(SessionFlags::TRACKING_BROKEN);
        if session.resp == 3 {
            let mut message = Vec::new();
            let mut reply = Reply::new(&mut message, true);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.int(session.redirect_shown());
            let Executor { pubsub, sessions, .. } = self;
            pubsub.send_to(sessions, running, client, &message);
        }
    }
}

/// The table's size.
impl Executor {
    /// Takes keys out of a table that is too large, before a command of `client`; whoever has read them is told.
    #[cold]
    pub(super) fn limit_tracking_table_for(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        self.shrink_tracking_table(Some(client));
        self.settle(reply);
    }

    /// The same between commands.
    pub(super) fn limit_tracking_table(&mut self) {
        if self.tracking.is_over_limit() {
            self.shrink_tracking_table(None);
            self.settle(&mut Vec::new());
        } else {
            self.tracking.overflows = 0;
        }
    }

    fn shrink_tracking_table(&mut self, running: Option<SessionId>) {
        let effort = EFFORT_KEYS * (self.tracking.overflows + 1);
        for _ in 0..effort {
            if !self.tracking.is_over_limit() {
                self.tracking.overflows = 0;
                return;
            }
            let at = self.rng.index(self.tracking.table.len());
            if let Some((key, readers)) = self.tracking.table.take_at(at) {
                // No change of the client's own, although its command runs.
                self.forget_key(running, &key, &readers, SessionFlags::empty());
            }
        }
        self.tracking.overflows += 1;
    }

    /// Empties the table; a large one is freed elsewhere.
    fn free_tracking_table(&mut self) {
        let table = self.tracking.table.take_all();
        let objects = table.len();
        self.keys.free_elsewhere(table, objects);
    }

    /// Once nobody tracks any more, what was noted is of no use.
    pub(super) fn end_idle_tracking(&mut self) {
        if self.tracking.clients == 0 && !self.tracking.table.is_empty() {
            self.free_tracking_table();
            self.keys.changes.tracked = false;
        }
    }
}

/// The keys that others than `listener` have changed last; `None` for none.
fn changed_by_others(prefix: &Prefix<SessionId>, listener: SessionId) -> Option<Vec<u8>> {
    let others = prefix.changed.iter().filter(|(_, by)| **by != Some(listener));
    let keys: Vec<&[u8]> = others.map(|(key, _)| &**key).collect();
    (!keys.is_empty()).then(|| array_of(keys.into_iter()))
}

fn array_of<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, false);
    reply.array(keys.len());
    keys.for_each(|key| reply.bulk(key));
    out
}

/// The message in the protocol of who is told. Compat: that everything is to be forgotten is said in that of who tracks.
fn invalidation(resp3: bool, tracks_in_resp3: bool, payload: Payload<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, resp3);
    if resp3 {
        reply.push(2);
        reply.bulk(b"invalidate");
    } else {
        reply.array(3);
        reply.bulk(b"message");
        reply.bulk(CHANNEL);
    }
    match payload {
        Payload::Keys(array) => reply.raw(array),
        Payload::All => Reply::new(&mut out, tracks_in_resp3).null(),
    }
    out
}
