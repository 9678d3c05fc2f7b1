//! COMMAND: what commands there are, told from their rows.

use crate::base::glob;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Access, Arg, Arity, CATEGORY_NAMES, Categories, Flags, Group, KeySpec, Row};
use crate::command::table::{Command, Table, key_positions};
use crate::resp;

use super::describe::{write_docs, write_info, write_names};

const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const BY_NAMES: &[Arg] = &[Arg::string("command-name").optional().multiple()];
const FULL_COMMAND: &[Arg] = &[Arg::string("command"), Arg::string("arg").optional().multiple()];

/// What COMMAND and its subcommands share.
const BASE: Row = Row {
    group: Group::Server,
    flags: Flags::LOADING.with(Flags::STALE),
    categories: Categories::CONNECTION,
    ..Row::BASE
};

pub(super) const COMMAND: Row = Row {
    name: "command",
    summary: "Describes all commands.",
    since: "2.8.13",
    complexity: "O(N) where N is the total number of Redis commands",
    arity: Arity::AtLeast(1),
    tips: UNORDERED,
    children: &[COUNT, DOCS, GETKEYS, GETKEYSANDFLAGS, HELP, INFO, LIST],
    run: all,
    ..BASE
};

fn all(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let table = cx.table;
    let elements = cx.reply.defer_array();
    let mut count = 0;
    for command in table.top_level() {
        write_info(&mut cx.reply, table, command);
        count += 1;
    }
    cx.reply.finish(elements, count);
    Ok(DONE)
}

const COUNT: Row = Row {
    name: "count",
    summary: "Counts the commands.",
    since: "2.8.13",
    arity: Arity::Exactly(2),
    run: count,
    ..BASE
};

fn count(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let count = cx.table.top_level().count();
    cx.reply.int(count as i64);
    Ok(DONE)
}

const INFO: Row = Row {
    name: "info",
    summary: "Describes some commands, or all, for programs.",
    since: "2.8.13",
    complexity: "O(N) where N is the number of commands to look up",
    arity: Arity::AtLeast(2),
    tips: UNORDERED,
    history: &[(
        "7.0.0",
        "Allowed to be called with no argument to get info on all commands.",
    )],
    args: BY_NAMES,
    run: info,
    ..BASE
};

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() == 2 {
        return all(cx, args);
    }
    cx.reply.array(args.len() - 2);
    for name in args.iter_from(2) {
        match find(cx.table, name) {
            Some(command) => write_info(&mut cx.reply, cx.table, command),
            None => cx.reply.null(),
        }
    }
    Ok(DONE)
}

const DOCS: Row = Row {
    name: "docs",
    summary: "Describes some commands, or all, for people.",
    since: "7.0.0",
    complexity: "O(N) where N is the number of commands to look up",
    arity: Arity::AtLeast(2),
    tips: UNORDERED,
    args: BY_NAMES,
    run: docs,
    ..BASE
};

fn docs(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let table = cx.table;
    let commands: Vec<&Command> = match args.len() {
        2 => table.top_level().collect(),
        _ => args.iter_from(2).filter_map(|name| find(table, name)).collect(),
    };
    cx.reply.map(commands.len());
    commands
        .iter()
        .for_each(|command| write_docs(&mut cx.reply, table, command));
    Ok(DONE)
}

/// A command by its full name: `get`, `client|list`, in any case.
pub(super) fn find<'t>(table: &'t Table, name: &[u8]) -> Option<&'t Command> {
    let Some(bar) = name.iter().position(|&byte| byte == b'|') else {
        return table.find(name);
    };
    let (container, child) = (&name[..bar], &name[bar + 1..]);
    let container = table.find(container)?;
    let mut children = container.children.iter().map(|&id| table.command(id));
    children.find(|command| child.eq_ignore_ascii_case(command.row.name.as_bytes()))
}

const LIST: Row = Row {
    name: "list",
    summary: "Lists the names of the commands, or of those that pass a filter.",
    since: "7.0.0",
    complexity: "O(N) where N is the total number of commands",
    arity: Arity::AtLeast(2),
    tips: UNORDERED,
    args: &[Arg::one_of(
        "filterby",
        &[
            Arg::string("module-name").token("MODULE"),
            Arg::string("category").token("ACLCAT"),
            Arg::pattern("pattern").token("PATTERN"),
        ],
    )
    .token("FILTERBY")
    .optional()],
    run: list,
    ..BASE
};

/// Which commands COMMAND LIST names.
enum Filter<'a> {
    All,
    /// No module is ever loaded.
    Module,
    Category(Option<Categories>),
    Pattern(&'a [u8]),
}

fn list(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let filter = Filter::parse(args)?;
    let names = cx.reply.defer_array();
    let mut count = 0;
    for command in with_children(cx.table).filter(|command| filter.passes(command)) {
        cx.reply.bulk(command.full_name.as_bytes());
        count += 1;
    }
    cx.reply.finish(names, count);
    Ok(DONE)
}

