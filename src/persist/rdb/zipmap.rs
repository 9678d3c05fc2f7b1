//! Reading zipmaps, the small encoding of hashes in Redis 2.4.
//!
//! ```text
//! fields 1 (254: not said) | length | field | length | free 1 | value | free bytes ... | 0xff
//! length: 1 byte up to 253, or 254 and 4 bytes
//! ```

use super::ziplist::Flaw;

const END: u8 = 0xff;

/// Hands each field and value of a zipmap to `visit`, in order.
///
/// # Errors
/// What is wrong with it; fields before the flaw have been visited.
pub fn read<'a>(bytes: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), Flaw> {
    const CUT: Flaw = "a zipmap that is cut off";
    let (&stated, mut rest) = bytes.split_first().ok_or(CUT)?;
    let mut count = 0usize;
    loop {
        if rest == [END] {
            break;
        }
        let (field, tail) = part(rest, 0).ok_or(CUT)?;
        let (value, tail) = part(tail, 1).ok_or(CUT)?;
        visit(field, value);
        count += 1;
        rest = tail;
    }
    if count == 0 {
        return Err("a zipmap without fields");
    }
    if stated < 254 && usize::from(stated) != count {
        return Err("a zipmap with another count than it says");
    }
    Ok(())
}

/// A length, `extra` bytes of which the first says how many are free behind the text, and the text.
fn part(bytes: &[u8], extra: usize) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes.split_first()? {
        (&END, _) => return None,
        (254, rest) => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*len) as usize, rest)
        }
        (&len, rest) => (usize::from(len), rest),
    };
    let (extra, rest) = rest.split_at_checked(extra)?;
    let (text, rest) = rest.split_at_checked(len)?;
    let free = extra.first().map_or(0, |&free| usize::from(free));
    Some((text, rest.get(free..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {a: 1, bc: (two bytes, one free)}
    const SAMPLE: &[u8] = &[2, 1, b'a', 1, 0, b'1', 2, b'b', b'c', 2, 1, b'2', b'3', 0, 0xff];

    fn texts(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
        let mut out = Vec::new();
        read(bytes, |field, value| out.extend([field.to_vec(), value.to_vec()])).map(|()| out)
    }

    #[test]
    fn fields_and_values_are_read_past_free_bytes() {
        let found = texts(SAMPLE).expect("whole");
        assert_eq!(found, [&b"a"[..], b"1", b"bc", b"23"]);
    }

    #[test]
    fn no_damaged_byte_makes_it_panic() {
        for at in 0..SAMPLE.len() {
            for value in 0..=255 {
                let mut damaged = SAMPLE.to_vec();
                damaged[at] = value;
                let _ = texts(&damaged);
            }
            assert!(texts(&SAMPLE[..at]).is_err());
        }
    }
}
