//! Snapshots: what SAVE and BGSAVE write, a later start and `redis-server` read.

use std::process::Command;

use super::reference::{Reference, without_peer};
use super::server::{Server, eventually, signal};
use super::wire::{Wire, info_number, text};

/// One key of every kind there is.
const DATA: &[&[&str]] = &[
    &["SET", "text", "hello"],
    &["SET", "number", "-12345"],
    &[
        "SET",
        "long",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
    ],
    &["SET", "mortal", "x", "PXAT", "4102444800000"],
    &["SETRANGE", "sparse", "3000", "end"],
];

fn fill(server: &Server) -> String {
    let mut wire = server.connect();
    for command in DATA {
        wire.run(command);
    }
    wire.ok(&["SELECT", "9"]);
    wire.ok(&["SET", "elsewhere", "1"]);
    text(wire.run(&["DEBUG", "DIGEST"]))
}

fn digest(server: &Server) -> String {
    text(server.connect().run(&["DEBUG", "DIGEST"]))
}

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

/// Another server of this program on the folder of `other`, which has ended.
fn start_on(other: &Server) -> Server {
    let folder = other.folder().to_str().expect("a plain path").to_owned();
    Server::start(&["--enable-debug-command", "yes", "--dir", &folder])
}

#[test]
fn what_is_saved_is_there_after_the_next_start() {
    let mut server = Server::start(DEBUG);
    let before = fill(&server);
    server.connect().ok(&["SAVE"]);
    server.signal("KILL");
    server.wait();
    let next = start_on(&server);
    assert_eq!(digest(&next), before);
    assert!(next.log().contains("DB loaded from disk"), "{}", next.log());
    assert!(
        next.log().contains("keys loaded: 6, keys expired: 0"),
        "{}",
        next.log()
    );
    assert_eq!(text(next.connect().run(&["OBJECT", "ENCODING", "number"])), "int");
}

#[test]
fn a_background_save_holds_the_data_of_its_moment() {
    let mut server = Server::start(DEBUG);
    let before = fill(&server);
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "rdb-key-save-delay", "100000"]);
    assert_eq!(text(wire.run(&["BGSAVE"])), "Background saving started");
    wire.ok(&["SET", "text", "changed meanwhile"]);
    assert_eq!(info_number(&mut wire, "persistence", "rdb_bgsave_in_progress"), 1);
    assert!(wire.error(&["BGSAVE"]).contains("already in progress"));
    eventually("the child is done", || {
        info_number(&mut wire, "persistence", "rdb_bgsave_in_progress") == 0
    });
    assert!(server.log().contains("Background saving terminated with success"));
    server.signal("KILL");
    server.wait();
    assert_eq!(digest(&start_on(&server)), before);
}

#[test]
fn reloading_changes_nothing() {
    let server = Server::start(DEBUG);
    let before = fill(&server);
    server.connect().ok(&["DEBUG", "RELOAD"]);
    assert_eq!(digest(&server), before);
}

#[test]
fn ending_with_save_points_saves() {
    let mut server = Server::start(&["--enable-debug-command", "yes", "--save", "900 1"]);
    let before = fill(&server);
    server.signal("TERM");
    server.wait();
    assert_eq!(digest(&start_on(&server)), before);
}

#[test]
fn a_damaged_file_stops_the_start_and_stays_as_it_is() {
    let mut server = Server::start(DEBUG);
    fill(&server);
    server.connect().ok(&["SAVE"]);
    server.signal("KILL");
    server.wait();
    let path = server.folder().join("dump.rdb");
    let mut bytes = std::fs::read(&path).expect("just written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&path, &bytes).expect("our own folder");
    let output = Command::new(super::server::program())
        .args(["--port", "0", "--unixsocket", "s", "--dir"])
        .arg(server.folder())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        log.contains("Fatal error loading the DB") && log.contains(" at offset "),
        "{log}"
    );
    assert_eq!(std::fs::read(&path).expect("still there"), bytes);
}

