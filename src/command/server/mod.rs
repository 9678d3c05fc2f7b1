//! Commands about the server itself, one file per topic.
//!
//! | file | commands |
//! | --- | --- |
//! | `command`, `describe` | COMMAND and its subcommands; how a row reads as INFO and DOCS |
//! | `config` | CONFIG |
//! | `info` | INFO |
//! | `memory`, `footprint` | MEMORY; where the memory went |
//! | `report`, `report_text` | RUSSET.MEMORY, an extension: memory by prefix, type and key |
//! | `slowlog`, `latency` | SLOWLOG, LATENCY |
//! | `database` | FLUSHDB FLUSHALL SWAPDB |
//! | `monitor`, `misc` | MONITOR; TIME LOLWUT SHUTDOWN |
//! | `save` | SAVE BGSAVE LASTSAVE BGREWRITEAOF |
//! | `debug` | DEBUG |
//!
//! Not here: replicating (ROLE, REPLICAOF): its room is to come.

mod command;
mod config;
mod database;
mod debug;
mod describe;
mod footprint;
mod info;
mod latency;
mod memory;
mod misc;
mod monitor;
mod report;
mod report_text;
mod save;
mod slowlog;

use super::cx::Cx;
use super::error::Error;
use super::row::Row;
use crate::session::SessionFlags;

/// All commands of the family.
pub const ROWS: &[Row] = &[
    command::COMMAND,
    save::BGREWRITEAOF,
    save::BGSAVE,
    config::CONFIG,
    database::FLUSHALL,
    database::FLUSHDB,
    database::SWAPDB,
    debug::DEBUG,
    info::INFO,
    save::LASTSAVE,
    latency::LATENCY,
    memory::MEMORY,
    misc::LOLWUT,
    save::SAVE,
    misc::SHUTDOWN,
    misc::TIME,
    monitor::MONITOR,
    report::RUSSET_MEMORY,
    slowlog::SLOWLOG,
];

/// The answer to a subcommand that does not exist with this many words.
fn wrong_subcommand(container: &str, word: &[u8]) -> Error {
    const SHOWN_BYTES: usize = 128;
    let shown = &word[..word.len().min(SHOWN_BYTES)];
    Error::quoting(
        "unknown subcommand or wrong number of arguments for '",
        shown,
        &format!("'. Try {container} HELP."),
    )
}

/// What a directive that opens a danger says to this client: `yes`, `no`, or `local` for those on this
/// machine.
fn opens_to(choice: &str, cx: &mut Cx<'_>) -> bool {
    match choice {
        "yes" => true,
        "local" => is_local(cx),
        _ => false,
    }
}

fn is_local(cx: &mut Cx<'_>) -> bool {
    let session = cx.session();
    session
        .flags
        .intersects(SessionFlags::UNIX_SOCKET.union(SessionFlags::INTERNAL))
        || session.addr.starts_with("127.")
        || session.addr.starts_with("[::1]:")
        || session.addr.starts_with("::1:")
}
