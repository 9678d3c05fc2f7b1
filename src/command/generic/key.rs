//! DEL UNLINK EXISTS TYPE TOUCH: whether keys are there, what they are, and removing them.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[DEL, UNLINK, EXISTS, TYPE, TOUCH];

/// Commands that a cluster splits by shard and whose answers add up.
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

const DEL: Row = Row {
    name: "del",
    summary: "Removes keys.",
    since: "1.0.0",
    complexity: "O(N), N being the number of keys, for strings; O(M) for each other value of M elements",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE,
    keys: &[KeySpec::range(1, -1, 1, Access::RM.with(Access::DELETE))],
    tips: SUMMED,
    args: &[Arg::key("key", 0).multiple()],
    run: del,
    ..Row::BASE
};

fn del(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let lazy = cx.keys.lazy.user_del;
    remove_all(cx, args, lazy)
}

const UNLINK: Row = Row {
    name: "unlink",
    summary: "Removes keys, leaving it to another thread to free large values.",
    since: "4.0.0",
    complexity: "O(1) for each key; the memory of a value of N allocations is freed elsewhere in O(N)",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::range(1, -1, 1, Access::RM.with(Access::DELETE))],
    tips: SUMMED,
    args: &[Arg::key("key", 0).multiple()],
    run: unlink,
    ..Row::BASE
};

fn unlink(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    remove_all(cx, args, true)
}

fn remove_all(cx: &mut Cx<'_>, args: Args<'_>, lazy: bool) -> Outcome {
    let removed = (1..args.len())
        .filter(|&word| cx.keys.delete(args.key(word), lazy))
        .count();
    cx.reply.int(removed as i64);
    Ok(DONE)
}

const EXISTS: Row = Row {
    name: "exists",
    summary: "Counts how many of the given keys exist; one given twice counts twice.",
    since: "1.0.0",
    complexity: "O(N), N being the number of keys",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::range(1, -1, 1, Access::RO)],
    tips: SUMMED,
    history: &[("3.0.3", "Takes several keys.")],
    args: &[Arg::key("key", 0).multiple()],
    run: exists,
    ..Row::BASE
};

fn exists(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let found = (1..args.len())
        .filter(|&word| cx.keys.inspect(args.key(word)).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(DONE)
}

const TYPE: Row = Row {
    name: "type",
    summary: "Tells the type of the value that a key holds.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: type_of,
    ..Row::BASE
};

fn type_of(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let name = cx
        .keys
        .inspect(args.key(1))
        .map_or("none", |entry| entry.type_name());
    cx.reply.simple(name);
    Ok(DONE)
}

const TOUCH: Row = Row {
    name: "touch",
    summary: "Marks keys as just used, and counts those that exist.",
    since: "3.2.1",
    complexity: "O(N), N being the number of keys",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::range(1, -1, 1, Access::RO)],
    tips: SUMMED,
    args: &[Arg::key("key", 0).multiple()],
    run: touch,
    ..Row::BASE
};

fn touch(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: TOUCH leaves its mark even for a client that has said CLIENT NO-TOUCH ON.
    cx.keys.access.no_touch = false;
    let found = (1..args.len())
        .filter(|&word| cx.keys.touch_access(args.key(word)))
        .count();
    cx.reply.int(found as i64);
    Ok(DONE)
}
