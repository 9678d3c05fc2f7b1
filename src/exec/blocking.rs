//! Clients that wait for a key: who waits for what, in which order they are served, and when they give up.
//!
//! ```text
//!   waiters[client]  keys, deadline, the batch that its command stopped        lines      (key, ticket) ──> client
//!                                                                              deadlines  (ms, ticket)  ──> client
//!
//!   a command makes keys ready ──> for each key, oldest first ──> for each client in its line ──> run its command again
//!                     ^                                                                               │
//!                     └──────────── which may make further keys ready (BLMOVE) ───────────────────────┘
//! ```
//!
//! The ready keys are served when the command, transaction or script that made them ready is over and before anybody
//! else's next command. A client whose command blocks again keeps its ticket, so its place in every line, and its
//! deadline. One that is served leaves all lines; the commands behind go on once the commands under way are through.
//!
//! I1: a session has the flag `BLOCKED` exactly while it has a waiter here and its command is not being run again. I2:
//! `lines` has an entry for each of a waiter's keys, `deadlines` one if it has a deadline. I3: a waiter has its batch,
//! but while its command runs.
//!
//! Costs: to block, be served or give up is O(keys * log(waiters)); a command that makes nothing ready pays a branch.

use std::collections::BTreeMap;

use crate::command::blocking::{BlockOn, Nil};
use crate::command::error::Error;
use crate::keyspace::interest::SlotId;
use crate::resp::{ArgBuf, Batch, Reply};
use crate::session::{SessionFlags, SessionId};
use crate::value::Kind;

use super::Executor;
use super::dispatch::{Resolved, Run};

const UNBLOCKED: Error = Error::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");

/// Who waits for what.
#[derive(Default)]
pub struct Blocking {
    /// By session slot.
    waiters: Vec<Option<Box<Waiter>>>,
    lines: BTreeMap<(SlotId, u64), SessionId>,
    deadlines: BTreeMap<(i64, u64), SessionId>,
    last_ticket: u64,
    /// The command that has just run has blocked its client.
    pub(super) just_blocked: bool,
    serving: bool,
    /// Batches of clients that wait no longer, to go on.
    released: Vec<(SessionId, Box<Batch>)>,
}

/// One client's wait.
struct Waiter {
    client: SessionId,
    /// Its place in every line: tickets are given out in order.
    ticket: u64,
    keys: Vec<SlotId>,
    kind: Kind,
    when_gone: bool,
    until_ms: Option<i64>,
    on_timeout: Nil,
    command: u16,
    /// The words to run, if not those of the batch.
    words: Option<ArgBuf>,
    /// How long its command has run so far.
    spent_ns: u64,
    batch: Option<Box<Batch>>,
}

/// How a wait ends before a key is ready.
#[derive(Clone, Copy)]
enum Vain {
    Timeout,
    Error,
}

impl Blocking {
    fn get(&mut self, client: SessionId) -> Option<&mut Waiter> {
        let waiter = self.waiters.get_mut(client.slot as usize)?.as_deref_mut()?;
        (waiter.client == client).then_some(waiter)
    }

    fn put(&mut self, waiter: Waiter) {
        let slot = waiter.client.slot as usize;
        if self.waiters.len() <= slot {
            self.waiters.resize_with(slot + 1, || None);
        }
        self.waiters[slot] = Some(Box::new(waiter));
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// The first in the line of a key whose ticket is `from` or later.
    fn next_in_line(&self, key: SlotId, from: u64) -> Option<(u64, SessionId)> {
        let mut rest = self.lines.range((key, from)..=(key, u64::MAX));
        rest.next().map(|(&(_, ticket), &client)| (ticket, client))
    }

    /// When the first client gives up, in Unix milliseconds.
    pub fn first_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Which wait a client is in.
    pub(super) fn ticket_of(&mut self, client: SessionId) -> Option<u64> {
        self.get(client).map(|waiter| waiter.ticket)
    }

    /// How long the command of a client that is being served has run before.
    pub(super) fn spent_ns(&mut self, client: SessionId) -> u64 {
        self.get(client).map_or(0, |waiter| waiter.spent_ns)
    }
}

/// Beginning to wait.
impl Executor {
    /// Lets `client`, whose command says so, wait; one that is served just now goes on waiting.
    pub(super) fn block(&mut self, client: SessionId, on: BlockOn, command: u16) {
        self.sessions[client].flags.insert(SessionFlags::BLOCKED);
        self.blocking.just_blocked = true;
        let words = on.words.as_deref().map(arguments);
        if let Some(waiter) = self.blocking.get(client) {
            if words.is_some() {
                waiter.words = words;
            }
            return;
        }
        let ticket = self.blocking.ticket();
        let keys = self.queue_up(client, &on, ticket);
        if let Some(at) = on.until_ms {
            self.blocking.deadlines.insert((at, ticket), client);
            self.server.blocked_with_deadline += 1;
        }
        self.blocking.put(Waiter {
            client,
            ticket,
            keys,
            kind: on.kind,
            when_gone: on.when_gone,
            until_ms: on.until_ms,
            on_timeout: on.on_timeout,
            command,
            words,
            spent_ns: 0,
            batch: None,
        });
    }

