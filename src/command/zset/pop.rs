//! ZPOPMIN ZPOPMAX ZMPOP BZPOPMIN BZPOPMAX BZMPOP: taking members from either end, and waiting for some.

use crate::command::args::Args;
use crate::command::blocking::{self, BlockOn, Nil};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::Kind;
use crate::value::zset::{Direction, Zset};

/// The rows of this file.
pub const ROWS: &[Row] = &[ZPOPMIN, ZPOPMAX, ZMPOP, BZPOPMIN, BZPOPMAX, BZMPOP];

/// An end of a sorted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }

    fn verb(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }
}

/// How what was popped is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Member, score, member, score.
    Flat,
    /// Pairs.
    Pairs,
    /// The key, a member, its score.
    KeyAndOne,
    /// The key, then pairs.
    KeyAndPairs,
}

const ZPOPMIN: Row = Row {
    name: "zpopmin",
    summary: "Removes the members with the lowest scores and returns them.",
    since: "5.0.0",
    complexity: "O(log(N)*M), N being the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[Arg::key("key", 0), Arg::integer("count").optional()],
    run: zpopmin,
    ..Row::BASE
};

fn zpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    pop(cx, args, End::Min)
}

const ZPOPMAX: Row = Row {
    name: "zpopmax",
    summary: "Removes the members with the highest scores and returns them.",
    run: zpopmax,
    ..ZPOPMIN
};

fn zpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    pop(cx, args, End::Max)
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Outcome {
    let (count, form) = match args.len() {
        2 => (1, Form::Flat),
        3 => {
            let count = args.int(2).ok().and_then(|count| usize::try_from(count).ok());
            let count = count.ok_or(Error::NotPositive)?;
            (count, if cx.reply.resp3 { Form::Pairs } else { Form::Flat })
        }
        _ => return Err(Error::Syntax),
    };
    if take(cx, args, 1, end, count, form)? == 0 {
        cx.reply.array(0);
    }
    Ok(DONE)
}

/// Pops up to `count` members from the key at word `key` and replies them; how many. For none, nothing is written.
fn take(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    key: usize,
    end: End,
    count: usize,
    form: Form,
) -> Result<usize, Error> {
    let reply = &mut cx.reply;
    let taken = cx.keys.edit(args.key(key), |zset: &mut Zset, edit| {
        let count = count.min(zset.len());
        if count == 0 {
            return 0;
        }
        match form {
            Form::Flat => reply.array(2 * count),
            Form::Pairs => reply.array(count),
            Form::KeyAndOne => reply.array(3),
            Form::KeyAndPairs => reply.array(2),
        }
        if matches!(form, Form::KeyAndOne | Form::KeyAndPairs) {
            reply.bulk(args.get(key));
        }
        if form == Form::KeyAndPairs {
            reply.array(count);
        }
        let (ranks, direction) = match end {
            End::Min => (0..count, Direction::Up),
            End::Max => (zset.len() - count..zset.len(), Direction::Down),
        };
        for (member, score) in zset.walk(ranks.clone(), direction) {
            if matches!(form, Form::Pairs | Form::KeyAndPairs) {
                reply.array(2);
            }
            super::reply_member(reply, member);
            reply.double(score);
        }
        zset.remove_range(ranks);
        edit.changed(end.event(), count as u64);
        count
    })?;
    Ok(taken.unwrap_or(0))
}

fn positive(args: Args<'_>, word: usize) -> Option<usize> {
    let number = usize::try_from(args.int(word).ok()?).ok()?;
    Some(number).filter(|&number| number > 0)
}

/// COUNT, once at most, and nothing else.
fn parse_count(args: Args<'_>, first: usize) -> Result<usize, Error> {
    const NO_COUNT: Error = Error::fixed("ERR count should be greater than 0");
    let mut count = None;
    for word in (first..args.len()).step_by(2) {
        if count.is_some() || word + 1 == args.len() || !args.is(word, "count") {
            return Err(Error::Syntax);
        }
        count = Some(positive(args, word + 1).ok_or(NO_COUNT)?);
    }
    Ok(count.unwrap_or(1))
}

/// What a pop from several keys asks for.
struct PopMany {
    /// The words of the keys.
    keys: std::ops::Range<usize>,
    end: End,
    count: usize,
}

