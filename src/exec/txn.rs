//! Transactions: queueing what follows MULTI, and running it for EXEC.
//!
//! ```text
//!   MULTI ── SET k v ── INCR n ── EXEC            planned: found, hashed, admitted ──> copied to the queue, +QUEUED
//!              └─────────┴──> session.transaction ──> prefetch all keys ──> run, run ──> one array of replies
//! ```
//!
//! A command that is refused while it should be queued makes EXEC fail; a key that was watched and has changed makes it
//! answer nil. Both are the row's business (`command/transaction.rs`). A command run by EXEC passes no gate again.
//!
//! Everything that runs inside another command, here and in scripts, goes through [`Executor::run_nested`] or its inner
//! half: nothing blocks, replies are not held back or left out one by one, and only the outermost command hands on what
//! was propagated and serves who waits.

use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::table::CommandId;
use crate::command::transaction::{discard_transaction, unwatch_all};
use crate::resp::{self, Reply};
use crate::session::{SessionFlags, SessionId, Transaction};

use super::Executor;
use super::dispatch::{Adopted, Resolved, Run, SILENCED, SILENT};
use super::monitor;

/// How many used queues are kept for the next transactions.
const SPARE_MAX: usize = 8;

impl Executor {
    /// Runs one command as part of another one that `client` runs: a script's call. Gates are asked as for any command;
    /// nothing is queued and nothing blocks. The reply is in the session's protocol version.
    pub fn run_nested(&mut self, client: SessionId, words: resp::Args<'_>, reply: &mut Vec<u8>) {
        let command = self.resolve(words);
        let run = Run {
            nested: true,
            ..Run::default()
        };
        self.run_planned(client, words, command, run, reply, None);
    }

    /// Queues a command that has passed all gates.
    pub(super) fn enqueue(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        id: u16,
        hashes: &[u64],
        reply: &mut Vec<u8>,
        large: Option<&mut Adopted>,
    ) {
        let flags = self.flags_alone(id, words);
        let session = &mut self.sessions[client];
        session.last_command = Some(id);
        // To queue more is no use once the transaction is bound to fail.
        if !session.flags.contains(SessionFlags::DIRTY_EXEC) {
            let taken = large.map(|large| (large.word, std::mem::take(&mut large.bytes)));
            let spare = &mut self.spare_transactions;
            let transaction = session
                .transaction
                .get_or_insert_with(|| spare.pop().unwrap_or_default());
            transaction.push(id, flags.bits(), words, hashes, taken);
            session.multi += 1;
            // A file holds what was executed once.
            if transaction.bytes > self.queue_bytes_max && !session.flags.contains(SessionFlags::REPLAY) {
                return self.cut_off_hoarder(client);
            }
        }
        let (before, replied) = (session.flags, reply.len());
        Reply::new(reply, false).queued();
        if before.intersects(SILENT) {
            self.silence(client, before, replied, reply);
        }
    }

    /// Closes a client that has queued more than it may have waiting: what is queued is input not yet executed.
    #[cold]
    fn cut_off_hoarder(&mut self, client: SessionId) {
        let (addr, limit) = (&self.sessions[client].addr, self.queue_bytes_max);
        tracing::warn!(
            "Closing client that reached max query buffer length: {addr} has queued more than {limit} bytes"
        );
        self.stats.counters.client_query_buffer_limit_disconnections += 1;
        self.close_client(client, client);
    }

    /// What a refused command means for the transaction it was meant for: it will fail or, when it was the EXEC itself,
    /// it is over. The error to answer.
    pub(super) fn spoil_transaction(
        &mut self,
        client: SessionId,
        id: Option<u16>,
        words: resp::Args<'_>,
        error: Error,
    ) -> Error {
        if self.sessions[client].multi < 0 && !self.runs_queue(id) {
            return error;
        }
        if let Some(id) = id.filter(|_| self.runs_queue(id)) {
            // Who watches has seen its MULTI, and is to see its end.
            if self.server.monitors > 0 {
                let row = self.table.command(CommandId(id)).row;
                monitor::show(&mut self.sessions, client, words, row, self.now_unix_us);
            }
            discard_transaction(&mut self.sessions[client], &mut self.keys);
            return abortion(&error);
        }
        let session = &mut self.sessions[client];
        session.flags.insert(SessionFlags::DIRTY_EXEC);
        session.transaction = None;
        error
    }

