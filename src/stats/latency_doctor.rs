//! LATENCY DOCTOR: what the recorded spikes suggest to do.
//!
//! The report has three parts: a headline, a numbered line per event, and the advice those events call for,
//! each piece once. Which event calls for which advice is one table (`advice_for`); what an advice says is
//! another (`Advice::text`).
//!
//! Not here: measuring; the monitor and the `Circumstances` are all the doctor sees.

use super::latency::{LatencyMonitor, Series};
use std::fmt::Write as _;

/// What the doctor has to know beside the samples.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// Now, in seconds since 1970.
    pub now_unix_s: i64,
    /// `slowlog-log-slower-than`; negative is off.
    pub slowlog_slower_than_us: i64,
    /// `slowlog-max-len`; 0 is off.
    pub slowlog_len_max: usize,
    /// Speed of the latest fork.
    pub fork_rate_gb_per_s: f64,
    /// Whether `appendfsync` is `always`.
    pub fsyncs_always: bool,
    /// `hz`.
    pub hz: u32,
    /// Anonymous huge pages in use by the process.
    pub huge_pages_bytes: u64,
}

/// Advice in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Advice {
    FasterFork,
    EnableSlowLog,
    LowerSlowLog,
    ReadSlowLog,
    Scheduler,
    LocalDisk,
    FasterDisk,
    Writeback,
    DiskContention,
    NoFsyncOnRewrite,
    RelaxFsync,
    FewerWrites,
    RaiseHz,
    SmallerObjects,
    GentlerEviction,
    NoHugePages,
}

/// The whole report, ended by a line end.
pub fn report(monitor: &LatencyMonitor, circumstances: &Circumstances) -> String {
    if monitor.events().len() == 0 && monitor.threshold_ms() == 0 {
        return OFF.to_owned();
    }
    let advice = collect_advice(monitor, circumstances);
    match (monitor.events().len(), advice.is_empty()) {
        (0, true) => CALM.to_owned(),
        (0, false) => advice_text(&advice, monitor.threshold_ms()),
        (_, true) => spikes_text(monitor, circumstances) + "\n" + NO_ADVICE,
        (_, false) => {
            spikes_text(monitor, circumstances) + "\n" + &advice_text(&advice, monitor.threshold_ms())
        }
    }
}

const OFF: &str = "The latency monitor of this instance is off, so there is nothing to diagnose. \
    Switch it on with \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n";
const CALM: &str = "No latency spike has been recorded by this instance so far.\n";
const NO_ADVICE: &str = "None of these events points to a known remedy.\n";

fn spikes_text(monitor: &LatencyMonitor, circumstances: &Circumstances) -> String {
    let mut text = String::from("This instance has recorded latency spikes.\n\n");
    for (i, (event, series)) in monitor.events().enumerate() {
        text += &format!("{}. {}", i + 1, event_text(event, series, circumstances));
    }
    text
}

fn event_text(event: &str, series: &Series, circumstances: &Circumstances) -> String {
    let facts = series.facts(circumstances.now_unix_s);
    let mut text = format!(
        "{event}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). \
         Worst all time event {}ms.",
        facts.count,
        facts.mean_ms,
        facts.deviation_ms,
        facts.period_s,
        series.max_ms()
    );
    if event == "fork" {
        let rate = circumstances.fork_rate_gb_per_s;
        write!(text, " Fork rate is {rate:.2} GB/sec ({}).", fork_quality(rate))
            .expect("a String takes any text");
    }
    text + "\n"
}

fn fork_quality(rate_gb_per_s: f64) -> &'static str {
    match rate_gb_per_s {
        ..10.0 => "terrible",
        ..25.0 => "poor",
        ..100.0 => "good",
        _ => "excellent",
    }
}

fn collect_advice(monitor: &LatencyMonitor, circumstances: &Circumstances) -> Vec<Advice> {
    let per_event = monitor.events().flat_map(|(event, _)| advice_for(event));
    let mut advice: Vec<Advice> = per_event
        .copied()
        .filter(|advice| advice.applies(monitor, circumstances))
        .collect();
    if circumstances.huge_pages_bytes > 0 {
        advice.push(Advice::NoHugePages);
    }
    advice.sort_unstable();
    advice.dedup();
    advice
}

