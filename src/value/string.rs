//! Strings: how bytes and integers appear to readers, wherever they are stored.
//!
//! A string is an integer in its canonical decimal form (`int`), a short byte string that never grew (`embstr`), or
//! anything else (`raw`). Readers see a [`StringRef`]; where the bytes live is the entry's business.

use crate::base::number;

/// Longest string that Redis reports as `embstr`.
pub const EMBSTR_BYTES_MAX: usize = 44;

/// Longest text that is tried as an integer: `i64::MIN` has 20 characters.
pub const INTEGER_TEXT_BYTES_MAX: usize = 20;

/// A string as a reader sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StringRef<'a> {
    /// Stored as a number; its text is the decimal form.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

impl<'a> StringRef<'a> {
    /// The integer this string is, if its text is one in canonical form.
    pub fn as_int(self) -> Option<i64> {
        match self {
            StringRef::Int(n) => Some(n),
            StringRef::Bytes(bytes) => number::parse_i64(bytes),
        }
    }

    /// Length of the text in bytes.
    pub fn len(self) -> usize {
        match self {
            StringRef::Int(n) => number::decimal_len(n),
            StringRef::Bytes(bytes) => bytes.len(),
        }
    }

    /// True for the empty string.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The text; integers are written into `scratch`.
    pub fn text<'b>(self, scratch: &'b mut IntText) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StringRef::Int(n) => scratch.0.format(n).as_bytes(),
            StringRef::Bytes(bytes) => bytes,
        }
    }

    /// The text as owned bytes.
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut IntText::default()).to_vec()
    }
}

/// Room for the text of one integer, so that reading an `int` allocates nothing.
#[derive(Default)]
pub struct IntText(itoa::Buffer);

/// A string about to be stored: the number its text is, if Redis would keep it as one.
#[inline]
pub fn encode(text: &[u8]) -> StringRef<'_> {
    if text.len() <= INTEGER_TEXT_BYTES_MAX
        && let Some(n) = number::parse_i64(text)
    {
        return StringRef::Int(n);
    }
    StringRef::Bytes(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_integers_are_stored_as_numbers() {
        assert_eq!(encode(b"12"), StringRef::Int(12));
        assert_eq!(encode(b"-9223372036854775808"), StringRef::Int(i64::MIN));
        for text in [
            &b"012"[..],
            b"+1",
            b" 1",
            b"1 ",
            b"",
            b"-0",
            b"9223372036854775808",
        ] {
            assert_eq!(encode(text), StringRef::Bytes(text));
        }
    }

    #[test]
    fn an_integer_reads_back_as_its_text() {
        assert_eq!(StringRef::Int(-7).text(&mut IntText::default()), b"-7");
        assert_eq!(StringRef::Int(-7).len(), 2);
    }
}