    fn runs_queue(&self, id: Option<u16>) -> bool {
        id.is_some_and(|id| {
            let row = self.table.command(CommandId(id)).row;
            row.flags.contains(Flags::RUNS_QUEUE)
        })
    }

    /// Runs what `client` has queued.
    pub(super) fn exec_transaction(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        let session = &mut self.sessions[client];
        let mut transaction = session.transaction.take().unwrap_or_default();
        let (is_silent, resp3) = (session.flags.intersects(SILENCED), session.resp == 3);
        unwatch_all(session, &mut self.keys);
        if !is_silent {
            Reply::new(reply, resp3).array(transaction.len());
        }
        self.prefetch_transaction(client, &transaction);
        for index in 0..transaction.len() {
            self.run_queued(client, &mut transaction, index, reply);
        }
        let session = &mut self.sessions[client];
        discard_transaction(session, &mut self.keys);
        session.flags.remove(SessionFlags::TRACKING_CACHING);
        transaction.clear();
        if self.spare_transactions.len() < SPARE_MAX {
            self.spare_transactions.push(transaction);
        }
    }

    fn prefetch_transaction(&self, client: SessionId, transaction: &Transaction) {
        let (db, hashes) = (self.sessions[client].db, transaction.all_hashes());
        if hashes.len() < 2 {
            return;
        }
        hashes
            .iter()
            .for_each(|&hash| self.keys.prefetch_bucket(db, hash));
        hashes.iter().for_each(|&hash| self.keys.prefetch_entry(db, hash));
    }

    fn run_queued(
        &mut self,
        client: SessionId,
        transaction: &mut Transaction,
        index: usize,
        reply: &mut Vec<u8>,
    ) {
        let id = transaction.command(index);
        let mut large = self.adoptable(&mut transaction.commands, index, Resolved::Command(id));
        let run = Run {
            hashes: transaction.hashes(index),
            nested: true,
            ..Run::default()
        };
        let words = transaction.commands.command(index);
        self.run_admitted(client, words, id, run, reply, large.as_mut());
    }
}

/// Why an EXEC was refused, as it is told.
fn abortion(error: &Error) -> Error {
    let text = error.text();
    let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
    let text = [b"EXECABORT Transaction discarded because of: ", reason];
    Error::Text(text.concat().into())
}

#[cfg(test)]
mod tests {
    use super::SessionFlags;
    use crate::exec::mailbox::Mail;
    use crate::exec::testing::{Scene, batch};

    #[test]
    fn a_queue_runs_as_a_whole_and_answers_one_array() {
        let mut scene = Scene::new(2);
        assert_eq!(
            scene.turn("a: MULTI;SET k 1;INCR k;GET;GET k\nb: GET k\na: PING"),
            [
                "a: +OK +QUEUED +QUEUED -ERR wrong number of arguments for 'get' command +QUEUED",
                "b: $-1",
                "a: +QUEUED"
            ]
        );
        assert_eq!(
            scene.turn("a: EXEC;GET k"),
            ["a: -EXECABORT Transaction discarded because of previous errors. $-1"]
        );
        assert_eq!(
            scene.turn("a: MULTI;SET k x;INCR k;APPEND k y;EXEC\nb: GET k"),
            [
                "a: +OK +QUEUED +QUEUED +QUEUED *3 +OK -ERR value is not an integer or out of range :2",
                "b: $2 xy"
            ]
        );
    }

    #[test]
    fn a_large_value_goes_through_the_queue_without_being_copied() {
        let mut scene = Scene::new(1);
        let set = format!(
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$40000\r\n{}\r\n",
            "v".repeat(40_000)
        );
        let commands = batch(&format!("MULTI;{set}EXEC;STRLEN k;MULTI;{set}DISCARD"));
        let mut letters = vec![Mail::Batch(scene.clients[0], commands)];
        assert_eq!(
            scene.open(&mut letters),
            ["a: +OK +QUEUED *1 +OK :40000 +OK +QUEUED +OK"]
        );
    }

