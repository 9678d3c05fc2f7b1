//! EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST: setting and removing the time when a key expires.
//!
//! All four setters turn their number into Unix milliseconds and propagate as PEXPIREAT, so that a replica or a replay
//! expires the key at the same moment. A time that has passed removes the key at once and propagates as that.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;

/// The rows of this file.
pub const ROWS: &[Row] = &[EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, PERSIST];

const FLAGS: Flags = Flags::WRITE.with(Flags::FAST);
const KEYS: &[KeySpec] = &[KeySpec::one(1, Access::RW.with(Access::UPDATE))];
const HISTORY: &[(&str, &str)] = &[("7.0.0", "Takes the conditions `NX`, `XX`, `GT` and `LT`.")];

const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::flag("nx", "NX"),
        Arg::flag("xx", "XX"),
        Arg::flag("gt", "GT"),
        Arg::flag("lt", "LT"),
    ],
)
.optional()
.since("7.0.0");

const EXPIRE: Row = Row {
    name: "expire",
    summary: "Lets a key expire after a number of seconds.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::AtLeast(3),
    flags: FLAGS,
    keys: KEYS,
    history: HISTORY,
    args: &[Arg::key("key", 0), Arg::integer("seconds"), CONDITION],
    run: expire,
    ..Row::BASE
};

fn expire(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let from_ms = cx.now_ms();
    set_deadline(
        cx,
        args,
        Scale {
            command: "expire",
            unit_ms: 1000,
            from_ms,
        },
    )
}

const PEXPIRE: Row = Row {
    name: "pexpire",
    summary: "Lets a key expire after a number of milliseconds.",
    since: "2.6.0",
    args: &[Arg::key("key", 0), Arg::integer("milliseconds"), CONDITION],
    run: pexpire,
    ..EXPIRE
};

fn pexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let from_ms = cx.now_ms();
    set_deadline(
        cx,
        args,
        Scale {
            command: "pexpire",
            unit_ms: 1,
            from_ms,
        },
    )
}

const EXPIREAT: Row = Row {
    name: "expireat",
    summary: "Lets a key expire at a Unix time in seconds.",
    since: "1.2.0",
    args: &[Arg::key("key", 0), Arg::unix_time("unix-time-seconds"), CONDITION],
    run: expireat,
    ..EXPIRE
};

fn expireat(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    set_deadline(
        cx,
        args,
        Scale {
            command: "expireat",
            unit_ms: 1000,
            from_ms: 0,
        },
    )
}

const PEXPIREAT: Row = Row {
    name: "pexpireat",
    summary: "Lets a key expire at a Unix time in milliseconds.",
    args: &[
        Arg::key("key", 0),
        Arg::unix_time("unix-time-milliseconds"),
        CONDITION,
    ],
    run: pexpireat,
    ..PEXPIRE
};

fn pexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    set_deadline(
        cx,
        args,
        Scale {
            command: "pexpireat",
            unit_ms: 1,
            from_ms: 0,
        },
    )
}

const PERSIST: Row = Row {
    name: "persist",
    summary: "Lets a key live on for ever.",
    since: "2.2.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: FLAGS,
    keys: KEYS,
    args: &[Arg::key("key", 0)],
    run: persist,
    ..Row::BASE
};

fn persist(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(1);
    let expires = cx.keys.meet(key).is_some_and(|entry| entry.expire_at().is_some());
    let persisted = expires && cx.keys.persist(key);
    cx.reply.int(i64::from(persisted));
    Ok(DONE)
}

/// How a command's number becomes a time.
struct Scale {
    /// For the error.
    command: &'static str,
    unit_ms: i64,
    /// Where it counts from, in Unix milliseconds.
    from_ms: i64,
}

impl Scale {
    fn deadline_ms(&self, number: i64) -> Result<i64, Error> {
        let relative = number.checked_mul(self.unit_ms);
        relative
            .and_then(|ms| ms.checked_add(self.from_ms))
            .ok_or(Error::InvalidExpire(self.command))
    }
}

fn set_deadline(cx: &mut Cx<'_>, args: Args<'_>, scale: Scale) -> Outcome {
    let condition = Condition::parse(args)?;
    let at_ms = scale.deadline_ms(args.int(2)?)?;
    let done = expire_key(cx, args.key(1), at_ms, condition);
    cx.reply.int(i64::from(done));
    Ok(DONE)
}

