//! MIGRATE between servers: this program's own, `redis-server`, and targets that misbehave.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use super::reference::{Reference, without_peer};
use super::server::{Server, eventually, read_text};
use super::wire::{Wire, command, info_number, text};

/// One key of every type that servers of before 7.2 know, one of them with a time to live.
const DATA: &[&str] = &[
    "SET string hello PX 100000000",
    "SET number -12345",
    "RPUSH list a 1 b",
    "SADD ints 1 2 3",
    "SADD words a b c",
    "HSET hash f v g 2",
    "ZADD zset 1.5 a -inf b",
    "XADD stream 5-1 f v",
    "XGROUP CREATE stream group 0",
    "PFADD hll a b c",
];

const KEYS: &[&str] = &[
    "string", "number", "list", "ints", "words", "hash", "zset", "stream", "hll",
];

fn fill(wire: &mut Wire) {
    for line in DATA {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = wire.run(&words).to_string();
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
}

fn digest(wire: &mut Wire) -> String {
    text(wire.run(&["DEBUG", "DIGEST"]))
}

/// `MIGRATE 127.0.0.1 port key 0 30000 more...`.
fn words<'a>(port: &'a str, key: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["MIGRATE", "127.0.0.1", port, key, "0", "30000"], more].concat()
}

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

/// Moves everything from `wire` to the server at `port`, to which `other` is connected, and back.
fn goes_there_and_back(wire: &mut Wire, port: u16, other: &mut Wire, back: u16) {
    fill(wire);
    let (before, empty) = (digest(wire), digest(other));
    let all = [&["KEYS"], KEYS].concat();
    wire.ok(&words(&port.to_string(), "", &all));
    assert_eq!(digest(wire), empty);
    assert_eq!(text(other.run(&["TYPE", "hll"])), "string");
    let left = other.run(&["PTTL", "string"]).to_string();
    assert!(left.len() == ":100000000".len() - 1, "{left}");
    other.ok(&words(&back.to_string(), "", &all));
    assert_eq!(digest(wire), before);
}

#[test]
fn keys_of_every_type_go_to_another_server_and_back() {
    let [one, two] = [(); 2].map(|()| Server::start(DEBUG));
    goes_there_and_back(&mut one.connect(), two.port(), &mut two.connect(), one.port());
}

#[test]
fn keys_of_every_type_go_to_an_older_server_and_back() {
    if without_peer() {
        return;
    }
    let (one, redis) = (Server::start(DEBUG), Reference::start(DEBUG));
    let mut wire = one.connect();
    wire.ok(&["CONFIG", "SET", "rdb-version-max", "10"]);
    goes_there_and_back(&mut wire, redis.port(), &mut redis.connect(), one.port());
    wire.ok(&["CONFIG", "SET", "rdb-version-max", "12"]);
    wire.ok(&["SET", "k", "v"]);
    let refused = "ERR Target instance replied with error: ERR DUMP payload version or checksum are wrong";
    assert_eq!(wire.error(&words(&redis.port().to_string(), "k", &[])), refused);
}

#[test]
fn copy_keeps_and_replace_overwrites() {
    let [one, two] = [(); 2].map(|()| Server::start(&[]));
    let (mut wire, mut other, port) = (one.connect(), two.connect(), two.port().to_string());
    wire.ok(&["SET", "k", "new"]);
    other.ok(&["SET", "k", "old"]);
    assert!(wire.error(&words(&port, "k", &[])).contains("BUSYKEY"));
    wire.ok(&words(&port, "k", &["COPY", "REPLACE"]));
    assert_eq!(text(other.run(&["GET", "k"])), "new");
    assert_eq!(text(wire.run(&["GET", "k"])), "new");
    wire.ok(&["MIGRATE", "localhost", &port, "k", "9", "30000"]);
    other.ok(&["SELECT", "9"]);
    assert_eq!(text(other.run(&["GET", "k"])), "new");
    assert_eq!(text(wire.run(&words(&port, "k", &[]))), "NOKEY");
    assert!(info_number(&mut wire, "stats", "migrate_cached_sockets") >= 1);
}

