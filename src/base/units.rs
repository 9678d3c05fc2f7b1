//! Amounts of memory as people write and read them.
//!
//! ```text
//!   1k = 1000   1kb = 1024   1m 1mb 1g 1gb alike   1b = 1 = one byte        case does not matter
//! ```
//!
//! [`parse_memory`] reads configuration values, [`memory_text`] writes them back exactly, [`human_bytes`] is
//! for the eye (`INFO`'s `*_human` fields). Not here: anything smaller than a byte or larger than 64 bits.

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

/// A size given in bytes or as a share of some other size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// That many bytes.
    Bytes(u64),
    /// That many hundredths of what the directive refers to.
    Percent(u64),
}

/// Reads an amount of memory: digits and an optional unit. `None` for anything else.
///
/// Compat: no digits at all count as 0, so the empty string is a memory value; what exceeds 64 bits is the largest
/// number.
///
/// ```
/// use russet::base::units::parse_memory;
/// assert_eq!(parse_memory(b"64mb"), Some(64 << 20));
/// assert_eq!(parse_memory(b"1k"), Some(1000));
/// assert_eq!(parse_memory(b"1.5gb"), None);
/// ```
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let count = number.iter().fold(0u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    Some(count.saturating_mul(unit_bytes(unit)?))
}

/// Reads an amount of memory, or a share of one as `25%`.
pub fn parse_memory_or_percent(text: &[u8]) -> Option<Size> {
    if let Some(bytes) = parse_memory(text) {
        return Some(Size::Bytes(bytes));
    }
    let digits = text.strip_suffix(b"%")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || (digits[0] == b'0' && digits.len() > 1)
    {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Size::Percent)
}

/// Writes a number of bytes with the largest unit that divides it, so that [`parse_memory`] reads the same
/// number.
pub fn memory_text(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(GB) => format!("{}gb", bytes / GB),
        _ if bytes.is_multiple_of(MB) => format!("{}mb", bytes / MB),
        _ if bytes.is_multiple_of(KB) => format!("{}kb", bytes / KB),
        _ => bytes.to_string(),
    }
}

/// Writes a number of bytes for people, rounded to two digits: `512B`, `1.23M`.
///
/// ```
/// assert_eq!(russet::base::units::human_bytes(1_288_490), "1.23M");
/// ```
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if !(KB..1 << 60).contains(&bytes) {
        return format!("{bytes}B");
    }
    let power = bytes.ilog2() / 10;
    let scaled = bytes as f64 / (1u64 << (10 * power)) as f64;
    format!("{scaled:.2}{}", UNITS[power as usize - 1])
}

fn unit_bytes(unit: &[u8]) -> Option<u64> {
    let units: [(&str, u64); 8] = [
        ("", 1),
        ("b", 1),
        ("k", 1_000),
        ("kb", KB),
        ("m", 1_000_000),
        ("mb", MB),
        ("g", 1_000_000_000),
        ("gb", GB),
    ];
    units
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_read_in_any_case() {
        for (text, bytes) in [
            ("1k", 1000),
            ("2KB", 2048),
            ("3m", 3_000_000),
            ("1Mb", 1 << 20),
            ("1g", 1_000_000_000),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for (text, bytes) in [
            ("1gB", 1 << 30),
            ("7b", 7),
            ("010", 10),
            ("", 0),
            ("b", 0),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("18014398509481984kb", u64::MAX),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_amount_of_memory() {
        for text in ["-1", "1.5gb", "1tb", " 1", "1 kb", "x"] {
            assert_eq!(parse_memory(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn percents_stand_beside_bytes() {
        assert_eq!(parse_memory_or_percent(b"25%"), Some(Size::Percent(25)));
        assert_eq!(parse_memory_or_percent(b"0%"), Some(Size::Percent(0)));
        assert_eq!(parse_memory_or_percent(b"1kb"), Some(Size::Bytes(1024)));
        for text in ["%", "-5%", "1gb%", "05%", "99999999999999999999%"] {
            assert_eq!(parse_memory_or_percent(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn human_bytes_scale_by_1024() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1_048_575, "1024.00K"),
            (1 << 20, "1.00M"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human_bytes(bytes), text);
        }
        assert_eq!(human_bytes(1 << 50), "1.00P");
        assert_eq!(human_bytes(u64::MAX), "18446744073709551615B");
    }

    proptest! {
        #[test]
        fn what_memory_text_writes_parse_memory_reads(number in 0u64..1 << 24, shift in 0u32..40) {
            let bytes = number << shift;
            prop_assert_eq!(parse_memory(memory_text(bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn any_text_is_answered(text: Vec<u8>) {
            let _ = parse_memory_or_percent(&text);
        }
    }
}
