//! Commands that wait for a key, and transactions, as several clients meet them.

use std::time::{Duration, Instant};

use super::server::{Server, eventually};
use super::wire::{Wire, info_number, text};

/// A client that waits for what `request` asks for by now.
#[track_caller]
fn blocked(server: &Server, other: &mut Wire, request: &[u8]) -> Wire {
    let before = info_number(other, "clients", "blocked_clients");
    let mut wire = server.connect();
    wire.send(request);
    eventually("the client is blocked", || {
        info_number(other, "clients", "blocked_clients") == before + 1
    });
    wire
}

/// The value of `name=` in the line of CLIENT LIST about the client called `client`.
fn listed(other: &mut Wire, client: &str, name: &str) -> String {
    let list = text(other.run(&["CLIENT", "LIST"]));
    let called = format!(" name={client} ");
    let line = list
        .lines()
        .find(|line| line.contains(&called))
        .expect("it is listed");
    let field = line
        .split(' ')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    field.expect("a field of CLIENT LIST").to_owned()
}

#[test]
fn time_is_up_on_time() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads, "--enable-debug-command", "yes"]);
        let mut wire = server.connect();
        // Not by the cron.
        wire.ok(&["DEBUG", "PAUSE-CRON", "1"]);
        for ms in [1, 30, 250] {
            let wanted = Duration::from_millis(ms);
            let mut wait = || {
                let started = Instant::now();
                wire.ask(
                    format!("BLPOP k {}\r\n", ms as f64 / 1000.0).as_bytes(),
                    b"*-1\r\n",
                );
                let waited = started.elapsed();
                assert!(waited >= wanted, "{ms}: {waited:?}");
                waited
            };
            // A busy machine may take its time, but not each time.
            let is_punctual = (0..10).any(|_| wait() < wanted + Duration::from_millis(500));
            assert!(is_punctual, "{ms}");
        }
    }
}

#[test]
fn what_was_answered_before_goes_out_and_what_comes_behind_waits() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut other = server.connect();
        let mut wire = blocked(
            &server,
            &mut other,
            b"PING\r\nBLPOP a k 0\r\nLLEN k\r\nBLPOP k 0\r\n",
        );
        wire.expect(b"+PONG\r\n");
        other.ask(b"RPUSH k 1 2\r\nLLEN k\r\n", b":2\r\n:1\r\n");
        wire.expect(b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n:1\r\n*2\r\n$1\r\nk\r\n$1\r\n2\r\n");
        assert_eq!(info_number(&mut other, "clients", "total_blocking_keys"), 0);
    }
}

#[test]
fn a_client_that_hangs_up_while_it_waits_is_gone_at_once() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut other = server.connect();
        let mut wire = blocked(&server, &mut other, b"BLPOP k 0\r\n");
        wire.send(b"PING\r\n");
        drop(wire);
        eventually("the client is forgotten", || {
            info_number(&mut other, "clients", "connected_clients") == 1
        });
        other.ask(b"RPUSH k 1\r\nLLEN k\r\n", b":1\r\n:1\r\n");
    }
}

#[test]
fn a_blocked_client_is_seen_killed_and_freed() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, b"CLIENT SETNAME waiter\r\nBLPOP k 10\r\n");
    wire.expect(b"+OK\r\n");
    assert_eq!(listed(&mut other, "waiter", "flags"), "b");
    assert_eq!(listed(&mut other, "waiter", "cmd"), "blpop");
    assert_eq!(info_number(&mut other, "clients", "clients_in_timeout_table"), 1);
    let id = listed(&mut other, "waiter", "id");
    other.ask(format!("CLIENT UNBLOCK {id}\r\n").as_bytes(), b":1\r\n");
    wire.expect(b"*-1\r\n");
    wire.send(b"BRPOPLPUSH k j 0\r\n");
    eventually("it is blocked again", || {
        listed(&mut other, "waiter", "flags") == "b"
    });
    other.ask(format!("CLIENT UNBLOCK {id} ERROR\r\n").as_bytes(), b":1\r\n");
    wire.expect(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    wire.send(b"BLPOP k 0\r\n");
    eventually("it is blocked once more", || {
        listed(&mut other, "waiter", "flags") == "b"
    });
    other.ask(format!("CLIENT KILL ID {id}\r\n").as_bytes(), b":1\r\n");
    wire.expect_end(b"");
    assert_eq!(info_number(&mut other, "clients", "blocked_clients"), 0);
}

