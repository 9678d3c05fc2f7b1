//! Doubles as text: scores, coordinates, timeouts.
//!
//! Reading accepts what C's `strtod` accepts when it must use the whole text, and Redis's limits on top of
//! it:
//!
//! ```text
//! [+-]? ( digits[.digits][e[+-]digits] | 0x hex[.hex][p[+-]digits] | inf | infinity )     in any case
//! refused: empty, white space, NUL bytes, nan, finite text that rounds to infinity, non-zero text to zero
//! ```
//!
//! Writing prints the fewest digits that read back as the same double, laid out as Redis 7.2 and later lay
//! them out: integers up to 2^62 in full, then `0.1`, `1e+21`, `1e-7`, `1.2345678901234e+4` (see
//! [`shortest`]).
//!
//! Compat: Redis's own digit generator (Grisu2) misses the shortest digits for about one double in three
//! hundred, one in 1400 of short decimals, and prints 77.20107899999999 for 77.201079; this one always finds
//! them. Both read back alike.
//!
//! Cost: 30 ns to read and 70 ns to print usual numbers. Not here: 80-bit arithmetic (`long_double`).

use super::number;
use rustc_apfloat::{Float, Round, ieee};

/// Whole numbers up to this magnitude (inclusive) are printed as integers.
const INTEGER_MAX: f64 = (1u64 << 62) as f64;

/// Reads a double as Redis's commands read it; `None` is "not a valid float".
pub fn parse(text: &[u8]) -> Option<f64> {
    let text = str::from_utf8(text).ok()?;
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value != 0.0 => Some(value),
        _ => parse_unusual(text),
    }
}

/// Zeros, infinities and hexadecimal: what the standard library refuses, or accepts too freely.
fn parse_unusual(text: &str) -> Option<f64> {
    match classify(text.as_bytes())? {
        // The standard library read it as zero or infinity: out of range. (Asking it again would cost more
        // than linear time in the length of a client's text.)
        Syntax::Finite {
            zero: false,
            hex: false,
            ..
        } => None,
        syntax => {
            let value = parse_soft::<ieee::Double>(text, syntax)?;
            Some(f64::from_bits(value.to_bits() as u64))
        }
    }
}

/// Reads a double as C's `strtod` reads a whole string: up to the first zero byte, white space before it skipped, nothing
/// at all as 0, and decimal numbers out of range as infinity or zero.
///
/// Compat: how Redis reads the borders of ranges of scores.
pub fn parse_c(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let text = &text[..end];
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|&&byte| number::is_c_space(byte)).count();
    let text = str::from_utf8(&text[blanks..]).ok()?;
    parse(text.as_bytes()).or_else(|| match classify(text.as_bytes())? {
        Syntax::Finite { hex: false, .. } => text.parse().ok(),
        _ => None,
    })
}

/// Reads `text`, which [`classify`] described as `syntax`, into any soft-float format, correctly rounded.
///
/// `None` when a finite text rounds to infinity, or a non-zero one to zero.
pub(super) fn parse_soft<F: Float>(text: &str, syntax: Syntax) -> Option<F> {
    let value: F = match syntax {
        Syntax::Infinite { negative: true } => return Some(-F::INFINITY),
        Syntax::Infinite { negative: false } => return Some(F::INFINITY),
        // The crate positions hexadecimal digits with 32-bit arithmetic and insists on an exponent.
        Syntax::Finite { hex: true, .. } if i32::try_from(text.len()).is_err() => return None,
        Syntax::Finite {
            hex: true,
            exponent: false,
            ..
        } => round_to_even(&format!("{text}p0")),
        Syntax::Finite { .. } => round_to_even(text),
    }?;
    let zero_is_meant = matches!(syntax, Syntax::Finite { zero: true, .. });
    (value.is_finite() && (zero_is_meant || !value.is_zero())).then_some(value)
}

fn round_to_even<F: Float>(text: &str) -> Option<F> {
    F::from_str_r(text, Round::NearestTiesToEven)
        .ok()
        .map(|parsed| parsed.value)
}

