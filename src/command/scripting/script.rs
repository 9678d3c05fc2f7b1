//! SCRIPT: the cache of EVAL's scripts.

use super::{act, flush_mode};
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome, ScriptAct};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};
use crate::session::SessionFlags;

/// The rows of this file.
pub const ROWS: &[Row] = &[SCRIPT];

const SCRIPT: Row = Row {
    name: "script",
    summary: "Groups the commands for the scripts of EVAL.",
    since: "2.6.0",
    complexity: "Depends on subcommand.",
    group: Group::Scripting,
    arity: Arity::AtLeast(2),
    children: &[DEBUG, EXISTS, FLUSH, HELP, KILL, LOAD],
    ..Row::BASE
};

/// What the subcommands share.
const BASE: Row = Row {
    since: "2.6.0",
    group: Group::Scripting,
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT,
    categories: Categories::SCRIPTING,
    ..Row::BASE
};

const DEBUG: Row = Row {
    name: "debug",
    summary: "Chooses how scripts are debugged.",
    since: "3.2.0",
    arity: Arity::Exactly(3),
    args: &[Arg::one_of(
        "mode",
        &[
            Arg::flag("yes", "YES"),
            Arg::flag("sync", "SYNC"),
            Arg::flag("no", "NO"),
        ],
    )],
    run: debug,
    ..BASE
};

fn debug(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if !cx.reply.out.is_empty() {
        return Err(Error::fixed("ERR SCRIPT DEBUG must be called outside a pipeline"));
    }
    let mode = if args.is(2, "no") {
        SessionFlags::empty()
    } else if args.is(2, "yes") {
        SessionFlags::DEBUG
    } else if args.is(2, "sync") {
        SessionFlags::DEBUG | SessionFlags::DEBUG_SYNC
    } else {
        return Err(Error::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
    };
    let flags = &mut cx.session().flags;
    flags.remove(SessionFlags::DEBUG | SessionFlags::DEBUG_SYNC);
    flags.insert(mode);
    cx.reply.ok();
    Ok(DONE)
}

const EXISTS: Row = Row {
    name: "exists",
    summary: "Tells of each SHA-1 whether the cache has its script.",
    complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
    arity: Arity::AtLeast(3),
    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
    args: &[Arg::string("sha1").multiple()],
    run: |_, _| act(ScriptAct::Exists),
    ..BASE
};

const FLUSH: Row = Row {
    name: "flush",
    summary: "Empties the cache of scripts.",
    complexity: "O(N) with N being the number of scripts in cache",
    arity: Arity::AtLeast(2),
    flags: Flags::NOSCRIPT.with(Flags::IN_LOG),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    history: &[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
    args: &[Arg::one_of(
        "flush-type",
        &[Arg::flag("async", "ASYNC"), Arg::flag("sync", "SYNC")],
    )
    .optional()
    .since("6.2.0")],
    run: flush,
    ..BASE
};

fn flush(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const REFUSAL: &str = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
    if args.len() > 3 {
        return Err(Error::fixed(REFUSAL));
    }
    act(ScriptAct::Flush {
        lazy: flush_mode(cx, args, REFUSAL)?,
    })
}

const HELP: Row = Row {
    name: "help",
    summary: "Lists the subcommands.",
    since: "5.0.0",
    flags: Flags::LOADING.with(Flags::STALE),
    run: |cx, _| help(cx, &SCRIPT),
    ..BASE
};

const KILL: Row = Row {
    name: "kill",
    summary: "Ends the script that is running, unless it has written.",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: |_, _| act(ScriptAct::Kill { function: false }),
    ..BASE
};

const LOAD: Row = Row {
    name: "load",
    summary: "Puts a script in the cache without running it.",
    complexity: "O(N) with N being the length in bytes of the script body.",
    arity: Arity::Exactly(3),
    flags: Flags::NOSCRIPT.with(Flags::STALE).with(Flags::IN_LOG),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    args: &[Arg::string("script")],
    run: |_, _| act(ScriptAct::Load),
    ..BASE
};
