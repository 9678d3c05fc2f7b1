//! The server killed in the middle of its work: with `appendfsync always` nothing that was acknowledged or seen is missing
//! afterwards, with `everysec` nothing older than two seconds.
//!
//! Writers count up, each its own key, and note what was acknowledged; some as transactions over two keys, which must be
//! equal ever after. Readers read the keys of writers and note what they saw. Meanwhile the log is rewritten, or a
//! snapshot saved. Then `kill -9`: at any moment, in the middle of a rewrite or snapshot, when the manifest is about to be
//! replaced, while the server ends by itself. Another start on the same folder, and everybody's notes are compared.
//!
//! `CRASH_KILLS=100` before `cargo test --test wire crash` makes the long run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::Commands;

use super::server::Server;

/// Kills of a normal test run, for each way to sync.
const KILLS: u64 = 10;

const WRITERS: usize = 6;
const READERS: usize = 2;

/// How old a write may be that `everysec` loses: two seconds, and a tick.
const LOST_MAX: Duration = Duration::from_millis(2_100);

/// When the server is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After a while.
    Any,
    /// A file of such a name is there, which is so for a moment only.
    Exists(&'static str),
    /// It has been told to end.
    Ending,
}

impl Moment {
    fn of(round: u64) -> Moment {
        const MOMENTS: [Moment; 6] = [
            Moment::Exists("temp-rewriteaof-bg-"),
            Moment::Any,
            Moment::Exists("temp-appendonly.aof.manifest"),
            Moment::Ending,
            Moment::Exists("temp-"),
            Moment::Exists(".base.rdb"),
        ];
        MOMENTS[(round % 6) as usize]
    }

    /// What goes on again and again meanwhile.
    fn command(self) -> &'static str {
        match self {
            Moment::Exists("temp-") => "BGSAVE",
            Moment::Exists(_) | Moment::Ending => "BGREWRITEAOF",
            Moment::Any => "PING",
        }
    }

    /// Waits for it, but not for ever.
    fn wait(self, server: &Server, round: u64) {
        const PATIENCE: Duration = Duration::from_millis(1_500);
        // Different every time, so that many moments are met.
        std::thread::sleep(Duration::from_millis(120 + round * 37 % 400));
        match self {
            Moment::Any if round % 12 == 1 => std::thread::sleep(LOST_MAX),
            Moment::Any => {}
            Moment::Ending => {
                server.signal("TERM");
                std::thread::sleep(Duration::from_micros(round * 997 % 20_000));
            }
            Moment::Exists(name) => {
                let (started, before) = (Instant::now(), files(server.folder()));
                let is_new = |path: &PathBuf| {
                    let is_meant = path
                        .file_name()
                        .is_some_and(|found| found.to_string_lossy().contains(name));
                    is_meant && !before.contains(path)
                };
                while started.elapsed() < PATIENCE && !files(server.folder()).iter().any(is_new) {}
                std::thread::sleep(Duration::from_micros(round * 131 % 3_000));
            }
        }
    }
}

/// What is in the folder of a server, and in that of its log.
fn files(folder: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let inner = list(&folder.join("appendonlydir"));
    list(folder).chain(inner).map(|entry| entry.path()).collect()
}

/// What people know about the keys of the writers.
#[derive(Default)]
struct Notes {
    /// What was there when the server last started.
    found: [AtomicU64; WRITERS],
    acknowledged: [AtomicU64; WRITERS],
    seen: [AtomicU64; WRITERS],
    /// What was acknowledged when.
    samples: Mutex<Vec<(Instant, [u64; WRITERS])>>,
}

impl Notes {
    fn sample(&self) {
        let numbers = std::array::from_fn(|writer| self.acknowledged[writer].load(Ordering::SeqCst));
        self.samples
            .lock()
            .expect("nobody panics with it")
            .push((Instant::now(), numbers));
    }

    /// What was acknowledged long enough before the last sample.
    fn old(&self, writer: usize) -> u64 {
        let samples = self.samples.lock().expect("nobody panics with it");
        let Some((last, _)) = samples.last() else { return 0 };
        let old = samples.iter().rev().find(|(at, _)| *last - *at > LOST_MAX);
        old.map_or(0, |(_, numbers)| numbers[writer])
    }
}