/// A server that takes its time to load what `other`, which has ended, has saved.
fn load_slowly(other: &Server, args: &[&str]) -> Server {
    let folder = other.folder().to_str().expect("a plain path");
    let args = [&["--dir", folder, "--key-load-delay", "20000"], args].concat();
    Server::start_until("Server initialized", &args, |_| {})
}

#[test]
fn while_it_loads_it_tells_how_far_it_is_and_can_be_ended() {
    let mut server = Server::start(DEBUG);
    server.connect().ok(&["DEBUG", "POPULATE", "1000"]);
    server.connect().ok(&["SAVE"]);
    server.signal("KILL");
    server.wait();
    let saved = std::fs::read(server.folder().join("dump.rdb")).expect("just written");
    for how in ["SHUTDOWN", "SIGTERM"] {
        // Save points or not: what is half read is not saved.
        let mut next = load_slowly(&server, &["--save", "1 1"]);
        let mut wire = next.connect();
        assert!(wire.error(&["GET", "key:1"]).starts_with("LOADING "));
        assert_eq!(info_number(&mut wire, "persistence", "loading"), 1);
        assert_eq!(
            info_number(&mut wire, "persistence", "loading_total_bytes"),
            saved.len() as u64
        );
        eventually("it has read some", || {
            info_number(&mut wire, "persistence", "loading_loaded_bytes") > 0
        });
        wire.ok(&["CONFIG", "SET", "key-load-delay", "30000"]);
        match how {
            "SHUTDOWN" => wire.send(b"SHUTDOWN SAVE\r\n"),
            _ => next.signal("TERM"),
        }
        assert_eq!(next.wait().code(), Some(0), "{how}");
        let announced = next.log().contains("Received shutdown signal during loading");
        assert_eq!(announced, how == "SIGTERM", "{}", next.log());
        assert_eq!(
            std::fs::read(server.folder().join("dump.rdb")).expect("still there"),
            saved
        );
    }
    let hasty = load_slowly(&server, &[]);
    let mut wire = hasty.connect();
    wire.ok(&["CONFIG", "SET", "key-load-delay", "0"]);
    eventually("all is there", || {
        wire.run(&["DBSIZE"]) == russet::resp::Value::Int(1000)
    });
    assert_eq!(info_number(&mut wire, "persistence", "loading"), 0);
}

#[test]
fn writes_are_refused_while_saves_fail() {
    let server = Server::start(&["--save", "900 1"]);
    let mut wire = server.connect();
    // A folder of that name is in the way of the rename.
    std::fs::create_dir(server.folder().join("dump.rdb")).expect("our own folder");
    wire.run(&["BGSAVE"]);
    eventually("the save fails", || {
        info_number(&mut wire, "persistence", "rdb_bgsave_in_progress") == 0
    });
    assert!(wire.error(&["SET", "k", "v"]).starts_with("MISCONF "));
    std::fs::remove_dir(server.folder().join("dump.rdb")).expect("our own folder");
    wire.ok(&["SAVE"]);
    wire.ok(&["SET", "k", "v"]);
}

