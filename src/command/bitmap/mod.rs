//! Strings as arrays of bits (`bits`) and of small integers (`field`).
//!
//! Not here: the bit twiddling itself (`value::bits`, `value::bitfield`).

pub mod bits;
pub mod field;

use crate::command::cx::Cx;
use crate::command::error::Error;
use crate::keyspace::gate::Changed;

/// An offset that is no number, negative, or past the longest string.
const BAD_OFFSET: Error = Error::fixed("ERR bit offset is not an integer or out of range");

/// Longest string that commands may make, in bytes.
fn string_bytes_max(cx: &Cx<'_>) -> u64 {
    cx.config.int("proto-max-bulk-len") as u64
}

fn changed_if(changed: bool) -> Changed {
    if changed { Changed::Yes } else { Changed::No }
}
