//! Replies read back: for tests, transcripts and tools. The server itself never needs them.
//!
//! [`Value`]'s `Display` is the transcript notation, a line per value, elements indented under their container:
//!
//! ```text
//! +OK    -ERR no    :3    $bytes    $nil    *nil    _    ,1.5    #t    (123    =txt:hi    !blob error
//! $"a\x00b"    quoted when empty, when it is `nil`, and when it has blanks at its ends or unprintable bytes
//! *2            %1               attributes:  |1
//!   :1            $key                          $ttl
//!   $b            :1                            :3
//!                                             :7        the value they describe
//! ```
//!
//! Costs: one allocation per string and container. Safe on any bytes: nesting is bounded by [`DEPTH_MAX`], and no
//! announced count reserves memory.
//! Not here: streamed RESP3 types (`$?`, `*?`), which Redis never sends.

use std::fmt;

use thiserror::Error;

use crate::base::number::parse_i64;
use crate::base::quote;

/// Containers inside containers that are followed.
pub const DEPTH_MAX: usize = 32;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`
    Simple(Vec<u8>),
    /// `-`, code included.
    Error(Vec<u8>),
    /// `:`
    Int(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `|`: attributes, and the value they describe.
    Attribute(Vec<(Value, Value)>, Box<Value>),
    /// `,`
    Double(f64),
    /// `#`
    Bool(bool),
    /// `=`: three-letter format and text.
    Verbatim([u8; 3], Vec<u8>),
    /// `(`
    BigNumber(Vec<u8>),
    /// `!`
    BlobError(Vec<u8>),
}

/// Bytes that are no reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Corrupt {
    /// A value starts with a byte that is no type.
    #[error("unknown reply type 0x{found:02x} at byte {offset}")]
    Type {
        /// Where.
        offset: usize,
        /// What was found there.
        found: u8,
    },
    /// What follows the type is not what the type calls for.
    #[error("malformed {kind:?} reply at byte {offset}")]
    Form {
        /// Where the value starts.
        offset: usize,
        /// Its type byte.
        kind: char,
    },
    /// More than [`DEPTH_MAX`] containers inside each other.
    #[error("replies nested deeper than {DEPTH_MAX} at byte {offset}")]
    Depth {
        /// Where the container too many starts.
        offset: usize,
    },
}

/// Reads the reply at the front of `bytes`: it and its length, or `None` when it has not fully arrived.
///
/// # Errors
/// [`Corrupt`] when no further bytes could make it a reply.
pub fn parse_value(bytes: &[u8]) -> Result<Option<(Value, usize)>, Corrupt> {
    let mut reader = Reader {
        bytes,
        pos: 0,
        depth: 0,
    };
    match reader.value() {
        Ok(value) => Ok(Some((value, reader.pos))),
        Err(Stop::Unfinished) => Ok(None),
        Err(Stop::Corrupt(corrupt)) => Err(corrupt),
    }
}

enum Stop {
    Unfinished,
    Corrupt(Corrupt),
}

struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Stop> {
        let start = self.pos;
        let kind = *self.bytes.get(start).ok_or(Stop::Unfinished)?;
        if !b"+-:$*_%~>|,#=(!".contains(&kind) {
            return Err(Stop::Corrupt(Corrupt::Type {
                offset: start,
                found: kind,
            }));
        }
        self.pos += 1;
        let line = self.line()?;
        let malformed = || {
            Stop::Corrupt(Corrupt::Form {
                offset: start,
                kind: char::from(kind),
            })
        };
        match kind {
            b'$' if line == b"-1" => Ok(Value::NullBulk),
            b'*' if line == b"-1" => Ok(Value::NullArray),
            b'$' | b'=' | b'!' => {
                let len = length(line).ok_or_else(malformed)?;
                self.blob(len)?
                    .and_then(|text| blob_value(kind, text))
                    .ok_or_else(malformed)
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let count = length(line).ok_or_else(malformed)?;
                self.nested(start, kind, count)
            }
            _ => line_value(kind, line).ok_or_else(malformed),
        }
    }

    fn nested(&mut self, start: usize, kind: u8, count: usize) -> Result<Value, Stop> {
        if self.depth == DEPTH_MAX {
            return Err(Stop::Corrupt(Corrupt::Depth { offset: start }));
        }
        self.depth += 1;
        let value = match kind {
            b'*' => Value::Array(self.values(count)?),
            b'~' => Value::Set(self.values(count)?),
            b'>' => Value::Push(self.values(count)?),
            b'%' => Value::Map(self.pairs(count)?),
            _ => Value::Attribute(self.pairs(count)?, Box::new(self.value()?)),
        };
        self.depth -= 1;
        Ok(value)
    }

    // An announced count reserves nothing: collecting a fallible iterator starts empty.
    fn values(&mut self, count: usize) -> Result<Vec<Value>, Stop> {
        (0..count).map(|_| self.value()).collect()
    }

    fn pairs(&mut self, count: usize) -> Result<Vec<(Value, Value)>, Stop> {
        (0..count).map(|_| Ok((self.value()?, self.value()?))).collect()
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.pos..];
        let len = memchr::memmem::find(rest, b"\r\n").ok_or(Stop::Unfinished)?;
        self.pos += len + 2;
        Ok(&rest[..len])
    }

    /// `len` bytes and their line end; the inner `None` says that something else follows.
    fn blob(&mut self, len: usize) -> Result<Option<&'a [u8]>, Stop> {
        let rest = &self.bytes[self.pos..];
        let end = len
            .checked_add(2)
            .filter(|&end| end <= rest.len())
            .ok_or(Stop::Unfinished)?;
        self.pos += end;
        Ok(rest[..end].strip_suffix(b"\r\n"))
    }
}