    /// Takes a place in the line of every key, once.
    fn queue_up(&mut self, client: SessionId, on: &BlockOn, ticket: u64) -> Vec<SlotId> {
        let db = self.sessions[client].db;
        let mut slots = Vec::with_capacity(on.keys.len());
        for key in &on.keys {
            let slot = self.keys.changes.wait(db, key, on.when_gone);
            if self.blocking.lines.insert((slot, ticket), client).is_none() {
                slots.push(slot);
            } else {
                self.keys.changes.unwait(slot, on.when_gone);
            }
        }
        slots
    }

    /// A command that blocked has run for so long.
    #[cold]
    pub(super) fn note_blocked(&mut self, client: SessionId, spent_ns: u64) {
        if let Some(waiter) = self.blocking.get(client) {
            waiter.spent_ns += spent_ns;
        }
    }

    /// Keeps the batch of a client that has just blocked. What was answered before goes out now, and its connection
    /// looks out for a peer that gives up.
    pub(super) fn park(&mut self, client: SessionId, mut batch: Box<Batch>) {
        self.blocking.just_blocked = false;
        let session = &mut self.sessions[client];
        session.answering = false;
        if !batch.reply.is_empty() && session.outlet.is_some() {
            self.stats.counters.net_output_bytes += batch.reply.len() as u64;
            let replies = self.hold_push(client, std::mem::take(&mut batch.reply));
            self.sessions[client].push(&replies);
        }
        if let Some(outbox) = self.outbox(client) {
            outbox.note_held();
        }
        if let Some(waiter) = self.blocking.get(client) {
            waiter.batch = Some(batch);
        }
    }
}

/// Serving.
impl Executor {
    /// Serves the clients whose keys are ready, and those whose keys that makes ready, until all is quiet. While a
    /// pause lasts they wait on.
    #[inline]
    pub(super) fn serve_ready(&mut self) {
        if self.keys.changes.interest.is_any_ready() {
            self.serve_ready_keys();
        }
    }

    /// The same behind a command of `client`, whose next ones follow: what it hears of it comes before what those do.
    #[inline]
    pub(super) fn serve_ready_behind(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        if self.keys.changes.interest.is_any_ready() {
            self.pubsub.begin_between(client);
            self.serve_ready_keys();
            self.pubsub.end_between(reply);
        }
    }

    #[cold]
    fn serve_ready_keys(&mut self) {
        // Who gets a turn in the middle of a script serves nobody: the script comes first.
        if self.blocking.serving || self.server.is_holding() || self.running.is_some() {
            return;
        }
        self.blocking.serving = true;
        self.catch_up();
        while let Some(key) = self.keys.changes.interest.next_ready() {
            self.serve_line(key);
            self.keys.changes.interest.served(key);
        }
        self.blocking.serving = false;
    }

    /// Sets the clock anew when the command that made keys ready has taken long: they may have expired meanwhile.
    fn catch_up(&mut self) {
        const LONG_NS: u64 = 10_000_000;
        let late_ns = self.ticks.nanos_between(self.time_set, self.ticks.raw());
        if late_ns >= LONG_NS {
            self.set_time_us(self.time_us() + (late_ns / 1000) as i64);
        }
    }

