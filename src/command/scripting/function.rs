//! FUNCTION: libraries of functions, which are data like keys are.

use super::{act, flush_mode};
use crate::command::args::Args;
use crate::command::cx::{Cx, Outcome, RestorePolicy, ScriptAct};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Arg, ArgKind, Arity, Categories, Flags, Group, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[FUNCTION];

const FUNCTION: Row = Row {
    name: "function",
    summary: "Groups the commands for libraries of functions.",
    since: "7.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Scripting,
    arity: Arity::AtLeast(2),
    children: &[DELETE, DUMP, FLUSH, HELP, KILL, LIST, LOAD, RESTORE, STATS],
    ..Row::BASE
};

const TO_ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const WRITES: Flags = Flags::NOSCRIPT.with(Flags::WRITE);

/// What the subcommands share.
const BASE: Row = Row {
    since: "7.0.0",
    group: Group::Scripting,
    arity: Arity::Exactly(2),
    flags: Flags::NOSCRIPT,
    categories: Categories::SCRIPTING,
    ..Row::BASE
};

const DELETE: Row = Row {
    name: "delete",
    summary: "Deletes a library and its functions.",
    arity: Arity::Exactly(3),
    flags: WRITES,
    tips: TO_ALL_SHARDS,
    args: &[Arg::string("library-name")],
    run: |_, _| act(ScriptAct::DeleteLibrary),
    ..BASE
};

const DUMP: Row = Row {
    name: "dump",
    summary: "Serializes all libraries.",
    complexity: "O(N) where N is the number of functions",
    run: |_, _| act(ScriptAct::DumpLibraries),
    ..BASE
};

const FLUSH: Row = Row {
    name: "flush",
    summary: "Deletes all libraries.",
    complexity: "O(N) where N is the number of functions deleted",
    arity: Arity::AtLeast(2),
    flags: WRITES,
    tips: TO_ALL_SHARDS,
    args: &[Arg::one_of(
        "flush-type",
        &[Arg::flag("async", "ASYNC"), Arg::flag("sync", "SYNC")],
    )
    .optional()],
    run: flush,
    ..BASE
};

fn flush(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(too_many(args));
    }
    act(ScriptAct::FlushLibraries {
        lazy: flush_mode(cx, args, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option")?,
    })
}

/// A subcommand with more words than it knows.
fn too_many(args: Args<'_>) -> Error {
    Error::quoting(
        "unknown subcommand or wrong number of arguments for '",
        args.get(1),
        "'. Try FUNCTION HELP.",
    )
}

const HELP: Row = Row {
    name: "help",
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: |cx, _| help(cx, &FUNCTION),
    ..BASE
};

const KILL: Row = Row {
    name: "kill",
    summary: "Ends the function that is running, unless it has written.",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: |_, _| act(ScriptAct::Kill { function: true }),
    ..BASE
};

const LIST: Row = Row {
    name: "list",
    summary: "Describes the libraries and their functions.",
    complexity: "O(N) where N is the number of functions",
    arity: Arity::AtLeast(2),
    tips: &["nondeterministic_output_order"],
    args: &[
        Arg {
            kind: ArgKind::String,
            token: Some("LIBRARYNAME"),
            optional: true,
            ..Arg::string("library-name-pattern")
        },
        Arg::flag("withcode", "WITHCODE").optional(),
    ],
    run: list,
    ..BASE
};

fn list(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (mut pattern, mut with_code) = (None, false);
    let mut at = 2;
    while at < args.len() {
        if !with_code && args.is(at, "withcode") {
            with_code = true;
        } else if pattern.is_none() && args.is(at, "libraryname") {
            at += 1;
            if at == args.len() {
                return Err(Error::fixed("ERR library name argument was not given"));
            }
            pattern = Some(at);
        } else {
            return Err(Error::quoting("Unknown argument ", args.get(at), ""));
        }
        at += 1;
    }
    act(ScriptAct::ListLibraries { pattern, with_code })
}

const LOAD: Row = Row {
    name: "load",
    summary: "Creates a library from its code.",
    complexity: "O(1) (considering compilation time is redundant)",
    arity: Arity::AtLeast(3),
    flags: WRITES.with(Flags::DENY_OOM),
    tips: TO_ALL_SHARDS,
    args: &[
        Arg::flag("replace", "REPLACE").optional(),
        Arg::string("function-code"),
    ],
    run: load,
    ..BASE
};

fn load(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let code = args.len() - 1;
    if let Some(unknown) = (2..code).find(|&index| !args.is(index, "replace")) {
        return Err(Error::quoting("Unknown option given: ", args.get(unknown), ""));
    }
    act(ScriptAct::LoadLibrary {
        code,
        replace: code > 2,
    })
}

const RESTORE: Row = Row {
    name: "restore",
    summary: "Creates libraries from what FUNCTION DUMP has made.",
    complexity: "O(N) where N is the number of functions on the payload",
    arity: Arity::AtLeast(3),
    flags: WRITES.with(Flags::DENY_OOM),
    tips: TO_ALL_SHARDS,
    args: &[
        Arg::string("serialized-value"),
        Arg::one_of(
            "policy",
            &[
                Arg::flag("flush", "FLUSH"),
                Arg::flag("append", "APPEND"),
                Arg::flag("replace", "REPLACE"),
            ],
        )
        .optional(),
    ],
    run: restore,
    ..BASE
};

fn restore(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 4 {
        return Err(too_many(args));
    }
    let policy = match args.try_get(3) {
        None => RestorePolicy::Append,
        Some(_) if args.is(3, "append") => RestorePolicy::Append,
        Some(_) if args.is(3, "replace") => RestorePolicy::Replace,
        Some(_) if args.is(3, "flush") => RestorePolicy::Flush,
        Some(_) => {
            return Err(Error::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    act(ScriptAct::RestoreLibraries(policy))
}

const STATS: Row = Row {
    name: "stats",
    summary: "Describes the function that is running, and the engines.",
    flags: Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    run: |_, _| act(ScriptAct::FunctionStats),
    ..BASE
};
