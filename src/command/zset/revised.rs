//! ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX: ZRANGE under the names its options used to have.

use crate::command::args::Args;
use crate::command::cx::{Cx, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::zset::Direction;

use super::range::{By, Fixed, RangeQuery};

/// The rows of this file.
pub const ROWS: &[Row] = &[
    ZREVRANGE,
    ZRANGEBYSCORE,
    ZREVRANGEBYSCORE,
    ZRANGEBYLEX,
    ZREVRANGEBYLEX,
];

fn answer(cx: &mut Cx<'_>, args: Args<'_>, by: By, direction: Direction) -> Outcome {
    let fixed = Fixed {
        by: Some(by),
        direction: Some(direction),
        without_scores: false,
    };
    RangeQuery::parse(args, 1, fixed)?.answer(cx, args.key(1))
}

const LIMIT: Arg = Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
    .token("LIMIT")
    .optional();

const ZREVRANGE: Row = Row {
    name: "zrevrange",
    summary: "Returns the members in a range of ranks, highest scores first.",
    since: "1.2.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
    args: &[
        Arg::key("key", 0),
        Arg::integer("start"),
        Arg::integer("stop"),
        Arg::flag("withscores", "WITHSCORES").optional(),
    ],
    run: zrevrange,
    ..Row::BASE
};

fn zrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, By::Rank, Direction::Down)
}

const ZRANGEBYSCORE: Row = Row {
    name: "zrangebyscore",
    summary: "Returns the members whose scores lie in a range.",
    since: "1.0.5",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
    args: &[
        Arg::key("key", 0),
        Arg::double("min"),
        Arg::double("max"),
        Arg::flag("withscores", "WITHSCORES").optional().since("2.0.0"),
        LIMIT,
    ],
    run: zrangebyscore,
    ..Row::BASE
};

fn zrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, By::Score, Direction::Up)
}

const ZREVRANGEBYSCORE: Row = Row {
    name: "zrevrangebyscore",
    summary: "Returns the members whose scores lie in a range, highest first.",
    since: "2.2.0",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("2.1.6", "`min` and `max` can be exclusive.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
    args: &[
        Arg::key("key", 0),
        Arg::double("max"),
        Arg::double("min"),
        Arg::flag("withscores", "WITHSCORES").optional(),
        LIMIT,
    ],
    run: zrevrangebyscore,
    ..Row::BASE
};

fn zrevrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, By::Score, Direction::Down)
}

const ZRANGEBYLEX: Row = Row {
    name: "zrangebylex",
    summary: "Returns the members in a range of strings, all scores being equal.",
    since: "2.8.9",
    complexity: "O(log(N)+M), N being the size of the sorted set and M the number of members returned",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
    args: &[Arg::key("key", 0), Arg::string("min"), Arg::string("max"), LIMIT],
    run: zrangebylex,
    ..Row::BASE
};

fn zrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, By::Lex, Direction::Up)
}

const ZREVRANGEBYLEX: Row = Row {
    name: "zrevrangebylex",
    summary: "Returns the members in a range of strings, last first, all scores being equal.",
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
    args: &[Arg::key("key", 0), Arg::string("max"), Arg::string("min"), LIMIT],
    run: zrevrangebylex,
    ..ZRANGEBYLEX
};

fn zrevrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, By::Lex, Direction::Down)
}
