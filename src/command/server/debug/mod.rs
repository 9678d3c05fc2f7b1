//! DEBUG: tools for tests and for people who look under the hood.
//!
//! Its subcommands are no rows: clients are told of none of them. They stand in one table, [`TOOLS`], from
//! which HELP is made. What Redis offers and this build cannot do is listed too, with the reason, and refused.
//!
//! | file | tools |
//! | --- | --- |
//! | `inspect` | OBJECT SDSLEN HTSTATS HTSTATS-KEY |
//! | `list` | LISTPACK QUICKLIST QUICKLIST-PACKED-THRESHOLD |
//! | `digest` | DIGEST DIGEST-VALUE |
//! | `eviction` | CLIENT-EVICTION |
//! | `protocol` | PROTOCOL |
//! | `act` | the others |

mod act;
mod digest;
mod eviction;
mod inspect;
mod list;
mod protocol;

use std::ops::RangeInclusive;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arity, Flags, Group, Handler, Row};

pub(super) const DEBUG: Row = Row {
    name: "debug",
    summary: "Groups the commands for tests and for looking under the hood.",
    since: "1.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN
        .with(Flags::REPLAYS_LOG)
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::SYSCMD),
    run: debug,
    ..Row::BASE
};

const CLOSED: Error = Error::fixed(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
     from a local connection, otherwise you need to set this option in the configuration file, and then \
     restart the server.",
);

fn debug(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if !super::opens_to(cx.config.choice("enable-debug-command"), cx) {
        return Err(CLOSED);
    }
    let name = args.get(1);
    if let Some((_, reason)) = ABSENT
        .iter()
        .find(|(absent, _)| name.eq_ignore_ascii_case(absent.as_bytes()))
    {
        return Err(refusal(name, reason));
    }
    let tool = TOOLS
        .iter()
        .find(|tool| name.eq_ignore_ascii_case(tool.name.as_bytes()));
    match tool.filter(|tool| tool.words.contains(&args.len())) {
        Some(tool) => (tool.run)(cx, args),
        None => Err(super::wrong_subcommand("DEBUG", name)),
    }
}

fn refusal(name: &[u8], reason: &str) -> Error {
    let name = String::from_utf8_lossy(name).to_uppercase();
    Error::err(format_args!("DEBUG {name} {reason}"))
}

/// A subcommand.
struct Tool {
    /// In capitals.
    name: &'static str,
    /// Its arguments.
    syntax: &'static str,
    /// What it does, in one sentence.
    does: &'static str,
    /// Words it takes, `DEBUG` and its name included.
    words: RangeInclusive<usize>,
    run: Handler,
}

const fn tool(
    name: &'static str,
    syntax: &'static str,
    does: &'static str,
    words: RangeInclusive<usize>,
    run: Handler,
) -> Tool {
    Tool {
        name,
        syntax,
        does,
        words,
        run,
    }
}

const ANY: usize = usize::MAX;

