//! Streams: appending, reading, trimming, and consumer groups.
//!
//! ```text
//! add    XADD                      read     XREAD XREADGROUP            claim  XCLAIM XAUTOCLAIM
//! trim   XTRIM, its options        group    XGROUP                      info   XINFO
//! range  XLEN XRANGE XREVRANGE     pending  XACK XPENDING
//! delete XDEL XSETID               ids      how ids are written in commands
//! ```
//!
//! What groups propagate as is in `propagate`. Not here: how streams are stored and trimmed (`value::stream`).

pub mod add;
pub mod claim;
pub mod delete;
pub mod group;
mod ids;
pub mod info;
pub mod pending;
mod propagate;
pub mod range;
pub mod read;
#[cfg(test)]
mod tests;
pub mod trim;

use crate::command::error::{Error, until_zero};
use crate::resp::Reply;
use crate::value::stream::node::Entry;
use crate::value::stream::range::Direction;
use crate::value::stream::{Log, Stream, StreamId};

/// A stream as the keyspace holds it.
type Held = Box<Stream>;

/// Replies with an entry: its id, and its names and values in turn.
fn reply_entry(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2);
    reply.bulk(&entry.id.text());
    reply.array(2 * entry.len());
    for (name, value) in entry.fields() {
        reply_item(reply, name);
        reply_item(reply, value);
    }
}

fn reply_item(reply: &mut Reply<'_>, item: crate::ds::listpack::Item<'_>) {
    match item {
        crate::ds::listpack::Item::Int(number) => reply.bulk_int(number),
        crate::ds::listpack::Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Replies with the entry of an id; whether there is one.
fn reply_one(reply: &mut Reply<'_>, log: &Log, id: StreamId) -> bool {
    let found = log.range(id, id, Direction::Forward).next();
    if let Some(entry) = &found {
        reply_entry(reply, entry);
    }
    found.is_some()
}

/// The error of a code of its own that quotes words of the client.
fn no_group(parts: &[&[u8]]) -> Error {
    let mut text = b"NOGROUP ".to_vec();
    parts
        .iter()
        .for_each(|part| text.extend_from_slice(until_zero(part)));
    Error::Text(text.into())
}

/// The key or the group is missing.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    no_group(&[b"No such key '", key, b"' or consumer group '", group, b"'"])
}

/// The group is missing, the key is there.
fn no_group_of_key(key: &[u8], group: &[u8]) -> Error {
    no_group(&[b"No such consumer group '", group, b"' for key name '", key, b"'"])
}
