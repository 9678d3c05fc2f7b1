//! `maxmemory-clients`: what all clients hold together, and closing the largest when that is too much.
//!
//! ```text
//!   a batch ends, input arrives, a push is queued ──> count that client anew ──> total ──end of turn──> over? close
//!   every second ──────────────────────────────────> count all                            largest class first
//! ```
//!
//! The sum is kept up to date client by client, so that a turn costs nothing for those it did not concern. Clients that
//! are exempt (CLIENT NO-EVICT) count, but are not closed. While there is no limit, nothing is counted.

use std::sync::Arc;

use crate::base::size_class::allocated;
use crate::base::units::Size;
use crate::command::connection::client::list::{Moment, write_line};
use crate::config::Config;
use crate::session::{ClientClass, Outlet, Session, SessionFlags, SessionId};

use crate::resp::Batch;

use super::Executor;
use super::outbox::{Outbox, is_noted, reply_bytes};

/// No limit is smaller, so that there is always a client that can raise it again.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;

/// What all clients hold.
#[derive(Default)]
pub struct ClientMemory {
    /// Most they may hold, if there is a limit.
    limit_bytes: Option<u64>,
    /// What they were found to hold.
    total_bytes: u64,
    /// When nobody was found who might be closed, Unix milliseconds.
    futile_ms: i64,
    /// Who is being served, and bytes of its that its session does not know of: of a command that is arriving, or of the
    /// replies to its batch so far.
    serving: Option<(SessionId, usize)>,
    /// Connections that were told to close and hold buffers still.
    leaving: Vec<Arc<Outbox>>,
}

/// Most that clients may hold together.
fn limit_bytes(config: &Config) -> Option<u64> {
    let bytes = match config.size("maxmemory-clients") {
        Size::Bytes(bytes) => bytes,
        Size::Percent(percent) => {
            let hundredfold = u128::from(config.memory("maxmemory")) * u128::from(percent);
            u64::try_from(hundredfold / 100).unwrap_or(u64::MAX)
        }
    };
    (bytes > 0).then(|| bytes.max(LIMIT_BYTES_MIN))
}

/// Whether a client counts.
fn counts(session: &Session) -> bool {
    session.outlet.is_some() && matches!(session.class(), ClientClass::Normal | ClientClass::Pubsub)
}

impl Executor {
    /// Takes the limit from the configuration.
    pub(super) fn limit_client_memory(&mut self) {
        self.client_memory.limit_bytes = limit_bytes(&self.config);
        self.pubsub
            .note_receivers(self.client_memory.limit_bytes.is_some());
        self.client_memory.futile_ms = 0;
        self.count_all_clients();
    }

    /// Counts what a client holds, beside `replies` that are about to be handed to it.
    #[inline]
    pub(super) fn count_client(&mut self, client: SessionId, replies: usize) {
        if self.client_memory.limit_bytes.is_some() {
            self.count(client, replies);
        }
    }

    /// A command that is still arriving takes so many bytes by now. Too many are not even waited for.
    pub(super) fn note_arriving(&mut self, client: SessionId, bytes: usize) {
        let outlet = self
            .sessions
            .get(client)
            .and_then(|session| session.outlet.as_ref());
        let known = outlet.map_or(0, |outlet| {
            let (used, free) = outlet.input_bytes();
            used + free
        });
        self.weigh(client, bytes.saturating_sub(known));
    }

    /// Counts a client with so many bytes that its session does not know of, and closes clients if that is too much.
    fn weigh(&mut self, client: SessionId, untold: usize) {
        self.count_client(client, untold);
        self.client_memory.serving = Some((client, untold));
        self.evict_clients(None);
        self.client_memory.serving = None;
    }

    /// Counts what a round's commands came in.
    #[inline]
    pub(super) fn count_round(&mut self, batches: &[(SessionId, Option<Box<Batch>>)]) {
        if self.client_memory.limit_bytes.is_some() {
            batches
                .iter()
                .filter_map(|(client, batch)| Some((*client, batch.as_ref()?)))
                .for_each(|(client, batch)| self.count_input(client, batch));
        }
    }

    fn count_input(&mut self, client: SessionId, batch: &Batch) {
        if let Some(session) = self.sessions.get_mut(client) {
            session.input_held = batch.input.capacity();
            self.count(client, reply_bytes(batch));
        }
    }

