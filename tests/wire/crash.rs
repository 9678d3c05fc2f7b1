//! The server killed in the middle of its work: with `appendfsync always` nothing that was acknowledged or seen is missing
//! afterwards, with `everysec` nothing older than two seconds.
//!
//! Writers count up, each its own key, and note what was acknowledged; some as transactions over two keys, which must be
//! equal ever after. Readers read the keys of writers and note what they saw. Meanwhile the log is rewritten, or a
//! snapshot saved. Then `kill -9`, another start on the same folder, and everybody's notes are compared.
//!
//! `CRASH_KILLS=100` before `cargo test --test wire crash` makes the long run.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::Commands;

use super::server::Server;

/// Kills of a normal test run, for each way to sync.
const KILLS: u64 = 3;

const WRITERS: usize = 6;
const READERS: usize = 2;

/// What people know about the keys of the writers.
#[derive(Default)]
struct Notes {
    /// What was there when the server last started.
    found: [AtomicU64; WRITERS],
    acknowledged: [AtomicU64; WRITERS],
    seen: [AtomicU64; WRITERS],
}

fn kills() -> u64 {
    let wanted = std::env::var("CRASH_KILLS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

fn start(folder: &Path, policy: &str) -> Server {
    let folder = folder.to_str().expect("a plain path");
    let args = ["--appendonly", "yes", "--appendfsync", policy, "--dir", folder];
    Server::start(&[&args[..], &["--auto-aof-rewrite-percentage", "0"]].concat())
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
fn disturb(address: SocketAddr, round: u64, over: &AtomicBool) -> Option<()> {
    let mut connection = connect(address)?;
    while !over.load(Ordering::SeqCst) {
        let command = ["BGREWRITEAOF", "BGSAVE", "PING"][(round % 3) as usize];
        // It may well be busy with the last one.
        let _: Result<String, _> = redis::cmd(command).query(&mut connection);
        std::thread::sleep(Duration::from_millis(3));
    }
    Some(())
}

/// Everybody works for a while, then the server is killed.
fn crash(server: &mut Server, round: u64, notes: &Notes) {
    let (address, over) = (server.address(), AtomicBool::new(false));
    let server = Mutex::new(server);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || write(address, writer, notes));
        }
        for _ in 0..READERS {
            scope.spawn(move || read(address, notes));
        }
        scope.spawn(|| disturb(address, round, &over));
        // Different every time, so that many moments are met.
        std::thread::sleep(Duration::from_millis(120 + round * 37 % 400));
        over.store(true, Ordering::SeqCst);
        let mut server = server.lock().expect("nobody panics with it");
        server.signal("KILL");
        server.wait();
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
        // A write waits up to two seconds for a sync under way. No round is as long.
        let least = if policy == "always" {
            acknowledged.max(seen)
        } else {
            found
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
}

fn crash_again_and_again(policy: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let notes = Notes::default();
    let mut server = start(folder.path(), policy);
    for round in 0..kills() {
        crash(&mut server, round, &notes);
        server = start(folder.path(), policy);
        compare(&server, &notes, policy, &format!("{policy}, kill {round}"));
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