impl PopMany {
    /// Of the words from the number of keys, at `at`, on.
    fn parse(args: Args<'_>, at: usize) -> Result<PopMany, Error> {
        const NO_KEYS: Error = Error::fixed("ERR numkeys should be greater than 0");
        let numkeys = positive(args, at).ok_or(NO_KEYS)?;
        let behind = numkeys.saturating_add(at + 1);
        if behind >= args.len() {
            return Err(Error::Syntax);
        }
        let end = if args.is(behind, "min") {
            End::Min
        } else if args.is(behind, "max") {
            End::Max
        } else {
            return Err(Error::Syntax);
        };
        Ok(PopMany {
            keys: at + 1..behind,
            end,
            count: parse_count(args, behind + 1)?,
        })
    }

    /// Pops from the first key that has anything; whether one had. Propagates as the plain pop it was.
    fn take(&self, cx: &mut Cx<'_>, args: Args<'_>) -> Result<bool, Error> {
        for key in self.keys.clone() {
            let taken = take(cx, args, key, self.end, self.count, Form::KeyAndPairs)?;
            if taken > 0 {
                let mut text = itoa::Buffer::new();
                let words = [self.end.verb(), args.get(key), text.format(taken).as_bytes()];
                cx.keys.changes.instead(cx.keys.selected(), &words);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const ZMPOP: Row = Row {
    name: "zmpop",
    summary: "Removes members with the lowest or highest scores from the first of several sorted sets that has any, and returns them.",
    since: "7.0.0",
    complexity: "O(K)+O(M*log(N)), K being the number of keys, N the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::one_of("where", &[Arg::flag("min", "MIN"), Arg::flag("max", "MAX")]),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: zmpop,
    ..Row::BASE
};

fn zmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if !PopMany::parse(args, 1)?.take(cx, args)? {
        cx.reply.null_array();
    }
    Ok(DONE)
}

const BZMPOP: Row = Row {
    name: "bzmpop",
    summary: "Removes members with the lowest or highest scores from the first of several sorted sets that has any, and waits if none has.",
    since: "7.0.0",
    complexity: "O(K)+O(M*log(N)), K being the number of keys, N the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(
        2,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    args: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::one_of("where", &[Arg::flag("min", "MIN"), Arg::flag("max", "MAX")]),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: bzmpop,
    ..Row::BASE
};

fn bzmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let wanted = PopMany::parse(args, 2)?;
    let until_ms = blocking::timeout(args, 1, cx.now_ms())?;
    if wanted.take(cx, args)? {
        return Ok(DONE);
    }
    wait(cx, args, wanted.keys, until_ms)
}

const BZPOPMIN: Row = Row {
    name: "bzpopmin",
    summary: "Removes the member with the lowest score from the first of several sorted sets that has any, and waits for one if none has.",
    since: "5.0.0",
    complexity: "O(log(N)), N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST).with(Flags::BLOCKING),
    keys: &[KeySpec::range(
        1,
        -2,
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    history: &[(
        "6.0.0",
        "`timeout` is interpreted as a double instead of an integer.",
    )],
    args: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
    run: bzpopmin,
    ..Row::BASE
};

fn bzpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    pop_or_wait(cx, args, End::Min)
}

const BZPOPMAX: Row = Row {
    name: "bzpopmax",
    summary: "Removes the member with the highest score from the first of several sorted sets that has any, and waits for one if none has.",
    run: bzpopmax,
    ..BZPOPMIN
};

fn bzpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    pop_or_wait(cx, args, End::Max)
}

fn pop_or_wait(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Outcome {
    let last = args.len() - 1;
    let until_ms = blocking::timeout(args, last, cx.now_ms())?;
    for key in 1..last {
        if take(cx, args, key, end, 1, Form::KeyAndOne)? > 0 {
            let words = [end.verb(), args.get(key)];
            cx.keys.changes.instead(cx.keys.selected(), &words);
            return Ok(DONE);
        }
    }
    wait(cx, args, 1..last, until_ms)
}

fn wait(cx: &mut Cx<'_>, args: Args<'_>, keys: std::ops::Range<usize>, until_ms: Option<i64>) -> Outcome {
    blocking::wait(cx, Nil::Array, || {
        BlockOn::keys(Kind::Zset, keys.map(|word| args.get(word)), until_ms)
    })
}
