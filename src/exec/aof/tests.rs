//! The log at run time, without a process around it: what is in the file, who waits for which sync.

use std::path::PathBuf;
use std::sync::Arc;

use super::State;
use super::sync::Syncer;
use crate::base::clock::Now;
use crate::exec::mailbox::Mail;
use crate::exec::testing::{Scene, batch};
use crate::exec::turn::{Progress, Turns};
use crate::persist::aof::folder::Folder;
use crate::persist::aof::incr::Incr;
use crate::persist::disk::system::System;
use crate::resp::Batch;
use crate::session::SessionId;

/// A scene with the log on; the folder goes when it is dropped.
struct Logged {
    scene: Scene,
    folder: tempfile::TempDir,
}

impl Logged {
    fn new(clients: usize, policy: &str) -> Logged {
        let mut scene = Scene::new(clients);
        let folder = tempfile::tempdir().expect("a folder");
        let executor = &mut scene.executor;
        let changed = executor.config.assign("appendfsync", policy.as_bytes());
        assert!(changed.is_ok(), "{policy}");
        executor.take_slices();
        executor.disk = Arc::new(System);
        executor.aof.folder = Folder::new(Arc::new(System), &folder.path().join("log"), b"a.aof");
        executor.enter_log_folder().expect("our own folder");
        executor.open_log().expect("a new log");
        // Nothing that came before is in doubt.
        executor.aof.guard.settle();
        Logged { scene, folder }
    }

    fn incr(&self) -> PathBuf {
        self.folder.path().join("log/a.aof.1.incr.aof")
    }

    fn text(&self) -> String {
        let bytes = std::fs::read(self.incr()).expect("the log");
        String::from_utf8_lossy(&bytes)
            .replace("\r\n", " ")
            .trim_end()
            .to_owned()
    }

    /// One turn without syncs: who is answered.
    fn turn(&mut self, script: &str) -> Vec<String> {
        let done = self.scene.turn(script);
        let clients = self.scene.clients.clone();
        let executor = &mut self.scene.executor;
        for line in &done {
            let client = clients[usize::from(line.as_bytes()[0] - b'a')];
            executor.finished.push((client, batch_of(line)));
        }
        executor.write_log(false);
        self.released()
    }

    fn released(&mut self) -> Vec<String> {
        self.scene.executor.hold_replies();
        let finished: Vec<(SessionId, Box<Batch>)> = self.scene.executor.finished.drain(..).collect();
        let text = |batch: Box<Batch>| String::from_utf8(batch.reply).expect("text");
        finished.into_iter().map(|(_, batch)| text(batch)).collect()
    }

    fn begin_sync(&mut self) -> u64 {
        self.scene.executor.aof.guard.begin_sync()
    }

    fn end_sync(&mut self, ticket: u64) -> Vec<String> {
        self.scene.executor.aof.guard.note_synced(ticket);
        self.released()
    }
}

fn batch_of(line: &str) -> Box<Batch> {
    let mut batch = Box::<Batch>::default();
    batch.reply = line.as_bytes().to_vec();
    batch
}

#[test]
fn the_log_holds_what_was_propagated() {
    let mut logged = Logged::new(2, "everysec");
    logged.turn("a: SET k 1;GET k;SELECT 3;SET k 2 EX 10;DEL none\nb: MULTI;INCR n;INCR n;EXEC");
    assert_eq!(
        logged.text(),
        "*2 $6 SELECT $1 0 *3 $3 SET $1 k $1 1 *2 $6 SELECT $1 3 *5 $3 SET $1 k $1 2 $4 PXAT $5 11000 *1 $5 MULTI \
         *2 $6 SELECT $1 0 *2 $4 INCR $1 n *2 $4 INCR $1 n *1 $4 EXEC"
    );
    assert_eq!(
        logged.scene.executor.stats.persistence.aof.size,
        std::fs::metadata(logged.incr()).expect("the log").len()
    );
}

/// They propagate what they did and never themselves, which they say before they know whether there is anything.
#[test]
fn a_read_or_claim_of_a_group_that_finds_nothing_keeps_nothing_else_out_of_the_log() {
    let mut logged = Logged::new(1, "no");
    logged.turn("a: XGROUP CREATE s g $ MKSTREAM;XGROUP CREATECONSUMER s g c");
    for vain in [
        "XREADGROUP GROUP g c STREAMS s >",
        "XREADGROUP GROUP g c STREAMS s 0",
        "XCLAIM s g c 0 1-1",
        "XAUTOCLAIM s g c 0 0",
        "XCLAIM s g c 0 wrong",
    ] {
        let before = logged.text().len();
        logged.turn(&format!("a: {vain};SET k 1"));
        assert_eq!(&logged.text()[before..], " *3 $3 SET $1 k $1 1", "{vain}");
    }
}

