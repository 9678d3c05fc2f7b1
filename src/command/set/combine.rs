//! Intersections, unions and differences of sets, answered or stored.

use std::ops::Range;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Keyspace;
use crate::value::set::Set;
use crate::value::set::algebra::{
    difference, difference_to_store, intersection, intersection_to_store, union, union_to_store,
};
use crate::value::{Limits, Typed};

use super::reply_member;

/// The rows of this file.
pub const ROWS: &[Row] = &[
    SINTER,
    SINTERCARD,
    SINTERSTORE,
    SUNION,
    SUNIONSTORE,
    SDIFF,
    SDIFFSTORE,
];

/// What the commands that answer share.
const ANSWERS: Row = Row {
    since: "1.0.0",
    group: Group::Set,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::range(1, -1, 1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output_order"],
    args: &[Arg::key("key", 0).multiple()],
    ..Row::BASE
};

/// What the commands that store share.
const STORES: Row = Row {
    since: "1.0.0",
    group: Group::Set,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(1, Access::OW.with(Access::UPDATE)),
        KeySpec::range(2, -1, 1, Access::RO.with(Access::ACCESS)),
    ],
    args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
    ..Row::BASE
};

/// The sets at some words; a missing key has none.
///
/// Each is looked up once as a read that counts, and once more when nothing can change anymore.
fn operands<'k>(
    keys: &'k mut Keyspace,
    args: Args<'_>,
    words: Range<usize>,
) -> Result<Vec<Option<&'k Set>>, Error> {
    let mut there = Vec::with_capacity(words.len());
    for word in words.clone() {
        there.push(keys.read_as::<Set>(args.key(word))?.is_some());
    }
    let keys = &*keys;
    let stored = |(word, there): (usize, bool)| there.then(|| keys.stored_as(args.key(word))).flatten();
    Ok(words.zip(there).map(stored).collect())
}

/// All sets, or none if any is missing: then they have nothing in common.
fn all_or_none(sets: Vec<Option<&Set>>) -> Vec<&Set> {
    sets.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default()
}

const SINTER: Row = Row {
    name: "sinter",
    summary: "Lists the members that several sets have in common.",
    complexity: "O(N*M) at worst, N being the size of the smallest set and M the number of sets",
    run: sinter,
    ..ANSWERS
};

fn sinter(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let sets = all_or_none(operands(cx.keys, args, 1..args.len())?);
    let header = cx.reply.defer_set();
    let mut count = 0;
    intersection(&sets, |member| {
        reply_member(&mut cx.reply, member);
        count += 1;
        true
    });
    cx.reply.finish(header, count);
    Ok(DONE)
}

const SINTERCARD: Row = Row {
    name: "sintercard",
    summary: "Counts the members that several sets have in common, up to a limit if wanted.",
    since: "7.0.0",
    complexity: "O(N*M) at worst, N being the size of the smallest set and M the number of sets",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(1, Access::RO.with(Access::ACCESS))],
    tips: &[],
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::integer("limit").token("LIMIT").optional(),
    ],
    run: sintercard,
    ..ANSWERS
};

fn sintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let end = 2 + key_count(args)?;
    let limit = limit(args, end)?;
    let sets = all_or_none(operands(cx.keys, args, 2..end)?);
    let mut count = 0;
    intersection(&sets, |_| {
        count += 1;
        count != limit
    });
    cx.reply.int(count);
    Ok(DONE)
}

/// The number of keys at word 1.
fn key_count(args: Args<'_>) -> Result<usize, Error> {
    let count = args.int(1).ok().and_then(|count| usize::try_from(count).ok());
    match count {
        None | Some(0) => Err(Error::fixed("ERR numkeys should be greater than 0")),
        Some(count) if count > args.len() - 2 => Err(Error::fixed(
            "ERR Number of keys can't be greater than number of args",
        )),
        Some(count) => Ok(count),
    }
}

/// LIMIT among the words from `first` on, the last one if there are several; 0 is none.
fn limit(args: Args<'_>, first: usize) -> Result<i64, Error> {
    let mut limit = 0;
    for word in (first..args.len()).step_by(2) {
        if !args.is(word, "limit") || word + 1 == args.len() {
            return Err(Error::Syntax);
        }
        let given = args.int(word + 1).ok().filter(|&limit| limit >= 0);
        limit = given.ok_or(Error::fixed("ERR LIMIT can't be negative"))?;
    }
    Ok(limit)
}

const SUNION: Row = Row {
    name: "sunion",
    summary: "Lists the members of several sets, each once.",
    complexity: "O(N), N being the number of members of all sets",
    run: sunion,
    ..ANSWERS
};

fn sunion(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let hasher = cx.keys.limits.hasher;
    let sets: Vec<&Set> = operands(cx.keys, args, 1..args.len())?
        .into_iter()
        .flatten()
        .collect();
    let header = cx.reply.defer_set();
    let mut count = 0;
    union(&sets, hasher, |member| {
        reply_member(&mut cx.reply, member);
        count += 1;
    });
    cx.reply.finish(header, count);
    Ok(DONE)
}

const SDIFF: Row = Row {
    name: "sdiff",
    summary: "Lists the members of a set that several others have not.",
    complexity: "O(N), N being the number of members of all sets",
    run: sdiff,
    ..ANSWERS
};

fn sdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let hasher = cx.keys.limits.hasher;
    let sets = operands(cx.keys, args, 1..args.len())?;
    let header = cx.reply.defer_set();
    let mut count = 0;
    if let [Some(first), others @ ..] = &sets[..] {
        let others: Vec<&Set> = others.iter().flatten().copied().collect();
        difference(first, &others, hasher, |member| {
            reply_member(&mut cx.reply, member);
            count += 1;
        });
    }
    cx.reply.finish(header, count);
    Ok(DONE)
}

const SINTERSTORE: Row = Row {
    name: "sinterstore",
    summary: "Stores the members that several sets have in common.",
    complexity: "O(N*M) at worst, N being the size of the smallest set and M the number of sets",
    run: |cx, args| {
        store(cx, args, "sinterstore", |sets, limits| {
            intersection_to_store(&all_or_none(sets), limits)
        })
    },
    ..STORES
};

const SUNIONSTORE: Row = Row {
    name: "sunionstore",
    summary: "Stores the members of several sets, each once.",
    complexity: "O(N), N being the number of members of all sets",
    run: |cx, args| {
        store(cx, args, "sunionstore", |sets, limits| {
            let sets: Vec<&Set> = sets.into_iter().flatten().collect();
            union_to_store(&sets, limits)
        })
    },
    ..STORES
};

const SDIFFSTORE: Row = Row {
    name: "sdiffstore",
    summary: "Stores the members of a set that several others have not.",
    complexity: "O(N), N being the number of members of all sets",
    run: |cx, args| {
        store(cx, args, "sdiffstore", |sets, limits| {
            let mut sets = sets.into_iter();
            match sets.next().flatten() {
                Some(first) => difference_to_store(first, &sets.flatten().collect::<Vec<_>>(), limits),
                None => Set::empty(),
            }
        })
    },
    ..STORES
};

/// Stores what `combine` makes of the sets from word 2 on under the key at word 1, and answers its size.
fn store(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    event: &'static str,
    combine: fn(Vec<Option<&Set>>, &Limits) -> Set,
) -> Outcome {
    let limits = cx.keys.limits;
    let result = combine(operands(cx.keys, args, 2..args.len())?, &limits);
    let size = result.len();
    cx.keys.store_as(args.key(1), result, event);
    cx.reply.int(size as i64);
    Ok(DONE)
}
