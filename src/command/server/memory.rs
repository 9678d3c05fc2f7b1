//! MEMORY: what keys and the server cost, and what the allocator has to say.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::process::version::ALLOCATOR;
use crate::resp::Reply;
use crate::stats::memory;

use super::footprint::{Footprint, Ratio, clients};

const SPECIAL: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

pub(super) const MEMORY: Row = Row {
    name: "memory",
    summary: "Groups the commands that diagnose memory.",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    children: &[DOCTOR, HELP, MALLOC_STATS, PURGE, STATS, USAGE],
    ..Row::BASE
};

/// What the subcommands share.
const BASE: Row = Row {
    since: "4.0.0",
    group: Group::Server,
    arity: Arity::Exactly(2),
    ..Row::BASE
};

const USAGE: Row = Row {
    name: "usage",
    summary: "Tells how many bytes a key takes with its value.",
    complexity: "O(N) where N is the number of samples.",
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(2, Access::RO)],
    args: &[
        Arg::key("key", 0),
        Arg::integer("count").token("SAMPLES").optional(),
    ],
    run: usage,
    ..BASE
};

fn usage(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let samples = samples(args)?;
    // What is past its time still takes its bytes.
    let entry = cx.keys.stored(args.key(2));
    let bytes = entry.map(|entry| entry.sampled_bytes(samples));
    match bytes {
        Some(bytes) => {
            let bytes = bytes + table_share(cx);
            cx.reply.int(bytes as i64);
        }
        None => cx.reply.null(),
    }
    Ok(DONE)
}

/// How many elements of a big value are measured, the others being taken for alike; 0 for all.
fn samples(args: Args<'_>) -> Result<usize, Error> {
    let mut samples = 5;
    for at in (3..args.len()).step_by(2) {
        if !args.is(at, "samples") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        samples = usize::try_from(args.int(at + 1)?).or(Err(Error::Syntax))?;
    }
    Ok(samples)
}

/// A key's part of its database's table.
fn table_share(cx: &Cx<'_>) -> usize {
    let db = cx.keys.here();
    db.dict().heap_bytes().div_ceil(db.len().max(1))
}

const STATS: Row = Row {
    name: "stats",
    summary: "Tells how the server uses its memory.",
    tips: SPECIAL,
    run: stats,
    ..BASE
};

fn stats(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let footprint = Footprint::of(cx);
    let reply = &mut cx.reply;
    reply.map(31 + footprint.tables.len());
    write_owners(reply, &footprint);
    for (db, bytes) in &footprint.tables {
        reply.bulk(format!("db.{db}").as_bytes());
        reply.map(2);
        write_amount(reply, "overhead.hashtable.main", *bytes);
        write_amount(reply, "overhead.hashtable.expires", 0);
    }
    write_dataset(reply, &footprint);
    write_allocator(reply, &footprint);
    Ok(DONE)
}

/// Ten pairs.
fn write_owners(reply: &mut Reply<'_>, footprint: &Footprint) {
    for (name, bytes) in [
        ("peak.allocated", footprint.peak),
        ("total.allocated", footprint.used),
        ("startup.allocated", footprint.startup),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", footprint.clients),
        ("cluster.links", 0),
        ("aof.buffer", footprint.aof_buffer),
        ("lua.caches", footprint.lua_caches),
        ("functions.caches", footprint.function_caches),
    ] {
        write_amount(reply, name, bytes);
    }
}

/// Nine pairs.
fn write_dataset(reply: &mut Reply<'_>, footprint: &Footprint) {
    for (name, amount) in [
        ("overhead.db.hashtable.lut", footprint.table_bytes()),
        ("overhead.db.hashtable.rehashing", 0),
        ("overhead.total", footprint.overhead()),
        ("db.dict.rehashing.count", 0),
        ("keys.count", footprint.keys),
        ("keys.bytes-per-key", footprint.bytes_per_key()),
        ("dataset.bytes", footprint.dataset()),
    ] {
        write_amount(reply, name, amount);
    }
    write_share(reply, "dataset.percentage", footprint.dataset_percent());
    write_share(reply, "peak.percentage", footprint.peak_percent());
}

