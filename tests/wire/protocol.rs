//! The protocol at its edges: any cut into packets, any size, and everything malformed, to the byte.

use std::time::Duration;

use super::server::{Server, eventually};
use super::wire::{Wire, command, info_number};
use russet::resp::Value;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// More than the longest line a client may send.
const ENDLESS: usize = 70_000;

#[test]
fn a_pipeline_is_answered_in_order_and_whole() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for n in 0..10_000 {
        let word = n.to_string();
        requests.extend(command(&[b"ECHO", word.as_bytes()]));
        replies.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    wire.ask(&requests, &replies);
}

#[test]
fn a_command_may_arrive_byte_by_byte() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let commands = [
        command(&[b"SET", b"k", b"a\r\nb\0c"]),
        command(&[b"GET", b"k"]),
        b"PING\r\n".to_vec(),
    ];
    for byte in commands.concat() {
        wire.send(&[byte]);
    }
    wire.expect(b"+OK\r\n$6\r\na\r\nb\0c\r\n+PONG\r\n");
}

#[test]
fn a_pipeline_may_be_cut_anywhere() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let value = vec![b'v'; 40_000];
    let requests = [
        command(&[b"SET", b"k", &value]),
        command(&[b"STRLEN", b"k"]),
        PING.to_vec(),
    ]
    .concat();
    for piece in [61, 1000, 16 * 1024, 39_999] {
        for part in requests.chunks(piece) {
            wire.send(part);
        }
        wire.expect(b"+OK\r\n:40000\r\n+PONG\r\n");
    }
}

#[test]
fn an_argument_of_64_megabytes_goes_in_and_comes_back() {
    big_argument(64 << 20);
}

#[test]
fn an_argument_of_512_megabytes_goes_in_and_comes_back() {
    if std::env::var_os("RUSSET_WIRE_BIG").is_none() {
        return eprintln!("SKIPPED: RUSSET_WIRE_BIG is not set");
    }
    big_argument(512 << 20);
}

fn big_argument(length: usize) {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    wire.ask(&command(&[b"SET", b"big", &value]), b"+OK\r\n");
    wire.ask(b"STRLEN big\r\n", format!(":{length}\r\n").as_bytes());
    wire.send(b"GET big\r\n");
    assert!(wire.bulk(length) == value, "the value came back changed");
    wire.ask(PING, PONG);
    let resident = server.resident_bytes();
    assert!(
        resident < 2 * length + (64 << 20),
        "{resident} bytes for {length}"
    );
}

#[test]
fn the_longest_argument_follows_its_directive() {
    let server = Server::start(&["--proto-max-bulk-len", "1mb"]);
    let mut wire = server.connect();
    wire.ask(&command(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), b"+OK\r\n");
    wire.send(b"*2\r\n$3\r\nGET\r\n$1048577\r\n");
    wire.expect_end(b"-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn inline_commands_are_split_and_unquoted() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ask(b"PING\r\n", PONG);
    wire.ask(b"PING\n", PONG);
    wire.ask(b"  \tping  \r\n", PONG);
    wire.ask(b"\r\n\n   \r\nPING\r\n", PONG);
    wire.ask(b"ECHO \"a\\x41\\n \\\"b\\\"\"\r\n", b"$7\r\naA\n \"b\"\r\n");
    wire.ask(b"ECHO 'it\\'s \\n'\r\n", b"$7\r\nit's \\n\r\n");
    wire.ask(b"SET k \"\"\r\n", b"+OK\r\n");
    wire.ask(b"STRLEN k\r\n", b":0\r\n");
}

#[test]
fn inline_commands_and_arrays_may_alternate() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ask(
        &[PING, b"PING\r\n", PING, b"ECHO x\r\n", PING].concat(),
        b"+PONG\r\n+PONG\r\n+PONG\r\n$1\r\nx\r\n+PONG\r\n",
    );
}

#[test]
fn empty_and_negative_arrays_are_passed_over() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ask(&[b"*0\r\n*-1\r\n*-100\r\n", PING].concat(), PONG);
}

/// Checks that `input` is answered with `detail` as a protocol error, and the connection closed.
#[track_caller]
fn check_malformed(server: &Server, input: &[u8], detail: &str) {
    let mut wire = server.connect();
    wire.send_unheard(input);
    let shown = &input[..input.len().min(40)];
    let rest = wire.rest();
    assert_eq!(
        String::from_utf8_lossy(&rest),
        format!("-ERR Protocol error: {detail}\r\n"),
        "{}",
        shown.escape_ascii()
    );
}

