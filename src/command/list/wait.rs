//! Commands that remove elements from an end of the first list there is, and wait for one if there is none.

use crate::command::args::Args;
use crate::command::blocking::{self, BlockOn, Nil};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::value::Kind;
use crate::value::list::List;

use super::SIDES;
use super::pop::{MpopOptions, pop_one, propagate};

/// The rows of this file.
pub const ROWS: &[Row] = &[BLPOP, BRPOP, BLMPOP];

/// What both have in common.
const WAIT_POP: Row = Row {
    since: "2.0.0",
    complexity: "O(N) where N is the number of provided keys.",
    group: Group::List,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::BLOCKING),
    keys: &[KeySpec::range(
        1,
        -2,
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    history: &[(
        "6.0.0",
        "`timeout` is interpreted as a double instead of an integer.",
    )],
    args: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
    ..Row::BASE
};

const BLPOP: Row = Row {
    name: "blpop",
    summary: "Removes and returns the head of the first list there is, waiting for one if need be.",
    run: |cx, args| wait_pop(cx, args, End::Head),
    ..WAIT_POP
};

const BRPOP: Row = Row {
    name: "brpop",
    summary: "Removes and returns the tail of the first list there is, waiting for one if need be.",
    run: |cx, args| wait_pop(cx, args, End::Tail),
    ..WAIT_POP
};

fn wait_pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Outcome {
    let last = args.len() - 1;
    let until_ms = blocking::timeout(args, last, cx.now_ms())?;
    for at in 1..last {
        let key = args.key(at);
        if cx.keys.peek_as::<List>(key)?.is_some() {
            cx.reply.array(2);
            cx.reply.bulk(key.bytes);
            pop_one(cx, key, end)?;
            propagate(cx, key, end, None);
            return Ok(DONE);
        }
    }
    let keys = (1..last).map(|at| args.get(at));
    blocking::wait(cx, Nil::Array, || BlockOn::keys(Kind::List, keys, until_ms))
}

const BLMPOP: Row = Row {
    name: "blmpop",
    summary: "Removes and returns elements of the first list there is, waiting for one if need be.",
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    group: Group::List,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(
        2,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::one_of("where", SIDES),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: blmpop,
    ..Row::BASE
};

fn blmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = MpopOptions::parse(args, 2)?;
    let until_ms = blocking::timeout(args, 1, cx.now_ms())?;
    if options.pop(cx, args)? {
        return Ok(DONE);
    }
    let keys = options.keys().map(|at| args.get(at));
    blocking::wait(cx, Nil::Array, || BlockOn::keys(Kind::List, keys, until_ms))
}
