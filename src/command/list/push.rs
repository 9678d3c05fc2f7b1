//! Commands that add elements at an end.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::keyspace::typed::Edit;
use crate::value::list::List;

/// The rows of this file.
pub const ROWS: &[Row] = &[LPUSH, RPUSH, LPUSHX, RPUSHX];

/// What the four have in common.
const PUSH: Row = Row {
    complexity: "O(N) for N elements",
    group: Group::List,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    args: &[Arg::key("key", 0), Arg::string("element").multiple()],
    ..Row::BASE
};

const LPUSH: Row = Row {
    name: "lpush",
    summary: "Adds elements at the head of a list, which is created if need be.",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    run: |cx, args| push(cx, args, End::Head, "lpush"),
    ..PUSH
};

const RPUSH: Row = Row {
    name: "rpush",
    summary: "Adds elements at the tail of a list, which is created if need be.",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    run: |cx, args| push(cx, args, End::Tail, "rpush"),
    ..PUSH
};

fn push(cx: &mut Cx<'_>, args: Args<'_>, end: End, event: &'static str) -> Outcome {
    let len = cx.keys.edit_or_new(args.key(1), |list: &mut List, edit| {
        push_words(list, args, end, event, edit)
    })?;
    cx.reply.int(len as i64);
    Ok(DONE)
}

const LPUSHX: Row = Row {
    name: "lpushx",
    summary: "Adds elements at the head of a list that exists.",
    since: "2.2.0",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    run: |cx, args| push_existing(cx, args, End::Head, "lpush"),
    ..PUSH
};

const RPUSHX: Row = Row {
    name: "rpushx",
    summary: "Adds elements at the tail of a list that exists.",
    since: "2.2.0",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    run: |cx, args| push_existing(cx, args, End::Tail, "rpush"),
    ..PUSH
};

fn push_existing(cx: &mut Cx<'_>, args: Args<'_>, end: End, event: &'static str) -> Outcome {
    let len = cx.keys.edit(args.key(1), |list: &mut List, edit| {
        push_words(list, args, end, event, edit)
    })?;
    cx.reply.int(len.unwrap_or(0) as i64);
    Ok(DONE)
}

/// Adds the words behind the key; the new length.
#[inline]
fn push_words(list: &mut List, args: Args<'_>, end: End, event: &'static str, edit: &mut Edit<'_>) -> usize {
    let texts = (2..args.len()).map(|at| args.get(at));
    list.push_all(end, texts, edit.limits);
    edit.changed(event, args.len() as u64 - 2);
    list.len()
}
