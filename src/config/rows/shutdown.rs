//! Stopping, and what runs too long.

use super::super::directive::*;

const ON_SIGNAL: Kind = Kind::Flags {
    names: &["default", "save", "nosave", "now", "force"],
    excluded: (
        "save",
        "nosave",
        "shutdown options SAVE and NOSAVE can't be used simultaneously",
    ),
};

pub(super) const SECTION: Section = Section {
    title: "SHUTDOWN",
    rows: &[
        int(
            "shutdown-timeout",
            0,
            INT_MAX,
            "10",
            "Seconds to wait for lagging replicas on shutting down.",
        ),
        directive(
            "shutdown-on-sigint",
            ON_SIGNAL,
            "default",
            "How to shut down on SIGINT: 'default', or any of save, nosave, now, force.",
        ),
        directive(
            "shutdown-on-sigterm",
            ON_SIGNAL,
            "default",
            "How to shut down on SIGTERM: 'default', or any of save, nosave, now, force.",
        ),
    ],
};

pub(super) const SCRIPTS: Section = Section {
    title: "LONG SCRIPTS",
    rows: &[int(
        "busy-reply-threshold",
        0,
        i64::MAX,
        "5000",
        "Milliseconds after which other clients are told BUSY while a script runs.",
    )
    .alias("lua-time-limit")],
};
