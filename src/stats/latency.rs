//! The latency monitor: when which kind of work took longer than `latency-monitor-threshold`.
//!
//! ```text
//! "command" -> 160 samples, oldest first: (12:00:01, 210 ms) (12:00:07, 305 ms) ...  worst ever: 900 ms
//! ```
//!
//! I1  A series has at most one sample per second, the worst of that second, and at least one sample.
//! I2  Its samples stand in the order they came.
//! Cost: below the threshold one compare; a sample is O(log events). A full series is 2.5 KiB.
//! Limits: milliseconds; event names are the server's own, so their number is bounded by the code.
//! Not here: the doctor's advice (`latency_doctor`) and histograms per command (`commandstats`).

use super::sparkline::{self, Column};
use std::collections::{BTreeMap, VecDeque};

/// Samples kept per event.
pub const SAMPLES_MAX: usize = 160;

const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: usize = 4;

/// The worst latency met in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since 1970.
    pub unix_s: i64,
    /// How long it took.
    pub latency_ms: u64,
}

/// What happened to one event.
#[derive(Debug, Default, Clone)]
pub struct Series {
    samples: VecDeque<Sample>,
    max_ms: u64,
}

/// One row of LATENCY LATEST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// The event's name.
    pub event: &'static str,
    /// Its newest sample.
    pub sample: Sample,
    /// Its worst latency since it was last reset.
    pub max_ms: u64,
}

/// The series of all events.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    threshold_ms: u64,
    events: BTreeMap<&'static str, Series>,
}

impl LatencyMonitor {
    /// Applies `latency-monitor-threshold`; 0 switches recording off and keeps what there is.
    pub fn set_threshold_ms(&mut self, threshold_ms: u64) {
        self.threshold_ms = threshold_ms;
    }

    /// The threshold in force.
    pub fn threshold_ms(&self) -> u64 {
        self.threshold_ms
    }

    /// Whether this latency reaches the threshold; for callers that would have to work for `record`'s
    /// arguments.
    #[inline]
    pub fn is_spike(&self, latency_ms: u64) -> bool {
        self.threshold_ms != 0 && latency_ms >= self.threshold_ms
    }

    /// Adds a sample if it reaches the threshold.
    #[inline]
    pub fn record(&mut self, event: &'static str, latency_ms: u64, now_unix_s: i64) {
        if self.is_spike(latency_ms) {
            self.events.entry(event).or_default().push(Sample {
                unix_s: now_unix_s,
                latency_ms,
            });
        }
    }

    /// The series of an event; names are exact.
    pub fn series(&self, event: &[u8]) -> Option<&Series> {
        self.events.get(std::str::from_utf8(event).ok()?)
    }

    /// All events and their series, by name.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.events.iter().map(|(event, series)| (*event, series))
    }

    /// LATENCY HISTORY: the samples of an event, oldest first; none for an unknown one.
    pub fn history(&self, event: &[u8]) -> impl Iterator<Item = Sample> {
        self.series(event).into_iter().flat_map(Series::samples)
    }

    /// LATENCY LATEST: the newest sample of every event, by name.
    pub fn latest(&self) -> impl Iterator<Item = Latest> {
        self.events().filter_map(|(event, series)| {
            Some(Latest {
                event,
                sample: *series.samples.back()?,
                max_ms: series.max_ms,
            })
        })
    }

    /// LATENCY RESET of one event, in any case: whether there was one. O(events).
    pub fn reset_event(&mut self, event: &[u8]) -> bool {
        let before = self.events.len();
        self.events
            .retain(|name, _| !name.as_bytes().eq_ignore_ascii_case(event));
        self.events.len() != before
    }

    /// LATENCY RESET of everything: how many events there were.
    pub fn reset(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }

    /// LATENCY GRAPH: a heading and the graph of an event; None when it has no samples.
    pub fn graph(&self, event: &[u8], now_unix_s: i64) -> Option<String> {
        let (name, series) = self.events.get_key_value(std::str::from_utf8(event).ok()?)?;
        let facts = series.facts(now_unix_s);
        let heading = format!(
            "{name} - high {} ms, low {} ms (all time high {} ms)\n",
            facts.high_ms, facts.low_ms, series.max_ms
        );
        let columns: Vec<Column> = series
            .samples()
            .map(|sample| column(sample, now_unix_s))
            .collect();
        let graph = sparkline::render(&columns, GRAPH_COLUMNS, GRAPH_ROWS);
        Some(heading + &"-".repeat(GRAPH_COLUMNS) + "\n" + &graph)
    }
}

/// A series summed up for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// Samples there are.
    pub count: u64,
    /// The mildest of them.
    pub low_ms: u64,
    /// The worst of them.
    pub high_ms: u64,
    /// Their mean, rounded down.
    pub mean_ms: u64,
    /// Mean distance from the mean, rounded down.
    pub deviation_ms: u64,
    /// Seconds from one to the next, on average.
    pub period_s: f64,
}