#[test]
fn keys_that_expire_by_themselves_are_logged_one_by_one() {
    let mut logged = Logged::new(1, "no");
    logged.turn("a: SET k 1 PX 10;SET l 1 PX 10");
    let before = logged.text().len();
    logged.scene.now_ms += 20;
    logged.scene.executor.set_time_us(logged.scene.now_ms * 1000);
    logged.scene.executor.keys.sweep_expired(&mut || true);
    effects_of_sweep(&mut logged);
    let mut found = logged.text()[before..].to_owned();
    assert!(!found.contains("MULTI"), "{found}");
    for key in ["k", "l"] {
        found = found.replace(&format!(" *2 $3 DEL $1 {key}"), "");
    }
    assert_eq!(found, "");
}

fn effects_of_sweep(logged: &mut Logged) {
    crate::exec::effects::drain_background(&mut logged.scene.executor);
    logged.scene.executor.write_log(false);
}

#[test]
fn who_writes_waits_for_the_sync_and_others_do_not() {
    let mut logged = Logged::new(4, "always");
    assert_eq!(
        logged.turn("a: SET k 1\nb: GET other\nc: DBSIZE\nd: PING"),
        ["b: $-1", "d: +PONG"],
        "who counts the keys has seen the new one"
    );
    let first = logged.begin_sync();
    assert_eq!(logged.turn("b: SET other 2"), [""; 0]);
    assert_eq!(logged.turn("d: GET k"), [""; 0], "the write of k may be lost yet");
    assert_eq!(logged.end_sync(first), ["a: +OK", "c: :1", "d: $1 1"]);
    assert_eq!(logged.turn("a: GET k\nc: SELECT 5;GET other"), ["a: $1 1"]);
    let second = logged.begin_sync();
    assert_eq!(logged.end_sync(second), ["b: +OK", "c: +OK $-1"]);
    assert!(logged.scene.executor.aof.guard.is_quiet());
    assert_eq!(logged.turn("a: GET k\nb: GET other"), ["a: $1 1", "b: $1 2"]);
}

#[test]
fn a_transaction_or_script_that_reads_waits_as_well() {
    let mut logged = Logged::new(4, "always");
    assert_eq!(
        logged.turn(
            "a: APPEND k 1\nb: MULTI;PING;GET k;EXEC\nc: MULTI;PING;GET x;EXEC\nd: EVAL \"return 1\" 0"
        ),
        ["c: +OK +QUEUED +QUEUED *2 +PONG $-1"]
    );
    let sync = logged.begin_sync();
    assert_eq!(logged.end_sync(sync).len(), 3);
}

#[test]
fn what_empties_the_database_concerns_everybody() {
    let mut logged = Logged::new(3, "always");
    logged.turn("a: SET k 1");
    let sync = logged.begin_sync();
    logged.end_sync(sync);
    assert_eq!(logged.turn("a: FLUSHALL\nb: GET x\nc: PING"), ["c: +PONG"]);
}

#[test]
fn a_client_that_is_served_waits_for_what_it_took_away() {
    let mut logged = Logged::new(3, "always");
    assert_eq!(logged.turn("b: BLPOP l 0"), [""; 0]);
    assert_eq!(logged.turn("a: RPUSH l x\nc: GET k"), ["c: $-1"]);
    let sync = logged.begin_sync();
    assert_eq!(logged.end_sync(sync), ["a: :1", "b: *2 $1 l $1 x"]);
}

#[test]
fn whoever_is_gone_is_not_waited_for() {
    let mut logged = Logged::new(2, "always");
    logged.turn("a: SET k 1");
    let a = logged.scene.clients[0];
    logged.scene.executor.forget_client(a);
    let sync = logged.begin_sync();
    logged.end_sync(sync);
    assert!(!logged.scene.executor.aof.guard.holds_any());
}

#[test]
fn the_thread_lets_everybody_go_in_the_end() {
    let mut logged = Logged::new(2, "always");
    logged.scene.turn("a: SET k 1");
    let a = logged.scene.clients[0];
    logged.scene.executor.finished.push((a, batch_of("a")));
    while logged.scene.executor.finished.is_empty() {
        logged.scene.executor.end_turn();
        std::thread::yield_now();
        if !logged.scene.executor.aof.guard.holds_any() && logged.scene.executor.aof.guard.is_quiet() {
            break;
        }
    }
    assert_eq!(logged.scene.executor.finished.len(), 1);
}

