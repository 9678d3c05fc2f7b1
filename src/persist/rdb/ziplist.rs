//! Reading ziplists, the small encoding of lists, hashes and sorted sets before Redis 7.
//!
//! ```text
//! total bytes 4 | offset of the last entry 4 | entries 2 | entry ... | 0xff
//! entry:  length of the one before: 1, or 0xfe and 4 | encoding | data
//! 00pppppp          string of up to 63 bytes            0xc0 int16   0xd0 int32   0xe0 int64
//! 01pppppp p        up to 16,383, big-endian            0xf0 int24   0xfe int8
//! 10...... pppp     longer, big-endian                  0xf1 .. 0xfd the numbers 0 to 12
//! ```
//!
//! Only reading: nothing writes them any more. The whole is checked as it is read, lengths backwards included.

use crate::ds::listpack::Item;

/// Why bytes are no ziplist.
pub type Flaw = &'static str;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
/// The count when there are more entries than it can say.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Hands each entry of a ziplist to `visit`, in order; how many there were.
///
/// # Errors
/// What is wrong with it; entries before the flaw have been visited.
pub fn read<'a>(bytes: &'a [u8], mut visit: impl FnMut(Item<'a>)) -> Result<usize, Flaw> {
    let (header, _) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or("a ziplist without header")?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if number(0) as usize != bytes.len() || bytes.last() != Some(&END) {
        return Err("a ziplist of another length than it says");
    }
    let (last_at, stated) = (number(4) as usize, u16::from_le_bytes([header[8], header[9]]));
    let body = &bytes[..bytes.len() - 1];
    let (mut at, mut before, mut count, mut tail) = (HEADER_BYTES, 0, 0, HEADER_BYTES);
    while at < body.len() {
        let (item, len) = entry(&body[at..], before)?;
        visit(item);
        (tail, before, count) = (at, len, count + 1);
        at += len;
    }
    if tail != last_at {
        return Err("a ziplist whose end is elsewhere than it says");
    }
    if stated != COUNT_UNKNOWN && usize::from(stated) != count {
        return Err("a ziplist with another count than it says");
    }
    Ok(count)
}

/// The entry at the start of `bytes`, and how long it is.
fn entry(bytes: &[u8], before: usize) -> Result<(Item<'_>, usize), Flaw> {
    const CUT: Flaw = "a ziplist entry that is cut off";
    let (said, rest) = match bytes.split_first().ok_or(CUT)? {
        (0xfe, rest) => {
            let (len, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
            (u32::from_le_bytes(*len) as usize, rest)
        }
        (&END, _) => return Err("a ziplist that ends too early"),
        (&len, rest) => (usize::from(len), rest),
    };
    if said != before {
        return Err("a ziplist entry that is wrong about the one before");
    }
    let (&encoding, rest) = rest.split_first().ok_or(CUT)?;
    let (item, rest) = match encoding >> 6 {
        3 => integer(encoding, rest).ok_or("a ziplist entry of unknown encoding")?,
        form => {
            let low = usize::from(encoding & 0x3f);
            let (len, rest) = match form {
                0 => (low, rest),
                1 => {
                    let (&next, rest) = rest.split_first().ok_or(CUT)?;
                    (low << 8 | usize::from(next), rest)
                }
                _ => {
                    let (len, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
                    (u32::from_be_bytes(*len) as usize, rest)
                }
            };
            let (text, rest) = rest.split_at_checked(len).ok_or(CUT)?;
            (Item::Bytes(text), rest)
        }
    };
    Ok((item, bytes.len() - rest.len()))
}

fn integer(encoding: u8, rest: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let bytes = match encoding {
        0xc0 => 2,
        0xd0 => 4,
        0xe0 => 8,
        0xf0 => 3,
        0xfe => 1,
        0xf1..=0xfd => return Some((Item::Int(i64::from(encoding & 0x0f) - 1), rest)),
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(bytes)?;
    let mut wide = [0; 8];
    wide[8 - bytes..].copy_from_slice(number);
    // The number stands in the top bytes: shifting it down keeps its sign.
    let n = i64::from_le_bytes(wide) >> (64 - 8 * bytes);
    Some((Item::Int(n), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
        let mut out = Vec::new();
        read(bytes, |item| out.push(item.to_vec())).map(|_| out)
    }

    /// "ab", 3, -2, 300, as Redis 2.8 writes them.
    const SAMPLE: &[u8] = &[
        27, 0, 0, 0, 22, 0, 0, 0, 4, 0, //
        0, 2, b'a', b'b', //
        4, 0xf4, //
        2, 0xfe, 0xfe, //
        3, 0xd0, 0x2c, 1, 0, 0, //
        0xff,
    ];

    #[test]
    fn entries_of_every_kind_are_read() {
        let mut sample = SAMPLE.to_vec();
        sample[0] = sample.len() as u8;
        sample[4] = 19;
        assert_eq!(texts(&sample).expect("whole"), [&b"ab"[..], b"3", b"-2", b"300"]);
    }

    #[test]
    fn no_damaged_byte_makes_it_panic() {
        let mut sample = SAMPLE.to_vec();
        sample[0] = sample.len() as u8;
        sample[4] = 19;
        for at in 0..sample.len() {
            for value in 0..=255 {
                let mut damaged = sample.clone();
                damaged[at] = value;
                let _ = texts(&damaged);
            }
            assert!(texts(&sample[..at]).is_err());
        }
    }
}
