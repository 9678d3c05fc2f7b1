//! The vocabulary of the table: what a row of it says, and how rows are found by name.
//!
//! A row is `const` data built by a short chain, so that a topic file reads as a list:
//!
//! ```text
//!   int("port", 0, 65535, "6379", "TCP port to listen on.")
//!   optional("masterauth", "Password to give to the master.").sensitive()
//! ```
//!
//! The default is written as a configuration file would write it and parsed by the row's own kind; a test
//! parses all. A further directive is one more row in a topic file; GET, SET, REWRITE, the loader and the
//! example follow from it.
//!
//! Not here: values, and what a directive does: the room that owns the matter reads it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::rows::SECTIONS;

bitflags::bitflags! {
    /// What is special about a directive.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Traits: u16 {
        /// Only the configuration file and the command line may set it.
        const IMMUTABLE = 1 << 0;
        /// CONFIG SET needs `enable-protected-configs`.
        const PROTECTED = 1 << 1;
        /// CONFIG GET answers it by exact name only.
        const HIDDEN = 1 << 2;
        /// Worth printing in a crash report.
        const DEBUG = 1 << 3;
        /// Its value is a secret, to be redacted from logs and MONITOR.
        const SENSITIVE = 1 << 4;
        /// CONFIG SET is refused while a data set is being loaded.
        const DENY_LOADING = 1 << 5;
        /// Setting the value it has is a change all the same: it names a file whose content may be new.
        const VOLATILE = 1 << 6;
    }
}

/// A check beyond the kind's own; the error is the sentence Redis answers with.
pub type Check = fn(&[u8]) -> Result<(), &'static str>;

/// What values a directive takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A whole number, bounds inclusive.
    Int {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// Permission bits, written in base 8.
    Octal {
        /// Largest value allowed.
        max: i64,
    },
    /// Bytes, with or without a unit.
    Memory {
        /// Smallest value allowed, in bytes.
        min: u64,
        /// Largest value allowed, in bytes.
        max: u64,
    },
    /// Bytes, or a percentage up to 100.
    MemoryOrPercent,
    /// One word of several, in any case.
    Choice {
        /// The words, in the order the error message lists them.
        names: &'static [&'static str],
        /// Pairs (word, the word it is stored and shown as).
        synonyms: &'static [(&'static str, &'static str)],
    },
    /// Several words of a set; the first stands for "none of the others".
    Flags {
        /// The words, in the order they are shown.
        names: &'static [&'static str],
        /// Two of them that exclude each other, and the error for it.
        excluded: (&'static str, &'static str, &'static str),
    },
    /// Any bytes.
    Text {
        /// Empty means "not set": CONFIG REWRITE then leaves the directive out.
        empty_is_unset: bool,
        /// What the bytes must satisfy.
        check: Check,
    },
    /// The working folder; a relative one continues the present one.
    Folder,
    /// A list of words.
    Words {
        /// Most words allowed.
        count_max: usize,
        /// The error for more.
        too_many: &'static str,
    },
    /// `<seconds> <changes>` pairs.
    SavePoints,
    /// `<class> <hard> <soft> <soft seconds>` groups.
    OutputLimits,
    /// Three scores: master, replica, child.
    OomScores,
    /// Letters of keyspace event classes.
    EventClasses,
    /// `<host> <port>`, or `no one`.
    Master,
    /// Numbers from 0 to 100.
    Percentiles,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Directive {
    /// Lower-case name.
    pub name: &'static str,
    /// A second name it answers to.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub kind: Kind,
    /// Its default, as a configuration file writes it.
    pub default: &'static str,
    /// What is special about it.
    pub traits: Traits,
    /// What it is for, in a sentence or two.
    pub doc: &'static str,
}

/// The rows of one topic, under the heading they have in the example file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Rows in reading order.
    pub rows: &'static [Directive],
}

impl Directive {
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn with(mut self, traits: Traits) -> Self {
        self.traits = self.traits.union(traits);
        self
    }

    pub(super) const fn immutable(self) -> Self {
        self.with(Traits::IMMUTABLE)
    }

    pub(super) const fn protected(self) -> Self {
        self.with(Traits::PROTECTED)
    }

    pub(super) const fn hidden(self) -> Self {
        self.with(Traits::HIDDEN)
    }

    pub(super) const fn debug(self) -> Self {
        self.with(Traits::DEBUG)
    }

    pub(super) const fn sensitive(self) -> Self {
        self.with(Traits::SENSITIVE)
    }

    pub(super) const fn deny_loading(self) -> Self {
        self.with(Traits::DENY_LOADING)
    }

    pub(super) const fn volatile(self) -> Self {
        self.with(Traits::VOLATILE)
    }