    #[test]
    fn who_queues_more_than_may_wait_is_closed() {
        let mut scene = Scene::new(1);
        scene.turn("a: CONFIG SET client-query-buffer-limit 1mb");
        let a = scene.clients[0];
        let value = vec![b'x'; 300_000];
        let queue = |scene: &mut Scene| scene.executor.run(a, &[b"SET", b"k", &value]);
        for _ in 0..2 {
            scene.executor.run(a, &[b"MULTI"]);
            (0..3).for_each(|_| assert_eq!(queue(&mut scene), b"+QUEUED\r\n"));
            assert_eq!(
                scene.executor.run(a, &[b"EXEC"]),
                b"*3\r\n+OK\r\n+OK\r\n+OK\r\n",
                "each transaction begins anew"
            );
        }
        scene.executor.run(a, &[b"MULTI"]);
        (0..3).for_each(|_| drop(queue(&mut scene)));
        assert_eq!(queue(&mut scene), b"", "a fourth is too much");
        let flags = scene.executor.sessions[a].flags;
        assert!(flags.contains(SessionFlags::CLOSE_AFTER_REPLY));
        let counters = &scene.executor.stats.counters;
        assert_eq!(counters.client_query_buffer_limit_disconnections, 1);
    }

    #[test]
    fn a_watched_key_that_changes_in_any_way_makes_exec_answer_nil() {
        for change in [
            "SET k 2",
            "APPEND k 2",
            "DEL k",
            "UNLINK k",
            "EXPIRE k 100",
            "PERSIST k",
            "RENAME k other",
            "RENAME spare k",
            "COPY spare k REPLACE",
            "MOVE k 5",
            "FLUSHDB",
            "FLUSHALL",
            "SWAPDB 0 3",
            "SETBIT k 1 1",
            "GETDEL k",
            "GETEX k EX 5",
            "SELECT 2;SWAPDB 3 0",
        ] {
            let mut scene = Scene::new(2);
            scene.turn("b: SET k 1 EX 9;SET spare 2");
            scene.turn("a: WATCH k;MULTI;PING");
            scene.turn(&format!("b: {change}"));
            assert_eq!(
                scene.turn("a: EXEC;MULTI;PING;EXEC"),
                ["a: *-1 +OK +QUEUED *1 +PONG"],
                "{change}"
            );
            assert_eq!(scene.executor.keys.changes.interest.watched(), 0);
        }
    }

    #[test]
    fn what_leaves_a_watched_key_alone_does_not_matter() {
        for change in [
            "SET other 2",
            "GET k",
            "TOUCH k",
            "DEL none",
            "SET k 2 NX",
            "SELECT 3;SET k 2",
            "SWAPDB 4 5",
            "SELECT 3;FLUSHDB",
            "EXPIRE none 1",
            "COPY k other",
            "SET none 1;DEL none",
        ] {
            let mut scene = Scene::new(2);
            scene.turn("b: SET k 1");
            let (watch, end) = if change.contains("none 1;") {
                ("k", "PING")
            } else {
                ("k none", "EXEC")
            };
            scene.turn(&format!("a: WATCH {watch};MULTI;PING"));
            scene.turn(&format!("b: {change}"));
            let done = if end == "EXEC" {
                "a: *1 +PONG"
            } else {
                "a: +QUEUED"
            };
            assert_eq!(scene.turn(&format!("a: {end}")), [done], "{change}");
        }
    }

    #[test]
    fn a_key_expired_when_it_was_watched_may_go_and_one_that_expires_later_may_not() {
        let start = "b: DEBUG SET-ACTIVE-EXPIRE 0;SET k 1 PX 5";
        for (passes_first, meanwhile, expected) in [
            (true, "PING", "a: *1 +PONG"),
            (true, "DEL k", "a: *1 +PONG"),
            (true, "GET k", "a: *1 +PONG"),
            (true, "FLUSHDB", "a: *1 +PONG"),
            (true, "SWAPDB 0 1", "a: *1 +PONG"),
            (true, "SET k 2", "a: *-1"),
            (true, "GET k;SET k 1 PX 100", "a: *-1"),
            (false, "PING", "a: *-1"),
            (false, "GET k", "a: *-1"),
            (false, "FLUSHALL", "a: *-1"),
            (false, "SWAPDB 0 1", "a: *-1"),
        ] {
            let mut scene = Scene::new(2);
            scene.turn(start);
            scene.pass(if passes_first { 6 } else { 0 });
            scene.turn("a: WATCH k");
            scene.pass(6);
            scene.turn(&format!("b: {meanwhile}"));
            assert_eq!(
                scene.turn("a: MULTI;PING;EXEC"),
                [expected.replace(": ", ": +OK +QUEUED ")],
                "{meanwhile}"
            );
        }
    }