fn advice_for(event: &str) -> &'static [Advice] {
    use Advice::*;
    match event {
        "fork" => &[FasterFork],
        "command" => &[EnableSlowLog, LowerSlowLog, ReadSlowLog, SmallerObjects],
        "fast-command" => &[Scheduler],
        "aof-write-pending-fsync" => &[LocalDisk, DiskContention, FasterDisk, Writeback],
        "aof-write-active-child" => &[NoFsyncOnRewrite, Writeback, FasterDisk],
        "aof-write-alone" => &[LocalDisk, Writeback, FasterDisk],
        "aof-fsync-always" => &[RelaxFsync],
        "aof-fstat" | "rdb-unlink-temp-file" => &[DiskContention, LocalDisk],
        "aof-rewrite-diff-write" | "aof-rename" => &[FewerWrites, Writeback, FasterDisk, LocalDisk],
        "expire-cycle" => &[RaiseHz, SmallerObjects],
        "eviction-del" => &[SmallerObjects],
        "eviction-cycle" => &[GentlerEviction],
        _ => &[],
    }
}

fn advice_text(advice: &[Advice], threshold_ms: u64) -> String {
    let mut text = String::from("Advice:\n\n");
    for piece in advice {
        text += &format!("- {}\n", piece.text(threshold_ms));
    }
    text
}

impl Advice {
    /// Whether advice its event calls for makes sense as the server is configured.
    fn applies(self, monitor: &LatencyMonitor, circumstances: &Circumstances) -> bool {
        let slowlog_off = circumstances.slowlog_slower_than_us < 0 || circumstances.slowlog_len_max == 0;
        match self {
            Self::FasterFork => circumstances.fork_rate_gb_per_s < 25.0,
            Self::EnableSlowLog => slowlog_off,
            Self::LowerSlowLog => {
                let slower_than_ms = circumstances.slowlog_slower_than_us.max(0) as u64 / 1000;
                !slowlog_off && slower_than_ms > monitor.threshold_ms()
            }
            Self::RelaxFsync => circumstances.fsyncs_always,
            Self::RaiseHz => circumstances.hz < 100,
            _ => true,
        }
    }

    fn text(self, threshold_ms: u64) -> String {
        self.template()
            .replace("{us}", &threshold_ms.saturating_mul(1000).to_string())
    }