fn length(line: &[u8]) -> Option<usize> {
    parse_i64(line).and_then(|len| usize::try_from(len).ok())
}

fn blob_value(kind: u8, text: &[u8]) -> Option<Value> {
    match kind {
        b'$' => Some(Value::Bulk(text.to_vec())),
        b'!' => Some(Value::BlobError(text.to_vec())),
        _ => match text {
            [a, b, c, b':', rest @ ..] => Some(Value::Verbatim([*a, *b, *c], rest.to_vec())),
            _ => None,
        },
    }
}

fn line_value(kind: u8, line: &[u8]) -> Option<Value> {
    match (kind, line) {
        (b'+', _) => Some(Value::Simple(line.to_vec())),
        (b'-', _) => Some(Value::Error(line.to_vec())),
        (b':', _) => parse_i64(line).map(Value::Int),
        (b',', _) => std::str::from_utf8(line).ok()?.parse().ok().map(Value::Double),
        (b'(', _) => is_decimal(line).then(|| Value::BigNumber(line.to_vec())),
        (b'#', b"t") => Some(Value::Bool(true)),
        (b'#', b"f") => Some(Value::Bool(false)),
        (b'_', b"") => Some(Value::Null),
        _ => None,
    }
}

fn is_decimal(line: &[u8]) -> bool {
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, 0)
    }
}

impl Value {
    fn show(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}", "", depth * 2)?;
        match self {
            Self::Simple(text) => write!(f, "+{}", line_text(text)),
            Self::Error(text) => write!(f, "-{}", line_text(text)),
            Self::Int(value) => write!(f, ":{value}"),
            Self::Bulk(text) => write!(f, "${}", bulk_text(text)),
            Self::NullBulk => f.write_str("$nil"),
            Self::NullArray => f.write_str("*nil"),
            Self::Null => f.write_str("_"),
            Self::Array(values) => show_all(f, '*', values, depth),
            Self::Set(values) => show_all(f, '~', values, depth),
            Self::Push(values) => show_all(f, '>', values, depth),
            Self::Map(pairs) => show_pairs(f, '%', pairs, depth),
            Self::Attribute(pairs, described) => {
                show_pairs(f, '|', pairs, depth)?;
                f.write_str("\n")?;
                described.show(f, depth)
            }
            Self::Double(value) => write!(f, ",{}", double_text(*value)),
            Self::Bool(value) => f.write_str(if *value { "#t" } else { "#f" }),
            Self::Verbatim(format, text) => write!(f, "={}:{}", format.escape_ascii(), text.escape_ascii()),
            Self::BigNumber(digits) => write!(f, "({}", digits.escape_ascii()),
            Self::BlobError(text) => write!(f, "!{}", line_text(text)),
        }
    }
}

/// Quotes and backslashes stay as they are: the line's end ends the text.
fn line_text(text: &[u8]) -> String {
    let shown = text.iter().map(|&byte| match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        _ => byte.escape_ascii().to_string(),
    });
    shown.collect()
}

/// The text as it is where that is plain to see, else in quotes.
fn bulk_text(text: &[u8]) -> String {
    let is_printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
    let is_plain = is_printable && !text.starts_with(b"\"") && text.trim_ascii() == text;
    let mut shown = Vec::new();
    match text {
        b"" | b"nil" => quote::repr(text, &mut shown),
        text if !is_plain => quote::repr(text, &mut shown),
        text => shown.extend_from_slice(text),
    }
    String::from_utf8_lossy(&shown).into_owned()
}