#[test]
fn what_cannot_be_written_waits_and_refuses_further_writes() {
    let mut logged = Logged::new(2, "always");
    let Ok(full) = Incr::open(&System, std::path::Path::new("/dev/full"), false) else {
        return;
    };
    let whole = logged
        .scene
        .executor
        .aof
        .incr
        .replace(full)
        .expect("the log is open");
    assert_eq!(logged.turn("a: SET k 1"), [""; 0]);
    assert_eq!(
        logged.turn("b: SET l 1"),
        ["b: -MISCONF Errors writing to the AOF file: No space left on device"]
    );
    assert!(!logged.scene.executor.stats.persistence.aof.last_write_ok);
    logged.scene.executor.aof.incr = Some(whole);
    assert_eq!(logged.turn("b: ECHO 1"), ["b: $1 1"]);
    assert!(logged.scene.executor.stats.persistence.aof.last_write_ok);
    assert!(logged.text().ends_with("*3 $3 SET $1 k $1 1"));
    let sync = logged.begin_sync();
    assert_eq!(logged.end_sync(sync), ["a: +OK"]);
}

/// Ends a turn in which `script` has run; how many are answered at once.
fn answered(logged: &mut Logged, script: &str) -> usize {
    for line in logged.scene.turn(script) {
        let client = logged.scene.clients[usize::from(line.as_bytes()[0] - b'a')];
        logged.scene.executor.finished.push((client, batch_of(&line)));
    }
    logged.scene.executor.end_turn();
    logged.scene.executor.finished.drain(..).count()
}

#[test]
fn a_fast_disk_is_waited_for_on_the_spot_unless_somebody_else_is_served() {
    let mut logged = Logged::new(3, "always");
    logged.scene.executor.aof.took = super::SPOT_MAX / 2;
    assert_eq!(answered(&mut logged, "a: SET k 1\nb: SET l 1"), 2);
    assert!(logged.scene.executor.aof.guard.is_quiet());
    assert!(logged.scene.executor.aof.syncer.is_none());
    logged.scene.executor.aof.took = super::SPOT_MAX / 2;
    assert_eq!(
        answered(&mut logged, "a: SET k 2\nc: GET other"),
        1,
        "the reader alone"
    );
    assert!(logged.scene.executor.aof.guard.holds_any());
    assert!(logged.scene.executor.aof.syncer.is_some());
}

#[test]
fn a_slow_disk_is_not_waited_for_on_the_spot() {
    let mut logged = Logged::new(1, "always");
    logged.scene.executor.aof.took = super::SPOT_MAX;
    assert_eq!(answered(&mut logged, "a: SET k 1"), 0);
    assert!(logged.scene.executor.aof.syncer.is_some());
}

#[test]
fn who_waits_is_let_go_though_syncs_are_no_longer_wanted() {
    let mut logged = Logged::new(2, "always");
    logged.scene.executor.aof.syncer = Some(Syncer::unattended());
    assert_eq!(answered(&mut logged, "a: SET k 1"), 0);
    assert_eq!(answered(&mut logged, "b: SET l 1"), 0, "the next sync serves it");
    let changed = logged.scene.executor.config.assign("appendfsync", b"no");
    assert!(changed.is_ok());
    logged.scene.executor.take_slices();
    for _ in 0..2 {
        logged.scene.executor.finish_syncs();
        logged.scene.executor.end_turn();
    }
    assert_eq!(logged.scene.executor.finished.len(), 2);
    assert!(!logged.scene.executor.aof.sync_is_due(i64::MAX / 2));
}

#[test]
fn a_sync_of_a_log_that_is_lost_lets_nobody_go() {
    let mut logged = Logged::new(1, "always");
    logged.scene.executor.aof.syncer = Some(Syncer::unattended());
    assert_eq!(answered(&mut logged, "a: SET k 1"), 0);
    let executor = &mut logged.scene.executor;
    executor.lose_log(libc::ENOENT);
    executor.finish_syncs();
    executor.end_turn();
    assert!(executor.finished.is_empty());
    // Nor does one of the file that waits for its base.
    let path = executor.aof.folder.temporary_incr();
    executor.aof.incr = Some(Incr::open(&System, &path, true).expect("our own folder"));
    executor.aof.append(Some(0), [&b"DEL"[..], b"x"].into_iter(), 0);
    executor.end_turn();
    executor.finish_syncs();
    executor.end_turn();
    assert!(executor.finished.is_empty() && executor.aof.guard.holds_any());
}

