//! XGROUP: creating, moving and removing groups and their consumers.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help;
use crate::command::row::{Access, Arg, Arity, Flags, Group as Family, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::value::stream::{Group, Stream, StreamId};

use super::{Held, ids, no_group_of_key};

/// The rows of this file.
pub const ROWS: &[Row] = &[XGROUP];

const XGROUP: Row = Row {
    name: "xgroup",
    summary: "Groups the commands about consumer groups.",
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    group: Family::Stream,
    arity: Arity::AtLeast(2),
    children: &[CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, HELP, SETID],
    ..Row::BASE
};

/// What the subcommands have in common.
const BASE: Row = Row {
    since: "5.0.0",
    complexity: "O(1)",
    group: Family::Stream,
    flags: Flags::WRITE,
    ..Row::BASE
};

const fn keys(access: Access) -> KeySpec {
    KeySpec::one(2, Access::RW.with(access))
}

/// Where a group begins.
const START: Arg = Arg::one_of("id-selector", &[Arg::string("id"), Arg::flag("new-id", "$")]);

const ENTRIES_READ: Arg = Arg::integer("entries-read").token("ENTRIESREAD").optional();

const KEY_MISSING: Error = Error::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

const CREATE: Row = Row {
    name: "create",
    summary: "Creates a consumer group of a stream.",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[keys(Access::INSERT)],
    history: &[("7.0.0", "How many entries the group has read (`ENTRIESREAD`).")],
    args: &[
        Arg::key("key", 0),
        Arg::string("group"),
        START,
        Arg::flag("mkstream", "MKSTREAM").optional(),
        ENTRIES_READ,
    ],
    run: create,
    ..BASE
};

fn create(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const TAKEN: Error = Error::fixed("BUSYGROUP Consumer Group name already exists");
    let options = Options::parse(args, true)?;
    let key = args.key(2);
    let exists = cx.keys.peek_as::<Held>(key)?.is_some();
    if !exists && !options.creates {
        return Err(KEY_MISSING);
    }
    if args.len() > 8 {
        return Err(too_many_words(args));
    }
    let create = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<(), Error> {
        let start = start(stream, args, ids::exact)?;
        if stream.groups.contains(args.get(3)) {
            return Err(TAKEN);
        }
        if edit.is_new() {
            edit.changed_quietly(0);
        }
        let group = Group::new(start, options.entries_read);
        stream.groups.insert(args.get(3).into(), Box::new(group));
        edit.noted("xgroup-create", 1);
        Ok(())
    };
    cx.keys.edit_or_new(key, create)??;
    cx.reply.ok();
    Ok(DONE)
}

const SETID: Row = Row {
    name: "setid",
    summary: "Sets how far a group has read.",
    arity: Arity::AtLeast(5),
    keys: &[keys(Access::UPDATE)],
    history: &[("7.0.0", "How many entries the group has read (`ENTRIESREAD`).")],
    args: &[Arg::key("key", 0), Arg::string("group"), START, ENTRIES_READ],
    run: setid,
    ..BASE
};

fn setid(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(args, false)?;
    let set = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<(), Error> {
        if !stream.groups.contains(args.get(3)) {
            return Err(no_group_of_key(args.get(2), args.get(3)));
        }
        if args.len() > 7 {
            return Err(too_many_words(args));
        }
        let start = start(stream, args, ids::or_limit)?;
        let group = find(stream, args)?;
        group.last_id = start;
        group.entries_read = options.entries_read;
        edit.noted("xgroup-setid", 1);
        Ok(())
    };
    cx.keys.edit(args.key(2), set)?.ok_or(KEY_MISSING)??;
    cx.reply.ok();
    Ok(DONE)
}

const DESTROY: Row = Row {
    name: "destroy",
    summary: "Removes a consumer group.",
    complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
    arity: Arity::Exactly(4),
    keys: &[keys(Access::DELETE)],
    args: &[Arg::key("key", 0), Arg::string("group")],
    run: destroy,
    ..BASE
};

/// Whoever waits for the group has to look again, and will find it gone.
fn destroy(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let destroy = |stream: &mut Held, edit: &mut Edit<'_>| {
        let removed = stream.groups.remove(args.get(3));
        if removed.is_some() {
            edit.noted("xgroup-destroy", 1);
            edit.ready();
        }
        removed.is_some()
    };
    let removed = cx.keys.edit(args.key(2), destroy)?.ok_or(KEY_MISSING)?;
    cx.reply.int(i64::from(removed));
    Ok(DONE)
}

