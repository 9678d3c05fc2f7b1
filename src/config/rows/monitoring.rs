//! Slow log and latencies.

use super::super::directive::*;

pub(super) const SLOW_LOG: Section = Section {
    title: "SLOW LOG",
    rows: &[
        int(
            "slowlog-log-slower-than",
            -1,
            i64::MAX,
            "10000",
            "Microseconds from which a command is logged; 0 for every command, -1 for none.",
        ),
        int(
            "slowlog-max-len",
            0,
            i64::MAX,
            "128",
            "How many commands the slow log remembers.",
        ),
    ],
};

pub(super) const LATENCY: Section = Section {
    title: "LATENCY",
    rows: &[
        int(
            "latency-monitor-threshold",
            0,
            i64::MAX,
            "0",
            "Milliseconds from which the latency monitor notes an event; 0 for off.",
        ),
        yes_no(
            "latency-tracking",
            "yes",
            "Keep a latency histogram for every command.",
        ),
        directive(
            "latency-tracking-info-percentiles",
            Kind::Percentiles,
            "50 99 99.9",
            "Percentiles of those histograms that INFO shows.",
        ),
    ],
};
