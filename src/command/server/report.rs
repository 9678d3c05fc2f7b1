//! RUSSET.MEMORY: which keys take the memory, by prefix, by type and one by one. An extension of our own.
//!
//! ```text
//!   START options ──> survey under way ──(recurring work goes on with it)──> complete ──> REPORT, as text or as data
//!                            └── STOP ──> stopped, with what it has found so far
//! ```
//!
//! Compat: neither Redis nor Valkey has it; the dot keeps its name apart from whatever they may add.
//!
//! Not here: gathering (`keyspace::survey`), how it looks as text (`report_text`).

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::generic::relocate::db_index;
use crate::command::help::help;
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};
use crate::keyspace::survey::prefixes::Prefix;
use crate::keyspace::survey::top::Top;
use crate::keyspace::survey::{KINDS, Named, Options, State, Survey, Tally};
use crate::resp::Reply;

use super::report_text;

/// Since when there is the extension: it came with the first version.
const SINCE: &str = "7.4.1";

/// It shows names of keys, and costs time.
const FLAGS: Flags = Flags::ADMIN.with(Flags::NOSCRIPT);

const TIPS: &[&str] = &["nondeterministic_output"];

pub(super) const RUSSET_MEMORY: Row = Row {
    name: "russet.memory",
    summary: "Groups the commands of the memory report, an extension.",
    since: SINCE,
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    children: &[HELP, REPORT, START, STATUS, STOP],
    ..Row::BASE
};

/// What the subcommands share.
const BASE: Row = Row {
    since: SINCE,
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: FLAGS,
    categories: Categories::KEYSPACE,
    tips: TIPS,
    ..Row::BASE
};

const START: Row = Row {
    name: "start",
    summary: "Begins a new survey of all keys in the background; the last one is forgotten.",
    complexity: "O(1); the survey is O(N) in the background, N being the number of keys.",
    arity: Arity::AtLeast(2),
    args: &[
        Arg::integer("index").token("DB").optional(),
        Arg::string("separator").token("SEPARATOR").optional(),
        Arg::integer("levels").token("DEPTH").optional(),
        Arg::integer("count").token("PREFIXES").optional(),
        Arg::integer("count").token("TOP").optional(),
        Arg::integer("count").token("SAMPLES").optional(),
    ],
    run: start,
    ..BASE
};

const RUNNING: Error = Error::fixed("ERR a survey is under way: RUSSET.MEMORY STOP ends it");

fn start(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = options(cx, args)?;
    if cx.keys.is_surveyed() {
        return Err(RUNNING);
    }
    let survey = Survey::new(options, cx.keys.access.lfu, cx.now_ms());
    cx.keys.survey = Some(Box::new(survey));
    cx.reply.ok();
    Ok(DONE)
}

/// Bounds that keep what a survey takes, and any one piece of its work, small.
const DEPTH_MAX: i64 = 16;
const PREFIXES_MAX: i64 = 10_000;
const TOP_MAX: i64 = 1_000;
const SEPARATOR_BYTES_MAX: usize = 64;