    /// Whether a client with such replies may have its next command run: not when it held the most, and all hold too much.
    /// Compat: clients are closed between any two commands, not just between turns.
    #[inline]
    pub(super) fn has_room(&mut self, client: SessionId, reply: &Vec<u8>) -> bool {
        self.client_memory.limit_bytes.is_none() || !is_noted(reply) || {
            self.weigh(client, allocated(reply.capacity()));
            self.sessions.contains(client)
        }
    }

    /// Large arguments are about to be run, which may have arrived too fast to be told of before.
    #[cold]
    pub(super) fn note_large(&mut self, client: SessionId, batch: &Batch) {
        if self.client_memory.limit_bytes.is_some() && self.sessions.contains(client) {
            let (bytes, _) = batch.input_bytes();
            self.note_arriving(client, bytes - batch.input.len());
        }
    }

    #[cold]
    fn count(&mut self, client: SessionId, replies: usize) {
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let bytes = if counts(session) {
            session.held_bytes() + replies
        } else {
            0
        };
        let before = std::mem::replace(&mut session.counted_bytes, bytes);
        self.client_memory.total_bytes = self.client_memory.total_bytes + bytes as u64 - before as u64;
    }

    /// Forgets what a client held that is gone.
    pub(super) fn uncount_client(&mut self, session: &Session) {
        self.client_memory.total_bytes -= session.counted_bytes as u64;
    }

    /// Remembers a connection that is told to close: what it holds comes back when it runs, and no key must go for that.
    pub(super) fn note_leaving(&mut self, client: SessionId) {
        if !self.evictor.is_limited() {
            return;
        }
        if let Some(outbox) = self.outbox(client).cloned() {
            self.client_memory.leaving.push(outbox);
        }
    }

    /// Bytes that come back as soon as connections run that were told to close. O(such connections).
    pub(super) fn leaving_bytes(&mut self) -> u64 {
        let leaving = &mut self.client_memory.leaving;
        leaving.retain(|outbox| outbox.held_bytes() > 0);
        leaving.iter().map(|outbox| outbox.held_bytes() as u64).sum()
    }

    /// Counts all clients anew. O(clients).
    pub(super) fn count_all_clients(&mut self) {
        // Those that have gone are forgotten, whether or not anybody asks.
        self.leaving_bytes();
        let limited = self.client_memory.limit_bytes.is_some();
        let mut total_bytes = 0;
        for (_, session) in self.sessions.iter_mut() {
            session.counted_bytes = if limited && counts(session) {
                session.held_bytes()
            } else {
                0
            };
            total_bytes += session.counted_bytes as u64;
        }
        self.client_memory.total_bytes = total_bytes;
    }

    /// Counts all clients anew, with the replies of this turn and what is being served.
    fn recount(&mut self) {
        self.count_all_clients();
        if let Some((client, untold)) = self.client_memory.serving {
            self.count(client, untold);
        }
        let finished = std::mem::take(&mut self.finished);
        for (client, batch) in &finished {
            self.count(*client, reply_bytes(batch));
        }
        self.finished = finished;
    }

    /// At the end of a turn, and before keys go: closes clients while they hold too much together, but for the one that is
    /// being served.
    #[inline]
    pub(super) fn evict_clients(&mut self, present: Option<SessionId>) {
        let Some(limit_bytes) = self.client_memory.limit_bytes else {
            return;
        };
        for client in self.pubsub.take_receivers() {
            self.count(client, 0);
        }
        if self.client_memory.total_bytes >= limit_bytes {
            self.evict_largest(limit_bytes, present);
        }
    }

