//! ZRANGE ZRANGESTORE, and what is asked of ranges: by rank, by score, by string; from either end; a part of them.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::value::zset::{Direction, LexRange, ScoreRange, Zset};
use std::ops::Range;

use super::reply_members;

/// The rows of this file.
pub const ROWS: &[Row] = &[ZRANGE, ZRANGESTORE];

const ZRANGE: Row = Row {
    name: "zrange",
    summary: "Returns the members in a range of ranks, scores or strings.",
    since: "1.2.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[(
        "6.2.0",
        "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.",
    )],
    args: &[
        Arg::key("key", 0),
        Arg::string("start"),
        Arg::string("stop"),
        Arg::one_of(
            "sortby",
            &[Arg::flag("byscore", "BYSCORE"), Arg::flag("bylex", "BYLEX")],
        )
        .optional()
        .since("6.2.0"),
        Arg::flag("rev", "REV").optional().since("6.2.0"),
        Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
            .token("LIMIT")
            .optional()
            .since("6.2.0"),
        Arg::flag("withscores", "WITHSCORES").optional(),
    ],
    run: zrange,
    ..Row::BASE
};

fn zrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    RangeQuery::parse(args, 1, Fixed::default())?.answer(cx, args.key(1))
}

const ZRANGESTORE: Row = Row {
    name: "zrangestore",
    summary: "Stores the members in a range of ranks, scores or strings under another key.",
    since: "6.2.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members stored",
    group: Group::SortedSet,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(1, Access::OW.with(Access::UPDATE)),
        KeySpec::one(2, Access::RO.with(Access::ACCESS)),
    ],
    args: &[
        Arg::key("dst", 0),
        Arg::key("src", 1),
        Arg::string("min"),
        Arg::string("max"),
        Arg::one_of(
            "sortby",
            &[Arg::flag("byscore", "BYSCORE"), Arg::flag("bylex", "BYLEX")],
        )
        .optional(),
        Arg::flag("rev", "REV").optional(),
        Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    run: zrangestore,
    ..Row::BASE
};

fn zrangestore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let fixed = Fixed {
        without_scores: true,
        ..Fixed::default()
    };
    let query = RangeQuery::parse(args, 2, fixed)?;
    let limits = cx.keys.limits;
    let result = match cx.keys.read_as::<Zset>(args.key(2))? {
        Some(zset) => zset.copy_of(query.ranks(zset), &limits),
        None => Zset::default(),
    };
    let count = result.len();
    cx.keys.store_as(args.key(1), result, "zrangestore");
    cx.reply.int(count as i64);
    Ok(DONE)
}

/// Two words as a range of scores.
pub(super) fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, Error> {
    ScoreRange::parse(min, max).ok_or(Error::fixed("ERR min or max is not a float"))
}

/// Two words as a range of strings.
pub(super) fn lex_range<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, Error> {
    LexRange::parse(min, max).ok_or(Error::fixed("ERR min or max not valid string range item"))
}

/// Ranks from `start` to `stop`, both within and negative ones counted from the end, as they are among `len` members.
pub(super) fn ranks_between(start: i64, stop: i64, len: usize) -> Range<usize> {
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len as i64)
        } else {
            index
        }
    };
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    let end = usize::try_from(from_end(stop).saturating_add(1))
        .unwrap_or(0)
        .min(len);
    start.min(end)..end
}

/// What a range goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name has decided already, so that it is no option.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fixed {
    pub(super) by: Option<By>,
    pub(super) direction: Option<Direction>,
    pub(super) without_scores: bool,
}

/// What is asked for.
pub(super) struct RangeQuery<'a> {
    span: Span<'a>,
    direction: Direction,
    offset: i64,
    limit: i64,
    with_scores: bool,
}

enum Span<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

/// The words behind the two borders.
struct RangeOptions {
    by: Option<By>,
    direction: Option<Direction>,
    offset: i64,
    limit: i64,
    with_scores: bool,
}

impl RangeOptions {
    fn parse(args: Args<'_>, first: usize, fixed: Fixed) -> Result<RangeOptions, Error> {
        let mut options = RangeOptions {
            by: fixed.by,
            direction: fixed.direction,
            offset: 0,
            limit: -1,
            with_scores: false,
        };
        let mut at = first;
        while at < args.len() {
            at += options.take(args, at, fixed)?;
        }
        Ok(options)
    }

