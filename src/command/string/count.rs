//! Strings as counters.

use crate::base::long_double::LongDouble;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::gate::NewString;
use crate::value::string::StringRef;

/// The rows of this file.
pub const ROWS: &[Row] = &[INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT];

/// What all counters share.
const COUNTER: Row = Row {
    group: Group::String,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    ..Row::BASE
};

const INCR: Row = Row {
    name: "incr",
    summary: "Adds one to the integer at a key.",
    since: "1.0.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    args: &[Arg::key("key", 0)],
    run: |cx, args| add(cx, args, 1),
    ..COUNTER
};

const DECR: Row = Row {
    name: "decr",
    summary: "Subtracts one from the integer at a key.",
    since: "1.0.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    args: &[Arg::key("key", 0)],
    run: |cx, args| add(cx, args, -1),
    ..COUNTER
};

const INCRBY: Row = Row {
    name: "incrby",
    summary: "Adds an integer to the one at a key.",
    since: "1.0.0",
    complexity: "O(1)",
    args: &[Arg::key("key", 0), Arg::integer("increment")],
    run: |cx, args| add(cx, args, args.int(2)?),
    ..COUNTER
};

const DECRBY: Row = Row {
    name: "decrby",
    summary: "Subtracts an integer from the one at a key.",
    since: "1.0.0",
    complexity: "O(1)",
    args: &[Arg::key("key", 0), Arg::integer("decrement")],
    run: decrby,
    ..COUNTER
};

fn decrby(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let delta = args
        .int(2)?
        .checked_neg()
        .ok_or(Error::fixed("ERR decrement would overflow"))?;
    add(cx, args, delta)
}

/// Adds and replies the sum; a missing key counts as 0.
#[inline]
fn add(cx: &mut Cx<'_>, args: Args<'_>, delta: i64) -> Outcome {
    let mut sum = 0;
    cx.keys.edit_string(args.key(1), "incrby", |old| {
        let old = old.map_or(Some(0), StringRef::as_int).ok_or(Error::NotInteger)?;
        sum = old.checked_add(delta).ok_or(Error::Overflow)?;
        Ok(NewString::Int(sum))
    })?;
    cx.reply.int(sum);
    Ok(DONE)
}

const INCRBYFLOAT: Row = Row {
    name: "incrbyfloat",
    summary: "Adds a floating-point number to the one at a key.",
    since: "2.6.0",
    complexity: "O(1)",
    args: &[Arg::key("key", 0), Arg::double("increment")],
    run: incrbyfloat,
    ..COUNTER
};

/// Propagates as the SET of its result: replicas may round differently.
fn incrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(1);
    let mut sum = Vec::new();
    cx.keys.edit_string(key, "incrbyfloat", |old| {
        add_float(old, args.get(2))?.write_human(&mut sum);
        Ok(NewString::Text(sum.clone()))
    })?;
    cx.reply.bulk(&sum);
    cx.keys
        .changes
        .instead(cx.keys.selected(), &[b"SET", key.bytes, &sum, b"KEEPTTL"]);
    Ok(DONE)
}

/// Redis looks at the key's type before it reads the increment, so parsing is left to this.
fn add_float(old: Option<StringRef<'_>>, delta: &[u8]) -> Result<LongDouble, Error> {
    let old = match old {
        None => Some(LongDouble::from_i64(0)),
        Some(StringRef::Int(n)) => Some(LongDouble::from_i64(n)),
        Some(StringRef::Bytes(text)) => LongDouble::parse(text),
    };
    let (old, delta) = old.zip(LongDouble::parse(delta)).ok_or(Error::NotFloat)?;
    Some(old + delta)
        .filter(|sum| sum.is_finite())
        .ok_or(Error::NanOrInfinity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(old: Option<StringRef<'_>>, delta: &str) -> Result<String, Error> {
        let mut text = Vec::new();
        add_float(old, delta.as_bytes())?.write_human(&mut text);
        Ok(String::from_utf8(text).expect("digits"))
    }

    #[test]
    fn floats_add_as_clients_expect_decimals_to() {
        assert_eq!(sum(None, "3.0e3"), Ok("3000".into()));
        assert_eq!(sum(Some(StringRef::Bytes(b"0.1")), "0.2"), Ok("0.3".into()));
        assert_eq!(sum(Some(StringRef::Int(-3)), "1"), Ok("-2".into()));
    }

    #[test]
    fn a_sum_that_is_no_number_is_refused() {
        assert_eq!(sum(None, "inf"), Err(Error::NanOrInfinity));
        assert_eq!(sum(Some(StringRef::Bytes(b"x")), "1"), Err(Error::NotFloat));
        assert_eq!(sum(Some(StringRef::Int(1)), ""), Err(Error::NotFloat));
    }
}
