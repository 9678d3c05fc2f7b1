//! LZF, the compression of strings in snapshots and of a list's inner nodes.
//!
//! ```text
//! 000lllll  literals          l + 1 bytes follow, as they are
//! lllooooo oooooooo           a copy of l + 2 bytes (l from 1 to 6) that end up o + 1 bytes further on
//! 111ooooo llllllll oooooooo  the same with l + 9 bytes
//! ```
//!
//! Compression looks at one earlier place for each three bytes, found in a table of 65,536: fast rather than thorough.
//! Decompression trusts nothing: every run and copy is checked against both ends.

use std::cell::RefCell;

use super::size_class;

const LITERALS_MAX: usize = 32;
const COPY_BYTES_MIN: usize = 3;
const COPY_BYTES_MAX: usize = 264;
const DISTANCE_MAX: usize = 8192;

/// Inputs of fewer bytes use a part of the table that fits into the innermost cache, and look less thoroughly.
const SHORT_BYTES: usize = 3_000;
const SHORT_BITS: u32 = 13;
const TABLE_BITS: u32 = 16;

thread_local! {
    static KEPT: RefCell<Compressor> = RefCell::default();
}

/// `input` in at most `len_max` bytes, or `None` when it does not get that short. O(n).
pub fn compress(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len_max.min(input.len()));
    compress_into(input, len_max, &mut out).then_some(out)
}

/// Writes `input` to `out`, which is empty, in at most `len_max` bytes; whether it gets that short. O(n).
pub fn compress_into(input: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
    KEPT.with_borrow_mut(|kept| kept.compress(input, len_max, out))
}

/// Compresses one input after the other; each thread that does keeps one, of 256 KiB.
///
/// The table is never cleared in between: places count on from input to input with a gap that no copy can reach across.
/// What a slot says is a hint, which is compared with the input itself.
struct Compressor {
    /// The last place where three bytes of this hash stood.
    seen: Box<[u32; 1 << TABLE_BITS]>,
    /// The place of the next input's first byte.
    begin: u32,
}

const GAP: u32 = DISTANCE_MAX as u32 + 1;

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor {
            seen: vec![0; 1 << TABLE_BITS].try_into().expect("so many"),
            begin: GAP,
        }
    }
}

impl Compressor {
    fn compress(&mut self, input: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
        let begin = self.claim(input.len());
        let writer = Writer {
            out,
            len_max,
            literals_at: 0,
        };
        self.write(begin, input, writer).is_some()
    }

    /// Places for an input of `len` bytes.
    fn claim(&mut self, len: usize) -> u32 {
        let taken = u32::try_from(len).ok().and_then(|len| len.checked_add(GAP));
        if taken.and_then(|taken| self.begin.checked_add(taken)).is_none() {
            self.seen.fill(0);
            self.begin = GAP;
        }
        let begin = self.begin;
        // Within an input beyond 4 GiB places come again: copies are compared byte by byte all the same.
        self.begin = begin.wrapping_add(taken.unwrap_or(0));
        begin
    }

