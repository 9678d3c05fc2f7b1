//! HGETALL HKEYS HVALS HSCAN HRANDFIELD: fields that are not asked for by name.

use crate::command::args::{Args, DRAWS_MAX};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::command::scan::{self, Page, ScanOptions, Walked};
use crate::ds::listpack::Item;
use crate::resp::Reply;
use crate::value::hash::{Field, Hash, Sample};

use super::{reply_item, reply_optional};

/// The rows of this file.
pub const ROWS: &[Row] = &[HGETALL, HKEYS, HVALS, HSCAN, HRANDFIELD];

const READER: Row = Row {
    since: "2.0.0",
    complexity: "O(N) where N is the size of the hash.",
    group: Group::Hash,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output_order"],
    args: &[Arg::key("key", 0)],
    ..Row::BASE
};

const HGETALL: Row = Row {
    name: "hgetall",
    summary: "Returns all fields of a hash with their values.",
    run: |cx, args| {
        list(
            cx,
            args,
            |reply, count| reply.map(count),
            |reply, field| {
                reply_item(reply, field.name);
                reply_item(reply, field.value);
            },
        )
    },
    ..READER
};

const HKEYS: Row = Row {
    name: "hkeys",
    summary: "Returns the names of all fields of a hash.",
    run: |cx, args| {
        list(
            cx,
            args,
            |reply, count| reply.array(count),
            |reply, field| reply_item(reply, field.name),
        )
    },
    ..READER
};

const HVALS: Row = Row {
    name: "hvals",
    summary: "Returns the values of all fields of a hash.",
    run: |cx, args| {
        list(
            cx,
            args,
            |reply, count| reply.array(count),
            |reply, field| reply_item(reply, field.value),
        )
    },
    ..READER
};

/// Replies `header`, then what `tell` makes of each field.
#[inline]
fn list(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    header: impl FnOnce(&mut Reply<'_>, usize),
    tell: impl Fn(&mut Reply<'_>, Field<'_>),
) -> Outcome {
    let due_ms = cx.keys.due_ms();
    let Some(hash) = cx.keys.read_as::<Hash>(args.key(1))? else {
        header(&mut cx.reply, 0);
        return Ok(DONE);
    };
    header(&mut cx.reply, hash.visible_len(due_ms));
    hash.visible(due_ms).for_each(|field| tell(&mut cx.reply, field));
    Ok(DONE)
}

const HSCAN: Row = Row {
    name: "hscan",
    summary: "Walks the fields of a hash, some at a time.",
    since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    arity: Arity::AtLeast(3),
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::integer("cursor"),
        Arg::pattern("pattern").token("MATCH").optional(),
        Arg::integer("count").token("COUNT").optional(),
        Arg::flag("novalues", "NOVALUES").optional(),
    ],
    run: hscan,
    ..READER
};

fn hscan(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let cursor = scan::cursor(args, 2)?;
    let due_ms = cx.keys.due_ms();
    let mut page = Page::default();
    let Some(hash) = cx.keys.read_as::<Hash>(args.key(1))? else {
        page.write(&mut cx.reply, 0);
        return Ok(DONE);
    };
    let options = ScanOptions::parse(args, 3, Walked::Fields)?;
    let mut scratch = Vec::new();
    let next = options.walk(cursor, |cursor| {
        let mut seen = 0;
        let next = hash.scan(cursor, &mut |field| {
            seen += 1;
            if !field.is_due(due_ms) {
                add(&mut page, &options, field, &mut scratch);
            }
        });
        (next, seen)
    });
    page.write(&mut cx.reply, next);
    Ok(DONE)
}

/// Adds a field that the options admit.
fn add(page: &mut Page, options: &ScanOptions<'_>, field: Field<'_>, scratch: &mut Vec<u8>) {
    if !options.admits(text(field.name, scratch)) {
        return;
    }
    page.push(text(field.name, scratch));
    if !options.names_only {
        page.push(text(field.value, scratch));
    }
}

