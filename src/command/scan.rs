//! What SCAN, SSCAN, HSCAN and ZSCAN share: cursor and options, the bound on a call's work, the reply.
//!
//! ```text
//! cursor ──> lookup (collections only) ──> options ──> walk: step, step .. ──> Page ──> [next cursor, [elements]]
//! ```
//!
//! Compat: a bad cursor is refused before the key is looked up, bad options after it, so that SSCAN of a missing key
//! answers an empty page whatever options follow.

use crate::base::{glob, number};
use crate::command::args::Args;
use crate::command::error::Error;
use crate::resp::Reply;

/// What is walked through, which decides the options it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// The keys of a database: TYPE.
    Keys,
    /// The members of a set or sorted set.
    Members,
    /// The fields of a hash: NOVALUES.
    Fields,
}

/// What follows the cursor.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// About how many elements to look at, 1 or more.
    pub count: u64,
    /// Only keys of this type.
    pub type_name: Option<&'a [u8]>,
    /// Fields without their values.
    pub names_only: bool,
}

/// The cursor at word `index`.
///
/// # Errors
/// `ERR invalid cursor`.
pub fn cursor(args: Args<'_>, index: usize) -> Result<u64, Error> {
    number::parse_u64_loose(args.get(index)).ok_or(Error::fixed("ERR invalid cursor"))
}

impl<'a> ScanOptions<'a> {
    /// The options from word `first` on.
    ///
    /// # Errors
    /// A syntax error, a count that is no integer, NOVALUES where there are no values.
    pub fn parse(args: Args<'a>, first: usize, walked: Walked) -> Result<ScanOptions<'a>, Error> {
        let mut options = ScanOptions {
            pattern: None,
            count: 10,
            type_name: None,
            names_only: false,
        };
        let mut at = first;
        while at < args.len() {
            at += options.take(args, at, walked)?;
        }
        Ok(options)
    }

    /// Takes the option at word `at`; how many words it has.
    fn take(&mut self, args: Args<'a>, at: usize, walked: Walked) -> Result<usize, Error> {
        let has_value = at + 1 < args.len();
        if has_value && args.is(at, "count") {
            let count = u64::try_from(args.int(at + 1)?).unwrap_or(0);
            self.count = Some(count).filter(|&n| n > 0).ok_or(Error::Syntax)?;
        } else if has_value && args.is(at, "match") {
            self.pattern = Some(args.get(at + 1));
        } else if has_value && walked == Walked::Keys && args.is(at, "type") {
            self.type_name = Some(args.get(at + 1));
        } else if args.is(at, "novalues") {
            return self.take_names_only(walked);
        } else {
            return Err(Error::Syntax);
        }
        Ok(2)
    }

    fn take_names_only(&mut self, walked: Walked) -> Result<usize, Error> {
        if walked != Walked::Fields {
            return Err(Error::fixed("ERR NOVALUES option can only be used in HSCAN"));
        }
        self.names_only = true;
        Ok(1)
    }

    /// Whether MATCH admits this name.
    #[inline]
    pub fn admits(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| matches(pattern, name))
    }

    /// Steps through a table from `cursor` until about `count` elements have been looked at; the cursor to go on with.
    /// `step` takes the cursor and tells the next one and how many elements it has looked at.
    ///
    /// A step through an empty part of a sparse table finds nothing, so their number is bounded as well.
    pub fn walk(&self, mut cursor: u64, mut step: impl FnMut(u64) -> (u64, u64)) -> u64 {
        const STEPS_PER_ELEMENT: u64 = 10;
        let mut seen = 0;
        for _ in 0..self.count.saturating_mul(STEPS_PER_ELEMENT) {
            let (next, looked_at) = step(cursor);
            cursor = next;
            seen += looked_at;
            if cursor == 0 || seen >= self.count {
                break;
            }
        }
        cursor
    }
}

/// Everything matches `*`: worth a look because it is what is asked most.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, name, false)
}

/// The elements a call has found: kept aside because the cursor, which stands before them, is known only at the end.
#[derive(Debug, Default)]
pub struct Page {
    count: usize,
    elements: Vec<u8>,
}

impl Page {
    /// Adds a bulk string; a name and its value or score are two.
    #[inline]
    pub fn push(&mut self, element: &[u8]) {
        self.count += 1;
        // Bulk strings are the same in both versions of the protocol.
        Reply::new(&mut self.elements, false).bulk(element);
    }

    /// Writes the page with the cursor to go on with.
    pub fn write(&self, reply: &mut Reply<'_>, next_cursor: u64) {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next_cursor).as_bytes());
        reply.array(self.count);
        reply.raw(&self.elements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(count: u64) -> ScanOptions<'static> {
        ScanOptions {
            pattern: Some(b"a*"),
            count,
            type_name: None,
            names_only: false,
        }
    }

    #[test]
    fn a_walk_ends_when_enough_was_seen_or_the_table_ends_or_nothing_is_found_for_long() {
        assert_eq!(options(5).walk(0, |cursor| (cursor + 1, 2)), 3);
        assert_eq!(options(5).walk(7, |cursor| (cursor - 1, 0)), 0);
        assert_eq!(options(5).walk(0, |cursor| (cursor + 1, 0)), 50);
        assert_eq!(options(u64::MAX).walk(3, |cursor| (cursor - 1, 1)), 0);
    }

    #[test]
    fn a_pattern_chooses_names() {
        assert!(options(1).admits(b"abc") && !options(1).admits(b"bc"));
        assert!(matches(b"*", b"") && matches(b"?", b"x"));
    }

    #[test]
    fn a_page_counts_its_elements() {
        let mut page = Page::default();
        page.push(b"a");
        page.push(b"1");
        let mut out = Vec::new();
        page.write(&mut Reply::new(&mut out, true), 12);
        assert_eq!(out, b"*2\r\n$2\r\n12\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    }
}
