//! TTL PTTL EXPIRETIME PEXPIRETIME: when a key expires.
//!
//! All answer -2 for no such key and -1 for a key that does not expire. Seconds are rounded to the nearest.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[TTL, PTTL, EXPIRETIME, PEXPIRETIME];

const NO_SUCH_KEY: i64 = -2;
const NO_EXPIRY: i64 = -1;

const FLAGS: Flags = Flags::READONLY.with(Flags::FAST);
const KEYS: &[KeySpec] = &[KeySpec::one(1, Access::RO.with(Access::ACCESS))];

const TTL: Row = Row {
    name: "ttl",
    summary: "Tells in how many seconds a key expires.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: FLAGS,
    keys: KEYS,
    tips: &["nondeterministic_output"],
    history: &[("2.8.0", "Answers -2 when there is no such key.")],
    args: &[Arg::key("key", 0)],
    run: ttl,
    ..Row::BASE
};

fn ttl(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, |at_ms, now_ms| seconds(left(at_ms, now_ms)))
}

const PTTL: Row = Row {
    name: "pttl",
    summary: "Tells in how many milliseconds a key expires.",
    since: "2.6.0",
    run: pttl,
    ..TTL
};

fn pttl(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, left)
}

const EXPIRETIME: Row = Row {
    name: "expiretime",
    summary: "Tells at which Unix time in seconds a key expires.",
    since: "7.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: FLAGS,
    keys: KEYS,
    args: &[Arg::key("key", 0)],
    run: expiretime,
    ..Row::BASE
};

fn expiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, |at_ms, _| seconds(at_ms))
}

const PEXPIRETIME: Row = Row {
    name: "pexpiretime",
    summary: "Tells at which Unix time in milliseconds a key expires.",
    run: pexpiretime,
    ..EXPIRETIME
};

fn pexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, |at_ms, _| at_ms)
}

/// Answers what `tell` makes of the expiry and the present time.
fn answer(cx: &mut Cx<'_>, args: Args<'_>, tell: fn(i64, i64) -> i64) -> Outcome {
    let now_ms = cx.now_ms();
    let answer = match cx.keys.inspect(args.key(1)).map(|entry| entry.expire_at()) {
        None => NO_SUCH_KEY,
        Some(None) => NO_EXPIRY,
        Some(Some(at_ms)) => tell(at_ms, now_ms),
    };
    cx.reply.int(answer);
    Ok(DONE)
}

/// What is left of a key's time; none for one that stays although it has expired (on a replica).
fn left(at_ms: i64, now_ms: i64) -> i64 {
    at_ms.saturating_sub(now_ms).max(0)
}

/// To the nearest second, without leaving 64 bits on the way.
fn seconds(ms: i64) -> i64 {
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        assert_eq!([0, 499, 500, 1499, 1500].map(seconds), [0, 0, 1, 1, 2]);
        assert_eq!(seconds(i64::MAX), 9_223_372_036_854_776);
    }

    #[test]
    fn an_expired_key_that_stays_has_nothing_left() {
        assert_eq!(left(5, 10), 0);
        assert_eq!(left(i64::MIN, 10), 0);
        assert_eq!(left(15, 10), 5);
    }
}
