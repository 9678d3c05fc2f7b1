//! Memory as operators see it: figures that add up, the limit and what happens at it, `redis-cli`'s key reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::clients::without_ticks;
use super::server::{Server, eventually};
use super::tools::run;
use super::wire::{Wire, command, info_number, text};
use russet::resp::Value;

/// Runs `count` commands in pipelines, and counts the replies that are errors.
fn pipelined(wire: &mut Wire, count: usize, request: impl Fn(usize) -> Vec<Vec<u8>>) -> usize {
    let mut errors = 0;
    for first in (0..count).step_by(500) {
        let batch = first..count.min(first + 500);
        let bytes = batch.clone().flat_map(|number| {
            let words = request(number);
            command(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
        });
        wire.send(&bytes.collect::<Vec<u8>>());
        errors += batch.filter(|_| matches!(wire.reply(), Value::Error(_))).count();
    }
    errors
}

/// `SET <prefix><number> <len bytes>`.
fn set(prefix: &str, number: usize, len: usize) -> Vec<Vec<u8>> {
    vec![
        b"SET".to_vec(),
        format!("{prefix}{number}").into_bytes(),
        vec![b'v'; len],
    ]
}

/// A mixture of types and sizes.
fn mixture(number: usize) -> Vec<Vec<u8>> {
    let key = |kind: &str| format!("{kind}:{}", number / 7);
    let text = |len: usize| "x".repeat(1 + number * 31 % len);
    let words = match number % 7 {
        0 => vec!["SET".to_owned(), key("string"), text(9_000)],
        1 => vec![
            "RPUSH".to_owned(),
            key("list"),
            text(100),
            text(2_000),
            number.to_string(),
        ],
        2 => vec![
            "HSET".to_owned(),
            key("hash"),
            text(60),
            text(90),
            "field".to_owned(),
            text(30),
        ],
        3 => vec!["SADD".to_owned(), key("set"), text(90), number.to_string()],
        4 => vec!["ZADD".to_owned(), key("zset"), number.to_string(), text(90)],
        5 => vec![
            "XADD".to_owned(),
            key("stream"),
            "*".to_owned(),
            "field".to_owned(),
            text(300),
        ],
        _ => vec!["HSET".to_owned(), "big".to_owned(), number.to_string(), text(40)],
    };
    words.into_iter().map(String::into_bytes).collect()
}

fn used(wire: &mut Wire) -> u64 {
    info_number(wire, "memory", "used_memory")
}

/// What jemalloc's own report says is handed out.
fn allocated(wire: &mut Wire) -> u64 {
    let stats = text(wire.run(&["MEMORY", "MALLOC-STATS"]));
    let told = stats
        .split("Allocated: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    told.expect("jemalloc tells").parse().expect("a number")
}

fn is_near(a: u64, b: u64, percent: u64) -> bool {
    a.abs_diff(b) * 100 <= a.max(b) * percent
}

/// A number of a map that came as a list.
#[track_caller]
fn number(map: &Value, name: &str) -> u64 {
    let Value::Array(items) = map else {
        panic!("no map: {map}")
    };
    let at = items
        .iter()
        .position(|item| *item == Value::Bulk(name.as_bytes().to_vec()));
    match items[at.expect(name) + 1] {
        Value::Int(number) => u64::try_from(number).expect("not negative"),
        ref other => panic!("{name} is {other}"),
    }
}

/// Surveys all keys, each element; the report.
#[track_caller]
fn surveyed(wire: &mut Wire) -> Value {
    wire.ok(&["RUSSET.MEMORY", "START", "SAMPLES", "0"]);
    eventually("the survey is complete", || {
        text_of(&wire.run(&["RUSSET.MEMORY", "REPORT"])).starts_with("Survey complete")
    });
    wire.run(&["RUSSET.MEMORY", "REPORT", "DATA"])
}

fn text_of(value: &Value) -> String {
    text(value.clone())
}

#[test]
fn used_memory_is_what_the_allocator_says_and_keys_account_for_it() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut wire = server.connect();
        let empty = used(&mut wire);
        assert_eq!(pipelined(&mut server.connect(), 60_000, mixture), 0);
        let report = surveyed(&mut wire);
        let told = number(&report, "bytes") + number(&report, "tables-bytes");
        assert!(told > 10 << 20, "{told}");
        // What the connection's buffers took comes back when it is gone.
        eventually("keys and tables account for the growth", || {
            is_near(told, used(&mut wire).saturating_sub(empty), 2)
        });
        // Between the two questions threads may still be freeing, and a late tick tells of it late.
        eventually("used_memory is what the allocator says", || {
            is_near(used(&mut wire), allocated(&mut wire), 2)
        });
    }
}