/// What a text says before its value is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `inf` or `infinity`.
    Infinite { negative: bool },
    /// Digits: whether all of them are zeros, whether they are hexadecimal, whether an exponent follows.
    Finite { zero: bool, hex: bool, exponent: bool },
}

/// Checks the grammar in the module header.
pub(super) fn classify(text: &[u8]) -> Option<Syntax> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
        return Some(Syntax::Infinite { negative });
    }
    let (hex, rest) = match rest {
        [b'0', b'x' | b'X', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (zero, rest) = skip_significand(rest, hex)?;
    let exponent = check_exponent(rest, if hex { b'p' } else { b'e' })?;
    Some(Syntax::Finite { zero, hex, exponent })
}

/// Passes digits with at most one dot among them; gives whether all were zeros, and the rest.
fn skip_significand(text: &[u8], hex: bool) -> Option<(bool, &[u8])> {
    let is_digit = |byte: u8| {
        if hex {
            byte.is_ascii_hexdigit()
        } else {
            byte.is_ascii_digit()
        }
    };
    let (mut digits, mut dots, mut zero) = (0usize, 0, true);
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        match *byte {
            b'.' if dots == 0 => dots = 1,
            byte if is_digit(byte) => {
                digits += 1;
                zero &= byte == b'0';
            }
            _ => break,
        }
        rest = tail;
    }
    (digits > 0).then_some((zero, rest))
}

