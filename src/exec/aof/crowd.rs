//! `appendfsync always`: when a sync waits a moment for those it is about to serve.
//!
//! ```text
//! at once    | sync: A         | sync: B         | sync: A         |      each waits for the other's sync, and its own
//! together   | sync: A | A back, B waits | sync: A and B | both back | sync: A and B |
//! ```
//!
//! Clients that write one command after the other fall into two groups, which take turns: whoever is answered when a
//! sync ends comes back just after the next has begun. So a sync waits for the clients that the last one has answered,
//! up to a quarter of what syncs take. Where they do not come back it is given up for a while, and on a disk that syncs
//! faster than clients answer it is not tried.
//!
//! Nothing here decides what is durable: it may be wrong about who comes back, and costs time then.

use std::time::{Duration, Instant};

/// A sync waits for at most this share of the time that the last one took.
const SHARE: u32 = 4;

/// Shorter waits are not worth waking anybody for.
const WAIT_MIN: Duration = Duration::from_micros(50);

const WAIT_MAX: Duration = Duration::from_millis(2);

/// Syncs that do not wait after one has waited in vain.
const GIVEN_UP_SYNCS: u32 = 16;

/// What a sync that is due should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Begin.
    Begin,
    /// Wait, and be woken after this time.
    WaitFor(Duration),
    /// Wait on: the time is not over.
    WaitOn,
}

/// Who writes along with whom.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Clients that have written since the last sync began.
    here: u32,
    /// How many of them the last sync serves.
    back: u32,
    /// Clients the last sync serves.
    last: u32,
    /// Until when the sync waits, and who was here when it began to.
    waiting: Option<(Instant, u32)>,
    given_up: u32,
}

impl Crowd {
    /// A client writes that has not since the last sync began; `returns`: it is one that sync serves.
    pub fn join(&mut self, returns: bool) {
        self.here += 1;
        self.back += u32::from(returns);
    }

    /// A sync begins, for all that are here.
    pub fn begin_sync(&mut self) {
        if let Some((_, before)) = self.waiting.take()
            && (self.here - before) * 2 < self.last
            && self.back < self.last
        {
            self.given_up = GIVEN_UP_SYNCS;
        }
        self.given_up = self.given_up.saturating_sub(1);
        self.last = std::mem::take(&mut self.here);
        self.back = 0;
    }

    /// Whether a sync that is due begins, when the last one took `took`.
    pub fn advise(&mut self, took: Duration, now: Instant) -> Advice {
        if self.back >= self.last || self.given_up > 0 {
            return Advice::Begin;
        }
        match self.waiting {
            Some((until, _)) if now < until => Advice::WaitOn,
            Some(_) => Advice::Begin,
            None => self.wait((took / SHARE).min(WAIT_MAX), now),
        }
    }

    fn wait(&mut self, time: Duration, now: Instant) -> Advice {
        if time < WAIT_MIN {
            return Advice::Begin;
        }
        self.waiting = Some((now + time, self.here));
        Advice::WaitFor(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(2);

    fn joined(returning: u32, others: u32) -> Crowd {
        let mut crowd = Crowd::default();
        (0..2).for_each(|_| crowd.join(false));
        crowd.begin_sync();
        (0..returning).for_each(|_| crowd.join(true));
        (0..others).for_each(|_| crowd.join(false));
        crowd
    }

    #[test]
    fn a_sync_waits_until_those_are_back_whom_the_last_one_served() {
        let (mut crowd, now) = (joined(0, 1), Instant::now());
        assert_eq!(crowd.advise(TOOK, now), Advice::WaitFor(TOOK / 4));
        crowd.join(true);
        assert_eq!(crowd.advise(TOOK, now), Advice::WaitOn);
        crowd.join(true);
        assert_eq!(crowd.advise(TOOK, now), Advice::Begin);
    }

    #[test]
    fn one_who_writes_alone_waits_for_nobody() {
        let mut crowd = Crowd::default();
        crowd.join(false);
        assert_eq!(crowd.advise(TOOK, Instant::now()), Advice::Begin);
        crowd.begin_sync();
        crowd.join(true);
        assert_eq!(crowd.advise(TOOK, Instant::now()), Advice::Begin);
    }

    #[test]
    fn waiting_ends_in_time_and_is_given_up_when_nobody_comes() {
        let (mut crowd, now) = (joined(0, 1), Instant::now());
        assert_eq!(crowd.advise(TOOK, now), Advice::WaitFor(TOOK / 4));
        assert_eq!(crowd.advise(TOOK, now + TOOK), Advice::Begin);
        crowd.begin_sync();
        for _ in 1..GIVEN_UP_SYNCS {
            crowd.join(false);
            assert_eq!(crowd.advise(TOOK, now), Advice::Begin);
            crowd.begin_sync();
        }
        crowd.join(false);
        assert_eq!(crowd.advise(TOOK, now), Advice::WaitFor(TOOK / 4));
    }

    #[test]
    fn a_fast_disk_is_not_waited_for() {
        let took = WAIT_MIN * (SHARE - 1);
        assert_eq!(joined(0, 1).advise(took, Instant::now()), Advice::Begin);
    }
}
