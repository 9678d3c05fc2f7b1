//! LZF, the compression of strings in snapshots and of a list's inner nodes.
//!
//! ```text
//! 000lllll  literals          l + 1 bytes follow, as they are
//! lllooooo oooooooo           a copy of l + 2 bytes (l from 1 to 6) that end up o + 1 bytes further on
//! 111ooooo llllllll oooooooo  the same with l + 9 bytes
//! ```
//!
//! Compression looks at one earlier place for each three bytes, found in a table of 8,192: fast rather than thorough.
//! Decompression trusts nothing: every run and copy is checked against both ends.

const LITERALS_MAX: usize = 32;
const COPY_BYTES_MIN: usize = 3;
const COPY_BYTES_MAX: usize = 264;
const DISTANCE_MAX: usize = 8192;
const TABLE_BITS: u32 = 13;

/// `input` in at most `len_max` bytes, or `None` when it does not get that short. O(n).
pub fn compress(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    let mut writer = Writer {
        out: Vec::with_capacity(len_max.min(input.len())),
        len_max,
        literals_at: 0,
    };
    // Positions plus one; 0 is none.
    let mut seen = vec![0u32; 1 << TABLE_BITS];
    let mut at = 0;
    while at + COPY_BYTES_MIN <= input.len() {
        let slot = &mut seen[slot_of(input, at)];
        let earlier = (*slot as usize).checked_sub(1);
        *slot = at as u32 + 1;
        let copy = earlier
            .filter(|&earlier| at - earlier <= DISTANCE_MAX)
            .map(|earlier| (at - earlier, common(input, earlier, at)))
            .filter(|&(_, len)| len >= COPY_BYTES_MIN);
        let Some((distance, len)) = copy else {
            at += 1;
            continue;
        };
        writer.literals(&input[writer.literals_at..at])?;
        writer.copy(distance, len)?;
        // The places inside the copy are worth finding later, too; its last few are enough.
        for inner in (at + len).saturating_sub(2)..(at + len).min(input.len().saturating_sub(2)) {
            seen[slot_of(input, inner)] = inner as u32 + 1;
        }
        at += len;
        writer.literals_at = at;
    }
    writer.literals(&input[writer.literals_at..])?;
    Some(writer.out)
}

struct Writer {
    out: Vec<u8>,
    len_max: usize,
    /// Where the bytes begin that no copy has covered.
    literals_at: usize,
}

impl Writer {
    fn room(&self, bytes: usize) -> Option<()> {
        (self.out.len() + bytes <= self.len_max).then_some(())
    }

    fn literals(&mut self, bytes: &[u8]) -> Option<()> {
        for run in bytes.chunks(LITERALS_MAX) {
            self.room(run.len() + 1)?;
            self.out.push(run.len() as u8 - 1);
            self.out.extend_from_slice(run);
        }
        Some(())
    }

    fn copy(&mut self, distance: usize, len: usize) -> Option<()> {
        self.room(3)?;
        let (offset, len) = (distance - 1, len - 2);
        let high = (offset >> 8) as u8;
        if len < 7 {
            self.out.push((len as u8) << 5 | high);
        } else {
            self.out.extend_from_slice(&[7 << 5 | high, (len - 7) as u8]);
        }
        self.out.push(offset as u8);
        Some(())
    }
}

#[inline]
fn slot_of(input: &[u8], at: usize) -> usize {
    let three = u32::from(input[at]) | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]) << 16;
    (three.wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS)) as usize
}

/// How many bytes from `a` on equal those from `b` on, up to what one copy can take.
fn common(input: &[u8], a: usize, b: usize) -> usize {
    let limit = COPY_BYTES_MAX.min(input.len() - b);
    (0..limit).take_while(|&i| input[a + i] == input[b + i]).count()
}

/// The `len` bytes that `input` stands for, or `None` when it stands for anything else. Allocates `len` bytes, which the
/// caller has found plausible: no input of n bytes stands for more than 88 n.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len);
    let mut rest = input;
    while let Some((&control, tail)) = rest.split_first() {
        let control = usize::from(control);
        if control < LITERALS_MAX {
            let (run, tail) = tail.split_at_checked(control + 1)?;
            out.extend_from_slice(run);
            rest = tail;
        } else {
            let (length, tail) = match control >> 5 {
                7 => tail
                    .split_first()
                    .map(|(&more, tail)| (usize::from(more) + 7, tail))?,
                short => (short, tail),
            };
            let (&low, tail) = tail.split_first()?;
            let distance = ((control & 0x1f) << 8 | usize::from(low)) + 1;
            repeat(&mut out, distance, length + 2)?;
            rest = tail;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// Appends `len` bytes of `out` itself from `distance` before its end; they may overlap what they make.
fn repeat(out: &mut Vec<u8>, distance: usize, len: usize) -> Option<()> {
    let start = out.len().checked_sub(distance)?;
    if distance >= len {
        out.extend_from_within(start..start + len);
    } else {
        for i in start..start + len {
            out.push(out[i]);
        }
    }
    Some(())
}

/// The fuzz entry: any bytes survive compression, and as compressed bytes are refused or give the length told.
pub fn fuzz_lzf(data: &[u8]) {
    let room = data.len() + data.len().div_ceil(LITERALS_MAX);
    let packed = compress(data, room).expect("literals alone take no more");
    assert_eq!(decompress(&packed, data.len()).as_deref(), Some(data));
    for len in [0, 1, data.len(), 2 * data.len(), 40 * data.len()] {
        if let Some(original) = decompress(data, len) {
            assert_eq!(original.len(), len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_becomes_a_literal_and_copies() {
        let packed = compress(&[b'a'; 300], 300).expect("much shorter");
        assert_eq!(packed, [0, b'a', 0xe0, 255, 0, 0xe0, 26, 0]);
        assert_eq!(decompress(&packed, 300).expect("whole"), [b'a'; 300]);
    }

    #[test]
    fn what_does_not_get_shorter_is_left() {
        assert_eq!(compress(b"abcdefghijklmnopqrstuvwxyz", 22), None);
        assert_eq!(compress(b"", 0), Some(Vec::new()));
    }

    #[test]
    fn damaged_input_stands_for_nothing() {
        for (input, len) in [
            (&[5u8, b'a'][..], 6),
            (&[0x20, 0], 3),
            (&[0, b'a', 0xe0], 10),
            (&[0, b'a', 0xe0, 255], 300),
            (&[0, b'a', 0x20, 1], 4),
            (&[0, b'a'], 2),
            (&[0, b'a'], 0),
        ] {
            assert_eq!(decompress(input, len), None, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(
            words in prop::collection::vec(prop::collection::vec(0u8..4, 1..30), 1..8),
            order in prop::collection::vec(0usize..8, 0..400),
        ) {
            let input: Vec<u8> = order.iter().flat_map(|&i| words[i % words.len()].clone()).collect();
            if let Some(packed) = compress(&input, input.len()) {
                prop_assert!(packed.len() <= input.len());
                prop_assert_eq!(decompress(&packed, input.len()), Some(input));
            }
        }

        #[test]
        fn noise_is_refused_or_has_the_right_length(input in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..5000) {
            if let Some(text) = decompress(&input, len) {
                prop_assert_eq!(text.len(), len);
            }
        }
    }
}
