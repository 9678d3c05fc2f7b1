//! DUMP RESTORE: a value as bytes that carry their own version and checksum, and back. The format is the executor's
//! business (`exec/payload.rs`): it belongs to persistence.

use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome, RestoreRequest};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Categories, Flags, Group, KeySpec, Row};

/// The rows of this file.
pub const ROWS: &[Row] = &[DUMP, RESTORE];

const DUMP: Row = Row {
    name: "dump",
    summary: "Returns a key's value in a form that RESTORE takes.",
    since: "2.6.0",
    complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects \
        composing the value and M their average size. For small string values the time complexity is thus \
        O(1)+O(1*M) where M is small, so simply O(1).",
    group: Group::Generic,
    arity: Arity::Exactly(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    args: &[Arg::key("key", 0)],
    run: dump,
    ..Row::BASE
};

fn dump(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if cx.keys.read(args.key(1)).is_none() {
        cx.reply.null();
        return Ok(DONE);
    }
    Ok(Next::Control(Control::Dump(args.get(1).into())))
}

const RESTORE: Row = Row {
    name: "restore",
    summary: "Creates a key from what DUMP returned.",
    since: "2.6.0",
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the \
        number of Redis objects composing the value and M their average size. For small string values the time \
        complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the \
        complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
    group: Group::Generic,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    categories: Categories::DANGEROUS,
    keys: &[KeySpec::one(1, Access::OW.with(Access::UPDATE))],
    history: &[
        ("3.0.0", "Added the `REPLACE` modifier."),
        ("5.0.0", "Added the `ABSTTL` modifier."),
        ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
    ],
    args: &[
        Arg::key("key", 0),
        Arg::integer("ttl"),
        Arg::string("serialized-value"),
        Arg::flag("replace", "REPLACE").optional().since("3.0.0"),
        Arg::flag("absttl", "ABSTTL").optional().since("5.0.0"),
        Arg::integer("seconds")
            .token("IDLETIME")
            .optional()
            .since("5.0.0"),
        Arg::integer("frequency").token("FREQ").optional().since("5.0.0"),
    ],
    run: restore,
    ..Row::BASE
};

const BUSY: Error = Error::fixed("BUSYKEY Target key name already exists.");
const INVALID_TTL: Error = Error::fixed("ERR Invalid TTL value, must be >= 0");
const INVALID_IDLETIME: Error = Error::fixed("ERR Invalid IDLETIME value, must be >= 0");
const INVALID_FREQ: Error = Error::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");

fn restore(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut request = options(args)?;
    if !request.replaces && cx.keys.exists(args.key(1)) {
        return Err(BUSY);
    }
    let ttl_ms = args.int(2)?;
    if ttl_ms < 0 {
        return Err(INVALID_TTL);
    }
    if ttl_ms > 0 {
        let base = if request.absolute { 0 } else { cx.now_ms() };
        request.expire_at = Some(ttl_ms.saturating_add(base));
    }
    Ok(Next::Control(Control::Restore(Box::new(request))))
}

fn options(args: Args<'_>) -> Result<RestoreRequest, Error> {
    let mut request = RestoreRequest {
        key: args.get(1).into(),
        payload: args.get(3).into(),
        ..RestoreRequest::default()
    };
    let mut index = 4;
    while index < args.len() {
        let has_value = index + 1 < args.len();
        if args.is(index, "replace") {
            request.replaces = true;
        } else if args.is(index, "absttl") {
            request.absolute = true;
        } else if args.is(index, "idletime") && has_value && request.frequency.is_none() {
            index += 1;
            let seconds = args.int(index)?;
            let seconds = u32::try_from(seconds.min(i64::from(u32::MAX))).map_err(|_| INVALID_IDLETIME)?;
            request.idle_seconds = Some(seconds);
        } else if args.is(index, "freq") && has_value && request.idle_seconds.is_none() {
            index += 1;
            request.frequency = Some(u8::try_from(args.int(index)?).map_err(|_| INVALID_FREQ)?);
        } else {
            return Err(Error::Syntax);
        }
        index += 1;
    }
    Ok(request)
}