    /// Takes the option at word `at`; how many words it has.
    fn take(&mut self, args: Args<'_>, at: usize, fixed: Fixed) -> Result<usize, Error> {
        if !fixed.without_scores && args.is(at, "withscores") {
            self.with_scores = true;
        } else if at + 2 < args.len() && args.is(at, "limit") {
            self.offset = args.int(at + 1)?;
            self.limit = args.int(at + 2)?;
            return Ok(3);
        } else if self.direction.is_none() && args.is(at, "rev") {
            self.direction = Some(Direction::Down);
        } else if self.by.is_none() && args.is(at, "bylex") {
            self.by = Some(By::Lex);
        } else if self.by.is_none() && args.is(at, "byscore") {
            self.by = Some(By::Score);
        } else {
            return Err(Error::Syntax);
        }
        Ok(1)
    }

    /// Compat: a limit of -1 is none, even where there may be none.
    fn check(&self, by: By) -> Result<(), Error> {
        if self.limit != -1 && by == By::Rank {
            return Err(Error::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if self.with_scores && by == By::Lex {
            return Err(Error::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(())
    }
}

impl<'a> RangeQuery<'a> {
    /// Of the words behind the key, which is word `key`.
    pub(super) fn parse(args: Args<'a>, key: usize, fixed: Fixed) -> Result<RangeQuery<'a>, Error> {
        let options = RangeOptions::parse(args, key + 3, fixed)?;
        let by = options.by.unwrap_or(By::Rank);
        options.check(by)?;
        let direction = options.direction.unwrap_or(Direction::Up);
        let is_turned = direction == Direction::Down && by != By::Rank;
        let (min, max) = if is_turned {
            (key + 2, key + 1)
        } else {
            (key + 1, key + 2)
        };
        let span = match by {
            By::Rank => Span::Ranks(args.int(min)?, args.int(max)?),
            By::Score => Span::Scores(score_range(args.get(min), args.get(max))?),
            By::Lex => Span::Members(lex_range(args.get(min), args.get(max))?),
        };
        Ok(RangeQuery {
            span,
            direction,
            offset: options.offset,
            limit: options.limit,
            with_scores: options.with_scores,
        })
    }

    /// The ranks asked for, lowest score first.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let ranks = match &self.span {
            Span::Ranks(start, stop) => {
                let ranks = ranks_between(*start, *stop, zset.len());
                return match self.direction {
                    Direction::Up => ranks,
                    Direction::Down => zset.len() - ranks.end..zset.len() - ranks.start,
                };
            }
            Span::Scores(range) => zset.ranks_of_scores(range),
            Span::Members(range) => zset.ranks_of_members(range),
        };
        self.part(ranks)
    }

    /// What LIMIT leaves. A negative offset leaves nothing, a negative limit all.
    fn part(&self, ranks: Range<usize>) -> Range<usize> {
        let skipped = usize::try_from(self.offset)
            .unwrap_or(usize::MAX)
            .min(ranks.len());
        let count = usize::try_from(self.limit)
            .unwrap_or(usize::MAX)
            .min(ranks.len() - skipped);
        match self.direction {
            Direction::Up => ranks.start + skipped..ranks.start + skipped + count,
            Direction::Down => ranks.end - skipped - count..ranks.end - skipped,
        }
    }

    pub(super) fn answer(&self, cx: &mut Cx<'_>, key: Key<'_>) -> Outcome {
        match cx.keys.read_as::<Zset>(key)? {
            Some(zset) => {
                let members = zset.walk(self.ranks(zset), self.direction);
                reply_members(&mut cx.reply, members, self.with_scores);
            }
            None => cx.reply.array(0),
        }
        Ok(DONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_from_either_end_and_stay_within() {
        for ((start, stop, len), ranks) in [
            ((0, -1, 5), 0..5),
            ((1, 2, 5), 1..3),
            ((-2, -1, 5), 3..5),
            ((-100, 100, 5), 0..5),
            ((i64::MIN, i64::MAX, 5), 0..5),
            ((2, -6, 5), 0..0),
            ((0, i64::MIN, 5), 0..0),
            ((0, -1, 0), 0..0),
        ] {
            assert_eq!(ranks_between(start, stop, len), ranks, "{start} {stop} {len}");
        }
        assert!(ranks_between(3, 1, 5).is_empty() && ranks_between(7, 9, 5).is_empty());
    }
}
