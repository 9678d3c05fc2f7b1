//! The process: how it runs, what it logs, what it is called.

use super::super::directive::*;
use super::check;

pub(super) const SECTION: Section = Section {
    title: "GENERAL",
    rows: &[
        yes_no(
            "daemonize",
            "no",
            "Detach from the terminal and run in the background.",
        )
        .immutable(),
        choice(
            "supervised",
            &["upstart", "systemd", "auto", "no"],
            "no",
            "Which supervisor to tell that the server is ready; 'auto' looks at the environment.",
        )
        .immutable(),
        optional(
            "pidfile",
            "File to write the process number to; a daemon has one in /var/run by default.",
        )
        .immutable(),
        choice(
            "loglevel",
            &["debug", "verbose", "notice", "warning", "nothing"],
            "notice",
            "How much to log, from everything to nothing.",
        ),
        text("logfile", "", "File to log to; empty for standard output.").immutable(),
        yes_no("syslog-enabled", "no", "Log to the system's log too.").immutable(),
        text("syslog-ident", "redis", "Name to log under there.").immutable(),
        choice(
            "syslog-facility",
            &[
                "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
            ],
            "local0",
            "Facility to log to there.",
        )
        .immutable(),
        yes_no(
            "crash-log-enabled",
            "yes",
            "Log a report when the server crashes.",
        ),
        yes_no(
            "crash-memcheck-enabled",
            "yes",
            "Test the memory for faults as part of that report.",
        ),
        int(
            "databases",
            1,
            INT_MAX,
            "16",
            "How many databases SELECT can choose from.",
        )
        .immutable(),
        yes_no(
            "always-show-logo",
            "no",
            "Show the start-up banner even where the log is no terminal.",
        )
        .immutable(),
        yes_no(
            "hide-user-data-from-log",
            "no",
            "Keep keys, values and arguments of clients out of the log.",
        ),
        yes_no(
            "set-proc-title",
            "yes",
            "Show in the process list what this server is doing.",
        )
        .immutable(),
        checked(
            "proc-title-template",
            "{title} {listen-addr} {server-mode}",
            check::process_title,
            "What the process list shows. Variables: {title} {listen-addr} {server-mode} {port} \
             {tls-port} {unixsocket} {config-file}.",
        ),
        text(
            "locale-collate",
            "",
            "Locale that SORT ALPHA compares by; empty for the environment's.",
        ),
        text(
            "ignore-warnings",
            "",
            "Start-up warnings not to be stopped by, as names separated by spaces.",
        ),
        optional(
            "server-cpulist",
            "CPUs for the executor and the I/O threads, as in 0-3,6.",
        )
        .alias("server_cpulist")
        .immutable(),
        optional("bio-cpulist", "CPUs for the background threads.")
            .alias("bio_cpulist")
            .immutable(),
        optional(
            "aof-rewrite-cpulist",
            "CPUs for the process that rewrites the append-only file.",
        )
        .alias("aof_rewrite_cpulist")
        .immutable(),
        optional("bgsave-cpulist", "CPUs for the process that saves a snapshot.")
            .alias("bgsave_cpulist")
            .immutable(),
    ],
};
