//! Strings as bit arrays: BITCOUNT, BITPOS, BITOP, GETBIT, SETBIT.
//!
//! ```text
//! byte     0        1                  bit 0 is the highest bit of byte 0
//! bit   01234567 89......              bits past the end read as 0
//! ```
//!
//! Pure functions over slices. Cost: one pass, a word or more at a time. Not here: fields wider than one bit
//! (`bitfield`), and limits on the length of a string: writers grow a string as far as they are told, so
//! commands check offsets with [`parse_bit_offset`] first.

use super::range::{clamp_range, normalize_range};
use crate::base::number::parse_i64;
use std::ops::Range;

/// What the ends of a [`BitRange`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RangeUnit {
    /// Whole bytes.
    #[default]
    Byte,
    /// Bits.
    Bit,
}

/// The `start [end [BYTE|BIT]]` of BITCOUNT and BITPOS, as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRange {
    /// First index, negative from the end.
    pub start: i64,
    /// Last index, included; `None` is the end of the string, and only BITPOS has that.
    pub end: Option<i64>,
    /// What the two count.
    pub unit: RangeUnit,
}

impl BitRange {
    /// The whole string, no end given.
    pub const WHOLE: BitRange = BitRange {
        start: 0,
        end: None,
        unit: RangeUnit::Byte,
    };

    /// Bit positions within `bytes`, by one of the two rules in `range`.
    fn resolve(
        self,
        bytes: &[u8],
        rule: fn(i64, i64, usize) -> Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let end = self.end.unwrap_or(-1);
        match self.unit {
            RangeUnit::Bit => rule(self.start, end, bytes.len() * 8),
            RangeUnit::Byte => {
                let range = rule(self.start, end, bytes.len())?;
                Some(range.start * 8..range.end * 8)
            }
        }
    }
}

/// The number of set bits.
pub fn count_ones(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let in_words: u64 = words
        .iter()
        .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()))
        .sum();
    in_words + tail.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The number of set bits within `range`: BITCOUNT.
pub fn bitcount(bytes: &[u8], range: BitRange) -> u64 {
    let Some(bits) = range.resolve(bytes, normalize_range) else {
        return 0;
    };
    let touched = &bytes[bits.start / 8..bits.end.div_ceil(8)];
    let before = touched[0] & !from_bit(bits.start % 8);
    let after = touched[touched.len() - 1] & after_end(bits.end);
    count_ones(touched) - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The position of the first bit equal to `bit` within `range`: BITPOS of an existing string.
///
/// `None` is the reply -1. A search for a clear bit in a non-empty range without a given end never fails: it
/// finds the first bit after the string. (A key that does not exist has its first clear bit at 0, and no set
/// bit.)
pub fn bitpos(bytes: &[u8], bit: bool, range: BitRange) -> Option<u64> {
    let bits = range.resolve(bytes, clamp_range)?;
    let after = bits.end as u64;
    let found = find_bit(bytes, bit, bits);
    found.or((!bit && range.end.is_none()).then_some(after))
}

/// The first bit equal to `bit` among the positions `bits`, which is not empty.
fn find_bit(bytes: &[u8], bit: bool, bits: Range<usize>) -> Option<u64> {
    // Searching for a clear bit is searching the complement for a set one.
    let flip = if bit { 0 } else { 0xff };
    let first = bits.start / 8;
    let head = (bytes[first] ^ flip) & from_bit(bits.start % 8);
    let found = match head {
        0 => first_byte_not(flip, &bytes[first + 1..bits.end.div_ceil(8)]).map(|index| first + 1 + index),
        _ => Some(first),
    }?;
    let byte = if found == first { head } else { bytes[found] ^ flip };
    let position = found * 8 + byte.leading_zeros() as usize;
    (position < bits.end).then_some(position as u64)
}

/// The index of the first byte other than `skip`.
fn first_byte_not(skip: u8, bytes: &[u8]) -> Option<usize> {
    let (chunks, tail) = bytes.as_chunks::<32>();
    let whole = chunks.iter().take_while(|chunk| **chunk == [skip; 32]).count();
    let rest = chunks.get(whole).map_or(tail, |chunk| chunk.as_slice());
    rest.iter()
        .position(|&byte| byte != skip)
        .map(|index| whole * 32 + index)
}

/// A byte with the bits from position `bit` (0 to 7) on set.
fn from_bit(bit: usize) -> u8 {
    0xff >> bit
}

/// A byte with those bits set that lie after a range ending (not including) at bit position `end`.
fn after_end(end: usize) -> u8 {
    match end % 8 {
        0 => 0,
        used => 0xff >> used,
    }
}

/// The operations of BITOP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOp {
    /// Set where all sources are set.
    And,
    /// Set where any source is set.
    Or,
    /// Set where an odd number of sources is set.
    Xor,
    /// Set where the only source is clear.
    Not,
}