impl Series {
    /// Samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> {
        self.samples.iter().copied()
    }

    /// Worst latency since the event was last reset, even if its sample is long gone.
    pub fn max_ms(&self) -> u64 {
        self.max_ms
    }

    /// Sums up the samples. O(samples).
    pub fn facts(&self, now_unix_s: i64) -> Facts {
        let count = self.samples.len().max(1) as u64;
        let latencies = || self.samples().map(|sample| sample.latency_ms);
        let mean_ms = mean(latencies(), count);
        let oldest_unix_s = self
            .samples()
            .map(|sample| sample.unix_s)
            .min()
            .unwrap_or(now_unix_s);
        Facts {
            count,
            low_ms: latencies().min().unwrap_or(0),
            high_ms: latencies().max().unwrap_or(0),
            mean_ms,
            deviation_ms: mean(latencies().map(|ms| ms.abs_diff(mean_ms)), count),
            period_s: now_unix_s.saturating_sub(oldest_unix_s).max(1) as f64 / count as f64,
        }
    }

    fn push(&mut self, sample: Sample) {
        self.max_ms = self.max_ms.max(sample.latency_ms);
        if let Some(last) = self.samples.back_mut()
            && last.unix_s == sample.unix_s
        {
            last.latency_ms = last.latency_ms.max(sample.latency_ms);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

fn mean(values: impl Iterator<Item = u64>, count: u64) -> u64 {
    let sum: u128 = values.map(u128::from).sum();
    (sum / u128::from(count)) as u64
}

fn column(sample: Sample, now_unix_s: i64) -> Column {
    Column {
        value: sample.latency_ms,
        label: age(now_unix_s.saturating_sub(sample.unix_s)),
    }
}

/// How long ago, in the largest whole unit: `59s`, `3m`, `5h`, `2d`.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn monitor(samples: &[(i64, u64)]) -> LatencyMonitor {
        let mut monitor = LatencyMonitor {
            threshold_ms: 1,
            ..LatencyMonitor::default()
        };
        samples
            .iter()
            .for_each(|&(unix_s, ms)| monitor.record("command", ms, unix_s));
        monitor
    }

    fn history(monitor: &LatencyMonitor) -> Vec<(i64, u64)> {
        monitor
            .history(b"command")
            .map(|sample| (sample.unix_s, sample.latency_ms))
            .collect()
    }

    #[test]
    fn only_latencies_from_the_threshold_on_are_kept() {
        let mut monitor = LatencyMonitor::default();
        monitor.record("command", u64::MAX, 1);
        assert_eq!(monitor.events().len(), 0);
        monitor.set_threshold_ms(100);
        monitor.record("command", 99, 1);
        monitor.record("command", 100, 2);
        assert_eq!(history(&monitor), [(2, 100)]);
    }

    #[test]
    fn samples_of_one_second_merge_into_the_worst() {
        assert_eq!(
            history(&monitor(&[(1, 5), (1, 9), (1, 7), (2, 3)])),
            [(1, 9), (2, 3)]
        );
    }

    #[test]
    fn the_worst_ever_outlives_its_sample() {
        let mut samples: Vec<(i64, u64)> = (1..=200).map(|second| (second, 5)).collect();
        samples[0].1 = 900;
        let monitor = monitor(&samples);
        assert_eq!(history(&monitor).len(), SAMPLES_MAX);
        let sample = Sample {
            unix_s: 200,
            latency_ms: 5,
        };
        assert_eq!(
            monitor.latest().collect::<Vec<_>>(),
            [Latest {
                event: "command",
                sample,
                max_ms: 900
            }]
        );
    }

    #[test]
    fn reset_takes_names_in_any_case_but_history_does_not() {
        let mut monitor = monitor(&[(1, 5)]);
        monitor.record("fork", 5, 1);
        assert_eq!(monitor.history(b"COMMAND").count(), 0);
        assert!(!monitor.reset_event(b"nope"));
        assert!(monitor.reset_event(b"COMMAND"));
        assert_eq!(monitor.reset(), 1);
        assert_eq!(monitor.latest().count(), 0);
    }

    #[test]
    fn the_graph_has_a_heading_and_labels_by_age() {
        let monitor = monitor(&[(96, 10), (97, 50), (98, 20)]);
        let graph = monitor.graph(b"command", 100).expect("there are samples");
        let (heading, rest) = graph.split_once('\n').expect("there are lines");
        assert_eq!(heading, "command - high 50 ms, low 10 ms (all time high 50 ms)");
        assert_eq!(rest, "-".repeat(80) + "\n # \n | \n |_\n_||\n   \n432\nsss\n");
        assert_eq!(monitor.graph(b"nope", 100), None);
        assert_eq!(monitor.graph(b"\xff", 100), None);
    }

    #[test]
    fn ages_use_the_largest_whole_unit() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 200_000].map(age);
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "2d"]);
    }

    #[test]
    fn facts_are_those_the_doctor_prints() {
        let monitor = monitor(&[(96, 10), (97, 50), (98, 20)]);
        let facts = monitor.series(b"command").expect("there are samples").facts(100);
        assert_eq!((facts.count, facts.low_ms, facts.high_ms), (3, 10, 50));
        assert_eq!((facts.mean_ms, facts.deviation_ms), (26, 15));
        assert_eq!(format!("{:.2}", facts.period_s), "1.33");
    }

    proptest! {
        #[test]
        fn a_series_agrees_with_a_plain_list(
            mut samples in proptest::collection::vec((0i64..3, 1u64..1000), 1..400),
        ) {
            let mut second = 1;
            for sample in &mut samples {
                second += sample.0;
                sample.0 = second;
            }
            let mut worst: BTreeMap<i64, u64> = BTreeMap::new();
            for &(second, ms) in &samples {
                let slot = worst.entry(second).or_default();
                *slot = ms.max(*slot);
            }
            let expected: Vec<(i64, u64)> = worst.into_iter().collect();
            let monitor = monitor(&samples);
            prop_assert_eq!(history(&monitor), &expected[expected.len().saturating_sub(SAMPLES_MAX)..]);
            let max = samples.iter().map(|sample| sample.1).max();
            prop_assert_eq!(monitor.series(b"command").map(Series::max_ms), max);
        }
    }
}