    /// The text, with `{us}` for the monitor's threshold in microseconds.
    fn template(self) -> &'static str {
        match self {
            Self::FasterFork => {
                "Forking is slow on this machine, which is common under some hypervisors. A different \
                 instance type or bare metal shortens the pause at the start of every snapshot and rewrite."
            }
            Self::EnableSlowLog => {
                "The slow log is off, so the slow commands behind these spikes leave no trace. Switch it on \
                 with 'CONFIG SET slowlog-log-slower-than {us}' and a slowlog-max-len above 0."
            }
            Self::LowerSlowLog => {
                "Some spikes are too short for the slow log as it is set. 'CONFIG SET \
                 slowlog-log-slower-than {us}' lets it see everything the monitor sees."
            }
            Self::ReadSlowLog => "SLOWLOG GET shows which commands were slow, and with which arguments.",
            Self::Scheduler => {
                "Even cheap commands were slow, so the process probably did not get the CPU: look for load \
                 from other processes, neighbours on a shared host, swapping, and CPU limits of a \
                 container."
            }
            Self::LocalDisk => {
                "Keep the append only file and snapshots on a local disk, not on network storage."
            }
            Self::FasterDisk => {
                "A disk that syncs faster (SSD or NVMe) shortens these pauses, if nothing cheaper has \
                 helped."
            }
            Self::Writeback => {
                "On ext4, mounting with data=writeback makes syncs cheaper; the price is that a power loss \
                 may leave a damaged tail in the append only file, to be cut off before the next start."
            }
            Self::DiskContention => {
                "Something else keeps the disk busy: find it and move it, or slow it down."
            }
            Self::NoFsyncOnRewrite => {
                "If losing the writes made during a rewrite is acceptable after a crash, set \
                 'no-appendfsync-on-rewrite yes', and no fsync will compete with the rewriting child."
            }
            Self::RelaxFsync => {
                "'appendfsync always' waits for the disk before every reply; 'everysec' risks one second of \
                 writes and does not wait."
            }
            Self::FewerWrites => {
                "Many writes arrived while the append only file was being rewritten. Fewer, larger commands \
                 (variadic forms, scripts) leave less to append at its end."
            }
            Self::RaiseHz => {
                "'CONFIG SET hz 100' spreads the removal of expired keys over more, shorter steps."
            }
            Self::SmallerObjects => {
                "Deleting a very large key takes as long as it has elements. Delete with UNLINK, set the \
                 lazyfree-lazy-* options, or split such keys."
            }
            Self::GentlerEviction => {
                "Much memory had to be evicted at once: after lowering maxmemory, or when single commands \
                 store very large results. Lower the limit in steps, and store large results in parts."
            }
            Self::NoHugePages => {
                "The kernel backs this process with transparent huge pages, which makes copying pages after \
                 a fork far more expensive. 'echo never > /sys/kernel/mm/transparent_hugepage/enabled', \
                 then restart."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: Circumstances = Circumstances {
        now_unix_s: 100,
        slowlog_slower_than_us: 10_000,
        slowlog_len_max: 128,
        fork_rate_gb_per_s: 50.0,
        fsyncs_always: false,
        hz: 100,
        huge_pages_bytes: 0,
    };

    fn monitor(events: &[&'static str]) -> LatencyMonitor {
        let mut monitor = LatencyMonitor::default();
        monitor.set_threshold_ms(10);
        events.iter().for_each(|event| monitor.record(event, 50, 99));
        monitor
    }

    #[test]
    fn a_monitor_that_is_off_and_empty_is_said_to_be_off() {
        assert_eq!(report(&LatencyMonitor::default(), &HEALTHY), OFF);
        assert_eq!(report(&monitor(&[]), &HEALTHY), CALM);
    }

    #[test]
    fn events_are_numbered_and_described() {
        let text = report(&monitor(&["command", "fork"]), &HEALTHY);
        let first = "1. command: 1 latency spikes (average 50ms, mean deviation 0ms, period 1.00 sec). \
                     Worst all time event 50ms.\n";
        assert!(text.contains(first), "{text}");
        assert!(text.contains("2. fork: 1 latency spikes"), "{text}");
        assert!(text.contains("Fork rate is 50.00 GB/sec (good).\n"), "{text}");
    }

    #[test]
    fn advice_follows_the_circumstances() {
        let monitor = monitor(&["command"]);
        let advice = |circumstances| collect_advice(&monitor, &circumstances);
        assert_eq!(advice(HEALTHY), [Advice::ReadSlowLog, Advice::SmallerObjects]);
        let off = Circumstances {
            slowlog_len_max: 0,
            ..HEALTHY
        };
        assert_eq!(advice(off)[0], Advice::EnableSlowLog);
        let high = Circumstances {
            slowlog_slower_than_us: 11_000,
            ..HEALTHY
        };
        assert_eq!(advice(high)[0], Advice::LowerSlowLog);
        assert!(report(&monitor, &high).contains("slowlog-log-slower-than 10000'"));
    }

    #[test]
    fn advice_called_for_twice_is_given_once() {
        let advice = collect_advice(&monitor(&["aof-write-alone", "aof-write-active-child"]), &HEALTHY);
        let expected = [
            Advice::LocalDisk,
            Advice::FasterDisk,
            Advice::Writeback,
            Advice::NoFsyncOnRewrite,
        ];
        assert_eq!(advice, expected);
    }

    #[test]
    fn events_without_a_remedy_say_so() {
        assert!(report(&monitor(&["fork"]), &HEALTHY).ends_with(NO_ADVICE));
        assert!(report(&monitor(&["active-defrag-cycle"]), &HEALTHY).ends_with(NO_ADVICE));
    }

    #[test]
    fn huge_pages_are_worth_advice_without_any_spike() {
        let text = report(
            &monitor(&[]),
            &Circumstances {
                huge_pages_bytes: 1,
                ..HEALTHY
            },
        );
        assert!(text.starts_with("Advice:\n\n- The kernel"), "{text}");
    }

    #[test]
    fn a_good_disk_policy_is_not_criticised() {
        let monitor = monitor(&["aof-fsync-always", "expire-cycle"]);
        let strained = Circumstances {
            fsyncs_always: true,
            hz: 10,
            ..HEALTHY
        };
        assert_eq!(collect_advice(&monitor, &HEALTHY), [Advice::SmallerObjects]);
        let expected = [Advice::RelaxFsync, Advice::RaiseHz, Advice::SmallerObjects];
        assert_eq!(collect_advice(&monitor, &strained), expected);
    }
}
