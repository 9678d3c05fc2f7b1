//! HyperLogLog: how many different elements a key has seen, to about 0.81 percent, in at most 12 KiB.
//!
//! The whole structure is one ordinary string, byte for byte as Redis writes it, so GET, SET, DUMP and replicas move it
//! between servers as it is.
//!
//! ```text
//! 0        4     5          8                 16
//! | "HYLL" | enc | 0  0  0  | cached count LE | registers ...
//!            0 = dense: 16384 registers of 6 bits, 12288 bytes    (dense.rs)
//!            1 = sparse: runs of equal registers, 2 bytes and up  (sparse.rs)
//! ```
//!
//! An element's hash chooses a register by its low 14 bits; the register keeps the largest count of trailing zeros, plus
//! one, among the other 50. The count is estimated from how often each register value occurs (estimate.rs). Its cache is
//! void while the top bit of byte 15 is set.
//!
//! The sparse form grows until it would be longer than `sparse_bytes_max` (`hll-sparse-max-bytes`) or has to hold a
//! value above 32, then becomes dense for good.
//!
//! Strings come from clients: nothing here trusts one. A string without a sound header is [`Refused::NotHyperLogLog`],
//! one whose runs do not add up to 16384 registers is [`Refused::Corrupt`]; neither is changed.
//!
//! Costs: an element is hashed and one register looked at, after a walk over the runs when sparse; counting and merging
//! visit every register, 8 at a time when dense. Not here: which keys are read, and what follows from a change.
//!
//! Compat: Redis 7.4, estimator of Otmar Ertl, arXiv:1702.01284.

mod dense;
mod estimate;
mod murmur;
mod self_test;
mod sparse;
#[cfg(test)]
mod tests;

pub use self_test::self_test;

use estimate::Histogram;

/// Registers of every HyperLogLog.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of the hash that choose the register.
const INDEX_BITS: u32 = 14;

/// Bits of the hash that are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;

const SEED: u64 = 0xadc8_3b19;

const HEADER_BYTES: usize = 16;

const MAGIC: &[u8; 4] = b"HYLL";

/// Where the header says which encoding follows.
const ENCODING_AT: usize = 4;

/// Where the cached count stands, little endian.
const CACHE: std::ops::Range<usize> = 8..16;

/// Set in the last byte of the cached count while it is out of date.
const STALE: u8 = 0x80;

/// Why a string was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No HyperLogLog at all: magic, encoding or length is wrong.
    NotHyperLogLog,
    /// The header is right, the sparse registers are not.
    Corrupt,
}

/// How the registers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 6 bits for each.
    Dense,
    /// Runs.
    Sparse,
}

impl Encoding {
    /// The name PFDEBUG ENCODING answers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// What the header of `bytes` says.
///
/// # Errors
/// [`Refused::NotHyperLogLog`].
pub fn encoding(bytes: &[u8]) -> Result<Encoding, Refused> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return Err(Refused::NotHyperLogLog);
    }
    match bytes[ENCODING_AT] {
        0 if bytes.len() == HEADER_BYTES + dense::BYTES => Ok(Encoding::Dense),
        1 => Ok(Encoding::Sparse),
        _ => Err(Refused::NotHyperLogLog),
    }
}

/// One that has seen nothing: sparse, 18 bytes.
pub fn create() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(MAGIC);
    bytes.resize(HEADER_BYTES, 0);
    bytes[ENCODING_AT] = 1;
    bytes.extend_from_slice(&sparse::EMPTY);
    bytes
}

/// Adds elements; how many registers changed. Empty `bytes` become a HyperLogLog first, which counts as a change too.
///
/// ```
/// use russet::value::hyperloglog::{add, count};
/// let mut seen = Vec::new();
/// add(&mut seen, [&b"a"[..], b"b", b"a"].into_iter(), 3000).unwrap();
/// assert_eq!(count(&seen), Ok(2));
/// ```
///
/// # Errors
/// [`Refused`]; `bytes` are as they were.
pub fn add<'e>(
    bytes: &mut Vec<u8>,
    elements: impl Iterator<Item = &'e [u8]>,
    sparse_bytes_max: usize,
) -> Result<usize, Refused> {
    let mut changed = 0;
    if bytes.is_empty() {
        *bytes = create();
        changed = 1;
    }
    let mut elements = elements.peekable();
    let first = elements.next();
    // Damage may come to light after some elements have been added.
    let doubtful = changed == 0 && elements.peek().is_some() && encoding(bytes)? == Encoding::Sparse;
    let before = doubtful.then(|| bytes.clone());
    for element in first.into_iter().chain(elements) {
        match add_one(bytes, element, sparse_bytes_max) {
            Ok(did_change) => changed += usize::from(did_change),
            Err(refused) => {
                before.into_iter().for_each(|before| *bytes = before);
                return Err(refused);
            }
        }
    }
    if changed > 0 {
        bytes[CACHE.end - 1] |= STALE;
    }
    Ok(changed)
}

fn add_one(bytes: &mut Vec<u8>, element: &[u8], sparse_bytes_max: usize) -> Result<bool, Refused> {
    let (index, count) = place_of(element);
    set(bytes, index, count, sparse_bytes_max)
}

/// The register an element belongs to, and what it would raise it to: 1 to 51.
#[inline]
fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur::hash64a(element, SEED);
    // The bit above the counted ones ends the zeros at the latest.
    let counted = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    (hash as usize % REGISTERS, counted.trailing_zeros() as u8 + 1)
}

