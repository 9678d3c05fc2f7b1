//! The manifest: which files the log consists of, one line each.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b     at most one, first
//! file appendonly.aof.1.incr.aof seq 1 type h     replaced by the last rewrite, to be removed
//! file appendonly.aof.2.incr.aof seq 2 type i     in the order they are read
//! ```
//!
//! Further pairs of words are read over, so that later versions can add some. A name with blanks or unprintable bytes
//! is quoted.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::base::{number, quote};

/// Longest line, its end included.
const LINE_BYTES_MAX: usize = 1024;

/// Largest number of a file: behind it are as many again to be given.
const SEQ_MAX: i64 = i64::MAX / 2;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in the folder.
    pub name: Vec<u8>,
    /// Its number among those of its kind.
    pub seq: i64,
}

impl Part {
    /// Its name as a path.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.name))
    }

    /// Its name to be shown.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// What the log consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The data at the last rewrite.
    pub base: Option<Part>,
    /// What was replaced, newest first.
    pub history: Vec<Part>,
    /// The commands since, oldest first.
    pub incrs: Vec<Part>,
    base_seq: i64,
    incr_seq: i64,
}

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1, and its text; none when the whole is at fault.
    pub line: Option<(usize, String)>,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some((number, text)) => write!(f, "line {number} ('{text}'): {}", self.what),
            None => f.write_str(self.what),
        }
    }
}

