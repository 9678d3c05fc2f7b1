//! The command line, which is a configuration file in another dress.
//!
//! ```text
//!   [file | -] [--directive value ...]... [-]
//!   --port 7000 --bind 127.0.0.1 ::1     ->  port "7000"\nbind "127.0.0.1" "::1"
//! ```
//!
//! Every `--name` starts a line and what follows it, up to the next `--name`, are its words, quoted. What
//! follows a name directly is its value even when it starts with `--`; `--save` alone is the exception and
//! means `save ""`. A name with its value in one argument (`"--port 7000"`) is taken as it is. There is no
//! `--name=value`.
//!
//! Not here: reading files, and answering `--help`, `--version` and the like.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use super::{Config, LoadError};
use crate::base::quote;

/// What the caller wants of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A server.
    Run,
    /// The version.
    Version,
    /// The usage text.
    Help,
    /// A test of so many megabytes of memory.
    TestMemory(u64),
    /// A check of the system's settings.
    CheckSystem,
}

/// `--test-memory` came without an amount. Displays as the text Redis prints before it exits with code 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Please specify the amount of memory to test in megabytes.\nExample: ./redis-server --test-memory 4096\n"
)]
pub struct UsageError;

/// A command line, read but not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What is asked for. The other fields matter for [`Wants::Run`] only.
    pub wants: Wants,
    /// The configuration file.
    pub config_file: Option<PathBuf>,
    /// Standard input holds configuration, too.
    pub stdin: bool,
    /// The directives, as lines of a configuration file.
    pub overrides: Vec<u8>,
    /// `--sentinel` was among them.
    pub sentinel: bool,
}

impl CommandLine {
    /// Reads the arguments, the program's name not among them.
    ///
    /// # Errors
    /// `--test-memory` without an amount. A wrong directive is found by [`CommandLine::load`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, UsageError> {
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(OsString::into_encoded_bytes).collect();
        let mut line = CommandLine {
            wants: wants(&arguments)?,
            config_file: None,
            stdin: false,
            overrides: Vec::new(),
            sentinel: false,
        };
        if line.wants == Wants::Run {
            let has_file = arguments.first().is_some_and(|first| !first.starts_with(b"-"));
            if has_file {
                line.config_file = Some(super::value::bytes_path(&arguments[0]).to_owned());
            }
            line.take_options(&arguments, usize::from(has_file));
        }
        Ok(line)
    }

    /// Reads the configuration it speaks of, standard input included.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load(&self) -> Result<Config, LoadError> {
        let mut text = Vec::new();
        if self.stdin {
            let read = io::stdin().lock().read_to_end(&mut text);
            read.map_err(|source| LoadError::Open {
                path: PathBuf::from("-"),
                source,
            })?;
        }
        Config::load(
            self.config_file.as_deref(),
            self.stdin.then_some(&text[..]),
            &self.overrides,
        )
    }

    fn take_options(&mut self, arguments: &[Vec<u8>], first: usize) {
        // Whether a further `--word` starts a directive, rather than being the value that the last one still
        // lacks.
        let mut complete = true;
        for (place, argument) in arguments.iter().enumerate().skip(first) {
            let last = place + 1 == arguments.len();
            if argument == b"-" && (place == 0 || last) {
                self.stdin = true;
            } else if complete && argument.starts_with(b"--") {
                let next_is_option = arguments
                    .get(place + 1)
                    .is_some_and(|next| next.starts_with(b"--"));
                complete = self.start_directive(argument, last || next_is_option);
            } else {
                quote::repr(argument, &mut self.overrides);
                self.overrides.push(b' ');
                complete = true;
            }
        }
    }

    /// Starts the line of `--name`, and tells whether it needs no value from the next argument.
    fn start_directive(&mut self, argument: &[u8], stands_alone: bool) -> bool {
        if !self.overrides.is_empty() {
            self.overrides.push(b'\n');
        }
        self.overrides.extend_from_slice(&argument[2..]);
        self.overrides.push(b' ');
        if quote::split_args(argument).is_ok_and(|words| words.len() != 1) {
            return true;
        }
        if stands_alone && argument.eq_ignore_ascii_case(b"--save") {
            self.overrides.extend_from_slice(b"\"\"");
            return true;
        }
        let sentinel = argument.eq_ignore_ascii_case(b"--sentinel");
        self.sentinel |= sentinel;
        sentinel && stands_alone
    }
}

fn wants(arguments: &[Vec<u8>]) -> Result<Wants, UsageError> {
    let Some(first) = arguments.first() else {
        return Ok(Wants::Run);
    };
    Ok(match first.as_slice() {
        b"-v" | b"--version" => Wants::Version,
        b"-h" | b"--help" => Wants::Help,
        b"--check-system" => Wants::CheckSystem,
        b"--test-memory" => match arguments {
            [_, amount] => Wants::TestMemory(leading_number(amount)),
            _ => return Err(UsageError),
        },
        _ => Wants::Run,
    })
}