/// The text of an element, numbers written into `scratch`.
fn text<'a>(item: Item<'a>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    match item {
        Item::Bytes(text) => text,
        Item::Int(_) => {
            scratch.clear();
            item.write_to(scratch);
            scratch
        }
    }
}

const HRANDFIELD: Row = Row {
    name: "hrandfield",
    summary: "Returns random fields of a hash.",
    since: "6.2.0",
    complexity: "O(N) where N is the number of fields returned",
    arity: Arity::AtLeast(2),
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::block(
            "options",
            &[
                Arg::integer("count"),
                Arg::flag("withvalues", "WITHVALUES").optional(),
            ],
        )
        .optional(),
    ],
    run: hrandfield,
    ..READER
};

fn hrandfield(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 2 {
        return hrandfield_many(cx, args);
    }
    let (key, due_ms) = (args.key(1), cx.keys.due_ms());
    cx.keys.forget_all_due_fields(key);
    let hash = cx.keys.read_as::<Hash>(key)?;
    let field = hash.and_then(|hash| hash.random(due_ms, cx.rng));
    reply_optional(&mut cx.reply, field.map(|field| field.name));
    Ok(DONE)
}

fn hrandfield_many(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (sample, with_values) = parse_sample(args)?;
    let (key, due_ms) = (args.key(1), cx.keys.due_ms());
    let reply_bytes_max = cx.reply_bytes_max();
    cx.keys.forget_all_due_fields(key);
    let Some(hash) = cx.keys.read_as::<Hash>(key)? else {
        cx.reply.array(0);
        return Ok(DONE);
    };
    let (reply, visible) = (&mut cx.reply, hash.visible_len(due_ms));
    let count = match sample {
        Sample::Distinct(count) => count.min(visible),
        Sample::Repeated(_) if visible == 0 => 0,
        // Where output is limited, that ends it.
        Sample::Repeated(count) if count as u64 > DRAWS_MAX && reply_bytes_max == usize::MAX => {
            return Err(Error::OutOfRange);
        }
        Sample::Repeated(count) => count,
    };
    // Compat: RESP3 has an array of pairs, not a map: a field may come more than once.
    let nested = with_values && reply.resp3;
    let flat = with_values && !nested;
    reply.array(if flat { count.saturating_mul(2) } else { count });
    for part in portions(sample, count) {
        if reply.out.len() > reply_bytes_max {
            break;
        }
        hash.sample(part, due_ms, cx.rng, &mut |field| {
            if nested {
                reply.array(2);
            }
            reply_item(reply, field.name);
            if with_values {
                reply_item(reply, field.value);
            }
        });
    }
    Ok(DONE)
}

/// A sample in parts: one that repeats fields may be longer than any client is sent.
fn portions(sample: Sample, count: usize) -> impl Iterator<Item = Sample> {
    const DRAWS: usize = 64 * 1024;
    let step = match sample {
        Sample::Distinct(_) => count.max(1),
        Sample::Repeated(_) => DRAWS,
    };
    (0..count).step_by(step).map(move |done| match sample {
        Sample::Distinct(_) => sample,
        Sample::Repeated(_) => Sample::Repeated(step.min(count - done)),
    })
}

/// Count and WITHVALUES.
fn parse_sample(args: Args<'_>) -> Result<(Sample, bool), Error> {
    const NOT_NEGATABLE: Error = Error::fixed(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(NOT_NEGATABLE);
    }
    let with_values = args.len() > 3;
    if args.len() > 4 || with_values && !args.is(3, "withvalues") {
        return Err(Error::Syntax);
    }
    // Compat: twice as many elements must be countable.
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::OutOfRange);
    }
    let sample = match usize::try_from(count) {
        Ok(count) => Sample::Distinct(count),
        Err(_) => Sample::Repeated(count.unsigned_abs() as usize),
    };
    Ok((sample, with_values))
}
