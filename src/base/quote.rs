//! Quoted words: inline commands, configuration lines and ACL files are split, and byte strings are shown,
//! this way.
//!
//! ```text
//!   set "a b\n\x00" 'it\'s' plain      ->  [set] [a b<LF><NUL>] [it's] [plain]
//! ```
//!
//! In double quotes `\n \r \t \b \a \xHH` are bytes and any other `\c` is `c`; in single quotes only `\'` is
//! special. A closing quote must be followed by white space or the end. What [`repr`] writes, [`split_args`]
//! reads back.
//!
//! Compat: a NUL byte ends the line, as in a C string; it can be written `"\x00"`.
//! Cost: one pass each. Not here: RESP, anything that knows what the words mean.

/// A quote was not closed, or a closing quote was followed by something other than white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct UnbalancedQuotes;

/// Splits a line into its words. An empty or blank line has none; `""` is one empty word.
///
/// # Errors
/// [`UnbalancedQuotes`]; no word of such a line is returned.
///
/// ```
/// use russet::base::quote::split_args;
/// assert_eq!(split_args(br#"save "900 1""#).unwrap(), [b"save".to_vec(), b"900 1".to_vec()]);
/// assert!(split_args(br#"save "900"#).is_err());
/// ```
pub fn split_args(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let mut rest = &line[..end];
    let mut words = Vec::new();
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Ok(words);
        }
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?;
        words.push(word);
    }
}

/// Appends `bytes` in double quotes, with everything that is not printable ASCII escaped.
///
/// ```
/// let mut shown = Vec::new();
/// russet::base::quote::repr(b"a\0\"b", &mut shown);
/// assert_eq!(shown, br#""a\x00\"b""#);
/// ```
pub fn repr(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend([
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
    out.push(b'"');
}

/// Takes one word, of which any tail may be quoted (`a"b c"` is one word), and returns what follows it.
fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    while let [byte, tail @ ..] = rest {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => return take_double_quoted(tail, word),
            b'\'' => return take_single_quoted(tail, word),
            _ => word.push(*byte),
        }
        rest = tail;
    }
    Ok(rest)
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match *rest {
            [] => return Err(UnbalancedQuotes),
            [b'"', ref tail @ ..] => return closed(tail),
            [b'\\', b'x', high, low, ref tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(high) << 4 | hex(low));
                tail
            }
            [b'\\', letter, ref tail @ ..] => {
                word.push(unescape(letter));
                tail
            }
            [byte, ref tail @ ..] => {
                word.push(byte);
                tail
            }
        };
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, tail) = match *rest {
            [] => return Err(UnbalancedQuotes),
            [b'\\', b'\'', ref tail @ ..] => (b'\'', tail),
            [b'\'', ref tail @ ..] => return closed(tail),
            [byte, ref tail @ ..] => (byte, tail),
        };
        word.push(byte);
        rest = tail;
    }
}

fn closed(after: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match after.first() {
        Some(byte) if !is_space(*byte) => Err(UnbalancedQuotes),
        _ => Ok(after),
    }
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_space(**byte)).count();
    &line[blanks..]
}

/// C's `isspace`: unlike Rust's ASCII white space it has the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, words: &[&[u8]]) {
        assert_eq!(split_args(line.as_bytes()).expect("balanced"), words, "{line}");
    }

    #[test]
    fn words_split_at_white_space() {
        check("", &[]);
        check(" \t\r\n\x0b", &[]);
        check("  set  key\tvalue\r\n", &[b"set", b"key", b"value"]);
        check("a\x0bb", &[b"a\x0bb"]);
    }

    #[test]
    fn quotes_group_and_escape() {
        check(r#""a b" 'c d'"#, &[b"a b", b"c d"]);
        check(r#""\n\r\t\b\a\x41\xfF\xg\q\\""#, &[b"\n\r\t\x08\x07A\xffxgq\\"]);
        check(r#"'it\'s \n'"#, &[br"it's \n"]);
        check(r#"a"b c" """#, &[b"ab c", b""]);
        check("\"a\"\x0bb", &[b"a", b"b"]);
    }

    #[test]
    fn a_nul_ends_the_line() {
        check("a b\0c", &[b"a", b"b"]);
        assert_eq!(split_args(b"\"a\0\""), Err(UnbalancedQuotes));
    }

    #[test]
    fn crooked_quotes_are_refused() {
        for line in [
            r#"""#, r#""a"#, r#"'a"#, r#""a"b"#, r#"'a'b"#, r#"a""""#, r#""\"#, r#"'\'"#,
        ] {
            assert_eq!(split_args(line.as_bytes()), Err(UnbalancedQuotes), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_repr_writes_split_args_reads(words: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for word in &words {
                repr(word, &mut line);
                line.push(b' ');
            }
            prop_assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(split_args(&line), Ok(words));
        }

        #[test]
        fn any_line_is_answered(line: Vec<u8>) {
            let _ = split_args(&line);
        }
    }
}
