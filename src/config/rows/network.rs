//! Listening and connections.

use super::super::directive::*;

const ADDRESSES: Kind = Kind::Words {
    count_max: 16,
    too_many: "Too many bind addresses specified.",
};

pub(super) const SECTION: Section = Section {
    title: "NETWORK",
    rows: &[
        directive(
            "bind",
            ADDRESSES,
            "* -::*",
            "Addresses to listen on. One that starts with '-' may be missing from the machine without \
             harm; '*' and '::*' stand for all of IPv4 and of IPv6.",
        ),
        optional(
            "bind-source-addr",
            "Address that connections to the master and within a cluster start from.",
        ),
        yes_no(
            "protected-mode",
            "yes",
            "Refuse clients from other machines for as long as the default user has no password.",
        ),
        choice(
            "enable-protected-configs",
            PROTECTED_ACTION,
            "no",
            "Who may CONFIG SET the directives that name files: nobody, everybody, or local clients.",
        )
        .immutable(),
        choice(
            "enable-debug-command",
            PROTECTED_ACTION,
            "no",
            "Who may use DEBUG: nobody, everybody, or local clients.",
        )
        .immutable(),
        choice(
            "enable-module-command",
            PROTECTED_ACTION,
            "no",
            "Who may use MODULE. Modules are not supported, whatever this says.",
        )
        .immutable(),
        int("port", 0, 65535, "6379", "TCP port to listen on; 0 for none."),
        int(
            "tcp-backlog",
            0,
            INT_MAX,
            "511",
            "How many connections the kernel queues until they are accepted.",
        )
        .immutable(),
        optional("unixsocket", "Path of a Unix socket to listen on.").immutable(),
        directive(
            "unixsocketperm",
            Kind::Octal { max: 0o777 },
            "0",
            "Permission bits of that socket, in base 8; 0 leaves them to the umask.",
        )
        .immutable(),
        int(
            "timeout",
            0,
            INT_MAX,
            "0",
            "Seconds after which an idle client is disconnected; 0 for never.",
        ),
        int(
            "tcp-keepalive",
            0,
            INT_MAX,
            "300",
            "Seconds between the kernel's probes of a silent peer; 0 for none.",
        ),
        int(
            "socket-mark-id",
            0,
            u32::MAX as i64,
            "0",
            "Mark to set on listening sockets, for packet filters; 0 for none.",
        )
        .immutable(),
        int(
            "maxclients",
            1,
            u32::MAX as i64,
            "10000",
            "How many clients may be connected at once.",
        ),
        int(
            "max-new-connections-per-cycle",
            1,
            1000,
            "10",
            "How many waiting connections are accepted in one go before clients are served again.",
        ),
        int(
            "max-new-tls-connections-per-cycle",
            1,
            1000,
            "1",
            "The same for TLS connections, whose handshakes cost more.",
        ),
    ],
};

const PROTECTED_ACTION: &[&str] = &["no", "yes", "local"];
