//! Key hashing: 64 bits from a byte string, seeded once per process.
//!
//! The hash table takes the segment and bucket from the top bits and the tag from the low ones, so all bits
//! must be good: foldhash's quality variant, whose last step is one more folded multiply than the fast one.
//!
//! Not here: resistance to an attacker who can measure many hashes. The random seed keeps collisions from
//! being prepared in advance; it is not a keyed cryptographic function.

use std::hash::Hasher;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A hash function of keys. The containers are generic over it so that tests can hand them a bad one.
pub trait HashKey: Copy {
    /// The hash of `key`: the same for equal keys, for the life of `self` and its copies.
    fn hash(&self, key: &[u8]) -> u64;
}

/// The seeded hash function of one process; copies hash alike.
#[derive(Clone, Copy)]
pub struct KeyHasher {
    seed: u64,
    shared: &'static SharedSeed,
}

impl KeyHasher {
    /// A function seeded from the operating system; every call returns another one.
    ///
    /// # Panics
    /// If the system has no random bytes to give, which no supported system does after boot.
    pub fn random() -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(system_random()));
        KeyHasher {
            seed: system_random(),
            shared,
        }
    }

    /// A reproducible function, for tests and simulations.
    pub fn with_seed(seed: u64) -> Self {
        // Neighbouring seeds would otherwise give hashes that differ in few bits before the last multiply.
        let seed = (seed ^ 0x6a09_e667_f3bc_c908).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        KeyHasher {
            seed,
            shared: SharedSeed::global_fixed(),
        }
    }

    /// The hash of `key`. O(key bytes), a few nanoseconds for short keys.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, self.shared);
        hasher.write(key);
        hasher.finish()
    }
}

impl HashKey for KeyHasher {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        KeyHasher::hash(self, key)
    }
}

fn system_random() -> u64 {
    getrandom::u64().expect("the system supplies random bytes after boot")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-squared of 256 cells filled by `cell` of the hashes of sequential keys.
    fn chi_squared(hasher: KeyHasher, cell: impl Fn(u64) -> usize) -> f64 {
        const KEYS: u32 = 100_000;
        let mut counts = [0u32; 256];
        for i in 0..KEYS {
            counts[cell(hasher.hash(format!("key:{i:012}").as_bytes()))] += 1;
        }
        let expected = f64::from(KEYS) / 256.0;
        counts
            .iter()
            .map(|&n| (f64::from(n) - expected).powi(2) / expected)
            .sum()
    }

    #[test]
    fn top_and_low_bits_of_sequential_keys_are_evenly_spread() {
        // 255 degrees of freedom: mean 255, standard deviation 22.6. 400 is more than six deviations out.
        for seed in 0..8 {
            let hasher = KeyHasher::with_seed(seed);
            for (name, bits) in [
                ("top", chi_squared(hasher, |h| (h >> 56) as usize)),
                ("second", chi_squared(hasher, |h| (h >> 48 & 0xff) as usize)),
                ("low", chi_squared(hasher, |h| (h & 0xff) as usize)),
                (
                    "top against low",
                    chi_squared(hasher, |h| ((h >> 60 << 4) | (h & 15)) as usize),
                ),
            ] {
                assert!(bits < 400.0, "seed {seed}: {name} bits are uneven: {bits}");
            }
        }
    }

    #[test]
    fn a_seed_decides_the_hash_and_random_ones_differ() {
        let of = |seed| KeyHasher::with_seed(seed).hash(b"key");
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_ne!(KeyHasher::random().hash(b"key"), KeyHasher::random().hash(b"key"));
    }

    #[test]
    fn length_is_part_of_the_hash() {
        let hasher = KeyHasher::with_seed(7);
        let zeros = [0u8; 300];
        let mut seen: Vec<u64> = (0..=300).map(|n| hasher.hash(&zeros[..n])).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 301);
    }
}
