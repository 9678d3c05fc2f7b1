//! The append-only file: what is in it after any end of the server, for this server and for `redis-server`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::reference::{Reference, without_peer, without_tools};
use super::server::{Server, eventually, free_port, program, read_text, signal};
use super::wire::{Wire, info_number, text};

const ON: &[&str] = &["--appendonly", "yes", "--enable-debug-command", "yes"];

/// Something of every kind; two databases; a transaction; things that propagate as others.
const WRITES: &[&str] = &[
    "SET text hello",
    "SET mortal x EX 1000",
    "APPEND text more",
    "INCRBYFLOAT number 1.5",
    "RPUSH list a b 3",
    "LPOP list",
    "SADD set a b c d",
    "SPOP set 2",
    "SADD ints 1 2 3",
    "HSET hash f v g 2",
    "ZADD zset 1.1 a -inf b 3 c",
    "ZPOPMIN zset",
    "XADD stream * f v",
    "XADD stream * f w g x",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
    "XGROUP CREATECONSUMER stream group idle",
    // Nothing comes of it, and it keeps nothing else out of the log.
    "XCLAIM stream group me 0 1-1",
    "XADD emptied 5-1 f v",
    "XDEL emptied 5-1",
    "MULTI",
    "SET multi 1",
    "INCR multi",
    "EXEC",
    "EVAL return{redis.call('set','lua',1),redis.call('incr','lua')} 0",
    "SELECT 9",
    "SET elsewhere 1",
    "EXPIRE elsewhere 1000",
];

fn write_all(server: &Server) -> String {
    let mut wire = server.connect();
    for line in WRITES {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = wire.run(&words).to_string();
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    for number in 0..200 {
        wire.run(&["RPUSH", "long", &number.to_string(), "text"]);
        wire.run(&["ZADD", "many", "0.1", &number.to_string()]);
        wire.run(&["HSET", "wide", &number.to_string(), "v"]);
    }
    digest(server)
}

fn digest(server: &Server) -> String {
    text(server.connect().run(&["DEBUG", "DIGEST"]))
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

/// A server on `folder`, which another has left.
fn start_on(folder: &Path, args: &[&str]) -> Server {
    Server::start(&with(args, &["--dir", folder.to_str().expect("a plain path")]))
}

fn log_folder(server: &Server) -> PathBuf {
    server.folder().join("appendonlydir")
}

fn rewrite(server: &Server) {
    let mut wire = server.connect();
    assert!(text(wire.run(&["BGREWRITEAOF"])).ends_with("started"));
    eventually("the rewrite is done", || {
        info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
    });
    assert!(text(wire.run(&["INFO", "persistence"])).contains("aof_last_bgrewrite_status:ok"));
}

fn kill(server: &mut Server) {
    server.signal("KILL");
    server.wait();
}

#[test]
fn whatever_ends_the_server_all_writes_are_there() {
    for policy in ["always", "everysec", "no"] {
        let args = with(ON, &["--appendfsync", policy]);
        let mut server = Server::start(&args);
        let before = write_all(&server);
        kill(&mut server);
        let mut next = start_on(server.folder(), &args);
        assert_eq!(digest(&next), before, "{policy}");
        next.signal("TERM");
        next.wait();
        assert_eq!(digest(&start_on(server.folder(), &args)), before, "{policy}");
    }
}

#[test]
fn a_rewritten_log_holds_the_same_data() {
    for preamble in ["yes", "no"] {
        let args = with(ON, &["--aof-use-rdb-preamble", preamble]);
        let mut server = Server::start(&args);
        write_all(&server);
        rewrite(&server);
        server.connect().ok(&["SET", "after", "the rewrite"]);
        let before = digest(&server);
        server.connect().ok(&["DEBUG", "LOADAOF"]);
        assert_eq!(digest(&server), before, "{preamble}");
        kill(&mut server);
        assert_eq!(digest(&start_on(server.folder(), &args)), before, "{preamble}");
        let manifest = read_text(&log_folder(&server).join("appendonly.aof.manifest"));
        let format = if preamble == "yes" { "rdb" } else { "aof" };
        assert_eq!(
            manifest,
            format!(
                "file appendonly.aof.2.base.{format} seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
            )
        );
    }
}

#[test]
fn a_log_turned_on_while_the_server_runs_holds_all_of_it() {
    let mut server = Server::start(&["--enable-debug-command", "yes"]);
    write_all(&server);
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "appendonly", "yes"]);
    wire.ok(&["SET", "meanwhile", "1"]);
    eventually("the first base is written", || {
        info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
    });
    wire.ok(&["SET", "after", "1"]);
    let before = digest(&server);
    kill(&mut server);
    let server = start_on(server.folder(), ON);
    assert_eq!(digest(&server), before);
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "appendonly", "no"]);
    wire.ok(&["SET", "lost", "1"]);
    assert_eq!(info_number(&mut wire, "persistence", "aof_enabled"), 0);
    wire.ok(&["DEBUG", "LOADAOF"]);
    assert_eq!(digest(&server), before);
}

