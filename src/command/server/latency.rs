//! LATENCY: when the server stalled and why, and how the times of each command are distributed.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::command::table::{Command, CommandId};
use crate::stats::latency_doctor::{Circumstances, report};
use crate::stats::memory;

const SERVED: Flags = Flags::LOADING.with(Flags::STALE);
const ADMIN: Flags = SERVED.with(Flags::ADMIN).with(Flags::NOSCRIPT);
const TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];

pub(super) const LATENCY: Row = Row {
    name: "latency",
    summary: "Groups the commands that diagnose latency.",
    since: "2.8.13",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    children: &[DOCTOR, GRAPH, HELP, HISTOGRAM, HISTORY, LATEST, RESET],
    ..Row::BASE
};

/// What the subcommands share.
const BASE: Row = Row {
    since: "2.8.13",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: ADMIN,
    tips: TIPS,
    ..Row::BASE
};

const LATEST: Row = Row {
    name: "latest",
    summary: "Tells the newest sample and the worst of every event.",
    run: latest,
    ..BASE
};

fn latest(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.array(cx.stats.latency.events().len());
    for latest in cx.stats.latency.latest() {
        cx.reply.array(4);
        cx.reply.bulk(latest.event.as_bytes());
        cx.reply.int(latest.sample.unix_s);
        cx.reply.int(latest.sample.latency_ms as i64);
        cx.reply.int(latest.max_ms as i64);
    }
    Ok(DONE)
}

const HISTORY: Row = Row {
    name: "history",
    summary: "Lists the samples of an event.",
    arity: Arity::Exactly(3),
    args: &[Arg::string("event")],
    run: history,
    ..BASE
};

fn history(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let samples: Vec<_> = cx.stats.latency.history(args.get(2)).collect();
    cx.reply.array(samples.len());
    for sample in samples {
        cx.reply.array(2);
        cx.reply.int(sample.unix_s);
        cx.reply.int(sample.latency_ms as i64);
    }
    Ok(DONE)
}

const GRAPH: Row = Row {
    name: "graph",
    summary: "Draws the samples of an event.",
    arity: Arity::Exactly(3),
    args: &[Arg::string("event")],
    run: graph,
    ..BASE
};

fn graph(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let event = args.get(2);
    let drawn = cx.stats.latency.graph(event, cx.now_unix_us / 1_000_000);
    let graph = drawn.ok_or_else(|| Error::quoting("No samples available for event '", event, "'"))?;
    cx.reply.verbatim("txt", graph.as_bytes());
    Ok(DONE)
}

const DOCTOR: Row = Row {
    name: "doctor",
    summary: "Explains the samples and what to do about them.",
    run: doctor,
    ..BASE
};

fn doctor(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let text = report(
        &cx.stats.latency,
        &Circumstances {
            now_unix_s: cx.now_unix_us / 1_000_000,
            slowlog_slower_than_us: cx.config.int("slowlog-log-slower-than"),
            slowlog_len_max: usize::try_from(cx.config.int("slowlog-max-len")).unwrap_or(0),
            fork_rate_gb_per_s: cx.stats.counters.latest_fork_rate_gb_per_s,
            fsyncs_always: cx.config.choice("appendfsync") == "always",
            hz: u32::try_from(cx.config.int("hz")).unwrap_or(10),
            huge_pages_bytes: memory::anonymous_huge_pages_bytes().unwrap_or(0),
        },
    );
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

const RESET: Row = Row {
    name: "reset",
    summary: "Forgets the samples of some events, or of all.",
    arity: Arity::AtLeast(2),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    args: &[Arg::string("event").optional().multiple()],
    run: reset,
    ..BASE
};

fn reset(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let latency = &mut cx.stats.latency;
    let count = match args.len() {
        2 => latency.reset(),
        _ => args
            .iter_from(2)
            .filter(|event| latency.reset_event(event))
            .count(),
    };
    cx.reply.int(count as i64);
    Ok(DONE)
}

const HISTOGRAM: Row = Row {
    name: "histogram",
    summary: "Tells how the times of some commands are distributed, or of all.",
    since: "7.0.0",
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    arity: Arity::AtLeast(2),
    args: &[Arg::string("COMMAND").optional().multiple()],
    run: histogram,
    ..BASE
};

fn histogram(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let table = cx.table;
    let commands: Vec<&Command> = match args.len() {
        2 => table.all().iter().collect(),
        _ => args
            .iter_from(2)
            .filter_map(|name| super::command::find(table, name))
            .flat_map(|c| family(cx, c))
            .collect(),
    };
    let map = cx.reply.defer_map();
    let written = commands
        .into_iter()
        .filter(|command| write_histogram(cx, command))
        .count();
    cx.reply.finish(map, written);
    Ok(DONE)
}

/// A command and its subcommands.
fn family<'t>(cx: &Cx<'t>, command: &'t Command) -> impl Iterator<Item = &'t Command> + use<'t> {
    let table = cx.table;
    std::iter::once(command).chain(command.children.iter().map(|&id| table.command(id)))
}

/// Writes one pair of the map; false when there is nothing to tell.
fn write_histogram(cx: &mut Cx<'_>, command: &Command) -> bool {
    let CommandId(id) = command.id;
    let Some((calls, buckets)) = cx.stats.commands.latency_histogram(id) else {
        return false;
    };
    cx.reply.bulk(command.full_name.as_bytes());
    cx.reply.map(2);
    cx.reply.bulk(b"calls");
    cx.reply.int(calls as i64);
    cx.reply.bulk(b"histogram_usec");
    cx.reply.map(buckets.len());
    for (us, up_to) in buckets {
        cx.reply.int(us as i64);
        cx.reply.int(up_to as i64);
    }
    true
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    flags: SERVED,
    tips: &[],
    run: |cx, _| help(cx, &LATENCY),
    ..BASE
};
