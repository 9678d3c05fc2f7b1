//! Strings as arrays of small integers: BITFIELD.
//!
//! ```text
//! u5 at offset 7 holding 23 = 10111
//! bit   0      7  8  11
//!       .......1  0111....     highest bit first, across byte boundaries; bits past the end read as 0
//! ```
//!
//! I1  A field has 1 to 64 bits (63 when unsigned): its value is an `i64`, it touches at most nine bytes.
//!
//! Cost: O(1) apart from growing the string. Not here: replies, parsing of subcommands, limits on the length
//! of a string (commands check offsets with [`parse_field_offset`] before they write).

use super::bits::grow_to_bit;
use crate::base::number::parse_i64;
use thiserror::Error;

/// A token that names no field type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")]
pub struct InvalidFieldType;

/// An integer type: `i1` to `i64`, `u1` to `u63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    /// By I1, 1 to 64.
    bits: u32,
}

impl FieldType {
    /// The type with this sign and width, if there is one.
    pub fn new(signed: bool, bits: u32) -> Option<FieldType> {
        let bits_max = if signed { 64 } else { 63 };
        (1..=bits_max)
            .contains(&bits)
            .then_some(FieldType { signed, bits })
    }

    /// Reads `i16`, `u8` and so on. Errors: [`InvalidFieldType`].
    pub fn parse(token: &[u8]) -> Result<FieldType, InvalidFieldType> {
        let (signed, bits) = match token {
            [b'i', bits @ ..] => (true, bits),
            [b'u', bits @ ..] => (false, bits),
            _ => return Err(InvalidFieldType),
        };
        let bits = parse_i64(bits).and_then(|bits| u32::try_from(bits).ok());
        bits.and_then(|bits| FieldType::new(signed, bits))
            .ok_or(InvalidFieldType)
    }

    /// The width in bits.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// The position of the last bit of a field at `offset`: what a write must make room for.
    pub fn last_bit(self, offset: u64) -> u64 {
        offset.saturating_add(u64::from(self.bits) - 1)
    }

    fn min(self) -> i128 {
        if self.signed { -(1 << (self.bits - 1)) } else { 0 }
    }

    fn max(self) -> i128 {
        if self.signed {
            (1 << (self.bits - 1)) - 1
        } else {
            (1 << self.bits) - 1
        }
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The value that the lowest bits of `raw` stand for.
    fn decode(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        let aligned = raw << unused;
        if self.signed {
            aligned as i64 >> unused
        } else {
            (aligned >> unused) as i64
        }
    }
}

/// Reads the offset of a field: `100` is a bit, `#2` is the start of the third field of this type.
///
/// `None` is the error "bit offset is not an integer or out of range": also for a start beyond a string of
/// `string_bytes_max` bytes.
pub fn parse_field_offset(text: &[u8], field: FieldType, string_bytes_max: u64) -> Option<u64> {
    let (index, unit) = match text {
        [b'#', index @ ..] => (index, u64::from(field.bits)),
        index => (index, 1),
    };
    let offset = u64::try_from(parse_i64(index)?).ok()?.checked_mul(unit)?;
    (offset / 8 < string_bytes_max).then_some(offset)
}

/// What to do with a value that does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Keep the lowest bits.
    #[default]
    Wrap,
    /// Keep the nearest value that fits.
    Sat,
    /// Change nothing.
    Fail,
}

impl Overflow {
    /// Reads `WRAP`, `SAT` or `FAIL`, in any case.
    pub fn parse(name: &[u8]) -> Option<Overflow> {
        let named = [
            (&b"wrap"[..], Overflow::Wrap),
            (b"sat", Overflow::Sat),
            (b"fail", Overflow::Fail),
        ];
        named
            .into_iter()
            .find(|(word, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, overflow)| overflow)
    }

