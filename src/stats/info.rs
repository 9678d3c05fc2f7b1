//! The text of INFO, and which of its sections were asked for.
//!
//! ```text
//! # Server\r\n
//! redis_version:7.4.1\r\n
//! \r\n                      <- between sections only
//! # Clients\r\n
//! ```
//!
//! Values are bytes: a path or an error code need not be UTF-8.
//! Not here: what the fields are; each room writes its own.

use bitflags::bitflags;
use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;

bitflags! {
    /// A set of INFO sections. Bits stand in the order in which INFO prints them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Sections: u16 {
        /// Version, process and uptime.
        const SERVER = 1;
        /// Connected clients.
        const CLIENTS = 1 << 1;
        /// Allocator, dataset and limits.
        const MEMORY = 1 << 2;
        /// RDB and AOF.
        const PERSISTENCE = 1 << 3;
        /// General counters.
        const STATS = 1 << 4;
        /// Role, replicas and backlog.
        const REPLICATION = 1 << 5;
        /// CPU time used.
        const CPU = 1 << 6;
        /// Loaded modules.
        const MODULES = 1 << 7;
        /// Calls and time per command.
        const COMMANDSTATS = 1 << 8;
        /// Errors per code.
        const ERRORSTATS = 1 << 9;
        /// Latency percentiles per command.
        const LATENCYSTATS = 1 << 10;
        /// Whether cluster mode is on.
        const CLUSTER = 1 << 11;
        /// Keys per database.
        const KEYSPACE = 1 << 12;
        /// Event loop internals; printed only when named.
        const DEBUG = 1 << 13;
    }
}

/// Names as a client gives them, in print order. Modules answer to two.
const NAMES: &[(&str, Sections)] = &[
    ("server", Sections::SERVER),
    ("clients", Sections::CLIENTS),
    ("memory", Sections::MEMORY),
    ("persistence", Sections::PERSISTENCE),
    ("stats", Sections::STATS),
    ("replication", Sections::REPLICATION),
    ("cpu", Sections::CPU),
    ("modules", Sections::MODULES),
    ("module_list", Sections::MODULES),
    ("commandstats", Sections::COMMANDSTATS),
    ("errorstats", Sections::ERRORSTATS),
    ("latencystats", Sections::LATENCYSTATS),
    ("cluster", Sections::CLUSTER),
    ("keyspace", Sections::KEYSPACE),
    ("debug", Sections::DEBUG),
    ("default", Sections::DEFAULT),
    ("all", Sections::EVERYTHING),
    ("everything", Sections::EVERYTHING),
];

impl Sections {
    /// What `all` and `everything` stand for. They differ only in sections that modules add, and there are
    /// none.
    pub const EVERYTHING: Self = Self::all().difference(Self::DEBUG);

    /// What plain INFO prints: all but the long lists per command.
    pub const DEFAULT: Self = Self::EVERYTHING.difference(Self::COMMANDSTATS.union(Self::LATENCYSTATS));

    /// The sections named by the arguments of INFO, in any case; none given means the default ones. Unknown
    /// names are ignored, so `INFO nonsense` is empty.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut names = names.into_iter().map(Self::named).peekable();
        if names.peek().is_none() {
            return Self::DEFAULT;
        }
        names.fold(Self::empty(), Self::union)
    }

    fn named(name: &[u8]) -> Self {
        let known = NAMES
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        known.map_or(Self::empty(), |(_, sections)| *sections)
    }
}

/// Builds the text of INFO.
#[derive(Debug, Default)]
pub struct InfoWriter {
    text: Vec<u8>,
}

impl InfoWriter {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a section with its title as printed, such as `Server`.
    pub fn section(&mut self, title: &str) -> &mut Self {
        if !self.text.is_empty() {
            self.text.extend_from_slice(b"\r\n");
        }
        self.line(format_args!("# {title}"))
    }

