//! KEYS SCAN RANDOMKEY DBSIZE: what a database holds.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};
use crate::command::scan::{self, Page, ScanOptions, Walked};
use crate::keyspace::entry::Entry;

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
    for entry in cx
        .keys
        .entries()
        .filter(|entry| scan::matches(pattern, entry.key()))
    {
        cx.reply.bulk(entry.key());
        count += 1;
    }
    cx.reply.finish(header, count);
    Ok(DONE)
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
    let cursor = scan::cursor(args, 1)?;
    let options = ScanOptions::parse(args, 2, Walked::Keys)?;
    let mut page = Page::default();
    let next = options.walk(cursor, |cursor| {
        let mut seen = 0;
        let next = cx.keys.scan(cursor, &mut |entry| {
            seen += 1;
            if wants(&options, entry) {
                page.push(entry.key());
            }
        });
        (next, seen)
    });
    page.write(&mut cx.reply, next);
    Ok(DONE)
}

fn wants(options: &ScanOptions<'_>, entry: &Entry) -> bool {
    let of_type = |name: &[u8]| name.eq_ignore_ascii_case(entry.type_name().as_bytes());
    options.admits(entry.key()) && options.type_name.is_none_or(of_type)
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
