//! CLIENT PAUSE as clients meet it: whom it holds, what it keeps, and what happens meanwhile.

use std::time::Duration;

use super::server::{Server, eventually};
use super::wire::{Wire, command, info_number};

const LONG: &str = "100000";

/// A client whose `request` a pause holds back by now.
#[track_caller]
fn held(server: &Server, other: &mut Wire, request: &[u8]) -> Wire {
    let mut wire = server.connect();
    wire.send(request);
    eventually("the client is held back", || {
        info_number(other, "clients", "blocked_clients") == 1
    });
    wire
}

#[test]
fn what_is_answered_before_a_pause_does_not_wait_for_its_end() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ask(
        b"CLIENT PAUSE 100000 WRITE\r\nGET k\r\nSET k 1\r\nGET k\r\n",
        b"+OK\r\n$-1\r\n",
    );
    other.ok(&["CLIENT", "UNPAUSE"]);
    wire.expect(b"+OK\r\n$1\r\n1\r\n");
}

#[test]
fn what_would_be_refused_is_refused_during_a_pause() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    other.ok(&["CLIENT", "PAUSE", LONG, "WRITE"]);
    wire.ask(
        b"SUBSCRIBE c\r\nGETDEL k\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n-ERR Can't execute 'getdel': only (P|S)SUBSCRIBE / \
          (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
    );
}

#[test]
fn a_large_value_is_whole_after_a_pause() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    other.ok(&["CLIENT", "PAUSE", LONG, "WRITE"]);
    let mut wire = held(
        &server,
        &mut other,
        &command(&[b"SET", b"k", &vec![b'v'; 1 << 20]]),
    );
    other.ok(&["CLIENT", "UNPAUSE"]);
    wire.expect(b"+OK\r\n");
    wire.ask(b"STRLEN k\r\n", b":1048576\r\n");
}

#[test]
fn a_client_that_hangs_up_while_it_is_held_back_is_gone_at_once() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut other = server.connect();
        other.ok(&["CLIENT", "PAUSE", LONG, "WRITE"]);
        let mut wire = held(&server, &mut other, b"SET k v\r\n");
        // More behind what is held, which nobody has read yet.
        wire.send(b"SET k w\r\n");
        drop(wire);
        eventually("the client is forgotten", || {
            info_number(&mut other, "clients", "connected_clients") == 1
        });
        assert_eq!(info_number(&mut other, "clients", "blocked_clients"), 0);
        other.ok(&["CLIENT", "UNPAUSE"]);
        other.ask(b"EXISTS k\r\n", b":0\r\n");
    }
}

#[test]
fn a_client_held_back_twice_is_answered_once() {
    let server = Server::start(&["--io-threads", "3"]);
    let mut other = server.connect();
    other.ok(&["CLIENT", "PAUSE", LONG, "WRITE"]);
    let mut wire = held(&server, &mut other, b"INCR k\r\n");
    other.ok(&["CLIENT", "UNPAUSE"]);
    wire.expect(b":1\r\n");
    other.ok(&["CLIENT", "PAUSE", LONG, "WRITE"]);
    wire.ask(b"GET k\r\nINCR k\r\n", b"$1\r\n1\r\n");
    other.ok(&["CLIENT", "UNPAUSE"]);
    wire.expect(b":2\r\n");
    wire.ask(b"PING\r\n", b"+PONG\r\n");
}

#[test]
fn during_a_pause_keys_expire_in_the_eyes_of_readers_only() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.send(b"SET a 1 PX 10\r\nSET b 1 PX 10\r\nCLIENT PAUSE 100000 WRITE\r\n");
    wire.expect(b"+OK\r\n+OK\r\n+OK\r\n");
    std::thread::sleep(Duration::from_millis(250));
    wire.ask(b"GET a\r\nEXISTS b\r\n", b"$-1\r\n:0\r\n");
    wire.ask(b"DBSIZE\r\n", b":2\r\n");
    assert_eq!(info_number(&mut wire, "stats", "expired_keys"), 0);
    wire.ok(&["CLIENT", "UNPAUSE"]);
    eventually("the keys expire", || {
        info_number(&mut wire, "stats", "expired_keys") == 2
    });
}
