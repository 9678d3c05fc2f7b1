//! The append-only file.

use super::super::directive::*;
use super::check;

pub(super) const SECTION: Section = Section {
    title: "APPEND ONLY FILE",
    rows: &[
        yes_no(
            "appendonly",
            "no",
            "Log every write to the append-only file, and load it at start.",
        )
        .deny_loading(),
        checked(
            "appendfilename",
            "appendonly.aof",
            check::aof_file_name,
            "What the names of its base, increments and manifest begin with.",
        )
        .immutable(),
        checked(
            "appenddirname",
            "appendonlydir",
            check::aof_folder_name,
            "Folder within 'dir' that holds them.",
        )
        .immutable(),
        choice(
            "appendfsync",
            &["everysec", "always", "no"],
            "everysec",
            "When to sync to disk: every second, before every reply, or when the kernel likes.",
        ),
        yes_no(
            "no-appendfsync-on-rewrite",
            "no",
            "Do not sync while a child is writing a snapshot or a new base.",
        ),
        int(
            "auto-aof-rewrite-percentage",
            0,
            INT_MAX,
            "100",
            "Growth since the last rewrite, in percent, that starts the next; 0 for never.",
        ),
        memory(
            "auto-aof-rewrite-min-size",
            0,
            SIZE_MAX,
            "64mb",
            "Size below which none starts by itself.",
        ),
        yes_no(
            "aof-load-truncated",
            "yes",
            "Load a file whose last command was cut off, up to there.",
        ),
        yes_no(
            "aof-use-rdb-preamble",
            "yes",
            "Write the base as a snapshot rather than as commands.",
        ),
        yes_no(
            "aof-timestamp-enabled",
            "no",
            "Note the time in the file, so that it can be cut back to a moment.",
        ),
        yes_no(
            "aof-rewrite-incremental-fsync",
            "yes",
            "Sync a new base bit by bit while it is written.",
        ),
        yes_no(
            "aof-disable-auto-gc",
            "no",
            "Keep the files a rewrite has replaced.",
        )
        .hidden(),
    ],
};