#[test]
fn malformed_lengths_are_named_and_end_the_connection() {
    let server = Server::start(&[]);
    for count in [
        "x",
        "1x",
        "2147483648",
        "99999999999999999999",
        " 1",
        "1 ",
        "",
        "+1",
        "1.5",
    ] {
        check_malformed(
            &server,
            format!("*{count}\r\n").as_bytes(),
            "invalid multibulk length",
        );
    }
    for length in [
        "-1",
        "x",
        "",
        "536870913",
        "99999999999999999999",
        "1 ",
        "+1",
        "-0",
    ] {
        check_malformed(
            &server,
            format!("*1\r\n${length}\r\n").as_bytes(),
            "invalid bulk length",
        );
    }
}

#[test]
fn a_missing_dollar_is_named_with_the_byte_found() {
    let server = Server::start(&[]);
    check_malformed(&server, b"*1\r\n!4\r\nPING\r\n", "expected '$', got '!'");
    check_malformed(&server, b"*2\r\n$4\r\nECHO\r\n:1\r\n", "expected '$', got ':'");
    check_malformed(&server, b"*1\r\nPING\r\n", "expected '$', got 'P'");
}

#[test]
fn lines_without_end_are_cut_off() {
    let server = Server::start(&[]);
    let endless = |start: &str| [start.as_bytes(), &[b'1'; ENDLESS]].concat();
    check_malformed(&server, &endless("*"), "too big mbulk count string");
    check_malformed(&server, &endless("*1\r\n$"), "too big bulk count string");
    check_malformed(&server, &endless("A"), "too big inline request");
}

#[test]
fn unbalanced_quotes_are_named() {
    let server = Server::start(&[]);
    for line in ["SET \"a b", "SET 'a", "\"PING\"x", "GET \"k\\\"", "'"] {
        check_malformed(
            &server,
            format!("{line}\r\n").as_bytes(),
            "unbalanced quotes in request",
        );
    }
}

#[test]
fn commands_before_a_malformed_one_are_answered_first_and_those_after_never() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.send(
        &[
            &command(&[b"SET", b"before", b"1"]),
            b"*x\r\n".as_slice(),
            &command(&[b"SET", b"after", b"1"]),
        ]
        .concat(),
    );
    wire.expect_end(b"+OK\r\n-ERR Protocol error: invalid multibulk length\r\n");
    let mut other = server.connect();
    other.ask(b"GET before\r\nGET after\r\n", b"$1\r\n1\r\n$-1\r\n");
}

#[test]
fn noise_harms_nobody_else() {
    let server = Server::start(&[]);
    let mut witness = server.connect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        let noise: Vec<u8> = (0..500).map(|_| next_byte(&mut state)).collect();
        server.connect().send_unheard(&noise);
        witness.ask(PING, PONG);
    }
    // A request line of another protocol: an unknown command, or a refusal for what it is.
    let mut browser = server.connect();
    browser.send_unheard(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    witness.ask(PING, PONG);
}

fn next_byte(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 56) as u8
}

#[test]
fn requests_of_a_browser_are_cut_off() {
    let server = Server::start(&[]);
    for line in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut wire = server.connect();
        wire.send_unheard(format!("{line}\r\nSET from browser\r\n").as_bytes());
        let rest = String::from_utf8_lossy(&wire.rest()).into_owned();
        assert!(!rest.contains("+OK"), "{line:?} went on to {rest:?}");
    }
}

#[test]
fn half_a_command_waits_and_is_answered_when_it_is_whole() {
    let server = Server::start(&[]);
    let whole = command(&[b"SET", b"k", b"value"]);
    let mut other = server.connect();
    let mut halves: Vec<(usize, Wire)> = (1..whole.len()).map(|cut| (cut, server.connect())).collect();
    for (cut, wire) in &mut halves {
        wire.send(&whole[..*cut]);
    }
    other.ask(PING, PONG);
    for (cut, wire) in &mut halves {
        wire.ask(&whole[*cut..], b"+OK\r\n");
    }
}

#[test]
fn a_client_that_leaves_amid_a_command_changes_nothing() {
    let server = Server::start(&[]);
    let whole = command(&[b"SET", b"k", b"value"]);
    for cut in 0..whole.len() {
        server.connect().send(&whole[..cut]);
    }
    let mut wire = server.connect();
    wire.ask(b"GET k\r\n", b"$-1\r\n");
    eventually("the others are gone", || {
        info_number(&mut wire, "clients", "connected_clients") == 1
    });
}

