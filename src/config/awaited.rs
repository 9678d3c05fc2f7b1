//! Features that this version does not have yet, as far as directives speak of them.
//!
//! A directive that would lose data or leave a door open if it were ignored is refused, at start and by CONFIG SET,
//! with its name. One that merely has no effect yet is accepted, because real configuration files
//! have it. A feature that arrives takes its line away here.

use super::directive::{self, Directive};
use super::load::LoadError;

use super::value::{Reason, Value, default_of};
use super::{Config, Line};

/// Directives that take their default only until the feature is there.
const AWAITED: [&str; 4] = ["replicaof", "cluster-enabled", "tls-port", "aclfile"];

/// Why `value` cannot be had yet.
pub(super) fn refuse(row: &'static Directive, value: &Value) -> Result<(), Reason> {
    if AWAITED.contains(&row.name) && *value != default_of(row) {
        return Err(sentence(row.name).into());
    }
    Ok(())
}

fn sentence(name: &str) -> String {
    format!("'{name}' is not supported by this version of Russet yet")
}

impl Config {
    /// Whether everything that is asked for is there.
    ///
    /// # Errors
    /// The first directive that asks for a feature that is not, with the line it came from.
    pub fn check_awaited(&self) -> Result<(), LoadError> {
        for name in AWAITED {
            let entry = directive::find(name.as_bytes()).expect("a test looks all of them up");
            refuse(entry.row, &self.values[entry.index]).map_err(|reason| self.blame(name, reason))?;
        }
        match self.users.iter().find(|line| !describes_everybody(line)) {
            Some(line) => Err(LoadError::at(&line.origin, sentence("user"))),
            None => Ok(()),
        }
    }
}

/// Whether a `user` line says only what holds anyway: the default user, open to everybody, as CONFIG REWRITE of Redis
/// leaves it in the files of those who never touched users.
fn describes_everybody(line: &Line) -> bool {
    const OPEN: [&[u8]; 9] = [
        b"on",
        b"nopass",
        b"sanitize-payload",
        b"~*",
        b"&*",
        b"+@all",
        b"allkeys",
        b"allchannels",
        b"allcommands",
    ];
    let Some((name, rules)) = line.words.split_first() else {
        return false;
    };
    name == b"default" && rules.iter().all(|rule| OPEN.contains(&rule.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        let config = Config::from_text(text.as_bytes()).expect("directives in themselves");
        let found = config.check_awaited().map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(found, Ok(()), "{text}"),
            Err(end) => assert!(found.is_err_and(|text| text.ends_with(end)), "{text}"),
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name_and_line() {
        for (line, name) in [
            ("slaveof h 1", "replicaof"),
            ("cluster-enabled yes", "cluster-enabled"),
            ("tls-port 1", "tls-port"),
            ("aclfile x", "aclfile"),
            ("user alice on nopass ~* +@all", "user"),
            ("user default on #00 ~* +@all", "user"),
            ("user default on nopass ~* +@all -debug", "user"),
        ] {
            let end =
                format!("at line 2\n>>> '{line}'\n'{name}' is not supported by this version of Russet yet");
            check(&format!("timeout 1\n{line}"), Err(&end));
        }
    }

    #[test]
    fn defaults_and_what_is_harmless_pass() {
        for name in AWAITED {
            assert_eq!(
                directive::find(name.as_bytes()).map(|entry| entry.row.name),
                Some(name)
            );
        }
        check("", Ok(()));
        check(
            "appendonly yes\nreplicaof no one\ntls-port 0\nsave 900 1\nmaxmemory 1gb",
            Ok(()),
        );
        check("user default on nopass sanitize-payload ~* &* +@all", Ok(()));
    }
}
