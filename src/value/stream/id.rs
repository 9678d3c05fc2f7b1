//! Ids of entries: a time in milliseconds and a number among those of the same millisecond.

use std::fmt;

use crate::base::number;

/// `<ms>-<seq>`; ordered by time, then number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Unix milliseconds, if the server made the id.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

/// Longest text: two numbers of 20 digits and a dash.
const TEXT_BYTES_MAX: usize = 41;

/// Longer texts are refused unread.
const PARSED_BYTES_MAX: usize = 127;

/// The number part of an id as a client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seq {
    /// `5`: left out.
    Missing,
    /// `5-*`: to be made up.
    Auto,
    /// `5-3`.
    Given(u64),
}

impl StreamId {
    /// `0-0`, which no entry has.
    pub const MIN: StreamId = StreamId::new(0, 0);
    /// The last id there can be.
    pub const MAX: StreamId = StreamId::new(u64::MAX, u64::MAX);

    /// An id of its parts.
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The id behind this one, unless it is the last.
    pub fn next(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id before this one, unless it is the first.
    pub fn prev(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// The id so far behind this one, each part by itself and wrapping, as entries of a node store it.
    pub fn offset(self, ms: i64, seq: i64) -> StreamId {
        StreamId {
            ms: self.ms.wrapping_add_signed(ms),
            seq: self.seq.wrapping_add_signed(seq),
        }
    }

    /// 16 bytes, big-endian, which sort as ids do: Redis's key in radix trees and files.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// From 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> StreamId {
        let both = u128::from_be_bytes(bytes);
        StreamId::new((both >> 64) as u64, both as u64)
    }

    /// An id as a client writes it, `<ms>` or `<ms>-<seq>`; a missing number is `missing_seq`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        let (ms, seq) = parse_parts(text)?;
        let seq = match seq {
            Seq::Given(seq) => seq,
            Seq::Missing => missing_seq,
            Seq::Auto => return None,
        };
        Some(StreamId { ms, seq })
    }

    /// The text, on the stack.
    #[inline]
    pub fn text(self) -> IdText {
        let mut text = IdText {
            bytes: [0; TEXT_BYTES_MAX],
            len: 0,
        };
        text.push(itoa::Buffer::new().format(self.ms).as_bytes());
        text.push(b"-");
        text.push(itoa::Buffer::new().format(self.seq).as_bytes());
        text
    }
}

/// The time and the number of an id as a client writes it.
///
/// Compat: each part is read as C's `strtoull` reads it, up to a zero byte, so that `007` and ` 7` are times.
pub fn parse_parts(text: &[u8]) -> Option<(u64, Seq)> {
    if text.len() > PARSED_BYTES_MAX {
        return None;
    }
    let text = text.split(|&byte| byte == 0).next()?;
    let (ms, seq) = match memchr::memchr(b'-', text) {
        None => (text, Seq::Missing),
        Some(dash) if text[dash + 1..] == *b"*" => (&text[..dash], Seq::Auto),
        Some(dash) => (
            &text[..dash],
            Seq::Given(number::parse_u64_loose(&text[dash + 1..])?),
        ),
    };
    Some((number::parse_u64_loose(ms)?, seq))
}

/// The text of an id.
#[derive(Clone, Copy)]
pub struct IdText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl IdText {
    #[inline]
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }
}

impl std::ops::Deref for IdText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, Seq)>) {
        assert_eq!(parse_parts(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn ids_are_read_as_clients_write_them() {
        check("5", Some((5, Seq::Missing)));
        check("5-3", Some((5, Seq::Given(3))));
        check("5-*", Some((5, Seq::Auto)));
        check(
            "18446744073709551615-18446744073709551615",
            Some((u64::MAX, Seq::Given(u64::MAX))),
        );
        check("007- 3", Some((7, Seq::Given(3))));
        check("5\0-x", Some((5, Seq::Missing)));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "-",
            "+",
            "5-",
            "-5",
            "5--3",
            "5-3-1",
            "a",
            "5-a",
            "18446744073709551616",
            "5-**",
        ] {
            check(text, None);
        }
        check(&"0".repeat(128), None);
    }

    #[test]
    fn the_neighbours_of_an_id_carry_over() {
        let id = StreamId::new(5, u64::MAX);
        assert_eq!(id.next(), Some(StreamId::new(6, 0)));
        assert_eq!(StreamId::new(6, 0).prev(), Some(id));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.prev()), (None, None));
    }

    #[test]
    fn bytes_sort_as_ids_do() {
        let ids = [
            StreamId::MIN,
            StreamId::new(0, 256),
            StreamId::new(1, 0),
            StreamId::MAX,
        ];
        assert!(ids.map(StreamId::to_bytes).is_sorted());
        assert_eq!(ids.map(|id| StreamId::from_bytes(id.to_bytes())), ids);
        assert_eq!(
            &*StreamId::MAX.text(),
            b"18446744073709551615-18446744073709551615"
        );
        assert_eq!(StreamId::new(1, 2).to_string(), "1-2");
    }
}
