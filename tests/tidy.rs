//! What we believe about the tree, held as data and read against it, in a fraction of a second.
//!
//! ```text
//! source ──> code_of (no comments, no literals) ──> tokens ──> paths (`use` trees spread out, `super` resolved)
//! ```
//!
//! The rules: [`ROOMS`] says which room may import which; `docs/UNSAFE.md` lists the files with `unsafe`; every table of
//! commands is listed; files stay short; rooms say what they are; documents name what exists, and each directive that nobody
//! reads; no machine is named.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use russet::config::directive::rows;

/// A folder or file of `src/`, and what it may import beside itself.
struct Room {
    name: &'static str,
    /// Whole rooms.
    rooms: &'static [&'static str],
    /// Single modules and items of rooms that are closed to it otherwise.
    items: &'static [&'static str],
}

const fn room(name: &'static str, rooms: &'static [&'static str]) -> Room {
    let items = &[];
    Room { name, rooms, items }
}

impl Room {
    const fn and(self, items: &'static [&'static str]) -> Room {
        Room { items, ..self }
    }

    fn may_import(&self, path: &[String]) -> bool {
        let path = path.join("::");
        let mut open = self.rooms.iter().chain(self.items).chain([&self.name]);
        open.any(|open| {
            path.strip_prefix(open)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }
}

/// Every room, lowest first; a row names rooms above itself only. Those nobody has built yet have their place already.
const ROOMS: &[Room] = &[
    room("base", &[]),
    room("process", &["base"]),
    room("ds", &["base"]),
    room("resp", &["base"]),
    room("acl", &["base"]),
    room("config", &["base"]),
    room("stats", &["base"]),
    room("value", &["base", "ds"]),
    room("keyspace", &["base", "ds", "value"]),
    room("session", &["base", "acl", "resp"]).and(&["keyspace::interest"]),
    room("pubsub", &["base", "acl"]),
    room("tracking", &[]),
    room(
        "command",
        &[
            "base", "ds", "resp", "acl", "config", "stats", "value", "keyspace", "session", "pubsub",
            "tracking",
        ],
    )
    .and(&["process::version"]),
    room(
        "persist",
        &["base", "ds", "resp", "config", "stats", "value", "keyspace"],
    )
    .and(&["process::os_text", "process::version"]),
    room("replication", &["base", "resp", "config", "stats", "persist"]),
    room("cluster", &["base", "resp", "config", "stats"]),
    room("script", &["base", "resp"]),
    room(
        "exec",
        &[
            "base",
            "process",
            "ds",
            "resp",
            "acl",
            "config",
            "stats",
            "value",
            "keyspace",
            "session",
            "pubsub",
            "tracking",
            "command",
            "persist",
            "replication",
            "cluster",
            "script",
        ],
    ),
    // Mail is addressed by `SessionId`; batches come back as `Finished`.
    room("net", &["base", "resp", "config", "stats"]).and(&[
        "exec::mailbox",
        "exec::outbox",
        "exec::Finished",
        "exec::shipment",
        "session::SessionId",
        "process::os_text",
    ]),
    room(
        "server",
        &[
            "base", "process", "ds", "resp", "acl", "config", "stats", "value", "keyspace", "session",
            "pubsub", "command", "exec", "net",
        ],
    )
    .and(&["persist::check"]),
];

/// Longest file of `src/`.
const LINES_MAX: usize = 1000;

// ---- the rules ----

#[test]
fn every_room_has_a_row_and_rows_name_only_rooms_above_them() {
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = room_of(Path::new(&entry.unwrap().file_name()));
        let is_crate_root = name == "lib" || name == "main";
        assert!(
            is_crate_root || find_room(&name).is_some(),
            "src/{name} has no row in ROOMS"
        );
    }
    for (index, row) in ROOMS.iter().enumerate() {
        for name in row.rooms {
            let is_above = ROOMS[..index].iter().any(|earlier| earlier.name == *name);
            assert!(is_above, "{}: {name} is not above it", row.name);
        }
    }
}

#[test]
fn imports_keep_to_the_rooms_above() {
    let mut broken = Vec::new();
    for file in sources("src") {
        let inside = file.strip_prefix(root().join("src")).unwrap();
        let Some(row) = find_room(&room_of(inside)) else {
            continue; // lib.rs and main.rs
        };
        let code = code_of(&read(&file));
        for path in paths(module_of(inside), &tokens(&code)) {
            if !row.may_import(&path) {
                broken.push(format!("src/{}: crate::{}", inside.display(), path.join("::")));
            }
        }
    }
    assert!(broken.is_empty(), "imports against ROOMS:\n{}", broken.join("\n"));
}

#[test]
fn the_architecture_document_shows_the_same_table() {
    let shown: BTreeSet<String> = table_rows("docs/ARCHITECTURE.md", "may import");
    let held: BTreeSet<String> = ROOMS
        .iter()
        .map(|row| {
            let imports: Vec<&str> = row.rooms.iter().chain(row.items).copied().collect();
            format!("{}: {}", row.name, imports.join(" "))
        })
        .collect();
    assert_same("docs/ARCHITECTURE.md", &shown, "ROOMS", &held);
}

#[test]
fn unsafe_code_is_where_its_document_says() {
    let listed: BTreeSet<String> = first_cells("docs/UNSAFE.md", "file").into_iter().collect();
    let found: BTreeSet<String> = sources("src")
        .into_iter()
        .filter(|file| tokens(&code_of(&read(file))).contains(&"unsafe"))
        .map(|file| relative(&file))
        .collect();
    assert_same("docs/UNSAFE.md", &listed, "the tree", &found);
}

#[test]
fn every_table_of_commands_is_listed() {
    let list = read(&root().join("src/command/mod.rs"));
    for file in sources("src/command") {
        if read(&file).contains("pub const ROWS") {
            let module = module_of(file.strip_prefix(root().join("src/command")).unwrap());
            let rows = format!("{}::ROWS,", module.join("::"));
            assert!(
                list.contains(&rows),
                "{}: {rows} is not in FAMILIES",
                relative(&file)
            );
        }
    }
}

#[test]
fn files_stay_short_enough_to_read_in_one_sitting() {
    for file in sources("src") {
        let lines = read(&file).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", relative(&file));
    }
}

#[test]
fn every_folder_says_what_it_is() {
    for file in sources("src") {
        if file.ends_with("mod.rs") {
            assert!(
                read(&file).starts_with("//!"),
                "{} opens without //!",
                relative(&file)
            );
        }
    }
}

#[test]
fn documents_name_files_that_exist() {
    let mut missing = Vec::new();
    for document in documents() {
        let text = read(&document);
        // Decisions are frozen: what they name may have moved since.
        let is_frozen = document.starts_with(root().join("docs/decisions"));
        let named = code_spans(&text).filter(|span| !is_frozen && names_a_file(span));
        let targets = links(&text)
            .map(|link| document.with_file_name(link))
            .chain(named.map(|span| root().join(span)));
        let gone = targets.filter(|target| !target.exists());
        missing.extend(gone.map(|target| format!("{}: {}", relative(&document), relative(&target))));
    }
    assert!(missing.is_empty(), "named and not there:\n{}", missing.join("\n"));
}

#[test]
fn a_directive_that_nobody_reads_is_named_as_one_without_effect() {
    let compat = read(&root().join("docs/compat.md"));
    let spans = |title: &str| code_spans(item(&compat, title)).collect::<Vec<_>>();
    let idle = [
        spans("- **Directives without effect**"),
        spans("- **Directives that tune a missing feature**"),
    ]
    .concat();
    let refused = spans("- **Directives whose feature is missing**");
    let covers = |span: &str, name: &str| match span.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => span == name,
    };
    let readers = sources("src").into_iter().filter(|file| reads_directives(file));
    let code: Vec<String> = readers.map(|file| without_tests(&read(&file))).collect();
    // Whatever stands between two quotes: the names of directives that are asked for are among it.
    let asked: HashSet<&str> = code.iter().flat_map(|code| code.split('"')).collect();
    let names = rows().iter().map(|row| row.name);
    let unread: Vec<&str> = names.filter(|name| !asked.contains(name)).collect();
    for name in &unread {
        let is_named = idle.iter().chain(&refused).any(|span| covers(span, name));
        assert!(is_named, "nobody reads {name}: docs/compat.md must say so");
    }
    for span in idle {
        let is_so = unread.iter().any(|name| covers(span, name));
        assert!(is_so, "{span} in docs/compat.md is read, or no directive");
    }
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let places = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    for file in files(&root()) {
        let text = read(&file);
        for place in &places {
            let named = text
                .match_indices(place.as_str())
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}".contains(c)));
            assert!(!named, "{} names {place}", relative(&file));
        }
    }
}