#[test]
fn the_log_rewrites_itself_when_it_has_grown() {
    let server = Server::start(&with(ON, &["--auto-aof-rewrite-min-size", "16kb"]));
    let mut wire = server.connect();
    for _ in 0..200 {
        wire.ok(&["SET", "k", &"v".repeat(500)]);
    }
    eventually("a rewrite begins by itself and ends", || {
        info_number(&mut wire, "persistence", "aof_rewrites") > 0
            && info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
    });
    assert!(info_number(&mut wire, "persistence", "aof_current_size") < 100_000);
}

/// A folder with a log of one file of commands.
fn with_commands(bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("appendonlydir");
    std::fs::create_dir(&log).expect("our own folder");
    let manifest = "file appendonly.aof.1.incr.aof seq 1 type i\n";
    std::fs::write(log.join("appendonly.aof.manifest"), manifest).expect("our own folder");
    std::fs::write(log.join("appendonly.aof.1.incr.aof"), bytes).expect("our own folder");
    folder
}

fn commands(lines: &str) -> Vec<u8> {
    let words = |line: &str| super::wire::command(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    lines.split(';').flat_map(words).collect()
}

/// Runs the program on a folder until it ends; what it printed.
fn refused(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(program())
        .args([
            "--port",
            "0",
            "--unixsocket",
            "s",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--dir",
        ])
        .arg(folder)
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_log_cut_off_is_read_up_to_there_if_that_is_allowed() {
    let whole = commands("SET a 1;INCR a");
    for tail in [
        &commands("INCR a")[..10],
        &commands("MULTI;INCR a"),
        &commands("MULTI;INCR a;INCR a")[..40],
        &[0; 5000],
    ] {
        let folder = with_commands(&[&whole, tail].concat());
        let log = refused(folder.path(), &["--aof-load-truncated", "no"]);
        assert!(
            log.contains("Unexpected end of file reading the append only file"),
            "{log}"
        );
        let mut server = start_on(folder.path(), ON);
        assert_eq!(text(server.connect().run(&["GET", "a"])), "2");
        server.connect().run(&["INCR", "a"]);
        kill(&mut server);
        let server = start_on(folder.path(), &with(ON, &["--aof-load-truncated", "no"]));
        assert_eq!(text(server.connect().run(&["GET", "a"])), "3");
    }
}

#[test]
fn a_damaged_log_stops_the_start_and_stays_as_it_is() {
    for (bytes, expected) in [
        (b"*1\r\n$4\r\nPING\r\n!!!".to_vec(), "Bad file format reading"),
        (
            commands("SET a 1;NOSUCH a"),
            "Unknown command 'NOSUCH' reading the append only file appendonly.aof.1.incr.aof at offset 27",
        ),
        (commands("SET a 1;SET a"), "for 'set' at offset 27 of"),
        (commands("SET a"), "Bad file format reading"),
        (b"REDIS0099xx".to_vec(), "Can't handle RDB format version 99"),
    ] {
        let folder = with_commands(&bytes);
        let log = refused(folder.path(), &[]);
        assert!(log.contains(expected), "{log}");
        let file = folder.path().join("appendonlydir/appendonly.aof.1.incr.aof");
        assert_eq!(std::fs::read(file).expect("still there"), bytes);
    }
    let folder = with_commands(b"");
    let manifest = folder.path().join("appendonlydir/appendonly.aof.manifest");
    std::fs::write(manifest, "nonsense\n").expect("our own folder");
    assert!(refused(folder.path(), &[]).contains("Invalid AOF manifest file format"));
}

/// What no server puts into a log: each would stop the start, or change what the server is or does.
const FOREIGN: &[&str] = &[
    "CLIENT PAUSE 100000 ALL",
    "CLIENT REPLY OFF",
    "CONFIG SET maxmemory 1",
    "CONFIG SET appendonly no",
    "DEBUG SLEEP 1000",
    "DEBUG PANIC",
    "DEBUG SEGFAULT",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "MONITOR",
    "SUBSCRIBE channel",
    "QUIT",
    "RESET",
    "AUTH password",
    "MULTI;SHUTDOWN NOSAVE;EXEC",
    "SHUTDOWN NOSAVE",
    "MIGRATE 127.0.0.1 1 a 0 100000",
    "EVAL return(redis.call('migrate','127.0.0.1','1','a','0','100000')) 0",
];

#[test]
fn a_log_changes_keys_and_nothing_else() {
    for foreign in FOREIGN {
        let lines = format!("SET a 1;{foreign};BLPOP none 0;XREAD BLOCK 0 STREAMS none $;GET a;SET after 1");
        let folder = with_commands(&commands(&lines));
        let server = start_on(folder.path(), ON);
        let mut wire = server.connect();
        assert_eq!(text(wire.run(&["GET", "after"])), "1", "{foreign}");
        wire.ok(&["SET", "b", "1"]);
        let facts = text(wire.run(&["INFO", "persistence"]));
        assert!(
            facts.contains("aof_rewrites:0") && facts.contains("aof_enabled:1"),
            "{foreign}"
        );
        assert!(!folder.path().join("dump.rdb").exists(), "{foreign}");
        let says_where = |line: &str| line.contains("failed at offset ") && !line.contains("offset 0:");
        assert!(
            server.log().lines().any(says_where),
            "{foreign}: {}",
            server.log()
        );
    }
}

#[test]
fn a_script_without_end_in_a_log_does_not_keep_the_server_from_ending() {
    let endless = super::wire::command(&[b"EVAL", b"while true do end", b"0"]);
    let bytes = [commands("SET a 1"), endless].concat();
    let folder = with_commands(&bytes);
    let path = folder.path().to_str().expect("a plain path");
    let args = ["--dir", path, "--busy-reply-threshold", "20", "--save", "1 1"];
    let mut server = Server::start_until("Slow script detected", &with(ON, &args), |_| {});
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        !folder.path().join("dump.rdb").exists(),
        "half of the data is no snapshot"
    );
    let file = folder.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    assert_eq!(std::fs::read(file).expect("still there"), bytes);
}

#[test]
fn a_single_file_of_before_redis_7_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("appendonly.aof"),
        commands("SET a 1;SELECT 2;SET b 2"),
    )
    .expect("our own folder");
    let server = start_on(folder.path(), ON);
    assert_eq!(text(server.connect().run(&["GET", "a"])), "1");
    assert!(!folder.path().join("appendonly.aof").exists());
    assert_eq!(
        read_text(&folder.path().join("appendonlydir/appendonly.aof.manifest")),
        "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    );
}

