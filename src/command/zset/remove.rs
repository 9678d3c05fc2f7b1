//! ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX: removing members by name or in ranges.

use std::ops::Range;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::zset::Zset;

use super::range::{lex_range, ranks_between, score_range};

/// The rows of this file.
pub const ROWS: &[Row] = &[ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX];

const ZREM: Row = Row {
    name: "zrem",
    summary: "Removes members from a sorted set.",
    since: "1.2.0",
    complexity: "O(M*log(N)), N being the size of the sorted set and M the number of members to remove",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    history: &[("2.4.0", "Accepts multiple elements.")],
    args: &[Arg::key("key", 0), Arg::string("member").multiple()],
    run: zrem,
    ..Row::BASE
};

fn zrem(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let removed = cx.keys.edit(args.key(1), |zset: &mut Zset, edit| {
        let removed = args
            .iter_from(2)
            .filter(|member| zset.remove(member).is_some())
            .count();
        if removed > 0 {
            edit.changed("zrem", removed as u64);
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}

fn remove_range(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    event: &'static str,
    ranks: impl FnOnce(&Zset) -> Range<usize>,
) -> Outcome {
    let removed = cx.keys.edit(args.key(1), |zset: &mut Zset, edit| {
        let ranks = ranks(zset);
        let removed = ranks.len();
        if removed > 0 {
            zset.remove_range(ranks);
            edit.changed(event, removed as u64);
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}

const ZREMRANGEBYRANK: Row = Row {
    name: "zremrangebyrank",
    summary: "Removes the members in a range of ranks.",
    since: "2.0.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::integer("start"), Arg::integer("stop")],
    run: zremrangebyrank,
    ..Row::BASE
};

fn zremrangebyrank(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    remove_range(cx, args, "zremrangebyrank", |zset| {
        ranks_between(start, stop, zset.len())
    })
}

const ZREMRANGEBYSCORE: Row = Row {
    name: "zremrangebyscore",
    summary: "Removes the members whose scores lie in a range.",
    since: "1.2.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::double("min"), Arg::double("max")],
    run: zremrangebyscore,
    ..Row::BASE
};

fn zremrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let range = score_range(args.get(2), args.get(3))?;
    remove_range(cx, args, "zremrangebyscore", |zset| zset.ranks_of_scores(&range))
}

const ZREMRANGEBYLEX: Row = Row {
    name: "zremrangebylex",
    summary: "Removes the members in a range of strings, all scores being equal.",
    since: "2.8.9",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members removed",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::string("min"), Arg::string("max")],
    run: zremrangebylex,
    ..Row::BASE
};

fn zremrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let range = lex_range(args.get(2), args.get(3))?;
    remove_range(cx, args, "zremrangebylex", |zset| zset.ranks_of_members(&range))
}