/// The rest must be nothing (`Some(false)`) or the marker, a sign perhaps, and digits (`Some(true)`).
fn check_exponent(text: &[u8], marker: u8) -> Option<bool> {
    let [first, rest @ ..] = text else {
        return Some(false);
    };
    let digits = match rest {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    let well_formed = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    (first.eq_ignore_ascii_case(&marker) && well_formed).then_some(true)
}

/// The integer equal to `value`, when there is one of magnitude up to 2^62. Negative zero counts as 0.
#[inline]
pub fn exact_i64(value: f64) -> Option<i64> {
    let whole = value as i64;
    (value.abs() <= INTEGER_MAX && whole as f64 == value).then_some(whole)
}

/// Appends the text Redis prints for a double: `3`, `-0`, `0.1`, `1e+21`, `inf`, `-inf`, `nan`.
///
/// With D the digits and K the power of ten of the last one, and E the exponent were it written `d.ddd`:
/// integers while the zeros to add are few (K >= 0 and |E| < D + 7), a plain fraction for K > -7 or |E| < 4,
/// else scientific with a signed exponent of one to three digits. At most 25 bytes.
pub fn shortest(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if let Some(whole) = exact_i64(value) {
        let negative_zero = whole == 0 && value.is_sign_negative();
        return if negative_zero {
            out.extend_from_slice(b"-0")
        } else {
            number::write_i64(whole, out)
        };
    }
    if value < 0.0 {
        out.push(b'-');
    }
    match value.is_infinite() {
        true => out.extend_from_slice(b"inf"),
        false => Decimal::shortest(value.abs()).write(out),
    }
}

/// Appends the text C's `%.17g` prints, with infinities as `inf` and `-inf`: 17 significant digits, less zeros at the
/// end, in scientific notation below 1e-4 and from 1e17 on.
pub fn seventeen_digits(value: f64, out: &mut Vec<u8>) {
    significant(value, 17, out);
}

/// The same with another number of significant digits, at least one: `%.6g` is what `%g` prints.
pub fn significant(value: f64, count: usize, out: &mut Vec<u8>) {
    if !value.is_finite() || value == 0.0 {
        return shortest(value, out);
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let text = format!("{:.*e}", count.saturating_sub(1), value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = number::parse_i64(exponent.as_bytes()).unwrap_or(0) as i32;
    let all: Vec<u8> = mantissa.bytes().filter(|&byte| byte != b'.').collect();
    let zeros = all.iter().rev().take_while(|&&digit| digit == b'0').count();
    let digits = &all[..all.len() - zeros];
    let places = digits.len() as i32 - 1 - exponent;
    if !(-4..count as i32).contains(&exponent) {
        write_two_digit_scientific(digits, exponent, out);
    } else if places > 0 {
        write_fraction(digits, places as usize, out);
    } else {
        out.extend_from_slice(digits);
        push_zeros(places.unsigned_abs() as usize, out);
    }
}

/// As C does: an exponent has two digits or three.
fn write_two_digit_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    write_scientific(digits, exponent, &mut text);
    if exponent.abs() < 10 {
        text.insert(text.len() - 1, b'0');
    }
    out.extend_from_slice(&text);
}

/// A positive number as `significand * 10^exponent`, the significand not divisible by ten.
struct Decimal {
    significand: u64,
    exponent: i32,
}

impl Decimal {
    /// The shortest digits (17 at most) that read back as `value`, which is positive and finite.
    fn shortest(value: f64) -> Decimal {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let significand = whole
            .bytes()
            .chain(fraction.bytes())
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        let exponent = number::parse_i64(exponent.as_bytes()).unwrap_or(0) as i32 - fraction.len() as i32;
        Decimal {
            significand,
            exponent,
        }
        .without_trailing_zeros()
    }

    fn without_trailing_zeros(mut self) -> Decimal {
        while self.significand != 0 && self.significand.is_multiple_of(10) {
            self.significand /= 10;
            self.exponent += 1;
        }
        self
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.significand).as_bytes();
        let scientific = self.exponent + digits.len() as i32 - 1;
        if self.exponent >= 0 && scientific < digits.len() as i32 + 7 {
            out.extend_from_slice(digits);
            push_zeros(self.exponent as usize, out);
        } else if self.exponent < 0 && (self.exponent > -7 || scientific.abs() < 4) {
            write_fraction(digits, self.exponent.unsigned_abs() as usize, out);
        } else {
            write_scientific(digits, scientific, out);
        }
    }
}

/// `digits` with the dot before the last `places` of them.
fn write_fraction(digits: &[u8], places: usize, out: &mut Vec<u8>) {
    match digits.len().checked_sub(places) {
        None | Some(0) => {
            out.extend_from_slice(b"0.");
            push_zeros(places - digits.len(), out);
            out.extend_from_slice(digits);
        }
        Some(whole) => {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn write_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    number::write_u64(exponent.unsigned_abs().into(), out);
}

fn push_zeros(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b'0');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        shortest(value, &mut out);
        String::from_utf8(out).expect("digits and letters")
    }

    #[test]
    fn accepted_texts_follow_the_reference() {
        let cases: [(&str, f64); 27] = [
            ("0", 0.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("+.5", 0.5),
            ("1e5", 1e5),
            ("1E+5", 1e5),
            ("007", 7.0),
            ("inf", f64::INFINITY),
            ("+INF", f64::INFINITY),
            ("-iNf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("5e-324", f64::from_bits(1)),
            ("1e-320", 1e-320),
            ("0e99999999999999999999", 0.0),
            ("0x10", 16.0),
            ("0X1P3", 8.0),
            ("-0x.8", -0.5),
            ("0x1.", 1.0),
            ("0x0p99999999999", 0.0),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7ffp0", 1.9999999999999998),
            ("0x1.8p-1074", f64::from_bits(2)),
            ("0x0.80001p-1074", f64::from_bits(1)),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("-17976931348623157e292", f64::MIN),
            ("0.1", 0.1),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse(b"-0").is_some_and(|zero| zero.is_sign_negative()));
        assert!(parse(b"-0x0").is_some_and(|zero| zero.is_sign_negative()));
    }

    #[test]
    fn refused_texts_follow_the_reference() {
        let refused = [
            "",
            " 1",
            "1 ",
            "\x0b1",
            "1\0",
            "\x001",
            "nan",
            "-nan",
            "NaN",
            "nan(1)",
            ".",
            "1e",
            "1e+",
            "1e5.5",
            "0x",
            "0xp1",
            "0x1p",
            "0x1p+",
            "0x.p1",
            "1_0",
            "1f",
            "+ 1",
            "+-1",
            "infinit",
            "infinityx",
            "0b1",
            "1,5",
            "1.2.3",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "0x1p1024",
            "0x1p-1080",
            "0x0.8p-1074",
            "0x1.fffffffffffff8p1023",
            "0x1p99999999999999999999",
            "\u{661}",
        ];
        for text in refused {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"1\xff"), None);
    }

    #[test]
    fn borders_are_read_as_strtod_reads_them() {
        let cases: [(&[u8], Option<f64>); 12] = [
            (b"", Some(0.0)),
            (b" 1.5", Some(1.5)),
            (b"\x0b1", Some(1.0)),
            (b"1 ", None),
            (b" ", None),
            (b"1\0x", Some(1.0)),
            (b"0x10", Some(16.0)),
            (b"1e400", Some(f64::INFINITY)),
            (b"-1e400", Some(f64::NEG_INFINITY)),
            (b"1e-400", Some(0.0)),
            (b"nan", None),
            (b"-inf", Some(f64::NEG_INFINITY)),
        ];
        for (text, value) in cases {
            assert_eq!(parse_c(text), value, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn printed_doubles_follow_the_reference() {
        let cases: [(f64, &str); 33] = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (-0.1, "-0.1"),
            (2.75, "2.75"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e17, "100000000000000000"),
            (1e18, "1000000000000000000"),
            (4611686018427387904.0, "4611686018427387904"),
            (4611686018427388928.0, "4611686018427389000"),
            (1e19, "1e+19"),
            (1e21, "1e+21"),
            (-1e21, "-1e+21"),
            (123456789e14, "1.23456789e+22"),
            (1e100, "1e+100"),
            (1e107, "1e+107"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (2.2250738585072014e-308, "2.2250738585072014e-308"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (0.00012, "0.00012"),
            (0.00012345, "1.2345e-4"),
            (0.0001234567, "1.234567e-4"),
            (0.001234567, "0.001234567"),
            (1234.5678901234, "1234.5678901234"),
            (12345.678901234, "1.2345678901234e+4"),
            (12345.678901, "12345.678901"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(printed(value), text, "{value:e}");
        }
        assert_eq!(printed(f64::NEG_INFINITY), "-inf");
        assert_eq!(printed(-f64::NAN), "nan");
    }

    #[test]
    fn seventeen_digits_are_printed_as_c_prints_them() {
        for (value, text) in [
            (3.0, "3"),
            (-0.0, "-0"),
            (3.1, "3.1000000000000001"),
            (-1.5, "-1.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e20, "1e+20"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1e-300, "1e-300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut out = Vec::new();
            seventeen_digits(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn exact_integers_stop_at_two_to_the_62() {
        assert_eq!(exact_i64(4611686018427387904.0), Some(1 << 62));
        assert_eq!(exact_i64(-4611686018427387904.0), Some(-(1 << 62)));
        assert_eq!(exact_i64(4611686018427388928.0), None);
        assert_eq!(exact_i64(-0.0), Some(0));
        assert_eq!(exact_i64(0.5), None);
        assert_eq!(exact_i64(f64::NAN), None);
        assert_eq!(exact_i64(f64::INFINITY), None);
    }

    proptest! {
        #[test]
        fn printed_doubles_read_back_exactly(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let text = printed(value);
            prop_assert!(text.len() <= 25);
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn printed_short_decimals_are_what_was_typed(digits in 1u32..10_000, places in 1usize..4) {
            let typed = format!("{:.*}", places, f64::from(digits) / 10f64.powi(places as i32));
            let trimmed = typed.trim_end_matches('0').trim_end_matches('.');
            let value = parse(typed.as_bytes()).expect("a decimal");
            prop_assert_eq!(printed(value), trimmed);
        }

        #[test]
        fn both_parsers_agree_on_decimals(text in "[-+]?[0-9]{0,25}[.]?[0-9]{0,25}(e[-+]?[0-9]{1,3})?") {
            let soft = classify(text.as_bytes())
                .and_then(|syntax| parse_soft::<ieee::Double>(&text, syntax))
                .map(|value| value.to_bits() as u64);
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), soft);
        }

        #[test]
        fn no_text_panics(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
