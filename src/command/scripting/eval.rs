//! EVAL, EVALSHA, FCALL and their read-only forms: running a script.

use super::act;
use crate::base::number::parse_i64;
use crate::command::args::Args;
use crate::command::cx::{Cx, Outcome, ScriptAct, ScriptRun, ScriptSource};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Categories, Flags, Group, KeySpec, Row};
use crate::session::SessionFlags;

/// The rows of this file.
pub const ROWS: &[Row] = &[EVAL, EVALSHA, EVAL_RO, EVALSHA_RO, FCALL, FCALL_RO];

const SHARED_FLAGS: Flags = Flags::NOSCRIPT
    .with(Flags::SKIP_MONITOR)
    .with(Flags::NO_MANDATORY_KEYS)
    .with(Flags::MOVABLE_KEYS)
    .with(Flags::STALE);

/// What those that may write share.
const WRITING: Row = Row {
    since: "2.6.0",
    complexity: "Depends on the script that is executed.",
    group: Group::Scripting,
    arity: Arity::AtLeast(3),
    flags: SHARED_FLAGS.with(Flags::MAY_REPLICATE),
    categories: Categories::SCRIPTING,
    keys: &[KeySpec::counted(
        2,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    ..Row::BASE
};

/// What those that only read share.
const READING: Row = Row {
    since: "7.0.0",
    flags: SHARED_FLAGS.with(Flags::READONLY),
    keys: &[KeySpec::counted(2, Access::RO.with(Access::ACCESS))],
    ..WRITING
};

const NOTED_WRITING: &[KeySpec] = &[KeySpec {
    notes: Some("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"),
    ..KeySpec::counted(2, Access::RW.with(Access::ACCESS).with(Access::UPDATE))
}];

const NOTED_READING: &[KeySpec] = &[KeySpec {
    notes: Some("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"),
    ..KeySpec::counted(2, Access::RO.with(Access::ACCESS))
}];

const NUMKEYS: Arg = Arg::integer("numkeys");
const KEYS: Arg = Arg::key("key", 0).optional().multiple();
const ARGS: Arg = Arg::string("arg").optional().multiple();

const EVAL: Row = Row {
    name: "eval",
    summary: "Runs a Lua script on the server.",
    keys: NOTED_WRITING,
    args: &[Arg::string("script"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Text),
    run: |cx, args| run(cx, args, ScriptSource::Text, false),
    ..WRITING
};

const EVALSHA: Row = Row {
    name: "evalsha",
    summary: "Runs a Lua script that the server knows, by its SHA-1.",
    args: &[Arg::string("sha1"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Digest),
    run: |cx, args| run(cx, args, ScriptSource::Digest, false),
    ..WRITING
};

const EVAL_RO: Row = Row {
    name: "eval_ro",
    summary: "Runs a Lua script that writes nothing.",
    keys: NOTED_READING,
    args: &[Arg::string("script"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Text),
    run: |cx, args| run(cx, args, ScriptSource::Text, true),
    ..READING
};

const EVALSHA_RO: Row = Row {
    name: "evalsha_ro",
    summary: "Runs a Lua script that writes nothing, by its SHA-1.",
    args: &[Arg::string("sha1"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Digest),
    run: |cx, args| run(cx, args, ScriptSource::Digest, true),
    ..READING
};

const FCALL: Row = Row {
    name: "fcall",
    summary: "Calls a function of a library.",
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    keys: NOTED_WRITING,
    args: &[Arg::string("function"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Function),
    run: |cx, args| run(cx, args, ScriptSource::Function, false),
    ..WRITING
};

const FCALL_RO: Row = Row {
    name: "fcall_ro",
    summary: "Calls a function of a library that writes nothing.",
    complexity: "Depends on the function that is executed.",
    keys: NOTED_READING,
    args: &[Arg::string("function"), NUMKEYS, KEYS, ARGS],
    script: Some(ScriptSource::Function),
    run: |cx, args| run(cx, args, ScriptSource::Function, true),
    ..READING
};

fn run(cx: &mut Cx<'_>, args: Args<'_>, source: ScriptSource, read_only: bool) -> Outcome {
    const DIGEST_DIGITS: usize = 40;
    if source == ScriptSource::Digest && args.get(1).len() != DIGEST_DIGITS {
        return Err(NO_SCRIPT);
    }
    let is_debugged = cx.session().flags.contains(SessionFlags::DEBUG);
    if source == ScriptSource::Digest && is_debugged {
        return Err(Error::fixed(
            "ERR Please use EVAL instead of EVALSHA for debugging",
        ));
    }
    let keys = match parse_i64(args.get(2)) {
        Some(keys) => key_count(args, keys),
        None if source == ScriptSource::Function => Err(Error::fixed("ERR Bad number of keys provided")),
        None => Err(Error::NotInteger),
    };
    act(ScriptAct::Run(ScriptRun {
        source,
        read_only,
        debugged: is_debugged && source == ScriptSource::Text,
        // Compat: that a function is unknown, and that a debugger attends, comes before what is wrong with its keys.
        keys: if source == ScriptSource::Function || is_debugged {
            keys
        } else {
            Ok(keys?)
        },
    }))
}

/// The answer to a SHA-1 that no script has.
pub const NO_SCRIPT: Error = Error::fixed("NOSCRIPT No matching script. Please use EVAL.");

/// `keys` as a count of the words behind word 2.
fn key_count(args: Args<'_>, keys: i64) -> Result<usize, Error> {
    if keys > (args.len() - 3) as i64 {
        return Err(Error::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    usize::try_from(keys).map_err(|_| Error::fixed("ERR Number of keys can't be negative"))
}
