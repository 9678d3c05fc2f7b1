//! Encodings, buffers, the clock.

use super::super::directive::*;

pub(super) const ENCODINGS: Section = Section {
    title: "ENCODINGS",
    rows: &[
        int(
            "hash-max-listpack-entries",
            0,
            i64::MAX,
            "512",
            "Most fields of a hash that is a listpack.",
        )
        .alias("hash-max-ziplist-entries"),
        memory(
            "hash-max-listpack-value",
            0,
            SIZE_MAX,
            "64",
            "Longest field or value of a hash that is a listpack.",
        )
        .alias("hash-max-ziplist-value"),
        int(
            "list-max-listpack-size",
            -INT_MAX - 1,
            INT_MAX,
            "-2",
            "Size of a list's nodes: that many elements, or for -1 to -5 about 4, 8, 16, 32 or 64 KB.",
        )
        .alias("list-max-ziplist-size"),
        int(
            "list-compress-depth",
            0,
            INT_MAX,
            "0",
            "How many nodes at either end stay uncompressed; 0 for all.",
        )
        .debug(),
        int(
            "set-max-intset-entries",
            0,
            i64::MAX,
            "512",
            "Most members of a set that is an intset.",
        ),
        int(
            "set-max-listpack-entries",
            0,
            i64::MAX,
            "128",
            "Most members of a set that is a listpack.",
        ),
        int(
            "set-max-listpack-value",
            0,
            i64::MAX,
            "64",
            "Longest member of a set that is a listpack.",
        ),
        int(
            "zset-max-listpack-entries",
            0,
            i64::MAX,
            "128",
            "Most members of a sorted set that is a listpack.",
        )
        .alias("zset-max-ziplist-entries"),
        memory(
            "zset-max-listpack-value",
            0,
            SIZE_MAX,
            "64",
            "Longest member of a sorted set that is a listpack.",
        )
        .alias("zset-max-ziplist-value"),
        memory(
            "hll-sparse-max-bytes",
            0,
            SIZE_MAX,
            "3000",
            "Largest HyperLogLog in the sparse representation.",
        ),
        memory(
            "stream-node-max-bytes",
            0,
            SIZE_MAX,
            "4096",
            "Largest node of a stream; 0 for no limit.",
        ),
        int(
            "stream-node-max-entries",
            0,
            i64::MAX,
            "100",
            "Most entries of a node of a stream; 0 for no limit.",
        ),
    ],
};

pub(super) const SECTION: Section = Section {
    title: "ADVANCED",
    rows: &[
        yes_no(
            "activerehashing",
            "yes",
            "Use idle time to finish growing and shrinking tables.",
        ),
        directive(
            "client-output-buffer-limit",
            Kind::OutputLimits,
            "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
            "When to disconnect a client that does not read: class, hard limit, soft limit, and how \
             many seconds above the soft one; 0 for no limit.",
        ),
        memory(
            "client-query-buffer-limit",
            1 << 20,
            SIZE_MAX,
            "1gb",
            "How much of a client's requests may wait to be run.",
        )
        .debug(),
        memory(
            "proto-max-bulk-len",
            1 << 20,
            SIZE_MAX,
            "512mb",
            "Longest single argument, and longest string.",
        )
        .debug(),
        int(
            "hz",
            0,
            INT_MAX,
            "10",
            "How often a second background work is done, from 1 to 500.",
        ),
        yes_no(
            "dynamic-hz",
            "yes",
            "Do it more often when many clients are connected.",
        ),
        yes_no(
            "jemalloc-bg-thread",
            "yes",
            "Let the allocator give memory back on a thread of its own.",
        ),
    ],
};
