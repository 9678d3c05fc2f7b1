//! BITFIELD: several reads and writes of small integers within one string, run in order.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::resp::Reply;
use crate::value::bitfield::{self, FieldType, Overflow};
use crate::value::string::IntText;

use super::{BAD_OFFSET, changed_if, string_bytes_max};

/// The rows of this file.
pub const ROWS: &[Row] = &[BITFIELD, BITFIELD_RO];

const GET_BLOCK: Arg =
    Arg::block("get-block", &[Arg::string("encoding"), Arg::integer("offset")]).token("GET");

const OVERFLOW_BLOCK: Arg = Arg::one_of(
    "overflow-block",
    &[
        Arg::flag("wrap", "WRAP"),
        Arg::flag("sat", "SAT"),
        Arg::flag("fail", "FAIL"),
    ],
)
.token("OVERFLOW")
.optional();

const WRITE_OPERATION: Arg = Arg::one_of(
    "write-operation",
    &[
        Arg::block(
            "set-block",
            &[
                Arg::string("encoding"),
                Arg::integer("offset"),
                Arg::integer("value"),
            ],
        )
        .token("SET"),
        Arg::block(
            "incrby-block",
            &[
                Arg::string("encoding"),
                Arg::integer("offset"),
                Arg::integer("increment"),
            ],
        )
        .token("INCRBY"),
    ],
);

const BITFIELD: Row = Row {
    name: "bitfield",
    summary: "Reads and writes integers of any width within a string.",
    since: "3.2.0",
    complexity: "O(1) for each subcommand specified",
    group: Group::Bitmap,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec {
        notes: Some("This command allows both access and modification of the key"),
        ..KeySpec::one(
            1,
            Access::RW
                .with(Access::UPDATE)
                .with(Access::ACCESS)
                .with(Access::VARIABLE_FLAGS),
        )
    }],
    args: &[
        Arg::key("key", 0),
        Arg::one_of(
            "operation",
            &[GET_BLOCK, Arg::block("write", &[OVERFLOW_BLOCK, WRITE_OPERATION])],
        )
        .multiple()
        .optional(),
    ],
    run: bitfield,
    ..Row::BASE
};

fn bitfield(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let steps = Step::parse_all(args, string_bytes_max(cx))?;
    if steps.iter().all(|step| step.act == Act::Get) {
        read(cx, args, &steps)
    } else {
        write(cx, args, &steps)
    }
}

const BITFIELD_RO: Row = Row {
    name: "bitfield_ro",
    summary: "Reads integers of any width within a string.",
    since: "6.0.0",
    complexity: "O(1) for each subcommand specified",
    group: Group::Bitmap,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), GET_BLOCK.multiple_token().optional()],
    run: bitfield_ro,
    ..Row::BASE
};

fn bitfield_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let steps = Step::parse_all(args, string_bytes_max(cx))?;
    if steps.iter().any(|step| step.act != Act::Get) {
        return Err(Error::fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read(cx, args, &steps)
}

/// One subcommand, with the OVERFLOW in force where it stands.
struct Step {
    act: Act,
    field: FieldType,
    offset: u64,
    overflow: Overflow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Get,
    Set(i64),
    IncrBy(i64),
}

impl Step {
    fn parse_all(args: Args<'_>, bytes_max: u64) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut overflow = Overflow::default();
        let mut at = 2;
        while at < args.len() {
            let operands = args.len() - at - 1;
            if args.is(at, "overflow") && operands >= 1 {
                let name = Overflow::parse(args.get(at + 1));
                overflow = name.ok_or(Error::fixed("ERR Invalid OVERFLOW type specified"))?;
                at += 2;
                continue;
            }
            let (step, words) = Step::parse(args, at, overflow, bytes_max)?;
            steps.push(step);
            at += words;
        }
        Ok(steps)
    }

    /// The subcommand at word `at`, and how many words it has.
    fn parse(args: Args<'_>, at: usize, overflow: Overflow, bytes_max: u64) -> Result<(Step, usize), Error> {
        let named = [("get", 3), ("set", 4), ("incrby", 4)];
        let (name, words) = named
            .into_iter()
            .find(|&(name, words)| args.is(at, name) && at + words <= args.len())
            .ok_or(Error::Syntax)?;
        let field = FieldType::parse(args.get(at + 1)).map_err(Error::err)?;
        let offset = bitfield::parse_field_offset(args.get(at + 2), field, bytes_max).ok_or(BAD_OFFSET)?;
        let act = match name {
            "get" => Act::Get,
            "set" => Act::Set(args.int(at + 3)?),
            _ => Act::IncrBy(args.int(at + 3)?),
        };
        Ok((
            Step {
                act,
                field,
                offset,
                overflow,
            },
            words,
        ))
    }

    /// Runs on `bytes` and replies; whether anything changed.
    fn run(&self, bytes: &mut Vec<u8>, reply: &mut Reply<'_>) -> bool {
        let Step {
            act,
            field,
            offset,
            overflow,
        } = *self;
        let (written, sought) = match act {
            Act::Get => {
                reply.int(bitfield::get(bytes, field, offset));
                return false;
            }
            Act::Set(value) => {
                let written = bitfield::set(bytes, field, offset, value, overflow);
                (written, written.map(|write| write.old))
            }
            Act::IncrBy(delta) => {
                let written = bitfield::incrby(bytes, field, offset, delta, overflow);
                (written, written.map(|write| write.new))
            }
        };
        match sought {
            Some(value) => reply.int(value),
            None => reply.null(),
        }
        written.is_some_and(|write| write.changed)
    }
}

/// Runs steps that only read; a missing key reads as zeros and stays missing.
fn read(cx: &mut Cx<'_>, args: Args<'_>, steps: &[Step]) -> Outcome {
    let mut scratch = IntText::default();
    let text = cx
        .keys
        .read_string(args.key(1))?
        .map_or(&b""[..], |text| text.text(&mut scratch));
    cx.reply.array(steps.len());
    for step in steps {
        cx.reply.int(bitfield::get(text, step.field, step.offset));
    }
    Ok(DONE)
}

/// A write that was refused for overflow may still have made the string longer, which is a change.
fn write(cx: &mut Cx<'_>, args: Args<'_>, steps: &[Step]) -> Outcome {
    let Cx { keys, reply, .. } = cx;
    keys.edit_bytes(args.key(1), "setbit", |bytes| {
        let len = bytes.len();
        reply.array(steps.len());
        let mut changed = false;
        for step in steps {
            changed |= step.run(bytes, reply);
        }
        ((), changed_if(changed || bytes.len() != len))
    })?;
    Ok(DONE)
}
