//! What a client can get wrong in the protocol itself, in the words Redis answers with.
//!
//! Every one of these ends the connection once the commands before it have been answered. The text is bytes, not
//! `str`: [`ProtocolError::ExpectedDollar`] repeats the client's own byte.

/// Why parsing ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The count after `*` is no number, or is above `i32::MAX`.
    InvalidMultibulkLength,
    /// An argument's header starts with this byte instead of `$`.
    ExpectedDollar(u8),
    /// The length after `$` is no number, negative, or above `proto-max-bulk-len`.
    InvalidBulkLength,
    /// No end of the `*` line within the inline limit.
    TooBigMultibulkCount,
    /// No end of the `$` line within the inline limit.
    TooBigBulkCount,
    /// No end of an inline command within the inline limit.
    TooBigInline,
    /// An inline command leaves a quote open.
    UnbalancedQuotes,
    /// More than ten arguments before authentication.
    UnauthenticatedMultibulkLength,
    /// An argument of more than 16384 bytes before authentication.
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// The error's text with its code, as [`Reply::error`](super::Reply::error) takes it.
    #[must_use]
    pub fn text(self) -> Vec<u8> {
        let mut text = b"ERR Protocol error: ".to_vec();
        text.extend_from_slice(self.detail());
        if let Self::ExpectedDollar(byte) = self {
            text.extend_from_slice(&[byte, b'\'']);
        }
        text
    }

    fn detail(self) -> &'static [u8] {
        match self {
            Self::InvalidMultibulkLength => b"invalid multibulk length",
            Self::ExpectedDollar(_) => b"expected '$', got '",
            Self::InvalidBulkLength => b"invalid bulk length",
            Self::TooBigMultibulkCount => b"too big mbulk count string",
            Self::TooBigBulkCount => b"too big bulk count string",
            Self::TooBigInline => b"too big inline request",
            Self::UnbalancedQuotes => b"unbalanced quotes in request",
            Self::UnauthenticatedMultibulkLength => b"unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => b"unauthenticated bulk length",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_repeated_as_they_came() {
        assert_eq!(
            ProtocolError::ExpectedDollar(0xff).text(),
            b"ERR Protocol error: expected '$', got '\xff'"
        );
        assert_eq!(
            ProtocolError::TooBigInline.text(),
            b"ERR Protocol error: too big inline request"
        );
    }
}
