//! The log against the data: what random commands leave in it is, read again, what they left in memory.
//!
//! ```text
//! commands ──> russet-server with appendonly yes ──> state ── DEBUG LOADAOF ──> state ── DEBUG RELOAD ──> state: the same?
//! ```
//!
//! A command that is acknowledged and not logged, or logged as something else than it did, shows nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use russet::resp::value::Value;

use crate::events::{Unit, Watched, draw_episode};
use crate::server::{Connection, Theirs};
use crate::{Run, number_from};

const PROGRAM: &str = env!("CARGO_BIN_EXE_russet-server");
const UNITS_AN_EPISODE: u64 = 120;
const DIFFERENCES_MAX: usize = 5;

/// `DIFF_LOG=100000 DIFF_SEED=1000` for more, and others.
#[test]
fn what_random_commands_leave_in_the_log_is_what_they_left_in_memory() {
    let program = Path::new(PROGRAM);
    let run = Run::new(Theirs::start(program).expect("our own program starts"));
    let server = Theirs::start_with(program, &["--appendonly", "yes", "--appendfsync", "no"]);
    let mut server = Watched::over(server.expect("our own program starts"));
    let (commands, seed) = (number_from("DIFF_LOG", 10_000), number_from("DIFF_SEED", 1));
    let mut found = 0;
    for episode in (seed..).take(commands.div_ceil(UNITS_AN_EPISODE) as usize) {
        let units = draw_episode(&run, episode);
        if let Some(difference) = play(&mut server, &units) {
            eprintln!("seed {episode}\n{}", shorten(&mut server, units, difference));
            found += 1;
        }
        if found == DIFFERENCES_MAX {
            break;
        }
    }
    assert_eq!(found, 0, "differences");
}

/// What all keys and libraries are, by their names.
type State = BTreeMap<String, String>;

fn play(server: &mut Watched, units: &[Unit]) -> Option<String> {
    server.restart();
    for unit in units {
        server.play(unit);
    }
    let control = &mut server.open();
    let left = state(control);
    for way in ["loadaof", "reload"] {
        assert_eq!(
            ask(control, &format!("debug {way}")),
            Value::Simple(b"OK".to_vec())
        );
        let again = state(control);
        let all = left.keys().chain(again.keys());
        let mut names = all.filter(|name| left.get(*name) != again.get(*name));
        if let Some(name) = names.next() {
            return Some(format!(
                "{name} before {:?}\nafter {way} {:?}",
                left.get(name),
                again.get(name)
            ));
        }
    }
    None
}

fn ask(control: &mut Connection, line: &str) -> Value {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    control.ask(&words)
}

fn state(control: &mut Connection) -> State {
    let mut state = State::new();
    let libraries = ask(control, "function list withcode").to_string();
    state.insert("libraries".to_owned(), libraries);
    for db in 0..16 {
        ask(control, &format!("select {db}"));
        let Value::Array(keys) = ask(control, "keys *") else {
            panic!("KEYS answers an array");
        };
        for key in keys {
            let Value::Bulk(key) = key else {
                panic!("a name: {key}")
            };
            state.insert(format!("{db} {}", key.escape_ascii()), shown(control, &key));
        }
    }
    state
}

/// Its elements, its end, and of a stream what only that has.
fn shown(control: &mut Connection, key: &[u8]) -> String {
    let mut facts = vec![
        control.ask(&[b"type", key]),
        control.ask(&[b"debug", b"digest-value", key]),
        control.ask(&[b"pexpiretime", key]),
    ];
    if facts[0] == Value::Simple(b"stream".to_vec()) {
        facts.push(lasting(
            control.ask(&[b"xinfo", b"stream", key, b"full", b"count", b"0"]),
        ));
    }
    facts.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

/// Without what a start may change: when a consumer was last heard of, and how entries share nodes.
fn lasting(value: Value) -> Value {
    const PASSING: [&[u8]; 4] = [
        b"seen-time",
        b"active-time",
        b"radix-tree-keys",
        b"radix-tree-nodes",
    ];
    let Value::Array(parts) = value else { return value };
    let mut kept = Vec::new();
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        if matches!(&part, Value::Bulk(name) if PASSING.contains(&name.as_slice())) {
            parts.next();
        } else {
            kept.push(lasting(part));
        }
    }
    Value::Array(kept)
}

/// Leaves out units as long as there is a difference.
fn shorten(server: &mut Watched, mut units: Vec<Unit>, mut difference: String) -> String {
    let mut chunk = units.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from + chunk <= units.len() {
            let mut fewer = units.clone();
            fewer.drain(from..from + chunk);
            match play(server, &fewer) {
                Some(found) => (units, difference) = (fewer, found),
                None => from += chunk,
            }
        }
        chunk /= 2;
    }
    let lines: Vec<String> = units.iter().map(Unit::show).collect();
    format!("{}\n{difference}", lines.join("\n"))
}
