//! Threads, and what the kernel is asked for.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "THREADED I/O",
    rows: &[
        int(
            "io-threads",
            1,
            128,
            "1",
            "How many threads serve connections, the executor's included.",
        )
        .debug()
        .immutable(),
        yes_no(
            "io-threads-do-reads",
            "no",
            "Accepted for compatibility: I/O threads always read, too.",
        )
        .debug()
        .immutable(),
    ],
};

pub(super) const KERNEL: Section = Section {
    title: "KERNEL",
    rows: &[
        directive(
            "oom-score-adj",
            Kind::Choice {
                names: &["no", "yes", "relative", "absolute"],
                synonyms: &[("relative", "yes")],
            },
            "no",
            "Tell the kernel which process to kill first when memory runs out: not, relative to the \
             score at start, or absolutely.",
        ),
        directive(
            "oom-score-adj-values",
            Kind::OomScores,
            "0 200 800",
            "Scores for a master, a replica and a child that saves, from -2000 to 2000.",
        ),
        yes_no(
            "disable-thp",
            "yes",
            "Turn transparent huge pages off for this process.",
        )
        .immutable(),
    ],
};
