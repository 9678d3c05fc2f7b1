//! XINFO: what a stream, its groups and their consumers look like from outside.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help;
use crate::command::row::{Access, Arg, Arity, Flags, Group as Family, KeySpec, Row};
use crate::resp::Reply;
use crate::value::stream::group::Consumer;
use crate::value::stream::range::Direction;
use crate::value::stream::{Group, Log, Stream, StreamId};

use super::{Held, no_group_of_key, reply_entry};

/// The rows of this file.
pub const ROWS: &[Row] = &[XINFO];

const XINFO: Row = Row {
    name: "xinfo",
    summary: "Groups the commands that look into streams.",
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    group: Family::Stream,
    arity: Arity::AtLeast(2),
    children: &[CONSUMERS, GROUPS, HELP, STREAM],
    ..Row::BASE
};

/// What the subcommands have in common.
const BASE: Row = Row {
    since: "5.0.0",
    complexity: "O(1)",
    group: Family::Stream,
    flags: Flags::READONLY,
    keys: &[KeySpec::one(2, Access::RO.with(Access::ACCESS))],
    ..Row::BASE
};

/// Entries that XINFO STREAM FULL shows of each list unless told otherwise.
const FULL_COUNT: usize = 10;

const CONSUMERS: Row = Row {
    name: "consumers",
    summary: "Lists the consumers of a group.",
    arity: Arity::Exactly(4),
    tips: &["nondeterministic_output"],
    history: &[(
        "7.2.0",
        "The time since a consumer last got anything (`inactive`); `idle` is the time since it last asked.",
    )],
    args: &[Arg::key("key", 0), Arg::string("group")],
    run: consumers,
    ..BASE
};

fn consumers(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = cx.now_ms();
    let stream = cx.keys.read_as::<Held>(args.key(2))?.ok_or(Error::NoSuchKey)?;
    let group = stream.groups.get(args.get(3));
    let group = group.ok_or_else(|| no_group_of_key(args.get(2), args.get(3)))?;
    let reply = &mut cx.reply;
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        let inactive_ms = match consumer.active_ms {
            -1 => -1,
            at => now_ms.saturating_sub(at),
        };
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        field(reply, "pending", consumer.pending().len() as i64);
        field(reply, "idle", now_ms.saturating_sub(consumer.seen_ms).max(0));
        field(reply, "inactive", inactive_ms);
    }
    Ok(DONE)
}

const GROUPS: Row = Row {
    name: "groups",
    summary: "Lists the consumer groups of a stream.",
    arity: Arity::Exactly(3),
    history: &[("7.0.0", "How far groups have read (`entries-read` and `lag`).")],
    args: &[Arg::key("key", 0)],
    run: groups,
    ..BASE
};

fn groups(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let stream = cx.keys.read_as::<Held>(args.key(2))?.ok_or(Error::NoSuchKey)?;
    let reply = &mut cx.reply;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        field(reply, "consumers", group.consumer_count() as i64);
        field(reply, "pending", group.pending().len() as i64);
        field_id(reply, "last-delivered-id", group.last_id);
        reply_progress(reply, &stream.log, group);
    }
    Ok(DONE)
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE),
    keys: &[],
    run: xinfo_help,
    ..BASE
};

fn xinfo_help(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    help::help(cx, &XINFO)
}

const STREAM: Row = Row {
    name: "stream",
    summary: "Describes a stream.",
    arity: Arity::AtLeast(3),
    history: &[
        ("6.0.0", "Entries, groups and consumers in detail (`FULL`)."),
        (
            "7.0.0",
            "Ids and numbers of entries that are gone (`max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`), and how far groups have read (`entries-read`, `lag`).",
        ),
        (
            "7.2.0",
            "When a consumer last got anything (`active-time`); `seen-time` is when it last asked.",
        ),
    ],
    args: &[
        Arg::key("key", 0),
        Arg::block(
            "full-block",
            &[
                Arg::flag("full", "FULL"),
                Arg::integer("count").token("COUNT").optional(),
            ],
        )
        .optional(),
    ],
    run: stream,
    ..BASE
};

/// The key must exist before the options are looked at.
fn stream(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let stream = cx.keys.read_as::<Held>(args.key(2))?.ok_or(Error::NoSuchKey)?;
    let full = parse_full(args)?;
    let reply = &mut cx.reply;
    reply.map(if full.is_some() { 9 } else { 10 });
    reply_log(reply, &stream.log);
    match full {
        None => reply_ends(reply, stream),
        Some(count) => reply_full(reply, stream, count),
    }
    Ok(DONE)
}

