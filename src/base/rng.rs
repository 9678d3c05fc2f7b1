//! Randomness as a value: whoever needs chance takes `&mut Rng`, so a seed replays every choice.
//!
//! The generator is xoshiro256++ (Blackman and Vigna, 2018; public domain): 32 bytes of state, period 2^256 -
//! 1. It is not for secrets: ids that must not be guessed come from the operating system.
//!
//! Cost: about a nanosecond per number.

use std::time::{SystemTime, UNIX_EPOCH};

/// A seeded generator of random numbers. Clones continue identically.
#[derive(Clone, Debug)]
pub struct Rng {
    /// Never all zeros: that state would only repeat itself.
    state: [u64; 4],
}

impl Rng {
    /// The generator a seed stands for; equal seeds give equal sequences, on every machine.
    pub fn seeded(seed: u64) -> Rng {
        let mut seed = seed;
        // Four successive outputs of a bijection are never all zero.
        Rng {
            state: std::array::from_fn(|_| split_mix(&mut seed)),
        }
    }

    /// A generator nobody can foretell, seeded by the operating system (by the time of day should that fail).
    pub fn from_entropy() -> Rng {
        let from_clock = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_nanos() as u64)
        };
        Rng::seeded(getrandom::u64().unwrap_or_else(|_| from_clock()))
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in `0..bound`, each equally likely; 0 when `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire, "Fast random integer generation in an interval" (2019): the high half of a product is the
        // answer, and the low half shows the few draws that would favour some answers.
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let biased = bound.wrapping_neg() % bound;
            while (product as u64) < biased {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// An index into something of `len` elements, each equally likely; 0 when it is empty.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number in `[0, 1)`, a multiple of 2^-53.
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Puts `items` in a random order, each equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// SplitMix64: turns any seed, zero included, into well-mixed state.
fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // From the reference implementation with state 1, 2, 3, 4.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [41943041, 58720359, 3588806011781223, 3591011842654386]);
        let mut seed = 1234567;
        assert_eq!(split_mix(&mut seed), 6457827717110365317);
        assert_eq!(split_mix(&mut seed), 3203168211198807973);
    }

    #[test]
    fn equal_seeds_replay_and_different_seeds_differ() {
        let (mut a, mut b, mut c) = (Rng::seeded(7), Rng::seeded(7), Rng::seeded(8));
        let drawn: Vec<u64> = (0..100).map(|_| a.next_u64()).collect();
        assert!(drawn.iter().all(|&value| value == b.next_u64()));
        assert!(drawn.iter().any(|&value| value != c.next_u64()));
        assert_ne!(Rng::from_entropy().next_u64(), Rng::from_entropy().next_u64());
    }

    #[test]
    fn below_reaches_every_value_about_equally() {
        let mut rng = Rng::seeded(1);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        assert!((0..1000).all(|_| rng.below(u64::MAX / 2 + 2) < u64::MAX / 2 + 2));
    }

    #[test]
    fn unit_floats_stay_below_one_and_average_a_half() {
        let mut rng = Rng::seeded(2);
        let drawn: Vec<f64> = (0..10_000).map(|_| rng.unit_f64()).collect();
        assert!(drawn.iter().all(|value| (0.0..1.0).contains(value)));
        assert!((drawn.iter().sum::<f64>() / 10_000.0 - 0.5).abs() < 0.02);
    }

    #[test]
    fn shuffle_keeps_the_items_and_fill_reaches_the_tail() {
        let mut rng = Rng::seeded(3);
        let mut items: Vec<u32> = (0..100).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        let mut bytes = [0u8; 4096 + 5];
        rng.fill(&mut bytes);
        assert_ne!(bytes[4096..], [0; 5]);
    }
}
