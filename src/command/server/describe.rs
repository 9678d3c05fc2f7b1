//! How a row reads to clients: an element of COMMAND INFO, a pair of COMMAND DOCS.
//!
//! ```text
//! INFO   name arity flags first last step categories tips key-specs subcommands
//! DOCS   name -> { summary since group complexity doc_flags deprecated_since replaced_by history
//!                  arguments subcommands }
//! ```
//!
//! Everything is read off the row; what a row leaves empty is left out of DOCS, and an empty list in INFO.

use crate::command::row::{Arg, ArgKind, Begin, CATEGORY_NAMES, Find, Flags, KeySpec, Row};
use crate::command::table::{Command, Table};
use crate::resp::{Deferred, Reply};

/// Writes the element of COMMAND INFO.
pub(super) fn write_info(reply: &mut Reply<'_>, table: &Table, command: &Command) {
    let row = command.row;
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.int(row.arity.signed());
    write_names(reply, &row.flags.names());
    reply.int(i64::from(command.first_key));
    reply.int(i64::from(command.last_key));
    reply.int(i64::from(command.key_step));
    write_categories(reply, row);
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.keys.len());
    row.keys.iter().for_each(|spec| write_key_spec(reply, spec));
    // Compat: no subcommands are an empty set, some are an array.
    match command.children.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    command
        .children
        .iter()
        .for_each(|&id| write_info(reply, table, table.command(id)));
}

/// A set of names as status lines: flags of all kinds.
pub(super) fn write_names(reply: &mut Reply<'_>, names: &[&str]) {
    reply.set(names.len());
    names.iter().for_each(|name| reply.simple(name));
}

fn write_categories(reply: &mut Reply<'_>, row: &Row) {
    let all = row.all_categories();
    let names: Vec<String> = CATEGORY_NAMES
        .iter()
        .filter(|(c, _)| all.contains(*c))
        .map(|(_, name)| format!("@{name}"))
        .collect();
    reply.set(names.len());
    names.iter().for_each(|name| reply.simple(name));
}

fn write_key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        write_text(reply, "notes", notes);
    }
    reply.bulk(b"flags");
    write_names(reply, &spec.access.names());
    reply.bulk(b"begin_search");
    write_begin(reply, spec.begin);
    reply.bulk(b"find_keys");
    write_find(reply, spec.find);
}

fn write_begin(reply: &mut Reply<'_>, begin: Begin) {
    match begin {
        Begin::Index(index) => {
            write_spec(reply, "index", 1);
            write_number(reply, "index", index);
        }
        Begin::Keyword(keyword, from) => {
            write_spec(reply, "keyword", 2);
            write_text(reply, "keyword", keyword);
            write_number(reply, "startfrom", from);
        }
        Begin::Unknown => write_spec(reply, "unknown", 0),
    }
}

fn write_find(reply: &mut Reply<'_>, find: Find) {
    match find {
        Find::Range { last, step, limit } => {
            write_spec(reply, "range", 3);
            write_number(reply, "lastkey", last);
            write_number(reply, "keystep", step);
            write_number(reply, "limit", limit);
        }
        Find::Count { at, first, step } => {
            write_spec(reply, "keynum", 3);
            write_number(reply, "keynumidx", at);
            write_number(reply, "firstkey", first);
            write_number(reply, "keystep", step);
        }
        Find::Unknown => write_spec(reply, "unknown", 0),
    }
}

/// Type and opened `spec` map, whose pairs follow.
fn write_spec(reply: &mut Reply<'_>, kind: &str, pairs: usize) {
    reply.map(2);
    write_text(reply, "type", kind);
    reply.bulk(b"spec");
    reply.map(pairs);
}

fn write_text(reply: &mut Reply<'_>, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

fn write_number(reply: &mut Reply<'_>, name: &str, number: i32) {
    reply.bulk(name.as_bytes());
    reply.int(i64::from(number));
}

/// Writes the pair of COMMAND DOCS.
pub(super) fn write_docs(reply: &mut Reply<'_>, table: &Table, command: &Command) {
    let row = command.row;
    reply.bulk(command.full_name.as_bytes());
    let mut map = Map::open(reply);
    map.text("summary", row.summary);
    map.text("since", row.since);
    map.text("group", row.group.name());
    if !row.complexity.is_empty() {
        map.text("complexity", row.complexity);
    }
    let flags = doc_flags(row);
    if !flags.is_empty() {
        write_names(map.name("doc_flags"), &flags);
    }
    if let Some((since, by)) = row.deprecated {
        map.text("deprecated_since", since);
        map.text("replaced_by", by);
    }
    if !row.history.is_empty() {
        write_history(map.name("history"), row);
    }
    if !row.args.is_empty() {
        write_args(map.name("arguments"), row.args);
    }
    if !command.children.is_empty() {
        let reply = map.name("subcommands");
        reply.map(command.children.len());
        command
            .children
            .iter()
            .for_each(|&id| write_docs(reply, table, table.command(id)));
    }
    map.close();
}

fn doc_flags(row: &Row) -> Vec<&'static str> {
    let deprecated = row.deprecated.map(|_| "deprecated");
    let syscmd = row.flags.contains(Flags::SYSCMD).then_some("syscmd");
    deprecated.into_iter().chain(syscmd).collect()
}

fn write_history(reply: &mut Reply<'_>, row: &Row) {
    reply.set(row.history.len());
    for (version, change) in row.history {
        reply.array(2);
        reply.bulk(version.as_bytes());
        reply.bulk(change.as_bytes());
    }
}

fn write_args(reply: &mut Reply<'_>, args: &[Arg]) {
    reply.array(args.len());
    args.iter().for_each(|arg| write_arg(reply, arg));
}

fn write_arg(reply: &mut Reply<'_>, arg: &Arg) {
    let mut map = Map::open(reply);
    map.text("name", arg.name);
    map.text("type", arg.kind.name());
    let composed = matches!(arg.kind, ArgKind::OneOf | ArgKind::Block);
    if !composed {
        map.text("display_text", arg.display.unwrap_or(arg.name));
    }
    if let ArgKind::Key(spec) | ArgKind::KeyPattern(spec) = arg.kind {
        map.name("key_spec_index").int(i64::from(spec));
    }
    let texts = [
        ("token", arg.token),
        ("since", arg.since),
        ("deprecated_since", arg.deprecated_since),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            map.text(name, text);
        }
    }
    let flags = arg_flags(arg);
    if !flags.is_empty() {
        write_names(map.name("flags"), &flags);
    }
    if composed {
        write_args(map.name("arguments"), arg.children);
    }
    map.close();
}

fn arg_flags(arg: &Arg) -> Vec<&'static str> {
    [
        (arg.optional, "optional"),
        (arg.multiple, "multiple"),
        (arg.multiple_token, "multiple_token"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

/// A map whose pairs are counted as they are written.
struct Map<'m, 'r> {
    reply: &'m mut Reply<'r>,
    opened: Deferred,
    pairs: usize,
}

impl<'m, 'r> Map<'m, 'r> {
    fn open(reply: &'m mut Reply<'r>) -> Self {
        let opened = reply.defer_map();
        Map {
            reply,
            opened,
            pairs: 0,
        }
    }

    /// Writes a name; its value is to follow.
    fn name(&mut self, name: &str) -> &mut Reply<'r> {
        self.pairs += 1;
        self.reply.bulk(name.as_bytes());
        self.reply
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name).bulk(text.as_bytes());
    }

    fn close(self) {
        self.reply.finish(self.opened, self.pairs);
    }
}
