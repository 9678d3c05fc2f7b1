//! What string commands leave behind besides their replies: propagated words, events, the dirty count.

use crate::acl::Users;
use crate::base::hash::KeyHasher;
use crate::base::quote::split_args;
use crate::base::rng::Rng;
use crate::command::args::Args;
use crate::command::cx::{Cx, ServerState};
use crate::command::table::Table;
use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::keyspace::changes::Classes;
use crate::resp::{ArgBuf, Reply};
use crate::session::{Session, Sessions};
use crate::stats::Stats;

const NOW_MS: i64 = 1_000_000;

/// Effects of the last of `commands`: propagated words (`verbatim` for the command itself), events, dirty count.
fn effects(commands: &str) -> (Vec<String>, Vec<&'static str>, u64) {
    let mut keys = Keyspace::new(1, KeyHasher::with_seed(1));
    keys.now_ms = NOW_MS;
    keys.changes.followed = true;
    keys.changes.wanted = Classes::ALL;
    let mut before = 0;
    for command in commands.split(" ; ") {
        before = keys.changes.dirty;
        keys.changes.events.clear();
        keys.changes.propagated.clear();
        keys.changes.overridden = false;
        run(&mut keys, command);
    }
    let changes = &keys.changes;
    let words = |words: &[Box<[u8]>]| {
        words
            .iter()
            .map(|word| word.escape_ascii().to_string())
            .collect::<Vec<_>>()
    };
    let mut propagated: Vec<String> = changes
        .propagated
        .iter()
        .map(|p| words(&p.words).join(" "))
        .collect();
    if changes.dirty != before && !changes.overridden {
        propagated.push("verbatim".into());
    }
    (
        propagated,
        changes.events.iter().map(|event| event.name).collect(),
        changes.dirty - before,
    )
}

/// Runs one command as a client would; errors are replies and change nothing.
fn run(keys: &mut Keyspace, command: &str) {
    let words = split_args(command.as_bytes()).expect("balanced quotes");
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let buffer = ArgBuf::from_slices(&words);
    let args = Args::new(buffer.args(), keys.hasher());
    let table = Table::new(&[]).expect("nothing is renamed");
    let mut sessions = Sessions::default();
    let client = sessions.add(Session::internal());
    let mut reply = Vec::new();
    let mut cx = Cx {
        keys,
        sessions: &mut sessions,
        client,
        reply: Reply::new(&mut reply, false),
        config: &mut Config::default(),
        stats: &mut Stats::new(table.all().len()),
        acl: &mut Users::default(),
        table: &table,
        server: &mut ServerState::default(),
        rng: &mut Rng::seeded(1),
        now_unix_us: NOW_MS * 1000,
        large: None,
    };
    let row = table.find(words[0]).expect("a known command").row;
    assert!(row.arity.admits(words.len()), "{command}");
    let _ = (row.run)(&mut cx, args);
}

#[track_caller]
fn propagates(commands: &str, expected: &[&str]) {
    assert_eq!(effects(commands).0, expected, "{commands}");
}

#[test]
fn lifetimes_propagate_as_points_in_time() {
    propagates("set k v ex 100", &["SET k v PXAT 1100000"]);
    propagates("set k v px 100 get", &["SET k v PXAT 1000100"]);
    propagates("set k v exat 2000", &["SET k v PXAT 2000000"]);
    propagates("set k v pxat 2000000 nx get", &["SET k v PXAT 2000000"]);
    propagates("setex k 100 v", &["SET k v PXAT 1100000"]);
    propagates("psetex k 100 v", &["SET k v PXAT 1000100"]);
    propagates("set k v ; getex k ex 100", &["PEXPIREAT k 1100000"]);
    propagates("set k v ; getex k pxat 2000000", &["PEXPIREAT k 2000000"]);
    propagates("set k v ; getex k exat 1", &["DEL k"]);
    propagates("set k v ex 9 ; getex k persist", &["PERSIST k"]);
}

#[test]
fn what_only_the_client_cares_for_does_not_propagate() {
    propagates("set k v", &["verbatim"]);
    propagates("set k v get", &["set k v"]);
    propagates("set k v ; set k v keepttl get xx", &["set k v keepttl xx"]);
    propagates("getset k v", &["SET k v"]);
    propagates("set k v ; getdel k", &["DEL k"]);
    propagates("incrbyfloat k 1.5", &["SET k 1.5 KEEPTTL"]);
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "set k w nx",
        "set k w nx get",
        "set n w xx",
        "setnx k w",
        "msetnx n 1 k 2",
        "getex k",
        "getex k persist",
        "getex n ex 10",
        "getdel n",
        "setrange k 0 \"\"",
        "setrange n 3 \"\"",
        "setbit k 1 1",
        "bitfield k get u8 0",
        "bitfield k set u8 0 118",
        "bitfield n get u8 0",
        "bitop and n m",
        "incr k",
        "incrbyfloat k 1",
        "set k w ex 0",
    ] {
        let (propagated, events, dirty) = effects(&format!("set k v ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}

#[test]
fn an_expired_key_is_deleted_before_its_successor_arrives() {
    propagates(
        "set k v exat 1 ; set k w ex 1",
        &["DEL k", "SET k w PXAT 1001000"],
    );
    propagates("set k v exat 1 ; get k", &["DEL k"]);
}

#[test]
fn events_have_the_names_of_the_reference() {
    for (commands, expected) in [
        ("set k v", &["set"][..]),
        ("set k v ex 100", &["set", "expire"]),
        ("setex k 100 v", &["set", "expire"]),
        ("mset a 1 b 2", &["set", "set"]),
        ("set k v ; getex k ex 100", &["expire"]),
        ("set k v ex 9 ; getex k persist", &["persist"]),
        ("set k v ; getex k exat 1", &["del"]),
        ("set k v ; getdel k", &["del"]),
        ("decr n", &["incrby"]),
        ("incrbyfloat n 1", &["incrbyfloat"]),
        ("append k v", &["append"]),
        ("set k v ; append k \"\"", &["append"]),
        ("setrange k 3 v", &["setrange"]),
        ("setbit k 3 0", &["setbit"]),
        ("bitfield k incrby u8 0 1 incrby u8 0 1", &["setbit"]),
        ("set k v ; bitop not d k", &["set"]),
        ("set d v ; bitop not d k", &["del"]),
    ] {
        assert_eq!(effects(commands).1, expected, "{commands}");
    }
}
