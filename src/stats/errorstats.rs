//! Error replies counted by their code: INFO errorstats.
//!
//! The code is the first word of the reply (`ERR`, `WRONGTYPE`). Scripts can invent codes, so the number of
//! kinds is bounded: the first kind beyond `KINDS_MAX` drops the table, leaves `ERRORSTATS_DISABLED` in it
//! and ends counting by kind until the statistics are reset.
//!
//! Cost: O(log kinds) per error, no allocation for a kind already known.
//! Not here: total_error_replies, which counts on regardless (`counters`).

use super::info::InfoWriter;
use std::collections::BTreeMap;

/// How many kinds of error are kept apart.
pub const KINDS_MAX: usize = 128;

const DEFAULT_CODE: &[u8] = b"ERR";
const DISABLED_CODE: &[u8] = b"ERRORSTATS_DISABLED";
/// A reply whose first word does not end within so many bytes, the `-` included, has no code of its own.
const CODE_SEARCH_BYTES: usize = 32;

/// Counts per error code, in byte order of the codes, which is the order INFO prints.
#[derive(Debug, Default)]
pub struct ErrorStats {
    counts: BTreeMap<Box<[u8]>, u64>,
    disabled: bool,
}

/// The table that was dropped when it overflowed; the caller logs it and counts its entries as lazily freed.
#[derive(Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The `KINDS_MAX` codes there were, in byte order.
    pub codes: Vec<Box<[u8]>>,
}

impl ErrorStats {
    /// Counts one error of this code. The error that overflows the table returns what was in it.
    pub fn record(&mut self, code: &[u8]) -> Option<Overflow> {
        if self.disabled {
            return None;
        }
        if let Some(count) = self.counts.get_mut(code) {
            *count += 1;
            return None;
        }
        if self.counts.len() >= KINDS_MAX {
            return Some(self.disable());
        }
        self.counts.insert(code.into(), 1);
        None
    }

    /// How many errors of this code were counted.
    pub fn count(&self, code: &[u8]) -> u64 {
        self.counts.get(code).copied().unwrap_or(0)
    }

    /// Forgets everything and counts again (CONFIG RESETSTAT). Returns how many kinds were dropped.
    pub fn reset(&mut self) -> usize {
        let dropped = std::mem::take(self);
        dropped.counts.len()
    }

    /// Writes one `errorstat_...` line per code.
    pub fn write_info(&self, info: &mut InfoWriter) {
        for (code, count) in &self.counts {
            info.named_field("errorstat_", code, format_args!("count={count}"));
        }
    }

    #[cold]
    fn disable(&mut self) -> Overflow {
        let dropped = std::mem::take(&mut self.counts);
        self.disabled = true;
        self.counts.insert(DISABLED_CODE.into(), 1);
        Overflow {
            codes: dropped.into_keys().collect(),
        }
    }
}

/// The code of an error reply: the word between `-` and the first space. `ERR` when the text does not start
/// with `-` or its first word does not end early enough to be a code.
pub fn error_code(reply: &[u8]) -> &[u8] {
    reply.strip_prefix(b"-").map_or(DEFAULT_CODE, text_code)
}

/// The code of an error's text, which stands without its `-`.
pub fn text_code(text: &[u8]) -> &[u8] {
    let searched = &text[..text.len().min(CODE_SEARCH_BYTES - 1)];
    memchr::memchr(b' ', searched).map_or(DEFAULT_CODE, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stats: &ErrorStats) -> String {
        let mut info = InfoWriter::new();
        stats.write_info(&mut info);
        String::from_utf8(info.finish()).expect("only ASCII was written")
    }

    fn full() -> ErrorStats {
        let mut stats = ErrorStats::default();
        (0..KINDS_MAX).for_each(|i| assert_eq!(stats.record(format!("E{i:03}").as_bytes()), None));
        stats
    }

    #[test]
    fn codes_are_listed_in_byte_order() {
        let mut stats = ErrorStats::default();
        for code in ["WRONGTYPE", "ERR", "NOPERM", "ERR"] {
            stats.record(code.as_bytes());
        }
        assert_eq!(
            lines(&stats),
            "errorstat_ERR:count=2\r\nerrorstat_NOPERM:count=1\r\nerrorstat_WRONGTYPE:count=1\r\n"
        );
    }

    #[test]
    fn known_kinds_still_count_in_a_full_table() {
        let mut stats = full();
        assert_eq!(stats.record(b"E007"), None);
        assert_eq!(stats.count(b"E007"), 2);
    }

    #[test]
    fn one_kind_too_many_disables_the_table_once() {
        let mut stats = full();
        let overflow = stats.record(b"E128").expect("the table was full");
        assert_eq!(overflow.codes.len(), KINDS_MAX);
        assert_eq!(&*overflow.codes[0], b"E000");
        assert_eq!(stats.record(b"E129"), None);
        assert_eq!(stats.record(b"E000"), None);
        assert_eq!(lines(&stats), "errorstat_ERRORSTATS_DISABLED:count=1\r\n");
    }

    #[test]
    fn reset_starts_counting_again() {
        let mut stats = full();
        stats.record(b"E128");
        assert_eq!(stats.reset(), 1);
        stats.record(b"ERR");
        assert_eq!(lines(&stats), "errorstat_ERR:count=1\r\n");
    }

    #[test]
    fn the_code_is_the_first_word() {
        assert_eq!(error_code(b"-WRONGTYPE Operation against"), b"WRONGTYPE");
        assert_eq!(error_code(b"-ERR x"), b"ERR");
        assert_eq!(error_code(b"unknown command"), b"ERR");
        assert_eq!(error_code(b"-LONELY"), b"ERR");
        assert_eq!(error_code(b""), b"ERR");
    }

    #[test]
    fn a_first_word_too_long_is_no_code() {
        let reply = |letters: usize| format!("-{} text", "A".repeat(letters)).into_bytes();
        assert_eq!(error_code(&reply(30)).len(), 30);
        assert_eq!(error_code(&reply(31)), b"ERR");
    }
}