    /// Serves those who wait for one key, first come first, as far as what it holds goes.
    fn serve_line(&mut self, key: SlotId) {
        let mut from = 0;
        while let Some((ticket, client)) = self.blocking.next_in_line(key, from) {
            from = ticket + 1;
            let Some((found, tells_when_gone)) = self.look_at(key) else {
                return;
            };
            let Some(waiter) = self.blocking.get(client) else {
                continue;
            };
            if waiter.when_gone || found == Some(waiter.kind) {
                self.serve(client);
            } else if found.is_none() && !tells_when_gone {
                return;
            }
        }
    }

    /// What a key holds, and whether somebody waits who is to be told that it holds nothing.
    fn look_at(&self, key: SlotId) -> Option<(Option<Kind>, bool)> {
        let slot = self.keys.changes.interest.slot(key)?;
        Some((self.keys.kind_of(slot.db, &slot.key), slot.tells_when_gone()))
    }

    /// Runs the command of a blocked client again.
    pub(super) fn serve(&mut self, client: SessionId) {
        let Some(waiter) = self.blocking.get(client) else {
            return;
        };
        let (command, words) = (waiter.command, waiter.words.take());
        let Some(mut batch) = waiter.batch.take() else {
            return;
        };
        let session = &mut self.sessions[client];
        let migrating = session.flags.contains(SessionFlags::MIGRATING);
        session
            .flags
            .remove(SessionFlags::BLOCKED | SessionFlags::MIGRATING);
        session.answering = true;
        let mut reply = std::mem::take(&mut batch.reply);
        let args = words
            .as_ref()
            .map_or_else(|| batch.command(batch.next), ArgBuf::args);
        let run = Run {
            may_block: true,
            rerun: true,
            ..Run::default()
        };
        if migrating {
            // It is over: no gate is to keep the client from hearing how it ended.
            self.tick = self.ticks.raw();
            self.run_admitted(client, args, command, run, &mut reply, None);
        } else {
            self.run_planned(client, args, Resolved::Command(command), run, &mut reply, None);
        }
        self.settle(&mut reply);
        batch.reply = reply;
        self.after_serving(client, batch, words);
    }

    fn after_serving(&mut self, client: SessionId, batch: Box<Batch>, words: Option<ArgBuf>) {
        if !std::mem::take(&mut self.blocking.just_blocked) {
            return self.release(client, batch);
        }
        if let Some(waiter) = self.blocking.get(client) {
            waiter.batch = Some(batch);
            waiter.words = waiter.words.take().or(words);
            self.sessions[client].answering = false;
        }
    }
}

/// Ends of waiting.
impl Executor {
    /// Ends the waits whose time is up.
    pub(super) fn end_waits(&mut self) {
        let now_ms = self.time_us() / 1000;
        // Compat: not yet in the millisecond itself, so that nobody waits less than asked for.
        while let Some((&(_, _), &client)) = self
            .blocking
            .deadlines
            .first_key_value()
            .filter(|((at, _), _)| *at < now_ms)
        {
            self.wait_in_vain(client, Vain::Timeout);
        }
    }

    /// Ends a wait as CLIENT UNBLOCK asks.
    pub(super) fn unblock(&mut self, client: SessionId, with_error: bool) {
        let end = if with_error { Vain::Error } else { Vain::Timeout };
        self.wait_in_vain(client, end);
    }

    fn wait_in_vain(&mut self, client: SessionId, end: Vain) {
        let Some(waiter) = self.blocking.get(client) else {
            return;
        };
        let (command, spent_ns, on_timeout) = (waiter.command, waiter.spent_ns, waiter.on_timeout);
        let Some(mut batch) = waiter.batch.take() else {
            return;
        };
        let session = &mut self.sessions[client];
        let (flags, resp3) = (session.flags, session.resp == 3);
        session.flags.remove(SessionFlags::BLOCKED);
        session.answering = true;
        let replied = batch.reply.len();
        match end {
            Vain::Timeout => on_timeout.write(&mut Reply::new(&mut batch.reply, resp3)),
            Vain::Error => {
                self.stats.commands.record_failed(command);
                self.write_error(client, &UNBLOCKED, &mut batch.reply);
            }
        }
        self.stats.counters.total_commands_processed += 1;
        self.stats.commands.record(command, spent_ns);
        self.silence(client, flags, replied, &mut batch.reply);
        self.release(client, batch);
    }