fn with_children(table: &Table) -> impl Iterator<Item = &Command> {
    table.top_level().flat_map(|command| {
        std::iter::once(command).chain(command.children.iter().map(|&id| table.command(id)))
    })
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Filter<'a>, Error> {
        match args.len() {
            2 => Ok(Filter::All),
            5 if args.is(2, "filterby") && args.is(3, "module") => Ok(Filter::Module),
            5 if args.is(2, "filterby") && args.is(3, "aclcat") => {
                Ok(Filter::Category(category(args.get(4))))
            }
            5 if args.is(2, "filterby") && args.is(3, "pattern") => Ok(Filter::Pattern(args.get(4))),
            _ => Err(Error::Syntax),
        }
    }

    fn passes(&self, command: &Command) -> bool {
        match self {
            Filter::All => true,
            Filter::Module => false,
            Filter::Category(category) => category.is_some_and(|c| command.row.all_categories().contains(c)),
            Filter::Pattern(pattern) => glob::matches(pattern, command.full_name.as_bytes(), true),
        }
    }
}

fn category(name: &[u8]) -> Option<Categories> {
    let known = CATEGORY_NAMES
        .iter()
        .find(|(_, known)| name.eq_ignore_ascii_case(known.as_bytes()));
    known.map(|(category, _)| *category)
}

const GETKEYS: Row = Row {
    name: "getkeys",
    summary: "Finds the keys in a whole command.",
    since: "2.8.13",
    complexity: "O(N) where N is the number of arguments to the command",
    arity: Arity::AtLeast(3),
    args: FULL_COMMAND,
    run: getkeys,
    ..BASE
};

fn getkeys(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let keys = keys_of(cx.table, args)?;
    cx.reply.array(keys.len());
    keys.iter().for_each(|(key, _)| cx.reply.bulk(key));
    Ok(DONE)
}

const GETKEYSANDFLAGS: Row = Row {
    name: "getkeysandflags",
    summary: "Finds the keys in a whole command and tells what happens to each.",
    since: "7.0.0",
    complexity: "O(N) where N is the number of arguments to the command",
    arity: Arity::AtLeast(3),
    args: FULL_COMMAND,
    run: getkeysandflags,
    ..BASE
};

fn getkeysandflags(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let keys = keys_of(cx.table, args)?;
    cx.reply.array(keys.len());
    for (key, access) in keys {
        cx.reply.array(2);
        cx.reply.bulk(key);
        write_names(&mut cx.reply, &access.names());
    }
    Ok(DONE)
}

/// Keys of the command that stands behind `COMMAND GETKEYS`, and what it does to them.
fn keys_of<'a>(table: &Table, args: Args<'a>) -> Result<Vec<(&'a [u8], Access)>, Error> {
    const NO_COMMAND: Error = Error::fixed("ERR Invalid command specified");
    const NO_KEYS: Error = Error::fixed("ERR The command has no key arguments");
    const BAD_COUNT: Error = Error::fixed("ERR Invalid number of arguments specified for command");
    const BAD_WORDS: Error = Error::fixed("ERR Invalid arguments specified for command");
    let command = match table.resolve(args.get(2), || args.try_get(3)) {
        Some(Ok(command)) => command,
        _ => return Err(NO_COMMAND),
    };
    let words = args.words().tail(2);
    let routes_only = |spec: &KeySpec| spec.access.contains(Access::NOT_KEY);
    if command.row.keys.iter().all(routes_only) {
        return Err(NO_KEYS);
    }
    if !command.row.arity.admits(words.len()) {
        return Err(BAD_COUNT);
    }
    let may_be_none = command.row.flags.contains(Flags::NO_MANDATORY_KEYS);
    let found = key_positions(command, words.len(), |at| words.get(at).to_vec());
    let found = found.or(may_be_none.then(Vec::new)).ok_or(BAD_WORDS)?;
    let is_key = |(_, spec): &(usize, KeySpec)| !spec.access.contains(Access::NOT_KEY);
    let keys = found.into_iter().filter(is_key);
    let keys: Vec<_> = keys
        .map(|(at, spec)| (words.get(at), access(command, &spec, words)))
        .collect();
    if keys.is_empty() && !may_be_none {
        Err(BAD_WORDS)
    } else {
        Ok(keys)
    }
}

/// What these words make of a key whose spec says that it depends.
fn access(command: &Command, spec: &KeySpec, words: resp::Args<'_>) -> Access {
    if !spec.access.contains(Access::VARIABLE_FLAGS) {
        return spec.access;
    }
    // A spec can say only the worst case. These two are the commands with a milder one.
    match command.row.name {
        "set" if !has_word(words, 3, "get") => Access::OW.with(Access::UPDATE),
        "bitfield" if only_reads(words) => Access::RO.with(Access::ACCESS),
        _ => spec.access.difference(Access::VARIABLE_FLAGS),
    }
}

/// Whether BITFIELD has GET and OVERFLOW only. What is no operation of it may as well be a writing one.
fn only_reads(words: resp::Args<'_>) -> bool {
    let mut at = 2;
    while at < words.len() {
        let is = |name: &[u8]| words.get(at).eq_ignore_ascii_case(name);
        let left = words.len() - at - 1;
        at += match () {
            () if is(b"get") && left >= 2 => 3,
            () if is(b"overflow") && left >= 1 => 2,
            () => return false,
        };
    }
    true
}

fn has_word(words: resp::Args<'_>, from: usize, wanted: &str) -> bool {
    words
        .iter()
        .skip(from)
        .any(|word| word.eq_ignore_ascii_case(wanted.as_bytes()))
}

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "5.0.0",
    arity: Arity::Exactly(2),
    run: |cx, _| help(cx, &COMMAND),
    ..BASE
};
