//! Parts of strings: appending, reading and overwriting ranges of bytes.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::keyspace::gate::{Changed, NewString};
use crate::value::range::normalize_range;
use crate::value::string::{self, IntText, StringRef};

/// The rows of this file.
pub const ROWS: &[Row] = &[APPEND, GETRANGE, SUBSTR, SETRANGE];

const APPEND: Row = Row {
    name: "append",
    summary: "Appends bytes to a string, which starts empty when the key is missing.",
    since: "2.0.0",
    complexity: "O(N) in the bytes appended, amortized: a string that has to move gets room to grow.",
    group: Group::String,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    args: &[Arg::key("key", 0), Arg::string("value")],
    run: append,
    ..Row::BASE
};

fn append(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, tail) = (args.key(1), args.get(2));
    let len = match cx.keys.peek_string(key)?.map(StringRef::len) {
        None => create(cx, key, tail)?,
        Some(old) => {
            check_len(cx, old as u64, tail.len())?;
            extend(cx, key, tail)?
        }
    };
    cx.reply.int(len as i64);
    Ok(DONE)
}

/// What is appended to nothing is stored as SET would store it.
fn create(cx: &mut Cx<'_>, key: Key<'_>, text: &[u8]) -> Result<usize, Error> {
    cx.keys.edit_string(key, "append", |_| {
        Ok::<_, Error>(match string::encode(text) {
            StringRef::Int(n) => NewString::Int(n),
            StringRef::Bytes(bytes) => NewString::Text(bytes.to_vec()),
        })
    })?;
    Ok(text.len())
}

fn extend(cx: &mut Cx<'_>, key: Key<'_>, tail: &[u8]) -> Result<usize, Error> {
    let len = cx.keys.edit_bytes(key, "append", |bytes| {
        bytes.extend_from_slice(tail);
        (bytes.len(), Changed::Yes)
    })?;
    Ok(len)
}

/// Whether a string may have `start + added` bytes.
fn check_len(cx: &Cx<'_>, start: u64, added: usize) -> Result<(), Error> {
    let len = start
        .checked_add(added as u64)
        .and_then(|len| i64::try_from(len).ok());
    match len {
        Some(len) if len <= cx.config.int("proto-max-bulk-len") => Ok(()),
        _ => Err(Error::StringTooLong),
    }
}

const GETRANGE: Row = Row {
    name: "getrange",
    summary: "Returns the bytes of a string between two positions.",
    since: "2.4.0",
    complexity: "O(N) where N is the length of the returned string.",
    group: Group::String,
    arity: Arity::Exactly(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::integer("start"), Arg::integer("end")],
    run: getrange,
    ..Row::BASE
};

fn getrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let mut scratch = IntText::default();
    let text = cx
        .keys
        .read_string(args.key(1))?
        .map_or(&b""[..], |text| text.text(&mut scratch));
    let part = normalize_range(start, end, text.len()).map_or(&b""[..], |range| &text[range]);
    cx.reply.bulk(part);
    Ok(DONE)
}

const SUBSTR: Row = Row {
    name: "substr",
    summary: "Returns the bytes of a string between two positions.",
    since: "1.0.0",
    deprecated: Some(("2.0.0", "`GETRANGE`")),
    ..GETRANGE
};

const SETRANGE: Row = Row {
    name: "setrange",
    summary: "Overwrites bytes of a string from a position on, filling a gap with zero bytes.",
    since: "2.2.0",
    complexity: "O(N) where N is the length of the value, not counting a string that has to move to grow.",
    group: Group::String,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    args: &[Arg::key("key", 0), Arg::integer("offset"), Arg::string("value")],
    run: setrange,
    ..Row::BASE
};

/// An empty value changes nothing and creates no key.
fn setrange(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, patch) = (args.key(1), args.get(3));
    let offset = u64::try_from(args.int(2)?).map_err(|_| Error::fixed("ERR offset is out of range"))?;
    let mut len = cx.keys.peek_string(key)?.map_or(0, StringRef::len);
    if !patch.is_empty() {
        check_len(cx, offset, patch.len())?;
        len = cx.keys.edit_bytes(key, "setrange", |bytes| {
            overwrite(bytes, offset as usize, patch);
            (bytes.len(), Changed::Yes)
        })?;
    }
    cx.reply.int(len as i64);
    Ok(DONE)
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, patch: &[u8]) {
    let end = offset + patch.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(patch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwriting_past_the_end_fills_the_gap_with_zeros() {
        let mut bytes = b"ab".to_vec();
        overwrite(&mut bytes, 1, b"X");
        assert_eq!(bytes, b"aX");
        overwrite(&mut bytes, 4, b"Y");
        assert_eq!(bytes, b"aX\0\0Y");
    }
}
