//! Sparse registers: runs of equal values, from the first register to the last.
//!
//! ```text
//! 00llllll            ZERO    l+1 registers, 1 to 64, are 0
//! 01llllll llllllll   XZERO   l+1 registers, 1 to 16384, are 0; high bits first
//! 1vvvvvll            VAL     l+1 registers, 1 to 4, are v+1, which is 1 to 32
//! ```
//!
//! Raising a register splits its run in up to three, then joins neighbours of equal value among the next few. It is not
//! the shortest form, it is Redis's: the bytes are the same after the same additions.
//!
//! A walk knows only how long runs are, from a table, and looks at values where it stops. Strings come from outside: a
//! walk ends with the string, and a sum that is not 16384 is [`Refused::Corrupt`].
//!
//! Compat: Redis reads the second byte of an XZERO cut off at the end as a zero; here that is corrupt.

use std::fmt::Write;
use std::ops::Range;

use super::estimate::Histogram;
use super::{REGISTERS, Refused};

/// One XZERO over all registers.
pub const EMPTY: [u8; 2] = [0x7f, 0xff];

const VALUE_MAX: u8 = 32;
const ZERO_LEN_MAX: usize = 64;
const VAL_LEN_MAX: usize = 4;

const XZERO: u8 = 0x40;
const VAL: u8 = 0x80;

/// How many registers each one-byte run covers; 0 for an XZERO.
const LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        lengths[byte] = match byte >> 6 {
            0 => byte as u8 + 1,
            1 => 0,
            _ => (byte & 3) as u8 + 1,
        };
        byte += 1;
    }
    lengths
};

/// Whether a register was raised.
#[derive(Debug, PartialEq, Eq)]
pub enum Raised {
    /// It was that high.
    No,
    /// It was.
    Yes,
    /// Only the dense encoding can hold it.
    DoesNotFit,
}

/// A run's registers and bytes; `None` past the end or when cut off.
#[inline]
fn extent(runs: &[u8], at: usize) -> Option<(usize, usize)> {
    let &byte = runs.get(at)?;
    match LENGTHS[usize::from(byte)] {
        0 => {
            let &low = runs.get(at + 1)?;
            Some((usize::from(byte & 0x3f) << 8 | usize::from(low), 2)).map(|(len, bytes)| (len + 1, bytes))
        }
        len => Some((len.into(), 1)),
    }
}

/// The value of the run that starts with `byte`.
#[inline]
fn value_of(byte: u8) -> u8 {
    if byte & VAL == 0 {
        0
    } else {
        (byte >> 2 & 0x1f) + 1
    }
}

fn val(value: u8, len: usize) -> u8 {
    VAL | (value - 1) << 2 | (len - 1) as u8
}

/// Calls `each` with every run of a value, in order.
///
/// # Errors
/// [`Refused::Corrupt`], maybe after some calls. Ranges are within the registers always.
pub fn for_each_value(runs: &[u8], mut each: impl FnMut(Range<usize>, u8)) -> Result<(), Refused> {
    let (mut at, mut first) = (0, 0);
    while at < runs.len() {
        let (len, bytes) = extent(runs, at).ok_or(Refused::Corrupt)?;
        if first + len > REGISTERS {
            return Err(Refused::Corrupt);
        }
        let value = value_of(runs[at]);
        if value > 0 {
            each(first..first + len, value);
        }
        (at, first) = (at + bytes, first + len);
    }
    if first == REGISTERS {
        Ok(())
    } else {
        Err(Refused::Corrupt)
    }
}

/// How many registers have each value.
///
/// # Errors
/// [`Refused::Corrupt`].
pub fn histogram(runs: &[u8]) -> Result<Histogram, Refused> {
    let mut histogram = Histogram::default();
    let mut zeros = REGISTERS;
    for_each_value(runs, |range, value| {
        zeros -= range.len();
        histogram.add(value, range.len() as u32);
    })?;
    histogram.add(0, zeros as u32);
    Ok(histogram)
}

/// Where a register's run is.
struct Found {
    /// Start of the run before it, or its own when it is the first.
    before: usize,
    at: usize,
    /// Its first register.
    first: usize,
    len: usize,
    bytes: usize,
}

/// Finds the run that covers a register.
fn find(runs: &[u8], index: usize) -> Result<Found, Refused> {
    let (mut before, mut at, mut first) = (0, 0, 0);
    loop {
        let (len, bytes) = extent(runs, at).ok_or(Refused::Corrupt)?;
        if index < first + len {
            return Ok(Found {
                before,
                at,
                first,
                len,
                bytes,
            });
        }
        before = at;
        at += bytes;
        first += len;
    }
}