#[test]
fn passwords_are_told_and_nothing_is_sent_without_the_right_one() {
    let (one, two) = (Server::start(&[]), Server::start(&["--requirepass", "secret"]));
    let (mut wire, mut other, port) = (one.connect(), two.connect(), two.port().to_string());
    other.ok(&["AUTH", "secret"]);
    for key in ["a", "b"] {
        wire.ok(&["SET", key, "v"]);
    }
    assert!(wire.error(&words(&port, "a", &[])).contains("NOAUTH"));
    let wrong = wire.error(&words(&port, "a", &["AUTH", "wrong"]));
    assert!(wrong.contains("WRONGPASS"), "{wrong}");
    wire.ok(&words(&port, "a", &["AUTH", "secret"]));
    // Another client's rights are not lent to who does not know the password.
    assert!(wire.error(&words(&port, "b", &[])).contains("NOAUTH"));
    other.ok(&["CONFIG", "SET", "requirepass", "other"]);
    assert!(
        wire.error(&words(&port, "b", &["AUTH", "secret"]))
            .contains("WRONGPASS")
    );
    wire.ok(&words(&port, "b", &["AUTH2", "default", "other"]));
    assert_eq!(other.run(&["DBSIZE"]).to_string(), ":2");
}

#[test]
fn transactions_and_scripts_move_keys_too_and_the_log_knows_of_their_going_alone() {
    let one = Server::start(&["--appendonly", "yes"]);
    let two = Server::start(&[]);
    let (mut wire, port) = (one.connect(), two.port().to_string());
    for key in ["a", "b", "c"] {
        wire.ok(&["SET", key, "v"]);
    }
    wire.ok(&["MULTI"]);
    wire.run(&words(&port, "a", &[]));
    wire.run(&["EXISTS", "a"]);
    assert_eq!(wire.run(&["EXEC"]).to_string(), "*2\n  +OK\n  :0");
    let script = "return redis.call('MIGRATE', '127.0.0.1', ARGV[1], KEYS[1], 0, 30000)";
    wire.ok(&["EVAL", script, "1", "b", &port]);
    wire.ok(&words(&port, "c", &[]));
    assert_eq!(two.connect().run(&["DBSIZE"]).to_string(), ":3");
    let log = one.folder().join("appendonlydir/appendonly.aof.1.incr.aof");
    eventually("the log is written", || {
        read_text(&log).matches("DEL").count() == 3
    });
    assert!(!read_text(&log).contains("MIGRATE"));
}

#[test]
fn more_keys_than_answers_fit_anywhere_do_not_stop_it() {
    const COUNT: usize = 20_000;
    let [one, two] = [(); 2].map(|()| Server::start(DEBUG));
    let mut wire = one.connect();
    wire.ok(&["DEBUG", "POPULATE", &COUNT.to_string()]);
    let keys: Vec<String> = (0..COUNT).map(|number| format!("key:{number}")).collect();
    let keys: Vec<&str> = ["KEYS"]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    wire.ok(&words(&two.port().to_string(), "", &keys));
    assert_eq!(wire.run(&["DBSIZE"]).to_string(), ":0");
    assert_eq!(two.connect().run(&["DBSIZE"]).to_string(), format!(":{COUNT}"));
}

/// A server of a test's own: of each connection in turn, what it answers once it has read something; `None`: nothing,
/// until its client has gone.
fn fake(answers: Vec<Option<&'static [u8]>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let serving = spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut chunk = [0; 4096];
            let _ = stream.read(&mut chunk).expect("a command");
            match answer {
                Some(answer) => stream.write_all(answer).expect("it listens"),
                None => while stream.read(&mut chunk).is_ok_and(|count| count > 0) {},
            }
        }
    });
    (port, serving)
}

