//! Inline commands: a line typed by hand (`telnet`, health checks), split at spaces, with quotes.
//!
//! ```text
//! SET k "a b\n"\r\n     arguments: [SET] [k] [a b<newline>]
//! ```
//!
//! A line without quotes is split where it lies: ranges, no allocation. A quoted one is decoded by
//! [`split_args`] and written back over its own text, which always suffices: decoding never lengthens.
//! Not here: finding the end of the line and its limit (the parser's job).

use crate::base::quote::{UnbalancedQuotes, split_args};

use super::batch::{ArgRange, Batch};

/// Appends the arguments of the line `start..end` of the batch's input (no line end in it) to the batch's arguments.
///
/// # Errors
/// [`UnbalancedQuotes`] when a quote is left open or stuck to a following letter; no argument is added then.
pub(super) fn take_line(batch: &mut Batch, start: usize, end: usize) -> Result<(), UnbalancedQuotes> {
    let quoted = memchr::memchr2(b'"', b'\'', &batch.input[start..end]).is_some();
    if quoted {
        return take_quoted(batch, start, end);
    }
    take_plain(batch, start, end);
    Ok(())
}

fn take_plain(batch: &mut Batch, start: usize, end: usize) {
    let line = &batch.input[start..end];
    let mut at = 0;
    while let Some(skipped) = line[at..].iter().position(|&byte| !is_space(byte)) {
        let first = at + skipped;
        let len = line[first..]
            .iter()
            .position(|&byte| ends_word(byte))
            .unwrap_or(line.len() - first);
        batch.args.push(ArgRange::in_input(start + first, len));
        at = first + len;
    }
}

fn take_quoted(batch: &mut Batch, start: usize, end: usize) -> Result<(), UnbalancedQuotes> {
    let mut at = start;
    for arg in split_args(&batch.input[start..end])? {
        assert!(
            at + arg.len() <= end,
            "decoded arguments are no longer than their quoted text"
        );
        batch.input[at..at + arg.len()].copy_from_slice(&arg);
        batch.args.push(ArgRange::in_input(at, arg.len()));
        at += arg.len();
    }
    Ok(())
}

/// What may stand between words.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word. Compat: vertical tab and form feed are skipped before a word, but are letters inside one.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        let mut batch = Batch {
            input: line.to_vec(),
            ..Batch::new()
        };
        take_line(&mut batch, 0, line.len())?;
        batch.ends.push(batch.args.len() as u32);
        Ok(batch.command(0).iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn words_quotes_and_escapes_become_arguments() {
        assert_eq!(split(b"SET k v").unwrap(), [b"SET", &b"k"[..], b"v"]);
        assert_eq!(split(b"  ECHO \x0bb\t").unwrap(), [&b"ECHO"[..], b"b"]);
        assert_eq!(split(b"ECHO a\x0bb").unwrap(), [&b"ECHO"[..], b"a\x0bb"]);
        assert_eq!(split(b"PI\rNG").unwrap(), [b"PI", b"NG"]);
        assert_eq!(
            split(br#"ECHO "a\x41\n" 'it\'s' """#).unwrap(),
            [b"ECHO", &b"aA\n"[..], b"it's", b""]
        );
        assert_eq!(split(br#"ECHO a"b c""#).unwrap(), [&b"ECHO"[..], b"ab c"]);
        assert_eq!(split(b"").unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn an_open_quote_and_a_stuck_one_are_refused() {
        assert_eq!(split(b"\"PING"), Err(UnbalancedQuotes));
        assert_eq!(split(b"'a'b"), Err(UnbalancedQuotes));
    }

    proptest! {
        #[test]
        fn the_short_way_splits_as_the_quoted_way_does(line in "[a \t\r\x0b\\\\]{0,12}") {
            prop_assert_eq!(split(line.as_bytes()), split_args(line.as_bytes()));
        }

        #[test]
        fn decoding_fits_over_its_own_text(line in "[a \\\\x\"'0n]{0,16}") {
            prop_assert_eq!(split(line.as_bytes()), split_args(line.as_bytes()));
        }
    }
}