    /// The value to store for the exact result `wanted`; `None` when nothing is to be stored.
    fn fit(self, field: FieldType, wanted: i128) -> Option<i64> {
        let fitting = wanted.clamp(field.min(), field.max());
        match self {
            Overflow::Wrap => Some(field.decode(wanted as u64)),
            Overflow::Sat => Some(fitting as i64),
            Overflow::Fail => (fitting == wanted).then_some(fitting as i64),
        }
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldWrite {
    /// The value before.
    pub old: i64,
    /// The value now.
    pub new: i64,
    /// Did the value change, or the string grow?
    pub changed: bool,
}

/// The value of the field at `offset`.
pub fn get(bytes: &[u8], field: FieldType, offset: u64) -> i64 {
    field.decode(Window::read(bytes, field, offset).field())
}

/// Stores `value`; `None` when it does not fit and `overflow` is [`Overflow::Fail`].
///
/// The string grows with zeros to hold the field, even then. SET replies `old`. A negative value for an
/// unsigned field counts as one far too large, not as one too small: saturation stores the maximum.
///
/// Compat: so does a signed value as far below a field's maximum as 2^63, as -2^63 is below any but `i64`'s.
pub fn set(
    bytes: &mut Vec<u8>,
    field: FieldType,
    offset: u64,
    value: i64,
    overflow: Overflow,
) -> Option<FieldWrite> {
    let far_below = field.bits < 64 && field.max() - i128::from(value) > i128::from(i64::MAX);
    let wanted = match field.signed && !far_below {
        true => i128::from(value),
        // Two to the 64 more than a negative value: above every maximum, with the same lowest bits to wrap
        // to.
        false => i128::from(value as u64),
    };
    write(bytes, field, offset, overflow, |_| wanted)
}

/// Adds `delta`; `None` when the sum does not fit and `overflow` is [`Overflow::Fail`].
///
/// The string grows with zeros to hold the field, even then. INCRBY replies `new`.
pub fn incrby(
    bytes: &mut Vec<u8>,
    field: FieldType,
    offset: u64,
    delta: i64,
    overflow: Overflow,
) -> Option<FieldWrite> {
    write(bytes, field, offset, overflow, |old| {
        i128::from(old) + i128::from(delta)
    })
}

fn write(
    bytes: &mut Vec<u8>,
    field: FieldType,
    offset: u64,
    overflow: Overflow,
    wanted: impl FnOnce(i64) -> i128,
) -> Option<FieldWrite> {
    let grown = grow_to_bit(bytes, field.last_bit(offset));
    let window = Window::read(bytes, field, offset);
    let old = field.decode(window.field());
    let new = overflow.fit(field, wanted(old))?;
    window.write(bytes, new as u64);
    Some(FieldWrite {
        old,
        new,
        changed: grown || old != new,
    })
}

/// The up to nine bytes around a field, as one big-endian number.
struct Window {
    /// Index of the first byte.
    start: usize,
    word: u128,
    /// Distance of the field's lowest bit from that of `word`.
    shift: u32,
    mask: u64,
}

impl Window {
    fn read(bytes: &[u8], field: FieldType, offset: u64) -> Window {
        let start = usize::try_from(offset / 8).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        let mut buffer = [0; 16];
        let len = rest.len().min(9);
        buffer[..len].copy_from_slice(&rest[..len]);
        let shift = 128 - (offset % 8) as u32 - field.bits;
        Window {
            start,
            word: u128::from_be_bytes(buffer),
            shift,
            mask: field.mask(),
        }
    }

    fn field(&self) -> u64 {
        (self.word >> self.shift) as u64 & self.mask
    }

    /// Puts the window back with another value in the field, which must lie within `bytes`.
    fn write(&self, bytes: &mut [u8], value: u64) {
        let kept = self.word & !(u128::from(self.mask) << self.shift);
        let word = kept | u128::from(value & self.mask) << self.shift;
        let len = (bytes.len() - self.start).min(9);
        bytes[self.start..self.start + len].copy_from_slice(&word.to_be_bytes()[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::getbit;
    use super::*;
    use proptest::prelude::*;

    fn field(token: &str) -> FieldType {
        FieldType::parse(token.as_bytes()).expect("a valid type")
    }

    fn any_field() -> impl Strategy<Value = FieldType> {
        (any::<bool>(), 1u32..=64).prop_filter_map("u64", |(signed, bits)| FieldType::new(signed, bits))
    }

    /// Values near the limits of small types, and anything.
    fn any_value() -> impl Strategy<Value = i64> {
        (any::<i64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
    }

    fn naive_get(bytes: &[u8], field: FieldType, offset: u64) -> i64 {
        let bits = (offset..=field.last_bit(offset)).map(|bit| getbit(bytes, bit));
        let raw = bits.fold(0i128, |value, bit| value << 1 | i128::from(bit));
        let negative = field.signed && raw > field.max();
        (if negative { raw - (1 << field.bits) } else { raw }) as i64
    }

    #[test]
    fn field_types_follow_the_reference() {
        for token in ["i1", "i64", "u1", "u63"] {
            assert!(FieldType::parse(token.as_bytes()).is_ok(), "{token}");
        }
        for token in [
            "",
            "i",
            "u0",
            "i0",
            "u64",
            "i65",
            "I8",
            "8",
            "u-1",
            "u08",
            "u8 ",
            "x8",
            "i99999999999",
        ] {
            assert_eq!(
                FieldType::parse(token.as_bytes()),
                Err(InvalidFieldType),
                "{token}"
            );
        }
        assert!(
            InvalidFieldType
                .to_string()
                .starts_with("Invalid bitfield type. Use something like i16 u8.")
        );
    }

    #[test]
    fn offsets_count_bits_or_fields() {
        let max = 512 * 1024 * 1024;
        assert_eq!(parse_field_offset(b"100", field("u8"), max), Some(100));
        assert_eq!(parse_field_offset(b"#2", field("u8"), max), Some(16));
        assert_eq!(parse_field_offset(b"#0", field("i5"), max), Some(0));
        assert_eq!(
            parse_field_offset(b"4294967295", field("u8"), max),
            Some(4294967295)
        );
        for text in [
            "",
            "#",
            "-1",
            "#-1",
            "##1",
            "1#",
            "4294967296",
            "#4611686018427387905",
            "x",
        ] {
            assert_eq!(
                parse_field_offset(text.as_bytes(), field("i4"), max),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn overflow_follows_the_reference() {
        let store = |token, value, overflow| {
            set(&mut vec![], field(token), 0, value, overflow).map(|write| write.new)
        };
        assert_eq!(store("u8", 257, Overflow::Wrap), Some(1));
        assert_eq!(store("u8", 257, Overflow::Sat), Some(255));
        assert_eq!(store("u8", 257, Overflow::Fail), None);
        assert_eq!(store("u8", -1, Overflow::Sat), Some(255));
        assert_eq!(store("u8", -1, Overflow::Wrap), Some(255));
        assert_eq!(store("i8", 128, Overflow::Wrap), Some(-128));
        assert_eq!(store("i8", -129, Overflow::Sat), Some(-128));
        assert_eq!(store("i64", i64::MIN, Overflow::Fail), Some(i64::MIN));
        assert_eq!(store("i8", i64::MIN, Overflow::Sat), Some(127));
        assert_eq!(store("i8", i64::MIN + 127, Overflow::Sat), Some(127));
        assert_eq!(store("i8", i64::MIN + 128, Overflow::Sat), Some(-128));
        assert_eq!(store("i8", i64::MIN + 1, Overflow::Wrap), Some(1));
        assert_eq!(store("i8", i64::MIN, Overflow::Fail), None);
        let add = |token, delta, overflow| {
            let mut bytes = vec![0x64; 8];
            incrby(&mut bytes, field(token), 0, delta, overflow).map(|write| write.new)
        };
        assert_eq!(add("u8", -101, Overflow::Sat), Some(0));
        assert_eq!(add("u8", -101, Overflow::Wrap), Some(255));
        assert_eq!(add("i8", 100, Overflow::Wrap), Some(-56));
        assert_eq!(add("i64", i64::MAX, Overflow::Sat), Some(i64::MAX));
        assert_eq!(add("i64", i64::MAX, Overflow::Fail), None);
        assert_eq!(add("u63", i64::MAX, Overflow::Sat), Some(i64::MAX));
    }

    #[test]
    fn a_failed_write_still_grows_the_string() {
        let mut bytes = vec![];
        assert_eq!(set(&mut bytes, field("u8"), 4, 256, Overflow::Fail), None);
        assert_eq!(bytes, [0, 0]);
        let write = set(&mut bytes, field("u5"), 7, 23, Overflow::Wrap);
        assert_eq!(
            write,
            Some(FieldWrite {
                old: 0,
                new: 23,
                changed: true
            })
        );
        assert_eq!(bytes, [0b0000_0001, 0b0111_0000]);
        assert_eq!(
            set(&mut bytes, field("u5"), 7, 23, Overflow::Wrap).map(|write| write.changed),
            Some(false)
        );
        assert_eq!(Overflow::parse(b"sAt"), Some(Overflow::Sat));
        assert_eq!(Overflow::parse(b"none"), None);
    }

    #[test]
    fn reading_past_the_end_gives_zeros() {
        assert_eq!(get(b"\xff", field("u8"), 4), 0xf0);
        assert_eq!(get(b"\xff", field("i64"), u64::MAX), 0);
        assert_eq!(get(b"", field("i8"), 0), 0);
    }

    proptest! {
        #[test]
        fn reading_equals_reading_bit_by_bit(bytes: [u8; 20], field in any_field(), offset in 0u64..200) {
            prop_assert_eq!(get(&bytes, field, offset), naive_get(&bytes, field, offset));
        }

        #[test]
        fn writing_changes_the_field_and_nothing_else(
            before in prop::collection::vec(any::<u8>(), 0..20),
            field in any_field(),
            offset in 0u64..100,
            value in any_value(),
        ) {
            let mut bytes = before.clone();
            let write = set(&mut bytes, field, offset, value, Overflow::Wrap).expect("wrapping never fails");
            prop_assert_eq!(write.old, naive_get(&before, field, offset));
            prop_assert_eq!(write.new, naive_get(&bytes, field, offset));
            prop_assert_eq!((write.new as u64 ^ value as u64) & field.mask(), 0);
            for bit in (0..200).filter(|bit| !(offset..=field.last_bit(offset)).contains(bit)) {
                prop_assert_eq!(getbit(&bytes, bit), getbit(&before, bit));
            }
        }

        #[test]
        fn saturation_is_the_nearest_value_and_failure_is_not_fitting(
            field in any_field(),
            start in any_value(),
            delta in any_value(),
        ) {
            let mut bytes = vec![];
            let old = set(&mut bytes, field, 3, start, Overflow::Wrap).expect("wrapping never fails").new;
            let exact = i128::from(old) + i128::from(delta);
            let sat = incrby(&mut bytes.clone(), field, 3, delta, Overflow::Sat).expect("it never fails");
            prop_assert_eq!(i128::from(sat.new), exact.clamp(field.min(), field.max()));
            let failed = incrby(&mut bytes.clone(), field, 3, delta, Overflow::Fail).is_none();
            prop_assert_eq!(failed, i128::from(sat.new) != exact);
        }
    }
}