    /// Writes `name:value`.
    pub fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.line(format_args!("{name}:{value}"))
    }

    /// Writes `name:value` for a value that need not be text. It must not contain line breaks.
    pub fn field_bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.text.extend_from_slice(name.as_bytes());
        self.text.push(b':');
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        self
    }

    /// Writes `<prefix><name>:value` where the name comes from outside and is made safe first.
    pub fn named_field(&mut self, prefix: &str, name: &[u8], value: impl Display) -> &mut Self {
        self.text.extend_from_slice(prefix.as_bytes());
        self.text.extend_from_slice(&safe_name(name));
        self.line(format_args!(":{value}"))
    }

    /// The finished text.
    pub fn finish(self) -> Vec<u8> {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> &mut Self {
        write!(self.text, "{line}\r\n").expect("writing to a Vec cannot fail");
        self
    }
}

/// The name with the bytes that would break the format (`#`, `:` and line ends) replaced by `_`.
pub fn safe_name(name: &[u8]) -> Cow<'_, [u8]> {
    let breaks = |byte: &u8| matches!(byte, b'#' | b':' | b'\r' | b'\n');
    if !name.iter().any(breaks) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(
        name.iter()
            .map(|byte| if breaks(byte) { b'_' } else { *byte })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Sections {
        Sections::parse(names.iter().map(|name| name.as_bytes()))
    }

    #[test]
    fn sections_are_parted_by_one_blank_line() {
        let mut info = InfoWriter::new();
        info.section("Server")
            .field("redis_version", "7.4.1")
            .field("hz", 10);
        info.section("Modules");
        info.section("CPU").field_bytes("path", b"/a\xff");
        let expected =
            b"# Server\r\nredis_version:7.4.1\r\nhz:10\r\n\r\n# Modules\r\n\r\n# CPU\r\npath:/a\xff\r\n";
        assert_eq!(info.finish(), expected);
    }

    #[test]
    fn no_names_mean_the_default_sections() {
        assert_eq!(parse(&[]), Sections::DEFAULT);
        assert_eq!(parse(&["DEFAULT"]), Sections::DEFAULT);
        assert!(
            !Sections::DEFAULT.intersects(Sections::COMMANDSTATS | Sections::LATENCYSTATS | Sections::DEBUG)
        );
        assert!(Sections::DEFAULT.contains(Sections::ERRORSTATS | Sections::MODULES | Sections::KEYSPACE));
    }

    #[test]
    fn names_add_up_in_any_case_and_unknown_ones_are_ignored() {
        assert_eq!(
            parse(&["cpu", "commandSTATS", "sentinel"]),
            Sections::CPU | Sections::COMMANDSTATS
        );
        assert_eq!(parse(&["cpu", "default"]), Sections::DEFAULT);
        assert_eq!(parse(&["sentinel"]), Sections::empty());
        assert_eq!(parse(&["module_list"]), Sections::MODULES);
    }

    #[test]
    fn debug_is_printed_only_when_named() {
        assert!(!parse(&["everything"]).contains(Sections::DEBUG));
        assert_eq!(parse(&["all", "debug"]), Sections::all());
    }

    #[test]
    fn every_section_has_a_name_and_bits_stand_in_print_order() {
        let named = NAMES
            .iter()
            .fold(Sections::empty(), |sum, (_, section)| sum | *section);
        assert_eq!(named, Sections::all());
        let single: Vec<u16> = NAMES
            .iter()
            .map(|row| row.1.bits())
            .filter(|bits| bits.is_power_of_two())
            .collect();
        assert!(single.is_sorted());
    }

    #[test]
    fn names_from_outside_cannot_break_lines() {
        let mut info = InfoWriter::new();
        info.named_field("errorstat_", b"a:b\r\n#", "count=1");
        assert_eq!(info.finish(), b"errorstat_a_b___:count=1\r\n");
        assert!(matches!(safe_name(b"plain"), Cow::Borrowed(_)));
    }
}
