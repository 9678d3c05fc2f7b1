//! Every error text a command answers, each written once, in Redis's words.

use std::borrow::Cow;

use crate::keyspace::WrongType;
use crate::keyspace::gate::EditError;

/// Why a command was refused. Nothing has changed when a handler returns one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The key holds another type.
    WrongType,
    /// The options do not fit together.
    Syntax,
    /// An argument or value is no 64-bit integer.
    NotInteger,
    /// An argument or value is no floating-point number.
    NotFloat,
    /// An integer argument is outside its bounds.
    OutOfRange,
    /// The key must exist.
    NoSuchKey,
    /// An addition left 64 bits.
    Overflow,
    /// A floating-point addition gave NaN or an infinity.
    NanOrInfinity,
    /// The string would be longer than `proto-max-bulk-len`.
    StringTooLong,
    /// Bad expiry for the named command.
    InvalidExpire(&'static str),
    /// Wrong number of words for the named command.
    Arity(Cow<'static, str>),
    /// A database index is out of range.
    DbIndex,
    /// An argument that should be positive.
    NotPositive,
    /// The whole text, its code first; bytes, since it may quote the client.
    Text(Cow<'static, [u8]>),
}

impl Error {
    /// An `ERR` with its text.
    pub fn err(text: impl std::fmt::Display) -> Error {
        Error::Text(Cow::Owned(format!("ERR {text}").into_bytes()))
    }

    /// A fixed text, its code first.
    pub const fn fixed(text: &'static str) -> Error {
        Error::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// An `ERR` that quotes a client's word between two pieces of text.
    ///
    /// Compat: the word goes out byte for byte, but only up to its first zero byte.
    pub fn quoting(before: &str, word: &[u8], after: &str) -> Error {
        let text = [b"ERR ", before.as_bytes(), until_zero(word), after.as_bytes()];
        Error::Text(Cow::Owned(text.concat()))
    }

    /// What goes over the wire behind the `-`.
    pub fn text(&self) -> Cow<'static, [u8]> {
        let fixed = match self {
            Error::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Error::Syntax => "ERR syntax error",
            Error::NotInteger => "ERR value is not an integer or out of range",
            Error::NotFloat => "ERR value is not a valid float",
            Error::OutOfRange => "ERR value is out of range",
            Error::NoSuchKey => "ERR no such key",
            Error::Overflow => "ERR increment or decrement would overflow",
            Error::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Error::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Error::DbIndex => "ERR DB index is out of range",
            Error::NotPositive => "ERR value is out of range, must be positive",
            Error::InvalidExpire(command) => {
                return Cow::Owned(format!("ERR invalid expire time in '{command}' command").into_bytes());
            }
            Error::Arity(command) => {
                return Cow::Owned(
                    format!("ERR wrong number of arguments for '{command}' command").into_bytes(),
                );
            }
            Error::Text(text) => return text.clone(),
        };
        Cow::Borrowed(fixed.as_bytes())
    }
}

/// A client's word as error texts show it: up to its first zero byte.
pub fn until_zero(word: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, word).unwrap_or(word.len());
    &word[..end]
}

impl From<WrongType> for Error {
    fn from(WrongType: WrongType) -> Error {
        Error::WrongType
    }
}

impl From<EditError<Error>> for Error {
    fn from(error: EditError<Error>) -> Error {
        match error {
            EditError::WrongType => Error::WrongType,
            EditError::Refused(reason) => reason,
        }
    }
}
