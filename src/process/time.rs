//! Unix milliseconds to the wall-clock fields a log line shows.
//!
//! The civil date is arithmetic; only the zone's distance from UTC is asked of the system, and that answer is kept for a
//! quarter of an hour, because no zone changes its offset anywhere else than on such a boundary. So a log line costs no
//! visit to the zone database, takes no lock a forked child could find locked, and a signal handler can use the offset
//! last seen.
//!
//! Not here: reading clocks, which is `base::clock`'s.

use super::sys;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

const WINDOW_SECONDS: i64 = 900;
const OFFSET_BITS: u32 = 20;
const OFFSET_BIAS: i64 = 1 << (OFFSET_BITS - 1);
const UNKNOWN: i64 = i64::MIN;

/// `window number << 20 | offset + 2^19`: one word, so that no reader sees half of an update.
static OFFSET_SEEN: AtomicI64 = AtomicI64::new(UNKNOWN);

/// A moment in the local zone. Written as `21 Nov 2026 14:00:41.321`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalTime {
    pub year: i64,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub millis: u16,
}

impl LocalTime {
    /// The fields of `unix_ms` in the zone of this process.
    pub fn at(unix_ms: i64) -> Self {
        Self::with_offset(unix_ms, offset_seconds(unix_ms.div_euclid(1000)))
    }

    /// The same without asking the system anything, for signal handlers: the offset last seen, or UTC.
    pub fn at_in_handler(unix_ms: i64) -> Self {
        Self::with_offset(unix_ms, offset_last_seen().unwrap_or(0))
    }

    fn with_offset(unix_ms: i64, offset_seconds: i64) -> Self {
        let seconds = unix_ms.div_euclid(1000) + offset_seconds;
        let (year, month, day) = civil_date(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        Self {
            year,
            month,
            day,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
            millis: unix_ms.rem_euclid(1000) as u16,
        }
    }

    /// `Jan` to `Dec`, whatever the locale: log readers parse these.
    pub fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        NAMES[usize::from(self.month - 1)]
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02} {} {} ", self.day, self.month_name(), self.year)?;
        write!(
            out,
            "{:02}:{:02}:{:02}.{:03}",
            self.hour, self.minute, self.second, self.millis
        )
    }
}

fn offset_seconds(unix_seconds: i64) -> i64 {
    let window = unix_seconds.div_euclid(WINDOW_SECONDS);
    let seen = OFFSET_SEEN.load(Ordering::Relaxed);
    if seen != UNKNOWN && seen >> OFFSET_BITS == window {
        return unpack_offset(seen);
    }
    let offset = sys::utc_offset_seconds(unix_seconds);
    OFFSET_SEEN.store(
        (window << OFFSET_BITS) | (offset + OFFSET_BIAS),
        Ordering::Relaxed,
    );
    offset
}

fn offset_last_seen() -> Option<i64> {
    match OFFSET_SEEN.load(Ordering::Relaxed) {
        UNKNOWN => None,
        seen => Some(unpack_offset(seen)),
    }
}

fn unpack_offset(seen: i64) -> i64 {
    (seen & ((1 << OFFSET_BITS) - 1)) - OFFSET_BIAS
}

/// Year, month, day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are made to start in March, so that the leap day is the last of its year and month lengths follow one line.
fn civil_date(unix_day: i64) -> (i64, u8, u8) {
    let day = unix_day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (
        era * 400 + year_of_era + i64::from(month <= 2),
        month as u8,
        day_of_month as u8,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_reads_as_in_a_log_line() {
        let text = LocalTime::with_offset(1_795_269_641_321, 0).to_string();
        assert_eq!(text, "21 Nov 2026 14:00:41.321");
        let east = LocalTime::with_offset(1_795_269_641_321, 5 * 3600 + 1800).to_string();
        assert_eq!(east, "21 Nov 2026 19:30:41.321");
    }

    #[test]
    fn the_offset_survives_its_packing() {
        for offset in [-12 * 3600, -1, 0, 1, 14 * 3600] {
            assert_eq!(
                unpack_offset((1_994_744 << OFFSET_BITS) | (offset + OFFSET_BIAS)),
                offset
            );
        }
    }

    #[test]
    fn a_second_look_uses_the_offset_seen() {
        let first = LocalTime::at(1_795_269_641_321);
        assert_eq!(first, LocalTime::at(1_795_269_641_321));
        assert_eq!(first, LocalTime::at_in_handler(1_795_269_641_321));
    }

    /// The calendar counted out year by year and month by month.
    fn civil_date_naive(mut day: i64) -> (i64, u8, u8) {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let mut year = 1970;
        while day >= 365 + i64::from(leap(year)) {
            day -= 365 + i64::from(leap(year));
            year += 1;
        }
        let mut month = 1;
        for length in [
            31,
            28 + i64::from(leap(year)),
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        (year, month, day as u8 + 1)
    }

    proptest! {
        #[test]
        fn the_date_agrees_with_counting_it_out(day in 0i64..200_000) {
            prop_assert_eq!(civil_date(day), civil_date_naive(day));
        }
    }
}