// ---- the tree ----

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", relative(file)));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All files below `folder`, but what version control and the compiler keep.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == ".git" || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join(folder));
    found.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    found
}

fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"));
    found.push(root().join("README.md"));
    found.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    found
}

fn find_room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|row| row.name == name)
}

/// `keyspace` for `keyspace/gate.rs`, `server` for `server.rs`.
fn room_of(inside: &Path) -> String {
    let first = inside.iter().next().expect("a path inside src is not empty");
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// `[ds, dict]` for `ds/dict/mod.rs`, `[ds, dict, raw]` for `ds/dict/raw.rs`.
fn module_of(inside: &Path) -> Vec<String> {
    let mut module: Vec<String> = inside
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn assert_same(here: &str, these: &BTreeSet<String>, there: &str, those: &BTreeSet<String>) {
    let only_here: Vec<_> = these.difference(those).collect();
    let only_there: Vec<_> = those.difference(these).collect();
    assert!(
        only_here.is_empty() && only_there.is_empty(),
        "only in {here}: {only_here:#?}\nonly in {there}: {only_there:#?}"
    );
}

// ---- documents ----

/// Cells of the rows of that table of a document whose header has a cell `column`; back quotes taken off.
fn cells(document: &str, column: &str) -> Vec<Vec<String>> {
    let text = read(&root().join(document));
    let split = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    text.lines()
        .skip_while(|line| !(line.starts_with('|') && split(line).iter().any(|cell| cell == column)))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(split)
        .collect()
}

fn first_cells(document: &str, column: &str) -> Vec<String> {
    let rows = cells(document, column);
    rows.into_iter().map(|row| row[0].clone()).collect()
}

/// First and last cell of each row, as `room: import import`.
fn table_rows(document: &str, column: &str) -> BTreeSet<String> {
    let rows = cells(document, column);
    rows.iter()
        .map(|row| {
            let room = row[0].trim_end_matches('/').trim_end_matches(".rs");
            format!("{room}: {}", row[row.len() - 1].replace(',', ""))
        })
        .collect()
}

/// An item of a list, from its first words to where the next one begins.
fn item<'a>(text: &'a str, start: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split("\n- ").next().unwrap_or(rest)
}

/// Targets of a document's links to other files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains(':')).then_some(target)
    })
}

