//! HTTL HPTTL HEXPIRETIME HPEXPIRETIME HPERSIST: when fields of a hash expire, and that they shall not.
//!
//! All answer a number for each field, -2 for no such field and -1 for one that does not expire. Seconds are rounded up.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::hash::Hash;

use super::Names;
use super::expire::FIELDS;

/// The rows of this file.
pub const ROWS: &[Row] = &[HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME, HPERSIST];

const NO_SUCH_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const PERSISTED: i64 = 1;

const BAD_COUNT: Error = Error::fixed("ERR Number of fields must be a positive integer");

const READER: Row = Row {
    since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    group: Group::Hash,
    arity: Arity::AtLeast(5),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), FIELDS],
    ..Row::BASE
};

const HTTL: Row = Row {
    name: "httl",
    summary: "Tells in how many seconds fields of a hash expire.",
    tips: &["nondeterministic_output"],
    run: |cx, args| answer(cx, args, |at_ms, now_ms| seconds(at_ms - now_ms)),
    ..READER
};

const HPTTL: Row = Row {
    name: "hpttl",
    summary: "Tells in how many milliseconds fields of a hash expire.",
    tips: &["nondeterministic_output"],
    run: |cx, args| answer(cx, args, |at_ms, now_ms| at_ms - now_ms),
    ..READER
};

const HEXPIRETIME: Row = Row {
    name: "hexpiretime",
    summary: "Tells at which Unix time in seconds fields of a hash expire.",
    run: |cx, args| answer(cx, args, |at_ms, _| seconds(at_ms)),
    ..READER
};

const HPEXPIRETIME: Row = Row {
    name: "hpexpiretime",
    summary: "Tells at which Unix time in milliseconds fields of a hash expire.",
    run: |cx, args| answer(cx, args, |at_ms, _| at_ms),
    ..READER
};

/// Answers what `tell` makes of each field's expiry and the present time.
fn answer(cx: &mut Cx<'_>, args: Args<'_>, tell: fn(i64, i64) -> i64) -> Outcome {
    let (now_ms, due_ms) = (cx.now_ms(), cx.keys.due_ms());
    let hash = cx.keys.read_as::<Hash>(args.key(1))?;
    let names = Names::parse(args, 2, BAD_COUNT)?;
    cx.reply.array(names.count(args));
    for name in names.iter(args) {
        let found = hash.and_then(|hash| hash.find(name));
        cx.reply.int(match found.filter(|found| !found.is_due(due_ms)) {
            None => NO_SUCH_FIELD,
            Some(found) => found.expire_at.map_or(NO_EXPIRY, |at_ms| tell(at_ms, now_ms)),
        });
    }
    Ok(DONE)
}

/// To whole seconds, none of them too early.
fn seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

const HPERSIST: Row = Row {
    name: "hpersist",
    summary: "Lets fields of a hash live on for ever.",
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    run: hpersist,
    ..READER
};

fn hpersist(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, due_ms) = (args.key(1), cx.keys.due_ms());
    cx.keys.peek_as::<Hash>(key)?;
    let names = Names::parse(args, 2, BAD_COUNT)?;
    cx.reply.array(names.count(args));
    let reply = &mut cx.reply;
    let found = cx.keys.edit::<Hash, _>(key, |hash, edit| {
        let mut persisted = 0;
        for name in names.iter(args) {
            let answer = persist(hash, name, due_ms);
            persisted += u64::from(answer == PERSISTED);
            reply.int(answer);
        }
        if persisted > 0 {
            edit.changed("hpersist", persisted);
        }
    })?;
    if found.is_none() {
        names.iter(args).for_each(|_| cx.reply.int(NO_SUCH_FIELD));
    }
    Ok(DONE)
}

fn persist(hash: &mut Hash, name: &[u8], due_ms: i64) -> i64 {
    match hash.find(name).filter(|found| !found.is_due(due_ms)) {
        None => NO_SUCH_FIELD,
        Some(found) if found.expire_at.is_none() => NO_EXPIRY,
        Some(_) => {
            hash.set_expiry(name, None);
            PERSISTED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([0, 1, 1000, 1001, 2000].map(seconds), [0, 1, 1, 2, 2]);
    }
}
