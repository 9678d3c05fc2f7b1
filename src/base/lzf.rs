//! LZF: light compression, of inner list nodes in memory and of strings in RDB files.
//!
//! ```text
//! 000lllll                       l + 1 bytes follow as they are
//! lllooooo oooooooo              l + 2 bytes are repeated from o + 1 bytes back; l is 1 to 6
//! 111ooooo llllllll oooooooo     l + 9 bytes are repeated from o + 1 bytes back
//! ```
//!
//! The format is that of Marc Lehmann's LibLZF, which Redis has in its files. A length is not part of it: whoever stores
//! compressed bytes stores the length of the original beside them.
//!
//! Costs: compressing looks each position's next three bytes up in a table of 8192 places, the last position that had
//! them; no search, no second try. Limits: inputs of 4 GiB at most; repeats reach 8 KiB back.

/// Positions that are remembered, by a hash of three bytes.
const TABLE_BITS: u32 = 13;
const REACH: usize = 1 << 13;
const LITERALS_MAX: usize = 1 << 5;
const REPEAT_MIN: usize = 3;
const REPEAT_MAX: usize = 264;
/// The most bytes that one compressed byte can stand for: a repeat of 264 takes three.
const RATIO_MAX: usize = REPEAT_MAX / 3;

/// Bytes that are not what compression writes, or not of the length that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged LZF data")]
pub struct Damaged;

/// The compressed form of `data`, if that is at most `out_max` bytes. O(n).
pub fn compress(data: &[u8], out_max: usize) -> Option<Vec<u8>> {
    if u32::try_from(data.len()).is_err() {
        return None;
    }
    let mut out = Vec::with_capacity(out_max.min(data.len()));
    // Zero means none: a repeat of the very first bytes is found when they occur for the second time after that.
    let mut table = vec![0u32; 1 << TABLE_BITS];
    let (mut at, mut literals_from) = (0, 0);
    while at + REPEAT_MIN < data.len() {
        let slot = &mut table[slot_of(&data[at..])];
        let earlier = *slot as usize;
        *slot = at as u32;
        let is_repeat =
            earlier != 0 && at - earlier <= REACH && data[earlier..earlier + 3] == data[at..at + 3];
        if !is_repeat {
            at += 1;
            continue;
        }
        let len = common_len(&data[earlier..], &data[at..]);
        push_literals(&data[literals_from..at], &mut out);
        push_repeat(at - earlier - 1, len, &mut out);
        if out.len() > out_max {
            return None;
        }
        // The repeated stretch is remembered by its last bytes only, which is where the next repeat is likely to start.
        if let Some(last) = data.get(at + len - 1..).filter(|rest| rest.len() >= 3) {
            table[slot_of(last)] = (at + len - 1) as u32;
        }
        at += len;
        literals_from = at;
    }
    push_literals(&data[literals_from..], &mut out);
    (out.len() <= out_max).then_some(out)
}

#[inline]
fn slot_of(bytes: &[u8]) -> usize {
    let three = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    // Fibonacci hashing: the top bits of the product depend on all three bytes.
    (three.wrapping_mul(0x9E37_79B1) >> (32 - TABLE_BITS)) as usize
}

/// How many bytes, up to what a repeat can say, both have in common.
#[inline]
fn common_len(a: &[u8], b: &[u8]) -> usize {
    let pairs = a.iter().zip(b).take(REPEAT_MAX);
    pairs.take_while(|(a, b)| a == b).count()
}

fn push_literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

#[inline]
fn push_repeat(back: usize, len: usize, out: &mut Vec<u8>) {
    let (far, near) = ((back >> 8) as u8, back as u8);
    match len - 2 {
        short @ 0..7 => out.extend_from_slice(&[(short as u8) << 5 | far, near]),
        long => out.extend_from_slice(&[7 << 5 | far, (long - 7) as u8, near]),
    }
}

