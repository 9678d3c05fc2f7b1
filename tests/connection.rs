//! What clients do to their own and to each other's connections, where a transcript with one connection cannot show it.

use russet::exec::Executor;
use russet::session::{SessionFlags, SessionId};

/// Runs a command given as words with single blanks between; the reply as text.
fn run(executor: &mut Executor, client: SessionId, line: &str) -> String {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&executor.run(client, &words)).into_owned()
}

#[track_caller]
fn check(executor: &mut Executor, client: SessionId, exchanges: &[(&str, &str)]) {
    for (command, reply) in exchanges {
        assert_eq!(run(executor, client, command), *reply, "{command}");
    }
}

fn with_password() -> Executor {
    let mut executor = Executor::for_tests();
    executor.acl.set_default_password("secret");
    executor
}

#[test]
fn a_skipped_reply_is_the_next_one_only() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    check(
        &mut executor,
        client,
        &[
            ("CLIENT REPLY SKIP", ""),
            ("PING 1", ""),
            ("PING 2", "$1\r\n2\r\n"),
            ("CLIENT REPLY SKIP", ""),
            ("RESET", ""),
            ("PING", "+PONG\r\n"),
            ("CLIENT REPLY SKIP", ""),
            ("NOSUCH", ""),
            ("PING", "+PONG\r\n"),
        ],
    );
}

#[test]
fn replies_stay_off_until_they_are_turned_on() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    check(
        &mut executor,
        client,
        &[
            ("CLIENT REPLY OFF", ""),
            ("PING", ""),
            ("CLIENT REPLY SKIP", ""),
            ("SET k v", ""),
            ("CLIENT REPLY ON", "+OK\r\n"),
            ("GET k", "$1\r\nv\r\n"),
            ("CLIENT REPLY SKIP", ""),
            ("CLIENT REPLY ON", "+OK\r\n"),
            ("PING", "+PONG\r\n"),
            ("CLIENT REPLY SKIP", ""),
            ("CLIENT REPLY OFF", ""),
            ("PING", ""),
            ("CLIENT REPLY ON", "+OK\r\n"),
        ],
    );
}

#[test]
fn nobody_gets_past_a_password_without_it() {
    const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
    const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let mut executor = with_password();
    let client = executor.connect();
    check(
        &mut executor,
        client,
        &[
            ("PING", NOAUTH),
            ("SET k v", NOAUTH),
            ("AUTH wrong", WRONGPASS),
            ("AUTH default wrong", WRONGPASS),
            ("AUTH nobody secret", WRONGPASS),
            ("HELLO 3 AUTH default wrong", WRONGPASS),
            ("PING", NOAUTH),
        ],
    );
    assert!(
        run(&mut executor, client, "HELLO 3").starts_with("-NOAUTH HELLO must be called with the client")
    );
    assert!(run(&mut executor, client, "HELLO").starts_with("-NOAUTH HELLO must be called with the client"));
    assert_eq!(executor.sessions[client].resp, 2);
    assert_eq!(executor.stats.counters.acl_denied.auth, 4);
}

#[test]
fn a_login_lasts_until_reset() {
    let mut executor = with_password();
    let client = executor.connect();
    check(
        &mut executor,
        client,
        &[
            ("AUTH secret", "+OK\r\n"),
            ("PING", "+PONG\r\n"),
            ("RESET", "+RESET\r\n"),
        ],
    );
    assert!(!executor.sessions[client].authenticated);
    let hello = run(&mut executor, client, "HELLO 3 AUTH default secret SETNAME me");
    assert!(
        hello.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.1\r\n"),
        "{hello}"
    );
    assert_eq!(
        (
            executor.sessions[client].resp,
            executor.sessions[client].name.as_str()
        ),
        (3, "me")
    );
}

#[test]
fn a_killed_client_is_gone_and_its_killer_stays() {
    let mut executor = Executor::for_tests();
    let (killer, victim) = (executor.connect(), executor.connect());
    let command = format!("CLIENT KILL ID {}", victim.client);
    check(
        &mut executor,
        killer,
        &[(&command, ":1\r\n"), (&command, ":0\r\n"), ("PING", "+PONG\r\n")],
    );
    assert!(!executor.sessions.contains(victim));
}

#[test]
fn killing_everybody_spares_oneself_unless_asked() {
    let mut executor = Executor::for_tests();
    let clients = [(); 3].map(|()| executor.connect());
    check(
        &mut executor,
        clients[0],
        &[("CLIENT KILL TYPE normal", ":2\r\n")],
    );
    assert_eq!(executor.sessions.len(), 1);
    check(
        &mut executor,
        clients[0],
        &[("CLIENT KILL TYPE normal SKIPME no", ":1\r\n")],
    );
    assert!(
        executor.sessions[clients[0]]
            .flags
            .contains(SessionFlags::CLOSE_AFTER_REPLY)
    );
}

#[test]
fn only_the_old_are_killed_by_age() {
    let mut executor = Executor::for_tests();
    let old = executor.connect();
    executor.set_time_us(executor.time_us() + 10_000_000);
    let young = executor.connect();
    check(
        &mut executor,
        young,
        &[
            ("CLIENT KILL MAXAGE 11", ":0\r\n"),
            ("CLIENT KILL MAXAGE 10", ":1\r\n"),
        ],
    );
    assert!(!executor.sessions.contains(old));
}

#[test]
fn quit_answers_and_closes() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    check(&mut executor, client, &[("QUIT", "+OK\r\n")]);
    assert!(
        executor.sessions[client]
            .flags
            .contains(SessionFlags::CLOSE_AFTER_REPLY)
    );
}

