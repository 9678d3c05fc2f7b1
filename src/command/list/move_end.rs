//! Commands that move an element from an end of one list to an end of another, or of the same one.

use crate::command::args::Args;
use crate::command::blocking::{self, BlockOn, Nil};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::keyspace::Key;
use crate::value::list::{List, Pushed};
use crate::value::{Kind, Typed};

use super::pop::popped;
use super::{SIDES, end_at};

/// The rows of this file.
pub const ROWS: &[Row] = &[LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH];

const KEYS: &[KeySpec] = &[
    KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::DELETE)),
    KeySpec::one(2, Access::RW.with(Access::INSERT)),
];

const LMOVE: Row = Row {
    name: "lmove",
    summary: "Moves an element from an end of a list to an end of another and returns it.",
    since: "6.2.0",
    group: Group::List,
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: KEYS,
    args: &[
        Arg::key("source", 0),
        Arg::key("destination", 1),
        Arg::one_of("wherefrom", SIDES),
        Arg::one_of("whereto", SIDES),
    ],
    run: lmove,
    ..Row::BASE
};

fn lmove(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let ends = (end_at(args, 3)?, end_at(args, 4)?);
    move_or_null(cx, args, ends)
}

const RPOPLPUSH: Row = Row {
    name: "rpoplpush",
    summary: "Moves the tail of a list to the head of another and returns it.",
    since: "1.2.0",
    group: Group::List,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: KEYS,
    deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    args: &[Arg::key("source", 0), Arg::key("destination", 1)],
    run: |cx, args| move_or_null(cx, args, (End::Tail, End::Head)),
    ..Row::BASE
};

fn move_or_null(cx: &mut Cx<'_>, args: Args<'_>, ends: (End, End)) -> Outcome {
    if !move_element(cx, args.key(1), args.key(2), ends)? {
        cx.reply.null();
    }
    Ok(DONE)
}

const BLMOVE: Row = Row {
    name: "blmove",
    summary: "Moves an element from an end of a list to an end of another, waiting for one if need be.",
    since: "6.2.0",
    group: Group::List,
    arity: Arity::Exactly(6),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::BLOCKING),
    keys: KEYS,
    args: &[
        Arg::key("source", 0),
        Arg::key("destination", 1),
        Arg::one_of("wherefrom", SIDES),
        Arg::one_of("whereto", SIDES),
        Arg::double("timeout"),
    ],
    run: blmove,
    ..Row::BASE
};

fn blmove(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let ends = (end_at(args, 3)?, end_at(args, 4)?);
    let words = [b"LMOVE", args.get(1), args.get(2), args.get(3), args.get(4)];
    move_or_wait(cx, args, ends, 5, &words)
}

const BRPOPLPUSH: Row = Row {
    name: "brpoplpush",
    summary: "Moves the tail of a list to the head of another, waiting for one if need be.",
    since: "2.2.0",
    group: Group::List,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::BLOCKING),
    keys: KEYS,
    history: &[(
        "6.0.0",
        "`timeout` is interpreted as a double instead of an integer.",
    )],
    deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    args: &[
        Arg::key("source", 0),
        Arg::key("destination", 1),
        Arg::double("timeout"),
    ],
    run: |cx, args| {
        let words: [&[u8]; 3] = [b"RPOPLPUSH", args.get(1), args.get(2)];
        move_or_wait(cx, args, (End::Tail, End::Head), 3, &words)
    },
    ..Row::BASE
};

/// Moves an element, which propagates as `words`, or waits as word `timeout` says.
fn move_or_wait(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    ends: (End, End),
    timeout: usize,
    words: &[&[u8]],
) -> Outcome {
    let until_ms = blocking::timeout(args, timeout, cx.now_ms())?;
    if move_element(cx, args.key(1), args.key(2), ends)? {
        cx.keys.changes.instead(cx.keys.selected(), words);
        return Ok(DONE);
    }
    let keys = [args.get(1)];
    blocking::wait(cx, Nil::Bulk, || BlockOn::keys(Kind::List, keys, until_ms))
}

/// Moves an element and replies with it; false when there is nothing to move.
fn move_element(
    cx: &mut Cx<'_>,
    source: Key<'_>,
    target: Key<'_>,
    (from, to): (End, End),
) -> Result<bool, Error> {
    let pushed = match to {
        End::Head => "lpush",
        End::Tail => "rpush",
    };
    if source.bytes == target.bytes {
        let (keys, reply) = (&mut cx.keys, &mut cx.reply);
        let found = keys.edit(source, |list: &mut List, edit| {
            list.rotate(from, to, edit.limits, |element| reply.bulk(element.text));
            edit.changed(pushed, 0);
            edit.changed(popped(from), 1);
        })?;
        return Ok(found.is_some());
    }
    let Some(list) = cx.keys.peek_as::<List>(source)? else {
        return Ok(false);
    };
    let is_quick = list.encoding() == "quicklist";
    let Some((text, is_number)) = list.peek(from, |item| (item.to_vec(), item.int().is_some())) else {
        return Ok(false);
    };
    // The target first: its type may be wrong, and its event comes first.
    let counted_bytes = if is_quick && is_number { 0 } else { text.len() };
    let element = Pushed {
        text: &text,
        counted_bytes,
    };
    cx.keys.edit_or_new(target, |list: &mut List, edit| {
        list.push(to, element, edit.limits);
        edit.changed(pushed, 0);
    })?;
    cx.keys.edit(source, |list: &mut List, edit| {
        list.pop(from, edit.limits, |_| ());
        edit.changed(popped(from), 1);
    })?;
    cx.reply.bulk(&text);
    Ok(true)
}
