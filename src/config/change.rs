//! CONFIG GET and CONFIG SET.
//!
//! A set is all or nothing: names and permissions are judged first, then every value is read and stored, and
//! the first one refused puts the earlier ones back. Effects (listening on a new port, say) are the caller's:
//! it walks [`Changed::names`], and when one fails hands the token to [`Config::undo`] and answers
//! [`SetError::effect`].

use std::collections::HashSet;
use std::fmt;

use super::directive::{self, Directive, Entry, Traits};
use super::value::{self, Reason, Value};
use super::{Config, awaited};
use crate::base::glob;

/// The range that `hz` is brought into, whatever was asked for.
const HZ_RANGE: std::ops::RangeInclusive<i64> = 1..=500;

/// What the client that sets is allowed, and what the server is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Permissions {
    /// `enable-protected-configs` lets this client set protected directives.
    pub protected: bool,
    /// A data set is being loaded.
    pub loading: bool,
}

/// What a set has changed; also the token that takes it back.
#[derive(Debug, Default)]
#[must_use = "effects have to be applied, or the change undone"]
pub struct Changed {
    names: Vec<&'static str>,
    old: Vec<(usize, Value)>,
}

impl Changed {
    /// The directives whose value is another now, under their main names, in the order they were given.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Whether any of `names` is among them: for one effect that depends on several directives.
    pub fn any(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.contains(name))
    }
}

/// Why CONFIG SET was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// There is no directive of that name.
    Unknown(Vec<u8>),
    /// The directive, under the name the client used, and what is wrong.
    Refused(Vec<u8>, Reason),
    /// It cannot be set while a data set is being loaded.
    Loading,
}

impl SetError {
    /// For a value that was fine in itself, but could not be put into effect.
    pub fn effect(name: &str, reason: impl Into<Reason>) -> SetError {
        SetError::Refused(name.as_bytes().to_vec(), reason.into())
    }

    /// The error reply, code first, without the leading `-` and the line's end. Line breaks inside become
    /// blanks.
    pub fn wire(&self) -> Vec<u8> {
        let mut text = match self {
            SetError::Unknown(name) => [
                b"ERR Unknown option or number of arguments for CONFIG SET - '",
                &name[..],
                b"'",
            ]
            .concat(),
            SetError::Refused(name, reason) => [
                b"ERR CONFIG SET failed (possibly related to argument '",
                &name[..],
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
            SetError::Loading => b"LOADING Redis is loading the dataset in memory".to_vec(),
        };
        text.iter_mut()
            .filter(|byte| b"\r\n".contains(byte))
            .for_each(|byte| *byte = b' ');
        text
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.wire()))
    }
}

impl std::error::Error for SetError {}

/// A last word on a value that is fine in itself.
type Judge = fn(&'static Directive, &Value) -> Result<(), Reason>;

impl Config {
    /// CONFIG GET: (name, value) of every directive that a pattern names.
    ///
    /// A pattern without `*`, `?` and `[` is a name, answered as the client spelled it; the others match
    /// names and aliases in any case, hidden directives excepted. No name is answered twice.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for pattern in patterns.iter().map(AsRef::as_ref) {
            if !pattern.iter().any(|byte| b"*?[".contains(byte)) {
                let entry = directive::find(pattern).filter(|entry| seen.insert(entry.name));
                found.extend(entry.map(|entry| (pattern.to_vec(), self.values[entry.index].text())));
                continue;
            }
            let visible = directive::entries().filter(|entry| !entry.row.traits.contains(Traits::HIDDEN));
            for entry in visible.filter(|entry| glob::matches(pattern, entry.name.as_bytes(), true)) {
                if seen.insert(entry.name) {
                    found.push((entry.name.as_bytes().to_vec(), self.values[entry.index].text()));
                }
            }
        }
        found
    }

    /// CONFIG SET: all pairs, or none.
    ///
    /// # Errors
    /// The first one found: unknown, immutable, protected, not while loading, twice the same name; and, when
    /// all names are fine, the first value that is refused.
    pub fn set<B: AsRef<[u8]>>(
        &mut self,
        pairs: &[(B, B)],
        permissions: Permissions,
    ) -> Result<Changed, SetError> {
        let mut staged: Vec<(Entry, &[u8])> = Vec::with_capacity(pairs.len());
        for (name, text) in pairs {
            let name = name.as_ref();
            let entry = admit(name, permissions)?;
            // Compat: a directive and its alias are two names here; the later one wins.
            if staged.iter().any(|(earlier, _)| earlier.name == entry.name) {
                return Err(SetError::Refused(name.to_vec(), "duplicate parameter".into()));
            }
            staged.push((entry, text.as_ref()));
        }
        self.store(&staged, awaited::refuse)
    }

    /// Sets one directive whatever its traits: for REPLICAOF, and for a folder that the system spells another
    /// way.
    ///
    /// # Errors
    /// An unknown name, or a value the directive does not take.
    pub fn assign(&mut self, name: &str, text: &[u8]) -> Result<Changed, SetError> {
        let entry =
            directive::find(name.as_bytes()).ok_or_else(|| SetError::Unknown(name.as_bytes().to_vec()))?;
        self.store(&[(entry, text)], |_, _| Ok(()))
    }

    /// Takes a change back.
    pub fn undo(&mut self, changed: Changed) {
        for (index, value) in changed.old.into_iter().rev() {
            self.values[index] = value;
        }
    }

    fn store(&mut self, staged: &[(Entry, &[u8])], judge: Judge) -> Result<Changed, SetError> {
        let mut changed = Changed::default();
        for (entry, text) in staged {
            let words = split_value(entry.row, text);
            let parsed = value::parse(entry.row, &words, Some(&self.values[entry.index]));
            match parsed.and_then(|new| judge(entry.row, &new).map(|()| new)) {
                Ok(new) => self.replace(entry, new, &mut changed),
                Err(reason) => {
                    self.undo(changed);
                    return Err(SetError::Refused(entry.name.as_bytes().to_vec(), reason));
                }
            }
        }
        Ok(changed)
    }

    fn replace(&mut self, entry: &Entry, new: Value, changed: &mut Changed) {
        let new = raised(entry.row, settled(entry.row, new));
        let old = std::mem::replace(&mut self.values[entry.index], new);
        let differs = old != self.values[entry.index] || entry.row.traits.contains(Traits::VOLATILE);
        if differs && !changed.names.contains(&entry.row.name) {
            changed.names.push(entry.row.name);
        }
        changed.old.push((entry.index, old));
    }
}

