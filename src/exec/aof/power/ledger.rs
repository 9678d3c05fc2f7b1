//! What there was and what was promised, by the length of the disk's record at that moment.

/// Where a promise is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the log.
    Log,
    /// In a snapshot.
    Snapshot,
}

struct Promise {
    kept: Kept,
    /// Length of the record.
    at: usize,
    /// That state, or a later one, is there from now on.
    state: usize,
}

/// The states of a run, and its promises.
#[derive(Default)]
pub struct Ledger {
    /// Digest, and length of the record when it came to be.
    states: Vec<(u64, usize)>,
    promises: Vec<Promise>,
}

impl Ledger {
    /// A state has come to be.
    pub fn note_state(&mut self, digest: u64, at: usize) {
        if self.states.last().is_none_or(|last| last.0 != digest) {
            self.states.push((digest, at));
        }
    }

    /// The present state.
    pub fn now(&self) -> usize {
        self.states.len() - 1
    }

    /// From now on that state is kept.
    pub fn promise(&mut self, kept: Kept, state: usize, at: usize) {
        self.promises.push(Promise { kept, at, state });
    }

    /// How many promises there were.
    pub fn promises(&self, kept: Kept) -> usize {
        self.promises
            .iter()
            .filter(|promise| promise.kept == kept)
            .count()
    }

    /// Whether `digest` may be found after a cut behind `cut` changes.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, kept: Kept, cut: usize, digest: u64) -> Result<(), String> {
        let made = self
            .promises
            .iter()
            .filter(|promise| promise.kept == kept && promise.at <= cut);
        let least = made.map(|promise| promise.state).max().unwrap_or(0);
        let fits =
            |(index, &(state, at)): (usize, &(u64, usize))| index >= least && at <= cut && state == digest;
        if self.states.iter().enumerate().any(fits) {
            return Ok(());
        }
        let found: Vec<usize> = (0..self.states.len())
            .filter(|&index| self.states[index].0 == digest)
            .collect();
        Err(format!("{kept:?}: found state {found:?}, promised was {least}"))
    }
}
