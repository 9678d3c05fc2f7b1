use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::keyspace::entry::{Entry, NewValue};
use crate::persist::aof::frame;
use crate::persist::rdb::file::{Style, Usage, Writer};

const NOW_MS: i64 = 1_000_000;

struct Said {
    is_well: bool,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn has(&self, text: &str) -> &Said {
        assert!(self.out.contains(text), "no {text:?} in:\n{}", self.out);
        self
    }
}

fn call(argv: &[&str], answer: &str) -> Said {
    let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let is_well = Call::of(&argv).expect("a tool's name").run_on(&mut Console {
        input: &mut answer.as_bytes(),
        out: &mut out,
        err: &mut err,
        now_ms: NOW_MS,
    });
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said {
        is_well,
        out: text(out),
        err: text(err),
    }
}

/// A folder of files.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("our own folder");
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("just written")
    }

    fn aof(&self, options: &[&str], name: &str, answer: &str) -> Said {
        let path = self.path(name);
        let mut argv = vec!["redis-check-aof"];
        argv.extend(options);
        argv.push(path.to_str().expect("a path of text"));
        call(&argv, answer)
    }

    fn rdb(&self, name: &str) -> Said {
        let path = self.path(name);
        call(&["redis-check-rdb", path.to_str().expect("a path of text")], "")
    }
}

fn snapshot(checksum: bool) -> Vec<u8> {
    let style = Style {
        version: 12,
        checksum,
        compresses: true,
    };
    let mut writer = Writer::new(Vec::new(), style);
    writer.aux("redis-ver", "7.4.1");
    writer.function(b"#!lua name=x");
    writer.database(3, 3, 2);
    for (key, expire_at) in [
        (&b"a"[..], None),
        (b"gone", Some(NOW_MS - 1)),
        (b"big", Some(NOW_MS + 1)),
    ] {
        let text = vec![b'x'; key.len() * 7];
        writer.entry(
            &Entry::new(key, NewValue::Bytes(&text), expire_at, 0),
            Usage::Unknown,
        );
    }
    writer.finish().expect("memory takes all").0
}

fn commands(lines: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        match line.strip_prefix('#') {
            Some(time) => frame::stamp(time.parse().expect("a time"), &mut out),
            None => {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                frame::command(words.into_iter(), &mut out);
            }
        }
    }
    out
}

#[test]
fn a_tool_is_asked_for_by_name_or_as_the_first_word() {
    let tool = |argv: &[&str]| {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        Call::of(&argv).map(|call| (call.tool, call.args.len()))
    };
    assert_eq!(tool(&["/usr/bin/redis-check-rdb", "f"]), Some((Tool::Rdb, 1)));
    assert_eq!(tool(&["./russet-check-aof"]), Some((Tool::Aof, 0)));
    assert_eq!(
        tool(&["russet-server", "check-aof", "--fix", "f"]),
        Some((Tool::Aof, 2))
    );
    assert_eq!(tool(&["russet-server", "redis.conf", "check-aof"]), None);
    assert_eq!(tool(&["russet-server"]), None);
    assert_eq!(tool(&[]), None);
}

#[test]
fn usage_and_version_are_redis_s() {
    let said = call(&["redis-check-rdb"], "");
    assert_eq!(
        (said.is_well, said.err.as_str()),
        (false, "Usage: redis-check-rdb <rdb-file-name>\n")
    );
    for argv in [&["redis-check-aof"][..], &["redis-check-aof", "f", "--fix"]] {
        let said = call(argv, "");
        assert!(!said.is_well);
        said.has(
            "Usage: redis-check-aof [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n",
        );
    }
    assert_eq!(call(&["x", "check-rdb", "-v"], "").out, "redis-check-rdb 7.4.1\n");
    let said = call(&["redis-check-aof", "--truncate-to-timestamp", "soon", "f"], "");
    assert!(!said.has("Invalid timestamp, aborting...").is_well);
}