    fn write(&mut self, begin: u32, input: &[u8], mut writer: Writer<'_>) -> Option<()> {
        let (bits, revisited) = if input.len() < SHORT_BYTES {
            (SHORT_BITS, 2)
        } else {
            (TABLE_BITS, 8)
        };
        let mut at = 0;
        while at + COPY_BYTES_MIN <= input.len() {
            let place = begin.wrapping_add(at as u32);
            let slot = &mut self.seen[slot_of(input, at, bits)];
            let distance = place.wrapping_sub(*slot) as usize;
            *slot = place;
            // No further back than the input goes: what follows then is in bounds, whatever a slot says.
            if distance > DISTANCE_MAX.min(at) || distance == 0 {
                at += 1;
                continue;
            }
            let len = common(input, at - distance, at);
            if len < COPY_BYTES_MIN {
                at += 1;
                continue;
            }
            writer.literals(&input[writer.literals_at..at])?;
            writer.copy(distance, len)?;
            // The places inside the copy are worth finding later, too; its last few are enough.
            let end = at + len;
            for inner in end.saturating_sub(revisited).max(at + 1)..end.min(input.len().saturating_sub(2)) {
                self.seen[slot_of(input, inner, bits)] = begin.wrapping_add(inner as u32);
            }
            at += len;
            writer.literals_at = at;
        }
        writer.literals(&input[writer.literals_at..])
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    len_max: usize,
    /// Where the bytes begin that no copy has covered.
    literals_at: usize,
}

impl Writer<'_> {
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
fn slot_of(input: &[u8], at: usize, bits: u32) -> usize {
    let three = match input[at..].first_chunk::<4>() {
        Some(&four) => u32::from_le_bytes(four) & 0xff_ffff,
        None => u32::from(input[at]) | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]) << 16,
    };
    (three.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

/// How many bytes from `a` on equal those from `b` on, up to what one copy can take. `a` is before `b`.
#[inline]
fn common(input: &[u8], a: usize, b: usize) -> usize {
    let limit = COPY_BYTES_MAX.min(input.len() - b);
    let (here, there) = (&input[a..a + limit], &input[b..b + limit]);
    let words = here.as_chunks::<8>().0.iter().zip(there.as_chunks::<8>().0);
    let mut len = 0;
    for (&x, &y) in words {
        let differing = u64::from_le_bytes(x) ^ u64::from_le_bytes(y);
        if differing != 0 {
            return len + differing.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = here[len..].iter().zip(&there[len..]);
    len + rest.take_while(|(x, y)| x == y).count()
}

/// Appends the `len` bytes that `input` stands for to `out`, or says that it stands for anything else; `out` may have
/// grown then. Makes room for `len` bytes, which the caller has found plausible: no input of n bytes stands for more
/// than 88 n.
pub fn decompress_into(input: &[u8], len: usize, out: &mut Vec<u8>) -> bool {
    size_class::reserve(out, len);
    let begin = out.len();
    expand(input, begin, len, out).is_some() && out.len() - begin == len
}

/// The `len` bytes that `input` stands for, or `None` when it stands for anything else.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    decompress_into(input, len, &mut out).then_some(out)
}

/// Expands `input` behind the first `begin` bytes of `out`, to `len` bytes at most.
fn expand(input: &[u8], begin: usize, len: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = input;
    while let Some((&control, tail)) = rest.split_first() {
        let control = usize::from(control);
        let room = len - (out.len() - begin);
        if control < LITERALS_MAX {
            let (run, tail) = tail.split_at_checked(control + 1)?;
            if run.len() > room {
                return None;
            }
            out.extend_from_slice(run);
            rest = tail;
            continue;
        }
        let (length, tail) = match control >> 5 {
            7 => tail
                .split_first()
                .map(|(&more, tail)| (usize::from(more) + 7, tail))?,
            short => (short, tail),
        };
        let (&low, tail) = tail.split_first()?;
        let distance = ((control & 0x1f) << 8 | usize::from(low)) + 1;
        if length + 2 > room || distance > out.len() - begin {
            return None;
        }
        repeat(out, distance, length + 2);
        rest = tail;
    }
    Some(())
}

/// Appends `len` bytes of `out` itself from `distance` before its end; they may overlap what they make, which then
/// repeats every `distance` bytes.
fn repeat(out: &mut Vec<u8>, distance: usize, len: usize) {
    let start = out.len() - distance;
    let mut left = len;
    while left > 0 {
        let taken = left.min(out.len() - start);
        out.extend_from_within(start..start + taken);
        left -= taken;
    }
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
        fn a_compressor_forgets_what_it_saw_before(
            inputs in prop::collection::vec(prop::collection::vec(0u8..3, 0..200), 1..10), begin: u32,
        ) {
            let mut kept = Compressor { begin: begin | GAP, ..Compressor::default() };
            for input in inputs {
                let mut out = Vec::new();
                let fits = kept.compress(&input, input.len(), &mut out);
                prop_assert_eq!(fits.then_some(out), compress(&input, input.len()));
            }
        }

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
