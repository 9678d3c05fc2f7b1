//! Strings: SET and its older forms, GET and its relatives, counters, parts of strings, LCS.
//!
//! ```text
//! set    SET SETNX SETEX PSETEX GETSET MSET MSETNX        count  INCR DECR INCRBY DECRBY INCRBYFLOAT
//! get    GET MGET GETEX GETDEL STRLEN                     range  APPEND GETRANGE SUBSTR SETRANGE
//! expiry the EX, PX, EXAT and PXAT of SET and GETEX       lcs    LCS
//! ```
//!
//! Not here: how strings are stored (`keyspace::entry`), what LCS computes (`value::lcs`), long doubles (`base`).

pub mod count;
mod expiry;
pub mod get;
pub mod lcs;
pub mod range;
pub mod set;

use crate::resp::Reply;
use crate::value::string::StringRef;

/// Replies with a string, or with no value.
#[inline]
fn reply_text(reply: &mut Reply<'_>, text: Option<StringRef<'_>>) {
    match text {
        Some(StringRef::Bytes(bytes)) => reply.bulk(bytes),
        Some(StringRef::Int(n)) => reply.bulk_int(n),
        None => reply.null(),
    }
}

#[cfg(test)]
mod tests;
