//! How much memory the data may take, and how it is given back.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "MEMORY MANAGEMENT",
    rows: &[
        memory(
            "maxmemory",
            0,
            u64::MAX,
            "0",
            "How much memory the data may take; 0 for no limit.",
        ),
        choice(
            "maxmemory-policy",
            &[
                "volatile-lru",
                "volatile-lfu",
                "volatile-random",
                "volatile-ttl",
                "allkeys-lru",
                "allkeys-lfu",
                "allkeys-random",
                "noeviction",
            ],
            "noeviction",
            "Which keys go when the limit is reached: among those with an expiry (volatile) or all; \
             the least recently used, the least often used, random ones, or the next to expire. \
             'noeviction' refuses writes instead.",
        ),
        int(
            "maxmemory-samples",
            1,
            64,
            "5",
            "How many keys to compare for each one evicted.",
        ),
        int(
            "maxmemory-eviction-tenacity",
            0,
            100,
            "10",
            "How long eviction may hold up clients: 0 for as little as possible, 100 for as long as \
             it takes.",
        ),
        int(
            "active-expire-effort",
            1,
            10,
            "1",
            "How hard to look for expired keys, from 1 to 10.",
        ),
        int(
            "lfu-log-factor",
            0,
            INT_MAX,
            "10",
            "How many uses it takes to raise a key's counter; more is slower.",
        ),
        int(
            "lfu-decay-time",
            0,
            INT_MAX,
            "1",
            "Minutes after which a key's counter goes down by one; 0 for never.",
        ),
        directive(
            "maxmemory-clients",
            Kind::MemoryOrPercent,
            "0",
            "How much memory all clients' buffers may take, in bytes or as a share of maxmemory; 0 \
             for no limit.",
        ),
    ],
};

pub(super) const LAZY_FREEING: Section = Section {
    title: "LAZY FREEING",
    rows: &[
        yes_no(
            "lazyfree-lazy-eviction",
            "no",
            "Free evicted values on another thread.",
        )
        .debug(),
        yes_no(
            "lazyfree-lazy-expire",
            "no",
            "Free expired values on another thread.",
        )
        .debug(),
        yes_no(
            "lazyfree-lazy-server-del",
            "no",
            "Free on another thread what commands such as SET and RENAME replace.",
        )
        .debug(),
        yes_no(
            "replica-lazy-flush",
            "no",
            "Free a replica's old data on another thread when a full copy arrives.",
        )
        .alias("slave-lazy-flush"),
        yes_no("lazyfree-lazy-user-del", "no", "Let DEL behave as UNLINK.").debug(),
        yes_no(
            "lazyfree-lazy-user-flush",
            "no",
            "Let FLUSHALL and FLUSHDB be ASYNC when they do not say.",
        )
        .debug(),
    ],
};
