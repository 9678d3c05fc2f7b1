//! Commands on single bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.

use std::borrow::Cow;

use crate::base::number::parse_i64;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::entry::{Entry, NewValue};
use crate::keyspace::gate::SetExpiry;
use crate::keyspace::{Key, Keyspace};
use crate::value::Value;
use crate::value::bits::{self, BitOp, BitRange, BitSet, RangeUnit};
use crate::value::string::{IntText, StringRef};

use super::{BAD_OFFSET, changed_if, string_bytes_max};

/// The rows of this file.
pub const ROWS: &[Row] = &[SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP];

/// The word before which a unit stands, in BITCOUNT and BITPOS.
const UNIT: Arg = Arg::one_of("unit", &[Arg::flag("byte", "BYTE"), Arg::flag("bit", "BIT")])
    .optional()
    .since("7.0.0");

const SETBIT: Row = Row {
    name: "setbit",
    summary: "Sets or clears a bit and returns what it was; a string too short grows.",
    since: "2.2.0",
    complexity: "O(1)",
    group: Group::Bitmap,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    args: &[Arg::key("key", 0), Arg::integer("offset"), Arg::integer("value")],
    run: setbit,
    ..Row::BASE
};

fn setbit(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let offset = parse_offset(cx, args, 2)?;
    let bit = parse_bit(args.get(3))?;
    let old = cx.keys.edit_bytes(args.key(1), "setbit", |bytes| {
        let BitSet { old, changed } = bits::setbit(bytes, offset, bit);
        (old, changed_if(changed))
    })?;
    cx.reply.int(old.into());
    Ok(DONE)
}

fn parse_offset(cx: &Cx<'_>, args: Args<'_>, word: usize) -> Result<u64, Error> {
    bits::parse_bit_offset(args.get(word), string_bytes_max(cx)).ok_or(BAD_OFFSET)
}

fn parse_bit(text: &[u8]) -> Result<bool, Error> {
    match parse_i64(text) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Error::fixed("ERR bit is not an integer or out of range")),
    }
}

const GETBIT: Row = Row {
    name: "getbit",
    summary: "Returns a bit of a string.",
    since: "2.2.0",
    complexity: "O(1)",
    group: Group::Bitmap,
    arity: Arity::Exactly(3),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::integer("offset")],
    run: getbit,
    ..Row::BASE
};

fn getbit(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let offset = parse_offset(cx, args, 2)?;
    let mut scratch = IntText::default();
    let text = cx
        .keys
        .read_string(args.key(1))?
        .map_or(&b""[..], |text| text.text(&mut scratch));
    let bit = bits::getbit(text, offset);
    cx.reply.int(bit.into());
    Ok(DONE)
}

const BITCOUNT: Row = Row {
    name: "bitcount",
    summary: "Counts the set bits of a string or of a part of it.",
    since: "2.6.0",
    complexity: "O(N)",
    group: Group::Bitmap,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
    args: &[
        Arg::key("key", 0),
        Arg::block("range", &[Arg::integer("start"), Arg::integer("end"), UNIT]).optional(),
    ],
    run: bitcount,
    ..Row::BASE
};

fn bitcount(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let range = match args.len() {
        2 => BitRange::WHOLE,
        4 | 5 => {
            let (start, end) = (args.int(2)?, args.int(3)?);
            BitRange {
                start,
                end: Some(end),
                unit: parse_unit(args, 4)?,
            }
        }
        _ => return Err(Error::Syntax),
    };
    let mut scratch = IntText::default();
    let text = cx
        .keys
        .read_string(args.key(1))?
        .map_or(&b""[..], |text| text.text(&mut scratch));
    let count = bits::bitcount(text, range);
    cx.reply.int(count as i64);
    Ok(DONE)
}

/// The unit at word `at`; bytes when there is no such word.
fn parse_unit(args: Args<'_>, at: usize) -> Result<RangeUnit, Error> {
    if at >= args.len() || args.is(at, "byte") {
        Ok(RangeUnit::Byte)
    } else if args.is(at, "bit") {
        Ok(RangeUnit::Bit)
    } else {
        Err(Error::Syntax)
    }
}