fn kills() -> u64 {
    let wanted = std::env::var("CRASH_KILLS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

fn start(folder: &Path, policy: &str) -> Server {
    let folder = folder.to_str().expect("a plain path");
    let args = ["--appendonly", "yes", "--appendfsync", policy, "--dir", folder];
    // So that rewrites and snapshots take long enough to be met.
    let more = [
        "--auto-aof-rewrite-percentage",
        "0",
        "--rdb-key-save-delay",
        "500",
    ];
    Server::start(&[&args[..], &more].concat())
}

fn connect(address: SocketAddr) -> Option<redis::Connection> {
    redis::Client::open(format!("redis://{address}"))
        .ok()?
        .get_connection()
        .ok()
}

/// Counts up until the server is gone.
fn write(address: SocketAddr, writer: usize, notes: &Notes) -> Option<()> {
    let mut connection = connect(address)?;
    let mut number = notes.acknowledged[writer].load(Ordering::SeqCst);
    loop {
        number += 1;
        let mut pipe = redis::pipe();
        if writer.is_multiple_of(2) {
            pipe.set(key(writer), number);
        } else {
            pipe.atomic().set(key(writer), number).set(twin(writer), number);
        }
        pipe.exec(&mut connection).ok()?;
        notes.acknowledged[writer].store(number, Ordering::SeqCst);
    }
}

fn read(address: SocketAddr, notes: &Notes) -> Option<()> {
    let mut connection = connect(address)?;
    loop {
        for writer in 0..WRITERS {
            let number: Option<u64> = connection.get(key(writer)).ok()?;
            notes.seen[writer].fetch_max(number.unwrap_or(0), Ordering::SeqCst);
        }
    }
}

fn key(writer: usize) -> String {
    format!("writer:{writer}")
}

fn twin(writer: usize) -> String {
    format!("twin:{writer}")
}

/// What else goes on, again and again, until `over`.
fn disturb(address: SocketAddr, moment: Moment, notes: &Notes, over: &AtomicBool) -> Option<()> {
    let mut connection = connect(address)?;
    while !over.load(Ordering::SeqCst) {
        // It may well be busy with the last one.
        let _: Result<String, _> = redis::cmd(moment.command()).query(&mut connection);
        notes.sample();
        std::thread::sleep(Duration::from_millis(3));
    }
    Some(())
}

/// Everybody works for a while, then the server is killed.
fn crash(server: &mut Server, round: u64, notes: &Notes) {
    let (address, over, moment) = (server.address(), AtomicBool::new(false), Moment::of(round));
    let server = Mutex::new(server);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || write(address, writer, notes));
        }
        for _ in 0..READERS {
            scope.spawn(move || read(address, notes));
        }
        scope.spawn(|| disturb(address, moment, notes, &over));
        let mut server = server.lock().expect("nobody panics with it");
        moment.wait(&server, round);
        if server.is_running() {
            server.signal("KILL");
        }
        over.store(true, Ordering::SeqCst);
        server.wait();
        notes.sample();
    });
}

/// Compares everybody's notes with what the server has.
fn compare(server: &Server, notes: &Notes, policy: &str, what: &str) {
    let mut connection = connect(server.address()).expect("it has started");
    for writer in 0..WRITERS {
        let number: Option<u64> = connection.get(key(writer)).expect("a number");
        let number = number.unwrap_or(0);
        let acknowledged = notes.acknowledged[writer].load(Ordering::SeqCst);
        let seen = notes.seen[writer].load(Ordering::SeqCst);
        let found = notes.found[writer].load(Ordering::SeqCst);
        // A write waits up to two seconds for a sync under way.
        let least = if policy == "always" {
            acknowledged.max(seen)
        } else {
            found.max(notes.old(writer))
        };
        // The last write may have come through without its answer.
        assert!(
            number >= least && number <= acknowledged + 1,
            "{what}: writer {writer} has {number}, acknowledged were {acknowledged}, seen {seen}, found {found}"
        );
        if !writer.is_multiple_of(2) {
            let twin: Option<u64> = connection.get(twin(writer)).expect("a number");
            assert_eq!(twin.unwrap_or(0), number, "{what}: half a transaction");
        }
        for note in [&notes.acknowledged, &notes.seen, &notes.found] {
            note[writer].store(number, Ordering::SeqCst);
        }
    }
    notes.samples.lock().expect("nobody panics with it").clear();
}

fn crash_again_and_again(policy: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let notes = Notes::default();
    let mut server = start(folder.path(), policy);
    for round in 0..kills() {
        crash(&mut server, round, &notes);
        server = start(folder.path(), policy);
        compare(
            &server,
            &notes,
            policy,
            &format!("{policy}, kill {round}, {:?}", Moment::of(round)),
        );
    }
    let total: u64 = notes
        .acknowledged
        .iter()
        .map(|count| count.load(Ordering::SeqCst))
        .sum();
    assert!(total > 0, "somebody has written something");
}

#[test]
fn with_always_nothing_acknowledged_or_seen_is_missing_after_a_kill() {
    crash_again_and_again("always");
}

#[test]
fn with_everysec_a_kill_loses_nothing_older_than_two_seconds() {
    crash_again_and_again("everysec");
}