#[test]
fn replies_of_a_batch_in_pieces_keep_their_order() {
    let mut logged = Logged::new(1, "always");
    logged.turn("a: SET k 1");
    let (executor, a) = (&mut logged.scene.executor, logged.scene.clients[0]);
    assert!(executor.hold_push(a, b"first".to_vec()).is_empty());
    let sync = executor.aof.guard.begin_sync();
    // In the middle of a turn, as a rewrite that begins does.
    executor.aof.guard.note_synced(sync);
    assert!(executor.hold_push(a, b"second".to_vec()).is_empty());
    executor.hold_replies();
    assert!(!executor.aof.guard.holds_any());
    assert_eq!(executor.hold_push(a, b"third".to_vec()), b"third");
}

#[test]
fn nobody_sees_or_closes_who_reads_the_log() {
    let mut logged = Logged::new(1, "everysec");
    let (executor, admin) = (&mut logged.scene.executor, logged.scene.clients[0]);
    for n in 0..600 {
        executor.run(admin, &[b"SET", format!("k{n}").as_bytes(), b"v"]);
    }
    executor.flush_log();
    executor.run(admin, &[b"CONFIG", b"SET", b"key-load-delay", b"50"]);
    assert!(executor.begin_log_load().is_ok());
    executor.load_slice();
    assert!(executor.loading.is_some(), "more is left");
    let clients = executor.run(admin, &[b"CLIENT", b"LIST"]);
    assert_eq!(
        clients.iter().filter(|&&byte| byte == b'\n').count(),
        3,
        "one, in a bulk string"
    );
    assert_eq!(
        executor.run(admin, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]),
        b":0\r\n"
    );
    for reload in [b"RELOAD", &b"LOADAOF"[..]] {
        let refused = executor.run(admin, &[b"DEBUG", reload]);
        assert!(
            refused.starts_with(b"-LOADING"),
            "half of the data is no snapshot"
        );
    }
    while executor.loading.is_some() {
        executor.load_slice();
    }
    assert_eq!(executor.run(admin, &[b"DBSIZE"]), b":600\r\n");
}

#[test]
fn who_came_along_with_a_reader_of_the_log_is_answered_while_a_script_in_it_runs() {
    let mut logged = Logged::new(2, "everysec");
    let executor = &mut logged.scene.executor;
    let [reader, other] = [0, 1].map(|at| logged.scene.clients[at]);
    executor.run(other, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
    let script = [&b"EVAL"[..], b"while true do redis.call('ping') end", b"0"];
    executor.aof.append(Some(0), script.into_iter(), 0);
    assert!(executor.flush_log());
    let Logged { scene, folder } = logged;
    let mut turns = Turns::new(scene.executor).expect("a stack");
    let mut letters = vec![
        Mail::Batch(reader, batch("DEBUG LOADAOF")),
        Mail::Batch(other, batch("PING")),
    ];
    let now = Now { unix_us: 1_000_000 };
    assert_eq!(turns.open(&mut letters, now), Progress::Paused);
    turns.executor().open_busy(&mut Vec::new());
    let (answered, reply) = turns.executor().finished.pop().expect("an answer");
    assert_eq!(answered, other);
    assert!(reply.reply.starts_with(b"-LOADING "));
    // Nothing but the end of the server ends the script.
    turns.executor().ask_to_stop(false);
    assert_eq!(turns.executor().exit_code(), Some(0));
    while turns.go_on(&mut letters) == Progress::Paused {}
    drop(folder);
}

#[test]
fn what_the_limit_leaves_out_is_told() {
    let mut logged = Logged::new(1, "everysec");
    logged.turn("a: SET k 1");
    logged.scene.executor.end_logged_turn();
    let left_out = logged.scene.executor.aof.waiting_bytes();
    assert!(left_out > 0, "the buffer stays when all is written");
    let info = logged.turn("a: INFO memory").join("");
    for field in ["mem_not_counted_for_evict", "mem_aof_buffer"] {
        assert!(
            info.contains(&format!("{field}:{left_out}")),
            "{field} {left_out} {info}"
        );
    }
}

/// Else the executor would be woken for it again and again, as long as nothing else is written.
#[test]
fn a_write_that_waits_for_a_sync_is_forgotten_with_the_file_it_was_for() {
    let mut logged = Logged::new(1, "everysec");
    let log = &mut logged.scene.executor.aof;
    (log.state, log.heard.pending) = (State::Waiting, 1);
    logged.turn("a: SET k 1");
    let executor = &mut logged.scene.executor;
    assert!(executor.wake_at_us().is_some());
    executor.begin_waiting_again();
    assert_eq!(executor.wake_at_us(), None);
}
