//! Calls, time and outcome per command: INFO commandstats and latencystats, LATENCY HISTOGRAM.
//!
//! Rows are indexed by the dense id the command table gives every command and subcommand; the names come back
//! in from there when something is printed. A row is 40 bytes; its histogram appears with the first call
//! recorded.
//!
//! Cost: record is two adds and the histogram's few nanoseconds.
//! Not here: names, and the decision which command a call counts for (a blocked one counts when it is
//! served).

use super::histogram::Histogram;
use super::info::InfoWriter;
use std::fmt::Write as _;

/// Position of a command in the command table.
pub type CommandId = u16;

/// What is known of one command.
#[derive(Debug, Default, Clone)]
pub struct Row {
    /// Calls carried out.
    pub calls: u64,
    /// Time spent in them, in nanoseconds.
    pub busy_ns: u64,
    /// Calls turned away before running: wrong arity, no permission, out of memory.
    pub rejected_calls: u64,
    /// Calls that ran and answered an error.
    pub failed_calls: u64,
    /// Spread of their durations; absent while untracked or never called.
    pub histogram: Option<Box<Histogram>>,
}

/// One row per command.
#[derive(Debug)]
pub struct CommandStats {
    rows: Vec<Row>,
    latency_tracking: bool,
}

impl CommandStats {
    /// Rows for the ids `0..command_count`, with `latency-tracking` on.
    pub fn new(command_count: usize) -> Self {
        Self {
            rows: vec![Row::default(); command_count],
            latency_tracking: true,
        }
    }

    /// Counts a call that ran for `duration_ns`. Panics on an id beyond the table, as do all methods taking
    /// one.
    #[inline]
    pub fn record(&mut self, id: CommandId, duration_ns: u64) {
        let row = &mut self.rows[usize::from(id)];
        row.calls += 1;
        row.busy_ns += duration_ns;
        if self.latency_tracking {
            row.histogram.get_or_insert_default().record(duration_ns);
        }
    }

    /// Counts a call that was turned away before it ran.
    pub fn record_rejected(&mut self, id: CommandId) {
        self.rows[usize::from(id)].rejected_calls += 1;
    }

    /// Counts that a call, recorded on its own, answered an error.
    pub fn record_failed(&mut self, id: CommandId) {
        self.rows[usize::from(id)].failed_calls += 1;
    }

    /// The row of a command.
    pub fn row(&self, id: CommandId) -> &Row {
        &self.rows[usize::from(id)]
    }

    /// Applies `latency-tracking`. Histograms so far are kept, but not shown while it is off.
    pub fn set_latency_tracking(&mut self, on: bool) {
        self.latency_tracking = on;
    }

    /// Forgets everything (CONFIG RESETSTAT), the memory of histograms included.
    pub fn reset(&mut self) {
        self.rows.fill(Row::default());
    }

    /// The LATENCY HISTOGRAM answer for a command: calls and `(us, calls up to it)`; None when it has no
    /// histogram.
    pub fn latency_histogram(&self, id: CommandId) -> Option<(u64, Vec<(u64, u64)>)> {
        let histogram = self.row(id).histogram.as_deref()?;
        Some((histogram.total(), histogram.cumulative_usec()))
    }

    /// Writes `cmdstat_...` lines for the commands that were ever called. `names` gives each id's full name,
    /// `client|list` for a subcommand, in the order wanted.
    pub fn write_commandstats<'a>(
        &self,
        info: &mut InfoWriter,
        names: impl IntoIterator<Item = (CommandId, &'a str)>,
    ) {
        for (id, name) in names {
            let row = self.row(id);
            if row.is_touched() {
                info.named_field("cmdstat_", name.as_bytes(), row.commandstat());
            }
        }
    }

    /// Writes `latency_percentiles_usec_...` lines for the commands with a histogram; nothing while tracking
    /// is off. `percentiles` are `latency-tracking-info-percentiles`, 0 to 100.
    pub fn write_latencystats<'a>(
        &self,
        info: &mut InfoWriter,
        names: impl IntoIterator<Item = (CommandId, &'a str)>,
        percentiles: &[f64],
    ) {
        if !self.latency_tracking {
            return;
        }
        for (id, name) in names {
            if let Some(histogram) = &self.row(id).histogram {
                let value = percentiles_text(histogram, percentiles);
                info.named_field("latency_percentiles_usec_", name.as_bytes(), value);
            }
        }
    }
}