impl BitOp {
    /// Reads the operation's name, in any case.
    pub fn parse(name: &[u8]) -> Option<BitOp> {
        let named = [
            (&b"and"[..], BitOp::And),
            (b"or", BitOp::Or),
            (b"xor", BitOp::Xor),
            (b"not", BitOp::Not),
        ];
        named
            .into_iter()
            .find(|(word, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, op)| op)
    }
}

/// Combines `sources` bit by bit; the result is as long as the longest, shorter ones count as filled up with
/// zeros.
///
/// [`BitOp::Not`] complements the first source (BITOP allows no second).
pub fn bitop(op: BitOp, sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let Some((first, others)) = sources.split_first() else {
        return Vec::new();
    };
    let mut result = Vec::with_capacity(len);
    result.extend_from_slice(first);
    result.resize(len, 0);
    if op == BitOp::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
        return result;
    }
    for source in others {
        combine(op, &mut result, source);
    }
    result
}

/// Combines `source` into `result`, which is at least as long. The loops compile to vector instructions.
fn combine(op: BitOp, result: &mut [u8], source: &[u8]) {
    let (common, beyond) = result.split_at_mut(source.len());
    let pairs = common.iter_mut().zip(source);
    match op {
        BitOp::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            beyond.fill(0);
        }
        BitOp::Or => pairs.for_each(|(byte, other)| *byte |= other),
        BitOp::Xor | BitOp::Not => pairs.for_each(|(byte, other)| *byte ^= other),
    }
}

/// The bit at `offset`; bits past the end are clear.
pub fn getbit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8)
        .ok()
        .and_then(|index| bytes.get(index));
    byte.is_some_and(|byte| byte & bit_mask(offset) != 0)
}

/// What a write of bits did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitSet {
    /// The bit before.
    pub old: bool,
    /// Did the bit change, or the string grow?
    pub changed: bool,
}

/// Sets the bit at `offset`, growing the string with zeros to reach it.
pub fn setbit(bytes: &mut Vec<u8>, offset: u64, bit: bool) -> BitSet {
    let grown = grow_to_bit(bytes, offset);
    let byte = &mut bytes[(offset / 8) as usize];
    let old = *byte & bit_mask(offset) != 0;
    if old != bit {
        *byte ^= bit_mask(offset);
    }
    BitSet {
        old,
        changed: grown || old != bit,
    }
}

/// Lengthens the string with zeros until it holds the bit at `offset`; did it have to?
pub fn grow_to_bit(bytes: &mut Vec<u8>, offset: u64) -> bool {
    let len = (offset / 8) as usize + 1;
    let grows = bytes.len() < len;
    if grows {
        bytes.resize(len, 0);
    }
    grows
}

