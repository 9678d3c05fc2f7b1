//! Time as values: rooms take the time as an argument, and only the outermost code reads a clock.
//!
//! ```text
//! Clock::now() -> Now { unix_us, monotonic_ns }     once per batch; expiry, LRU, idle times
//! TickClock::raw() -> Tick                          once per command; durations for statistics
//! ```
//!
//! `unix_us` may jump when somebody sets the machine's clock; `monotonic_ns` never goes back and counts from
//! an arbitrary start. Not here: timers, sleeping, calendar text.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Microseconds since 1970-01-01 UTC, negative before.
    pub unix_us: i64,
    /// Nanoseconds since the clock was made.
    pub monotonic_ns: u64,
}

impl Now {
    /// Milliseconds since 1970-01-01 UTC, the unit of expiry times.
    #[inline]
    pub fn unix_ms(self) -> i64 {
        self.unix_us.div_euclid(1_000)
    }

    /// Seconds since 1970-01-01 UTC.
    #[inline]
    pub fn unix_s(self) -> i64 {
        self.unix_us.div_euclid(1_000_000)
    }
}

/// Where the time comes from.
pub trait Clock {
    /// The time at this moment.
    fn now(&self) -> Now;
}

/// The machine's clocks. A reading costs 45 ns, half of it for each clock.
#[derive(Clone, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub fn new() -> SystemClock {
        SystemClock {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            unix_us: unix_us(SystemTime::now()),
            monotonic_ns: self.origin.elapsed().as_nanos() as u64,
        }
    }
}

/// The machine's wall clock in milliseconds since 1970-01-01 UTC, for code with no clock at hand (start-up,
/// tools).
pub fn now_unix_ms() -> i64 {
    unix_us(SystemTime::now()).div_euclid(1_000)
}

/// Microseconds since 1970-01-01 UTC, negative before.
pub fn unix_us(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}

/// A clock set by hand. Clones share the time, so a test keeps one and gives the other away.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    shared: Arc<ManualTime>,
}

#[derive(Debug, Default)]
struct ManualTime {
    unix_us: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// A clock standing at `unix_ms`, its monotonic time at zero.
    pub fn at_unix_ms(unix_ms: i64) -> ManualClock {
        let clock = ManualClock::default();
        clock.set_unix_ms(unix_ms);
        clock
    }

    /// Sets the wall clock only, as somebody setting the machine's clock would.
    pub fn set_unix_ms(&self, unix_ms: i64) {
        self.shared.unix_us.store(unix_ms.saturating_mul(1_000), Relaxed);
    }

    /// Lets time pass on both clocks.
    pub fn advance_ms(&self, ms: u64) {
        self.advance_us(ms * 1_000);
    }

    /// Lets time pass on both clocks.
    pub fn advance_us(&self, us: u64) {
        self.shared.unix_us.fetch_add(us as i64, Relaxed);
        self.shared.monotonic_ns.fetch_add(us * 1_000, Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now {
            unix_us: self.shared.unix_us.load(Relaxed),
            monotonic_ns: self.shared.monotonic_ns.load(Relaxed),
        }
    }
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
    use std::time::Duration;

    #[test]
    fn the_system_clock_moves_forward_and_agrees_with_the_wall() {
        let clock = SystemClock::new();
        let (first, second) = (clock.now(), clock.now());
        assert!(second.monotonic_ns >= first.monotonic_ns);
        assert!((now_unix_ms() - first.unix_ms()).abs() < 10_000);
        assert_eq!(first.unix_s(), first.unix_ms() / 1_000);
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_is_shared_by_its_clones() {
        let clock = ManualClock::at_unix_ms(1_000);
        let given_away: Box<dyn Clock + Send> = Box::new(clock.clone());
        clock.advance_us(1_500);
        assert_eq!(
            given_away.now(),
            Now {
                unix_us: 1_001_500,
                monotonic_ns: 1_500_000
            }
        );
        assert_eq!(given_away.now().unix_ms(), 1_001);
        clock.set_unix_ms(5);
        clock.advance_ms(1);
        assert_eq!(
            given_away.now(),
            Now {
                unix_us: 6_000,
                monotonic_ns: 2_500_000
            }
        );
    }

    #[test]
    fn times_before_1970_are_negative_and_round_down() {
        let before = UNIX_EPOCH - Duration::from_micros(1);
        assert_eq!(unix_us(before), -1);
        assert_eq!(
            Now {
                unix_us: -1,
                monotonic_ns: 0
            }
            .unix_ms(),
            -1
        );
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
