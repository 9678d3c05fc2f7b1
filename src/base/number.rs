//! Integers as decimal text: reading what clients send, writing what they get back.
//!
//! Two grammars, because Redis has two:
//!
//! ```text
//! strict   0 | -?[1-9][0-9]*                     command arguments; equal numbers have equal text
//! loose    [space]* [+-]? [0-9]+                 SCAN cursors and stream ids, as C's strtoull reads them
//! ```
//!
//! The strict grammar is what lets a string value be stored as an integer and given back byte for byte: every
//! text it accepts is exactly the text [`write_i64`] prints.
//!
//! Cost: one pass over at most 20 digits, no allocation. Not here: floats (`float`), sizes with units
//! (`units`).

/// The most digits that cannot overflow an `i64` or a `u64`, whatever they are.
const DIGITS_SAFE: usize = 18;

/// The longest decimal text of a 64-bit integer, sign included.
pub const DECIMAL_LEN_MAX: usize = 20;

/// Reads a signed integer in the strict grammar: no `+`, no spaces, no leading zeros, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude => 0i64.checked_sub_unsigned(magnitude),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads an unsigned integer in the strict grammar.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [] => None,
        [b'0', _, ..] => None,
        short if short.len() <= DIGITS_SAFE => short.iter().try_fold(0, |value, &byte| {
            // No overflow check: 18 nines are below 2^63, and this loop is the hot one.
            Some(value * 10 + u64::from(digit(byte)?))
        }),
        long if long.len() <= DECIMAL_LEN_MAX => parse_digits_checked(long),
        _ => None,
    }
}

/// Reads an unsigned integer as Redis reads SCAN cursors and the halves of a stream id.
///
/// Whatever [`parse_i64`] accepts must not be negative. Any other text goes by the rules of C's `strtoull`:
/// leading white space, a `+`, leading zeros, and even a `-`, which then wraps around 2^64 (`-0`, ` -1`), are
/// accepted. The text ends at the first NUL byte.
///
/// Compat: since 7.4; before, a cursor with leading white space was refused, and `-1` and the empty text
/// accepted.
pub fn parse_u64_loose(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let text = &text[text.iter().take_while(|byte| is_c_space(**byte)).count()..];
    match text {
        [b'-', digits @ ..] => parse_digits_checked(digits).map(u64::wrapping_neg),
        [b'+', digits @ ..] | digits => parse_digits_checked(digits),
    }
}

/// Appends the decimal text of `value`.
#[inline]
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the decimal text of `value`.
#[inline]
pub fn write_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The number of bytes [`write_i64`] appends, 1 to 20.
#[inline]
pub fn decimal_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

/// One or more digits, leading zeros allowed; `None` also when the value passes 2^64.
fn parse_digits_checked(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &byte| {
        value.checked_mul(10)?.checked_add(digit(byte)?.into())
    })
}

/// C's `isspace` in the C locale; `u8::is_ascii_whitespace` leaves out the vertical tab.
pub(super) fn is_c_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        write_i64(value, &mut out);
        out
    }

    #[test]
    fn strict_integers_follow_the_reference() {
        let accepted: [(&str, i64); 7] = [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("999999999999999999", 999_999_999_999_999_999),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("1000000000000000000", 1_000_000_000_000_000_000),
        ];
        for (text, value) in accepted {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        let refused = [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "00",
            "-01",
            " 1",
            "1 ",
            "1a",
            "--1",
            "1.0",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
            "1\0",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn unsigned_integers_reach_two_to_the_64() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"007"), None);
    }

    #[test]
    fn loose_integers_follow_strtoull_except_for_plain_negatives() {
        let cases: [(&[u8], Option<u64>); 18] = [
            (b"0", Some(0)),
            (b"-0", Some(0)),
            (b"+5", Some(5)),
            (b"007", Some(7)),
            (b" 1", Some(1)),
            (b"\x0b3", Some(3)),
            (b" -1", Some(u64::MAX)),
            (b"-18446744073709551615", Some(1)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"5\0abc", Some(5)),
            (b"18446744073709551616", None),
            (b"-1", None),
            (b"1 ", None),
            (b"", None),
            (b"\0", None),
            (b"+-1", None),
            (b"0x10", None),
            (b"abc", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse_u64_loose(text), value, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn written_integers_read_back_and_have_the_length_foretold(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let text = written(value);
            prop_assert_eq!(text.len(), decimal_len(value));
            prop_assert_eq!(parse_i64(&text), Some(value));
        }

        #[test]
        fn any_accepted_text_is_the_canonical_one(text in "[-+ 0-9]{0,21}") {
            let naive = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), naive);
            let naive = text.parse::<u64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_u64(text.as_bytes()), naive);
        }
    }

    #[test]
    fn decimal_length_knows_the_extremes() {
        assert_eq!(decimal_len(i64::MIN), 20);
        assert_eq!(decimal_len(i64::MAX), 19);
        assert_eq!(decimal_len(0), 1);
        assert_eq!(decimal_len(-1), 2);
    }
}