impl Row {
    /// Time spent, in whole microseconds.
    pub fn busy_us(&self) -> u64 {
        self.busy_ns / 1000
    }

    fn is_touched(&self) -> bool {
        self.calls != 0 || self.rejected_calls != 0 || self.failed_calls != 0
    }

    fn commandstat(&self) -> String {
        format!(
            "calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            self.calls,
            self.busy_us(),
            self.busy_us() as f64 / self.calls.max(1) as f64,
            self.rejected_calls,
            self.failed_calls
        )
    }
}

fn percentiles_text(histogram: &Histogram, percentiles: &[f64]) -> String {
    let mut text = String::new();
    for (i, &percentile) in percentiles.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let usec = histogram.percentile_ns(percentile) as f64 / 1000.0;
        write!(text, "{comma}p{}={usec:.3}", percentile_label(percentile)).expect("a String takes any text");
    }
    text
}

/// Six decimals without trailing zeros: `50`, `99.9`.
fn percentile_label(percentile: f64) -> String {
    let fixed = format!("{percentile:.6}");
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(CommandId, &str); 3] = [(0, "get"), (1, "client|list"), (2, "set")];

    fn commandstats(stats: &CommandStats) -> String {
        let mut info = InfoWriter::new();
        stats.write_commandstats(&mut info, NAMES);
        String::from_utf8(info.finish()).expect("only ASCII was written")
    }

    fn latencystats(stats: &CommandStats, percentiles: &[f64]) -> String {
        let mut info = InfoWriter::new();
        stats.write_latencystats(&mut info, NAMES, percentiles);
        String::from_utf8(info.finish()).expect("only ASCII was written")
    }

    #[test]
    fn untouched_commands_are_not_listed() {
        let mut stats = CommandStats::new(3);
        assert_eq!(commandstats(&stats), "");
        stats.record(0, 1_500);
        stats.record(0, 1_500);
        stats.record_rejected(1);
        let expected = "cmdstat_get:calls=2,usec=3,usec_per_call=1.50,rejected_calls=0,failed_calls=0\r\n\
                        cmdstat_client|list:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n";
        assert_eq!(commandstats(&stats), expected);
    }

    #[test]
    fn a_failed_call_is_counted_beside_the_call() {
        let mut stats = CommandStats::new(3);
        stats.record(2, 10_000);
        stats.record_failed(2);
        assert!(
            commandstats(&stats)
                .ends_with("calls=1,usec=10,usec_per_call=10.00,rejected_calls=0,failed_calls=1\r\n")
        );
    }

    #[test]
    fn percentiles_are_printed_as_configured() {
        let mut stats = CommandStats::new(3);
        stats.record(0, 1_000);
        let line = latencystats(&stats, &[0.0, 50.0, 99.9, 100.0]);
        assert_eq!(
            line,
            "latency_percentiles_usec_get:p0=1.000,p50=1.003,p99.9=1.003,p100=1.003\r\n"
        );
    }

    #[test]
    fn tracking_switched_off_hides_and_stops_histograms() {
        let mut stats = CommandStats::new(3);
        stats.set_latency_tracking(false);
        stats.record(0, 1_000);
        assert!(stats.row(0).histogram.is_none());
        stats.set_latency_tracking(true);
        stats.record(0, 1_000);
        assert_eq!(stats.latency_histogram(0), Some((1, vec![(1, 1)])));
        stats.set_latency_tracking(false);
        assert_eq!(latencystats(&stats, &[50.0]), "");
    }

    #[test]
    fn reset_forgets_calls_and_histograms() {
        let mut stats = CommandStats::new(3);
        stats.record(0, 1_000);
        stats.reset();
        assert_eq!(commandstats(&stats), "");
        assert_eq!(stats.latency_histogram(0), None);
    }
}
