//! HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT: when fields of a hash expire.
//!
//! All four turn their number into Unix milliseconds and propagate as HPEXPIREAT of the fields they changed. A time that
//! has passed removes the fields and propagates as HDEL. The answer is a number for each field:
//!
//! ```text
//! -2 no such field    0 the condition forbids it    1 done    2 removed, since the time has passed
//! ```

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::value::hash::{EXPIRE_AT_MAX, Hash};

use super::Names;

/// The rows of this file.
pub const ROWS: &[Row] = &[HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT];

const SETTER: Row = Row {
    since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    group: Group::Hash,
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    ..Row::BASE
};

const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::flag("nx", "NX"),
        Arg::flag("xx", "XX"),
        Arg::flag("gt", "GT"),
        Arg::flag("lt", "LT"),
    ],
)
.optional();

/// The fields, in every command on their expiries.
pub(super) const FIELDS: Arg = Arg::block(
    "fields",
    &[Arg::integer("numfields"), Arg::string("field").multiple()],
)
.token("FIELDS");

const HEXPIRE: Row = Row {
    name: "hexpire",
    summary: "Lets fields of a hash expire after a number of seconds.",
    args: &[Arg::key("key", 0), Arg::integer("seconds"), CONDITION, FIELDS],
    run: |cx, args| set_deadline(cx, args, "hexpire", 1000, From::Now),
    ..SETTER
};

const HPEXPIRE: Row = Row {
    name: "hpexpire",
    summary: "Lets fields of a hash expire after a number of milliseconds.",
    args: &[
        Arg::key("key", 0),
        Arg::integer("milliseconds"),
        CONDITION,
        FIELDS,
    ],
    run: |cx, args| set_deadline(cx, args, "hpexpire", 1, From::Now),
    ..SETTER
};

const HEXPIREAT: Row = Row {
    name: "hexpireat",
    summary: "Lets fields of a hash expire at a Unix time in seconds.",
    args: &[
        Arg::key("key", 0),
        Arg::unix_time("unix-time-seconds"),
        CONDITION,
        FIELDS,
    ],
    run: |cx, args| set_deadline(cx, args, "hexpireat", 1000, From::Epoch),
    ..SETTER
};

const HPEXPIREAT: Row = Row {
    name: "hpexpireat",
    summary: "Lets fields of a hash expire at a Unix time in milliseconds.",
    args: &[
        Arg::key("key", 0),
        Arg::unix_time("unix-time-milliseconds"),
        CONDITION,
        FIELDS,
    ],
    run: |cx, args| set_deadline(cx, args, "hpexpireat", 1, From::Epoch),
    ..SETTER
};

/// Where a command's number counts from.
#[derive(Clone, Copy)]
enum From {
    Now,
    Epoch,
}

/// When an expiry may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    /// Only if there is none.
    Nx,
    /// Only if there is one.
    Xx,
    /// Only to a later time; none counts as the latest.
    Gt,
    /// Only to an earlier time.
    Lt,
}

impl Condition {
    const WORDS: [(&'static str, Condition); 4] = [
        ("NX", Condition::Nx),
        ("XX", Condition::Xx),
        ("GT", Condition::Gt),
        ("LT", Condition::Lt),
    ];

    fn parse(args: Args<'_>, word: usize) -> Condition {
        let named = Condition::WORDS.iter().find(|(name, _)| args.is(word, name));
        named.map_or(Condition::Always, |&(_, condition)| condition)
    }

    fn admits(self, present: Option<i64>, at_ms: i64) -> bool {
        match (self, present) {
            (Condition::Always, _) | (Condition::Nx | Condition::Lt, None) => true,
            (Condition::Nx, Some(_)) | (Condition::Xx | Condition::Gt, None) => false,
            (Condition::Xx, Some(_)) => true,
            (Condition::Gt, Some(present)) => at_ms > present,
            (Condition::Lt, Some(present)) => at_ms < present,
        }
    }
}

/// What became of a field; as numbers, what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    NoField = -2,
    Forbidden = 0,
    Set = 1,
    Removed = 2,
}

