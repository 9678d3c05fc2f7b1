//! OBJECT: how a value is stored, and how the server thinks of its key.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help;
use crate::command::row::{Access, Arg, Arity, Categories, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::value::string::StringRef;

/// The rows of this file.
pub const ROWS: &[Row] = &[OBJECT];

const OBJECT: Row = Row {
    name: "object",
    summary: "Groups the commands that look at how a value is stored.",
    since: "2.2.3",
    complexity: "Depends on the subcommand.",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    children: &[ENCODING, FREQ, HELP, IDLETIME, REFCOUNT],
    ..Row::BASE
};

const KEYS: &[KeySpec] = &[KeySpec::one(2, Access::RO)];

const ENCODING: Row = Row {
    name: "encoding",
    summary: "Names the encoding in which a key's value is stored.",
    since: "2.2.3",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    keys: KEYS,
    tips: &["nondeterministic_output"],
    args: &[Arg::key("key", 0)],
    run: encoding,
    ..Row::BASE
};

fn encoding(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    match cx.keys.inspect_quietly(args.key(2)).map(|entry| entry.encoding()) {
        Some(name) => cx.reply.bulk(name.as_bytes()),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

const FREQ: Row = Row {
    name: "freq",
    summary: "Tells how often a key was used, as a logarithmic counter that decays.",
    since: "4.0.0",
    run: freq,
    ..ENCODING
};

const NOT_LFU: Error = Error::fixed(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
     between policies at runtime LRU and LFU data will take some time to adjust.",
);

fn freq(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(2);
    if !found(cx, key) {
        return Ok(DONE);
    }
    if !cx.keys.access.lfu {
        return Err(NOT_LFU);
    }
    let frequency = cx
        .keys
        .stored(key)
        .map_or(0, |entry| cx.keys.access.frequency(entry));
    cx.reply.int(i64::from(frequency));
    Ok(DONE)
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE),
    categories: Categories::KEYSPACE,
    run: object_help,
    ..Row::BASE
};

fn object_help(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    help::help(cx, &OBJECT)
}

const IDLETIME: Row = Row {
    name: "idletime",
    summary: "Tells for how many seconds a key has not been used.",
    run: idletime,
    ..ENCODING
};

const NOT_LRU: Error = Error::fixed(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies \
     at runtime LRU and LFU data will take some time to adjust.",
);

fn idletime(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(2);
    if !found(cx, key) {
        return Ok(DONE);
    }
    if cx.keys.access.lfu {
        return Err(NOT_LRU);
    }
    let idle = cx
        .keys
        .stored(key)
        .map_or(0, |entry| cx.keys.access.idle_seconds(entry));
    cx.reply.int(i64::from(idle));
    Ok(DONE)
}

/// Whether the key exists; answers nil when it does not. It comes before the question of policy.
fn found(cx: &mut Cx<'_>, key: Key<'_>) -> bool {
    let found = cx.keys.inspect_quietly(key).is_some();
    if !found {
        cx.reply.null();
    }
    found
}

const REFCOUNT: Row = Row {
    name: "refcount",
    summary: "Tells how many references there are to a key's value.",
    run: refcount,
    ..ENCODING
};

/// Compat: small integers are shared objects in Redis, which answers this for them.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;

fn refcount(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let shares = shares_integers(cx);
    let count = cx
        .keys
        .inspect_quietly(args.key(2))
        .map(|entry| match entry.string() {
            Some(StringRef::Int(n)) if shares && SHARED_INTEGERS.contains(&n) => SHARED_REFCOUNT,
            _ => 1,
        });
    match count {
        Some(count) => cx.reply.int(count),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

/// Compat: under a policy that looks at each value's last use there is nothing to share.
fn shares_integers(cx: &Cx<'_>) -> bool {
    let policy = cx.config.choice("maxmemory-policy");
    cx.config.int("maxmemory") == 0 || !(policy.ends_with("-lru") || policy.ends_with("-lfu"))
}