#[test]
fn a_list_shows_who_was_asked_for() {
    let mut executor = Executor::for_tests();
    let (a, b) = (executor.connect(), executor.connect());
    check(
        &mut executor,
        b,
        &[("CLIENT SETNAME bee", "+OK\r\n"), ("SELECT 2", "+OK\r\n")],
    );
    let all = run(&mut executor, a, "CLIENT LIST");
    assert_eq!(all.matches("id=").count(), 2, "{all}");
    assert!(
        all.contains(&format!("id={} ", b.client)) && all.contains(" name=bee ") && all.contains(" db=2 ")
    );
    assert!(
        all.contains(" cmd=client|list ") && all.contains(" cmd=select "),
        "{all}"
    );
    let one = run(
        &mut executor,
        a,
        &format!("CLIENT LIST ID {} 99 {}", b.client, b.client),
    );
    assert_eq!(
        (one.matches("name=bee").count(), one.matches(" name= ").count()),
        (2, 0),
        "{one}"
    );
}

#[test]
fn a_pause_is_made_longer_and_stricter_and_ended() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    let now_ms = executor.time_us() / 1000;
    check(
        &mut executor,
        client,
        &[
            ("CLIENT PAUSE 1000 ALL", "+OK\r\n"),
            ("CLIENT PAUSE 10 WRITE", "+OK\r\n"),
        ],
    );
    let pause = executor.server.pause.expect("a pause is under way");
    assert_eq!((pause.until_ms, pause.all), (now_ms + 1000, true));
    check(&mut executor, client, &[("CLIENT UNPAUSE", "+OK\r\n")]);
    assert_eq!(executor.server.pause, None);
}

#[test]
fn scan_walks_through_every_key_once_a_table_stands_still() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    for i in 0..5000 {
        run(&mut executor, client, &format!("SET key:{i} v"));
    }
    let (mut cursor, mut names, mut calls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = run(&mut executor, client, &format!("SCAN {cursor} COUNT 100"));
        let mut lines = reply.split("\r\n").skip(2);
        cursor = lines.next().expect("a cursor").to_owned();
        let found = lines
            .skip(1)
            .filter(|line| line.starts_with("key:"))
            .map(str::to_owned);
        let before = names.len();
        names.extend(found);
        assert!(names.len() - before < 1000, "COUNT bounds the work");
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5000);
    assert!(calls > 10, "{calls}");
}

#[test]
fn scan_removes_the_expired_keys_it_meets() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    for i in 0..100 {
        run(
            &mut executor,
            client,
            &format!("SET key:{i} v PX {}", if i % 2 == 0 { 10 } else { 100_000 }),
        );
    }
    executor.set_time_us(executor.time_us() + 1_000_000);
    check(&mut executor, client, &[("DBSIZE", ":100\r\n")]);
    run(&mut executor, client, "SCAN 0 COUNT 1000");
    check(&mut executor, client, &[("DBSIZE", ":50\r\n")]);
    assert_eq!(executor.keys.stats.expired, 50);
}

#[test]
fn a_client_sees_the_arguments_of_its_own_command() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    let _other = executor.connect();
    for command in ["CLIENT LIST", "CLIENT INFO"] {
        let reply = run(&mut executor, client, command);
        let lines: Vec<&str> = reply.lines().filter(|line| line.contains("argv-mem=")).collect();
        assert!(lines[0].contains(" argv-mem=10 "), "{reply}");
        assert!(
            lines[1..].iter().all(|line| line.contains(" argv-mem=0 ")),
            "{reply}"
        );
    }
}

#[test]
fn the_slow_log_shows_no_secrets() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    run(&mut executor, client, "CONFIG SET slowlog-log-slower-than 0");
    let shown = |executor: &mut Executor, command: &str| {
        run(executor, client, "SLOWLOG RESET");
        run(executor, client, command);
        let log = run(executor, client, "SLOWLOG GET 1");
        let words = log
            .split("\r\n")
            .filter(|line| !line.starts_with(['*', '$', ':']));
        let words: Vec<&str> = words.take_while(|word| !word.starts_with('?')).collect();
        words.join(" ")
    };
    for (command, expected) in [
        ("SET key value", "SET key value"),
        ("CONFIG SET masterauth pw", "CONFIG SET masterauth (redacted)"),
        (
            "CONFIG SET maxclients 100 MasterUser me",
            "CONFIG SET maxclients 100 MasterUser (redacted)",
        ),
        (
            "CONFIG SET nosuch 1 tls-key-file-pass pw",
            "CONFIG SET nosuch 1 tls-key-file-pass (redacted)",
        ),
        ("AUTH wrong", "AUTH (redacted)"),
        ("AUTH me wrong", "AUTH (redacted) (redacted)"),
        (
            "HELLO 2 AUTH me pw SETNAME n",
            "HELLO 2 AUTH (redacted) (redacted) SETNAME n",
        ),
        (
            "HELLO 2 SETNAME n AUTH me wrong",
            "HELLO 2 SETNAME n AUTH (redacted) (redacted)",
        ),
        ("HELLO 2 SETNAME auth", "HELLO 2 SETNAME auth"),
    ] {
        assert_eq!(shown(&mut executor, command), expected);
    }
}

#[test]
fn a_browser_is_cut_off_without_a_reply() {
    for line in ["POST / HTTP/1.1", "Host: localhost", "post"] {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        assert_eq!(run(&mut executor, client, line), "");
        let session = executor.sessions.get(client).expect("its replies come first");
        assert!(session.flags.contains(SessionFlags::CLOSE_AFTER_REPLY), "{line}");
    }
}
