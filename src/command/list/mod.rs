//! Lists: adding and removing at both ends, reading and changing inside, moving from list to list, waiting for one.
//!
//! ```text
//! push   LPUSH RPUSH LPUSHX RPUSHX          move_end  LMOVE RPOPLPUSH BLMOVE BRPOPLPUSH
//! pop    LPOP RPOP LMPOP                    read      LLEN LRANGE LINDEX LPOS
//! wait   BLPOP BRPOP BLMPOP                 change    LSET LINSERT LREM LTRIM
//! ```
//!
//! Not here: how lists are stored (`value::list`), how clients wait (`command::blocking` and `exec`).

pub mod change;
pub mod move_end;
pub mod pop;
pub mod push;
pub mod read;
#[cfg(test)]
mod tests;
pub mod wait;

use std::ops::RangeInclusive;

use crate::ds::listpack::Item;
use crate::ds::quicklist::End;
use crate::resp::Reply;

use super::args::Args;
use super::error::Error;
use super::row::Arg;

/// `LEFT|RIGHT` in a row's arguments.
const SIDES: &[Arg] = &[Arg::flag("left", "LEFT"), Arg::flag("right", "RIGHT")];

/// Replies with an element.
#[inline]
fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(value) => reply.bulk_int(value),
    }
}

/// Word `index`, `LEFT` or `RIGHT`, as an end.
fn end_at(args: Args<'_>, index: usize) -> Result<End, Error> {
    if args.is(index, "right") {
        Ok(End::Tail)
    } else if args.is(index, "left") {
        Ok(End::Head)
    } else {
        Err(Error::Syntax)
    }
}

/// Word `index` as an integer within `bounds`; anything else is refused with `refusal`.
fn int_or(args: Args<'_>, index: usize, bounds: RangeInclusive<i64>, refusal: Error) -> Result<i64, Error> {
    match args.int(index) {
        Ok(value) if bounds.contains(&value) => Ok(value),
        _ => Err(refusal),
    }
}

/// Word `index` as an integer that can be negated.
fn negatable(args: Args<'_>, index: usize) -> Result<i64, Error> {
    const REFUSAL: Error = Error::fixed(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    let value = args.int(index)?;
    if value == i64::MIN {
        return Err(REFUSAL);
    }
    Ok(value)
}

/// The positions a client's `start` and `stop` (inclusive, negative from the tail) mean in a list of `len`: where the
/// range begins, and how many it has.
fn resolve(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_tail = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (start, stop) = (from_tail(start).max(0), from_tail(stop).min(len - 1));
    if start > stop {
        return (0, 0);
    }
    (start as usize, (stop - start + 1) as usize)
}
