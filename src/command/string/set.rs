//! Commands that store strings whole.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::gate::SetExpiry;
use crate::keyspace::{Key, Keyspace};
use crate::value::string;

use super::expiry::{From, Term, Unit};
use super::reply_text;

/// The rows of this file.
pub const ROWS: &[Row] = &[SET, SETNX, SETEX, PSETEX, GETSET, MSET, MSETNX];

const SET: Row = Row {
    name: "set",
    summary: "Stores a string, whatever the key held, on conditions and for a time if wanted.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::ADOPTS_VALUE),
    keys: &[KeySpec {
        notes: Some("RW and ACCESS due to the optional `GET` argument"),
        ..KeySpec::one(
            1,
            Access::RW
                .with(Access::ACCESS)
                .with(Access::UPDATE)
                .with(Access::VARIABLE_FLAGS),
        )
    }],
    history: &[
        ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
        ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
    ],
    args: &[
        Arg::key("key", 0),
        Arg::string("value"),
        Arg::one_of("condition", &[Arg::flag("nx", "NX"), Arg::flag("xx", "XX")])
            .optional()
            .since("2.6.12"),
        Arg::flag("get", "GET").optional().since("6.2.0"),
        Arg::one_of(
            "expiration",
            &[
                Arg::integer("seconds").token("EX").since("2.6.12"),
                Arg::integer("milliseconds").token("PX").since("2.6.12"),
                Arg::unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                Arg::unix_time("unix-time-milliseconds")
                    .token("PXAT")
                    .since("6.2.0"),
                Arg::flag("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ],
    run: set,
    ..Row::BASE
};

fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return set_with_options(cx, args);
    }
    let value = cx.value(args, 2);
    cx.keys.set(args.key(1), value, SetExpiry::Clear);
    cx.reply.ok();
    Ok(DONE)
}

/// Out of line, so that a plain SET stays small.
#[inline(never)]
fn set_with_options(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = SetOptions::parse(args)?;
    let expiry = options.lifetime.expiry(args, cx.now_ms())?;
    let key = args.key(1);
    if options.get {
        reply_text(&mut cx.reply, cx.keys.read_string(key)?);
    }
    let stores = options.condition.admits(cx.keys, key);
    if stores {
        let value = cx.value(args, 2);
        cx.keys.set(key, value, expiry);
        options.propagate(cx, args, expiry);
    }
    match (options.get, stores) {
        (true, _) => {}
        (false, true) => cx.reply.ok(),
        (false, false) => cx.reply.null(),
    }
    Ok(DONE)
}

/// What follows key and value of a SET.
#[derive(Debug, Clone, Copy, Default)]
struct SetOptions {
    condition: Condition,
    get: bool,
    lifetime: Lifetime,
}

/// When a SET stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Always,
    IfMissing,
    IfPresent,
}

/// How long what a SET stores shall live.
#[derive(Debug, Clone, Copy, Default)]
enum Lifetime {
    #[default]
    Forever,
    Kept,
    Until(Term),
}

impl Condition {
    fn admits(self, keys: &mut Keyspace, key: Key<'_>) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfMissing => keys.meet(key).is_none(),
            Condition::IfPresent => keys.exists(key),
        }
    }
}

impl Lifetime {
    /// Whether `term` may be given after this; the same option twice is taken as the last.
    fn admits(self, term: Term) -> bool {
        match self {
            Lifetime::Forever => true,
            Lifetime::Kept => false,
            Lifetime::Until(other) => other.is_same_option(term),
        }
    }

    fn expiry(self, args: Args<'_>, now_ms: i64) -> Result<SetExpiry, Error> {
        Ok(match self {
            Lifetime::Forever => SetExpiry::Clear,
            Lifetime::Kept => SetExpiry::Keep,
            Lifetime::Until(term) => SetExpiry::At(term.deadline_ms(args, now_ms, "set")?),
        })
    }
}

impl SetOptions {
    fn parse(args: Args<'_>) -> Result<SetOptions, Error> {
        let mut options = SetOptions::default();
        let mut at = 3;
        while at < args.len() {
            at += options.take(args, at)?;
        }
        Ok(options)
    }

    /// Takes the option at word `at`; how many words it has.
    fn take(&mut self, args: Args<'_>, at: usize) -> Result<usize, Error> {
        if let Some(term) = Term::parse(args, at).filter(|&term| self.lifetime.admits(term)) {
            self.lifetime = Lifetime::Until(term);
            return Ok(2);
        }
        if args.is(at, "nx") && self.condition != Condition::IfPresent {
            self.condition = Condition::IfMissing;
        } else if args.is(at, "xx") && self.condition != Condition::IfMissing {
            self.condition = Condition::IfPresent;
        } else if args.is(at, "get") {
            self.get = true;
        } else if args.is(at, "keepttl") && !matches!(self.lifetime, Lifetime::Until(_)) {
            self.lifetime = Lifetime::Kept;
        } else {
            return Err(Error::Syntax);
        }
        Ok(1)
    }

    /// An expiry propagates as the point in time it meant, GET not at all: nobody reads that reply.
    fn propagate(self, cx: &mut Cx<'_>, args: Args<'_>, expiry: SetExpiry) {
        if let SetExpiry::At(at_ms) = expiry {
            propagate_pxat(cx, args, 2, at_ms);
        } else if self.get && cx.keys.changes.followed {
            let kept = |&at: &usize| at < 3 || !args.is(at, "get");
            let words: Vec<&[u8]> = (0..args.len()).filter(kept).map(|at| args.get(at)).collect();
            cx.keys.changes.instead(cx.keys.selected(), &words);
        }
    }
}