const CREATECONSUMER: Row = Row {
    name: "createconsumer",
    summary: "Creates a consumer of a group.",
    since: "6.2.0",
    arity: Arity::Exactly(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[keys(Access::INSERT)],
    args: &[Arg::key("key", 0), Arg::string("group"), Arg::string("consumer")],
    run: createconsumer,
    ..BASE
};

fn createconsumer(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let create = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<bool, Error> {
        let created = find(stream, args)?.create_consumer(args.get(4), edit.now_ms);
        if created.is_some() {
            edit.noted("xgroup-createconsumer", 1);
        }
        Ok(created.is_some())
    };
    let created = cx.keys.edit(args.key(2), create)?.ok_or(KEY_MISSING)??;
    cx.reply.int(i64::from(created));
    Ok(DONE)
}

const DELCONSUMER: Row = Row {
    name: "delconsumer",
    summary: "Removes a consumer of a group, and what it has not acknowledged.",
    arity: Arity::Exactly(5),
    keys: &[keys(Access::DELETE)],
    args: &[Arg::key("key", 0), Arg::string("group"), Arg::string("consumer")],
    run: delconsumer,
    ..BASE
};

fn delconsumer(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let delete = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<usize, Error> {
        let pending = find(stream, args)?.delete_consumer(args.get(4));
        if pending.is_some() {
            edit.noted("xgroup-delconsumer", 1);
        }
        Ok(pending.unwrap_or(0))
    };
    let pending = cx.keys.edit(args.key(2), delete)?.ok_or(KEY_MISSING)??;
    cx.reply.int(pending as i64);
    Ok(DONE)
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE),
    run: xgroup_help,
    ..BASE
};

fn xgroup_help(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    help::help(cx, &XGROUP)
}

/// The words behind the id.
struct Options {
    /// Of CREATE: make the stream if there is none (MKSTREAM).
    creates: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(args: Args<'_>, for_create: bool) -> Result<Options, Error> {
        let mut options = Options {
            creates: false,
            entries_read: None,
        };
        let mut word = 5;
        while word < args.len() {
            if for_create && args.is(word, "mkstream") {
                options.creates = true;
                word += 1;
            } else if args.is(word, "entriesread") && word + 1 < args.len() {
                options.entries_read = entries_read(args.int(word + 1)?)?;
                word += 2;
            } else {
                return Err(too_many_words(args));
            }
        }
        Ok(options)
    }
}

/// -1 stands for unknown.
fn entries_read(count: i64) -> Result<Option<i64>, Error> {
    match count {
        0.. => Ok(Some(count)),
        -1 => Ok(None),
        _ => Err(Error::fixed("ERR value for ENTRIESREAD must be positive or -1")),
    }
}

/// The id of word 4; `$` is the last one of the stream.
fn start(
    stream: &Stream,
    args: Args<'_>,
    parse: fn(Args<'_>, usize) -> Result<StreamId, Error>,
) -> Result<StreamId, Error> {
    match args.get(4) {
        b"$" => Ok(stream.log.last_id),
        _ => parse(args, 4),
    }
}

/// The group that word 3 names.
fn find<'s>(stream: &'s mut Stream, args: Args<'_>) -> Result<&'s mut Group, Error> {
    let group = stream.groups.get_mut(args.get(3));
    group
        .map(|group| &mut **group)
        .ok_or_else(|| no_group_of_key(args.get(2), args.get(3)))
}

/// More or other words than the subcommand takes.
fn too_many_words(args: Args<'_>) -> Error {
    Error::quoting(
        "unknown subcommand or wrong number of arguments for '",
        args.get(1),
        "'. Try XGROUP HELP.",
    )
}
