//! Masters and replicas.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "REPLICATION",
    rows: &[
        directive(
            "replicaof",
            Kind::Master,
            "no one",
            "Host and port of the master to replicate, or 'no one'.",
        )
        .alias("slaveof")
        .immutable(),
        optional("masterauth", "Password to give to the master.").sensitive(),
        optional("masteruser", "User to give to the master.").sensitive(),
        yes_no(
            "replica-serve-stale-data",
            "yes",
            "Go on answering from old data while the master is out of reach or the first copy is \
             under way.",
        )
        .alias("slave-serve-stale-data"),
        yes_no(
            "replica-read-only",
            "yes",
            "Refuse writes of clients while being a replica.",
        )
        .alias("slave-read-only")
        .debug(),
        yes_no(
            "repl-diskless-sync",
            "yes",
            "Send a full copy straight to the socket, without a file on the way.",
        )
        .debug(),
        int(
            "repl-diskless-sync-delay",
            0,
            INT_MAX,
            "5",
            "Seconds to wait for more replicas before such a copy starts.",
        ),
        int(
            "repl-diskless-sync-max-replicas",
            0,
            INT_MAX,
            "0",
            "Number of waiting replicas that start it at once; 0 to wait out the delay.",
        ),
        choice(
            "repl-diskless-load",
            &["disabled", "on-empty-db", "swapdb"],
            "disabled",
            "Whether a replica loads a copy from the socket: never, when it has no data, or beside \
             its present data.",
        )
        .debug()
        .deny_loading(),
        int(
            "repl-ping-replica-period",
            1,
            INT_MAX,
            "10",
            "Seconds between the master's pings.",
        )
        .alias("repl-ping-slave-period"),
        int(
            "repl-timeout",
            1,
            INT_MAX,
            "60",
            "Seconds of silence after which a replication link is given up.",
        ),
        yes_no(
            "repl-disable-tcp-nodelay",
            "no",
            "Send to replicas in fewer, later packets.",
        ),
        memory(
            "repl-backlog-size",
            1,
            SIZE_MAX,
            "1mb",
            "How much of the stream to keep for replicas that come back.",
        ),
        int(
            "repl-backlog-ttl",
            0,
            i64::MAX,
            "3600",
            "Seconds without replicas after which it is freed; 0 for never.",
        ),
        int(
            "replica-priority",
            0,
            INT_MAX,
            "100",
            "Rank for a failover, lower is better; 0 for never a master.",
        )
        .alias("slave-priority"),
        choice(
            "propagation-error-behavior",
            &["ignore", "panic", "panic-on-replicas"],
            "ignore",
            "What to do when a command of the stream or of the append-only file fails.",
        ),
        yes_no(
            "replica-ignore-disk-write-errors",
            "no",
            "Let a replica go on when it cannot write to its disk, instead of stopping.",
        ),
        yes_no(
            "replica-announced",
            "yes",
            "Let this replica be listed to Sentinel's clients.",
        ),
        int(
            "min-replicas-to-write",
            0,
            INT_MAX,
            "0",
            "Accept writes only with so many good replicas; 0 for always.",
        )
        .alias("min-slaves-to-write"),
        int(
            "min-replicas-max-lag",
            0,
            INT_MAX,
            "10",
            "Seconds of lag up to which a replica is a good one.",
        )
        .alias("min-slaves-max-lag"),
        optional(
            "replica-announce-ip",
            "Address to report to the master in place of the real one.",
        )
        .alias("slave-announce-ip"),
        int(
            "replica-announce-port",
            0,
            65535,
            "0",
            "Port to report to the master in place of the real one; 0 for that.",
        )
        .alias("slave-announce-port"),
        yes_no("replica-ignore-maxmemory", "yes", "Leave eviction to the master.")
            .alias("slave-ignore-maxmemory"),
    ],
};
