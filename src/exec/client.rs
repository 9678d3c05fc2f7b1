//! Clients as the executor sees them come, finish a batch, wait out a pause, and go.

use std::sync::Arc;

use crate::command::cx::output_limit;
use crate::command::row::Flags;
use crate::command::transaction::discard_transaction;
use crate::resp::{self, Batch, Reply};
use crate::session::{INPUT_PEAK_MS, Outlet, Session, SessionFlags, SessionId};

use super::Executor;
use super::dispatch::Resolved;
use super::mailbox::NewClient;
use super::outbox::{Outbox, reply_bytes};

const DENIED: &str = "DENIED Russet is running in protected mode because protected mode is enabled and no password is \
    set for the default user. In this mode connections are only accepted from the loopback interface. To let other \
    machines connect: 1) run 'CONFIG SET protected-mode no' from this machine, and 'CONFIG REWRITE' to keep it; 2) or \
    set 'protected-mode no' in the configuration file; 3) or start the server with '--protected-mode no'; 4) or, \
    better, set a password for the default user.";

/// Replies of so few bytes pass any limit: Redis has a buffer of this size beside the list that it limits.
const UNCOUNTED_BYTES: usize = 16 * 1024;

impl Executor {
    /// Takes in a new connection, or sends it away with an error.
    pub fn admit_client(&mut self, new: NewClient) {
        let NewClient {
            addr,
            laddr,
            fd,
            unix,
            local,
            outbox,
            mut batch,
        } = new;
        if let Some(refusal) = self.refusal(unix || local) {
            self.stats.counters.rejected_connections += 1;
            Reply::new(&mut batch.reply, false).error(refusal);
            batch.close = true;
            return outbox.deliver(batch);
        }
        self.stats.counters.total_connections_received += 1;
        let now_ms = self.now_unix_us / 1000;
        let authenticated = self.acl.default_needs_no_password();
        let session = Session {
            flags: if unix {
                SessionFlags::UNIX_SOCKET
            } else {
                SessionFlags::empty()
            },
            authenticated,
            addr,
            laddr,
            fd,
            created_ms: now_ms,
            active_ms: now_ms,
            outlet: Some(Arc::clone(&outbox) as Arc<dyn Outlet>),
            // The greeting.
            batches_returned: 1,
            ..Session::internal()
        };
        let id = self.sessions.add(session);
        let slot = id.slot as usize;
        if self.outboxes.len() <= slot {
            self.outboxes.resize_with(slot + 1, || None);
        }
        self.outboxes[slot] = Some(Arc::clone(&outbox));
        outbox.introduce(id);
        self.count_client(id, 0);
        batch.authenticated = authenticated;
        outbox.deliver(batch);
    }

