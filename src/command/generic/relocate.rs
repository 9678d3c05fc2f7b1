//! RENAME RENAMENX COPY MOVE: a value under another name or in another database.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[RENAME, RENAMENX, COPY, MOVE];

const SAME_OBJECT: Error = Error::fixed("ERR source and destination objects are the same");

const RENAME: Row = Row {
    name: "rename",
    summary: "Gives a key another name, overwriting what had it.",
    since: "1.0.0",
    complexity: "O(1), and O(N) to free an overwritten value of N elements",
    group: Group::Generic,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE,
    keys: &[
        KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        KeySpec::one(2, Access::OW.with(Access::UPDATE)),
    ],
    args: &[Arg::key("key", 0), Arg::key("newkey", 1)],
    run: rename,
    ..Row::BASE
};

fn rename(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    rename_unless(cx, args, |_| false)?;
    cx.reply.ok();
    Ok(DONE)
}

const RENAMENX: Row = Row {
    name: "renamenx",
    summary: "Gives a key another name, unless a key of that name exists.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[
        KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        KeySpec::one(2, Access::OW.with(Access::INSERT)),
    ],
    history: &[("3.2.0", "Equal names are no longer an error.")],
    args: &[Arg::key("key", 0), Arg::key("newkey", 1)],
    run: renamenx,
    ..Row::BASE
};

fn renamenx(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let renamed = rename_unless(cx, args, |cx| cx.keys.exists(args.key(2)))?;
    cx.reply.int(i64::from(renamed));
    Ok(DONE)
}

/// Renames word 1 to word 2; false when that is its name already or `forbidden` says so.
fn rename_unless(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    forbidden: impl FnOnce(&mut Cx<'_>) -> bool,
) -> Result<bool, Error> {
    let (from, to) = (args.key(1), args.key(2));
    if cx.keys.meet(from).is_none() {
        return Err(Error::NoSuchKey);
    }
    Ok(from.bytes != to.bytes && !forbidden(cx) && cx.keys.rename(from, to))
}

const COPY: Row = Row {
    name: "copy",
    summary: "Copies the value and expiry of a key to another key.",
    since: "6.2.0",
    complexity: "O(1) for strings, O(N) for other values of N elements",
    group: Group::Generic,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(1, Access::RO.with(Access::ACCESS)),
        KeySpec::one(2, Access::OW.with(Access::UPDATE)),
    ],
    args: &[
        Arg::key("source", 0),
        Arg::key("destination", 1),
        Arg::integer("destination-db").token("DB").optional(),
        Arg::flag("replace", "REPLACE").optional(),
    ],
    run: copy,
    ..Row::BASE
};

fn copy(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let CopyOptions { db, replace } = CopyOptions::parse(cx, args)?;
    let (from, to) = (args.key(1), args.key(2));
    if db == cx.keys.selected() && from.bytes == to.bytes {
        return Err(SAME_OBJECT);
    }
    let copied = cx.keys.copy(from, db, to, replace);
    cx.reply.int(i64::from(copied));
    Ok(DONE)
}

struct CopyOptions {
    db: usize,
    replace: bool,
}

impl CopyOptions {
    fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<CopyOptions, Error> {
        let mut options = CopyOptions {
            db: cx.keys.selected(),
            replace: false,
        };
        let mut word = 3;
        while word < args.len() {
            if args.is(word, "replace") {
                options.replace = true;
            } else if args.is(word, "db") && word + 1 < args.len() {
                word += 1;
                options.db = db_index(cx, args, word)?;
            } else {
                return Err(Error::Syntax);
            }
            word += 1;
        }
        Ok(options)
    }
}

const MOVE: Row = Row {
    name: "move",
    summary: "Moves a key to another database, unless it is there already.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    args: &[Arg::key("key", 0), Arg::integer("db")],
    run: move_key,
    ..Row::BASE
};

fn move_key(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let target = db_index(cx, args, 2)?;
    if target == cx.keys.selected() {
        return Err(SAME_OBJECT);
    }
    let moved = cx.keys.move_to(args.key(1), target);
    cx.reply.int(i64::from(moved));
    Ok(DONE)
}

/// Word `word` as the index of a database there is.
pub(in crate::command) fn db_index(cx: &Cx<'_>, args: Args<'_>, word: usize) -> Result<usize, Error> {
    let index = int32(args.int(word)?)?;
    usize::try_from(index)
        .ok()
        .filter(|&db| db < cx.keys.db_count())
        .ok_or(Error::DbIndex)
}

/// Compat: a number of more than 32 bits is refused with its bounds before anybody asks whether it is a database.
fn int32(value: i64) -> Result<i32, Error> {
    const REFUSAL: Error =
        Error::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
    i32::try_from(value).map_err(|_| REFUSAL)
}