/// One of each type as Redis 7.0 knows it: small, then large enough for the encoding that follows.
fn fill_types(wire: &mut Wire) {
    const SMALL: &[&str] = &[
        "SET embstr hello",
        "SET int -9223372036854775808",
        "SET mortal x PXAT 4102444800000",
        "SADD ints 1 -70000 5000000000",
        "RPUSH list a -5 300 70000 5000000000 b",
        "SADD words a b 3",
        "HSET hash f v g 2",
        "ZADD zset 1.5 a -inf b inf c 1e300 d 3 e",
        "XADD stream 5-1 f v g w",
        "XADD stream 6-1 f v",
        "XADD stream 7-1 other 9",
        "XDEL stream 6-1",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        "XGROUP CREATECONSUMER stream group idle",
        "XADD emptied 5-1 f v",
        "XDEL emptied 5-1",
        "PFADD hll a b c",
        "SETRANGE sparse 30000 end",
    ];
    for line in SMALL {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = wire.run(&words).to_string();
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let long = "long ".repeat(2_000);
    for number in 0..700 {
        let text = number.to_string();
        wire.run(&["RPUSH", "quicklist", &text, &long[..number % 90]]);
        wire.run(&["SADD", "many ints", &text]);
        wire.run(&["SADD", "many words", &text, &format!("member {text}")]);
        wire.run(&["HSET", "table", &text, &long[..number % 90]]);
        wire.run(&["ZADD", "skiplist", &format!("{text}.25"), &text]);
        wire.run(&["XADD", "long stream", "*", &text, &text]);
    }
    wire.run(&["RPUSH", "big elements", &long, "small", &long]);
    wire.run(&["HSET", "big field", "f", &long]);
    wire.ok(&["SELECT", "15"]);
    wire.ok(&["SET", "elsewhere", "1"]);
    wire.ok(&["SELECT", "0"]);
}

#[test]
fn redis_server_reads_every_type_from_our_snapshot_and_we_from_its_own() {
    if without_peer() {
        return;
    }
    for compression in ["yes", "no"] {
        let style = ["--enable-debug-command", "yes", "--rdbcompression", compression];
        let mut server = Server::start(&[&style[..], &["--rdb-version-max", "10"]].concat());
        let mut wire = server.connect();
        fill_types(&mut wire);
        let before = digest(&server);
        wire.ok(&["SAVE"]);
        server.signal("KILL");
        server.wait();
        let reference = Reference::start_on(server.folder(), &style);
        assert_eq!(reference.digest(), before, "compression {compression}");
        let mut wire = reference.connect();
        wire.ok(&["SET", "theirs", "1"]);
        wire.ok(&["SAVE"]);
        let before = reference.digest();
        drop(reference);
        assert_eq!(digest(&start_on(&server)), before, "compression {compression}");
    }
}

/// Who wants a child gone and no alarm sends SIGUSR1.
#[test]
fn a_child_that_is_killed_counts_as_failed_unless_it_was_by_sigusr1() {
    for (name, status, refuses) in [("USR1", "ok", false), ("KILL", "err", true)] {
        let server = Server::start(&[
            "--save",
            "3600 1",
            "--appendonly",
            "yes",
            "--rdb-key-save-delay",
            "1000000",
        ]);
        let mut wire = server.connect();
        (0..20).for_each(|number| wire.ok(&["SET", &number.to_string(), "v"]));
        for (order, progress, outcome) in [
            (
                "BGREWRITEAOF",
                "aof_rewrite_in_progress",
                "aof_last_bgrewrite_status",
            ),
            ("BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status"),
        ] {
            assert!(text(wire.run(&[order])).ends_with("started"));
            signal(child_of(&server), name);
            eventually("the child is gone", || {
                info_number(&mut wire, "persistence", progress) == 0
            });
            let facts = text(wire.run(&["INFO", "persistence"]));
            assert!(
                facts.contains(&format!("{outcome}:{status}\r\n")),
                "{name}: {facts}"
            );
        }
        let left = std::fs::read_dir(server.folder()).expect("our own folder");
        let names = left.map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        assert_eq!(
            names.filter(|name| name.starts_with("temp-")).count(),
            0,
            "{name}"
        );
        let refused = wire.run(&["SET", "k", "v"]).to_string().starts_with("-MISCONF");
        assert_eq!(refused, refuses, "{name}");
    }
}

/// Its child at work, as the log names it.
fn child_of(server: &Server) -> u32 {
    let log = server.log();
    let (_, behind) = log
        .rsplit_once("started by pid ")
        .expect("it has just been started");
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a process number")
}