const FORMAT: &str = "Invalid AOF manifest file format";

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(text: &[u8]) -> Result<Manifest, Malformed> {
        let mut manifest = Manifest::default();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let end = memchr::memchr(b'\n', rest).filter(|&end| end < LINE_BYTES_MAX);
            let is_comment = rest[0] == b'#';
            let Some(end) = end.or_else(|| is_comment.then(|| rest.len() - 1)) else {
                return Err(Malformed {
                    line: None,
                    what: "The AOF manifest file contains too long line",
                });
            };
            let (line, behind) = rest.split_at(end + 1);
            rest = behind;
            if !is_comment {
                let line = line.trim_ascii();
                manifest.take_line(line).map_err(|what| Malformed {
                    line: Some((number, String::from_utf8_lossy(line).into_owned())),
                    what,
                })?;
            }
        }
        if number == 0 {
            return Err(Malformed {
                line: None,
                what: "Found an empty AOF manifest",
            });
        }
        Ok(manifest)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let words = quote::split_args(line).map_err(|_| FORMAT)?;
        // More than six: a later version's.
        if words.len() < 6 || words.len() % 2 == 1 {
            return Err(FORMAT);
        }
        let (mut name, mut seq, mut kind) = (Vec::new(), 0, 0);
        for pair in words.chunks_exact(2) {
            let value = &pair[1];
            match pair[0].to_ascii_lowercase().as_slice() {
                b"file" if value.contains(&b'/') => return Err("File can't be a path, just a filename"),
                b"file" => name.clone_from(value),
                b"seq" => seq = number::parse_i64(value).unwrap_or(0),
                b"type" => kind = value.first().copied().unwrap_or(0),
                _ => {}
            }
        }
        if name.is_empty() || !(1..=SEQ_MAX).contains(&seq) || kind == 0 {
            return Err(FORMAT);
        }
        self.take_part(Part { name, seq }, kind)
    }

    fn take_part(&mut self, part: Part, kind: u8) -> Result<(), &'static str> {
        match kind {
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => {
                self.base_seq = self.base_seq.max(part.seq);
                self.base = Some(part);
            }
            b'h' => {
                self.spend(&part);
                self.history.push(part);
            }
            b'i' if self.incrs.last().is_some_and(|last| part.seq <= last.seq) => {
                return Err("Found a non-monotonic sequence number");
            }
            b'i' => {
                self.incr_seq = self.incr_seq.max(part.seq);
                self.incrs.push(part);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// A new file must not have the name of one that is history and about to be removed.
    fn spend(&mut self, part: &Part) {
        let last = if part.name.ends_with(b".incr.aof") {
            &mut self.incr_seq
        } else {
            &mut self.base_seq
        };
        *last = part.seq.max(*last);
    }

    /// Its text.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.base.iter().for_each(|part| line(part, 'b', &mut out));
        self.history.iter().for_each(|part| line(part, 'h', &mut out));
        self.incrs.iter().for_each(|part| line(part, 'i', &mut out));
        out
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incrs.is_empty()
    }

    /// What is to be read, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.incrs)
    }

    /// Its files are gone; their numbers are spent all the same.
    pub fn forget_files(&mut self) {
        self.base = None;
        self.history.clear();
        self.incrs.clear();
    }

    /// Takes over what somebody else has written since; numbers spent remain so.
    pub fn follow(&mut self, newer: Manifest) {
        let (base_seq, incr_seq) = (self.base_seq, self.incr_seq);
        *self = newer;
        self.base_seq = self.base_seq.max(base_seq);
        self.incr_seq = self.incr_seq.max(incr_seq);
    }

    /// A file of before Redis 7 becomes the base under the name it has.
    pub fn adopt_base(&mut self, name: &[u8]) {
        self.base_seq = self.base_seq.max(1);
        self.base = Some(Part {
            name: name.to_vec(),
            seq: 1,
        });
    }

    /// Spends the next numbers as long as a file of theirs is taken; whether one was.
    pub fn pass_over(&mut self, stem: &[u8], is_taken: impl Fn(&Path) -> bool) -> bool {
        let before = (self.base_seq, self.incr_seq);
        let taken = |seq: i64, kind| is_taken(Path::new(OsStr::from_bytes(&numbered(stem, seq, kind))));
        while [true, false]
            .iter()
            .any(|&is_snapshot| taken(self.base_seq + 1, base_kind(is_snapshot)))
        {
            self.base_seq += 1;
        }
        while taken(self.incr_seq + 1, INCR) {
            self.incr_seq += 1;
        }
        before != (self.base_seq, self.incr_seq)
    }

    /// A new base follows; the one there was is history. `stem`: what names begin with.
    pub fn new_base(&mut self, stem: &[u8], is_snapshot: bool) -> &Part {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old);
        }
        self.base_seq += 1;
        self.base.insert(Part {
            name: numbered(stem, self.base_seq, base_kind(is_snapshot)),
            seq: self.base_seq,
        })
    }

    /// A new file of commands follows.
    pub fn new_incr(&mut self, stem: &[u8]) -> Part {
        self.incr_seq += 1;
        let part = Part {
            name: numbered(stem, self.incr_seq, INCR),
            seq: self.incr_seq,
        };
        self.incrs.push(part.clone());
        part
    }

    /// The files of commands that a new base covers are history: all, or all but the one being written.
    pub fn retire_incrs(&mut self, keeps_last: bool) {
        let retired = self.incrs.len() - usize::from(keeps_last && !self.incrs.is_empty());
        for part in self
            .incrs
            .drain(..retired)
            .rev()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            self.history.insert(0, part);
        }
    }
}

const INCR: &str = "incr.aof";

fn base_kind(is_snapshot: bool) -> &'static str {
    if is_snapshot { "base.rdb" } else { "base.aof" }
}

fn numbered(stem: &[u8], seq: i64, kind: &str) -> Vec<u8> {
    [stem, format!(".{seq}.{kind}").as_bytes()].concat()
}

fn line(part: &Part, kind: char, out: &mut Vec<u8>) {
    out.extend_from_slice(b"file ");
    if needs_quotes(&part.name) {
        quote::repr(&part.name, out);
    } else {
        out.extend_from_slice(&part.name);
    }
    out.extend_from_slice(format!(" seq {} type {kind}\n", part.seq).as_bytes());
}

