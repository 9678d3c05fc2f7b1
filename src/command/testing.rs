//! For tests of handlers: what a command leaves behind besides its reply.

use crate::acl::Users;
use crate::base::hash::KeyHasher;
use crate::base::quote::split_args;
use crate::base::rng::Rng;
use crate::command::args::Args;
use crate::command::blocking::{BlockOn, Nil, timeout, wait};
use crate::command::cx::{Cx, DONE, Outcome, ServerState};
use crate::command::pubsub::broker::Broker;
use crate::command::row::{Arity, Flags, Row};
use crate::command::table::Table;
use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::keyspace::changes::Classes;
use crate::resp::{ArgBuf, Reply};
use crate::session::{Session, Sessions};
use crate::stats::Stats;
use crate::tracking::Tracking;
use crate::value::Kind;

const NOW_MS: i64 = 1_000_000;

/// Commands that block, for strings, which is what there is without any other file. A string is ready when it is
/// renamed or copied.
pub const ROWS: &[Row] = &[
    Row {
        name: "take",
        arity: Arity::AtLeast(3),
        flags: Flags::WRITE.with(Flags::BLOCKING),
        run: take,
        ..Row::BASE
    },
    Row {
        name: "taketo",
        arity: Arity::Exactly(4),
        flags: Flags::WRITE.with(Flags::BLOCKING),
        run: take_to,
        ..Row::BASE
    },
    Row {
        name: "miss",
        arity: Arity::Exactly(3),
        flags: Flags::READONLY.with(Flags::BLOCKING),
        run: miss,
        ..Row::BASE
    },
];

/// `TAKE key [key ...] timeout`: the first of the keys that is there, which is deleted.
fn take(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let last = args.len() - 1;
    let until_ms = timeout(args, last, cx.now_ms())?;
    for key in (1..last).map(|word| args.key(word)) {
        if cx.keys.delete(key, false) {
            cx.reply.bulk(key.bytes);
            return Ok(DONE);
        }
    }
    wait(cx, Nil::Array, || {
        BlockOn::keys(Kind::String, (1..last).map(|word| args.get(word)), until_ms)
    })
}

/// `TAKETO key newkey timeout`: renames the key.
fn take_to(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let until_ms = timeout(args, 3, cx.now_ms())?;
    if cx.keys.rename(args.key(1), args.key(2)) {
        cx.reply.ok();
        return Ok(DONE);
    }
    wait(cx, Nil::Bulk, || {
        BlockOn::keys(Kind::String, [args.get(1)], until_ms)
    })
}

/// `MISS key word`: waits, once, until the key goes; the next run is `MISS key again`.
fn miss(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if cx.rerun && !cx.keys.exists(args.key(1)) {
        cx.reply.bulk(args.get(2));
        return Ok(DONE);
    }
    wait(cx, Nil::Bulk, || BlockOn {
        when_gone: true,
        words: Some([b"miss", args.get(1), b"again"].map(Into::into).to_vec()),
        ..BlockOn::keys(Kind::String, [args.get(1)], None)
    })
}

/// Effects of the last of `commands`: propagated words (`verbatim` for the command itself), events, dirty count.
pub fn effects(commands: &str) -> (Vec<String>, Vec<&'static str>, u64) {
    let mut keys = Keyspace::new(2, KeyHasher::with_seed(1));
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
        pubsub: &mut Broker::new(1),
        tracking: &mut Tracking::new(1),
        table: &table,
        server: &mut ServerState::default(),
        rng: &mut Rng::seeded(1),
        now_unix_us: NOW_MS * 1000,
        may_block: false,
        rerun: false,
        large: None,
    };
    let row = table.find(words[0]).expect("a known command").row;
    let is_named = |child: &&Row| {
        words
            .get(1)
            .is_some_and(|word| word.eq_ignore_ascii_case(child.name.as_bytes()))
    };
    let row = row.children.iter().find(is_named).unwrap_or(row);
    assert!(row.arity.admits(words.len()), "{command}");
    let _ = (row.run)(&mut cx, args);
}

/// Checks what the last of `commands` propagates.
#[track_caller]
pub fn propagates(commands: &str, expected: &[&str]) {
    assert_eq!(effects(commands).0, expected, "{commands}");
}
