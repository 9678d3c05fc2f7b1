//! Numbers as C's `printf` writes them with `%.14g`, and as its `strtod` reads them from the beginning of a text.

use crate::base::float;

/// Appends `value` with `digits` significant digits, without trailing zeros.
pub fn significant(value: f64, digits: usize, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let word = if value.is_nan() { "nan" } else { "inf" };
        return out.extend_from_slice(format!("{sign}{word}").as_bytes());
    }
    const SMALL: f64 = 1e9;
    if digits >= 10
        && value.abs() < SMALL
        && value.fract() == 0.0
        && (value != 0.0 || value.is_sign_positive())
    {
        return out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    let digits = digits.max(1);
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(without_zeros(mantissa).as_bytes());
        return out.extend_from_slice(format!("e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    out.extend_from_slice(without_zeros(&format!("{value:.decimals$}")).as_bytes());
}

fn without_zeros(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

/// A number as an integer of 64 bits, its fraction cut off; what is out of range, or no number, is the smallest one, as the
/// processors Redis runs on convert it.
#[inline]
pub fn to_i64(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// The number that `text` begins with, and its length; a length of 0 when there is none.
pub fn strtod(text: &[u8]) -> (f64, usize) {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let (unsigned, len) = magnitude(&text[sign..]);
    if len == 0 {
        return (0.0, 0);
    }
    let value = if text[0] == b'-' { -unsigned } else { unsigned };
    (value, sign + len)
}

fn magnitude(text: &[u8]) -> (f64, usize) {
    let begins_with = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    if begins_with(b"infinity") {
        return (f64::INFINITY, 8);
    }
    if begins_with(b"inf") {
        return (f64::INFINITY, 3);
    }
    if begins_with(b"nan") {
        return (f64::NAN, 3);
    }
    if begins_with(b"0x") {
        let len = extent(&text[2..], |byte| byte.is_ascii_hexdigit(), b'p');
        if len > 0 {
            let text = &text[..2 + len];
            return (float::parse(text).unwrap_or_default(), 2 + len);
        }
    }
    let len = extent(text, |byte| byte.is_ascii_digit(), b'e');
    let digits = std::str::from_utf8(&text[..len]).unwrap_or_default();
    (digits.parse().unwrap_or_default(), len)
}

/// How many bytes are digits, one dot among them perhaps, and an exponent. 0 when there is no digit.
fn extent(text: &[u8], is_digit: fn(&u8) -> bool, marker: u8) -> usize {
    let run = |from: usize| text[from..].iter().take_while(|byte| is_digit(byte)).count();
    let whole = run(0);
    let mut len = whole;
    let mut digits = whole;
    if text.get(len) == Some(&b'.') {
        let fraction = run(len + 1);
        digits += fraction;
        len += 1 + fraction;
    }
    if digits == 0 {
        return 0;
    }
    if text.get(len).is_some_and(|byte| byte | 0x20 == marker) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'-' | b'+')));
        let exponent = text.get(len + 1 + sign..).unwrap_or_default();
        let exponent = exponent.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_digits_as_printf_writes_them() {
        let check = |value: f64, expected: &str| {
            let mut out = Vec::new();
            significant(value, 14, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(0.1, "0.1");
        check(1.0 / 3.0, "0.33333333333333");
        check(1e14, "1e+14");
        check(12345678901234.0, "12345678901234");
        check(-2.5e-7, "-2.5e-07");
        check(0.0, "0");
        check(-0.0, "-0");
        check(1e300, "1e+300");
        check(99999999999999.9, "1e+14");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn numbers_end_where_strtod_ends_them() {
        let check = |text: &str, value: f64, len: usize| {
            assert_eq!(strtod(text.as_bytes()), (value, len), "{text}");
        };
        check("12,", 12.0, 2);
        check("-1.5e3]", -1500.0, 6);
        check("1.", 1.0, 2);
        check(".5", 0.5, 2);
        check("1e", 1.0, 1);
        check("1e+", 1.0, 1);
        check("0x1F ", 31.0, 4);
        check("0x", 0.0, 1);
        check("-Infinity", f64::NEG_INFINITY, 9);
        check("1e999", f64::INFINITY, 5);
        check("-", 0.0, 0);
        check("", 0.0, 0);
    }
}
