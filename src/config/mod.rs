//! Configuration: a table with one row per directive, and everything derived from it.
//!
//! ```text
//!   command line ─┐                         ┌─ typed getters of the other rooms
//!   files, stdin ─┴─ load ──> Config ───────┼─ get      CONFIG GET
//!   CONFIG SET ────── set ──>  (values)     ├─ rewrite  CONFIG REWRITE
//!                                           └─ example  redis.conf.example
//! ```
//!
//! [`Config`] holds one value per row of [`directive::rows`], already checked and typed. It is pure data: it
//! opens no socket and moves no file. Whoever runs the server reads values from it, applies the effects of a
//! change, and takes the change back with [`Config::undo`] when an effect fails.
//!
//! I1  There is a value for every row, and it is of the row's kind.
//! I2  A call that returns an error has changed nothing.
//!
//! Cost: a getter hashes its name (some tens of nanoseconds), so rooms read what they need once per change,
//! not per command. Behaviour, error texts and defaults are those of Redis 7.4.1.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::base::units::Size;

mod awaited;
mod change;
pub mod command_line;
pub mod directive;
mod example;
mod load;
mod rewrite;
mod rows;
mod special;
mod value;

pub use change::{Changed, Permissions, SetError};
pub use command_line::{CommandLine, Wants};
pub use example::example_text;
pub use load::{LoadError, Origin, REDIS_VERSION, fuzz_config};
pub use rewrite::{Scope, replace_file};
pub use special::{OutputLimit, OutputLimits, SavePoint, percentile_text};
pub use value::Reason;

use directive::Kind;
use value::Value;

/// A line of the configuration that another room has to make sense of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The words after the directive's name.
    pub words: Vec<Vec<u8>>,
    /// Where it stood, for the error message if it makes none: see [`LoadError::at`].
    pub origin: Origin,
}

/// The present value of every directive, and the lines that are not values.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    values: Vec<Value>,
    users: Vec<Line>,
    renames: Vec<Line>,
    /// Where a value was given that is not the default, by place of the row.
    origins: HashMap<usize, Origin>,
    file: Option<PathBuf>,
}

impl Default for Config {
    /// Every directive at its default, as a server without a file and without arguments has them.
    fn default() -> Self {
        let values = directive::rows()
            .iter()
            .map(|row| value::default_of(row))
            .collect();
        Config {
            values,
            users: Vec::new(),
            renames: Vec::new(),
            origins: HashMap::new(),
            file: None,
        }
    }
}

