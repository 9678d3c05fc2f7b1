//! HSET HMSET HSETNX HDEL: storing and removing fields.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::WrongType;
use crate::value::hash::Hash;

/// The rows of this file.
pub const ROWS: &[Row] = &[HSET, HMSET, HSETNX, HDEL];

const FLAGS: Flags = Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST);
const PAIRS: &[Arg] = &[
    Arg::key("key", 0),
    Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
];

const HSET: Row = Row {
    name: "hset",
    summary: "Stores fields of a hash, which live for ever then.",
    since: "2.0.0",
    complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
    group: Group::Hash,
    arity: Arity::AtLeast(4),
    flags: FLAGS,
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
    args: PAIRS,
    run: hset,
    ..Row::BASE
};

fn hset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    check_pairs(args, "hset")?;
    let added = store(cx, args)?;
    cx.reply.int(added);
    Ok(DONE)
}

const HMSET: Row = Row {
    name: "hmset",
    summary: "Stores fields of a hash; HSET tells how many were new, too.",
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields being set.",
    group: Group::Hash,
    arity: Arity::AtLeast(4),
    flags: FLAGS,
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
    args: PAIRS,
    run: hmset,
    ..Row::BASE
};

fn hmset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    check_pairs(args, "hmset")?;
    store(cx, args)?;
    cx.reply.ok();
    Ok(DONE)
}

/// A field without a value has the same error as too few words.
fn check_pairs(args: Args<'_>, command: &'static str) -> Result<(), Error> {
    if args.len().is_multiple_of(2) {
        Ok(())
    } else {
        Err(Error::Arity(command.into()))
    }
}

/// Stores the pairs behind the key; how many fields readers had not seen before.
#[inline]
fn store(cx: &mut Cx<'_>, args: Args<'_>) -> Result<i64, WrongType> {
    let due_ms = cx.keys.due_ms();
    let pairs = args.len() / 2 - 1;
    cx.keys.edit_or_new::<Hash, _>(args.key(1), |hash, edit| {
        hash.expect(pairs, edit.limits);
        let mut added = 0;
        for at in (2..args.len()).step_by(2) {
            let previous = hash.set(args.get(at), args.get(at + 1), edit.limits);
            added += i64::from(!previous.was_visible(due_ms));
        }
        edit.changed("hset", pairs as u64);
        added
    })
}

const HSETNX: Row = Row {
    name: "hsetnx",
    summary: "Stores a field of a hash unless it is there.",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::Hash,
    arity: Arity::Exactly(4),
    flags: FLAGS,
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    args: &[Arg::key("key", 0), Arg::string("field"), Arg::string("value")],
    run: hsetnx,
    ..Row::BASE
};

fn hsetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(1), args.get(2));
    cx.keys.forget_due_fields(key, [name]);
    let due_ms = cx.keys.due_ms();
    let stored = cx.keys.edit_or_new::<Hash, _>(key, |hash, edit| {
        let stores = hash.get(name, due_ms).is_none();
        if stores {
            hash.set(name, args.get(3), edit.limits);
            edit.changed("hset", 1);
        }
        stores
    })?;
    cx.reply.int(stored.into());
    Ok(DONE)
}

const HDEL: Row = Row {
    name: "hdel",
    summary: "Removes fields of a hash, and the hash with its last field.",
    since: "2.0.0",
    complexity: "O(N) where N is the number of fields to be removed.",
    group: Group::Hash,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    history: &[("2.4.0", "Accepts multiple `field` arguments.")],
    args: &[Arg::key("key", 0), Arg::string("field").multiple()],
    run: hdel,
    ..Row::BASE
};

/// Compat: a field that is due counts as removed, as long as nobody has met it before.
fn hdel(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let removed = cx.keys.edit::<Hash, _>(args.key(1), |hash, edit| {
        let removed = args.iter_from(2).filter(|name| hash.remove(name)).count() as u64;
        if removed > 0 {
            edit.changed("hdel", removed);
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}
