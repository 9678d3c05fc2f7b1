//! Hashes: fields with values under one key, and times when fields expire.
//!
//! ```text
//! write.rs   HSET HMSET HSETNX HDEL                  count.rs   HINCRBY HINCRBYFLOAT
//! read.rs    HGET HMGET HEXISTS HSTRLEN HLEN         all.rs     HGETALL HKEYS HVALS HSCAN HRANDFIELD
//! expire.rs  HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT   ttl.rs     HTTL HPTTL HEXPIRETIME HPEXPIRETIME HPERSIST
//! ```
//!
//! A field that is due is seen by no command but HLEN and HDEL. Commands that name it, and HRANDFIELD, remove it.

pub mod all;
pub mod count;
pub mod expire;
pub mod read;
#[cfg(test)]
mod tests;
pub mod ttl;
pub mod write;

use crate::command::args::Args;
use crate::command::error::Error;
use crate::ds::listpack::Item;
use crate::resp::Reply;

/// Replies a field's name or value.
#[inline]
fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(number) => reply.bulk_int(number),
        Item::Bytes(text) => reply.bulk(text),
    }
}

/// Replies a value, or that there is none.
#[inline]
fn reply_optional(reply: &mut Reply<'_>, item: Option<Item<'_>>) {
    match item {
        Some(item) => reply_item(reply, item),
        None => reply.null(),
    }
}

/// The fields named at the end of a command: `FIELDS count field [field ...]`.
#[derive(Clone, Copy)]
struct Names {
    first: usize,
}

impl Names {
    /// Reads the clause at word `at`; `bad_count` is the refusal of a count that is no positive integer.
    fn parse(args: Args<'_>, at: usize, bad_count: Error) -> Result<Names, Error> {
        const MISSING: Error =
            Error::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
        const MISMATCH: Error =
            Error::fixed("ERR The `numfields` parameter must match the number of arguments");
        if !args.is(at, "fields") {
            return Err(MISSING);
        }
        let count = args.int(at + 1).ok().and_then(|n| usize::try_from(n).ok());
        let count = count.filter(|&n| n > 0).ok_or(bad_count)?;
        let names = Names { first: at + 2 };
        if count == names.count(args) {
            Ok(names)
        } else {
            Err(MISMATCH)
        }
    }

    fn count(self, args: Args<'_>) -> usize {
        args.len() - self.first
    }

    fn iter(self, args: Args<'_>) -> impl Iterator<Item = &[u8]> {
        args.iter_from(self.first)
    }
}
