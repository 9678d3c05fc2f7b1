//! PUBLISH SPUBLISH.
//!
//! Not here: handing the message on to replicas and other cluster nodes.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[PUBLISH, SPUBLISH];

const FLAGS: Flags = Flags::PUBSUB
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::MAY_REPLICATE);

const PUBLISH: Row = Row {
    name: "publish",
    summary: "Sends a message to all who listen to a channel.",
    since: "2.0.0",
    complexity: "O(N+M), N being the channel's subscribers and M the patterns anybody is subscribed to",
    group: Group::Pubsub,
    arity: Arity::Exactly(3),
    flags: FLAGS,
    args: &[Arg::string("channel"), Arg::string("message")],
    run: publish,
    ..Row::BASE
};

fn publish(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let deliveries = cx
        .pubsub
        .publish(cx.sessions, Some(cx.client), args.get(1), args.get(2));
    cx.reply.int(deliveries as i64);
    Ok(DONE)
}

const SPUBLISH: Row = Row {
    name: "spublish",
    summary: "Sends a message to all who listen to a shard channel.",
    since: "7.0.0",
    complexity: "O(N), N being the shard channel's subscribers",
    group: Group::Pubsub,
    arity: Arity::Exactly(3),
    flags: FLAGS,
    keys: &[KeySpec::one(1, Access::NOT_KEY)],
    args: &[Arg::string("shardchannel"), Arg::string("message")],
    run: spublish,
    ..Row::BASE
};

fn spublish(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let deliveries = cx
        .pubsub
        .publish_to_shard(cx.sessions, Some(cx.client), args.get(1), args.get(2));
    cx.reply.int(deliveries as i64);
    Ok(DONE)
}
