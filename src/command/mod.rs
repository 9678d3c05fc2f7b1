//! Every command: a row (all that is known about it) directly above its handler, one file or folder per Redis group.
//!
//! A handler reads as three beats: parse, act (one call into `keyspace` or `value`), reply. All parsing precedes the
//! first change, so a refused command has changed nothing. A handler sees a [`cx::Cx`]: no sockets, threads, files or
//! clocks. What only the executor can do is returned as a [`cx::Control`].
//!
//! To add a command: a row, a function, a transcript in `tests/commands/`.
//!
//! Imports: base, ds, resp, acl, config, stats, value, keyspace, session, process.

pub mod args;
pub mod bitmap;
pub mod blocking;
pub mod connection;
pub mod cx;
pub mod error;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod list;
pub mod pubsub;
pub mod row;
pub mod scan;
pub mod scripting;
pub mod server;
pub mod set;
pub mod stream;
pub mod string;
pub mod table;
#[cfg(test)]
mod testing;
pub mod transaction;
pub mod zset;

use args::Args;
use cx::{Cx, Outcome};
use error::Error;
use row::Row;

/// The families, each listing its rows.
pub const FAMILIES: &[&[Row]] = &[
    string::set::ROWS,
    string::get::ROWS,
    string::count::ROWS,
    string::range::ROWS,
    string::lcs::ROWS,
    bitmap::bits::ROWS,
    bitmap::field::ROWS,
    hyperloglog::ROWS,
    geo::add::ROWS,
    geo::position::ROWS,
    geo::search::ROWS,
    set::member::ROWS,
    set::chance::ROWS,
    set::combine::ROWS,
    list::push::ROWS,
    list::pop::ROWS,
    list::wait::ROWS,
    list::move_end::ROWS,
    list::read::ROWS,
    list::change::ROWS,
    hash::write::ROWS,
    hash::count::ROWS,
    hash::read::ROWS,
    hash::all::ROWS,
    hash::expire::ROWS,
    hash::ttl::ROWS,
    stream::add::ROWS,
    stream::trim::ROWS,
    stream::range::ROWS,
    stream::delete::ROWS,
    stream::read::ROWS,
    stream::group::ROWS,
    stream::pending::ROWS,
    stream::claim::ROWS,
    stream::info::ROWS,
    zset::add::ROWS,
    zset::query::ROWS,
    zset::range::ROWS,
    zset::revised::ROWS,
    zset::remove::ROWS,
    zset::combine::ROWS,
    zset::pop::ROWS,
    zset::chance::ROWS,
    generic::key::ROWS,
    generic::relocate::ROWS,
    generic::expire::ROWS,
    generic::ttl::ROWS,
    generic::iterate::ROWS,
    generic::object::ROWS,
    generic::sort::ROWS,
    generic::dump::ROWS,
    generic::migrate::ROWS,
    connection::handshake::ROWS,
    connection::talk::ROWS,
    connection::client::ROWS,
    transaction::ROWS,
    pubsub::subscribe::ROWS,
    pubsub::publish::ROWS,
    pubsub::ask::ROWS,
    scripting::eval::ROWS,
    scripting::script::ROWS,
    scripting::function::ROWS,
    server::ROWS,
    #[cfg(test)]
    testing::ROWS,
];

/// Handler of a row that only dispatches to its subcommands: reached when none was named.
pub fn container(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    Err(Error::Arity(
        String::from_utf8_lossy(args.get(0)).to_lowercase().into(),
    ))
}
