//! Directives for tests: not listed by CONFIG GET patterns, not in the example file.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "DEBUGGING",
    rows: &[
        yes_no(
            "use-exit-on-panic",
            "no",
            "Leave by exit rather than abort after a failed assertion.",
        )
        .hidden(),
        yes_no(
            "enable-debug-assert",
            "no",
            "Check costly invariants while running.",
        )
        .immutable()
        .hidden(),
        text("debug-context", "", "A note to print in a crash report.")
            .debug()
            .hidden(),
        int(
            "rdb-key-save-delay",
            -INT_MAX - 1,
            INT_MAX,
            "0",
            "Microseconds to sleep after each key saved; below 0, one microsecond in so many keys.",
        )
        .hidden(),
        int(
            "key-load-delay",
            -INT_MAX - 1,
            INT_MAX,
            "0",
            "Microseconds to sleep after each key loaded; below 0, one microsecond in so many keys.",
        )
        .hidden(),
        int(
            "watchdog-period",
            0,
            INT_MAX,
            "0",
            "Milliseconds of a stall after which to log where it is; 0 for off.",
        )
        .hidden(),
        int(
            "loading-process-events-interval-bytes",
            1024,
            INT_MAX,
            "2097152",
            "How much to load between two looks at the clients.",
        )
        .hidden(),
    ],
};