    fn refusal(&self, local: bool) -> Option<&'static str> {
        if self.sessions.len() as i64 >= self.config.int("maxclients") {
            return Some("ERR max number of clients reached");
        }
        let open = self.acl.default_needs_no_password() && self.config.bool("protected-mode");
        (open && !local).then_some(DENIED)
    }

    /// Forgets a client whose connection is gone.
    pub fn forget_client(&mut self, client: SessionId) {
        self.forget_wait(client);
        let Some(mut session) = self.sessions.remove(client) else {
            return;
        };
        self.uncount_client(&session);
        discard_transaction(&mut session, &mut self.keys);
        // Sessions without a connection never had one.
        if let Some(outbox) = self.outboxes.get_mut(client.slot as usize) {
            *outbox = None;
        }
        self.held.retain(|(held, _)| *held != client);
        self.pubsub.registry.leave(client);
        if session.flags.contains(SessionFlags::TRACKING) {
            self.tracking.leave(client);
        }
        if session.flags.contains(SessionFlags::MONITOR) {
            self.server.monitors -= 1;
        }
    }

    /// Ends a batch: its protocol error is answered, its size checked, and it waits for the end of the drain.
    pub(super) fn finish(&mut self, client: SessionId, mut batch: Box<Batch>) {
        if !self.sessions.contains(client) {
            return;
        }
        let session = &mut self.sessions[client];
        session.active_ms = self.now_unix_us / 1000;
        if session.flags.contains(SessionFlags::PAUSED) {
            if batch.reply.is_empty() {
                session.answering = false;
                return self.hold(client, batch);
            }
            // What was answered before the pause is not to wait for its end: the rest comes back to be held.
            session.flags.remove(SessionFlags::PAUSED);
        }
        let closing = session.flags.contains(SessionFlags::CLOSE_AFTER_REPLY);
        let done = batch.next >= batch.command_count();
        if done
            && !closing
            && let Some(error) = batch.error.take()
        {
            self.stats.record_error(b"ERR");
            let resp3 = session.resp == 3;
            Reply::new(&mut batch.reply, resp3).error(error.text());
            batch.close = true;
        }
        if batch.reply.len() + batch.unwritten > UNCOUNTED_BYTES
            && self.replies_too_much(client, batch.reply.len())
        {
            return self.cut_off(client);
        }
        let session = &mut self.sessions[client];
        session.batches_returned += 1;
        session.answering = false;
        batch.close |= closing;
        batch.authenticated = session.authenticated;
        session.input_total += batch.bytes_read as u64;
        session.output_total += batch.reply.len() as u64;
        let (now_ms, reply_ms) = (self.now_unix_us / 1000, self.server.reply_peak.window_ms());
        (session.input_used, session.input_held) = (0, 0);
        session.input_peak.note(
            batch.input.capacity().max(batch.bytes_read),
            now_ms,
            INPUT_PEAK_MS,
        );
        session.reply_peak.note(batch.reply.len(), now_ms, reply_ms);
        self.count_client(client, reply_bytes(&batch));
        let counters = &mut self.stats.counters;
        counters.net_input_bytes += std::mem::take(&mut batch.bytes_read) as u64;
        counters.total_reads_processed += u64::from(std::mem::take(&mut batch.reads));
        counters.net_output_bytes += batch.reply.len() as u64;
        counters.total_writes_processed += 1;
        self.finished.push((client, batch));
    }

    /// Whether replies of so many bytes, with what waits before them, exceed the hard limit of
    /// `client-output-buffer-limit`.
    #[cold]
    fn replies_too_much(&self, client: SessionId, replies: usize) -> bool {
        let limit = output_limit(&self.config, &self.sessions[client]);
        let waiting = self.outbox(client).map_or(0, |outbox| outbox.queued_bytes());
        limit.hard_bytes > 0 && (waiting + replies) as u64 > limit.hard_bytes
    }

    /// Whether a pause, or a MIGRATE under way, holds this command back; the client is marked as held then. One that would be refused anyway is
    /// refused at once.
    #[cold]
    pub(super) fn holds(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        command: Resolved,
        reply: &mut Vec<u8>,
    ) -> bool {
        let Resolved::Command(id) = command else {
            return false;
        };
        let flags = self.flags_in_force(client, id, words);
        let writes = flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE);
        let concerned = self.server.holds_all() || writes;
        if !concerned
            || self.sessions[client].flags.contains(SessionFlags::REPLICA)
            || self.admit(client, id, words, false, reply).is_err()
        {
            return false;
        }
        let session = &mut self.sessions[client];
        session.flags.insert(SessionFlags::PAUSED);
        session.last_command = Some(id);
        true
    }

    /// Keeps a batch until the pause is over; its connection looks out for a peer that gives up.
    fn hold(&mut self, client: SessionId, batch: Box<Batch>) {
        self.held.push_back((client, batch));
        if let Some(outbox) = self.outbox(client) {
            outbox.note_held();
        }
    }

    /// Runs the batches that a pause held back, once it is over.
    pub fn resume_held(&mut self) {
        let now_ms = self.now_unix_us / 1000;
        let ended = self.server.pause.take_if(|pause| pause.until_ms <= now_ms);
        // Whom a MIGRATE holds is looked at when it ends; who is held for a pause alone, when that does.
        if self.server.pause.is_some() || self.server.migrating && ended.is_none() {
            return;
        }
        let mut batches: Vec<_> = self.held.drain(..).collect();
        for (client, _) in &batches {
            if let Some(session) = self.sessions.get_mut(*client) {
                session.flags.remove(SessionFlags::PAUSED);
            }
        }
        if !batches.is_empty() {
            self.run_batches(&mut batches);
        }
    }

    /// How many clients a pause holds back.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Closes a client now or, when it is the one being served, once its reply is written.
    pub(super) fn close_client(&mut self, client: SessionId, current: SessionId) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        if client == current || self.running.as_ref().is_some_and(|r| r.client == client) {
            session.flags.insert(SessionFlags::CLOSE_AFTER_REPLY);
            return;
        }
        session.flags.insert(SessionFlags::CLOSING);
        if let Some(outlet) = &session.outlet {
            outlet.close();
        }
        self.note_leaving(client);
        self.forget_client(client);
    }

    /// Closes a client that speaks HTTP before what it sent is taken for commands; warns once a minute.
    #[cold]
    pub(super) fn cut_off_browser(&mut self, client: SessionId) {
        const SILENCE_S: i64 = 60;
        let now_s = self.now_unix_us / 1_000_000;
        if (now_s - self.browser_warned_s).abs() > SILENCE_S {
            self.browser_warned_s = now_s;
            let addr = &self.sessions[client].addr;
            tracing::warn!(
                "Possible SECURITY ATTACK detected. A client sent POST or Host: as a command, as a browser does that a \
                 page has pointed at this server (cross-protocol scripting). Connection from {addr} aborted."
            );
        }
        self.close_client(client, client);
    }

    /// Closes a client that reads more slowly than it is sent to.
    pub(super) fn cut_off(&mut self, client: SessionId) {
        self.stats.counters.client_output_buffer_limit_disconnections += 1;
        tracing::warn!("Client closed for overcoming of output buffer limits.");
        self.kill(client);
    }

    /// The outbox of a client.
    pub fn outbox(&self, client: SessionId) -> Option<&Arc<Outbox>> {
        self.outboxes.get(client.slot as usize)?.as_ref()
    }
}
