//! Commands that read strings whole.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::keyspace::entry::Entry;
use crate::value::string::StringRef;

use super::expiry::{From, Term};
use super::reply_text;

/// The rows of this file.
pub const ROWS: &[Row] = &[GET, MGET, GETEX, GETDEL, STRLEN];

const GET: Row = Row {
    name: "get",
    summary: "Returns a string.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0)],
    run: get,
    ..Row::BASE
};

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    reply_text(&mut cx.reply, cx.keys.read_string(args.key(1))?);
    Ok(DONE)
}

const MGET: Row = Row {
    name: "mget",
    summary: "Returns several strings.",
    since: "1.0.0",
    complexity: "O(N) where N is the number of keys to retrieve.",
    group: Group::String,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::range(1, -1, 1, Access::RO.with(Access::ACCESS))],
    tips: &["request_policy:multi_shard"],
    args: &[Arg::key("key", 0).multiple()],
    run: mget,
    ..Row::BASE
};

/// Another type is answered as if the key were missing.
fn mget(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    cx.reply.array(args.len() - 1);
    for at in 1..args.len() {
        let text = cx.keys.read(args.key(at)).and_then(Entry::string);
        reply_text(&mut cx.reply, text);
    }
    Ok(DONE)
}

const GETEX: Row = Row {
    name: "getex",
    summary: "Returns a string and sets or removes its expiry.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec {
        notes: Some("RW and UPDATE because it changes the TTL"),
        ..KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::UPDATE))
    }],
    args: &[
        Arg::key("key", 0),
        Arg::one_of(
            "expiration",
            &[
                Arg::integer("seconds").token("EX"),
                Arg::integer("milliseconds").token("PX"),
                Arg::unix_time("unix-time-seconds").token("EXAT"),
                Arg::unix_time("unix-time-milliseconds").token("PXAT"),
                Arg::flag("persist", "PERSIST"),
            ],
        )
        .optional(),
    ],
    run: getex,
    ..Row::BASE
};

/// The number of a term is looked at only when there is a string to read, as Redis does.
fn getex(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let option = parse_getex(args)?;
    let (key, now_ms) = (args.key(1), cx.now_ms());
    let text = cx.keys.read_string(key)?;
    if text.is_none() {
        cx.reply.null();
        return Ok(DONE);
    }
    let change = option.resolve(args, now_ms)?;
    reply_text(&mut cx.reply, text);
    change.apply(cx, key);
    Ok(DONE)
}

/// GETEX's option as given.
#[derive(Debug, Clone, Copy)]
enum GetexOption {
    None,
    Persist,
    Until(Term),
}

/// What GETEX does to the expiry.
#[derive(Debug, Clone, Copy)]
enum ExpiryChange {
    None,
    Remove,
    Set(i64),
    /// The time has passed already.
    DropKey,
}

fn parse_getex(args: Args<'_>) -> Result<GetexOption, Error> {
    let mut option = GetexOption::None;
    let mut at = 2;
    while at < args.len() {
        let term = Term::parse(args, at);
        (option, at) = match (option, term) {
            (GetexOption::None, Some(term)) => (GetexOption::Until(term), at + 2),
            (GetexOption::Until(old), Some(term)) if old.is_same_option(term) => {
                (GetexOption::Until(term), at + 2)
            }
            (GetexOption::None | GetexOption::Persist, None) if args.is(at, "persist") => {
                (GetexOption::Persist, at + 1)
            }
            _ => return Err(Error::Syntax),
        };
    }
    Ok(option)
}

impl GetexOption {
    fn resolve(self, args: Args<'_>, now_ms: i64) -> Result<ExpiryChange, Error> {
        Ok(match self {
            GetexOption::None => ExpiryChange::None,
            GetexOption::Persist => ExpiryChange::Remove,
            GetexOption::Until(term) => match term.deadline_ms(args, now_ms, "getex")? {
                at_ms if term.from == From::Epoch && at_ms <= now_ms => ExpiryChange::DropKey,
                at_ms => ExpiryChange::Set(at_ms),
            },
        })
    }
}

impl ExpiryChange {
    fn apply(self, cx: &mut Cx<'_>, key: Key<'_>) {
        let db = cx.keys.selected();
        match self {
            ExpiryChange::None => {}
            ExpiryChange::Remove => {
                if cx.keys.peek(key).is_some_and(|entry| entry.expire_at().is_some()) {
                    cx.keys.persist(key);
                    cx.keys.changes.instead(db, &[b"PERSIST", key.bytes]);
                }
            }
            ExpiryChange::Set(at_ms) => {
                cx.keys.set_expire(key, at_ms);
                let mut text = itoa::Buffer::new();
                cx.keys
                    .changes
                    .instead(db, &[b"PEXPIREAT", key.bytes, text.format(at_ms).as_bytes()]);
            }
            ExpiryChange::DropKey => {
                let lazy = cx.keys.lazy.expire;
                cx.keys.delete(key, lazy);
                let verb: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
                cx.keys.changes.instead(db, &[verb, key.bytes]);
            }
        }
    }
}

const GETDEL: Row = Row {
    name: "getdel",
    summary: "Returns a string and removes its key.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[Arg::key("key", 0)],
    run: getdel,
    ..Row::BASE
};

fn getdel(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(1);
    reply_text(&mut cx.reply, cx.keys.read_string(key)?);
    if cx.keys.delete(key, false) {
        cx.keys.changes.instead(cx.keys.selected(), &[b"DEL", key.bytes]);
    }
    Ok(DONE)
}

const STRLEN: Row = Row {
    name: "strlen",
    summary: "Returns the length of a string in bytes.",
    since: "2.2.0",
    complexity: "O(1)",
    group: Group::String,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: strlen,
    ..Row::BASE
};

fn strlen(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let len = cx.keys.read_string(args.key(1))?.map_or(0, StringRef::len);
    cx.reply.int(len as i64);
    Ok(DONE)
}