/// A value as it takes hold: `hz` is a wish, and is brought into its range.
pub(super) fn settled(row: &Directive, value: Value) -> Value {
    match value {
        Value::Int(number) if row.name == "hz" => {
            Value::Int(number.clamp(*HZ_RANGE.start(), *HZ_RANGE.end()))
        }
        other => other,
    }
}

/// Compat: CONFIG SET makes no backlog of less than this, although a configuration file may.
fn raised(row: &Directive, value: Value) -> Value {
    const BACKLOG_BYTES_MIN: u64 = 16 * 1024;
    match value {
        Value::Memory(bytes) if row.name == "repl-backlog-size" => {
            Value::Memory(bytes.max(BACKLOG_BYTES_MIN))
        }
        other => other,
    }
}

fn admit(name: &[u8], permissions: Permissions) -> Result<Entry, SetError> {
    let entry = directive::find(name).ok_or_else(|| SetError::Unknown(name.to_vec()))?;
    let traits = entry.row.traits;
    let refused = |reason: &'static str| Err(SetError::Refused(name.to_vec(), reason.into()));
    if traits.contains(Traits::IMMUTABLE) {
        refused("can't set immutable config")
    } else if traits.contains(Traits::PROTECTED) && !permissions.protected {
        refused("can't set protected config")
    } else if traits.contains(Traits::DENY_LOADING) && permissions.loading {
        Err(SetError::Loading)
    } else {
        Ok(entry)
    }
}