#[test]
fn redis_cli_finds_big_and_hot_keys() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lfu"]);
    let mut wire = server.connect();
    assert_eq!(pipelined(&mut wire, 700, mixture), 0);
    pipelined(&mut wire, 5_000, |_| vec![b"GET".to_vec(), b"string:7".to_vec()]);
    for (option, expected) in [
        ("--bigkeys", "Biggest   hash found \"big\" has 100 fields"),
        ("--memkeys", "Biggest   hash found \"big\" has"),
        ("--hotkeys", "keyname: \"string:7\""),
    ] {
        let Some(printed) = run("redis-cli", &server, &[option], b"", Duration::from_secs(60)) else {
            return;
        };
        assert_eq!(printed.success, Some(true), "{option}: {}", printed.err);
        let out = without_ticks(&printed.out);
        assert!(out.contains(expected), "{option}: {out}");
    }
}

/// A server limited to `room` bytes more than it uses when it is empty.
fn limited(args: &[&str], policy: &str, room: u64) -> (Server, Wire, u64) {
    let server = Server::start(args);
    let mut wire = server.connect();
    let limit = used(&mut wire) + room;
    wire.ok(&[
        "CONFIG",
        "SET",
        "maxmemory-policy",
        policy,
        "maxmemory",
        &limit.to_string(),
    ]);
    (server, wire, limit)
}

#[test]
fn writers_on_several_threads_keep_the_limit() {
    for threads in ["1", "3"] {
        let (server, mut wire, limit) = limited(&["--io-threads", threads], "allkeys-lru", 8 << 20);
        let done = AtomicBool::new(false);
        let mut over = 0;
        std::thread::scope(|scope| {
            let writers = [0, 1, 2].map(|writer| {
                let mut wire = server.connect();
                scope.spawn(move || pipelined(&mut wire, 20_000, |n| set(&format!("w{writer}:"), n, 700)))
            });
            scope.spawn(|| {
                let errors = writers.map(|writer| writer.join().expect("it writes"));
                done.store(true, Ordering::Relaxed);
                assert_eq!(errors, [0; 3], "there is always something that may go");
            });
            while !done.load(Ordering::Relaxed) {
                over = over.max(used(&mut wire).saturating_sub(limit));
            }
        });
        // What the connections' buffers take while their commands wait: three pipelines of 500.
        assert!(over < 3 << 20, "{over}");
        assert!(info_number(&mut wire, "stats", "evicted_keys") > 30_000);
        eventually("the limit is kept", || used(&mut wire) <= limit);
    }
}

#[test]
fn clients_that_hold_too_much_are_disconnected_whichever_thread_has_them() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads, "--maxmemory-clients", "4mb"]);
        let mut wire = server.connect();
        wire.ok(&["CLIENT", "NO-EVICT", "on"]);
        let mut hogs: Vec<Wire> = (0..4).map(|_| server.connect()).collect();
        for hog in &mut hogs {
            // Announces more than it sends, so that the server has to keep it.
            hog.send_unheard(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n");
            hog.send_unheard(&vec![b'x'; 2_000_000]);
        }
        eventually("some are disconnected", || {
            info_number(&mut wire, "stats", "evicted_clients") > 0
        });
        wire.ask(b"PING\r\n", b"+PONG\r\n");
    }
}

