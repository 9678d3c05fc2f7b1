//! Commands on single members of a set, and on all of them.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::command::scan::{self, Page, ScanOptions, Walked};
use crate::value::Limits;
use crate::value::set::{self, Set};

use super::reply_member;

/// The rows of this file.
pub const ROWS: &[Row] = &[SADD, SREM, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SMOVE, SSCAN];

const SADD: Row = Row {
    name: "sadd",
    summary: "Adds members to a set, which is created if it is missing.",
    since: "1.0.0",
    complexity: "O(N), N being the number of members added",
    group: Group::Set,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    args: &[Arg::key("key", 0), Arg::string("member").multiple()],
    run: sadd,
    ..Row::BASE
};

fn sadd(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let added = cx.keys.edit_or_new(args.key(1), |set: &mut Set, edit| {
        prepare(set, args, edit.limits);
        let added = args
            .iter_from(2)
            .filter(|member| set.insert(member, edit.limits))
            .count();
        if added > 0 {
            edit.changed("sadd", added as u64);
        }
        added
    })?;
    cx.reply.int(added as i64);
    Ok(DONE)
}

/// Gives the set the encoding that suits all the members to come.
#[inline]
fn prepare(set: &mut Set, args: Args<'_>, limits: &Limits) {
    let count = args.len() - 2;
    if set.is_empty() {
        *set = Set::suited(args.get(2), count, limits);
    } else {
        set.expect(count, limits);
    }
}

const SREM: Row = Row {
    name: "srem",
    summary: "Removes members from a set, and the set with the last of them.",
    since: "1.0.0",
    complexity: "O(N), N being the number of members removed",
    group: Group::Set,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    args: &[Arg::key("key", 0), Arg::string("member").multiple()],
    run: srem,
    ..Row::BASE
};

fn srem(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let removed = cx.keys.edit(args.key(1), |set: &mut Set, edit| {
        let removed = args.iter_from(2).filter(|member| set.remove(member)).count();
        if removed > 0 {
            edit.changed("srem", removed as u64);
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}

const SISMEMBER: Row = Row {
    name: "sismember",
    summary: "Tells whether a set has a member.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0), Arg::string("member")],
    run: sismember,
    ..Row::BASE
};

fn sismember(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    let found = set.is_some_and(|set| set.contains(args.get(2)));
    cx.reply.int(found.into());
    Ok(DONE)
}

const SMISMEMBER: Row = Row {
    name: "smismember",
    summary: "Tells of each of several members whether a set has it.",
    since: "6.2.0",
    complexity: "O(N), N being the number of members asked for",
    group: Group::Set,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("member").multiple()],
    run: smismember,
    ..Row::BASE
};

fn smismember(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    cx.reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        let found = set.is_some_and(|set| set.contains(member));
        cx.reply.int(found.into());
    }
    Ok(DONE)
}

const SCARD: Row = Row {
    name: "scard",
    summary: "Counts the members of a set.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: scard,
    ..Row::BASE
};

fn scard(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    cx.reply.int(set.map_or(0, Set::len) as i64);
    Ok(DONE)
}

const SMEMBERS: Row = Row {
    name: "smembers",
    summary: "Lists all members of a set.",
    since: "1.0.0",
    complexity: "O(N), N being the number of members",
    group: Group::Set,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output_order"],
    args: &[Arg::key("key", 0)],
    run: smembers,
    ..Row::BASE
};

fn smembers(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    cx.reply.set(set.map_or(0, Set::len));
    if let Some(set) = set {
        set.iter().for_each(|member| reply_member(&mut cx.reply, member));
    }
    Ok(DONE)
}

const SMOVE: Row = Row {
    name: "smove",
    summary: "Moves a member from one set to another.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Set,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[
        KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        KeySpec::one(2, Access::RW.with(Access::INSERT)),
    ],
    args: &[
        Arg::key("source", 0),
        Arg::key("destination", 1),
        Arg::string("member"),
    ],
    run: smove,
    ..Row::BASE
};

/// Compat: without a source the destination may be of any type.
fn smove(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (source, destination, member) = (args.key(1), args.key(2), args.get(3));
    // Compat: both keys are looked at first, which removes them if their time is over; the destination's type matters
    // only when the source is there.
    let target = cx.keys.peek_as::<Set>(destination).map(drop);
    let from: Option<&Set> = cx.keys.peek_as(source)?;
    let there = from.map(|set| set.contains(member));
    if there.is_some() {
        target?;
    }
    let moves = there == Some(true) && source.bytes != destination.bytes;
    if moves {
        cx.keys.edit(source, |set: &mut Set, edit| {
            set.remove(member);
            edit.changed("srem", 1);
        })?;
        cx.keys.edit_or_new(destination, |set: &mut Set, edit| {
            if set.is_empty() {
                *set = Set::suited(member, 1, edit.limits);
            }
            if set.insert(member, edit.limits) {
                edit.changed("sadd", 1);
            }
        })?;
    }
    cx.reply.int(there.unwrap_or(false).into());
    Ok(DONE)
}

const SSCAN: Row = Row {
    name: "sscan",
    summary: "Walks the members of a set, some at a time.",
    since: "2.8.0",
    complexity: "O(1) for a call, O(N) for a walk through all N members",
    group: Group::Set,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: sscan,
    ..Row::BASE
};

fn sscan(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let cursor = scan::cursor(args, 2)?;
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    let mut page = Page::default();
    let Some(set) = set else {
        page.write(&mut cx.reply, 0);
        return Ok(DONE);
    };
    let options = ScanOptions::parse(args, 3, Walked::Members)?;
    let next = options.walk(cursor, |cursor| {
        let mut seen = 0;
        let next = set.scan(cursor, &mut |member| {
            seen += 1;
            set::with_text(member, |text| {
                if options.admits(text) {
                    page.push(text);
                }
            });
        });
        (next, seen)
    });
    page.write(&mut cx.reply, next);
    Ok(DONE)
}
