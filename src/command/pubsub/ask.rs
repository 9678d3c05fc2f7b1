//! PUBSUB: who listens to what.

use crate::base::glob;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::pubsub::Kind;

/// The rows of this file.
pub const ROWS: &[Row] = &[PUBSUB];

const FLAGS: Flags = Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE);

const PUBSUB: Row = Row {
    name: "pubsub",
    summary: "Groups the commands that ask about subscriptions.",
    since: "2.8.0",
    complexity: "Depends on the subcommand.",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    children: &[CHANNELS, HELP, NUMPAT, NUMSUB, SHARDCHANNELS, SHARDNUMSUB],
    ..Row::BASE
};

const CHANNELS: Row = Row {
    name: "channels",
    summary: "Lists the channels that have subscribers, all or those that match a pattern.",
    since: "2.8.0",
    complexity: "O(N), N being the number of such channels, for patterns and names of bounded length",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::pattern("pattern").optional()],
    run: |cx, args| list(cx, args, Kind::Channel),
    ..Row::BASE
};

const SHARDCHANNELS: Row = Row {
    name: "shardchannels",
    summary: "Lists the shard channels that have subscribers, all or those that match a pattern.",
    since: "7.0.0",
    complexity: "O(N), N being the number of such shard channels, for patterns and names of bounded length",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::pattern("pattern").optional()],
    run: |cx, args| list(cx, args, Kind::Shard),
    ..Row::BASE
};

fn list(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    if args.len() > 3 {
        return Err(too_many_words(args));
    }
    let pattern = args.try_get(2);
    let names = cx.pubsub.registry.names(kind);
    let wanted = names.filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name, false)));
    let header = cx.reply.defer_array();
    let count = wanted.inspect(|name| cx.reply.bulk(name)).count();
    cx.reply.finish(header, count);
    Ok(DONE)
}

fn too_many_words(args: Args<'_>) -> Error {
    let shown = String::from_utf8_lossy(args.get(1));
    Error::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{shown}'. Try PUBSUB HELP."
    ))
}

const NUMSUB: Row = Row {
    name: "numsub",
    summary: "Tells how many subscribers channels have, not counting those by pattern.",
    since: "2.8.0",
    complexity: "O(N), N being the number of channels asked for",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::string("channel").optional().multiple()],
    run: |cx, args| count(cx, args, Kind::Channel),
    ..Row::BASE
};

const SHARDNUMSUB: Row = Row {
    name: "shardnumsub",
    summary: "Tells how many subscribers shard channels have.",
    since: "7.0.0",
    complexity: "O(N), N being the number of shard channels asked for",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::string("shardchannel").optional().multiple()],
    run: |cx, args| count(cx, args, Kind::Shard),
    ..Row::BASE
};

fn count(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    cx.reply.array(2 * (args.len() - 2));
    for name in args.iter_from(2) {
        cx.reply.bulk(name);
        cx.reply
            .int(cx.pubsub.registry.subscribers(kind, name).len() as i64);
    }
    Ok(DONE)
}

const NUMPAT: Row = Row {
    name: "numpat",
    summary: "Tells how many different patterns anybody is subscribed to.",
    since: "2.8.0",
    complexity: "O(1)",
    group: Group::Pubsub,
    arity: Arity::Exactly(2),
    flags: FLAGS,
    run: numpat,
    ..Row::BASE
};

fn numpat(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.int(cx.pubsub.registry.len(Kind::Pattern) as i64);
    Ok(DONE)
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::Pubsub,
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE),
    run: |cx, _| help::help(cx, &PUBSUB),
    ..Row::BASE
};
