//! SLOWLOG: the newest commands that took too long.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::resp::Reply;
use crate::stats::slowlog::Entry;

const SERVED: Flags = Flags::LOADING.with(Flags::STALE);
const ADMIN: Flags = SERVED.with(Flags::ADMIN);

/// Entries SLOWLOG GET answers when it is given no number.
const DEFAULT_COUNT: usize = 10;

pub(super) const SLOWLOG: Row = Row {
    name: "slowlog",
    summary: "Groups the commands of the slow log.",
    since: "2.2.12",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    children: &[GET, HELP, LEN, RESET],
    ..Row::BASE
};

const GET: Row = Row {
    name: "get",
    summary: "Lists the newest entries, all of them with -1.",
    since: "2.2.12",
    complexity: "O(N) where N is the number of entries returned",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
    args: &[Arg::integer("count").optional()],
    run: get,
    ..Row::BASE
};

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = match args.len() {
        2 => Some(DEFAULT_COUNT),
        3 => count(args)?,
        _ => return Err(super::wrong_subcommand("SLOWLOG", args.get(1))),
    };
    let entries = cx.stats.slowlog.get(count);
    cx.reply.array(entries.len());
    entries.for_each(|entry| write_entry(&mut cx.reply, entry));
    Ok(DONE)
}

/// `None` stands for all.
fn count(args: Args<'_>) -> Result<Option<usize>, Error> {
    const REFUSED: Error = Error::fixed("ERR count should be greater than or equal to -1");
    match args.int(2).map_err(|_| REFUSED)? {
        -1 => Ok(None),
        count => usize::try_from(count).map(Some).map_err(|_| REFUSED),
    }
}

fn write_entry(reply: &mut Reply<'_>, entry: &Entry) {
    reply.array(6);
    reply.int(entry.id as i64);
    reply.int(entry.unix_s);
    reply.int(entry.duration_us as i64);
    reply.array(entry.args.len());
    entry.args.iter().for_each(|word| reply.bulk(word));
    reply.bulk(&entry.client_addr);
    reply.bulk(&entry.client_name);
}

const LEN: Row = Row {
    name: "len",
    summary: "Counts the entries.",
    since: "2.2.12",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: ADMIN,
    tips: &[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ],
    run: len,
    ..Row::BASE
};

fn len(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let count = cx.stats.slowlog.len();
    cx.reply.int(count as i64);
    Ok(DONE)
}

const RESET: Row = Row {
    name: "reset",
    summary: "Removes all entries.",
    since: "2.2.12",
    complexity: "O(N) where N is the number of entries in the slowlog",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: ADMIN,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: reset,
    ..Row::BASE
};

fn reset(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.stats.slowlog.reset();
    cx.reply.ok();
    Ok(DONE)
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "6.2.0",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: SERVED,
    run: |cx, _| help(cx, &SLOWLOG),
    ..Row::BASE
};