const BITPOS: Row = Row {
    name: "bitpos",
    summary: "Finds the first set or clear bit of a string or of a part of it.",
    since: "2.8.7",
    complexity: "O(N)",
    group: Group::Bitmap,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
    args: &[
        Arg::key("key", 0),
        Arg::integer("bit"),
        Arg::block(
            "range",
            &[
                Arg::integer("start"),
                Arg::block("end-unit-block", &[Arg::integer("end"), UNIT]).optional(),
            ],
        )
        .optional(),
    ],
    run: bitpos,
    ..Row::BASE
};

/// A missing key is an endless row of clear bits.
fn bitpos(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::fixed("ERR The bit argument must be 1 or 0.")),
    };
    let range = parse_bitpos_range(args)?;
    let mut scratch = IntText::default();
    let found = match cx.keys.read_string(args.key(1))? {
        None => (!bit).then_some(0),
        Some(text) => bits::bitpos(text.text(&mut scratch), bit, range),
    };
    cx.reply.int(found.map_or(-1, |position| position as i64));
    Ok(DONE)
}

fn parse_bitpos_range(args: Args<'_>) -> Result<BitRange, Error> {
    match args.len() {
        3 => Ok(BitRange::WHOLE),
        len @ 4..=6 => {
            let start = args.int(3)?;
            let unit = parse_unit(args, 5)?;
            let end = (len > 4).then(|| args.int(4)).transpose()?;
            Ok(BitRange { start, end, unit })
        }
        _ => Err(Error::Syntax),
    }
}

const BITOP: Row = Row {
    name: "bitop",
    summary: "Combines strings bit by bit and stores the result.",
    since: "2.6.0",
    complexity: "O(N)",
    group: Group::Bitmap,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(2, Access::OW.with(Access::UPDATE)),
        KeySpec::range(3, -1, 1, Access::RO.with(Access::ACCESS)),
    ],
    args: &[
        Arg::one_of(
            "operation",
            &[
                Arg::flag("and", "AND"),
                Arg::flag("or", "OR"),
                Arg::flag("xor", "XOR"),
                Arg::flag("not", "NOT"),
            ],
        ),
        Arg::key("destkey", 0),
        Arg::key("key", 1).multiple(),
    ],
    run: bitop,
    ..Row::BASE
};

/// An empty result removes the destination.
fn bitop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let op = BitOp::parse(args.get(1)).ok_or(Error::Syntax)?;
    if op == BitOp::Not && args.len() > 4 {
        return Err(Error::fixed(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    for source in 3..args.len() {
        cx.keys.read_string(args.key(source))?;
    }
    let result = combine(cx.keys, op, (3..args.len()).map(|source| args.key(source)));
    let (target, len) = (args.key(2), result.len());
    if result.is_empty() {
        cx.keys.delete_stored(target, false);
    } else {
        cx.keys
            .set(target, NewValue::Value(Value::String(result)), SetExpiry::Clear);
    }
    cx.reply.int(len as i64);
    Ok(DONE)
}

/// Combines strings that were read a moment ago: no expired key is left among them.
fn combine<'k>(keys: &Keyspace, op: BitOp, sources: impl Iterator<Item = Key<'k>>) -> Vec<u8> {
    let dict = keys.here().dict();
    let text = |key: Key<'k>| match dict.find(key.hash, key.bytes).and_then(Entry::string) {
        Some(StringRef::Bytes(bytes)) => Cow::Borrowed(bytes),
        Some(number) => Cow::Owned(number.to_vec()),
        None => Cow::Borrowed(&b""[..]),
    };
    let texts: Vec<Cow<'_, [u8]>> = sources.map(text).collect();
    let slices: Vec<&[u8]> = texts.iter().map(AsRef::as_ref).collect();
    bits::bitop(op, &slices)
}