#[test]
fn a_subscriber_that_waits_hears_messages_meanwhile() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, b"HELLO 3\r\nSUBSCRIBE c\r\nBLPOP k 0\r\n");
    while !wire.reply().to_string().contains("$subscribe") {}
    other.ask(b"PUBLISH c 1\r\n", b":1\r\n");
    wire.expect(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n");
    other.ask(b"RPUSH k 1\r\nPUBLISH c 2\r\n", b":1\r\n:1\r\n");
    wire.expect(b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n");
}

#[test]
fn what_waited_is_counted_logged_and_shown_once() {
    let server = Server::start(&["--slowlog-log-slower-than", "20000"]);
    let (mut other, mut monitor) = (server.connect(), server.connect());
    monitor.ok(&["MONITOR"]);
    let mut wire = blocked(&server, &mut other, b"BLPOP k 0\r\n");
    std::thread::sleep(Duration::from_millis(40));
    other.ask(b"RPUSH k 1\r\n", b":1\r\n");
    wire.expect(b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n");
    let stats = text(other.run(&["INFO", "commandstats"]));
    assert!(stats.contains("cmdstat_blpop:calls=1,"), "{stats}");
    other.ask(b"SLOWLOG LEN\r\n", b":0\r\n");
    other.ask(b"PING\r\n", b"+PONG\r\n");
    let mut shown = String::new();
    while !shown.contains("\"PING\"") {
        shown += &String::from_utf8_lossy(&monitor.first_within(Duration::from_secs(5)));
    }
    assert_eq!(shown.matches("\"BLPOP\" \"k\" \"0\"").count(), 1, "{shown}");
}

#[test]
fn a_transaction_is_seen_while_it_is_queued_and_watched() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ok(&["CLIENT", "SETNAME", "t"]);
    assert_eq!(listed(&mut other, "t", "multi"), "-1");
    wire.ok(&["WATCH", "a", "b", "a"]);
    assert_eq!(info_number(&mut other, "clients", "watching_clients"), 1);
    wire.ask(b"MULTI\r\nSET a 1\r\nGET a\r\n", b"+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    assert_eq!(listed(&mut other, "t", "multi"), "2");
    assert_eq!(listed(&mut other, "t", "flags"), "x");
    assert_ne!(listed(&mut other, "t", "multi-mem"), "0");
    other.ok(&["SET", "b", "1"]);
    assert_eq!(listed(&mut other, "t", "flags"), "xd");
    assert_eq!(info_number(&mut other, "clients", "watching_clients"), 0);
    wire.ask(b"EXEC\r\n", b"*-1\r\n");
    assert_eq!(listed(&mut other, "t", "flags"), "N");
    assert_eq!(listed(&mut other, "t", "multi"), "-1");
}

#[test]
fn the_list_of_clients_tells_a_refused_command_and_what_was_queued_before_it() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ok(&["CLIENT", "SETNAME", "t"]);
    wire.send(b"MULTI\r\nPING\r\nGET\r\n");
    wire.expect(b"+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'get' command\r\n");
    assert_eq!(listed(&mut other, "t", "multi"), "1");
    assert_eq!(listed(&mut other, "t", "cmd"), "get");
    wire.ask(
        b"NOSUCH\r\n",
        b"-ERR unknown command 'NOSUCH', with args beginning with: \r\n",
    );
    assert_eq!(listed(&mut other, "t", "cmd"), "NULL");
}

#[test]
fn monitor_shows_a_transaction_when_it_runs() {
    let server = Server::start(&[]);
    let (mut wire, mut monitor) = (server.connect(), server.connect());
    monitor.ok(&["MONITOR"]);
    wire.ask(
        b"MULTI\r\nSET k 1\r\nEXEC\r\n",
        b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
    let mut shown = String::new();
    while !shown.contains("\"EXEC\"") {
        shown += &String::from_utf8_lossy(&monitor.first_within(Duration::from_secs(5)));
    }
    let words: Vec<&str> = shown.lines().filter_map(|line| line.split("] ").nth(1)).collect();
    assert_eq!(words, ["\"MULTI\"", "\"SET\" \"k\" \"1\"", "\"EXEC\""]);
}

#[test]
fn a_transaction_that_fills_and_sleeps_wakes_nobody_for_what_has_expired() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, b"BLPOP k 0.5\r\n");
    other.send(b"MULTI\r\nRPUSH k 1\r\nPEXPIRE k 50\r\nDEBUG SLEEP 0.1\r\nEXEC\r\n");
    other.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n+OK\r\n");
    wire.expect(b"*-1\r\n");
}
