//! RDB snapshots.

use super::super::directive::*;
use super::check;

pub(super) const SECTION: Section = Section {
    title: "SNAPSHOTTING",
    rows: &[
        directive(
            "save",
            Kind::SavePoints,
            "3600 1 300 100 60 10000",
            "When to save by itself: pairs of seconds and changes, each meaning \"after so many \
             seconds, if so much changed\". The first line replaces the default, further ones add to \
             it, and save \"\" turns it off.",
        ),
        yes_no(
            "stop-writes-on-bgsave-error",
            "yes",
            "Refuse writes after a failed background save until one succeeds, so that the failure is \
             noticed.",
        ),
        yes_no("rdbcompression", "yes", "Compress strings in snapshots."),
        yes_no(
            "rdbchecksum",
            "yes",
            "End snapshots with a checksum, and verify it on loading.",
        )
        .immutable(),
        int(
            "rdb-version-max",
            9,
            12,
            "12",
            "The newest version of the format to write, for a way back to an older Redis: 10 is what 7.0 \
             reads, 11 what 7.2, 12 what 7.4 does. Fields of hashes that expire live for ever in a file \
             below 12.",
        ),
        choice(
            "sanitize-dump-payload",
            &["no", "yes", "clients"],
            "no",
            "Verify encodings in depth on loading and RESTORE: never, always, or only for what \
             clients send.",
        )
        .debug(),
        checked(
            "dbfilename",
            "dump.rdb",
            check::rdb_file_name,
            "Name of the snapshot within 'dir'.",
        )
        .protected(),
        yes_no(
            "rdb-del-sync-files",
            "no",
            "Delete the snapshots that replication made, where neither saving nor the append-only \
             file is on.",
        ),
        directive(
            "dir",
            Kind::Folder,
            "./",
            "Folder to work in: snapshots and append-only files are written there.",
        )
        .protected()
        .deny_loading(),
        yes_no(
            "rdb-save-incremental-fsync",
            "yes",
            "Sync a snapshot to disk bit by bit while it is written, not all at the end.",
        ),
    ],
};