/// `FULL [COUNT n]`: how many entries of each list; 0 means all, a negative number what is usual.
fn parse_full(args: Args<'_>) -> Result<Option<usize>, Error> {
    let is_full = args.len() > 3 && args.is(3, "full");
    match args.len() {
        3 => Ok(None),
        4 if is_full => Ok(Some(FULL_COUNT)),
        6 if is_full && args.is(4, "count") => match args.int(5)? {
            0 => Ok(Some(usize::MAX)),
            count => Ok(Some(usize::try_from(count).unwrap_or(FULL_COUNT))),
        },
        _ => Err(Error::quoting(
            "unknown subcommand or wrong number of arguments for '",
            args.get(1),
            "'. Try XINFO HELP.",
        )),
    }
}

/// What both forms begin with: seven pairs.
fn reply_log(reply: &mut Reply<'_>, log: &Log) {
    field(reply, "length", log.len() as i64);
    field(reply, "radix-tree-keys", log.node_count() as i64);
    field(reply, "radix-tree-nodes", log.tree_nodes() as i64);
    field_id(reply, "last-generated-id", log.last_id);
    field_id(reply, "max-deleted-entry-id", log.max_deleted_id);
    field(reply, "entries-added", log.entries_added as i64);
    field_id(reply, "recorded-first-entry-id", log.first_id());
}

fn reply_ends(reply: &mut Reply<'_>, stream: &Stream) {
    field(reply, "groups", stream.groups.len() as i64);
    for (name, direction) in [
        ("first-entry", Direction::Forward),
        ("last-entry", Direction::Backward),
    ] {
        reply.bulk(name.as_bytes());
        let mut entries = stream.log.range(StreamId::MIN, StreamId::MAX, direction);
        match entries.next() {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn reply_full(reply: &mut Reply<'_>, stream: &Stream, count: usize) {
    reply.bulk(b"entries");
    let all = stream.log.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
    let shown = usize::try_from(stream.log.len()).unwrap_or(usize::MAX).min(count);
    reply.array(shown);
    all.take(shown).for_each(|entry| reply_entry(reply, &entry));
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        field_id(reply, "last-delivered-id", group.last_id);
        reply_progress(reply, &stream.log, group);
        field(reply, "pel-count", group.pending().len() as i64);
        reply_pending(reply, group, count);
        reply.bulk(b"consumers");
        reply.array(group.consumer_count());
        for consumer in group.consumers() {
            reply_consumer(reply, group, consumer, count);
        }
    }
}

/// How far a group has read: two pairs.
fn reply_progress(reply: &mut Reply<'_>, log: &Log, group: &Group) {
    for (name, number) in [("entries-read", group.entries_read), ("lag", log.lag(group))] {
        reply.bulk(name.as_bytes());
        match number {
            Some(number) => reply.int(number),
            None => reply.null(),
        }
    }
}

fn reply_pending(reply: &mut Reply<'_>, group: &Group, count: usize) {
    let pending = group.pending();
    reply.bulk(b"pending");
    reply.array(pending.len().min(count));
    for (id, pending) in pending.iter().take(count) {
        reply.array(4);
        reply.bulk(&id.text());
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(pending.delivered_ms);
        reply.int(pending.deliveries as i64);
    }
}

fn reply_consumer(reply: &mut Reply<'_>, group: &Group, consumer: &Consumer, count: usize) {
    let own = consumer.pending();
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    field(reply, "seen-time", consumer.seen_ms);
    field(reply, "active-time", consumer.active_ms);
    field(reply, "pel-count", own.len() as i64);
    reply.bulk(b"pending");
    reply.array(own.len().min(count));
    for (id, ()) in own.iter().take(count) {
        let pending = group.pending().get(id);
        reply.array(3);
        reply.bulk(&id.text());
        reply.int(pending.map_or(0, |pending| pending.delivered_ms));
        reply.int(pending.map_or(0, |pending| pending.deliveries as i64));
    }
}

fn field(reply: &mut Reply<'_>, name: &str, number: i64) {
    reply.bulk(name.as_bytes());
    reply.int(number);
}

fn field_id(reply: &mut Reply<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    reply.bulk(&id.text());
}