/// The number at word 2 as Unix milliseconds, within bounds.
fn deadline_ms(args: Args<'_>, command: &'static str, unit_ms: i64, from_ms: i64) -> Result<i64, Error> {
    let number = args.int(2)?;
    if number < 0 {
        return Err(Error::fixed("ERR invalid expire time, must be >= 0"));
    }
    let at_ms = number.checked_mul(unit_ms).and_then(|ms| ms.checked_add(from_ms));
    at_ms
        .filter(|&at_ms| at_ms <= EXPIRE_AT_MAX)
        .ok_or(Error::InvalidExpire(command))
}

/// Compat: another type is refused before anything is read.
fn set_deadline(cx: &mut Cx<'_>, args: Args<'_>, command: &'static str, unit_ms: i64, from: From) -> Outcome {
    let key = args.key(1);
    cx.keys.peek_as::<Hash>(key)?;
    let from_ms = match from {
        From::Now => cx.now_ms(),
        From::Epoch => 0,
    };
    let at_ms = deadline_ms(args, command, unit_ms, from_ms)?;
    let condition = Condition::parse(args, 3);
    let clause = if condition == Condition::Always { 3 } else { 4 };
    const BAD_COUNT: Error = Error::fixed("ERR Parameter `numFields` should be greater than 0");
    let names = Names::parse(args, clause, BAD_COUNT)?;
    cx.reply.array(names.count(args));
    let changed = set_fields(cx, args, names, at_ms, condition)?;
    propagate(cx, key, at_ms, condition, &changed);
    Ok(DONE)
}

/// Sets the expiry of each field or removes it, and replies what became of it. Those that have changed, with whether
/// they are gone.
fn set_fields<'a>(
    cx: &mut Cx<'_>,
    args: Args<'a>,
    names: Names,
    at_ms: i64,
    condition: Condition,
) -> Result<Vec<&'a [u8]>, Error> {
    let due_ms = cx.keys.due_ms();
    let reply = &mut cx.reply;
    let mut changed = Vec::new();
    let mut removed = 0;
    let found = cx.keys.edit::<Hash, _>(args.key(1), |hash, edit| {
        for name in names.iter(args) {
            let fate = set_field(hash, name, at_ms, due_ms, condition);
            reply.int(fate as i64);
            if matches!(fate, Fate::Set | Fate::Removed) {
                changed.push(name);
                removed += u64::from(fate == Fate::Removed);
            }
        }
        // One deadline for all: either every changed field is gone or none is.
        if removed > 0 {
            edit.changed("hdel", removed);
        } else if !changed.is_empty() {
            edit.changed("hexpire", changed.len() as u64);
        }
    })?;
    if found.is_none() {
        names.iter(args).for_each(|_| cx.reply.int(Fate::NoField as i64));
    }
    cx.keys.stats.expired_fields += removed;
    Ok(changed)
}

fn set_field(hash: &mut Hash, name: &[u8], at_ms: i64, due_ms: i64, condition: Condition) -> Fate {
    let Some(found) = hash.find(name).filter(|found| !found.is_due(due_ms)) else {
        return Fate::NoField;
    };
    if !condition.admits(found.expire_at, at_ms) {
        return Fate::Forbidden;
    }
    // Where fields do not expire by themselves (a replica) the removal will come as a command.
    if at_ms <= due_ms {
        hash.remove(name);
        return Fate::Removed;
    }
    hash.set_expiry(name, Some(at_ms));
    Fate::Set
}

/// As HPEXPIREAT of the changed fields, under the same condition; as one HDEL for each when the time has passed.
fn propagate(cx: &mut Cx<'_>, key: Key<'_>, at_ms: i64, condition: Condition, changed: &[&[u8]]) {
    let passed = at_ms <= cx.keys.due_ms();
    let (db, changes) = (cx.keys.selected(), &mut cx.keys.changes);
    if changed.is_empty() || !changes.followed {
        return;
    }
    if passed {
        for name in changed {
            changes.instead(db, &[b"HDEL", key.bytes, name]);
        }
        return;
    }
    let (at_ms, count) = (at_ms.to_string(), changed.len().to_string());
    let mut words: Vec<&[u8]> = vec![b"HPEXPIREAT", key.bytes, at_ms.as_bytes()];
    let named = Condition::WORDS.iter().filter(|(_, other)| *other == condition);
    words.extend(named.map(|(word, _)| word.as_bytes()));
    words.extend([b"FIELDS", count.as_bytes()]);
    words.extend(changed);
    changes.instead(db, &words);
}