/// Typed getters.
///
/// Each takes a directive's name (or alias) and panics when there is none of that name or it is of another
/// kind: names are written in the source, so that is a mistake of ours which the first test of the caller
/// finds.
impl Config {
    /// A `yes` or `no`.
    #[track_caller]
    pub fn bool(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Bool(yes) => *yes,
            _ => wrong_kind(name),
        }
    }

    /// A number, be it plain, octal, or an amount of memory; the latter capped at `i64::MAX`.
    #[track_caller]
    pub fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(number) | Value::Octal(number) => *number,
            Value::Memory(bytes) => i64::try_from(*bytes).unwrap_or(i64::MAX),
            _ => wrong_kind(name),
        }
    }

    /// An amount of memory, in bytes.
    #[track_caller]
    pub fn memory(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Memory(bytes) => *bytes,
            _ => wrong_kind(name),
        }
    }

    /// An amount of memory that may be given as a share: `maxmemory-clients`.
    #[track_caller]
    pub fn size(&self, name: &str) -> Size {
        match self.value(name) {
            Value::Size(size) => *size,
            _ => wrong_kind(name),
        }
    }

    /// A text, empty when not set.
    #[track_caller]
    pub fn text(&self, name: &str) -> &[u8] {
        match self.value(name) {
            Value::Text(bytes) | Value::Folder(bytes) => bytes,
            Value::Events(letters) => letters.as_bytes(),
            Value::Choice(choice) => choice.as_bytes(),
            _ => wrong_kind(name),
        }
    }

    /// A text that is a path, empty when not set.
    #[track_caller]
    pub fn path(&self, name: &str) -> &Path {
        value::bytes_path(self.text(name))
    }

    /// The word chosen, as the table spells it.
    #[track_caller]
    pub fn choice(&self, name: &str) -> &'static str {
        match self.value(name) {
            Value::Choice(choice) => choice,
            _ => wrong_kind(name),
        }
    }

    /// Whether `flag` is among the words of a directive such as `shutdown-on-sigterm`.
    #[track_caller]
    pub fn flag(&self, name: &str, flag: &str) -> bool {
        match self.value(name) {
            Value::Flags(bits, names) if names.contains(&flag) => bits & value::flag_bit(names, flag) != 0,
            _ => wrong_kind(name),
        }
    }

    /// A list of words: `bind`.
    #[track_caller]
    pub fn list(&self, name: &str) -> &[Vec<u8>] {
        match self.value(name) {
            Value::Words(words) => words,
            _ => wrong_kind(name),
        }
    }

    /// When to save by itself; empty for never.
    pub fn save_points(&self) -> &[SavePoint] {
        match self.value("save") {
            Value::SavePoints(points) => points,
            _ => wrong_kind("save"),
        }
    }

    /// When to disconnect clients that do not read.
    pub fn output_limits(&self) -> &OutputLimits {
        match self.value("client-output-buffer-limit") {
            Value::OutputLimits(limits) => limits,
            _ => wrong_kind("client-output-buffer-limit"),
        }
    }

    /// Scores for the kernel: of a master, of a replica, of a child that saves.
    pub fn oom_scores(&self) -> [i32; 3] {
        match self.value("oom-score-adj-values") {
            Value::OomScores(scores) => *scores,
            _ => wrong_kind("oom-score-adj-values"),
        }
    }

    /// Letters of the keyspace events to publish, each class spelled out (no `A`), in the order
    /// `g$lshzxetdnKEm`.
    pub fn event_classes(&self) -> &str {
        match self.value("notify-keyspace-events") {
            Value::Events(letters) => letters,
            _ => wrong_kind("notify-keyspace-events"),
        }
    }

    /// Host and port of the master to replicate.
    pub fn master(&self) -> Option<(&[u8], u16)> {
        match self.value("replicaof") {
            Value::Master(master) => master.as_ref().map(|(host, port)| (host.as_slice(), *port)),
            _ => wrong_kind("replicaof"),
        }
    }

    /// Percentiles that INFO shows, each from 0 to 100.
    pub fn percentiles(&self) -> &[f64] {
        match self.value("latency-tracking-info-percentiles") {
            Value::Percentiles(numbers) => numbers,
            _ => wrong_kind("latency-tracking-info-percentiles"),
        }
    }

    /// The `user` lines, in order: name first, then rules. The room that knows users judges them.
    pub fn user_lines(&self) -> &[Line] {
        &self.users
    }

    /// The `rename-command` lines, in order: old name, new name (empty to remove it).
    pub fn rename_lines(&self) -> &[Line] {
        &self.renames
    }

    /// The file the configuration was read from, absolute; CONFIG REWRITE writes there.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    #[track_caller]
    fn value(&self, name: &str) -> &Value {
        match directive::find(name.as_bytes()) {
            Some(entry) => &self.values[entry.index],
            None => panic!("there is no directive {name:?}"),
        }
    }
}

#[track_caller]
fn wrong_kind(name: &str) -> ! {
    panic!("directive {name:?} is of another kind than the getter asked for")
}

/// Whether CONFIG REWRITE leaves a directive out while its text is empty.
fn is_unset(kind: &Kind, value: &Value) -> bool {
    matches!((kind, value), (Kind::Text { empty_is_unset: true, .. }, Value::Text(text)) if text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getters_answer_the_defaults_of_redis() {
        let config = Config::default();
        assert!(!config.bool("appendonly") && config.bool("slave-read-only"));
        assert_eq!(
            (
                config.int("port"),
                config.int("hz"),
                config.int("list-max-listpack-size")
            ),
            (6379, 10, -2)
        );
        assert_eq!(
            (config.memory("maxmemory"), config.int("repl-backlog-size")),
            (0, 1 << 20)
        );
        assert_eq!(config.size("maxmemory-clients"), Size::Bytes(0));
        assert_eq!(
            (config.text("dbfilename"), config.path("dir")),
            (&b"dump.rdb"[..], Path::new("./"))
        );
        assert_eq!(config.choice("maxmemory-policy"), "noeviction");
        assert!(!config.flag("shutdown-on-sigterm", "save"));
        assert_eq!(config.list("bind"), [b"*".to_vec(), b"-::*".to_vec()]);
        assert_eq!(
            config.save_points()[2],
            SavePoint {
                seconds: 60,
                changes: 10000
            }
        );
        assert_eq!(config.output_limits().replica.hard_bytes, 256 << 20);
        assert_eq!((config.oom_scores(), config.event_classes()), ([0, 200, 800], ""));
        assert_eq!(
            (config.master(), config.percentiles()),
            (None, &[50.0, 99.0, 99.9][..])
        );
        assert!(
            config.file().is_none() && config.user_lines().is_empty() && config.rename_lines().is_empty()
        );
    }

    #[test]
    #[should_panic(expected = "no directive")]
    fn a_getter_asked_for_a_stranger_panics() {
        Config::default().bool("no-such-directive");
    }
}