    /// Whether one line holds any number of arguments, and CONFIG SET splits its value at spaces.
    pub fn takes_many_arguments(&self) -> bool {
        use Kind::*;
        matches!(
            self.kind,
            Flags { .. } | Words { .. } | SavePoints | OutputLimits | OomScores | Master | Percentiles
        )
    }
}

pub(super) const fn directive(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Directive {
    Directive {
        name,
        alias: None,
        kind,
        default,
        traits: Traits::empty(),
        doc,
    }
}

pub(super) const fn yes_no(name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    directive(name, Kind::Bool, default, doc)
}

pub(super) const fn int(
    name: &'static str,
    min: i64,
    max: i64,
    default: &'static str,
    doc: &'static str,
) -> Directive {
    directive(name, Kind::Int { min, max }, default, doc)
}

pub(super) const fn memory(
    name: &'static str,
    min: u64,
    max: u64,
    default: &'static str,
    doc: &'static str,
) -> Directive {
    directive(name, Kind::Memory { min, max }, default, doc)
}

pub(super) const fn choice(
    name: &'static str,
    names: &'static [&'static str],
    default: &'static str,
    doc: &'static str,
) -> Directive {
    directive(name, Kind::Choice { names, synonyms: &[] }, default, doc)
}

/// A text that is always set, be it to nothing.
pub(super) const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    checked(name, default, |_| Ok(()), doc)
}

/// A text that is always set and must satisfy `check`.
pub(super) const fn checked(
    name: &'static str,
    default: &'static str,
    check: Check,
    doc: &'static str,
) -> Directive {
    directive(
        name,
        Kind::Text {
            empty_is_unset: false,
            check,
        },
        default,
        doc,
    )
}

/// A text that is not set by default.
pub(super) const fn optional(name: &'static str, doc: &'static str) -> Directive {
    optional_checked(name, |_| Ok(()), doc)
}

/// A text that is not set by default and must satisfy `check` when it is.
pub(super) const fn optional_checked(name: &'static str, check: Check, doc: &'static str) -> Directive {
    directive(
        name,
        Kind::Text {
            empty_is_unset: true,
            check,
        },
        "",
        doc,
    )
}

/// The largest number of the C type `int`, which bounds many directives.
pub(super) const INT_MAX: i64 = i32::MAX as i64;
/// The largest number of the C type `long`, as a size in bytes.
pub(super) const SIZE_MAX: u64 = i64::MAX as u64;

/// A name a client may use: the row it stands for, and the spelling as the table has it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Lower-case, the row's name or its alias.
    pub name: &'static str,
    /// Position of the row in [`rows`].
    pub(super) index: usize,
    /// The row.
    pub row: &'static Directive,
}

static ROWS: LazyLock<Vec<&'static Directive>> =
    LazyLock::new(|| SECTIONS.iter().flat_map(|section| section.rows).collect());

static BY_NAME: LazyLock<HashMap<&'static str, Entry>> =
    LazyLock::new(|| entries().map(|entry| (entry.name, entry)).collect());

/// All rows, in the order of the example file.
pub fn rows() -> &'static [&'static Directive] {
    &ROWS
}

/// All names, each alias right after the name it stands for.
pub fn entries() -> impl Iterator<Item = Entry> {
    rows().iter().enumerate().flat_map(|(index, &row)| {
        let name = Entry {
            name: row.name,
            index,
            row,
        };
        [Some(name), row.alias.map(|alias| Entry { name: alias, ..name })]
            .into_iter()
            .flatten()
    })
}

/// Finds a directive by name or alias, in any case. O(1).
pub fn find(name: &[u8]) -> Option<Entry> {
    let lower = name.to_ascii_lowercase();
    BY_NAME.get(std::str::from_utf8(&lower).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_aliases_are_unique_and_lower_case() {
        let mut seen = HashSet::new();
        for entry in entries() {
            assert!(seen.insert(entry.name), "{} is there twice", entry.name);
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            assert!(entry.name.bytes().all(plain), "{}", entry.name);
        }
    }

    #[test]
    fn every_row_says_what_it_is_for() {
        for row in rows() {
            assert!(row.doc.ends_with('.') && row.doc.len() > 15, "{}", row.name);
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_by_alias() {
        assert_eq!(find(b"MaxMemory").map(|entry| entry.row.name), Some("maxmemory"));
        assert_eq!(
            find(b"slaveof").map(|entry| (entry.name, entry.row.name)),
            Some(("slaveof", "replicaof"))
        );
        assert!(find(b"no-such-directive").is_none());
        assert!(find(b"\xff").is_none());
    }

    #[test]
    fn choices_and_synonyms_belong_together() {
        for row in rows() {
            let Kind::Choice { names, synonyms } = row.kind else {
                continue;
            };
            assert!(
                synonyms
                    .iter()
                    .all(|(word, shown)| names.contains(word) && names.contains(shown))
            );
        }
    }
}
