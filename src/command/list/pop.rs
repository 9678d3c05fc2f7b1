//! Commands that remove elements from an end and return them, at once.

use crate::command::args::Args;
use crate::command::blocking::Nil;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::keyspace::Key;
use crate::value::list::List;

use super::{SIDES, end_at, int_or, reply_item};

/// The rows of this file.
pub const ROWS: &[Row] = &[LPOP, RPOP, LMPOP];

/// What both have in common.
const POP: Row = Row {
    complexity: "O(N) where N is the number of elements returned",
    group: Group::List,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    history: &[("6.2.0", "Added the `count` argument.")],
    args: &[
        Arg::key("key", 0),
        Arg::integer("count").optional().since("6.2.0"),
    ],
    ..Row::BASE
};

const LPOP: Row = Row {
    name: "lpop",
    summary: "Removes elements from the head of a list and returns them.",
    run: |cx, args| pop(cx, args, End::Head, "lpop"),
    ..POP
};

const RPOP: Row = Row {
    name: "rpop",
    summary: "Removes elements from the tail of a list and returns them.",
    run: |cx, args| pop(cx, args, End::Tail, "rpop"),
    ..POP
};

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End, name: &'static str) -> Outcome {
    match args.len() {
        2 => {
            if !pop_one(cx, args.key(1), end)? {
                cx.reply.null();
            }
        }
        3 => pop_count(cx, args, end)?,
        _ => return Err(Error::Arity(name.into())),
    }
    Ok(DONE)
}

/// The event of a pop.
pub(super) fn popped(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

/// Removes and replies with one element; false when there is no such list.
#[inline]
pub(super) fn pop_one(cx: &mut Cx<'_>, key: Key<'_>, end: End) -> Result<bool, Error> {
    let (keys, reply) = (&mut cx.keys, &mut cx.reply);
    let found = keys.edit(key, |list: &mut List, edit| {
        list.pop(end, edit.limits, |item| reply_item(reply, item));
        edit.changed(popped(end), 1);
    })?;
    Ok(found.is_some())
}

fn pop_count(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let count = int_or(args, 2, 0..=i64::MAX, Error::NotPositive)?;
    let key = args.key(1);
    if count == 0 {
        match cx.keys.peek_as::<List>(key)? {
            Some(_) => cx.reply.array(0),
            None => cx.reply.null_array(),
        }
    } else if pop_many(cx, key, end, count as usize)?.is_none() {
        cx.reply.null_array();
    }
    Ok(())
}

/// Removes and replies with up to `count` elements, as an array; how many. `None` when there is no such list.
pub(super) fn pop_many(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    end: End,
    count: usize,
) -> Result<Option<usize>, Error> {
    let (keys, reply) = (&mut cx.keys, &mut cx.reply);
    Ok(keys.edit(key, |list: &mut List, edit| {
        let count = count.min(list.len());
        reply.array(count);
        list.pop_many(end, count, edit.limits, |item| reply_item(reply, item));
        edit.changed(popped(end), count as u64);
        count
    })?)
}

const LMPOP: Row = Row {
    name: "lmpop",
    summary: "Removes elements from the first of several lists that exists and returns them.",
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    group: Group::List,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::one_of("where", SIDES),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: lmpop,
    ..Row::BASE
};

fn lmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = MpopOptions::parse(args, 1)?;
    if !options.pop(cx, args)? {
        Nil::Array.write(&mut cx.reply);
    }
    Ok(DONE)
}

/// What LMPOP and BLMPOP say.
pub(super) struct MpopOptions {
    /// Word of the first key.
    first: usize,
    keys: usize,
    end: End,
    count: usize,
}

impl MpopOptions {
    /// Reads all words from the number of keys, at `index`, on.
    pub(super) fn parse(args: Args<'_>, index: usize) -> Result<MpopOptions, Error> {
        const KEYS: Error = Error::fixed("ERR numkeys should be greater than 0");
        const COUNT: Error = Error::fixed("ERR count should be greater than 0");
        let keys = int_or(args, index, 1..=i64::MAX, KEYS)? as usize;
        let side = index.saturating_add(keys).saturating_add(1);
        if side >= args.len() {
            return Err(Error::Syntax);
        }
        let end = end_at(args, side)?;
        let count = match args.len() - side {
            1 => 1,
            3 if args.is(side + 1, "count") => int_or(args, side + 2, 1..=i64::MAX, COUNT)? as usize,
            // Compat: a count that is wrong is told before what follows it.
            4.. if args.is(side + 1, "count") => {
                int_or(args, side + 2, 1..=i64::MAX, COUNT)?;
                return Err(Error::Syntax);
            }
            _ => return Err(Error::Syntax),
        };
        let first = index + 1;
        Ok(MpopOptions {
            first,
            keys,
            end,
            count,
        })
    }

    /// The words that are keys.
    pub(super) fn keys(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.keys
    }

    /// Pops from the first list there is and replies with its key and the elements; false when there is none.
    pub(super) fn pop(&self, cx: &mut Cx<'_>, args: Args<'_>) -> Result<bool, Error> {
        for at in self.keys() {
            let key = args.key(at);
            if cx.keys.peek_as::<List>(key)?.is_none() {
                continue;
            }
            cx.reply.array(2);
            cx.reply.bulk(key.bytes);
            let count = pop_many(cx, key, self.end, self.count)?.unwrap_or(0);
            propagate(cx, key, self.end, Some(count));
            return Ok(true);
        }
        Ok(false)
    }
}

/// Propagates what the running command came to: a plain pop.
pub(super) fn propagate(cx: &mut Cx<'_>, key: Key<'_>, end: End, count: Option<usize>) {
    let verb: &[u8] = match end {
        End::Head => b"LPOP",
        End::Tail => b"RPOP",
    };
    let db = cx.keys.selected();
    let mut text = itoa::Buffer::new();
    match count {
        None => cx.keys.changes.instead(db, &[verb, key.bytes]),
        Some(count) => {
            let count = text.format(count).as_bytes();
            cx.keys.changes.instead(db, &[verb, key.bytes, count]);
        }
    }
}