/// Propagates the running command as `SET key value PXAT at_ms`.
fn propagate_pxat(cx: &mut Cx<'_>, args: Args<'_>, value: usize, at_ms: i64) {
    let mut text = itoa::Buffer::new();
    let words = [
        b"SET",
        args.get(1),
        args.get(value),
        b"PXAT",
        text.format(at_ms).as_bytes(),
    ];
    cx.keys.changes.instead(cx.keys.selected(), &words);
}

const SETNX: Row = Row {
    name: "setnx",
    summary: "Stores a string unless the key exists.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE
        .with(Flags::DENY_OOM)
        .with(Flags::FAST)
        .with(Flags::ADOPTS_VALUE),
    keys: &[KeySpec::one(1, Access::OW.with(Access::INSERT))],
    deprecated: Some(("2.6.12", "`SET` with the `NX` argument")),
    args: &[Arg::key("key", 0), Arg::string("value")],
    run: setnx,
    ..Row::BASE
};

fn setnx(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(1);
    let stores = cx.keys.meet(key).is_none();
    if stores {
        let value = cx.value(args, 2);
        cx.keys.set(key, value, SetExpiry::Clear);
    }
    cx.reply.int(stores.into());
    Ok(DONE)
}

const SETEX: Row = Row {
    name: "setex",
    summary: "Stores a string for a number of seconds.",
    since: "2.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::ADOPTS_VALUE),
    keys: &[KeySpec::one(1, Access::OW.with(Access::UPDATE))],
    deprecated: Some(("2.6.12", "`SET` with the `EX` argument")),
    args: &[Arg::key("key", 0), Arg::integer("seconds"), Arg::string("value")],
    run: |cx, args| set_for(cx, args, Unit::Seconds, "setex"),
    ..Row::BASE
};

const PSETEX: Row = Row {
    name: "psetex",
    summary: "Stores a string for a number of milliseconds.",
    since: "2.6.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::ADOPTS_VALUE),
    keys: &[KeySpec::one(1, Access::OW.with(Access::UPDATE))],
    deprecated: Some(("2.6.12", "`SET` with the `PX` argument")),
    args: &[
        Arg::key("key", 0),
        Arg::integer("milliseconds"),
        Arg::string("value"),
    ],
    run: |cx, args| set_for(cx, args, Unit::Milliseconds, "psetex"),
    ..Row::BASE
};

fn set_for(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit, command: &'static str) -> Outcome {
    let term = Term {
        word: 2,
        unit,
        from: From::Now,
    };
    let at_ms = term.deadline_ms(args, cx.now_ms(), command)?;
    let value = cx.value(args, 3);
    cx.keys.set(args.key(1), value, SetExpiry::At(at_ms));
    propagate_pxat(cx, args, 3, at_ms);
    cx.reply.ok();
    Ok(DONE)
}

const GETSET: Row = Row {
    name: "getset",
    summary: "Stores a string and returns the one it replaces.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE
        .with(Flags::DENY_OOM)
        .with(Flags::FAST)
        .with(Flags::ADOPTS_VALUE),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
    args: &[Arg::key("key", 0), Arg::string("value")],
    run: getset,
    ..Row::BASE
};

fn getset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(1);
    reply_text(&mut cx.reply, cx.keys.read_string(key)?);
    let value = cx.value(args, 2);
    cx.keys.set(key, value, SetExpiry::Clear);
    cx.keys
        .changes
        .instead(cx.keys.selected(), &[b"SET", key.bytes, args.get(2)]);
    Ok(DONE)
}

const MSET: Row = Row {
    name: "mset",
    summary: "Stores several strings at once.",
    since: "1.0.1",
    complexity: "O(N) where N is the number of keys to set.",
    group: Group::String,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::range(1, -1, 2, Access::OW.with(Access::UPDATE))],
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    args: &[Arg::block("data", &[Arg::key("key", 0), Arg::string("value")]).multiple()],
    run: mset,
    ..Row::BASE
};

fn mset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    check_pairs(args, "mset")?;
    set_pairs(cx, args);
    cx.reply.ok();
    Ok(DONE)
}

const MSETNX: Row = Row {
    name: "msetnx",
    summary: "Stores several strings at once, or none when any of the keys exists.",
    since: "1.0.1",
    complexity: "O(N) where N is the number of keys to set.",
    group: Group::String,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::range(1, -1, 2, Access::OW.with(Access::INSERT))],
    args: &[Arg::block("data", &[Arg::key("key", 0), Arg::string("value")]).multiple()],
    run: msetnx,
    ..Row::BASE
};

fn msetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    check_pairs(args, "msetnx")?;
    let stores = !key_words(args).any(|at| cx.keys.meet(args.key(at)).is_some());
    if stores {
        set_pairs(cx, args);
    }
    cx.reply.int(stores.into());
    Ok(DONE)
}

/// A key without a value has the same error as too few words.
fn check_pairs(args: Args<'_>, command: &'static str) -> Result<(), Error> {
    if args.len() % 2 == 1 {
        Ok(())
    } else {
        Err(Error::Arity(command.into()))
    }
}

fn key_words(args: Args<'_>) -> impl Iterator<Item = usize> {
    (1..args.len()).step_by(2)
}

#[inline]
fn set_pairs(cx: &mut Cx<'_>, args: Args<'_>) {
    for at in key_words(args) {
        cx.keys.set(
            args.key(at),
            string::encode(args.get(at + 1)).into(),
            SetExpiry::Clear,
        );
    }
}