    #[test]
    fn whoever_leaves_or_resets_watches_and_queues_nothing_more() {
        let mut scene = Scene::new(2);
        assert_eq!(
            scene.turn("a: WATCH k k j;MULTI;SET k 1;RESET;GET k;EXEC"),
            ["a: +OK +OK +QUEUED +RESET $-1 -ERR EXEC without MULTI"]
        );
        scene.turn("a: WATCH k\nb: WATCH k;MULTI;SET k 1");
        assert_eq!(scene.executor.keys.changes.interest.watched(), 1);
        scene.turn("a: UNWATCH");
        let b = scene.clients[1];
        scene.executor.forget_client(b);
        assert_eq!(scene.executor.keys.changes.interest.watched(), 0);
    }

    #[test]
    fn what_a_transaction_changed_is_handed_on_as_one_unit() {
        let mut scene = Scene::new(1);
        scene.executor.keys.changes.followed = true;
        scene.turn("a: MULTI;GET k;EXEC;MULTI;SET k 1;GET k;EXEC");
        assert_eq!(scene.journal(), ["0: SET k 1"]);
        scene.turn("a: MULTI;SET k 1;SELECT 3;GET k;EXPIRE k 1;SET j 2 EX 5;EXEC");
        assert_eq!(
            scene.journal(),
            ["*: MULTI", "0: SET k 1", "3: SET j 2 PXAT 6000", "*: EXEC"]
        );
    }

    #[test]
    fn nothing_blocks_inside_and_who_waits_is_served_when_it_is_over() {
        let mut scene = Scene::new(2);
        scene.turn("b: TAKE k 0");
        assert_eq!(
            scene.turn("a: MULTI;TAKE none 0;SET s 1;COPY s k;GET k;EXEC;GET k"),
            [
                "a: +OK +QUEUED +QUEUED +QUEUED +QUEUED *4 *-1 +OK :1 $1 1 $-1",
                "b: $1 k"
            ]
        );
        scene.turn("b: TAKE k 0");
        assert_eq!(
            scene.turn("a: MULTI;COPY s k;DEL k;EXEC;GET k"),
            ["a: +OK +QUEUED +QUEUED *2 :1 :1 $-1"]
        );
    }

    #[test]
    fn a_pause_holds_an_exec_that_would_write() {
        let mut scene = Scene::new(3);
        scene.turn("a: MULTI;SET k 1\nb: MULTI;GET k");
        scene.turn("c: CLIENT PAUSE 100 WRITE");
        assert_eq!(scene.turn("a: EXEC\nb: EXEC"), ["b: *1 $-1"]);
        assert_eq!(scene.pass(101), ["a: *1 +OK"]);
    }

    #[test]
    fn messages_to_oneself_come_behind_the_whole_reply() {
        let mut scene = Scene::new(1);
        assert_eq!(
            scene.turn("a: MULTI;SUBSCRIBE c;PUBLISH c hi;EXEC"),
            ["a: +OK +QUEUED +QUEUED *2 *3 $9 subscribe $1 c :1 :1 *3 $7 message $1 c $2 hi"]
        );
    }

    #[test]
    fn replies_that_are_turned_off_inside_leave_an_array_unfinished_as_in_redis() {
        let mut scene = Scene::new(1);
        assert_eq!(
            scene.turn("a: MULTI;PING;CLIENT REPLY OFF;PING;EXEC;PING;CLIENT REPLY ON"),
            ["a: +OK +QUEUED +QUEUED +QUEUED *3 +PONG +OK"]
        );
        assert_eq!(
            scene.turn("a: MULTI;CLIENT REPLY SKIP;PING;EXEC;ECHO 1;ECHO 2"),
            ["a: +OK +QUEUED +QUEUED *2 +PONG $1 2"]
        );
        assert_eq!(
            scene.turn("a: CLIENT REPLY OFF;MULTI;PING;CLIENT REPLY ON;PING;EXEC;ECHO 1"),
            ["a: +OK +PONG $1 1"]
        );
    }

    #[test]
    fn a_nested_command_neither_queues_nor_spoils() {
        let mut scene = Scene::new(1);
        let a = scene.clients[0];
        scene.turn("a: MULTI");
        let mut reply = Vec::new();
        for words in [
            &[&b"SET"[..], b"k", b"v"][..],
            &[b"GET"],
            &[b"TAKE", b"none", b"0"],
        ] {
            let words = crate::resp::ArgBuf::from_slices(words);
            scene.executor.run_nested(a, words.args(), &mut reply);
        }
        assert_eq!(
            reply,
            b"+OK\r\n-ERR wrong number of arguments for 'get' command\r\n*-1\r\n"
        );
        assert_eq!(scene.turn("a: GET k;EXEC"), ["a: +QUEUED *1 $1 v"]);
    }
}
