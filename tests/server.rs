//! Server commands where a transcript cannot look: whole replies that vary, gates that depend on who asks.

use russet::exec::Executor;
use russet::resp::parse_value;
use russet::session::{SessionFlags, SessionId};

/// Runs a command given as words with single blanks between; the reply as bytes.
fn run(executor: &mut Executor, client: SessionId, line: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    executor.run(client, &words)
}

fn text(executor: &mut Executor, client: SessionId, line: &str) -> String {
    String::from_utf8_lossy(&run(executor, client, line)).into_owned()
}

#[track_caller]
fn is_one_reply(line: &str, reply: &[u8]) {
    let parsed = parse_value(reply);
    assert!(
        matches!(parsed, Ok(Some((_, len))) if len == reply.len()),
        "{line}: {parsed:?}"
    );
}

/// A client as if connected from `addr`.
fn client_from(executor: &mut Executor, addr: &str) -> SessionId {
    let client = executor.connect();
    let session = &mut executor.sessions[client];
    session.flags.remove(SessionFlags::INTERNAL);
    session.addr = addr.into();
    client
}

fn set(executor: &mut Executor, directive: &str, value: &str) {
    let _ = executor
        .config
        .assign(directive, value.as_bytes())
        .expect("a fitting value");
}

#[test]
fn headers_announce_what_follows_in_both_protocols() {
    const LINES: &[&str] = &[
        "COMMAND",
        "COMMAND INFO",
        "COMMAND DOCS",
        "COMMAND LIST",
        "COMMAND LIST FILTERBY ACLCAT dangerous",
        "CONFIG GET *",
        "DEBUG HTSTATS 0 full",
        "INFO everything",
        "LATENCY DOCTOR",
        "LATENCY HISTOGRAM",
        "LOLWUT",
        "MEMORY DOCTOR",
        "MEMORY STATS",
        "SLOWLOG GET -1",
        "TIME",
    ];
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    run(&mut executor, client, "DEBUG POPULATE 1000");
    for protocol in [2, 3] {
        executor.sessions[client].resp = protocol;
        for line in LINES {
            is_one_reply(line, &run(&mut executor, client, line));
        }
    }
}

#[test]
fn info_prints_its_sections_in_order() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    let info = text(&mut executor, client, "INFO everything");
    let titles: Vec<&str> = info.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let expected = [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Commandstats",
        "Errorstats",
        "Latencystats",
        "Cluster",
        "Keyspace",
    ];
    assert_eq!(titles, expected);
}

#[test]
fn info_counts_what_the_keyspace_counts() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    for line in [
        "SET a 1", "GET a", "GET b", "GET c", "COPY a z", "COPY d z", "NOSUCH",
    ] {
        run(&mut executor, client, line);
    }
    let info = text(&mut executor, client, "INFO stats errorstats commandstats");
    for field in [
        "keyspace_hits:2",
        "keyspace_misses:3",
        "total_error_replies:1",
        "errorstat_ERR:count=1",
    ] {
        assert!(info.contains(&format!("\r\n{field}\r\n")), "{field}: {info}");
    }
    assert!(info.contains("cmdstat_get:calls=3,"), "{info}");
    run(&mut executor, client, "CONFIG RESETSTAT");
    let info = text(&mut executor, client, "INFO stats errorstats");
    assert!(
        info.contains("keyspace_hits:0\r\n") && !info.contains("errorstat_"),
        "{info}"
    );
}

#[test]
fn debug_is_for_whom_the_directive_says() {
    let mut executor = Executor::for_tests();
    let near = client_from(&mut executor, "127.0.0.1:1234");
    let far = client_from(&mut executor, "192.0.2.7:1234");
    for (choice, near_may, far_may) in [("no", false, false), ("local", true, false), ("yes", true, true)] {
        set(&mut executor, "enable-debug-command", choice);
        let mut may = |client| text(&mut executor, client, "DEBUG SLEEP 0") == "+OK\r\n";
        assert_eq!((may(near), may(far)), (near_may, far_may), "{choice}");
    }
    set(&mut executor, "enable-debug-command", "no");
    assert!(
        text(&mut executor, near, "DEBUG SLEEP 0").starts_with("-ERR DEBUG command not allowed. If the ")
    );
    assert!(text(&mut executor, near, "DEBUG").starts_with("-ERR wrong number of arguments"));
}

#[test]
fn protected_directives_are_set_by_whom_the_directive_says() {
    let mut executor = Executor::for_tests();
    let near = client_from(&mut executor, "127.0.0.1:1234");
    let far = client_from(&mut executor, "192.0.2.7:1234");
    set(&mut executor, "enable-protected-configs", "local");
    let line = "CONFIG SET dbfilename other.rdb";
    assert!(text(&mut executor, far, line).contains("can't set protected config"));
    assert_eq!(text(&mut executor, near, line), "+OK\r\n");
}

#[test]
fn a_monitor_is_counted_once() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    assert_eq!(text(&mut executor, client, "MONITOR"), "+OK\r\n");
    assert_eq!(text(&mut executor, client, "MONITOR"), "");
    assert_eq!(executor.server.monitors, 1);
}

#[test]
fn slow_commands_are_shown_with_their_client() {
    let mut executor = Executor::for_tests();
    let client = client_from(&mut executor, "192.0.2.7:1234");
    executor.sessions[client].name = "worker".into();
    for line in [
        "CONFIG SET slowlog-log-slower-than 0",
        "SLOWLOG RESET",
        "ECHO hello",
        "SLOWLOG GET 1",
    ] {
        let reply = text(&mut executor, client, line);
        if line.starts_with("SLOWLOG GET") {
            assert!(reply.starts_with("*1\r\n*6\r\n:"), "{reply}");
            let end = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n$14\r\n192.0.2.7:1234\r\n$6\r\nworker\r\n";
            assert!(reply.ends_with(end), "{reply}");
        }
    }
}

#[test]
fn latency_events_are_listed_with_their_worst() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    run(&mut executor, client, "CONFIG SET latency-monitor-threshold 1");
    executor.stats.note_latency("command", 5_000_000, 30);
    executor.stats.note_latency("command", 6_000_000, 20);
    executor.set_time_us(10_000_000);
    let latest = "*1\r\n*4\r\n$7\r\ncommand\r\n:6\r\n:20\r\n:30\r\n";
    assert_eq!(text(&mut executor, client, "LATENCY LATEST"), latest);
    let history = "*2\r\n*2\r\n:5\r\n:30\r\n*2\r\n:6\r\n:20\r\n";
    assert_eq!(text(&mut executor, client, "LATENCY HISTORY command"), history);
    assert!(text(&mut executor, client, "LATENCY GRAPH command").contains("high 30 ms, low 20 ms"));
}
