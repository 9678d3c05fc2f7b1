//! CLIENT: what the server knows of its connections, and what they may do to each other.
//!
//! | file | subcommands |
//! | --- | --- |
//! | `attribute` | ID GETNAME SETNAME SETINFO NO-EVICT NO-TOUCH REPLY |
//! | `list` | INFO LIST |
//! | `kill` | KILL UNBLOCK |
//! | `pause` | PAUSE UNPAUSE |
//! | `tracking` | TRACKING CACHING GETREDIR TRACKINGINFO |

pub mod attribute;
pub mod kill;
pub mod list;
pub mod pause;
pub mod tracking;

use crate::command::args::Args;
use crate::command::cx::{Cx, Outcome};
use crate::command::error::Error;
use crate::command::help;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::session::ClientClass;

/// The rows of this folder.
pub const ROWS: &[Row] = &[CLIENT];

const CLIENT: Row = Row {
    name: "client",
    summary: "Groups the commands about client connections.",
    since: "2.4.0",
    complexity: "Depends on the subcommand.",
    group: Group::Connection,
    arity: Arity::AtLeast(2),
    children: &[
        tracking::CACHING,
        attribute::GETNAME,
        tracking::GETREDIR,
        HELP,
        attribute::ID,
        list::INFO,
        kill::KILL,
        list::LIST,
        attribute::NO_EVICT,
        attribute::NO_TOUCH,
        pause::PAUSE,
        attribute::REPLY,
        attribute::SETINFO,
        attribute::SETNAME,
        tracking::TRACKING,
        tracking::TRACKINGINFO,
        kill::UNBLOCK,
        pause::UNPAUSE,
    ],
    ..Row::BASE
};

/// Flags of the subcommands about the connection itself.
const OWN: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::KEEPS_CACHING);

/// Flags of the subcommands about other connections.
const OTHERS: Flags = OWN.with(Flags::ADMIN);

/// Arguments of what is turned on and off.
const SWITCH: Arg = Arg::one_of("enabled", &[Arg::flag("on", "ON"), Arg::flag("off", "OFF")]);

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.with(Flags::STALE),
    run: client_help,
    ..Row::BASE
};

fn client_help(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    help::help(cx, &CLIENT)
}

/// A class of clients by its name, the old ones included.
fn class_by_name(name: &[u8]) -> Result<ClientClass, Error> {
    const NAMES: [(&str, ClientClass); 5] = [
        ("normal", ClientClass::Normal),
        ("replica", ClientClass::Replica),
        ("slave", ClientClass::Replica),
        ("pubsub", ClientClass::Pubsub),
        ("master", ClientClass::Master),
    ];
    let named = NAMES
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    named
        .map(|(_, class)| *class)
        .ok_or_else(|| Error::quoting("Unknown client type '", name, "'"))
}

/// More words than a subcommand with an optional last one takes.
fn too_many_words(args: Args<'_>) -> Error {
    Error::quoting(
        "unknown subcommand or wrong number of arguments for '",
        args.get(1),
        "'. Try CLIENT HELP.",
    )
}
