//! Rates over the last moments: `instantaneous_ops_per_sec` and its kin.
//!
//! A meter keeps sixteen quotients of growth, one per cron call (every 100 ms), and answers their mean; so a
//! rate fades in and out over 1.6 s. Until sixteen samples are in, the missing ones count as zero.

/// Samples a meter averages over.
pub const SAMPLES: usize = 16;

/// Growth of one running total per growth of another.
#[derive(Debug, Default, Clone)]
pub struct RateMeter {
    last: Option<(u64, u64)>,
    samples: [u64; SAMPLES],
    next: usize,
}

impl RateMeter {
    /// Takes a sample: `total` now, measured against `base` now, times `factor`. With `base` in microseconds
    /// a factor of 1_000_000 gives "per second". The first call only sets the mark to measure from.
    pub fn sample(&mut self, total: u64, base: u64, factor: u64) {
        if let Some((last_total, last_base)) = self.last {
            let grown = u128::from(total.saturating_sub(last_total)) * u128::from(factor);
            let quotient = grown
                .checked_div(u128::from(base.saturating_sub(last_base)))
                .unwrap_or(0);
            self.samples[self.next] = u64::try_from(quotient).unwrap_or(u64::MAX);
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((total, base));
    }

    /// Mean of the samples.
    pub fn rate(&self) -> u64 {
        let sum: u128 = self.samples.iter().copied().map(u128::from).sum();
        (sum / SAMPLES as u128) as u64
    }

    /// The mean in units of 1024, as the kbps fields show it.
    pub fn kilo_rate(&self) -> f64 {
        self.rate() as f64 / 1024.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND: u64 = 1_000_000;

    #[test]
    fn a_steady_flow_reads_as_its_rate() {
        let mut meter = RateMeter::default();
        (0..=16).for_each(|tick| meter.sample(tick * 50, tick * 100_000, PER_SECOND));
        assert_eq!(meter.rate(), 500);
    }

    #[test]
    fn missing_samples_count_as_zero() {
        let mut meter = RateMeter::default();
        meter.sample(1_000, 5, PER_SECOND);
        assert_eq!(meter.rate(), 0);
        meter.sample(1_160, 1_000_005, PER_SECOND);
        assert_eq!(meter.rate(), 10);
    }

    #[test]
    fn old_samples_fade_out() {
        let mut meter = RateMeter::default();
        meter.sample(0, 0, PER_SECOND);
        meter.sample(1 << 20, 1_000_000, PER_SECOND);
        assert_eq!(meter.kilo_rate(), 64.0);
        (2..18).for_each(|tick| meter.sample(1 << 20, tick * 1_000_000, PER_SECOND));
        assert_eq!(meter.rate(), 0);
    }

    #[test]
    fn a_base_that_stands_still_or_a_total_that_falls_is_no_growth() {
        let mut meter = RateMeter::default();
        meter.sample(10, 7, 1);
        meter.sample(20, 7, 1);
        meter.sample(0, 9, 1);
        assert_eq!(meter.rate(), 0);
        meter.sample(u64::MAX, 10, u64::MAX);
        assert_eq!(meter.rate(), u64::MAX / 16);
    }
}