/// Compat: the value is split at every single blank, without regard to quotes, so two in a row enclose an
/// empty word.
fn split_value(row: &Directive, text: &[u8]) -> Vec<Vec<u8>> {
    match row.takes_many_arguments() {
        true if text.is_empty() => Vec::new(),
        true => text.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect(),
        false => vec![text.to_vec()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYTHING: Permissions = Permissions {
        protected: true,
        loading: false,
    };

    fn shown(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        config
            .get(patterns)
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// Sets pairs on a fresh configuration; answers the error, or what one name shows afterwards.
    #[track_caller]
    fn check(pairs: &[(&str, &str)], permissions: Permissions, name: &str, expected: Result<&str, &str>) {
        let mut config = Config::default();
        let found = match config.set(pairs, permissions) {
            Ok(_) => Ok(shown(&config, &[name])[0].1.clone()),
            Err(error) => {
                assert_eq!(config, Config::default(), "an error changes nothing");
                Err(error.to_string())
            }
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{pairs:?}");
    }

    #[test]
    fn errors_are_worded_as_redis_words_them() {
        let none = Permissions::default();
        let loading = Permissions {
            protected: true,
            loading: true,
        };
        let failed = |rest: &str| format!("ERR CONFIG SET failed (possibly related to argument {rest}");
        let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'foo'";
        check(&[("foo", "1")], none, "", Err(unknown));
        check(
            &[("port", "1"), ("foo", "1"), ("daemonize", "no")],
            none,
            "",
            Err(unknown),
        );
        let immutable = failed("'DAEMONIZE') - can't set immutable config");
        check(&[("DAEMONIZE", "yes")], none, "", Err(&immutable));
        check(
            &[("dir", "/")],
            none,
            "",
            Err(&failed("'dir') - can't set protected config")),
        );
        check(
            &[("dir", "/")],
            loading,
            "",
            Err("LOADING Redis is loading the dataset in memory"),
        );
        let twice = failed("'TIMEOUT') - duplicate parameter");
        check(&[("timeout", "1"), ("TIMEOUT", "2")], none, "", Err(&twice));
        let value = failed("'maxmemory') - argument must be a memory value");
        check(&[("hz", "100"), ("MaxMemory", "x")], none, "", Err(&value));
        let alias = failed("'slave-priority') - argument must be between 0 and 2147483647 inclusive");
        check(&[("slave-priority", "-4")], none, "", Err(&alias));
        check(&[("a\r\nb", "1")], none, "", Err(&unknown.replace("foo", "a  b")));
    }

    #[test]
    fn values_are_stored_and_shown() {
        check(&[("maxmemory", "1gb"), ("hz", "9999")], ANYTHING, "hz", Ok("500"));
        check(&[("hz", "0")], ANYTHING, "hz", Ok("1"));
        check(
            &[("repl-backlog-size", "1")],
            ANYTHING,
            "repl-backlog-size",
            Ok("16384"),
        );
        check(&[("save", "900 1 300 10")], ANYTHING, "save", Ok("900 1 300 10"));
        check(&[("save", "")], ANYTHING, "save", Ok(""));
        check(&[("bind", "")], ANYTHING, "bind", Ok(""));
        check(
            &[("client-output-buffer-limit", "")],
            ANYTHING,
            "timeout",
            Ok("0"),
        );
        check(
            &[
                ("hash-max-ziplist-entries", "5"),
                ("hash-max-listpack-entries", "6"),
            ],
            ANYTHING,
            "hash-max-ziplist-entries",
            Ok("6"),
        );
        let wrong = "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters";
        check(&[("save", "900 1  300 10")], ANYTHING, "", Err(wrong));
    }

    #[test]
    fn a_change_names_what_changed_and_can_be_undone() {
        let mut config = Config::default();
        let pairs = [
            ("timeout", "5"),
            ("hz", "10"),
            ("tls-cert-file", ""),
            ("slave-priority", "7"),
        ];
        let changed = config.set(&pairs, ANYTHING).expect("fine");
        assert_eq!(changed.names(), ["timeout", "tls-cert-file", "replica-priority"]);
        assert!(changed.any(&["port", "timeout"]) && !changed.any(&["hz"]));
        config.undo(changed);
        assert_eq!(config, Config::default());
    }

    #[test]
    fn undo_restores_the_first_value_when_two_names_meant_one_row() {
        let mut config = Config::default();
        let changed = config
            .set(&[("slave-priority", "1"), ("replica-priority", "2")], ANYTHING)
            .expect("fine");
        assert_eq!(
            (changed.names(), config.int("replica-priority")),
            (&["replica-priority"][..], 2)
        );
        config.undo(changed);
        assert_eq!(config.int("replica-priority"), 100);
    }

    #[test]
    fn assign_goes_past_the_traits() {
        let mut config = Config::default();
        let _ = config.assign("replicaof", b"localhost 6379").expect("fine");
        assert_eq!(config.master(), Some((&b"localhost"[..], 6379)));
        assert_eq!(
            shown(&config, &["slaveof"]),
            [("slaveof".into(), "localhost 6379".into())]
        );
    }

    #[test]
    fn get_answers_each_name_once_as_it_was_asked_for() {
        let config = Config::default();
        let names = |patterns: &[&str]| {
            shown(&config, patterns)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&["PORT", "port", "po*"]), ["PORT"]);
        assert_eq!(names(&["*of"]), ["replicaof", "slaveof"]);
        assert_eq!(names(&["Max?lients"]), ["maxclients"]);
        assert_eq!(names(&["watch*"]), [""; 0]);
        assert_eq!(names(&["watchdog-period"]), ["watchdog-period"]);
        assert_eq!(names(&["foo", "foo*"]), [""; 0]);
        assert!(names(&["*"]).len() > 200);
    }

    #[test]
    fn every_mutable_directive_takes_back_what_it_shows() {
        let mut config = Config::default();
        for (name, value) in config.get(&["*"]) {
            let traits = directive::find(&name).expect("a directive").row.traits;
            if traits.contains(Traits::IMMUTABLE) || name == b"dir" {
                continue;
            }
            let changed = config
                .set(&[(&name, &value)], ANYTHING)
                .unwrap_or_else(|error| panic!("{error}"));
            assert!(changed.names().is_empty() || traits.contains(Traits::VOLATILE));
            assert_eq!(config.get(&[&name]), [(name, value)]);
        }
        assert_eq!(config, Config::default());
    }
}
