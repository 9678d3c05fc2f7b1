//! HGET HMGET HEXISTS HSTRLEN HLEN: reading fields by name. A due field that is asked for goes.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::listpack::Item;
use crate::resp::Reply;
use crate::value::hash::Hash;

use super::reply_optional;

/// The rows of this file.
pub const ROWS: &[Row] = &[HGET, HMGET, HEXISTS, HSTRLEN, HLEN];

const FIELD_READER: Row = Row {
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("field")],
    ..Row::BASE
};

const HGET: Row = Row {
    name: "hget",
    summary: "Returns the value of a field of a hash.",
    run: |cx, args| tell_field(cx, args, reply_optional),
    ..FIELD_READER
};

const HEXISTS: Row = Row {
    name: "hexists",
    summary: "Tells whether a hash has a field.",
    run: |cx, args| tell_field(cx, args, |reply, value| reply.int(value.is_some().into())),
    ..FIELD_READER
};

const HSTRLEN: Row = Row {
    name: "hstrlen",
    summary: "Returns the length of the value of a field of a hash in bytes.",
    since: "3.2.0",
    run: |cx, args| {
        tell_field(cx, args, |reply, value| {
            reply.int(value.map_or(0, Item::len) as i64);
        })
    },
    ..FIELD_READER
};

/// Replies what `tell` makes of the value of the field.
#[inline]
fn tell_field(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    tell: impl FnOnce(&mut Reply<'_>, Option<Item<'_>>),
) -> Outcome {
    let (key, name, due_ms) = (args.key(1), args.get(2), cx.keys.due_ms());
    let hash = cx.keys.read_as::<Hash>(key)?;
    let found = hash.and_then(|hash| hash.find(name));
    let is_due = found.is_some_and(|found| found.is_due(due_ms));
    tell(&mut cx.reply, found.filter(|_| !is_due).map(|found| found.value));
    if is_due {
        cx.keys.forget_due_fields(key, [name]);
    }
    Ok(DONE)
}

const HMGET: Row = Row {
    name: "hmget",
    summary: "Returns the values of fields of a hash.",
    complexity: "O(N) where N is the number of fields being requested.",
    arity: Arity::AtLeast(3),
    args: &[Arg::key("key", 0), Arg::string("field").multiple()],
    run: hmget,
    ..FIELD_READER
};

fn hmget(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, due_ms, mut met_due) = (args.key(1), cx.keys.due_ms(), false);
    let hash = cx.keys.read_as::<Hash>(key)?;
    cx.reply.array(args.len() - 2);
    for name in args.iter_from(2) {
        let found = hash.and_then(|hash| hash.find(name));
        let is_due = found.is_some_and(|found| found.is_due(due_ms));
        met_due |= is_due;
        reply_optional(&mut cx.reply, found.filter(|_| !is_due).map(|found| found.value));
    }
    if met_due {
        cx.keys.forget_due_fields(key, args.iter_from(2));
    }
    Ok(DONE)
}

const HLEN: Row = Row {
    name: "hlen",
    summary: "Returns how many fields a hash has.",
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: hlen,
    ..FIELD_READER
};

fn hlen(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let len = cx.keys.read_as::<Hash>(args.key(1))?.map_or(0, Hash::len);
    cx.reply.int(len as i64);
    Ok(DONE)
}
