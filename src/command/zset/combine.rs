//! ZUNION ZINTER ZDIFF, their STORE forms, and ZINTERCARD: several sorted sets and sets at once.

use crate::base::float;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Keyspace;
use crate::keyspace::entry::{Entry, View};
use crate::value::Value;
use crate::value::zset::{self, Aggregate, Member, Source, Tally, Weighted, Zset};

use super::reply_members;

/// The rows of this file.
pub const ROWS: &[Row] = &[
    ZUNION,
    ZUNIONSTORE,
    ZINTER,
    ZINTERSTORE,
    ZINTERCARD,
    ZDIFF,
    ZDIFFSTORE,
];

const WEIGHTS: Arg = Arg::integer("weight").token("WEIGHTS").optional().multiple();
const AGGREGATE: Arg = Arg::one_of(
    "aggregate",
    &[
        Arg::flag("sum", "SUM"),
        Arg::flag("min", "MIN"),
        Arg::flag("max", "MAX"),
    ],
)
.token("AGGREGATE")
.optional();
const WITHSCORES: Arg = Arg::flag("withscores", "WITHSCORES").optional();

const UNION_COMPLEXITY: &str =
    "O(N)+O(M*log(M)), N being the sizes of all inputs together and M that of the result";
const INTERSECTION_COMPLEXITY: &str = "O(N*K)+O(M*log(M)), N being the size of the smallest input, K the number of inputs and M the size of the result";
const DIFFERENCE_COMPLEXITY: &str = "O(L + (N-K)*log(N)), L being the sizes of all inputs together, N the size of the first and K the size of the result";

const ZUNION: Row = Row {
    name: "zunion",
    summary: "Returns the members of any of several sorted sets.",
    since: "6.2.0",
    complexity: UNION_COMPLEXITY,
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(1, Access::RO.with(Access::ACCESS))],
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        WEIGHTS,
        AGGREGATE,
        WITHSCORES,
    ],
    run: zunion,
    ..Row::BASE
};

fn zunion(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, Operation::Union, "zunion")
}

const ZUNIONSTORE: Row = Row {
    name: "zunionstore",
    summary: "Stores the members of any of several sorted sets under a key.",
    since: "2.0.0",
    complexity: UNION_COMPLEXITY,
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    keys: &[
        KeySpec::one(1, Access::OW.with(Access::UPDATE)),
        KeySpec::counted(2, Access::RO.with(Access::ACCESS)),
    ],
    args: &[
        Arg::key("destination", 0),
        Arg::integer("numkeys"),
        Arg::key("key", 1).multiple(),
        WEIGHTS,
        AGGREGATE,
    ],
    run: zunionstore,
    ..Row::BASE
};

fn zunionstore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    store(cx, args, Operation::Union, "zunionstore")
}

const ZINTER: Row = Row {
    name: "zinter",
    summary: "Returns the members that several sorted sets share.",
    complexity: INTERSECTION_COMPLEXITY,
    run: zinter,
    ..ZUNION
};

fn zinter(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, Operation::Intersection, "zinter")
}

const ZINTERSTORE: Row = Row {
    name: "zinterstore",
    summary: "Stores the members that several sorted sets share under a key.",
    complexity: INTERSECTION_COMPLEXITY,
    run: zinterstore,
    ..ZUNIONSTORE
};

fn zinterstore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    store(cx, args, Operation::Intersection, "zinterstore")
}

const ZDIFF: Row = Row {
    name: "zdiff",
    summary: "Returns the members of a sorted set that no other one has.",
    since: "6.2.0",
    complexity: DIFFERENCE_COMPLEXITY,
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::integer("numkeys"), Arg::key("key", 0).multiple(), WITHSCORES],
    run: zdiff,
    ..Row::BASE
};

fn zdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    answer(cx, args, Operation::Difference, "zdiff")
}

const ZDIFFSTORE: Row = Row {
    name: "zdiffstore",
    summary: "Stores the members of a sorted set that no other one has under a key.",
    since: "6.2.0",
    complexity: DIFFERENCE_COMPLEXITY,
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    keys: &[
        KeySpec::one(1, Access::OW.with(Access::UPDATE)),
        KeySpec::counted(2, Access::RO.with(Access::ACCESS)),
    ],
    args: &[
        Arg::key("destination", 0),
        Arg::integer("numkeys"),
        Arg::key("key", 1).multiple(),
    ],
    run: zdiffstore,
    ..Row::BASE
};

fn zdiffstore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    store(cx, args, Operation::Difference, "zdiffstore")
}

const ZINTERCARD: Row = Row {
    name: "zintercard",
    summary: "Counts the members that several sorted sets share.",
    since: "7.0.0",
    complexity: "O(N*K), N being the size of the smallest input and K the number of inputs",
    group: Group::SortedSet,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::counted(1, Access::RO.with(Access::ACCESS))],
    args: &[
        Arg::integer("numkeys"),
        Arg::key("key", 0).multiple(),
        Arg::integer("limit").token("LIMIT").optional(),
    ],
    run: zintercard,
    ..Row::BASE
};

fn zintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let inputs = Inputs::find(cx, args, 1, "zintercard")?;
    let limit = parse_limit(args, inputs.behind)?;
    let count = zset::intersection_size(&inputs.sources(cx.keys, args), limit);
    cx.reply.int(count as i64);
    Ok(DONE)
}