/// Sets the expiry, or removes the key when its time has passed; false when there is no such key or `condition` forbids.
fn expire_key(cx: &mut Cx<'_>, key: Key<'_>, at_ms: i64, condition: Condition) -> bool {
    let Some(present) = cx.keys.meet(key).map(|entry| entry.expire_at()) else {
        return false;
    };
    if !condition.admits(present, at_ms) {
        return false;
    }
    let db = cx.keys.selected();
    // Where keys do not expire by themselves (a replica, a file being loaded) the removal will come as a command.
    if at_ms <= cx.keys.now_ms && cx.keys.expire_lazily {
        let lazy = cx.keys.lazy.expire;
        cx.keys.delete(key, lazy);
        let verb: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
        cx.keys.changes.instead(db, &[verb, key.bytes]);
    } else {
        cx.keys.set_expire(key, at_ms);
        cx.keys.changes.instead(
            db,
            &[
                b"PEXPIREAT",
                key.bytes,
                itoa::Buffer::new().format(at_ms).as_bytes(),
            ],
        );
    }
    true
}

/// When an expiry may be set.
#[derive(Debug, Clone, Copy, Default)]
struct Condition {
    /// Only if there is none.
    nx: bool,
    /// Only if there is one.
    xx: bool,
    /// Only to a later time; none counts as the latest.
    gt: bool,
    /// Only to an earlier time.
    lt: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Condition, Error> {
        let mut condition = Condition::default();
        for word in 3..args.len() {
            let flag = match () {
                () if args.is(word, "nx") => &mut condition.nx,
                () if args.is(word, "xx") => &mut condition.xx,
                () if args.is(word, "gt") => &mut condition.gt,
                () if args.is(word, "lt") => &mut condition.lt,
                () => {
                    return Err(Error::quoting("Unsupported option ", args.get(word), ""));
                }
            };
            *flag = true;
        }
        condition.check()
    }

    fn check(self) -> Result<Condition, Error> {
        let Condition { nx, xx, gt, lt } = self;
        if nx && (xx || gt || lt) {
            return Err(Error::fixed(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Error::fixed(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(self)
    }

    fn admits(self, present: Option<i64>, at_ms: i64) -> bool {
        match present {
            None => !self.xx && !self.gt,
            Some(present) => !(self.nx || self.gt && at_ms <= present || self.lt && at_ms >= present),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_64_bits_is_refused_and_one_within_is_not() {
        let seconds = Scale {
            command: "expire",
            unit_ms: 1000,
            from_ms: 5_000,
        };
        assert_eq!(seconds.deadline_ms(-1), Ok(4_000));
        assert_eq!(
            seconds.deadline_ms(i64::MIN / 1000),
            Ok(i64::MIN / 1000 * 1000 + 5_000)
        );
        for beyond in [i64::MAX, i64::MIN, i64::MAX / 1000, i64::MIN / 1000 - 1] {
            assert_eq!(
                seconds.deadline_ms(beyond),
                Err(Error::InvalidExpire("expire")),
                "{beyond}"
            );
        }
        let at = Scale {
            command: "pexpireat",
            unit_ms: 1,
            from_ms: 0,
        };
        assert_eq!(at.deadline_ms(i64::MAX), Ok(i64::MAX));
    }

    #[test]
    fn conditions_compare_with_the_present_expiry() {
        let (nx, xx) = (
            Condition {
                nx: true,
                ..Default::default()
            },
            Condition {
                xx: true,
                ..Default::default()
            },
        );
        let (gt, lt) = (
            Condition {
                gt: true,
                ..Default::default()
            },
            Condition {
                lt: true,
                ..Default::default()
            },
        );
        assert!(nx.admits(None, 5) && !nx.admits(Some(1), 5));
        assert!(!xx.admits(None, 5) && xx.admits(Some(1), 5));
        assert!(!gt.admits(None, 5) && !gt.admits(Some(5), 5) && gt.admits(Some(4), 5));
        assert!(lt.admits(None, 5) && !lt.admits(Some(5), 5) && lt.admits(Some(6), 5));
    }
}