/// Raises a register to `count` in the runs that follow the first `header` bytes.
///
/// # Errors
/// [`Refused::Corrupt`]; `bytes` are as they were, as they are when it does not fit.
pub fn raise(
    bytes: &mut Vec<u8>,
    header: usize,
    index: usize,
    count: u8,
    bytes_max: usize,
) -> Result<Raised, Refused> {
    if count > VALUE_MAX {
        return Ok(Raised::DoesNotFit);
    }
    let runs = &bytes[header..];
    let found = find(runs, index)?;
    let old = value_of(runs[found.at]);
    if old >= count {
        return Ok(Raised::No);
    }
    let mut pieces = Pieces::default();
    pieces.push(old, index - found.first);
    pieces.push(count, 1);
    pieces.push(old, found.first + found.len - index - 1);
    let grown = bytes.len() - found.bytes + pieces.len;
    if pieces.len > found.bytes && grown > bytes_max {
        return Ok(Raised::DoesNotFit);
    }
    make_room(bytes, grown);
    let at = header + found.at;
    bytes.splice(at..at + found.bytes, pieces.bytes[..pieces.len].iter().copied());
    join(bytes, header + found.before);
    Ok(Raised::Yes)
}

/// Up to three runs, written.
#[derive(Default)]
struct Pieces {
    bytes: [u8; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, value: u8, len: usize) {
        match (value, len) {
            (_, 0) => {}
            (0, ..=ZERO_LEN_MAX) => self.push_byte(len as u8 - 1),
            (0, _) => {
                self.push_byte(XZERO | ((len - 1) >> 8) as u8);
                self.push_byte((len - 1) as u8);
            }
            _ => self.push_byte(val(value, len)),
        }
    }

    fn push_byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// An eighth more at a time: doubling would waste what the encoding saves.
fn make_room(bytes: &mut Vec<u8>, len: usize) {
    if len > bytes.capacity() {
        bytes.reserve_exact(len - bytes.len() + 12 + len / 8);
    }
}

/// Joins neighbours of equal value among the runs from `at` on.
///
/// Compat: five steps, whether they join or pass on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(&byte) = bytes.get(at) else { return };
        match byte >> 6 {
            0 => at += 1,
            1 => at += 2,
            _ => match joined(byte, bytes.get(at + 1).copied()) {
                Some(run) => {
                    bytes[at + 1] = run;
                    bytes.remove(at);
                }
                None => at += 1,
            },
        }
    }
}

/// Both runs as one, if they are of one value and short enough.
fn joined(byte: u8, next: Option<u8>) -> Option<u8> {
    let next = next.filter(|&next| next & VAL != 0 && value_of(next) == value_of(byte))?;
    let len = usize::from(byte & 3) + usize::from(next & 3) + 2;
    (len <= VAL_LEN_MAX).then(|| val(value_of(byte), len))
}

/// The runs in words, as far as they can be read.
pub fn describe(runs: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some((len, bytes)) = extent(runs, at) {
        let gap = if at > 0 { " " } else { "" };
        let _ = match value_of(runs[at]) {
            0 if bytes == 1 => write!(text, "{gap}z:{len}"),
            0 => write!(text, "{gap}Z:{len}"),
            value => write!(text, "{gap}v:{value},{len}"),
        };
        at += bytes;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(steps: &[(usize, u8)]) -> String {
        let mut bytes = EMPTY.to_vec();
        for &(index, count) in steps {
            raise(&mut bytes, 0, index, count, 3000).unwrap();
        }
        describe(&bytes)
    }

    #[test]
    fn runs_are_split_and_joined_as_redis_does() {
        assert_eq!(raised(&[]), "Z:16384");
        assert_eq!(raised(&[(0, 5)]), "v:5,1 Z:16383");
        assert_eq!(raised(&[(16383, 5)]), "Z:16383 v:5,1");
        assert_eq!(
            raised(&[(1000, 2), (1020, 3), (1021, 3)]),
            "Z:1000 v:2,1 z:19 v:3,2 Z:15362"
        );
        assert_eq!(
            raised(&[(5, 1), (7, 1), (6, 1), (8, 1), (9, 1)]),
            "z:5 v:1,4 v:1,1 Z:16374"
        );
        assert_eq!(
            raised(&[(5, 1), (6, 1), (7, 1), (6, 2)]),
            "z:5 v:1,1 v:2,1 v:1,1 Z:16376"
        );
        assert_eq!(raised(&[(64, 1), (5, 9)]), "z:5 v:9,1 z:58 v:1,1 Z:16319");
    }

    #[test]
    fn what_sparse_runs_cannot_hold_does_not_fit() {
        let mut bytes = EMPTY.to_vec();
        assert_eq!(raise(&mut bytes, 0, 0, 33, 3000), Ok(Raised::DoesNotFit));
        assert_eq!(raise(&mut bytes, 0, 0, 1, 2), Ok(Raised::DoesNotFit));
        assert_eq!(raise(&mut bytes, 0, 0, 1, 3), Ok(Raised::Yes));
        assert_eq!(raise(&mut bytes, 0, 0, 2, 0), Ok(Raised::Yes));
    }

    #[test]
    fn runs_that_do_not_add_up_are_corrupt() {
        for runs in [
            &b""[..],
            b"\x7f",
            b"\x7f\xfe",
            b"\x7f\xff\x00",
            b"\x7f\xff\x80",
            b"\x7f\xff\x40",
        ] {
            assert!(histogram(runs).is_err(), "{}", runs.escape_ascii());
        }
        let mut short = b"\x3f\x3f".to_vec();
        assert_eq!(raise(&mut short, 0, 127, 1, 3000), Ok(Raised::Yes));
        assert_eq!(raise(&mut short, 0, 128, 1, 3000), Err(Refused::Corrupt));
    }
}
