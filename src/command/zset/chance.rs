//! ZRANDMEMBER: members chosen by chance.

use crate::command::args::{Args, DRAWS_MAX};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::zset::Zset;

use super::{begin_members, reply_member, reply_members, reply_scored};

/// The rows of this file.
pub const ROWS: &[Row] = &[ZRANDMEMBER];

const ZRANDMEMBER: Row = Row {
    name: "zrandmember",
    summary: "Returns members chosen by chance.",
    since: "6.2.0",
    complexity: "O(N), N being the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::block(
            "options",
            &[
                Arg::integer("count"),
                Arg::flag("withscores", "WITHSCORES").optional(),
            ],
        )
        .optional(),
    ],
    run: zrandmember,
    ..Row::BASE
};

fn zrandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => one(cx, args),
        _ => many(cx, args),
    }
}

fn one(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    match cx
        .keys
        .read_as::<Zset>(args.key(1))?
        .and_then(|zset| zset.random(cx.rng))
    {
        Some((member, _)) => reply_member(&mut cx.reply, member),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

fn many(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (count, with_scores) = parse(args)?;
    let Some(zset) = cx.keys.read_as::<Zset>(args.key(1))? else {
        cx.reply.array(0);
        return Ok(DONE);
    };
    let reply = &mut cx.reply;
    if count < 0 {
        let draws = count.unsigned_abs();
        if draws > DRAWS_MAX {
            return Err(Error::OutOfRange);
        }
        begin_members(reply, draws as usize, with_scores);
        zset.random_with_repeats(draws, cx.rng, |member, score| {
            reply_scored(reply, member, score, with_scores);
            true
        });
        return Ok(DONE);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count >= zset.len() {
        reply_members(reply, zset.iter(), with_scores);
        return Ok(DONE);
    }
    begin_members(reply, count, with_scores);
    zset.sample(count, cx.rng, |member, score| {
        reply_scored(reply, member, score, with_scores);
    });
    Ok(DONE)
}

fn parse(args: Args<'_>) -> Result<(i64, bool), Error> {
    const OUT_OF_RANGE: Error = Error::fixed(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(OUT_OF_RANGE);
    }
    if args.len() == 3 {
        return Ok((count, false));
    }
    if args.len() > 4 || !args.is(3, "withscores") {
        return Err(Error::Syntax);
    }
    // Twice as many replies must still be countable.
    if count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::OutOfRange);
    }
    Ok((count, true))
}
