//! The most that was needed lately, without a timer.
//!
//! ```text
//!   window   | previous | present |         told: the larger of the two,
//!   peaks    |    40    |   12    | now     nothing once both have passed
//! ```
//!
//! Buffers belong to a pool that all connections of a thread share, so no connection holds one between two commands. What
//! CLIENT LIST tells of a client's buffers is therefore what the client has needed lately.
//!
//! Cost: a comparison or two for each note. Not here: memory that is held (the [`Outlet`](super::Outlet) knows it).

/// A peak over one to two windows of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecentPeak {
    /// When the present window began, Unix milliseconds.
    since_ms: i64,
    present: usize,
    previous: usize,
}

impl RecentPeak {
    /// Notes that `bytes` were needed.
    #[inline]
    pub fn note(&mut self, bytes: usize, now_ms: i64, window_ms: i64) {
        let age_ms = now_ms - self.since_ms;
        if !(0..window_ms).contains(&age_ms) {
            let follows = (0..window_ms.saturating_mul(2)).contains(&age_ms);
            self.previous = if follows { self.present } else { 0 };
            (self.since_ms, self.present) = (now_ms, 0);
        }
        self.present = self.present.max(bytes);
    }

    /// The peak of the window that `now_ms` is in and the one before.
    pub fn get(self, now_ms: i64, window_ms: i64) -> usize {
        let age_ms = now_ms - self.since_ms;
        if age_ms < window_ms {
            self.present.max(self.previous)
        } else if age_ms < window_ms.saturating_mul(2) {
            self.present
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_lasts_through_the_next_window_and_no_longer() {
        let mut peak = RecentPeak::default();
        peak.note(40, 1_000, 100);
        peak.note(12, 1_050, 100);
        assert_eq!(
            [1_099, 1_150, 1_200].map(|now_ms| peak.get(now_ms, 100)),
            [40, 40, 0]
        );
        peak.note(12, 1_150, 100);
        assert_eq!(
            [1_200, 1_250, 1_400].map(|now_ms| peak.get(now_ms, 100)),
            [40, 12, 0]
        );
        peak.note(7, 1_260, 100);
        assert_eq!(peak.get(1_260, 100), 12);
    }

    #[test]
    fn an_endless_window_forgets_nothing_and_a_clock_set_back_does_no_harm() {
        let mut peak = RecentPeak::default();
        peak.note(40, 1_000, i64::MAX);
        peak.note(12, 9_000_000, i64::MAX);
        assert_eq!(peak.get(99_000_000, i64::MAX), 40);
        peak.note(5, 10, 100);
        assert_eq!(peak.get(10, 100), 40);
    }
}
