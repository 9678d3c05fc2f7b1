//! SUBSCRIBE UNSUBSCRIBE, PSUBSCRIBE PUNSUBSCRIBE, SSUBSCRIBE SUNSUBSCRIBE.
//!
//! Each name is confirmed by a message of its own, `[verb, name, subscriptions left]`, a push in RESP3. Compat: channels
//! and patterns are counted together, shard channels by themselves; and these pushes come even to a client that has
//! turned its replies off.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::pubsub::Kind;
use crate::session::SessionFlags;

/// The rows of this file.
pub const ROWS: &[Row] = &[
    SUBSCRIBE,
    UNSUBSCRIBE,
    PSUBSCRIBE,
    PUNSUBSCRIBE,
    SSUBSCRIBE,
    SUNSUBSCRIBE,
];

const FLAGS: Flags = Flags::PUBSUB
    .with(Flags::NOSCRIPT)
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::IN_SUBSCRIBED_STATE)
    .with(Flags::ANSWERS_BY_PUSH);

const SUBSCRIBE: Row = Row {
    name: "subscribe",
    summary: "Begins to listen to channels.",
    since: "2.0.0",
    complexity: "O(N), N being the number of channels",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::string("channel").multiple()],
    run: |cx, args| join(cx, args, Kind::Channel, b"subscribe"),
    ..Row::BASE
};

const UNSUBSCRIBE: Row = Row {
    name: "unsubscribe",
    summary: "Listens no longer to some channels, or to any.",
    since: "2.0.0",
    complexity: "O(N), N being the number of channels",
    group: Group::Pubsub,
    arity: Arity::AtLeast(1),
    flags: FLAGS,
    args: &[Arg::string("channel").optional().multiple()],
    run: |cx, args| part(cx, args, Kind::Channel, b"unsubscribe"),
    ..Row::BASE
};

const PSUBSCRIBE: Row = Row {
    name: "psubscribe",
    summary: "Begins to listen to all channels that match patterns.",
    since: "2.0.0",
    complexity: "O(N), N being the number of patterns",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    args: &[Arg::pattern("pattern").multiple()],
    run: |cx, args| join(cx, args, Kind::Pattern, b"psubscribe"),
    ..Row::BASE
};

const PUNSUBSCRIBE: Row = Row {
    name: "punsubscribe",
    summary: "Listens no longer by some patterns, or by any.",
    since: "2.0.0",
    complexity: "O(N), N being the number of patterns",
    group: Group::Pubsub,
    arity: Arity::AtLeast(1),
    flags: FLAGS,
    args: &[Arg::pattern("pattern").optional().multiple()],
    run: |cx, args| part(cx, args, Kind::Pattern, b"punsubscribe"),
    ..Row::BASE
};

const SSUBSCRIBE: Row = Row {
    name: "ssubscribe",
    summary: "Begins to listen to shard channels.",
    since: "7.0.0",
    complexity: "O(N), N being the number of shard channels",
    group: Group::Pubsub,
    arity: Arity::AtLeast(2),
    flags: FLAGS,
    keys: &[KeySpec::range(1, -1, 1, Access::NOT_KEY)],
    args: &[Arg::string("shardchannel").multiple()],
    run: |cx, args| join(cx, args, Kind::Shard, b"ssubscribe"),
    ..Row::BASE
};

const SUNSUBSCRIBE: Row = Row {
    name: "sunsubscribe",
    summary: "Listens no longer to some shard channels, or to any.",
    since: "7.0.0",
    complexity: "O(N), N being the number of shard channels",
    group: Group::Pubsub,
    arity: Arity::AtLeast(1),
    flags: FLAGS,
    keys: &[KeySpec::range(1, -1, 1, Access::NOT_KEY)],
    args: &[Arg::string("shardchannel").optional().multiple()],
    run: |cx, args| part(cx, args, Kind::Shard, b"sunsubscribe"),
    ..Row::BASE
};

fn join(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind, verb: &[u8]) -> Outcome {
    // Compat: of the three only this one is refused in a transaction, when it is run.
    if matches!(kind, Kind::Shard) && cx.session().multi >= 0 {
        return Err(Error::fixed(
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
        ));
    }
    for name in args.iter_from(1) {
        cx.pubsub.registry.subscribe(kind, name, cx.client);
        confirm(cx, kind, verb, Some(name));
    }
    Ok(DONE)
}

fn part(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind, verb: &[u8]) -> Outcome {
    if args.len() > 1 {
        args.iter_from(1).for_each(|name| end(cx, kind, verb, name));
        return Ok(DONE);
    }
    let names = cx.pubsub.registry.names_of(kind, cx.client);
    let all: Vec<Box<[u8]>> = names.map(Into::into).collect();
    if all.is_empty() {
        confirm(cx, kind, verb, None);
    }
    all.iter().for_each(|name| end(cx, kind, verb, name));
    Ok(DONE)
}

fn end(cx: &mut Cx<'_>, kind: Kind, verb: &[u8], name: &[u8]) {
    cx.pubsub.registry.unsubscribe(kind, name, cx.client);
    confirm(cx, kind, verb, Some(name));
}

/// Tells what the client is subscribed to now, in its session and to itself.
fn confirm(cx: &mut Cx<'_>, kind: Kind, verb: &[u8], name: Option<&[u8]>) {
    note(cx);
    let session = cx.session();
    let count = match kind {
        Kind::Shard => session.shard_channels,
        Kind::Channel | Kind::Pattern => session.channels + session.patterns,
    };
    cx.reply.push(3);
    cx.reply.bulk(verb);
    match name {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.null(),
    }
    cx.reply.int(count as i64);
}

/// Keeps the session's numbers and its switch as the registry has them.
fn note(cx: &mut Cx<'_>) {
    let (registry, session) = (&cx.pubsub.registry, &mut cx.sessions[cx.client]);
    session.channels = registry.count_of(Kind::Channel, cx.client);
    session.patterns = registry.count_of(Kind::Pattern, cx.client);
    session.shard_channels = registry.count_of(Kind::Shard, cx.client);
    let any = session.channels + session.patterns + session.shard_channels > 0;
    session.flags.set(SessionFlags::PUBSUB, any);
}