/// Raises a register to `count`; whether it was lower.
fn set(bytes: &mut Vec<u8>, index: usize, count: u8, sparse_bytes_max: usize) -> Result<bool, Refused> {
    if encoding(bytes)? == Encoding::Sparse {
        match sparse::raise(bytes, HEADER_BYTES, index, count, sparse_bytes_max)? {
            sparse::Raised::No => return Ok(false),
            sparse::Raised::Yes => return Ok(true),
            sparse::Raised::DoesNotFit => *bytes = to_dense(bytes)?,
        };
    }
    Ok(dense::raise(&mut bytes[HEADER_BYTES..], index, count))
}

/// The same registers in the dense encoding.
fn to_dense(sparse: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut bytes = vec![0; HEADER_BYTES + dense::BYTES];
    let (header, registers) = bytes.split_at_mut(HEADER_BYTES);
    header.copy_from_slice(&sparse[..HEADER_BYTES]);
    header[ENCODING_AT] = 0;
    sparse::for_each_value(&sparse[HEADER_BYTES..], |range, value| {
        range.for_each(|index| {
            dense::raise(registers, index, value);
        });
    })?;
    Ok(bytes)
}

/// Makes it dense; whether it was sparse.
///
/// # Errors
/// [`Refused`]; `bytes` are as they were.
pub fn densify(bytes: &mut Vec<u8>) -> Result<bool, Refused> {
    if encoding(bytes)? == Encoding::Dense {
        return Ok(false);
    }
    *bytes = to_dense(bytes)?;
    Ok(true)
}

/// The count that was computed last, if no register has changed since.
///
/// # Errors
/// [`Refused::NotHyperLogLog`].
pub fn cached_count(bytes: &[u8]) -> Result<Option<u64>, Refused> {
    encoding(bytes)?;
    let cache = bytes[CACHE].try_into().expect("a header has eight bytes of it");
    let is_fresh = bytes[CACHE.end - 1] & STALE == 0;
    Ok(is_fresh.then(|| u64::from_le_bytes(cache)))
}

/// Keeps a count for [`cached_count`]. Does nothing to a string too short to be a HyperLogLog.
pub fn cache_count(bytes: &mut [u8], count: u64) {
    if let Some(cache) = bytes.get_mut(CACHE) {
        cache.copy_from_slice(&count.to_le_bytes());
    }
}

/// Estimates how many different elements were added, from the registers.
///
/// # Errors
/// [`Refused`].
pub fn count(bytes: &[u8]) -> Result<u64, Refused> {
    let registers = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let histogram = match encoding(bytes)? {
        Encoding::Dense => dense::histogram(registers),
        Encoding::Sparse => sparse::histogram(registers)?,
    };
    Ok(histogram.estimate())
}

/// The runs of a sparse one as PFDEBUG DECODE shows them (`z:` and `Z:` zeros, `v:value,length`); `None` of a dense one.
///
/// # Errors
/// [`Refused::NotHyperLogLog`]. Runs that do not add up are shown all the same.
pub fn decode(bytes: &[u8]) -> Result<Option<String>, Refused> {
    match encoding(bytes)? {
        Encoding::Dense => Ok(None),
        Encoding::Sparse => Ok(Some(sparse::describe(&bytes[HEADER_BYTES..]))),
    }
}

/// The registers of a union, a byte each, until they are counted or stored.
#[derive(Clone)]
pub struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Registers {
        Registers([0; REGISTERS])
    }
}

impl Registers {
    /// Raises each register to what `bytes` hold; how those are encoded.
    ///
    /// # Errors
    /// [`Refused`]; some registers may have been raised then.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<Encoding, Refused> {
        let encoding = encoding(bytes)?;
        let registers = &bytes[HEADER_BYTES..];
        match encoding {
            Encoding::Dense => dense::merge(registers, &mut self.0),
            Encoding::Sparse => sparse::for_each_value(registers, |range, value| {
                self.0[range].iter_mut().for_each(|max| *max = (*max).max(value));
            })?,
        }
        Ok(encoding)
    }

    /// Estimates how many elements the union has.
    pub fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.0.iter().for_each(|&value| histogram.add(value, 1));
        histogram.estimate()
    }

    /// The values, by index.
    pub fn values(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    /// Raises the registers of `bytes` to these, in the dense encoding if `dense` or if that must be. Empty `bytes`
    /// become a HyperLogLog first.
    ///
    /// # Errors
    /// [`Refused`]; cannot happen when `bytes` were merged into these registers before.
    pub fn store(&self, bytes: &mut Vec<u8>, dense: bool, sparse_bytes_max: usize) -> Result<(), Refused> {
        if bytes.is_empty() {
            *bytes = create();
        }
        if dense {
            densify(bytes)?;
        }
        // In ascending order, one by one: how runs are split and joined on the way decides the bytes that result.
        for (index, &value) in self.0.iter().enumerate().filter(|(_, value)| **value > 0) {
            if encoding(bytes)? == Encoding::Dense {
                dense::raise_all(&mut bytes[HEADER_BYTES..], &self.0);
                break;
            }
            set(bytes, index, value, sparse_bytes_max)?;
        }
        bytes[CACHE.end - 1] |= STALE;
        Ok(())
    }
}