#[test]
fn clients_that_do_not_read_go_before_any_key_does() {
    for threads in ["1", "3"] {
        let args = ["--io-threads", threads, "--maxmemory-clients", "2mb"];
        let (server, mut wire, _) = limited(&args, "allkeys-lru", 10 << 20);
        wire.ok(&["CLIENT", "NO-EVICT", "on"]);
        assert_eq!(pipelined(&mut wire, 50, |n| set("k", n, 100_000)), 0);
        let mut hogs: Vec<Wire> = (0..10).map(|_| server.connect()).collect();
        for hog in &mut hogs {
            hog.send_unheard(&b"MGET k1 k2\r\n".repeat(100));
        }
        eventually("some are disconnected", || {
            info_number(&mut wire, "stats", "evicted_clients") > 5
        });
        assert_eq!(
            info_number(&mut wire, "stats", "evicted_keys"),
            0,
            "{threads} threads"
        );
        wire.ask(b"DBSIZE\r\n", b":50\r\n");
    }
}

#[test]
fn a_flush_that_is_answered_has_given_its_memory_back() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let empty = used(&mut wire);
    // The first one starts the thread that frees.
    for flush in ["FLUSHALL", "FLUSHDB", "FLUSHALL"] {
        pipelined(&mut wire, 2_000, |n| set("k", n, 10_000));
        assert!(used(&mut wire) > empty + (15 << 20));
        wire.ok(&[flush]);
        let left = used(&mut wire).saturating_sub(empty);
        assert!(left < 1 << 20, "{left} bytes are left");
    }
}

