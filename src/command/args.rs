//! A command's words as its handler sees them: bytes, numbers, keys with their saved hashes.

use crate::base::hash::KeyHasher;
use crate::base::number;
use crate::keyspace::Key;
use crate::resp;

use super::error::Error;

/// Elements that one command may draw with repeats: the reply to a few bytes of a request must not take all memory. Redis
/// goes on until it does.
pub const DRAWS_MAX: u64 = 1 << 26;

/// The words of one command; a cheap copy. Word 0 is the command's name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    words: resp::Args<'a>,
    /// Hashes of the keys at `first`, `first + step`, ... as far as they were prepared.
    hashes: &'a [u64],
    first: usize,
    step: usize,
    hasher: KeyHasher,
}

impl<'a> Args<'a> {
    /// Words whose keys at `first`, `first + step`, ... have been hashed already (maybe none).
    pub fn prepared(
        words: resp::Args<'a>,
        hashes: &'a [u64],
        first: usize,
        step: usize,
        hasher: KeyHasher,
    ) -> Args<'a> {
        Args {
            words,
            hashes,
            first,
            step,
            hasher,
        }
    }

    /// Words alone; keys are hashed when asked for.
    pub fn new(words: resp::Args<'a>, hasher: KeyHasher) -> Args<'a> {
        Args {
            words,
            hashes: &[],
            first: 0,
            step: 1,
            hasher,
        }
    }

    /// How many words, the name included.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a command has at least its name")]
    pub fn len(self) -> usize {
        self.words.len()
    }

    /// The raw words.
    pub fn words(self) -> resp::Args<'a> {
        self.words
    }

    /// Word `index`.
    ///
    /// # Panics
    /// When there is none: arity was checked before the handler ran.
    #[inline]
    pub fn get(self, index: usize) -> &'a [u8] {
        self.words.get(index)
    }

    /// Word `index`, if there is one.
    pub fn try_get(self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.get(index))
    }

    /// Word `index` as a key.
    #[inline]
    pub fn key(self, index: usize) -> Key<'a> {
        let bytes = self.get(index);
        let at = if index == self.first {
            0
        } else {
            index.wrapping_sub(self.first) / self.step
        };
        let aligned = index == self.first || index.wrapping_sub(self.first).is_multiple_of(self.step);
        match self.hashes.get(at) {
            Some(&hash) if aligned => Key { bytes, hash },
            _ => Key {
                bytes,
                hash: self.hasher.hash(bytes),
            },
        }
    }

    /// Word `index` as a 64-bit integer.
    #[inline]
    pub fn int(self, index: usize) -> Result<i64, Error> {
        number::parse_i64(self.get(index)).ok_or(Error::NotInteger)
    }

    /// Word `index` as an integer within bounds.
    pub fn int_in(self, index: usize, bounds: std::ops::RangeInclusive<i64>) -> Result<i64, Error> {
        let n = self.int(index)?;
        if bounds.contains(&n) {
            Ok(n)
        } else {
            Err(Error::OutOfRange)
        }
    }

    /// Whether word `index` is `token`, in any case.
    #[inline]
    pub fn is(self, index: usize, token: &str) -> bool {
        self.get(index).eq_ignore_ascii_case(token.as_bytes())
    }

    /// The words from `start` on.
    pub fn iter_from(self, start: usize) -> impl Iterator<Item = &'a [u8]> {
        (start..self.len()).map(move |i| self.get(i))
    }
}