    #[cold]
    fn evict_largest(&mut self, limit_bytes: u64, present: Option<SessionId>) {
        let now_ms = self.time_us() / 1000;
        if self.client_memory.futile_ms == now_ms {
            return;
        }
        // Some have been written to since they were counted.
        self.recount();
        let mut victims: Vec<(usize, SessionId)> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.counted_bytes > 0 && !s.flags.contains(SessionFlags::NO_EVICT))
            .map(|(client, session)| (session.counted_bytes, client))
            .filter(|(_, client)| Some(*client) != present)
            .collect();
        victims.sort_unstable_by(|a, b| b.cmp(a));
        for (_, victim) in victims {
            if self.client_memory.total_bytes < limit_bytes {
                return;
            }
            self.evict_client(victim);
        }
        if self.client_memory.total_bytes >= limit_bytes && present.is_none() {
            tracing::warn!("Over client maxmemory after evicting all evictable clients");
            self.client_memory.futile_ms = now_ms;
        }
    }

    fn evict_client(&mut self, client: SessionId) {
        let mut line = String::new();
        let moment = Moment {
            keys: &self.keys,
            now_ms: self.time_us() / 1000,
            reply_peak_ms: self.server.reply_peak.window_ms(),
        };
        write_line(&mut line, &self.sessions[client], &self.table, &moment);
        tracing::info!("Evicting client: {}", line.trim_end());
        self.stats.counters.evicted_clients += 1;
        self.kill(client);
        // Replies that are still here will not be sent.
        self.finished.retain(|(finished, _)| *finished != client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::mailbox::Mail;
    use crate::exec::testing::Scene;
    use crate::resp::{Limits, Parser};

    #[test]
    fn a_limit_may_be_a_share_and_is_never_tiny() {
        let mut config = Config::default();
        let mut limit = |maxmemory: &str, clients: &str| {
            assert!(config.assign("maxmemory", maxmemory.as_bytes()).is_ok());
            assert!(config.assign("maxmemory-clients", clients.as_bytes()).is_ok());
            limit_bytes(&config)
        };
        assert_eq!(limit("0", "0"), None);
        assert_eq!(limit("0", "50%"), None);
        assert_eq!(limit("100mb", "7%"), Some(7 << 20));
        assert_eq!(limit("100mb", "1"), Some(LIMIT_BYTES_MIN));
        assert_eq!(limit("0", "3mb"), Some(3 << 20));
    }

    /// A server with a big key and a limit, whose clients but for the first have connections.
    fn limited(clients: usize, limit: &str) -> Scene {
        let mut scene = Scene::new(clients);
        scene.turn(&format!(
            "a: CONFIG SET maxmemory-clients {limit};SETRANGE big 99999 x"
        ));
        for &client in &scene.clients[1..] {
            scene.executor.sessions[client].outlet = Some(Outbox::new(0, None));
        }
        scene
    }

    #[test]
    fn replies_count_while_their_batch_runs_and_who_has_too_many_goes_before_its_next_command() {
        let mut scene = limited(2, "512kb");
        scene.turn(&format!("b: {}", "INCR n;GET big;".repeat(30)));
        assert_eq!(scene.executor.stats.counters.evicted_clients, 1);
        let served = scene.turn("a: GET n");
        assert!(
            ["a: $1 4", "a: $1 5", "a: $1 6"].contains(&&*served[0]),
            "{served:?}"
        );
    }

    #[test]
    fn a_batch_whose_replies_go_out_first_counts_for_those_behind_it() {
        let mut scene = limited(3, "3mb");
        let gets = "GET big;".repeat(20);
        let survivors = scene.turn(&format!("b: {gets}\nc: {gets}"));
        // Each has a buffer of more than a megabyte and a half by then, of which the first is stopped.
        assert_eq!(scene.executor.stats.counters.evicted_clients, 1);
        assert_eq!(survivors.len(), 1, "what the other was to get is gone");
    }

    #[test]
    fn a_command_that_came_all_at_once_counts_before_it_is_run() {
        let mut scene = Scene::new(2);
        scene.turn("a: CONFIG SET maxmemory-clients 1mb");
        let hog = scene.clients[1];
        scene.executor.sessions[hog].outlet = Some(Outbox::new(0, None));
        let value = vec![b'x'; 2 << 20];
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len());
        let command = [head.as_bytes(), &value, b"\r\n"].concat();
        let (mut parser, mut batch, mut rest) = (Parser::new(), Box::<Batch>::default(), &command[..]);
        while batch.command_count() == 0 {
            let target = parser.read_target(&mut batch);
            let (now, later) = rest.split_at(rest.len().min(target.limit).min(16 * 1024));
            target.buf.extend_from_slice(now);
            rest = later;
            parser.parse(&mut batch, &Limits::default());
        }
        scene.open(&mut vec![Mail::Batch(hog, batch)]);
        assert_eq!(scene.executor.stats.counters.evicted_clients, 1);
        assert_eq!(scene.turn("a: DBSIZE"), ["a: :0"]);
    }
}