/// What stands between back quotes, fenced blocks left out.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.lines().flat_map(|line| line.split('`').skip(1).step_by(2)))
}

/// Whether a file asks for the values of directives. Most of `src/config` names them for other reasons.
fn reads_directives(file: &Path) -> bool {
    let is_of_config = file.starts_with(root().join("src/config")) && !file.ends_with("src/config/mod.rs");
    !is_of_config && !file.ends_with("tests.rs")
}

fn without_tests(source: &str) -> String {
    let (code, _) = source
        .split_once("#[cfg(test)]\nmod tests {")
        .unwrap_or((source, ""));
    code.to_owned()
}

fn names_a_file(span: &str) -> bool {
    let top = [
        "src/", "docs/", "tests/", "benches/", "scripts/", "deploy/", ".ci/",
    ];
    top.iter().any(|folder| span.starts_with(folder)) && !span.contains(['*', '<', '{', ' '])
}

// ---- source ----

/// `source` with every comment and literal made a blank.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let skipped = comment_len(rest)
            .or_else(|| literal_len(rest, after_word))
            .unwrap_or(0);
        code.push(if skipped > 0 { ' ' } else { next });
        rest = &rest[skipped.max(next.len_utf8())..];
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn comment_len(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    loop {
        match rest.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            Some(_) => at += 1,
            None if at + 2 > rest.len() => return Some(rest.len()),
            None => at += 1, // inside a character
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Length of the string or character at the start of `rest`; a lifetime is none.
fn literal_len(rest: &str, after_word: bool) -> Option<usize> {
    if !after_word && let Some(len) = raw_string_len(rest) {
        return Some(len);
    }
    match rest.as_bytes()[0] {
        b'"' => Some(quoted_len(rest, b'"')),
        b'\'' if rest[1..].starts_with('\\') => Some(quoted_len(rest, b'\'')),
        b'\'' => {
            let inner = rest[1..].chars().next()?.len_utf8();
            rest[1 + inner..].starts_with('\'').then_some(inner + 2)
        }
        _ => None,
    }
}

fn raw_string_len(rest: &str) -> Option<usize> {
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c']).len();
    let fence_start = rest[prefix..].strip_prefix('r').map(|_| prefix + 1)?;
    let after = rest[fence_start..].trim_start_matches('#');
    let fence = &rest[fence_start..rest.len() - after.len()];
    let body = after.strip_prefix('"')?;
    let end = body.find(&format!("\"{fence}")).map(|at| at + 1 + fence.len());
    Some(rest.len() - body.len() + end.unwrap_or(body.len()))
}

/// Length of a literal that ends at the first `quote` without a backslash before it.
fn quoted_len(rest: &str, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Words, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    found
}

/// Every path from `crate` or `super` in the code of `module`, counted from the root of the crate.
fn paths(mut module: Vec<String>, tokens: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut opened = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let starts_path = tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::");
        match *token {
            "mod" if tokens.get(at + 2) == Some(&"{") => {
                module.push(tokens[at + 1].to_owned());
                opened.push(depth);
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if opened.last() == Some(&depth) {
                    opened.pop();
                    module.pop();
                }
            }
            "crate" if starts_path => {
                spread(&tokens[at + 2..], Vec::new(), &mut found);
            }
            "super" if starts_path => {
                spread(&tokens[at..], module.clone(), &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Reads one branch of a `use` tree that continues `prefix`; how many tokens it took.
fn spread(tokens: &[&str], mut prefix: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 0;
    loop {
        match tokens.get(at).copied() {
            Some("{") => return at + spread_group(&tokens[at..], &prefix, found),
            Some("super") => drop(prefix.pop()),
            Some("self") => {}
            Some(word) if word == "*" || word.starts_with(is_word) => prefix.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    found.push(prefix);
    at
}

fn spread_group(tokens: &[&str], prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 1;
    while at < tokens.len() && tokens[at] != "}" {
        at += spread(&tokens[at..], prefix.to_vec(), found);
        while at < tokens.len() && tokens[at] != "," && tokens[at] != "}" {
            at += 1; // `as name`
        }
        if tokens.get(at) == Some(&",") {
            at += 1;
            if tokens.get(at) == Some(&"}") {
                break;
            }
        }
    }
    at + 1
}

// ---- the reader itself ----

#[cfg(test)]
mod reader {
    use super::*;

    fn paths_in(source: &str) -> Vec<String> {
        let module = vec!["ds".to_owned(), "dict".to_owned()];
        let code = code_of(source);
        let found = paths(module, &tokens(&code));
        found.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let source =
            "a /* unsafe /* b */ */ // unsafe\n\"unsafe \\\" \" r#\"unsafe\"# 'x' '\\'' &'life b\"\\\\\" z";
        let code = code_of(source);
        assert_eq!(tokens(&code), ["a", "&", "'", "life", "b", "z"]);
    }

    #[test]
    fn use_trees_are_spread_out() {
        assert_eq!(
            paths_in("use crate::{base::clock::{self, Now as N}, exec::*,};"),
            ["base::clock", "base::clock::Now", "exec::*"]
        );
        assert_eq!(paths_in("let x = crate::resp::parse::<T>(y);"), ["resp::parse"]);
    }

    #[test]
    fn super_is_counted_from_the_module_it_stands_in() {
        assert_eq!(paths_in("use super::raw;"), ["ds::raw"]);
        assert_eq!(
            paths_in("mod tests { use super::super::super::exec; } use super::raw;"),
            ["exec", "ds::raw"]
        );
        assert_eq!(paths_in("pub(super) fn f(s: &str) {}"), Vec::<String>::new());
    }

    #[test]
    fn an_item_opens_only_itself() {
        let row = room("net", &["base"]).and(&["exec::mailbox"]);
        let may = |path: &str| row.may_import(&path.split("::").map(str::to_owned).collect::<Vec<_>>());
        assert!(may("base::clock") && may("net::conn") && may("exec::mailbox") && may("exec::mailbox::Mail"));
        assert!(!may("exec") && !may("exec::cron") && !may("keyspace") && !may(""));
    }
}
