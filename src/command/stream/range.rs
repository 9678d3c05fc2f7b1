//! XLEN XRANGE XREVRANGE: looking at entries.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::stream::StreamId;
use crate::value::stream::range::Direction;

use super::{Held, ids, reply_entry};

/// The rows of this file.
pub const ROWS: &[Row] = &[XLEN, XRANGE, XREVRANGE];

const XLEN: Row = Row {
    name: "xlen",
    summary: "Counts the entries of a stream.",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: xlen,
    ..Row::BASE
};

fn xlen(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let stream = cx.keys.read_as::<Held>(args.key(1))?;
    let len = stream.map_or(0, |stream| stream.log.len());
    cx.reply.int(len as i64);
    Ok(DONE)
}

/// What both directions have in common.
const BASE: Row = Row {
    since: "5.0.0",
    complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    group: Group::Stream,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("6.2.0", "Intervals that leave their ends out.")],
    ..Row::BASE
};

const XRANGE: Row = Row {
    name: "xrange",
    summary: "Returns the entries of a stream between two ids.",
    args: &[
        Arg::key("key", 0),
        Arg::string("start"),
        Arg::string("end"),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: xrange,
    ..BASE
};

fn xrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (ids::start(args, 2)?, ids::end(args, 3)?);
    range(cx, args, from, to, Direction::Forward)
}

const XREVRANGE: Row = Row {
    name: "xrevrange",
    summary: "Returns the entries of a stream between two ids, newest first.",
    args: &[
        Arg::key("key", 0),
        Arg::string("end"),
        Arg::string("start"),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: xrevrange,
    ..BASE
};

/// Of two bad ids the lower end is named first, here too.
fn xrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let from = ids::start(args, 3)?;
    let to = ids::end(args, 2)?;
    range(cx, args, from, to, Direction::Backward)
}

fn range(cx: &mut Cx<'_>, args: Args<'_>, from: StreamId, to: StreamId, direction: Direction) -> Outcome {
    let count = count(args, 4)?;
    let Some(stream) = cx.keys.read_as::<Held>(args.key(1))? else {
        cx.reply.array(0);
        return Ok(DONE);
    };
    if count == Some(0) {
        cx.reply.null_array();
        return Ok(DONE);
    }
    let entries = stream.log.range(from, to, direction);
    let array = cx.reply.defer_array();
    let mut written = 0;
    for entry in entries.take(count.unwrap_or(usize::MAX)) {
        reply_entry(&mut cx.reply, &entry);
        written += 1;
    }
    cx.reply.finish(array, written);
    Ok(DONE)
}

/// `COUNT n` from word `first` to the end, the last one counting; negative ones are 0.
fn count(args: Args<'_>, first: usize) -> Result<Option<usize>, Error> {
    let mut count = None;
    for word in (first..args.len()).step_by(2) {
        if !args.is(word, "count") || word + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        count = Some(usize::try_from(args.int(word + 1)?).unwrap_or(0));
    }
    Ok(count)
}