fn options(cx: &Cx<'_>, args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    for at in (2..args.len()).step_by(2) {
        if at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        let count = |max: i64| Ok::<usize, Error>(args.int_in(at + 1, 1..=max)? as usize);
        if args.is(at, "db") {
            options.db = Some(db_index(cx, args, at + 1)?);
        } else if args.is(at, "separator") {
            options.separator = separator(args.get(at + 1))?;
        } else if args.is(at, "depth") {
            options.depth = count(DEPTH_MAX)?;
        } else if args.is(at, "prefixes") {
            options.prefixes_max = count(PREFIXES_MAX)?;
        } else if args.is(at, "top") {
            options.top = count(TOP_MAX)?;
        } else if args.is(at, "samples") {
            options.samples = args.int_in(at + 1, 0..=i64::from(u32::MAX))? as usize;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(options)
}

fn separator(text: &[u8]) -> Result<Box<[u8]>, Error> {
    if (1..=SEPARATOR_BYTES_MAX).contains(&text.len()) {
        Ok(text.into())
    } else {
        Err(Error::fixed("ERR a separator has 1 to 64 bytes"))
    }
}

const STOP: Row = Row {
    name: "stop",
    summary: "Ends the survey under way; what it has found stays.",
    run: stop,
    ..BASE
};

fn stop(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let now_ms = cx.now_ms();
    cx.keys.survey.as_deref_mut().ok_or(NONE)?.stop(now_ms);
    cx.reply.ok();
    Ok(DONE)
}

const NONE: Error = Error::fixed("ERR there is no survey: RUSSET.MEMORY START begins one");

/// The survey there is.
fn survey<'c>(cx: &'c Cx<'_>) -> Result<&'c Survey, Error> {
    cx.keys.survey.as_deref().ok_or(NONE)
}

const STATUS: Row = Row {
    name: "status",
    summary: "Tells how far the survey is.",
    run: status,
    ..BASE
};

fn status(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let status = Status::of(cx, survey(cx)?);
    cx.reply.map(STATUS_PAIRS);
    write_status(&mut cx.reply, &status);
    Ok(DONE)
}

/// How a survey stands.
pub(super) struct Status {
    pub state: &'static str,
    /// From 0 to 1.
    pub progress: f64,
    pub seen: Tally,
    pub started_ms: i64,
    /// From its start to its end or now.
    pub elapsed_ms: i64,
    /// Of that at work.
    pub spent_us: u64,
}

impl Status {
    pub(super) fn of(cx: &Cx<'_>, survey: &Survey) -> Status {
        let (state, until_ms) = match survey.state {
            State::Running => ("running", cx.now_ms()),
            State::Complete => ("complete", survey.ended_ms),
            State::Stopped => ("stopped", survey.ended_ms),
        };
        Status {
            state,
            progress: survey.progress(cx.keys),
            seen: survey.total(),
            started_ms: survey.started_ms,
            elapsed_ms: (until_ms - survey.started_ms).max(0),
            spent_us: survey.spent_us,
        }
    }
}

const STATUS_PAIRS: usize = 7;

fn write_status(reply: &mut Reply<'_>, status: &Status) {
    write_text(reply, "state", status.state.as_bytes());
    reply.bulk(b"progress");
    reply.double(status.progress);
    for (name, amount) in [
        ("keys", status.seen.keys),
        ("bytes", status.seen.bytes),
        ("started-ms", status.started_ms.cast_unsigned()),
        ("elapsed-ms", status.elapsed_ms.cast_unsigned()),
        ("spent-us", status.spent_us),
    ] {
        write_amount(reply, name, amount);
    }
}

fn write_text(reply: &mut Reply<'_>, name: &str, text: &[u8]) {
    reply.bulk(name.as_bytes());
    reply.bulk(text);
}

fn write_amount(reply: &mut Reply<'_>, name: &str, amount: u64) {
    reply.bulk(name.as_bytes());
    reply.int(amount.cast_signed());
}

const REPORT: Row = Row {
    name: "report",
    summary: "Tells what the survey has found, so far if it is under way: for people, or for programs.",
    complexity: "O(N log N) where N is the number of prefixes and keys listed.",
    arity: Arity::AtLeast(2),
    args: &[Arg::one_of("format", &[Arg::flag("text", "TEXT"), Arg::flag("data", "DATA")]).optional()],
    run: report,
    ..BASE
};

fn report(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let as_data = match args.len() {
        2 => false,
        3 if args.is(2, "text") => false,
        3 if args.is(2, "data") => true,
        _ => return Err(Error::Syntax),
    };
    let survey = cx.keys.survey.as_deref().ok_or(NONE)?;
    let status = Status::of(cx, survey);
    if as_data {
        write_report(&mut cx.reply, &status, survey);
    } else {
        let text = report_text::render(&status, survey);
        cx.reply.verbatim("txt", text.as_bytes());
    }
    Ok(DONE)
}

fn write_report(reply: &mut Reply<'_>, status: &Status, survey: &Survey) {
    let findings = &survey.findings;
    reply.map(STATUS_PAIRS + 9);
    write_status(reply, status);
    write_amount(reply, "tables-bytes", findings.tables_bytes);
    reply.bulk(b"types");
    reply.map(KINDS.len());
    for (kind, tally) in KINDS.iter().zip(findings.kinds) {
        reply.bulk(kind.name().as_bytes());
        write_tally(reply, tally);
    }
    for (name, tally) in [
        ("expiring", findings.volatile),
        ("no-prefix", findings.prefixes.bare()),
    ] {
        reply.bulk(name.as_bytes());
        write_tally(reply, tally);
    }
    write_prefixes(reply, survey);
    write_top(reply, "biggest", "bytes", &findings.biggest);
    write_text(reply, "heat", heat_name(survey).as_bytes());
    write_top(reply, "hottest", "heat", &findings.hottest);
}

/// What makes a key hot.
pub(super) fn heat_name(survey: &Survey) -> &'static str {
    if survey.by_frequency {
        "frequency"
    } else {
        "last-use"
    }
}

fn write_tally(reply: &mut Reply<'_>, tally: Tally) {
    reply.map(2);
    write_amount(reply, "keys", tally.keys);
    write_amount(reply, "bytes", tally.bytes);
}

fn write_prefixes(reply: &mut Reply<'_>, survey: &Survey) {
    let prefixes = &survey.findings.prefixes;
    let biggest = prefixes.biggest();
    reply.bulk(b"other-prefixes");
    write_tally(reply, others(survey, &biggest));
    reply.bulk(b"prefixes");
    reply.array(biggest.len());
    for (name, prefix) in biggest {
        reply.map(5);
        write_text(reply, "prefix", name);
        write_amount(reply, "depth", prefix.depth as u64);
        write_amount(reply, "keys", prefix.tally.keys);
        write_amount(reply, "bytes", prefix.tally.bytes);
        reply.bulk(b"exact");
        reply.int(i64::from(prefix.since_start));
    }
}

/// What belongs to prefixes that are not listed: all keys less those of the outermost prefixes, and those without any.
pub(super) fn others(survey: &Survey, listed: &[(&[u8], Prefix)]) -> Tally {
    let outermost = listed.iter().filter(|(_, prefix)| prefix.depth == 1);
    let rest = survey.total().without(survey.findings.prefixes.bare());
    outermost.fold(rest, |rest, (_, prefix)| rest.without(prefix.tally))
}

fn write_top(reply: &mut Reply<'_>, name: &str, rank_name: &str, top: &Top<Named>) {
    let highest = top.highest();
    reply.bulk(name.as_bytes());
    reply.array(highest.len());
    for (rank, key) in highest {
        let by_bytes = rank_name == "bytes";
        reply.map(if by_bytes { 5 } else { 6 });
        write_text(reply, "key", &key.name);
        write_amount(reply, "key-length", key.name_bytes as u64);
        write_amount(reply, "db", key.db as u64);
        write_text(reply, "type", key.kind.as_bytes());
        write_amount(reply, "bytes", key.bytes);
        if !by_bytes {
            write_amount(reply, rank_name, rank);
        }
    }
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    categories: Categories::empty(),
    tips: &[],
    run: |cx, _| help(cx, &RUSSET_MEMORY),
    ..BASE
};