fn parse_limit(args: Args<'_>, first: usize) -> Result<usize, Error> {
    let mut limit = 0;
    for at in (first..args.len()).step_by(2) {
        if at + 1 == args.len() || !args.is(at, "limit") {
            return Err(Error::Syntax);
        }
        let number = args.int(at + 1).ok().and_then(|n| usize::try_from(n).ok());
        limit = number.ok_or(Error::fixed("ERR LIMIT can't be negative"))?;
    }
    Ok(limit)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

fn answer(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation, command: &str) -> Outcome {
    let inputs = Inputs::find(cx, args, 1, command)?;
    let options = CombineOptions::parse(args, &inputs, operation, true)?;
    let result = combine(cx.keys, args, &inputs, operation, &options).into_ranked();
    let members = result.iter(0..result.len());
    let members = members.map(|(member, score)| (Member::Bytes(member), score));
    reply_members(&mut cx.reply, members, options.with_scores);
    Ok(DONE)
}

/// The key the result goes to may be one of the inputs: all is read before.
fn store(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation, command: &'static str) -> Outcome {
    let inputs = Inputs::find(cx, args, 2, command)?;
    let options = CombineOptions::parse(args, &inputs, operation, false)?;
    let tally = combine(cx.keys, args, &inputs, operation, &options);
    let result = Zset::from_tally(tally, &cx.keys.limits);
    let count = result.len();
    cx.keys.store_as(args.key(1), result, command);
    cx.reply.int(count as i64);
    Ok(DONE)
}

fn combine(
    keys: &Keyspace,
    args: Args<'_>,
    inputs: &Inputs,
    operation: Operation,
    options: &CombineOptions,
) -> Tally {
    let sources = inputs.sources(keys, args);
    let hasher = keys.limits.hasher;
    let weighted = || -> Vec<Weighted<'_>> {
        let weights = options.weights.iter().copied().chain(std::iter::repeat(1.0));
        let pairs = sources.iter().zip(weights);
        pairs
            .map(|(&source, weight)| Weighted { source, weight })
            .collect()
    };
    match operation {
        Operation::Union => zset::union(&weighted(), options.aggregate, hasher),
        Operation::Intersection => zset::intersection(&weighted(), options.aggregate, hasher),
        Operation::Difference => zset::difference(&sources, hasher),
    }
}

/// Where the inputs' keys stand, and which of them there are.
struct Inputs {
    first: usize,
    found: Vec<bool>,
    /// The word behind the last key.
    behind: usize,
}

impl Inputs {
    /// The keys counted by word `at`. Reading them all comes before any option is looked at, as in Redis.
    fn find(cx: &mut Cx<'_>, args: Args<'_>, at: usize, command: &str) -> Result<Inputs, Error> {
        let count = args.int(at)?;
        if count < 1 {
            return Err(Error::err(format_args!(
                "at least 1 input key is needed for '{command}' command"
            )));
        }
        let first = at + 1;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > args.len() - first {
            return Err(Error::Syntax);
        }
        let behind = first + count;
        let mut found = Vec::with_capacity(count);
        for word in first..behind {
            let entry = cx.keys.read(args.key(word));
            if entry.is_some_and(|entry| source_of(entry).is_none()) {
                return Err(Error::WrongType);
            }
            found.push(entry.is_some());
        }
        Ok(Inputs { first, found, behind })
    }

    fn sources<'k>(&self, keys: &'k Keyspace, args: Args<'_>) -> Vec<Source<'k>> {
        let words = (self.first..self.behind).zip(&self.found);
        words
            .map(|(word, &is_there)| {
                let entry = keys.stored(args.key(word)).filter(|_| is_there);
                entry.and_then(source_of).unwrap_or(Source::Missing)
            })
            .collect()
    }
}

fn source_of(entry: &Entry) -> Option<Source<'_>> {
    match entry.view() {
        View::Value(Value::Zset(zset)) => Some(Source::Zset(zset)),
        View::Value(Value::Set(set)) => Some(Source::Set(set)),
        _ => None,
    }
}

/// What follows the keys.
struct CombineOptions {
    /// One for each input, or none.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl CombineOptions {
    fn parse(
        args: Args<'_>,
        inputs: &Inputs,
        operation: Operation,
        may_show_scores: bool,
    ) -> Result<CombineOptions, Error> {
        let mut options = CombineOptions {
            weights: Vec::new(),
            aggregate: Aggregate::Sum,
            with_scores: false,
        };
        let mut at = inputs.behind;
        while at < args.len() {
            let is_weighed = operation != Operation::Difference;
            let left = args.len() - at;
            at += if is_weighed && left > inputs.found.len() && args.is(at, "weights") {
                options.weights = weights(args, at + 1, inputs.found.len())?;
                1 + inputs.found.len()
            } else if is_weighed && left > 1 && args.is(at, "aggregate") {
                options.aggregate = aggregate(args, at + 1)?;
                2
            } else if may_show_scores && args.is(at, "withscores") {
                options.with_scores = true;
                1
            } else {
                return Err(Error::Syntax);
            };
        }
        Ok(options)
    }
}

fn weights(args: Args<'_>, first: usize, count: usize) -> Result<Vec<f64>, Error> {
    const NOT_A_FLOAT: Error = Error::fixed("ERR weight value is not a float");
    (first..first + count)
        .map(|word| float::parse(args.get(word)).ok_or(NOT_A_FLOAT))
        .collect()
}

fn aggregate(args: Args<'_>, word: usize) -> Result<Aggregate, Error> {
    let names = [
        ("sum", Aggregate::Sum),
        ("min", Aggregate::Min),
        ("max", Aggregate::Max),
    ];
    let found = names.into_iter().find(|(name, _)| args.is(word, name));
    found.map(|(_, aggregate)| aggregate).ok_or(Error::Syntax)
}
