//! ZCARD ZSCORE ZMSCORE ZRANK ZREVRANK ZCOUNT ZLEXCOUNT ZSCAN: asking about members.

use crate::base::float;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::command::scan::{self, Page, ScanOptions, Walked};
use crate::value::zset::{Direction, Member, Zset, with_text};

use super::range::{lex_range, score_range};

/// The rows of this file.
pub const ROWS: &[Row] = &[ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT, ZSCAN];

const ZCARD: Row = Row {
    name: "zcard",
    summary: "Counts the members of a sorted set.",
    since: "1.2.0",
    complexity: "O(1)",
    group: Group::SortedSet,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO)],
    args: &[Arg::key("key", 0)],
    run: zcard,
    ..Row::BASE
};

fn zcard(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = cx.keys.read_as(args.key(1))?.map_or(0, Zset::len);
    cx.reply.int(count as i64);
    Ok(DONE)
}

const ZSCORE: Row = Row {
    name: "zscore",
    summary: "Returns the score of a member.",
    since: "1.2.0",
    complexity: "O(1)",
    group: Group::SortedSet,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("member")],
    run: zscore,
    ..Row::BASE
};

fn zscore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    match zset.and_then(|zset| zset.score(args.get(2))) {
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

const ZMSCORE: Row = Row {
    name: "zmscore",
    summary: "Returns the scores of several members.",
    since: "6.2.0",
    complexity: "O(N), N being the number of members asked for",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("member").multiple()],
    run: zmscore,
    ..Row::BASE
};

fn zmscore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    cx.reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => cx.reply.double(score),
            None => cx.reply.null(),
        }
    }
    Ok(DONE)
}

const ZRANK: Row = Row {
    name: "zrank",
    summary: "Returns how many members come before one, lowest scores first.",
    since: "2.0.0",
    complexity: "O(log(N)), N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
    args: &[
        Arg::key("key", 0),
        Arg::string("member"),
        Arg::flag("withscore", "WITHSCORE").optional(),
    ],
    run: zrank,
    ..Row::BASE
};

fn zrank(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    rank(cx, args, "zrank", Direction::Up)
}

const ZREVRANK: Row = Row {
    name: "zrevrank",
    summary: "Returns how many members come before one, highest scores first.",
    run: zrevrank,
    ..ZRANK
};

fn zrevrank(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    rank(cx, args, "zrevrank", Direction::Down)
}

fn rank(cx: &mut Cx<'_>, args: Args<'_>, command: &'static str, direction: Direction) -> Outcome {
    if args.len() > 4 {
        return Err(Error::Arity(command.into()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return Err(Error::Syntax);
    }
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    let found = zset.and_then(|zset| Some((zset.rank(args.get(2))?, zset.len())));
    let reply = &mut cx.reply;
    let Some(((rank, score), len)) = found else {
        match with_score {
            true => reply.null_array(),
            false => reply.null(),
        }
        return Ok(DONE);
    };
    if with_score {
        reply.array(2);
    }
    reply.int(match direction {
        Direction::Up => rank,
        Direction::Down => len - 1 - rank,
    } as i64);
    if with_score {
        reply.double(score);
    }
    Ok(DONE)
}

const ZCOUNT: Row = Row {
    name: "zcount",
    summary: "Counts the members whose scores lie in a range.",
    since: "2.0.0",
    complexity: "O(log(N)), N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::double("min"), Arg::double("max")],
    run: zcount,
    ..Row::BASE
};

fn zcount(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let range = score_range(args.get(2), args.get(3))?;
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    let count = zset.map_or(0, |zset| zset.ranks_of_scores(&range).len());
    cx.reply.int(count as i64);
    Ok(DONE)
}

const ZLEXCOUNT: Row = Row {
    name: "zlexcount",
    summary: "Counts the members that lie in a range of strings, all scores being equal.",
    since: "2.8.9",
    complexity: "O(log(N)), N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("min"), Arg::string("max")],
    run: zlexcount,
    ..Row::BASE
};

fn zlexcount(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let range = lex_range(args.get(2), args.get(3))?;
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    let count = zset.map_or(0, |zset| zset.ranks_of_members(&range).len());
    cx.reply.int(count as i64);
    Ok(DONE)
}

const ZSCAN: Row = Row {
    name: "zscan",
    summary: "Walks the members and scores of a sorted set, some at a time.",
    since: "2.8.0",
    complexity: "O(1) for a call, O(N) for a walk through all N members",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
    ],
    run: zscan,
    ..Row::BASE
};

fn zscan(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let cursor = scan::cursor(args, 2)?;
    let mut page = Page::default();
    let Some(zset) = cx.keys.read_as::<Zset>(args.key(1))? else {
        page.write(&mut cx.reply, 0);
        return Ok(DONE);
    };
    let options = ScanOptions::parse(args, 3, Walked::Members)?;
    let print = match zset {
        Zset::Packed(_) => float::shortest,
        // Compat: Redis prints scores of big sorted sets with 17 digits here, and only here.
        Zset::Ranked(_) => float::seventeen_digits,
    };
    let mut text = Vec::new();
    let next = options.walk(cursor, |cursor| {
        let mut seen = 0;
        let next = zset.scan(cursor, &mut |member: Member<'_>, score| {
            seen += 1;
            with_text(member, |name| {
                if options.admits(name) {
                    page.push(name);
                    text.clear();
                    print(score, &mut text);
                    page.push(&text);
                }
            });
        });
        (next, seen)
    });
    page.write(&mut cx.reply, next);
    Ok(DONE)
}
