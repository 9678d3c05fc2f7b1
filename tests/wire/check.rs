//! The tools that check files, beside Redis's own: each takes what the other's server wrote, and both refuse the same damage.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::reference::{Reference, without_tools};
use super::server::{Server, eventually, program};
use super::tools::{Printed, run_command};
use super::wire::Wire;

/// Values that the formats of Redis 7.0 have, each in its small and its big encoding.
const DATA: &[&str] = &[
    "SET text hello",
    "SET number -12345",
    "SET mortal x PXAT 4102444800000",
    "RPUSH list a 1 -5000 b",
    "SADD ints 1 2 70000",
    "SADD set a b 3",
    "HSET hash f v g 7",
    "ZADD zset 1 a 2.5 b -inf c",
    "XADD stream 1-1 f v",
    "XADD stream 2-0 g v h 9",
    "XGROUP CREATE stream grp 0",
    "XREADGROUP GROUP grp alice COUNT 1 STREAMS stream >",
];

fn fill(wire: &mut Wire) {
    for line in DATA {
        wire.run(&line.split(' ').collect::<Vec<_>>());
    }
    let long: Vec<String> = (0..600).map(|n| format!("member:{n}")).collect();
    for command in ["SADD", "RPUSH"] {
        let mut words = vec![command, "many"];
        let key = format!("many:{command}");
        words[1] = &key;
        words.extend(long.iter().map(String::as_str));
        wire.run(&words);
    }
}

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// What a tool says of a file; our own by its first argument.
fn ours(tool: &str, file: &Path) -> Printed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_russet-server"));
    run_command(command.arg(tool).arg(file), b"", LIMIT).expect("our own program")
}

/// What Redis's tool says; nothing when tests are to do without tools.
#[track_caller]
fn theirs(tool: &str, file: &Path) -> Option<Printed> {
    let printed = run_command(Command::new(format!("redis-{tool}")).arg(file), b"", LIMIT);
    assert!(
        printed.is_ok() || std::env::var_os("RUSSET_WITHOUT_TOOLS").is_some(),
        "redis-{tool} does not start: scripts/test installs it"
    );
    printed.ok()
}

#[track_caller]
fn both_accept(tool: &str, file: &Path) {
    let our = ours(tool, file);
    assert_eq!(our.success, Some(true), "{}{}", our.out, our.err);
    if let Some(their) = theirs(tool, file) {
        assert_eq!(their.success, Some(true), "{}{}", their.out, their.err);
    }
}

#[track_caller]
fn both_refuse(tool: &str, file: &Path, what: &str) {
    let our = ours(tool, file);
    assert_eq!(our.success, Some(false), "{what}: {}{}", our.out, our.err);
    if let Some(their) = theirs(tool, file) {
        assert_eq!(their.success, Some(false), "{what}: {}{}", their.out, their.err);
    }
}

/// Damages of a file, each in its turn in its place.
fn each_damage(whole: &[u8], from: usize, file: &Path, check: impl Fn(&str)) {
    let step = (whole.len() - from) / 7;
    for at in (from..whole.len()).step_by(step.max(1)) {
        fs::write(file, &whole[..at]).expect("our own folder");
        check(&format!("cut at {at}"));
        let mut changed = whole.to_vec();
        changed[at] ^= 0x55;
        fs::write(file, &changed).expect("our own folder");
        check(&format!("changed at {at}"));
        assert_eq!(
            fs::read(file).expect("still there"),
            changed,
            "a check changes nothing"
        );
    }
}

#[test]
fn snapshots_are_taken_and_refused_as_by_redis() {
    let server = Server::start(&["--rdb-version-max", "10"]);
    let mut wire = server.connect();
    fill(&mut wire);
    wire.ok(&["SAVE"]);
    let file = server.folder().join("dump.rdb");
    both_accept("check-rdb", &file);
    let whole = fs::read(&file).expect("just written");
    each_damage(&whole, 9, &file, |what| both_refuse("check-rdb", &file, what));
}

#[test]
fn logs_are_taken_and_refused_as_by_redis() {
    let server = Server::start(&["--appendonly", "yes", "--rdb-version-max", "10"]);
    let mut wire = server.connect();
    fill(&mut wire);
    wire.run(&["BGREWRITEAOF"]);
    eventually("a second base", || {
        server
            .folder()
            .join("appendonlydir/appendonly.aof.2.base.rdb")
            .exists()
    });
    wire.ok(&["MULTI"]);
    wire.run(&["SET", "late", "1"]);
    wire.run(&["SET", "later", "1"]);
    wire.run(&["EXEC"]);
    let folder = server.folder().join("appendonlydir");
    let manifest = folder.join("appendonly.aof.manifest");
    eventually("the log to be written", || {
        fs::read(folder.join("appendonly.aof.2.incr.aof")).is_ok_and(|bytes| bytes.ends_with(b"EXEC\r\n"))
    });
    both_accept("check-aof", &manifest);
    let incr = folder.join("appendonly.aof.2.incr.aof");
    let whole = fs::read(&incr).expect("just written");
    // Within the last transaction, so that no cut is between two commands.
    let inside = whole.len() - 20;
    for at in inside..whole.len() - 1 {
        fs::write(&incr, &whole[..at]).expect("our own folder");
        both_refuse("check-aof", &manifest, &format!("cut at {at}"));
    }
    fs::write(&incr, &whole).expect("our own folder");
    fs::write(&manifest, "file nowhere seq 1 type b\n").expect("our own folder");
    both_refuse("check-aof", &manifest, "a missing part");
    fs::write(&manifest, "file a seq 1 type b\n!!!\n").expect("our own folder");
    both_refuse("check-aof", &manifest, "a manifest that makes no sense");
}

#[test]
fn files_of_redis_are_taken() {
    if without_tools() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--appendonly", "yes", "--aof-timestamp-enabled", "yes"];
    let reference = Reference::start_on(folder.path(), &args);
    let mut wire = reference.connect();
    fill(&mut wire);
    wire.ok(&["SAVE"]);
    wire.run(&["BGREWRITEAOF"]);
    let manifest = folder.path().join("appendonlydir/appendonly.aof.manifest");
    eventually("a second base", || {
        fs::read_to_string(&manifest).is_ok_and(|text| text.contains(".2.base.rdb"))
    });
    wire.run(&["SET", "late", "1"]);
    drop(reference);
    both_accept("check-rdb", &folder.path().join("dump.rdb"));
    both_accept("check-aof", &manifest);
}

#[test]
fn a_link_of_the_name_is_the_tool() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, expected) in [
        ("redis-check-rdb", "redis-check-rdb 7.4.1\n"),
        ("redis-check-aof", "redis-check-aof 7.4.1\n"),
    ] {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(program(), &link).expect("our own folder");
        let printed = run_command(Command::new(&link).arg("--version"), b"", LIMIT).expect("it starts");
        assert_eq!((printed.success, printed.out.as_str()), (Some(true), expected));
    }
}