fn bit_mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// Reads the offset of GETBIT and SETBIT: an integer from 0 to the last bit of a string of `string_bytes_max`
/// bytes.
///
/// `None` is the error "bit offset is not an integer or out of range".
pub fn parse_bit_offset(text: &[u8], string_bytes_max: u64) -> Option<u64> {
    let offset = u64::try_from(parse_i64(text)?).ok()?;
    (offset / 8 < string_bytes_max).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit_range(start: i64, end: i64, unit: RangeUnit) -> BitRange {
        BitRange {
            start,
            end: Some(end),
            unit,
        }
    }

    fn bools(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() as u64 * 8)
            .map(|offset| getbit(bytes, offset))
            .collect()
    }

    fn any_range() -> impl Strategy<Value = BitRange> {
        let end = prop_oneof![3 => (-90i64..90).prop_map(Some), 1 => Just(None)];
        (-90i64..90, end, any::<bool>()).prop_map(|(start, end, by_bit)| {
            let unit = if by_bit && end.is_some() {
                RangeUnit::Bit
            } else {
                RangeUnit::Byte
            };
            BitRange { start, end, unit }
        })
    }

    fn sparse_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(0u8), 4 => Just(0xff), 1 => any::<u8>()];
        prop::collection::vec(byte, 0..80)
    }

    #[test]
    fn counts_follow_the_reference() {
        let text = b"foobar";
        assert_eq!(bitcount(text, BitRange::WHOLE), 26);
        assert_eq!(bitcount(text, bit_range(0, 0, RangeUnit::Byte)), 4);
        assert_eq!(bitcount(text, bit_range(1, 1, RangeUnit::Byte)), 6);
        assert_eq!(bitcount(text, bit_range(5, 30, RangeUnit::Bit)), 17);
        assert_eq!(bitcount(text, bit_range(-1, -5, RangeUnit::Byte)), 0);
        assert_eq!(bitcount(b"", BitRange::WHOLE), 0);
        assert_eq!(bitcount(b"\xff", bit_range(-1, -5, RangeUnit::Bit)), 0);
    }

    #[test]
    fn positions_follow_the_reference() {
        let open = |start| BitRange {
            start,
            ..BitRange::WHOLE
        };
        assert_eq!(bitpos(b"\xff\xf0\x00", false, BitRange::WHOLE), Some(12));
        assert_eq!(bitpos(b"\x00\xff\xf0", true, open(2)), Some(16));
        assert_eq!(
            bitpos(b"\x00\xff\xf0", true, bit_range(7, 15, RangeUnit::Bit)),
            Some(8)
        );
        assert_eq!(
            bitpos(b"\x00\xff\xf0", true, bit_range(7, -3, RangeUnit::Bit)),
            Some(8)
        );
        assert_eq!(bitpos(b"\x00\x00\x00", true, BitRange::WHOLE), None);
        assert_eq!(bitpos(b"\xff\xff\xff", false, BitRange::WHOLE), Some(24));
        assert_eq!(bitpos(b"\xff\xff\xff", false, open(1)), Some(24));
        assert_eq!(
            bitpos(b"\xff\xff\xff", false, bit_range(0, -1, RangeUnit::Byte)),
            None
        );
        assert_eq!(bitpos(b"", false, BitRange::WHOLE), None);
        assert_eq!(bitpos(b"\xff", false, open(1)), None);
        assert_eq!(bitpos(b"\x80", true, bit_range(-1, -5, RangeUnit::Byte)), Some(0));
    }

    #[test]
    fn bitop_names_are_read_in_any_case() {
        assert_eq!(BitOp::parse(b"aNd"), Some(BitOp::And));
        assert_eq!(BitOp::parse(b"NOT"), Some(BitOp::Not));
        assert_eq!(BitOp::parse(b"nand"), None);
    }

    #[test]
    fn bitop_of_nothing_is_nothing() {
        assert_eq!(bitop(BitOp::And, &[]), b"");
        assert_eq!(bitop(BitOp::Not, &[b""]), b"");
        assert_eq!(bitop(BitOp::And, &[b"\xff\xff", b""]), b"\0\0");
        assert_eq!(bitop(BitOp::Not, &[b"\xaa\x00"]), b"\x55\xff");
    }

    #[test]
    fn setting_a_bit_grows_and_reports() {
        let mut bytes = Vec::new();
        assert_eq!(
            setbit(&mut bytes, 7, true),
            BitSet {
                old: false,
                changed: true
            }
        );
        assert_eq!(
            setbit(&mut bytes, 7, true),
            BitSet {
                old: true,
                changed: false
            }
        );
        assert_eq!(
            setbit(&mut bytes, 17, false),
            BitSet {
                old: false,
                changed: true
            }
        );
        assert_eq!(
            setbit(&mut bytes, 7, false),
            BitSet {
                old: true,
                changed: true
            }
        );
        assert_eq!(bytes, [0, 0, 0]);
        assert!(!getbit(&bytes, u64::MAX));
    }

    #[test]
    fn bit_offsets_stop_at_the_longest_string() {
        let max = 512 * 1024 * 1024;
        assert_eq!(parse_bit_offset(b"0", max), Some(0));
        assert_eq!(parse_bit_offset(b"4294967295", max), Some(4294967295));
        assert_eq!(parse_bit_offset(b"4294967296", max), None);
        assert_eq!(parse_bit_offset(b"-1", max), None);
        assert_eq!(parse_bit_offset(b"#1", max), None);
    }

    proptest! {
        #[test]
        fn counting_equals_counting_bit_by_bit(bytes in sparse_bytes(), range in any_range()) {
            let bits = bools(&bytes);
            let chosen = range.resolve(&bytes, normalize_range).unwrap_or(0..0);
            let naive = bits[chosen].iter().filter(|bit| **bit).count();
            prop_assert_eq!(bitcount(&bytes, range), naive as u64);
        }

        #[test]
        fn searching_equals_searching_bit_by_bit(bytes in sparse_bytes(), bit: bool, range in any_range()) {
            let bits = bools(&bytes);
            let naive = range.resolve(&bytes, clamp_range).and_then(|chosen| {
                let found = chosen.clone().find(|&index| bits[index] == bit);
                found.or((!bit && range.end.is_none()).then_some(chosen.end))
            });
            prop_assert_eq!(bitpos(&bytes, bit, range), naive.map(|index| index as u64));
        }

        #[test]
        fn combining_equals_combining_bit_by_bit(
            sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
            op in prop_oneof![Just(BitOp::And), Just(BitOp::Or), Just(BitOp::Xor), Just(BitOp::Not)],
        ) {
            let sources = if op == BitOp::Not { &sources[..1] } else { &sources[..] };
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let result = bitop(op, &slices);
            prop_assert_eq!(result.len(), slices.iter().map(|source| source.len()).max().unwrap());
            for offset in 0..result.len() as u64 * 8 {
                let set = slices.iter().filter(|source| getbit(source, offset)).count();
                let naive = match op {
                    BitOp::And => set == slices.len(),
                    BitOp::Or => set > 0,
                    BitOp::Xor => set % 2 == 1,
                    BitOp::Not => set == 0,
                };
                prop_assert_eq!(getbit(&result, offset), naive);
            }
        }
    }
}