/// Who loses a manifest has not lost the data: its files are there for `redis-check-aof`, or for a manifest by hand.
#[test]
fn files_that_no_manifest_names_are_never_written_to() {
    let folder = with_commands(&commands("SET a 1"));
    let log = folder.path().join("appendonlydir");
    let names = [
        "appendonly.aof.1.base.rdb",
        "appendonly.aof.1.incr.aof",
        "appendonly.aof.3.incr.aof",
    ];
    for name in names {
        std::fs::write(log.join(name), commands("SET a 1")).expect("our own folder");
    }
    std::fs::remove_file(log.join("appendonly.aof.manifest")).expect("just written");
    let server = start_on(folder.path(), ON);
    let mut wire = server.connect();
    assert_eq!(wire.run(&["DBSIZE"]).to_string(), ":0");
    wire.ok(&["SET", "b", "1"]);
    (0..3).for_each(|_| rewrite(&server));
    wire.ok(&["CONFIG", "SET", "appendonly", "no"]);
    wire.ok(&["CONFIG", "SET", "appendonly", "yes"]);
    eventually("the log is on", || {
        info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
    });
    for name in names {
        let bytes = std::fs::read(log.join(name)).expect("still there");
        assert_eq!(bytes, commands("SET a 1"), "{name}");
    }
    let said = "There are AOF files in appendonlydir that no manifest names.";
    assert!(server.log().contains(said), "{}", server.log());
}

