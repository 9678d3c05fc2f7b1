//! HINCRBY HINCRBYFLOAT: fields as counters. A field keeps its expiry.

use crate::base::long_double::LongDouble;
use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::listpack::Item;
use crate::keyspace::Key;
use crate::keyspace::typed::Edit;
use crate::value::hash::Hash;

/// The rows of this file.
pub const ROWS: &[Row] = &[HINCRBY, HINCRBYFLOAT];

const COUNTER: Row = Row {
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    ..Row::BASE
};

const HINCRBY: Row = Row {
    name: "hincrby",
    summary: "Adds an integer to the one in a field of a hash.",
    since: "2.0.0",
    args: &[
        Arg::key("key", 0),
        Arg::string("field"),
        Arg::integer("increment"),
    ],
    run: hincrby,
    ..COUNTER
};

fn hincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let delta = args.int(3)?;
    let sum = edit_field(cx, args.key(1), args.get(2), |hash, edit| {
        let old = hash
            .find(args.get(2))
            .map_or(Some(0), |found| integer(found.value));
        let old = old.ok_or(Error::fixed("ERR hash value is not an integer"))?;
        let sum = old.checked_add(delta).ok_or(Error::Overflow)?;
        hash.update(
            args.get(2),
            itoa::Buffer::new().format(sum).as_bytes(),
            edit.limits,
        );
        edit.changed("hincrby", 1);
        Ok(sum)
    })?;
    cx.reply.int(sum);
    Ok(DONE)
}

const HINCRBYFLOAT: Row = Row {
    name: "hincrbyfloat",
    summary: "Adds a floating-point number to the one in a field of a hash.",
    since: "2.6.0",
    args: &[Arg::key("key", 0), Arg::string("field"), Arg::double("increment")],
    run: hincrbyfloat,
    ..COUNTER
};

/// Propagates as the HSET of its result: replicas may round differently. That clears an expiry, so it follows.
fn hincrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(1), args.get(2));
    let delta = LongDouble::parse(args.get(3)).ok_or(Error::NotFloat)?;
    if !delta.is_finite() {
        return Err(Error::fixed("ERR value is NaN or Infinity"));
    }
    let (sum, expire_at) = edit_field(cx, key, name, |hash, edit| {
        let found = hash.find(name);
        let expire_at = found.and_then(|found| found.expire_at);
        let sum = add_float(found.map(|found| found.value), delta)?;
        hash.update(name, &sum, edit.limits);
        edit.changed("hincrbyfloat", 1);
        Ok((sum, expire_at))
    })?;
    cx.reply.bulk(&sum);
    let (db, changes) = (cx.keys.selected(), &mut cx.keys.changes);
    changes.instead(db, &[b"HSET", key.bytes, name, &sum]);
    if let Some(at_ms) = expire_at {
        let mut text = itoa::Buffer::new();
        let at_ms = text.format(at_ms).as_bytes();
        changes.propagate(db, &[b"HPEXPIREAT", key.bytes, at_ms, b"FIELDS", b"1", name]);
    }
    Ok(DONE)
}

/// Lets `change` alter a hash, in which the named field is not due; a missing hash starts empty.
#[inline]
fn edit_field<R>(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    name: &[u8],
    change: impl FnOnce(&mut Hash, &mut Edit<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    cx.keys.forget_due_fields(key, [name]);
    cx.keys.edit_or_new::<Hash, _>(key, change)?
}

fn integer(value: Item<'_>) -> Option<i64> {
    match value {
        Item::Int(number) => Some(number),
        Item::Bytes(text) => number::parse_i64(text),
    }
}

/// The text of the sum; nothing counts as 0.
fn add_float(old: Option<Item<'_>>, delta: LongDouble) -> Result<Vec<u8>, Error> {
    let old = match old {
        None => Some(LongDouble::from_i64(0)),
        Some(Item::Int(number)) => Some(LongDouble::from_i64(number)),
        Some(Item::Bytes(text)) => LongDouble::parse(text),
    };
    let sum = old.ok_or(Error::fixed("ERR hash value is not a float"))? + delta;
    if !sum.is_finite() {
        return Err(Error::NanOrInfinity);
    }
    let mut text = Vec::new();
    sum.write_human(&mut text);
    Ok(text)
}
