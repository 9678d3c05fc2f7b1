//! Cluster mode.

use super::super::directive::*;
use super::check;

pub(super) const SECTION: Section = Section {
    title: "CLUSTER",
    rows: &[
        yes_no(
            "cluster-enabled",
            "no",
            "Be a node of a cluster. There is then one database only.",
        )
        .immutable(),
        text(
            "cluster-config-file",
            "nodes.conf",
            "File within 'dir' where the node keeps its view of the cluster.",
        )
        .immutable(),
        int(
            "cluster-node-timeout",
            0,
            i64::MAX,
            "15000",
            "Milliseconds out of reach after which a node counts as failing.",
        ),
        int(
            "cluster-port",
            0,
            65535,
            "0",
            "Port of the bus; 0 for the client port plus 10000.",
        )
        .immutable(),
        int(
            "cluster-replica-validity-factor",
            0,
            INT_MAX,
            "10",
            "How old a replica's data may be, in node timeouts, for it to stand for election; 0 for \
             any age.",
        )
        .alias("cluster-slave-validity-factor"),
        int(
            "cluster-migration-barrier",
            0,
            INT_MAX,
            "1",
            "How many replicas a master must keep before one may move to a master that has none.",
        ),
        yes_no(
            "cluster-allow-replica-migration",
            "yes",
            "Let replicas move so, and follow the slots of their master.",
        ),
        yes_no(
            "cluster-require-full-coverage",
            "yes",
            "Stop serving when any slot has no node.",
        ),
        yes_no(
            "cluster-replica-no-failover",
            "no",
            "Never stand for election by itself.",
        )
        .alias("cluster-slave-no-failover"),
        yes_no(
            "cluster-allow-reads-when-down",
            "no",
            "Answer reads while the cluster is down.",
        ),
        yes_no(
            "cluster-allow-pubsubshard-when-down",
            "yes",
            "Serve shard channels while the cluster is down.",
        ),
        memory(
            "cluster-link-sendbuf-limit",
            0,
            u64::MAX,
            "0",
            "How much may queue for one peer on the bus before the link is cut; 0 for no limit.",
        ),
        optional_checked(
            "cluster-announce-hostname",
            check::host_name,
            "Host name to tell clients of.",
        ),
        optional_checked(
            "cluster-announce-human-nodename",
            check::node_name,
            "Name of this node in logs.",
        ),
        choice(
            "cluster-preferred-endpoint-type",
            &["ip", "hostname", "unknown-endpoint"],
            "ip",
            "What to send clients to: an address, a host name, or the host they already use.",
        ),
        int(
            "cluster-ping-interval",
            0,
            i64::MAX,
            "0",
            "Milliseconds between pings on the bus; 0 for the usual.",
        )
        .hidden(),
    ],
};

pub(super) const ANNOUNCEMENT: Section = Section {
    title: "CLUSTER BEHIND ADDRESS TRANSLATION",
    rows: &[
        optional(
            "cluster-announce-ip",
            "Address the other nodes and the clients can reach this one at.",
        ),
        int(
            "cluster-announce-port",
            0,
            65535,
            "0",
            "Client port as seen from outside; 0 for the real one.",
        ),
        int(
            "cluster-announce-tls-port",
            0,
            65535,
            "0",
            "TLS port as seen from outside; 0 for the real one.",
        ),
        int(
            "cluster-announce-bus-port",
            0,
            65535,
            "0",
            "Bus port as seen from outside; 0 for the real one.",
        ),
    ],
};
