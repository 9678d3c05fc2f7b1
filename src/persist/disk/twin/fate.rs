//! What becomes of changes that no sync has covered when the power goes.

use crate::base::rng::Rng;

/// A way it may go.
#[derive(Debug, Clone)]
pub struct Fate {
    names: u64,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    Nothing,
    All,
    /// Of each file some of its changes, the next torn.
    Chance(Rng),
}

impl Fate {
    /// Nothing that was not synced is left.
    pub fn worst() -> Fate {
        Fate {
            names: 0,
            data: Data::Nothing,
        }
    }

    /// As after the end of the process alone: everything is left.
    pub fn best() -> Fate {
        Fate {
            names: u64::MAX,
            data: Data::All,
        }
    }

    /// The changes of names in the bits of `names` are left, and of bytes as chance has it.
    pub fn chance(names: u64, seed: u64) -> Fate {
        Fate {
            names,
            data: Data::Chance(Rng::seeded(seed)),
        }
    }

    /// The changes of names in the bits of `names` are left, and of bytes all or nothing.
    pub fn names(names: u64, all_bytes: bool) -> Fate {
        let data = if all_bytes { Data::All } else { Data::Nothing };
        Fate { names, data }
    }

    /// Every way for so many changes of names, or some of them if there are many.
    pub fn all(pending: usize, seed: u64) -> Vec<Fate> {
        const EXHAUSTED: usize = 3;
        const TRIES: u64 = 8;
        let masks: Vec<u64> = if pending <= EXHAUSTED {
            (0..1 << pending).collect()
        } else {
            let mut rng = Rng::seeded(seed);
            let tries = (0..TRIES).map(|_| rng.below(u64::MAX));
            tries.chain([0, u64::MAX]).collect()
        };
        let of_mask = |&names: &u64| {
            let chances = (0..2).map(move |turn| {
                Fate::chance(
                    names,
                    (seed * 31).wrapping_add(names.wrapping_mul(7)).wrapping_add(turn),
                )
            });
            [Fate::names(names, false), Fate::names(names, true)]
                .into_iter()
                .chain(chances)
        };
        masks.iter().flat_map(of_mask).collect()
    }

    pub(super) fn keeps_name(&self, index: usize) -> bool {
        self.names >> (index % 64) & 1 == 1
    }

    /// How many of a file's changes are left.
    pub(super) fn kept(&mut self, pending: usize) -> usize {
        match &mut self.data {
            Data::Nothing => 0,
            Data::All => pending,
            Data::Chance(rng) => rng.below(pending as u64 + 1) as usize,
        }
    }

    /// How much is left of a write of so many bytes, and how many zeros stand for some of the rest.
    pub(super) fn torn(&mut self, bytes: usize) -> (usize, usize) {
        let Data::Chance(rng) = &mut self.data else {
            return (0, 0);
        };
        let part = rng.below(bytes as u64 + 1) as usize;
        let zeros = if rng.below(3) == 0 {
            rng.below((bytes - part) as u64 + 1)
        } else {
            0
        };
        (part, zeros as usize)
    }
}
