//! What the server knows about its own running: counters, latencies, slow commands, memory, and the INFO
//! writer.
//!
//! | file | question it answers |
//! | --- | --- |
//! | `counters` | how much of everything has happened (INFO stats) |
//! | `rates` | how much of it per second just now |
//! | `commandstats`, `histogram` | how often, how long and how unevenly each command ran |
//! | `errorstats` | which error codes clients were sent |
//! | `slowlog` | which single commands were slow (SLOWLOG) |
//! | `latency`, `sparkline`, `latency_doctor` | when did the server stall, and why (LATENCY) |
//! | `persistence` | how saving and loading stand |
//! | `memory`, `jemalloc`, `cpu` | what the process costs its machine |
//! | `info` | how all of it is written down |
//!
//! [`Stats`] holds one of each for the executor, which feeds them.
//!
//! Imports nothing but `std` and small crates. Time is always an argument: no file here reads a clock, and
//! only `memory` and `cpu` ask the operating system anything. Nothing here knows what a key, a client or a
//! socket is.

pub mod commandstats;
pub mod compactor;
pub mod counters;
pub mod cpu;
pub mod errorstats;
pub mod histogram;
pub mod info;
mod jemalloc;
pub mod latency;
pub mod latency_doctor;
pub mod memory;
pub mod persistence;
pub mod rates;
pub mod slowlog;
pub mod sparkline;

use commandstats::CommandStats;
use counters::{Counters, Rates};
use errorstats::ErrorStats;
use latency::LatencyMonitor;
use memory::MemoryGauge;
use persistence::PersistenceStats;
use slowlog::{Client, SlowLog};

/// All statistics of one executor.
pub struct Stats {
    /// Running totals.
    pub counters: Counters,
    /// Calls, time and outcome per command.
    pub commands: CommandStats,
    /// Errors per code.
    pub errors: ErrorStats,
    /// Single slow commands.
    pub slowlog: SlowLog,
    /// Stalls by kind of work.
    pub latency: LatencyMonitor,
    /// Totals per second, just now.
    pub rates: Rates,
    /// What the process costs in memory.
    pub memory: MemoryGauge,
    /// How active defragmentation stands.
    pub defrag: DefragFacts,
    /// How saving and loading stand.
    pub persistence: PersistenceStats,
}

/// What INFO shows of active defragmentation while it works.
#[derive(Debug, Default, Clone, Copy)]
pub struct DefragFacts {
    /// Share of the time it takes, in percent; 0 when it rests.
    pub percent: u32,
    /// Since when it has been at work, in Unix microseconds.
    pub since_us: Option<i64>,
}

impl Stats {
    /// Nothing counted yet, for commands with the ids `0..command_count`.
    pub fn new(command_count: usize) -> Stats {
        Stats {
            counters: Counters::default(),
            commands: CommandStats::new(command_count),
            errors: ErrorStats::default(),
            slowlog: SlowLog::default(),
            latency: LatencyMonitor::default(),
            rates: Rates::default(),
            memory: MemoryGauge::default(),
            defrag: DefragFacts::default(),
            persistence: PersistenceStats::default(),
        }
    }

    /// Counts an error reply by its text, code first and without the `-`.
    pub fn record_error(&mut self, text: &[u8]) {
        self.counters.total_error_replies += 1;
        if let Some(overflow) = self.errors.record(errorstats::text_code(text)) {
            self.note_overflow(&overflow);
        }
    }

    #[cold]
    fn note_overflow(&mut self, overflow: &errorstats::Overflow) {
        self.counters.lazyfreed_objects += overflow.codes.len() as u64;
        let codes: Vec<_> = overflow
            .codes
            .iter()
            .map(|code| String::from_utf8_lossy(code))
            .collect();
        tracing::warn!(
            "Errorstats stopped adding new errors because the number of errors reached the limit ({}).",
            errorstats::KINDS_MAX
        );
        tracing::warn!("Current errors code list ({}).", codes.join(", "));
    }

    /// Puts a command into the slow log if it took long enough.
    pub fn note_slow_command<'a>(
        &mut self,
        now_unix_us: i64,
        spent_us: u64,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        addr: &str,
        name: &str,
    ) {
        let client = Client {
            addr: addr.as_bytes(),
            name: name.as_bytes(),
        };
        self.slowlog
            .push(now_unix_us / 1_000_000, spent_us, words, client);
    }

    /// Records a stall of `ms` if it reaches the latency monitor's threshold.
    #[inline]
    pub fn note_latency(&mut self, event: &'static str, now_unix_us: i64, ms: u64) {
        self.latency.record(event, ms, now_unix_us / 1_000_000);
    }

    /// Samples everything per second; for cron, every 100 ms.
    pub fn sample_rates(&mut self, now_unix_us: i64) {
        self.rates.sample(&self.counters, now_unix_us.max(0) as u64);
    }

    /// Reads the allocator's and the kernel's books; for cron, every 100 ms.
    pub fn sample_memory(&mut self) {
        self.memory.sample();
    }

    /// Applies `slowlog-log-slower-than`, `slowlog-max-len`, `latency-monitor-threshold` and
    /// `latency-tracking`.
    pub fn apply_config(
        &mut self,
        slowlog_us: i64,
        slowlog_max_len: i64,
        latency_threshold_ms: i64,
        latency_tracking: bool,
    ) {
        self.slowlog
            .set_limits(slowlog_us, usize::try_from(slowlog_max_len).unwrap_or(0));
        self.latency
            .set_threshold_ms(u64::try_from(latency_threshold_ms).unwrap_or(0));
        self.commands.set_latency_tracking(latency_tracking);
    }

    /// Starts counting anew (CONFIG RESETSTAT). The slow log and the latency monitor have resets of their
    /// own, and the peak of memory stays.
    pub fn reset(&mut self) {
        self.counters.reset();
        self.commands.reset();
        self.errors.reset();
        self.rates.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_count_by_the_first_word_of_their_text() {
        let mut stats = Stats::new(1);
        stats.record_error(b"WRONGTYPE Operation against");
        stats.record_error(b"ERR");
        assert_eq!(stats.counters.total_error_replies, 2);
        assert_eq!(
            (stats.errors.count(b"WRONGTYPE"), stats.errors.count(b"ERR")),
            (1, 1)
        );
    }

    #[test]
    fn a_reset_leaves_the_logs() {
        let mut stats = Stats::new(1);
        stats.apply_config(0, 10, 1, true);
        stats.note_slow_command(5_000_000, 7, [&b"get"[..]].into_iter(), "1.2.3.4:5", "");
        stats.note_latency("command", 5_000_000, 3);
        stats.counters.keyspace_hits = 4;
        stats.reset();
        assert_eq!(stats.counters.keyspace_hits, 0);
        assert_eq!((stats.slowlog.len(), stats.latency.events().len()), (1, 1));
    }
}
