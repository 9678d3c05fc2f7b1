//! KEYS SCAN RANDOMKEY DBSIZE: what a database holds.

use crate::base::{glob, number};
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};
use crate::keyspace::entry::Entry;
use crate::resp::Reply;

/// The rows of this file.
pub const ROWS: &[Row] = &[KEYS, SCAN, RANDOMKEY, DBSIZE];

const KEYS: Row = Row {
    name: "keys",
    summary: "Lists all keys whose names match a pattern.",
    since: "1.0.0",
    complexity: "O(N), N being the number of keys in the database",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    categories: Categories::DANGEROUS,
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    args: &[Arg::pattern("pattern")],
    run: keys,
    ..Row::BASE
};

fn keys(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let pattern = args.get(1);
    let header = cx.reply.defer_array();
    let mut count = 0;
    for entry in cx.keys.entries().filter(|entry| matches(pattern, entry.key())) {
        cx.reply.bulk(entry.key());
        count += 1;
    }
    cx.reply.finish(header, count);
    Ok(DONE)
}

/// Everything matches `*`: worth a look because it is what is asked most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, name, false)
}

const SCAN: Row = Row {
    name: "scan",
    summary: "Walks the names of all keys, some at a time.",
    since: "2.8.0",
    complexity: "O(1) for a call, O(N) for a walk through all N keys",
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    tips: &[
        "nondeterministic_output",
        "request_policy:special",
        "response_policy:special",
    ],
    history: &[("6.0.0", "Takes `TYPE`.")],
    args: &[
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
        Arg::string("type").token("TYPE").optional().since("6.0.0"),
    ],
    run: scan,
    ..Row::BASE
};

fn scan(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let cursor = number::parse_u64_loose(args.get(1)).ok_or(Error::fixed("ERR invalid cursor"))?;
    let options = ScanOptions::parse(args)?;
    let mut found = Found::default();
    let next = walk(cx, cursor, &options, &mut found);
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    cx.reply.array(found.count);
    cx.reply.raw(&found.names);
    Ok(DONE)
}

/// What SCAN answers.
#[derive(Default)]
struct Found {
    count: usize,
    /// The names as bulk strings: the cursor, which stands before them, is known only when all are.
    names: Vec<u8>,
}

/// Takes steps until about `options.count` keys have been looked at; the cursor to go on with.
///
/// A step through an empty part of a sparse table finds nothing, so their number is bounded as well.
fn walk(cx: &mut Cx<'_>, mut cursor: u64, options: &ScanOptions<'_>, found: &mut Found) -> u64 {
    const STEPS_PER_KEY: u64 = 10;
    let mut seen = 0;
    for _ in 0..options.count.saturating_mul(STEPS_PER_KEY) {
        cursor = cx.keys.scan(cursor, &mut |entry| {
            seen += 1;
            if options.wants(entry) {
                found.count += 1;
                Reply::new(&mut found.names, false).bulk(entry.key());
            }
        });
        if cursor == 0 || seen >= options.count {
            break;
        }
    }
    cursor
}

struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    count: u64,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<ScanOptions<'a>, Error> {
        let mut options = ScanOptions {
            pattern: None,
            count: 10,
            type_name: None,
        };
        for word in (2..args.len()).step_by(2) {
            if word + 1 == args.len() {
                return Err(Error::Syntax);
            } else if args.is(word, "count") {
                options.count = u64::try_from(args.int(word + 1)?)
                    .ok()
                    .filter(|&n| n > 0)
                    .ok_or(Error::Syntax)?;
            } else if args.is(word, "match") {
                options.pattern = Some(args.get(word + 1));
            } else if args.is(word, "type") {
                options.type_name = Some(args.get(word + 1));
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(options)
    }

    fn wants(&self, entry: &Entry) -> bool {
        let of_type = |name: &[u8]| name.eq_ignore_ascii_case(entry.type_name().as_bytes());
        self.pattern.is_none_or(|pattern| matches(pattern, entry.key())) && self.type_name.is_none_or(of_type)
    }
}

const RANDOMKEY: Row = Row {
    name: "randomkey",
    summary: "Names some key of the database, chosen by chance.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Generic,
    arity: Arity::Exactly(1),
    flags: Flags::READONLY,
    tips: &[
        "request_policy:all_shards",
        "response_policy:special",
        "nondeterministic_output",
    ],
    run: randomkey,
    ..Row::BASE
};

fn randomkey(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    match cx.keys.random_key(&mut || cx.rng.next_u64()) {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

const DBSIZE: Row = Row {
    name: "dbsize",
    summary: "Counts the keys of the database.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::READONLY.with(Flags::FAST),
    categories: Categories::KEYSPACE,
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    run: dbsize,
    ..Row::BASE
};

fn dbsize(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.int(cx.keys.here().len() as i64);
    Ok(DONE)
}