    /// Lets a client go on whose command is answered.
    fn release(&mut self, client: SessionId, mut batch: Box<Batch>) {
        self.forget_wait(client);
        batch.next += 1;
        self.blocking.released.push((client, batch));
    }

    /// Takes a client out of all lines.
    pub(super) fn forget_wait(&mut self, client: SessionId) {
        if self.blocking.get(client).is_none() {
            return;
        }
        let Some(waiter) = self.blocking.waiters[client.slot as usize].take() else {
            return;
        };
        for &key in &waiter.keys {
            self.blocking.lines.remove(&(key, waiter.ticket));
            self.keys.changes.unwait(key, waiter.when_gone);
        }
        if let Some(at) = waiter.until_ms {
            self.blocking.deadlines.remove(&(at, waiter.ticket));
            self.server.blocked_with_deadline -= 1;
        }
    }

    /// The batches of those who wait no longer.
    #[inline]
    pub(super) fn take_released(&mut self) -> Vec<(SessionId, Box<Batch>)> {
        std::mem::take(&mut self.blocking.released)
    }
}

fn arguments(words: &[Box<[u8]>]) -> ArgBuf {
    let mut buffer = ArgBuf::new();
    words.iter().for_each(|word| buffer.push(word));
    buffer
}

#[cfg(test)]
mod tests {
    use crate::exec::mailbox::Mail;
    use crate::exec::testing::Scene;

