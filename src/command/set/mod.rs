//! Commands on sets.
//!
//! | file | commands |
//! | --- | --- |
//! | `member` | SADD SREM SISMEMBER SMISMEMBER SCARD SMEMBERS SMOVE SSCAN |
//! | `chance` | SPOP SRANDMEMBER |
//! | `combine` | SINTER SINTERCARD SINTERSTORE SUNION SUNIONSTORE SDIFF SDIFFSTORE |

pub mod chance;
pub mod combine;
pub mod member;
#[cfg(test)]
mod tests;

use crate::resp::Reply;
use crate::value::set::Member;

/// Writes a member as a bulk string.
#[inline]
fn reply_member(reply: &mut Reply<'_>, member: Member<'_>) {
    match member {
        Member::Bytes(text) => reply.bulk(text),
        Member::Int(value) => reply.bulk_int(value),
    }
}
