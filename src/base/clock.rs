//! Time as values: rooms take the time as an argument, and only the outermost code reads a clock.
//!
//! ```text
//! Now::read() -> Now { unix_us }      once per turn; expiry, LRU, idle times
//! TickClock::raw() -> Tick            once per command; durations for statistics
//! ```
//!
//! `unix_us` may jump when somebody sets the machine's clock. Not here: timers, sleeping, calendar text.

use std::time::{SystemTime, UNIX_EPOCH};

/// A reading of the machine's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Microseconds since 1970-01-01 UTC, negative before.
    pub unix_us: i64,
}

impl Now {
    /// The time at this moment. Costs 20 ns.
    #[inline]
    pub fn read() -> Now {
        let unix_us = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        };
        Now { unix_us }
    }
}

/// The machine's wall clock in milliseconds since 1970-01-01 UTC, for code with no clock at hand (start-up,
/// tools).
pub fn now_unix_ms() -> i64 {
    Now::read().unix_us.div_euclid(1_000)
}

/// A reading of a [`TickClock`], in units only that clock knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// A monotonic counter cheap enough to read around every command: 11 ns a reading (measured on a virtual
/// machine with an invariant TSC; `Instant::now` takes 23), and 1 ns to turn two readings into nanoseconds.
/// With one reading between commands, the end of one is the start of the next.
///
/// Clones share one calibration, and so do all clocks of the process.
#[derive(Clone, Debug)]
pub struct TickClock {
    source: quanta::Clock,
}

impl TickClock {
    /// Opens the processor's counter, or the system's monotonic clock where that cannot be trusted.
    ///
    /// The first call in a process compares the two clocks until the rate is known: usually 0.6 ms, 200 ms at
    /// worst on a machine too busy to measure. Make it at start-up, on a thread that nobody waits for if
    /// start-up must be prompt.
    pub fn new() -> TickClock {
        TickClock {
            source: quanta::Clock::new(),
        }
    }

    /// The counter now.
    #[inline]
    pub fn raw(&self) -> Tick {
        Tick(self.source.raw())
    }

    /// Nanoseconds from `start` to `end`, 0 when they are the wrong way round.
    #[inline]
    pub fn nanos_between(&self, start: Tick, end: Tick) -> u64 {
        self.source.delta_as_nanos(start.0, end.0)
    }
}

impl Default for TickClock {
    fn default() -> TickClock {
        TickClock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_time_is_the_wall_clock_s() {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        assert!((Now::read().unix_us - system.as_micros() as i64).abs() < 10_000_000);
    }

    #[test]
    fn ticks_measure_about_what_the_system_measures() {
        let (ticks, start) = (TickClock::new(), Instant::now());
        let first = ticks.raw();
        std::thread::sleep(Duration::from_millis(20));
        let last = ticks.raw();
        let system_ns = start.elapsed().as_nanos() as u64;
        let ticks_ns = ticks.nanos_between(first, last);
        assert!(
            (19_000_000..=system_ns + 1_000_000).contains(&ticks_ns),
            "{ticks_ns} against {system_ns}"
        );
        assert_eq!(ticks.nanos_between(last, first), 0);
    }
}
