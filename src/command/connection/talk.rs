//! PING ECHO SELECT.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::generic::relocate::db_index;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::session::SessionFlags;

/// The rows of this file.
pub const ROWS: &[Row] = &[PING, ECHO, SELECT];

const PING: Row = Row {
    name: "ping",
    summary: "Answers PONG, or the message it was given.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::AtLeast(1),
    flags: Flags::FAST
        .with(Flags::IN_SUBSCRIBED_STATE)
        .with(Flags::TELLS_HEALTH),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[Arg::string("message").optional()],
    run: ping,
    ..Row::BASE
};

fn ping(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 2 {
        return Err(Error::Arity("ping".into()));
    }
    let subscribed = cx.session().flags.contains(SessionFlags::PUBSUB);
    match args.try_get(1) {
        message if subscribed && !cx.reply.resp3 => pong_to_subscriber(cx, message.unwrap_or_default()),
        Some(message) => cx.reply.bulk(message),
        None => cx.reply.pong(),
    }
    Ok(DONE)
}

/// A subscriber with RESP2 gets nothing but messages, so its answer must look like one.
fn pong_to_subscriber(cx: &mut Cx<'_>, message: &[u8]) {
    cx.reply.array(2);
    cx.reply.bulk(b"pong");
    cx.reply.bulk(message);
}

const ECHO: Row = Row {
    name: "echo",
    summary: "Answers the message it was given.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
    args: &[Arg::string("message")],
    run: echo,
    ..Row::BASE
};

fn echo(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    cx.reply.bulk(args.get(1));
    Ok(DONE)
}

const SELECT: Row = Row {
    name: "select",
    summary: "Chooses the database that the connection works on.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: Flags::LOADING
        .with(Flags::STALE)
        .with(Flags::FAST)
        .with(Flags::IN_LOG),
    args: &[Arg::integer("index")],
    run: select,
    ..Row::BASE
};

fn select(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let db = db_index(cx, args, 1)?;
    cx.session().db = db;
    cx.reply.ok();
    Ok(DONE)
}