fn needs_quotes(name: &[u8]) -> bool {
    name.is_empty()
        || name
            .iter()
            .any(|byte| !byte.is_ascii_graphic() || b"\\\"'".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, what: &str) {
        let refused = Manifest::parse(text.as_bytes()).expect_err(text);
        assert_eq!(refused.what, what, "{text}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut manifest = Manifest::default();
        for name in [&b"appendonly.aof"[..], b" file seq \n\n.aof "] {
            manifest.new_base(name, true);
            manifest.new_incr(name);
            manifest.new_incr(name);
            assert_eq!(Manifest::parse(&manifest.text()).as_ref(), Ok(&manifest));
            manifest.retire_incrs(true);
        }
    }

    #[test]
    fn files_are_numbered_on_and_what_is_replaced_is_history() {
        let mut manifest = Manifest::default();
        let stem = b"a.aof";
        manifest.new_base(stem, true);
        for _ in 0..2 {
            manifest.new_incr(stem);
            manifest.new_base(stem, false);
            manifest.retire_incrs(true);
        }
        assert_eq!(
            String::from_utf8(manifest.text()).expect("text"),
            "file a.aof.3.base.aof seq 3 type b\n\
             file a.aof.1.incr.aof seq 1 type h\n\
             file a.aof.2.base.aof seq 2 type h\n\
             file a.aof.1.base.rdb seq 1 type h\n\
             file a.aof.2.incr.aof seq 2 type i\n"
        );
        manifest.retire_incrs(false);
        assert!(manifest.incrs.is_empty());
    }

    #[test]
    fn names_of_history_are_not_given_again() {
        let mut manifest = Manifest::default();
        let stem = b"a.aof";
        for _ in 0..3 {
            manifest.new_base(stem, true);
            manifest.new_incr(stem);
        }
        manifest.retire_incrs(false);
        let mut read = Manifest::parse(&manifest.text()).expect("our own");
        assert_eq!(read.new_incr(stem).name, b"a.aof.4.incr.aof");
        assert_eq!(read.new_base(stem, true).name, b"a.aof.4.base.rdb");
    }

    #[test]
    fn numbers_of_files_that_are_there_and_not_named_are_passed_over() {
        let strangers = [
            "a.aof.1.base.rdb",
            "a.aof.2.base.aof",
            "a.aof.1.incr.aof",
            "a.aof.5.incr.aof",
        ];
        let is_taken = |name: &Path| strangers.iter().any(|taken| name == Path::new(taken));
        let mut manifest = Manifest::default();
        assert!(manifest.pass_over(b"a.aof", is_taken));
        assert_eq!(manifest.new_base(b"a.aof", true).name, b"a.aof.3.base.rdb");
        for seq in [2, 3, 4, 6] {
            manifest.pass_over(b"a.aof", is_taken);
            assert_eq!(manifest.new_incr(b"a.aof").seq, seq);
        }
        assert!(!manifest.pass_over(b"b.aof", is_taken));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refuses("", "Found an empty AOF manifest");
        refuses("\n", FORMAT);
        refuses("file a seq 1 type i\n\nfile b seq 3 type i\n", FORMAT);
        refuses("filx a seq 1 type b\n", FORMAT);
        refuses("file a type i\n", FORMAT);
        refuses("file a seq 1 type i newkey\n", FORMAT);
        refuses("file a seq x type i\n", FORMAT);
        refuses("file a seq 9223372036854775807 type i\n", FORMAT);
        refuses("file a seq 1 type x\n", "Unknown AOF file type");
        refuses(
            "file ../a seq 1 type i\n",
            "File can't be a path, just a filename",
        );
        refuses(
            "file a seq 1 type b\nfile b seq 2 type b\n",
            "Found duplicate base file information",
        );
        refuses(
            "file a seq 2 type i\nfile b seq 1 type i\n",
            "Found a non-monotonic sequence number",
        );
        let long = "The AOF manifest file contains too long line";
        refuses(&format!("file {} seq 1 type i\n", "x".repeat(2000)), long);
        refuses("file a seq 1 type i", long);
    }

    #[test]
    fn comments_and_words_of_the_future_are_read_over() {
        let manifest = Manifest::parse(b"# a comment\nfile a seq 1 type b new word\nFILE b SEQ 3 TYPE i\n");
        let names: Vec<_> = manifest.expect("a manifest").parts().map(Part::shown).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