/// The original of `data`, which is `len` bytes.
///
/// # Errors
/// [`Damaged`]. A length out of all proportion is refused before anything is allocated.
pub fn decompress(data: &[u8], len: usize) -> Result<Vec<u8>, Damaged> {
    if len > data.len().saturating_mul(RATIO_MAX) {
        return Err(Damaged);
    }
    let (mut out, mut rest) = (Vec::with_capacity(len), data);
    while let [control, more @ ..] = rest {
        rest = if usize::from(*control) < LITERALS_MAX {
            let (literals, more) = more.split_at_checked(usize::from(*control) + 1).ok_or(Damaged)?;
            out.extend_from_slice(literals);
            more
        } else {
            repeat(*control, more, &mut out)?
        };
        if out.len() > len {
            return Err(Damaged);
        }
    }
    if out.len() == len { Ok(out) } else { Err(Damaged) }
}

/// Carries out one repeat; what follows it.
#[inline]
fn repeat<'a>(control: u8, data: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Damaged> {
    let (len, data) = match (control >> 5, data) {
        (7, [long, more @ ..]) => (usize::from(*long) + 9, more),
        (7, []) => return Err(Damaged),
        (short, more) => (usize::from(short) + 2, more),
    };
    let [near, rest @ ..] = data else {
        return Err(Damaged);
    };
    let back = (usize::from(control & 0x1F) << 8 | usize::from(*near)) + 1;
    let from = out.len().checked_sub(back).ok_or(Damaged)?;
    if back >= len {
        out.extend_from_within(from..from + len);
    } else {
        // It repeats bytes that it has just written itself.
        (from..from + len).for_each(|at| out.push(out[at]));
    }
    Ok(rest)
}

/// The fuzz entry: any bytes survive compression, and as compressed bytes are refused or give the length told.
pub fn fuzz_lzf(data: &[u8]) {
    if let Some(packed) = compress(data, data.len() + 8 + data.len() / 32) {
        assert_eq!(decompress(&packed, data.len()).as_deref(), Ok(data));
    }
    for len in [0, 1, data.len(), 2 * data.len(), 40 * data.len(), usize::MAX] {
        if let Ok(original) = decompress(data, len) {
            assert_eq!(original.len(), len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn what_a_real_server_writes_can_be_read() {
        // A string of 200 `a`, from a DUMP.
        let packed = [1, 97, 97, 224, 187, 0, 1, 97, 97];
        assert_eq!(decompress(&packed, 200), Ok(vec![b'a'; 200]));
    }

    #[test]
    fn repeats_of_every_length_and_distance_are_said() {
        for (distance, len) in [
            (3, 3),
            (3, 8),
            (3, 9),
            (4, 263),
            (5, 264),
            (6, 265),
            (8192, 40),
            (8193, 40),
        ] {
            let mut data: Vec<u8> = vec![b'-'];
            data.extend(noise(distance));
            (0..len).for_each(|_| data.push(data[data.len() - distance]));
            let packed = compress(&data, 2 * data.len()).unwrap();
            assert_eq!(decompress(&packed, data.len()), Ok(data));
        }
    }

    #[test]
    fn text_shrinks_and_noise_is_refused() {
        let text = b"user:1000:name user:1001:name user:1002:name user:1003:name".repeat(20);
        assert!(compress(&text, text.len() / 4).is_some());
        let noise = noise(1000);
        assert_eq!(compress(&noise, noise.len() - 8), None);
        assert_eq!(compress(b"", 10), Some(Vec::new()));
    }

    #[test]
    fn damage_is_refused() {
        for (data, len) in [
            (&b"\x05abc"[..], 6),
            (b"\x20\0", 3),
            (b"\xe0\x05", 14),
            (b"\0a\x20", 4),
            (b"\0a\x20\x01", 4),
            (b"\0a", 2),
            (b"\x01ab", 1),
            (b"", 1),
            (b"\0a", usize::MAX),
        ] {
            assert_eq!(decompress(data, len), Err(Damaged), "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_comes_back(data in prop::collection::vec(0..4u8, 0..3000)) {
            let packed = compress(&data, 2 * data.len()).unwrap();
            prop_assert_eq!(decompress(&packed, data.len()), Ok(data));
        }
    }
}
