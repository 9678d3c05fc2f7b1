//! Commands that only look.

use std::ops::ControlFlow;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::listpack::Item;
use crate::ds::quicklist::End;
use crate::value::list::List;

use super::{int_or, negatable, reply_item, resolve};

/// The rows of this file.
pub const ROWS: &[Row] = &[LLEN, LRANGE, LINDEX, LPOS];

const LLEN: Row = Row {
    name: "llen",
    summary: "Returns the length of a list.",
    group: Group::List,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: llen,
    ..Row::BASE
};

fn llen(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let len = cx.keys.read_as::<List>(args.key(1))?.map_or(0, List::len);
    cx.reply.int(len as i64);
    Ok(DONE)
}

const LRANGE: Row = Row {
    name: "lrange",
    summary: "Returns a range of a list.",
    complexity: "O(S+N) for N elements, S being the distance of the first from the nearer end",
    group: Group::List,
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::integer("start"), Arg::integer("stop")],
    run: lrange,
    ..Row::BASE
};

fn lrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let reply = &mut cx.reply;
    let Some(list) = cx.keys.read_as::<List>(args.key(1))? else {
        reply.array(0);
        return Ok(DONE);
    };
    let (first, count) = resolve(start, stop, list.len());
    reply.array(count);
    list.for_range(first, count, End::Head, |item| reply_item(reply, item));
    Ok(DONE)
}

const LINDEX: Row = Row {
    name: "lindex",
    summary: "Returns an element of a list by its index.",
    complexity: "O(N) for N elements between it and the nearer end",
    group: Group::List,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::integer("index")],
    run: lindex,
    ..Row::BASE
};

/// Compat: an index that is no number is an error only if there is a list.
fn lindex(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let reply = &mut cx.reply;
    let Some(list) = cx.keys.read_as::<List>(args.key(1))? else {
        reply.null();
        return Ok(DONE);
    };
    let position = list.position(args.int(2)?);
    if position
        .and_then(|at| list.get(at, |item| reply_item(reply, item)))
        .is_none()
    {
        reply.null();
    }
    Ok(DONE)
}

const LPOS: Row = Row {
    name: "lpos",
    summary: "Returns the indexes of elements that equal a given one.",
    since: "6.0.6",
    complexity: "O(N) for N elements looked at",
    group: Group::List,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[
        Arg::key("key", 0),
        Arg::string("element"),
        Arg::integer("rank").token("RANK").optional(),
        Arg::integer("num-matches").token("COUNT").optional(),
        Arg::integer("len").token("MAXLEN").optional(),
    ],
    run: lpos,
    ..Row::BASE
};

fn lpos(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = LposOptions::parse(args)?;
    let reply = &mut cx.reply;
    let list = cx.keys.read_as::<List>(args.key(1))?;
    let Some(count) = options.count else {
        let mut first = None;
        if let Some(list) = list {
            options.search(list, args.get(2), 1, |index| first = Some(index));
        }
        match first {
            Some(index) => reply.int(index as i64),
            None => reply.null(),
        }
        return Ok(DONE);
    };
    let deferred = reply.defer_array();
    let mut found = 0;
    if let Some(list) = list {
        let max = if count == 0 { usize::MAX } else { count };
        options.search(list, args.get(2), max, |index| {
            reply.int(index as i64);
            found += 1;
        });
    }
    reply.finish(deferred, found);
    Ok(DONE)
}

/// What follows the element of an LPOS.
struct LposOptions {
    /// Where the search begins.
    from: End,
    /// Matches to pass over.
    skipped: usize,
    /// How many to return, 0 for all; without the option, one that is no array.
    count: Option<usize>,
    /// How many elements to look at.
    looks_max: usize,
}

impl LposOptions {
    fn parse(args: Args<'_>) -> Result<LposOptions, Error> {
        const ZERO_RANK: Error = Error::fixed(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
             to start from the end of the list",
        );
        const COUNT: Error = Error::fixed("ERR COUNT can't be negative");
        const MAXLEN: Error = Error::fixed("ERR MAXLEN can't be negative");
        let mut options = LposOptions {
            from: End::Head,
            skipped: 0,
            count: None,
            looks_max: usize::MAX,
        };
        for at in (3..args.len()).step_by(2) {
            if at + 1 == args.len() {
                return Err(Error::Syntax);
            }
            if args.is(at, "rank") {
                let rank = negatable(args, at + 1)?;
                let skipped = rank.unsigned_abs().checked_sub(1).ok_or(ZERO_RANK)?;
                options.skipped = skipped as usize;
                options.from = if rank < 0 { End::Tail } else { End::Head };
            } else if args.is(at, "count") {
                options.count = Some(int_or(args, at + 1, 0..=i64::MAX, COUNT)? as usize);
            } else if args.is(at, "maxlen") {
                let looks = int_or(args, at + 1, 0..=i64::MAX, MAXLEN)? as usize;
                options.looks_max = if looks == 0 { usize::MAX } else { looks };
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(options)
    }

    /// Tells `found` the indexes of up to `max` matches, in the order of the search.
    fn search(&self, list: &List, text: &[u8], max: usize, mut found: impl FnMut(usize)) {
        let (wanted, len) = (Item::of(text), list.len());
        let (mut looked_at, mut matches) = (0, 0);
        let start = match self.from {
            End::Head => 0,
            End::Tail => len - 1,
        };
        let _ = list.walk(start, self.from, |item| {
            if item == wanted {
                matches += 1;
                if matches > self.skipped {
                    found(match self.from {
                        End::Head => looked_at,
                        End::Tail => len - 1 - looked_at,
                    });
                }
            }
            looked_at += 1;
            if looked_at == self.looks_max || matches == self.skipped.saturating_add(max) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
    }
}
