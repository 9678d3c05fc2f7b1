//! Dense registers: 6 bits each, four in three bytes, the lowest bits first.
//!
//! ```text
//! byte      0        1        2        3
//!        11000000 22221111 33333322 55444444 ...   digits: which register the bit belongs to
//! ```
//!
//! Counting and merging take eight registers (six bytes) at a time: three shifts and masks spread 48 bits over the eight
//! bytes of a word. Not here: the header; callers pass the 12288 bytes behind it.

use super::REGISTERS;
use super::estimate::Histogram;

/// Length of all registers.
pub const BYTES: usize = REGISTERS * BITS / 8;

const BITS: usize = 6;
const MASK: u16 = 63;

/// Raises a register to `value`; whether it was lower.
#[inline]
pub fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    let (byte, shift) = (index * BITS / 8, index * BITS % 8);
    // The last register ends with the last byte.
    let high = registers.get(byte + 1).copied().unwrap_or_default();
    let pair = u16::from_le_bytes([registers[byte], high]);
    if (pair >> shift & MASK) as u8 >= value {
        return false;
    }
    let [low, high] = (pair & !(MASK << shift) | u16::from(value) << shift).to_le_bytes();
    registers[byte] = low;
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
    true
}

/// Eight registers, a byte each.
#[inline]
fn unpack(six: [u8; 6]) -> [u8; 8] {
    let [a, b, c, d, e, f] = six;
    let bits = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let bits = bits & 0xff_ffff | (bits & 0xffff_ff00_0000) << 8;
    let bits = bits & 0x0000_0fff_0000_0fff | (bits & 0x00ff_f000_00ff_f000) << 4;
    let bits = bits & 0x003f_003f_003f_003f | (bits & 0x0fc0_0fc0_0fc0_0fc0) << 2;
    bits.to_le_bytes()
}

/// The other way.
#[inline]
fn pack(eight: [u8; 8]) -> [u8; 6] {
    let bits = u64::from_le_bytes(eight);
    let bits = bits & 0x003f_003f_003f_003f | (bits & 0x3f00_3f00_3f00_3f00) >> 2;
    let bits = bits & 0x0000_0fff_0000_0fff | (bits & 0x0fff_0000_0fff_0000) >> 4;
    let bits = bits & 0xff_ffff | (bits & 0x00ff_ffff_0000_0000) >> 8;
    let [a, b, c, d, e, f, ..] = bits.to_le_bytes();
    [a, b, c, d, e, f]
}

/// How many registers have each value.
pub fn histogram(registers: &[u8]) -> Histogram {
    // Four tables: neighbours are often equal, and adding to the same place twice waits for the first sum.
    let mut parts = [Histogram::default(); 4];
    for six in registers.as_chunks::<6>().0 {
        for (position, value) in unpack(*six).into_iter().enumerate() {
            parts[position % 4].add(value, 1);
        }
    }
    Histogram::sum(&parts)
}

/// Raises each of `into` to its register.
pub fn merge(registers: &[u8], into: &mut [u8; REGISTERS]) {
    for (six, eight) in registers
        .as_chunks::<6>()
        .0
        .iter()
        .zip(into.as_chunks_mut::<8>().0)
    {
        for (max, value) in eight.iter_mut().zip(unpack(*six)) {
            *max = (*max).max(value);
        }
    }
}

/// Raises each register to its value in `values`.
pub fn raise_all(registers: &mut [u8], values: &[u8; REGISTERS]) {
    for (six, eight) in registers
        .as_chunks_mut::<6>()
        .0
        .iter_mut()
        .zip(values.as_chunks::<8>().0)
    {
        let mut raised = unpack(*six);
        for (register, value) in raised.iter_mut().zip(eight) {
            *register = (*register).max(*value);
        }
        *six = pack(raised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn registers_are_kept_apart(raised in prop::collection::vec((0..REGISTERS, 0u8..64), 0..300)) {
            let mut registers = vec![0; BYTES];
            let mut naive = vec![0; REGISTERS];
            for (index, value) in raised {
                prop_assert_eq!(raise(&mut registers, index, value), value > naive[index]);
                naive[index] = naive[index].max(value);
            }
            let mut unpacked = [0; REGISTERS];
            merge(&registers, &mut unpacked);
            prop_assert_eq!(&unpacked[..], &naive[..]);
            let mut counted = Histogram::default();
            naive.iter().for_each(|&value| counted.add(value, 1));
            let mut packed = vec![0; BYTES];
            raise_all(&mut packed, &unpacked);
            prop_assert_eq!(&packed, &registers);
            prop_assert_eq!(histogram(&registers).estimate(), counted.estimate());
        }
    }

    #[test]
    fn the_first_and_the_last_register_fit() {
        let mut registers = vec![0; BYTES];
        assert!(raise(&mut registers, 0, 63) && raise(&mut registers, REGISTERS - 1, 63));
        assert_eq!((registers[0], registers[BYTES - 1]), (63, 63 << 2));
        assert!(!raise(&mut registers, REGISTERS - 1, 63));
    }
}