#[test]
fn a_client_that_has_not_authenticated_may_announce_little() {
    let server = Server::start(&["--requirepass", "secret"]);
    check_malformed(&server, b"*11\r\n", "unauthenticated multibulk length");
    check_malformed(
        &server,
        b"*2\r\n$4\r\nAUTH\r\n$16385\r\n",
        "unauthenticated bulk length",
    );
    let mut wire = server.connect();
    wire.ask(b"GET k\r\n", b"-NOAUTH Authentication required.\r\n");
    wire.ask(
        b"AUTH wrong\r\n",
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    );
    wire.ask(b"AUTH secret\r\n", b"+OK\r\n");
    let eleven: Vec<&[u8]> = [b"DEL".as_slice()]
        .into_iter()
        .chain([b"k".as_slice(); 10])
        .collect();
    wire.ask(&command(&eleven), b":0\r\n");
    wire.ask(&command(&[b"SET", b"k", &[b'v'; 20_000]]), b"+OK\r\n");
}

#[test]
fn authentication_and_what_it_allows_may_come_in_one_packet() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut wire = server.connect();
    let big = command(&[b"SET", b"k", &[b'v'; 20_000]]);
    wire.ask(
        &[&command(&[b"AUTH", b"secret"]), big.as_slice(), PING].concat(),
        b"+OK\r\n+OK\r\n+PONG\r\n",
    );
}

#[test]
fn input_beyond_the_query_buffer_limit_ends_the_connection_in_silence() {
    let server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let mut wire = server.connect();
    wire.send_unheard(&command(&[b"SET", b"k", &vec![b'v'; 3 << 20]]));
    wire.expect_end(b"");
    let mut other = server.connect();
    other.ask(b"GET k\r\n", b"$-1\r\n");
    // Just below it all is well.
    other.ask(&command(&[b"SET", b"k", &vec![b'v'; 1000 << 10]]), b"+OK\r\n");
}

#[test]
fn resp3_changes_the_words_of_one_connection_only() {
    let server = Server::start(&[]);
    let (mut new, mut old) = (server.connect(), server.connect());
    let Value::Map(pairs) = new.run(&["HELLO", "3"]) else {
        panic!("HELLO 3 answers a map");
    };
    let proto = pairs
        .iter()
        .find(|(name, _)| *name == Value::Bulk(b"proto".to_vec()));
    assert_eq!(proto.map(|(_, value)| value), Some(&Value::Int(3)));
    new.ask(b"GET none\r\n", b"_\r\n");
    old.ask(b"GET none\r\n", b"$-1\r\n");
    assert!(matches!(new.run(&["HELLO", "2"]), Value::Array(_)));
    new.ask(b"GET none\r\n", b"$-1\r\n");
}

#[test]
fn quit_is_answered_and_closes() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.send(&[b"QUIT\r\n".as_slice(), PING].concat());
    wire.expect_end(b"+OK\r\n");
}

#[test]
fn an_end_of_sending_still_gets_its_replies() {
    let server = Server::start(&[]);
    let stream = std::net::TcpStream::connect(server.address()).expect("it listens");
    let mut wire = Wire::over(stream.try_clone().expect("a socket"));
    wire.send(&PING.repeat(100));
    wire.expect(PONG);
    stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    wire.expect_end(&PONG.repeat(99));
}

#[test]
fn a_write_waits_out_a_pause() {
    let server = Server::start(&[]);
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ok(&["CLIENT", "PAUSE", "100000", "WRITE"]);
    other.send(&command(&[b"SET", b"k", b"1"]));
    std::thread::sleep(Duration::from_millis(50));
    wire.ask(b"GET k\r\n", b"$-1\r\n");
    wire.ok(&["CLIENT", "UNPAUSE"]);
    other.expect(b"+OK\r\n");
    wire.ask(b"GET k\r\n", b"$1\r\n1\r\n");
}

#[test]
fn the_slow_log_shows_the_beginning_of_a_large_value() {
    let server = Server::start(&["--slowlog-log-slower-than", "0"]);
    let mut wire = server.connect();
    wire.ask(&command(&[b"SET", b"k", &[b'v'; 50_000]]), b"+OK\r\n");
    let log = format!("{}", wire.run(&["SLOWLOG", "GET", "1"]));
    let shown = format!("{}... (49872 more bytes)", "v".repeat(128));
    assert!(log.contains(&shown), "{log}");
}