#[test]
fn redis_server_starts_from_our_log_and_we_from_its_own() {
    if without_peer() {
        return;
    }
    for preamble in ["yes", "no"] {
        let ours = with(
            ON,
            &["--aof-use-rdb-preamble", preamble, "--rdb-version-max", "10"],
        );
        let mut server = Server::start(&ours);
        write_all(&server);
        rewrite(&server);
        server.connect().ok(&["SET", "ours", "1"]);
        let before = digest(&server);
        kill(&mut server);
        // With everysec it holds back what arrives while a sync runs, and would lose that when killed below.
        let theirs = with(
            ON,
            &["--aof-use-rdb-preamble", preamble, "--appendfsync", "always"],
        );
        let reference = Reference::start_on(server.folder(), &theirs);
        assert_eq!(reference.digest(), before, "{preamble}");
        let mut wire = reference.connect();
        wire.run(&["BGREWRITEAOF"]);
        eventually("redis-server has rewritten its log", || {
            info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
        });
        wire.ok(&["SET", "theirs", "1"]);
        wire.run(&["SPOP", "ints"]);
        let before = reference.digest();
        drop(reference);
        assert_eq!(digest(&start_on(server.folder(), &ours)), before, "{preamble}");
    }
}

/// A server whose files can be limited in size without that ending it, killed when dropped.
struct Limited {
    child: std::process::Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Limited {
    fn start(policy: &str) -> Limited {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let log = std::fs::File::create(folder.path().join("log")).expect("our own folder");
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(program())
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(folder.path())
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                policy,
                "--enable-debug-command",
                "yes",
            ])
            .stdout(log)
            .spawn()
            .expect("a shell");
        let limited = Limited { child, folder, port };
        eventually("ready", || {
            read_text(&limited.folder.path().join("log")).contains("Ready to accept")
        });
        limited
    }

    fn connect(&self) -> Wire {
        Wire::tcp(([127, 0, 0, 1], self.port).into())
    }

    fn limit_files(&self, bytes: &str) {
        let status = Command::new("prlimit")
            .args([
                "--pid",
                &self.child.id().to_string(),
                &format!("--fsize={bytes}:"),
            ])
            .status();
        assert!(
            status
                .expect("prlimit is installed, or RUSSET_WITHOUT_TOOLS is set")
                .success()
        );
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn while_the_log_cannot_be_written_writes_are_refused_and_nothing_is_lost() {
    if without_tools() {
        return;
    }
    for policy in ["everysec", "always"] {
        let server = Limited::start(policy);
        let mut wire = server.connect();
        wire.ok(&["SET", "before", "1"]);
        server.limit_files("1000");
        // One that does not fit: with `always` its answer waits until it does.
        let value = "v".repeat(2000);
        wire.send(&super::wire::command(&[b"SET", b"big", value.as_bytes()]));
        let mut other = server.connect();
        eventually("writes are refused", || {
            other
                .run(&["SET", "k", "v"])
                .to_string()
                .contains("MISCONF Errors writing to the AOF file")
        });
        assert!(text(other.run(&["INFO", "persistence"])).contains("aof_last_write_status:err"));
        assert_eq!(text(other.run(&["GET", "before"])), "1");
        if policy == "everysec" {
            wire.expect(b"+OK\r\n");
        } else {
            assert!(
                wire.first_within(std::time::Duration::from_millis(100))
                    .is_empty()
            );
        }
        server.limit_files("unlimited");
        if policy == "always" {
            wire.expect(b"+OK\r\n");
        }
        eventually("writes are taken again", || {
            other.run(&["SET", "k", "v"]).to_string().contains("OK")
        });
        let before = text(other.run(&["DEBUG", "DIGEST"]));
        signal(server.child.id(), "KILL");
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!(digest(&start_on(server.folder.path(), ON)), before, "{policy}");
    }
}
