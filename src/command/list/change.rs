//! Commands that change a list inside.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::value::list::List;

use super::{negatable, resolve};

/// The rows of this file.
pub const ROWS: &[Row] = &[LSET, LINSERT, LREM, LTRIM];

const LSET: Row = Row {
    name: "lset",
    summary: "Replaces an element of a list by its index.",
    complexity: "O(N) for N elements between it and the nearer end",
    group: Group::List,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    args: &[Arg::key("key", 0), Arg::integer("index"), Arg::string("element")],
    run: lset,
    ..Row::BASE
};

fn lset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const OUTSIDE: Error = Error::fixed("ERR index out of range");
    let replaced = cx.keys.edit(args.key(1), |list: &mut List, edit| {
        let index = args.int(2)?;
        let position = list.position(index).ok_or(OUTSIDE)?;
        list.set(position, args.get(3), edit.limits);
        edit.changed("lset", 1);
        Ok(())
    })?;
    replaced.unwrap_or(Err(Error::NoSuchKey))?;
    cx.reply.ok();
    Ok(DONE)
}

const LINSERT: Row = Row {
    name: "linsert",
    summary: "Adds an element before or behind another.",
    since: "2.2.0",
    complexity: "O(N) for N elements before the pivot",
    group: Group::List,
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    args: &[
        Arg::key("key", 0),
        Arg::one_of(
            "where",
            &[Arg::flag("before", "BEFORE"), Arg::flag("after", "AFTER")],
        ),
        Arg::string("pivot"),
        Arg::string("element"),
    ],
    run: linsert,
    ..Row::BASE
};

fn linsert(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let after = if args.is(2, "after") {
        true
    } else if args.is(2, "before") {
        false
    } else {
        return Err(Error::Syntax);
    };
    let len = cx.keys.edit(args.key(1), |list: &mut List, edit| {
        if !list.insert_beside(args.get(3), after, args.get(4), edit.limits) {
            return -1;
        }
        edit.changed("linsert", 1);
        list.len() as i64
    })?;
    cx.reply.int(len.unwrap_or(0));
    Ok(DONE)
}

const LREM: Row = Row {
    name: "lrem",
    summary: "Removes elements that equal a given one.",
    complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
    group: Group::List,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::integer("count"), Arg::string("element")],
    run: lrem,
    ..Row::BASE
};

fn lrem(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = negatable(args, 2)?;
    let from = if count < 0 { End::Tail } else { End::Head };
    let max = match count.unsigned_abs() {
        0 => usize::MAX,
        some => some as usize,
    };
    let removed = cx.keys.edit(args.key(1), |list: &mut List, edit| {
        let removed = list.remove_equal(args.get(3), from, max, edit.limits);
        if removed > 0 {
            edit.changed("lrem", removed as u64);
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}

const LTRIM: Row = Row {
    name: "ltrim",
    summary: "Removes all elements outside a range.",
    complexity: "O(N) for N elements removed",
    group: Group::List,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::integer("start"), Arg::integer("stop")],
    run: ltrim,
    ..Row::BASE
};

fn ltrim(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    cx.keys.edit(args.key(1), |list: &mut List, edit| {
        let len = list.len();
        let (first, kept) = resolve(start, stop, len);
        list.remove_range(first + kept, len, edit.limits);
        list.remove_range(0, first, edit.limits);
        // Compat: an event even if nothing was outside.
        edit.changed("ltrim", (len - kept) as u64);
    })?;
    cx.reply.ok();
    Ok(DONE)
}