#[test]
fn what_another_thread_frees_is_known_before_more_goes() {
    let server = Server::start(&[
        "--lazyfree-lazy-eviction",
        "yes",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let mut wire = server.connect();
    let empty = used(&mut wire);
    let member = |n: usize| format!("{}{n}", "m".repeat(500)).into_bytes();
    pipelined(&mut wire, 10_000, |n| {
        vec![
            b"SADD".to_vec(),
            format!("set:{}", n / 100).into_bytes(),
            member(n),
        ]
    });
    let limit = empty + (used(&mut wire) - empty) / 2;
    wire.ok(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    eventually("the limit is kept", || used(&mut wire) <= limit);
    let Value::Int(left) = wire.run(&["DBSIZE"]) else {
        panic!("DBSIZE is a number")
    };
    assert!((40..=50).contains(&left), "no more goes than must: {left} of 100");
    assert!(info_number(&mut wire, "memory", "lazyfreed_objects") >= 50);
}

#[test]
fn a_command_too_large_for_the_limit_of_clients_ends_its_client_however_fast_it_comes() {
    let server = Server::start(&["--maxmemory-clients", "4mb"]);
    let mut wire = server.connect();
    let value = vec![b'x'; 4 << 20];
    for round in 1..=10 {
        let mut hog = server.connect();
        hog.send_unheard(&super::wire::command(&[b"MSET", b"k", b"v", b"large", &value]));
        eventually("it is disconnected", || {
            info_number(&mut wire, "stats", "evicted_clients") == round
        });
        wire.ask(b"EXISTS k\r\n", b":0\r\n");
    }
}

#[test]
fn a_growing_table_starts_no_storm() {
    let (_server, mut wire, _) = limited(&[], "allkeys-random", 3 << 20);
    let (mut most, mut least_after) = (0, u64::MAX);
    for round in 0..120 {
        pipelined(&mut wire, 500, |n| set("k", round * 500 + n, 20));
        let Value::Int(size) = wire.run(&["DBSIZE"]) else {
            panic!("DBSIZE is a number")
        };
        let size = size as u64;
        most = most.max(size);
        if info_number(&mut wire, "stats", "evicted_keys") > 0 {
            least_after = least_after.min(size);
        }
    }
    assert!(most > 20_000, "{most}");
    assert!(least_after * 100 > most * 95, "{least_after} of {most}");
}

#[test]
fn a_limit_that_cannot_be_kept_is_told_and_reading_goes_on() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    for policy in [
        "noeviction",
        "volatile-lru",
        "volatile-ttl",
        "volatile-random",
        "volatile-lfu",
    ] {
        wire.ok(&["CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", "1"]);
        assert_eq!(wire.error(&["SET", "j", "v"]), oom);
        wire.ask(b"GET k\r\n", b"$1\r\nv\r\n");
    }
    wire.ok(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(wire.error(&["SET", "j", "v"]), oom);
    wire.ask(b"DBSIZE\r\n", b":0\r\n");
    for samples in ["0", "-1", "65", "18446744073709551616"] {
        wire.error(&["CONFIG", "SET", "maxmemory-samples", samples]);
    }
    wire.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    wire.ok(&["SET", "j", "v"]);
}

#[test]
fn a_lower_limit_is_reached_while_clients_are_served() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let mut wire = server.connect();
    let empty = used(&mut wire);
    pipelined(&mut wire, 30_000, |n| set("k", n, 500));
    let limit = empty + (used(&mut wire) - empty) / 3;
    wire.ok(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    wire.ask(b"PING\r\n", b"+PONG\r\n");
    eventually("the limit is kept", || used(&mut wire) <= limit);
    let Value::Int(left) = wire.run(&["DBSIZE"]) else {
        panic!("DBSIZE is a number")
    };
    assert!((5_000..12_000).contains(&left), "no more goes than must: {left}");
}

#[test]
fn a_value_larger_than_the_limit_is_refused_or_goes_when_it_has_grown_in_place() {
    let (_server, mut wire, limit) = limited(&[], "allkeys-lru", 2 << 20);
    // What has arrived counts before the command has begun.
    assert!(
        wire.error(&["SET", "big", &"x".repeat(8 << 20)])
            .starts_with("OOM")
    );
    eventually("its memory is free again", || used(&mut wire) < limit);
    wire.ask(b"SETRANGE big 8388607 x\r\n", b":8388608\r\n");
    wire.ok(&["SET", "small", "v"]);
    wire.ask(b"EXISTS big\r\nEXISTS small\r\n", b":0\r\n:1\r\n");
    wire.ok(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    wire.ask(b"SETRANGE big 8388607 x\r\n", b":8388608\r\n");
    assert!(wire.error(&["APPEND", "big", "x"]).starts_with("OOM"));
    wire.ask(
        b"STRLEN big\r\nDEL big\r\nSET small w\r\n",
        b":8388608\r\n:1\r\n+OK\r\n",
    );
}

#[test]
fn a_script_that_grows_ends_and_what_it_left_behind_goes() {
    let (_server, mut wire, limit) = limited(&[], "allkeys-random", 2 << 20);
    let grow = "for n = 1, 20000 do redis.call('SET', 'k' .. n, string.rep('x', 300)) end return 1";
    wire.send(&command(&[b"EVAL", grow.as_bytes(), b"0"]));
    wire.expect(b":1\r\n");
    eventually("the limit is kept", || {
        wire.ok(&["SET", "one", "more"]);
        used(&mut wire) <= limit
    });
}

#[test]
fn policies_may_change_under_load() {
    let (server, mut wire, _) = limited(&[], "allkeys-lru", 2 << 20);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut writer = server.connect();
        let done = &done;
        scope.spawn(move || {
            pipelined(&mut writer, 40_000, |n| {
                let mut words = set("k", n, 200);
                words.extend(
                    (n % 2 == 0)
                        .then(|| [b"EX".to_vec(), b"1000".to_vec()])
                        .into_iter()
                        .flatten(),
                );
                words
            });
            done.store(true, Ordering::Relaxed);
        });
        let policies = [
            "volatile-ttl",
            "allkeys-lfu",
            "noeviction",
            "volatile-random",
            "allkeys-random",
            "volatile-lfu",
        ];
        for (policy, samples) in policies.iter().cycle().zip((1..=64).cycle()) {
            wire.ok(&[
                "CONFIG",
                "SET",
                "maxmemory-policy",
                policy,
                "maxmemory-samples",
                &samples.to_string(),
            ]);
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    wire.ask(b"PING\r\n", b"+PONG\r\n");
}