#[test]
fn a_whole_snapshot_is_described() {
    let files = Files::new();
    files.put("f", &snapshot(true));
    let said = files.rdb("f");
    assert!(said.is_well);
    said.has("AUX FIELD redis-ver = '7.4.1'")
        .has("Selecting DB ID 3")
        .has("Checksum OK")
        .has("\\o/ RDB looks OK! \\o/")
        .has("[info] 3 keys read\n[info] 2 expires\n[info] 1 already expired\n[info] 1 function libraries\n")
        .has("  string                        3              3")
        .has("Biggest keys");
    files.put("f", &snapshot(false));
    files
        .rdb("f")
        .has("RDB file was saved with checksum disabled: no check performed.");
}

#[test]
fn a_snapshot_is_refused_wherever_it_is_cut_or_changed() {
    let files = Files::new();
    let whole = snapshot(true);
    for at in 0..whole.len() {
        files.put("f", &whole[..at]);
        assert!(
            !files.rdb("f").has("Unexpected EOF reading RDB file").is_well,
            "{at}"
        );
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        files.put("f", &changed);
        let said = files.rdb("f");
        assert!(
            !said.has("--- RDB ERROR DETECTED ---").is_well,
            "{at}: {}",
            said.out
        );
        assert_eq!(files.get("f"), changed);
    }
}

#[test]
fn damage_in_a_snapshot_has_a_key_a_type_and_a_place() {
    let files = Files::new();
    let mut bytes = snapshot(true);
    let at = bytes.windows(4).position(|window| window == b"\x03big");
    let value = at.expect("the key") + 4;
    // A string in a form that there is not.
    bytes[value] = 0xff;
    files.put("f", &bytes);
    let said = files.rdb("f");
    assert!(!said.is_well);
    said.has(&format!("[offset {}] unknown string encoding 63", value + 1))
        .has("While doing: read-object-value")
        .has("Reading key 'big'")
        .has("Reading type 0 (string)")
        .has("Bytes around offset")
        .has("[info] 2 keys read");
}

#[test]
fn a_whole_log_is_described() {
    let files = Files::new();
    files.put(
        "f",
        &commands(&["#5", "SET k v", "#7", "MULTI", "set k2 v2", "EXEC"]),
    );
    let said = files.aof(&[], "f", "");
    assert!(said.is_well);
    said.has("Start checking Old-Style AOF\n")
        .has(" is valid\n")
        .has("diff=0\n")
        .has("[info] 4 commands read, 1 transactions\n[info] timestamps from 5 to 7\n")
        .has("  SET                           2             56\n");
    files.put("f", b"");
    assert!(files.aof(&[], "f", "").has(" is empty\n").is_well);
}

#[test]
fn a_log_cut_anywhere_is_mended_only_when_the_answer_is_yes() {
    let files = Files::new();
    let lines = ["SET k v", "MULTI", "SET a b", "EXEC", "DEL k"];
    let whole = commands(&lines);
    let ends: Vec<usize> = [0, 1, 4, 5]
        .iter()
        .map(|&count| commands(&lines[..count]).len())
        .collect();
    for cut in 1..whole.len() {
        let sound = *ends.iter().rev().find(|end| **end <= cut).expect("0 is there");
        files.put("f", &whole[..cut]);
        if cut == sound {
            assert!(files.aof(&["--fix"], "f", "").is_well);
            continue;
        }
        assert!(!files.aof(&[], "f", "y\n").has(" is not valid.").is_well);
        for answer in ["", "\n", "n\n"] {
            assert!(!files.aof(&["--fix"], "f", answer).has("Aborting...").is_well);
        }
        assert_eq!(files.get("f"), whole[..cut]);
        assert!(
            files
                .aof(&["--fix"], "f", "y\n")
                .has("Successfully truncated AOF")
                .is_well
        );
        assert_eq!(files.get("f"), whole[..sound], "cut at {cut}");
        assert!(files.aof(&[], "f", "").is_well);
    }
}

