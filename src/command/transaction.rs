//! MULTI EXEC DISCARD WATCH UNWATCH: commands that run one after the other with nothing in between.
//!
//! The executor queues what follows MULTI (rows with `RUNS_IN_MULTI` excepted) and runs the queue when EXEC says so.
//! What WATCH promises is kept by versions of the keys: see [`crate::keyspace::interest`].

use crate::keyspace::Keyspace;
use crate::session::{Session, SessionFlags};

use super::args::Args;
use super::cx::{Control, Cx, DONE, Next, Outcome};
use super::error::Error;
use super::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[MULTI, EXEC, DISCARD, WATCH, UNWATCH];

/// Flags they share.
const ALWAYS: Flags = Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE);

const MULTI: Row = Row {
    name: "multi",
    summary: "Begins a transaction.",
    since: "1.2.0",
    group: Group::Transactions,
    arity: Arity::Exactly(1),
    flags: ALWAYS
        .with(Flags::FAST)
        .with(Flags::ALLOW_BUSY)
        .with(Flags::IN_LOG)
        .with(Flags::RUNS_IN_MULTI),
    run: multi,
    ..Row::BASE
};

fn multi(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let session = cx.session();
    if session.multi >= 0 {
        return Err(Error::fixed("ERR MULTI calls can not be nested"));
    }
    session.multi = 0;
    cx.reply.ok();
    Ok(DONE)
}

const EXEC: Row = Row {
    name: "exec",
    summary: "Runs the commands of a transaction.",
    since: "1.2.0",
    complexity: "Depends on the commands of the transaction",
    group: Group::Transactions,
    arity: Arity::Exactly(1),
    flags: ALWAYS
        .with(Flags::SKIP_SLOWLOG)
        .with(Flags::IN_LOG)
        .with(Flags::RUNS_IN_MULTI)
        .with(Flags::RUNS_QUEUE),
    run: exec,
    ..Row::BASE
};

const ABORTED: Error = Error::fixed("EXECABORT Transaction discarded because of previous errors.");

fn exec(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    if cx.session().multi < 0 {
        return Err(Error::fixed("ERR EXEC without MULTI"));
    }
    let failed = cx.session().flags.contains(SessionFlags::DIRTY_EXEC);
    if !failed && !is_outdated(&cx.sessions[cx.client], cx.keys) {
        return Ok(Next::Control(Control::Exec));
    }
    discard_transaction(&mut cx.sessions[cx.client], cx.keys);
    if failed {
        return Err(ABORTED);
    }
    cx.reply.null_array();
    Ok(DONE)
}

const DISCARD: Row = Row {
    name: "discard",
    summary: "Gives a transaction up.",
    since: "2.0.0",
    complexity: "O(N), N being the number of queued commands",
    group: Group::Transactions,
    arity: Arity::Exactly(1),
    flags: ALWAYS
        .with(Flags::FAST)
        .with(Flags::ALLOW_BUSY)
        .with(Flags::IN_LOG)
        .with(Flags::RUNS_IN_MULTI),
    run: discard,
    ..Row::BASE
};

fn discard(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    if cx.session().multi < 0 {
        return Err(Error::fixed("ERR DISCARD without MULTI"));
    }
    discard_transaction(&mut cx.sessions[cx.client], cx.keys);
    cx.reply.ok();
    Ok(DONE)
}

const WATCH: Row = Row {
    name: "watch",
    summary: "Makes the next transaction depend on keys staying as they are.",
    since: "2.2.0",
    complexity: "O(1) for every key.",
    group: Group::Transactions,
    arity: Arity::AtLeast(2),
    flags: ALWAYS
        .with(Flags::FAST)
        .with(Flags::ALLOW_BUSY)
        .with(Flags::RUNS_IN_MULTI),
    keys: &[KeySpec::range(1, -1, 1, Access::RO)],
    args: &[Arg::key("key", 0).multiple()],
    run: watch,
    ..Row::BASE
};

fn watch(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if cx.session().multi >= 0 {
        return Err(Error::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    // To watch more is no use once the transaction is bound to fail.
    if !is_outdated(&cx.sessions[cx.client], cx.keys) {
        for word in 1..args.len() {
            let watch = cx.keys.watch(args.key(word));
            let watches = &mut cx.session().watches;
            match watches.binary_search_by_key(&watch.slot, |known| known.slot) {
                Ok(_) => cx.keys.changes.unwatch(watch),
                Err(place) => watches.insert(place, watch),
            }
        }
    }
    cx.reply.ok();
    Ok(DONE)
}

const UNWATCH: Row = Row {
    name: "unwatch",
    summary: "Makes the next transaction depend on no key.",
    since: "2.2.0",
    group: Group::Transactions,
    arity: Arity::Exactly(1),
    flags: ALWAYS.with(Flags::FAST).with(Flags::ALLOW_BUSY),
    run: unwatch,
    ..Row::BASE
};

fn unwatch(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    unwatch_all(&mut cx.sessions[cx.client], cx.keys);
    cx.reply.ok();
    Ok(DONE)
}

/// Whether a key has changed since the session began to watch it. O(keys watched).
pub fn is_outdated(session: &Session, keys: &Keyspace) -> bool {
    session.watches.iter().any(|&watch| keys.is_changed(watch))
}

/// Ends all watches of a session.
pub fn unwatch_all(session: &mut Session, keys: &mut Keyspace) {
    for watch in std::mem::take(&mut session.watches) {
        keys.changes.unwatch(watch);
    }
}

/// Takes a session out of its transaction, if it is in one, and ends its watches.
pub fn discard_transaction(session: &mut Session, keys: &mut Keyspace) {
    unwatch_all(session, keys);
    session.multi = -1;
    session.transaction = None;
    session.flags.remove(SessionFlags::DIRTY_EXEC);
}