#[test]
fn a_target_that_does_not_answer_keeps_nobody_from_reading() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    let (port, serving) = fake(vec![None]);
    wire.ok(&["SET", "k", "v"]);
    wire.send(&command(&[
        b"MIGRATE",
        b"127.0.0.1",
        port.as_bytes(),
        b"k",
        b"0",
        b"5000",
    ]));
    eventually("it is under way", || {
        info_number(&mut other, "clients", "blocked_clients") == 1
    });
    assert_eq!(text(other.run(&["GET", "k"])), "v");
    other.send(&command(&[b"APPEND", b"k", b"!"]));
    assert_eq!(other.first_within(Duration::from_millis(100)), b"");
    wire.expect(b"-IOERR error or timeout reading to target instance\r\n");
    other.expect(b":2\r\n");
    serving.join().expect("the target");
}

/// A server of a test's own that answers a byte whenever its client's patience of 400 ms has nearly run out: of one answer
/// (`+`, endlessly), or of one answer after the other. It tells when it has been asked something.
fn dribble(answer: &'static [u8]) -> (String, Receiver<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let (asked, hears) = channel();
    let serving = spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut chunk = [0; 4096];
        let _ = stream.read(&mut chunk).expect("a command");
        asked.send(()).expect("the test waits for it");
        while stream.write_all(answer).is_ok() {
            std::thread::sleep(Duration::from_millis(250));
        }
    });
    (port, hears, serving)
}

#[test]
fn a_target_that_answers_drop_by_drop_holds_writes_back_no_longer_than_one_that_does_not() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    let keys: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
    for key in &keys {
        wire.ok(&["SET", key, "v"]);
    }
    let keys = keys.iter().map(String::as_bytes);
    for answer in [&b"+"[..], b"+OK\r\n"] {
        let (port, asked, serving) = dribble(answer);
        let words = [
            &b"MIGRATE"[..],
            b"127.0.0.1",
            port.as_bytes(),
            b"",
            b"0",
            b"400",
            b"KEYS",
        ];
        wire.send(&command(
            &words.into_iter().chain(keys.clone()).collect::<Vec<_>>(),
        ));
        let started = Instant::now();
        asked.recv().expect("it is under way");
        other.ok(&["SET", "other", "v"]);
        // At 250 ms each they would take ten seconds and more.
        assert!(
            started.elapsed() < Duration::from_secs(6),
            "{:?}",
            started.elapsed()
        );
        wire.expect(b"-IOERR error or timeout reading to target instance\r\n");
        serving.join().expect("the target");
    }
    // What was taken is gone, what nothing is known of is here.
    let left = wire.run(&["DBSIZE"]).to_string();
    assert!(left != ":41" && left != ":1", "{left}");
}

#[test]
fn a_kept_connection_that_the_target_has_closed_is_opened_anew() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let (port, serving) = fake(vec![Some(b"+OK\r\n+OK\r\n"), Some(b"+OK\r\n+OK\r\n")]);
    for key in ["a", "b"] {
        wire.ok(&["SET", key, "v"]);
        wire.ok(&words(&port, key, &[]));
    }
    serving.join().expect("the target");
    wire.ok(&["SET", "c", "v"]);
    let refused = wire.error(&words(&port, "c", &[]));
    assert_eq!(refused, "IOERR error or timeout writing to target instance");
    assert_eq!(wire.run(&["EXISTS", "a", "b", "c"]).to_string(), ":1");
}

#[test]
fn what_is_no_answer_or_no_host_is_an_error() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    let endless: &[u8] = &[b'x'; 20_000];
    let (port, serving) = fake(vec![Some(endless), Some(b"+OK")]);
    let refused = wire.error(&words(&port, "k", &[]));
    assert_eq!(refused, "IOERR error or timeout reading to target instance");
    serving.join().expect("the target");
    for (host, port) in [
        ("no.such.host.invalid", "1"),
        ("127.0.0.1", "port"),
        ("127.0.0.1", "65536"),
    ] {
        let refused = wire.error(&["MIGRATE", host, port, "k", "0", "1000"]);
        assert_eq!(
            refused, "IOERR error or timeout connecting to the client",
            "{host} {port}"
        );
    }
}
