//! Active defragmentation.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "ACTIVE DEFRAGMENTATION",
    rows: &[
        yes_no(
            "activedefrag",
            "no",
            "Move data while running, so that the allocator can give pages back.",
        )
        .debug(),
        memory(
            "active-defrag-ignore-bytes",
            1,
            SIZE_MAX,
            "100mb",
            "Waste below which it does nothing.",
        ),
        int(
            "active-defrag-threshold-lower",
            0,
            1000,
            "10",
            "Fragmentation in percent at which it starts.",
        ),
        int(
            "active-defrag-threshold-upper",
            0,
            1000,
            "100",
            "Fragmentation in percent at which it works hardest.",
        ),
        int(
            "active-defrag-cycle-min",
            1,
            99,
            "1",
            "Share of CPU time it takes at the lower threshold, in percent.",
        ),
        int(
            "active-defrag-cycle-max",
            1,
            99,
            "25",
            "Share of CPU time it takes at the upper threshold, in percent.",
        ),
        int(
            "active-defrag-max-scan-fields",
            1,
            i64::MAX,
            "1000",
            "Size of a collection from which it is done in several steps.",
        ),
    ],
};