const TOOLS: &[Tool] = &[
    tool(
        "AOF-FLUSH-SLEEP",
        "<microseconds>",
        "Sleep before each write to the append-only file.",
        3..=3,
        act::aof_flush_sleep,
    ),
    tool(
        "ASSERT",
        "",
        "Fail an assertion, which ends the server.",
        2..=2,
        act::assert,
    ),
    tool(
        "CLIENT-EVICTION",
        "",
        "Tell how many clients hold how much, in classes; with maxmemory-clients.",
        2..=2,
        eviction::client_eviction,
    ),
    tool(
        "CONFIG-REWRITE-FORCE-ALL",
        "",
        "Write all directives into the configuration file, defaults included.",
        2..=2,
        act::rewrite_config,
    ),
    tool(
        "DICT-RESIZING",
        "<0|1>",
        "Let tables keep their room when keys go, or shrink again. A full segment splits all the same.",
        3..=3,
        act::dict_resizing,
    ),
    tool(
        "DIGEST",
        "",
        "Tell a signature of all data.",
        2..=2,
        digest::digest,
    ),
    tool(
        "DIGEST-VALUE",
        "[<key> ...]",
        "Tell a signature of each value.",
        2..=ANY,
        digest::digest_value,
    ),
    tool(
        "ERROR",
        "<text>",
        "Answer this text as an error.",
        3..=3,
        act::error,
    ),
    tool(
        "HTSTATS",
        "<db> [full]",
        "Tell the shape of a database's table.",
        3..=4,
        inspect::htstats,
    ),
    tool(
        "HTSTATS-KEY",
        "<key> [full]",
        "Tell the shape of the table a key holds.",
        3..=4,
        inspect::htstats_key,
    ),
    tool(
        "LISTPACK",
        "<key>",
        "Show the listpack a key holds.",
        3..=3,
        list::listpack,
    ),
    tool(
        "LOADAOF",
        "",
        "Empty the databases and load the append-only file.",
        2..=2,
        act::load_aof,
    ),
    tool("LOG", "<text>", "Write a line to the log.", 3..=3, act::log),
    tool(
        "MALLCTL",
        "<control>",
        "Tell a number of the allocator's.",
        3..=3,
        act::mallctl,
    ),
    tool(
        "MALLCTL-STR",
        "thread.tcache.flush VOID",
        "Hand what this thread's cache holds back to the allocator.",
        4..=4,
        act::mallctl_str,
    ),
    tool(
        "OBJECT",
        "<key>",
        "Tell how a value is stored.",
        3..=3,
        inspect::object,
    ),
    tool("PANIC", "", "Panic, which ends the server.", 2..=2, act::panic),
    tool(
        "PAUSE-CRON",
        "<0|1>",
        "Hold recurring work back or let it go on.",
        3..=3,
        act::pause_cron,
    ),
    tool(
        "POPULATE",
        "<count> [<prefix>] [<size>]",
        "Create keys that are missing.",
        3..=5,
        act::populate,
    ),
    tool(
        "PROTOCOL",
        "<type>",
        "Answer an example of a type of reply.",
        3..=3,
        protocol::protocol,
    ),
    tool(
        "QUICKLIST",
        "<key> [<0|1>]",
        "Show the quicklist a key holds.",
        3..=4,
        list::quicklist,
    ),
    tool(
        "QUICKLIST-PACKED-THRESHOLD",
        "<bytes>",
        "Give elements of long lists nodes of their own from so many bytes on; 0 for as the nodes' size says.",
        3..=3,
        list::packed_threshold,
    ),
    tool(
        "RELOAD",
        "[MERGE] [NOFLUSH] [NOSAVE]",
        "Save the data, empty the databases and load what was saved.",
        2..=5,
        act::reload,
    ),
    tool(
        "REPLYBUFFER",
        "PEAK-RESET-TIME <milliseconds>|NEVER|RESET or RESIZING <0|1>",
        "Tell how long CLIENT LIST remembers a peak of replies.",
        4..=4,
        act::reply_buffer,
    ),
    tool(
        "SDSLEN",
        "<key>",
        "Tell the lengths of a key and its string.",
        3..=3,
        inspect::sdslen,
    ),
    tool(
        "SEGFAULT",
        "",
        "Touch memory that is not there, which ends the server.",
        2..=2,
        act::segfault,
    ),
    tool(
        "SET-ACTIVE-EXPIRE",
        "<0|1>",
        "Stop or resume the search for expired keys.",
        3..=3,
        act::set_active_expire,
    ),
    tool(
        "SET-DISABLE-DENY-SCRIPTS",
        "<0|1>",
        "Let scripts call what they otherwise must not, or refuse it again.",
        3..=3,
        act::set_disable_deny_scripts,
    ),
    tool(
        "SET-SKIP-CHECKSUM-VALIDATION",
        "<0|1>",
        "Take snapshots and payloads whose checksum is wrong, or refuse them again.",
        3..=3,
        act::set_skip_checksum_validation,
    ),
    tool(
        "SLEEP",
        "<seconds>",
        "Do nothing for a while, fractions allowed.",
        3..=3,
        act::sleep,
    ),
    tool(
        "STRINGMATCH-LEN",
        "<length> <pattern>",
        "Match a pattern against that many letters 'a'.",
        4..=4,
        act::stringmatch_len,
    ),
    tool("HELP", "", "Print this help.", 2..=2, help),
];

const REPLICATION: &str = "needs replication, which this build does not have yet";
const CLUSTER: &str = "needs the cluster, which this build does not have yet";
/// What Redis offers and this build refuses, with the end of the sentence that says why.
const ABSENT: &[(&str, &str)] = &[
    ("CHANGE-REPL-ID", REPLICATION),
    ("CLUSTERLINK", CLUSTER),
    (
        "CRASH-AND-RECOVER",
        "is not there: end the server with SHUTDOWN and start it anew",
    ),
    ("DROP-CLUSTER-PACKET-FILTER", CLUSTER),
    ("JMAP", "is not there: no module is ever loaded"),
    ("LEAK", "is not there"),
    ("OOM", "is not there"),
    ("REPLICATE", REPLICATION),
    (
        "RESTART",
        "is not there: end the server with SHUTDOWN and start it anew",
    ),
];

fn help(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.array(1 + 2 * TOOLS.len());
    cx.reply
        .simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for tool in TOOLS {
        cx.reply
            .simple(format!("{} {}", tool.name, tool.syntax).trim_end());
        cx.reply.simple(&format!("    {}", tool.does));
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tool_is_there_and_absent() {
        let twice = TOOLS
            .iter()
            .find(|tool| ABSENT.iter().any(|(name, _)| *name == tool.name));
        assert!(twice.is_none(), "{:?}", twice.map(|tool| tool.name));
    }

    #[test]
    fn every_tool_is_explained_in_a_sentence() {
        for tool in TOOLS {
            assert!(
                tool.does.ends_with('.') && tool.name == tool.name.to_uppercase(),
                "{}",
                tool.name
            );
        }
    }

    #[test]
    fn a_refusal_names_the_tool() {
        let text = refusal(b"replicate", REPLICATION).text().into_owned();
        assert_eq!(
            text,
            b"ERR DEBUG REPLICATE needs replication, which this build does not have yet"
        );
    }
}