#[test]
fn what_is_no_command_is_named_with_its_place() {
    let files = Files::new();
    let good = commands(&["SET k v"]);
    for (tail, what) in [
        (
            &b"*1\r\n:3\r\n"[..],
            "0x              1f: Expected prefix '$', got: ':'",
        ),
        (
            b"*1\r\n$1\r\nxyz",
            "0x              23: Expected \\r\\n, got: 797a",
        ),
        (
            b"*1\r\n$9\r\nx\r\n",
            "0x              23: Expected to read 11 bytes, got 3 bytes",
        ),
        (b"hello", "0x              1b: AOF format error"),
        (
            b"*1\r\n$4\r\nEXEC\r\n",
            "0x              1b: Unexpected EXEC in AOF",
        ),
        (
            b"*1\r\n$5\r\nMULTI\r\n",
            "Reached EOF before reading EXEC for MULTI",
        ),
        (
            b"*99999999999\r\n",
            "0x              1b: A command of 99999999999 words",
        ),
    ] {
        files.put("f", &[&good, tail].concat());
        let said = files.aof(&[], "f", "");
        assert!(!said.has(what).has("ok_up_to=27,").is_well);
    }
}

#[test]
fn a_log_is_cut_at_a_time() {
    let files = Files::new();
    let log = commands(&["#100", "SET k v", "#200", "SET k w"]);
    let before = commands(&["#100", "SET k v"]);
    for (time, is_well, left, told) in [
        ("50", false, &log, "has nothing before timestamp 50, aborting..."),
        ("150", true, &before, "Successfully truncated AOF"),
        ("200", true, &log, "Truncate nothing in AOF"),
    ] {
        files.put("f", &log);
        let said = files.aof(&["--truncate-to-timestamp", time], "f", "");
        assert_eq!(said.has(told).is_well, is_well);
        assert_eq!(&files.get("f"), left);
    }
}

#[test]
fn of_several_parts_only_the_last_is_cut() {
    let files = Files::new();
    let (good, late) = (commands(&["SET k v"]), commands(&["SET k v", "#9", "DEL k"]));
    files.put("m", b"# parts\nfile b seq 1 type b\nfile i seq 1 type i\n");
    files.put("b", &good);
    files.put("i", &good);
    let said = files.aof(&[], "m", "");
    assert!(said.is_well);
    said.has("Start checking Multi Part AOF\nStart to check BASE AOF (RESP format).\n")
        .has("BASE AOF b is valid\nStart to check INCR files.\n")
        .has("INCR AOF i is valid\nAll AOF files and manifest are valid\n");
    files.put("b", &good[..20]);
    let said = files.aof(&["--fix"], "m", "y\n");
    assert!(
        !said
            .has("Failed to truncate AOF b because it is not the last file")
            .is_well
    );
    files.put("b", &late);
    let said = files.aof(&["--truncate-to-timestamp", "5"], "m", "");
    assert!(
        !said
            .has("Failed to truncate AOF b to timestamp 5 to offset 27")
            .is_well
    );
    assert_eq!(files.get("b"), late);
    files.put("b", &[snapshot(true), good.clone()].concat());
    files.put("i", &good[..20]);
    let said = files.aof(&["--fix"], "m", "Y");
    assert!(said.is_well);
    said.has("Start to check BASE AOF (RDB format).")
        .has("RDB preamble is OK, proceeding with AOF tail...")
        .has("Successfully truncated AOF i\n");
    assert_eq!(files.get("i"), b"");
}

#[test]
fn a_manifest_that_makes_no_sense_or_names_what_is_not_there_is_refused() {
    let files = Files::new();
    files.put("m", b"file b seq 1 type b\n!!!\n");
    let said = files.aof(&[], "m", "");
    assert!(!said.is_well);
    assert!(
        said.err
            .contains("at line 2\n>>> '!!!'\nInvalid AOF manifest file format"),
        "{}",
        said.err
    );
    files.put("m", b"file b seq 1 type b\n");
    let said = files.aof(&[], "m", "");
    assert!(!said.has("No such file or directory, aborting...").is_well);
    assert!(!files.aof(&[], "nowhere", "").has("Cannot open file").is_well);
}