/// Twelve pairs.
fn write_allocator(reply: &mut Reply<'_>, footprint: &Footprint) {
    for (name, bytes) in [
        ("allocator.allocated", footprint.allocated),
        ("allocator.active", footprint.active),
        ("allocator.resident", footprint.resident),
        ("allocator.muzzy", memory::muzzy_bytes()),
    ] {
        write_amount(reply, name, bytes);
    }
    write_ratio(
        reply,
        "allocator-fragmentation.ratio",
        "allocator-fragmentation.bytes",
        footprint.fragmentation(),
    );
    write_ratio(
        reply,
        "allocator-rss.ratio",
        "allocator-rss.bytes",
        footprint.allocator_excess(),
    );
    write_ratio(
        reply,
        "rss-overhead.ratio",
        "rss-overhead.bytes",
        footprint.process_excess(),
    );
    write_ratio(
        reply,
        "fragmentation",
        "fragmentation.bytes",
        footprint.total_excess(),
    );
}

fn write_amount(reply: &mut Reply<'_>, name: &str, amount: u64) {
    reply.bulk(name.as_bytes());
    reply.int(amount.cast_signed());
}

fn write_share(reply: &mut Reply<'_>, name: &str, share: f64) {
    reply.bulk(name.as_bytes());
    reply.double(share);
}

fn write_ratio(reply: &mut Reply<'_>, share_name: &str, excess_name: &str, ratio: Ratio) {
    write_share(reply, share_name, ratio.share);
    reply.bulk(excess_name.as_bytes());
    reply.int(ratio.excess);
}

const MALLOC_STATS: Row = Row {
    name: "malloc-stats",
    summary: "Shows the allocator's own report.",
    complexity: "Depends on how much memory is allocated, could be slow",
    tips: SPECIAL,
    run: malloc_stats,
    ..BASE
};

fn malloc_stats(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let text = memory::malloc_stats().map_err(Error::err)?;
    cx.reply.verbatim("txt", &text);
    Ok(DONE)
}

const PURGE: Row = Row {
    name: "purge",
    summary: "Makes the allocator return what it does not need.",
    complexity: "Depends on how much memory is allocated, could be slow",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: purge,
    ..BASE
};

fn purge(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    memory::purge().map_err(|_| Error::fixed("ERR Error purging dirty pages"))?;
    cx.reply.ok();
    Ok(DONE)
}

const DOCTOR: Row = Row {
    name: "doctor",
    summary: "Reports what looks wrong with the memory.",
    tips: SPECIAL,
    run: doctor,
    ..BASE
};