    /// `RENAME spare k` with `spare` set anew: `k` comes into being and is ready.
    fn make(keys: &str) -> String {
        let make = |key| format!("SET spare 1;RENAME spare {key}");
        keys.split(' ').map(make).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn clients_are_served_in_the_order_they_came() {
        let mut scene = Scene::new(4);
        assert_eq!(scene.turn("a: TAKE k 0;PING\nb: TAKE other k 0"), [""; 0]);
        assert_eq!(
            scene.turn(&format!("c: {}\nd: EXISTS k", make("k k"))),
            ["c: +OK +OK +OK +OK", "d: :0", "a: $1 k +PONG", "b: $1 k"]
        );
        assert!(scene.executor.blocking.lines.is_empty());
    }

    #[test]
    fn one_drain_may_block_and_serve_and_what_was_answered_before_is_kept() {
        let mut scene = Scene::new(2);
        assert_eq!(
            scene.turn(&format!("a: PING;TAKE k 0;PING;TAKE k 0\nb: {}", make("k"))),
            ["b: +OK +OK"]
        );
        assert_eq!(
            scene.turn(&format!("b: {}", make("k"))),
            ["b: +OK +OK", "a: +PONG $1 k +PONG $1 k"]
        );
    }

    #[test]
    fn serving_one_may_make_another_ready() {
        let mut scene = Scene::new(4);
        scene.turn("a: TAKE c 0\nb: TAKETO b c 0\nc: TAKETO a b 0");
        assert_eq!(
            scene.turn(&format!("d: {};DBSIZE", make("a"))),
            ["d: +OK +OK :0", "c: +OK", "b: +OK", "a: $1 c"]
        );
    }

    #[test]
    fn a_client_that_blocks_again_keeps_its_place_and_its_deadline() {
        let mut scene = Scene::new(4);
        scene.turn("a: TAKE k 0.010\nb: TAKE k 1");
        // The key is ready and gone before anybody is served.
        assert_eq!(
            scene.turn("c: SET s 1;COPY s k REPLACE"),
            ["c: +OK :1", "a: $1 k"]
        );
        scene.turn("a: TAKE k 0.010");
        assert_eq!(scene.pass(10), [""; 0]);
        assert_eq!(scene.pass(1), ["a: *-1"]);
        assert_eq!(scene.turn("c: COPY s k"), ["c: :1", "b: $1 k"]);
    }

    #[test]
    fn a_wait_ends_in_time_or_when_asked_to() {
        let mut scene = Scene::new(3);
        scene.turn("a: TAKE k 0.5;PING\nb: TAKE x y x 0");
        assert_eq!(scene.executor.wake_at_us(), Some(1_501_000));
        assert_eq!(scene.executor.server.blocked_with_deadline, 1);
        assert_eq!(scene.pass(501), ["a: *-1 +PONG"]);
        assert_eq!(scene.executor.wake_at_us(), None);
        let b = scene.clients[1].client;
        assert_eq!(
            scene.turn(&format!(
                "c: CLIENT UNBLOCK {b} ERROR;CLIENT UNBLOCK {b};CLIENT UNBLOCK 99"
            )),
            ["c: :1 :0 :0", "b: -UNBLOCKED client unblocked via CLIENT UNBLOCK"]
        );
        scene.turn("b: TAKETO x y 0");
        assert_eq!(
            scene.turn(&format!("c: CLIENT UNBLOCK {b} TIMEOUT")),
            ["c: :1", "b: *-1"]
        );
        assert_eq!(scene.executor.keys.changes.interest.waited(), 0);
        assert_eq!(scene.executor.server.blocked_with_deadline, 0);
    }

    #[test]
    fn whoever_goes_while_blocked_is_forgotten() {
        let mut scene = Scene::new(3);
        scene.turn("a: TAKE k 1\nb: TAKE k 1");
        let (a, b) = (scene.clients[0], scene.clients[1].client);
        scene.open(&mut vec![Mail::Disconnect(a)]);
        scene.turn(&format!("c: CLIENT KILL ID {b}"));
        assert_eq!(
            scene.turn(&format!("c: {};EXISTS k", make("k"))),
            ["c: +OK +OK :1"]
        );
        assert!(scene.executor.blocking.lines.is_empty() && scene.executor.blocking.deadlines.is_empty());
        assert_eq!(scene.executor.keys.changes.interest.waited(), 0);
    }

    #[test]
    fn another_type_wakes_nobody_and_the_removal_only_who_asked_for_it() {
        let mut scene = Scene::new(3);
        scene.turn("b: SET k 1");
        scene.turn("a: MISS k word\nc: TAKE gone 0");
        assert_eq!(scene.turn("b: SET k 2;DEL gone"), ["b: +OK :0"]);
        assert_eq!(scene.turn("b: DEL k"), ["b: :1", "a: $5 again"]);
        scene.turn("b: SET k 1");
        scene.turn("a: MISS k word");
        assert_eq!(
            scene.turn("b: FLUSHALL"),
            ["a: $5 again", "b: +OK"],
            "which waits itself"
        );
        scene.turn("b: SET k 1;SELECT 1\na: MISS k word");
        assert_eq!(scene.turn("b: SWAPDB 0 1"), ["b: +OK", "a: $5 again"]);
        scene.turn("b: SET gone 1");
        assert_eq!(scene.turn("b: SWAPDB 0 1"), ["b: +OK", "c: $4 gone"]);
    }

    #[test]
    fn a_pause_delays_those_who_could_be_served() {
        let mut scene = Scene::new(3);
        scene.turn("a: TAKE k 0\nb: SET s 1");
        scene.turn("c: CLIENT PAUSE 100 WRITE");
        scene.executor.keys.changes.ready(0, b"k");
        assert_eq!(scene.turn("b: COPY s k\nc: PING"), ["c: +PONG"]);
        assert_eq!(scene.executor.wake_at_us(), Some(1_100_000));
        assert_eq!(scene.pass(100), ["b: :1", "a: $1 k"]);
    }

    #[test]
    fn a_blocked_command_counts_once_and_is_silent_when_told_to() {
        let mut scene = Scene::new(3);
        scene.turn("a: CLIENT REPLY SKIP;TAKE k 0;PING\nb: CLIENT REPLY OFF;TAKE k 0;PING");
        let before = scene.executor.stats.counters.total_commands_processed;
        assert_eq!(
            scene.turn(&format!("c: {}", make("k k"))),
            ["c: +OK +OK +OK +OK", "a: +PONG", "b:"]
        );
        let after = scene.executor.stats.counters.total_commands_processed;
        assert_eq!(after - before, 8);
    }

    #[test]
    fn a_client_without_a_batch_does_not_block() {
        let mut scene = Scene::new(1);
        let a = scene.clients[0];
        assert_eq!(scene.executor.run(a, &[b"TAKE", b"k", b"0"]), b"*-1\r\n");
        assert_eq!(
            scene.executor.run(a, &[b"TAKE", b"k", b"x"]),
            b"-ERR timeout is not a float or out of range\r\n"
        );
    }
}
