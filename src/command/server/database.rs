//! Whole databases: FLUSHDB, FLUSHALL, SWAPDB. (DBSIZE counts keys and stands with those who iterate them.)

use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};

const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const FLUSH_HISTORY: &[(&str, &str)] = &[
    ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
    ("6.2.0", "Added the `SYNC` flushing mode modifier."),
];

const FLUSH_TYPE: Arg = Arg::one_of(
    "flush-type",
    &[
        Arg::flag("async", "ASYNC").since("4.0.0"),
        Arg::flag("sync", "SYNC").since("6.2.0"),
    ],
);

pub(super) const FLUSHDB: Row = Row {
    name: "flushdb",
    summary: "Empties the selected database.",
    since: "1.0.0",
    complexity: "O(N) where N is the number of keys in the selected database",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    tips: ALL_SHARDS,
    history: FLUSH_HISTORY,
    args: &[FLUSH_TYPE.optional()],
    run: flushdb,
    ..Row::BASE
};

fn flushdb(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mode = Mode::parse(cx, args)?;
    let db = cx.keys.selected();
    cx.keys.flush(db, mode.is_lazy());
    propagate(cx, args);
    flushed(cx, mode, false)
}

pub(super) const FLUSHALL: Row = Row {
    name: "flushall",
    summary: "Empties all databases.",
    since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    tips: ALL_SHARDS,
    history: FLUSH_HISTORY,
    args: &[FLUSH_TYPE.optional()],
    run: flushall,
    ..Row::BASE
};

fn flushall(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mode = Mode::parse(cx, args)?;
    for db in 0..cx.keys.db_count() {
        cx.keys.flush(db, mode.is_lazy());
    }
    propagate(cx, args);
    flushed(cx, mode, true)
}

/// Who frees the memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The executor, before it answers.
    Here,
    /// Another thread, before the client is answered.
    Awaited,
    /// Another thread, whenever.
    Elsewhere,
}

impl Mode {
    fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<Mode, Error> {
        let lazy = match args.len() {
            1 => cx.keys.lazy.user_flush,
            2 if args.is(1, "sync") => false,
            2 if args.is(1, "async") => true,
            _ => return Err(Error::Syntax),
        };
        Ok(match (lazy, cx.may_block) {
            (true, _) => Mode::Elsewhere,
            (false, true) => Mode::Awaited,
            (false, false) => Mode::Here,
        })
    }

    fn is_lazy(self) -> bool {
        self != Mode::Here
    }
}

/// The end of a flush, of `all` databases or one.
fn flushed(cx: &mut Cx<'_>, mode: Mode, all: bool) -> Outcome {
    let waits = mode == Mode::Awaited;
    if !waits {
        cx.reply.ok();
    }
    Ok(Next::Control(Control::Flushed { all, waits }))
}

/// A flush reaches followers even when there was nothing to flush here: they may hold keys that expired here.
fn propagate(cx: &mut Cx<'_>, args: Args<'_>) {
    let db = cx.keys.selected();
    let words: Vec<&[u8]> = args.iter_from(0).collect();
    cx.keys.changes.instead(db, &words);
}

pub(super) const SWAPDB: Row = Row {
    name: "swapdb",
    summary: "Exchanges the contents of two databases.",
    since: "4.0.0",
    complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
    group: Group::Server,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::FAST),
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    args: &[Arg::integer("index1"), Arg::integer("index2")],
    run: swapdb,
    ..Row::BASE
};

fn swapdb(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let first = db_number(args.get(1)).ok_or(Error::fixed("ERR invalid first DB index"))?;
    let second = db_number(args.get(2)).ok_or(Error::fixed("ERR invalid second DB index"))?;
    let index = |n: i32| {
        usize::try_from(n)
            .ok()
            .filter(|&n| n < cx.keys.db_count())
            .ok_or(Error::DbIndex)
    };
    let (first, second) = (index(first)?, index(second)?);
    cx.keys.swap(first, second);
    cx.reply.ok();
    Ok(DONE)
}

/// A number that may or may not name a database.
fn db_number(text: &[u8]) -> Option<i32> {
    number::parse_i64(text)?.try_into().ok()
}