fn doctor(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let (clients, scripts) = (clients(cx).count() as u64, cx.server.scripts.scripts);
    let text = diagnosis(&Footprint::of(cx), clients, scripts);
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

/// Below this the doctor sees nothing: what the process needs for itself hides everything else.
const DOCTOR_USED_MIN: u64 = 5 << 20;
/// Ratios count only when so much memory is behind them.
const DOCTOR_EXCESS_MIN: i64 = 10 << 20;
/// Buffers of one client, on average, that are worth a word.
const DOCTOR_CLIENT_BYTES: u64 = 200 << 10;
/// Scripts in EVAL's cache that nobody writes by hand.
const DOCTOR_SCRIPTS: usize = 1000;

fn diagnosis(footprint: &Footprint, clients: u64, scripts: usize) -> String {
    if footprint.used < DOCTOR_USED_MIN {
        return "Hi Sam, there is next to nothing in memory here, so there is nothing to examine. Come back \
                when there is some data.\n"
            .to_owned();
    }
    let large = |ratio: Ratio, limit: f64| ratio.share > limit && ratio.excess > DOCTOR_EXCESS_MIN;
    let findings = [
        (footprint.peak * 2 > footprint.used * 3, PEAK),
        (large(footprint.total_excess(), 1.4), TOTAL),
        (large(footprint.fragmentation(), 1.1), FRAGMENTATION),
        (large(footprint.allocator_excess(), 1.1), ALLOCATOR_RSS),
        (large(footprint.process_excess(), 1.1), PROCESS_RSS),
        (footprint.clients / clients.max(1) > DOCTOR_CLIENT_BYTES, CLIENTS),
        (scripts > DOCTOR_SCRIPTS, SCRIPTS),
    ];
    let found: String = findings
        .iter()
        .filter(|(true_here, _)| *true_here)
        .map(|(_, text)| format!(" * {text}\n\n"))
        .collect();
    if found.is_empty() {
        return "Hi Sam, the memory of this server is in order as far as I can see.\n".to_owned();
    }
    format!("Sam, I detected a few issues in the memory of this server ({ALLOCATOR}):\n\n{found}")
}

const PEAK: &str = "\
    Peak memory: more than one and a half times what is used now was used in the past. Allocators keep \
    much of such a peak, so fragmentation looks high; that alone does no harm, and new data will fill \
    the room. If the peak was an exception, MEMORY PURGE may give some of it back, and a restart all of \
    it.";
const TOTAL: &str = "\
    High total RSS: the process takes over 1.4 times the memory that was asked for. The usual causes are \
    a peak in the past (see whether it is listed) and a workload whose sizes of values keep changing.";
const FRAGMENTATION: &str = "\
    High allocator fragmentation: over a tenth of the pages in use are gaps. The usual causes are a peak \
    in the past and values whose sizes keep changing.";
const ALLOCATOR_RSS: &str = "\
    High allocator RSS overhead: the allocator holds over a tenth more pages than it uses. It gives them \
    back by and by; MEMORY PURGE makes it do so now.";
const PROCESS_RSS: &str = "\
    High process RSS overhead: over a tenth of the process's memory is not the allocator's. Libraries, \
    threads and scripts take memory that is not counted here.";
const CLIENTS: &str = "\
    Big client buffers: clients take over 200 KiB each on average. Look for large 'qbuf', 'omem' and \
    'tot-mem' in CLIENT LIST: some clients may send huge commands or read their replies too slowly.";

const SCRIPTS: &str = "\
    Many scripts: over a thousand are in EVAL's cache. Scripts that differ from call to call, because values \
    are written into their text, fill it; give values as keys and arguments instead.";

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: |cx, _| help(cx, &MEMORY),
    ..BASE
};

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Footprint {
        Footprint {
            used: 100 << 20,
            peak: 100 << 20,
            startup: 1 << 20,
            resident_set: 104 << 20,
            allocated: 100 << 20,
            active: 101 << 20,
            resident: 103 << 20,
            clients: 1 << 10,
            pooled: 0,
            gaps: 1 << 20,
            aof_buffer: 0,
            interpreters: 0,
            lua_caches: 0,
            function_caches: 0,
            tables: Vec::new(),
            keys: 1,
        }
    }

    #[test]
    fn a_healthy_server_gets_a_clean_bill() {
        assert!(diagnosis(&healthy(), 1, 1000).contains("in order"));
        assert!(
            diagnosis(
                &Footprint {
                    used: 1 << 20,
                    ..healthy()
                },
                1,
                0
            )
            .contains("nothing to examine")
        );
    }

    #[test]
    fn each_finding_is_told() {
        let sick = Footprint {
            peak: 151 << 20,
            resident_set: 200 << 20,
            clients: 300 << 10,
            ..healthy()
        };
        let text = diagnosis(&sick, 1, 1001);
        for finding in [
            "Peak memory",
            "High total RSS",
            "High process RSS",
            "Big client buffers",
            "Many scripts",
        ] {
            assert!(text.contains(finding), "{text}");
        }
        assert!(!text.contains("allocator fragmentation"));
    }
}