/// What C's `atoi` reads: the digits at the start, 0 when there are none.
fn leading_number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u64, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> CommandLine {
        CommandLine::parse(arguments.iter().map(OsString::from)).expect("usable")
    }

    #[track_caller]
    fn check(arguments: &[&str], overrides: &str) {
        let found = String::from_utf8(parse(arguments).overrides).expect("text");
        assert_eq!(found.trim_end(), overrides, "{arguments:?}");
    }

    #[test]
    fn options_become_lines() {
        check(
            &["--port", "0", "--bind", "127.0.0.1", "::1"],
            "port \"0\" \nbind \"127.0.0.1\" \"::1\"",
        );
        check(&["--foo", "a b", "c\"d"], r#"foo "a b" "c\"d""#);
        check(&["--port 0", "--foo"], "port 0 \nfoo");
        check(&["-x"], "\"-x\"");
        check(&["--port=5"], "port=5");
        check(
            &["f.conf", "loglevel", "verbose", "--maxmemory '700mb'"],
            "\"loglevel\" \"verbose\" \nmaxmemory '700mb'",
        );
    }

    #[test]
    fn what_follows_a_name_is_its_value_even_with_dashes() {
        check(
            &["--port", "--loglevel", "verbose"],
            r#"port "--loglevel" "verbose""#,
        );
        check(
            &["--port", "--bla", "--loglevel", "verbose"],
            "port \"--bla\" \nloglevel \"verbose\"",
        );
        check(
            &["--replicaof", "--127.0.0.1", "--abc"],
            "replicaof \"--127.0.0.1\" \nabc",
        );
    }

    #[test]
    fn save_without_a_value_turns_saving_off() {
        check(
            &["--save", "--loglevel", "verbose"],
            "save \"\"\nloglevel \"verbose\"",
        );
        check(
            &["--loglevel", "verbose", "--save"],
            "loglevel \"verbose\" \nsave \"\"",
        );
        check(&["--save", "", "--hz", "1"], "save \"\" \nhz \"1\"");
        check(
            &["--proc-title-template", "--save", "--save", "", "--hz", "1"],
            "proc-title-template \"--save\" \nsave \"\" \nhz \"1\"",
        );
    }

    #[test]
    fn a_file_and_standard_input_are_told_apart() {
        let line = parse(&["a.conf", "--port", "1", "-"]);
        assert_eq!(
            (line.config_file.as_deref(), line.stdin),
            (Some(std::path::Path::new("a.conf")), true)
        );
        assert!(parse(&["-"]).stdin && parse(&["-", "--port", "0"]).stdin);
        check(&["--port", "0", "-", "--foo"], "port \"0\" \"-\" \nfoo");
    }

    #[test]
    fn sentinel_is_noticed() {
        let line = parse(&["a.conf", "--sentinel", "--port", "1"]);
        assert!(line.sentinel);
        assert_eq!(line.overrides, b"sentinel \nport \"1\" ");
    }

    #[test]
    fn other_wishes_are_the_first_argument() {
        let wants = |arguments: &[&str]| {
            CommandLine::parse(arguments.iter().map(OsString::from)).map(|line| line.wants)
        };
        assert_eq!(wants(&["-v"]), Ok(Wants::Version));
        assert_eq!(wants(&["--help"]), Ok(Wants::Help));
        assert_eq!(wants(&["--check-system"]), Ok(Wants::CheckSystem));
        assert_eq!(wants(&["--test-memory", "64x"]), Ok(Wants::TestMemory(64)));
        assert_eq!(wants(&["--test-memory"]), Err(UsageError));
        assert_eq!(wants(&[]), Ok(Wants::Run));
    }

    #[test]
    fn errors_show_the_line_as_redis_shows_it() {
        let load = |arguments: &[&str]| parse(arguments).load().expect_err("wrong").to_string();
        assert!(
            load(&["--port", "6379", "6380"])
                .ends_with("at line 2\n>>> 'port \"6379\" \"6380\"'\nwrong number of arguments")
        );
        assert!(load(&["--hz", "1", "--port"]).ends_with("at line 3\n>>> 'port'\nwrong number of arguments"));
        assert!(
            load(&["--replicaof", "h", "abc"]).ends_with("'replicaof \"h\" \"abc\"'\nInvalid master port")
        );
    }

    #[test]
    fn a_command_line_is_loaded() {
        let line = parse(&[
            "--shutdown-on-sigint",
            "nosave",
            "force",
            "--shutdown-on-sigterm",
            "nosave now",
            "--save",
        ]);
        let config = line.load().expect("fine");
        assert!(config.flag("shutdown-on-sigint", "force") && config.flag("shutdown-on-sigterm", "now"));
        assert!(config.save_points().is_empty());
    }
}