fn double_text(value: f64) -> String {
    let mut text = Vec::new();
    crate::base::float::shortest(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn show_all(f: &mut fmt::Formatter<'_>, kind: char, values: &[Value], depth: usize) -> fmt::Result {
    write!(f, "{kind}{}", values.len())?;
    for value in values {
        f.write_str("\n")?;
        value.show(f, depth + 1)?;
    }
    Ok(())
}

fn show_pairs(f: &mut fmt::Formatter<'_>, kind: char, pairs: &[(Value, Value)], depth: usize) -> fmt::Result {
    write!(f, "{kind}{}", pairs.len())?;
    for value in pairs.iter().flat_map(|(key, value)| [key, value]) {
        f.write_str("\n")?;
        value.show(f, depth + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reply;
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], transcript: &str) {
        let (value, len) = parse_value(bytes).expect("well-formed").expect("complete");
        assert_eq!((value.to_string().as_str(), len), (transcript, bytes.len()));
        for end in 0..bytes.len() {
            assert_eq!(
                parse_value(&bytes[..end]),
                Ok(None),
                "a prefix is unfinished, not wrong"
            );
        }
    }

    #[test]
    fn every_type_reads_back_in_the_transcript_notation() {
        check(b"+OK\r\n", "+OK");
        check(b"-ERR no\r\n", "-ERR no");
        check(b"-ERR 'x'\tno\r\n", "-ERR 'x'\\tno");
        check(b":-3\r\n", ":-3");
        check(b"$3\r\na\r\n\r\n", r#"$"a\r\n""#);
        check(b"$-1\r\n", "$nil");
        check(b"$3\r\nnil\r\n", r#"$"nil""#);
        check(b"$3\r\na b\r\n", "$a b");
        check(b"*-1\r\n", "*nil");
        check(b"_\r\n", "_");
        check(b"*2\r\n:1\r\n*1\r\n$1\r\nb\r\n", "*2\n  :1\n  *1\n    $b");
        check(b"%1\r\n+k\r\n:1\r\n", "%1\n  +k\n  :1");
        check(b"~1\r\n:1\r\n", "~1\n  :1");
        check(b">1\r\n:1\r\n", ">1\n  :1");
        check(b"|1\r\n+ttl\r\n:3\r\n:7\r\n", "|1\n  +ttl\n  :3\n:7");
        check(b",-inf\r\n", ",-inf");
        check(b",1.5\r\n", ",1.5");
        check(b"#t\r\n", "#t");
        check(b"=6\r\ntxt:hi\r\n", "=txt:hi");
        check(b"(-123\r\n", "(-123");
        check(b"!5\r\nERR x\r\n", "!ERR x");
    }

    #[test]
    fn malformed_replies_say_where() {
        assert_eq!(
            parse_value(b"*1\r\nx"),
            Err(Corrupt::Type {
                offset: 4,
                found: b'x'
            })
        );
        assert_eq!(
            parse_value(b":1x\r\n"),
            Err(Corrupt::Form { offset: 0, kind: ':' })
        );
        assert_eq!(
            parse_value(b"$1\r\nabc"),
            Err(Corrupt::Form { offset: 0, kind: '$' })
        );
        assert_eq!(
            parse_value(b"*-2\r\n"),
            Err(Corrupt::Form { offset: 0, kind: '*' })
        );
        assert_eq!(
            parse_value(&b"*1\r\n".repeat(100)),
            Err(Corrupt::Depth {
                offset: DEPTH_MAX * 4
            })
        );
        assert_eq!(parse_value(b"*9223372036854775807\r\n"), Ok(None));
        assert_eq!(parse_value(b"$9223372036854775807\r\n"), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = parse_value(&bytes);
        }

        #[test]
        fn what_reply_writes_reads_back(text: Vec<u8>, int: i64, double: f64, resp3: bool) {
            let mut out = Vec::new();
            let mut reply = Reply::new(&mut out, resp3);
            reply.array(3);
            reply.bulk(&text);
            reply.int(int);
            reply.bulk_int(int);
            let expected =
                Value::Array(vec![Value::Bulk(text), Value::Int(int), Value::Bulk(int.to_string().into_bytes())]);
            prop_assert_eq!(parse_value(&out), Ok(Some((expected, out.len()))));
            let mut out = Vec::new();
            Reply::new(&mut out, true).double(double);
            prop_assert_eq!(parse_value(&out), Ok(Some((Value::Double(double), out.len()))));
        }
    }
}
