//! Commands on HyperLogLogs, which are strings: PFADD, PFCOUNT, PFMERGE, and two for testing.
//!
//! Not here: registers and their encodings (`value::hyperloglog`).

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Begin, Find, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::keyspace::gate::Changed;
use crate::value::hyperloglog::{self as hll, Encoding, Refused, Registers};
use crate::value::string::StringRef;

/// The rows of this file.
pub const ROWS: &[Row] = &[PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST];

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::NotHyperLogLog => Error::fixed("WRONGTYPE Key is not a valid HyperLogLog string value."),
            Refused::Corrupt => Error::fixed("INVALIDOBJ Corrupted HLL object detected"),
        }
    }
}

/// A string's bytes; a number is no HyperLogLog.
fn bytes_of(string: StringRef<'_>) -> Result<&[u8], Refused> {
    match string {
        StringRef::Bytes(bytes) => Ok(bytes),
        StringRef::Int(_) => Err(Refused::NotHyperLogLog),
    }
}

/// Refuses a key that holds something else; what it holds is in this encoding.
fn check(cx: &mut Cx<'_>, key: Key<'_>) -> Result<Option<Encoding>, Error> {
    let string = cx.keys.peek_string(key)?;
    Ok(string
        .map(|string| hll::encoding(bytes_of(string)?))
        .transpose()?)
}

fn sparse_bytes_max(cx: &Cx<'_>) -> usize {
    cx.keys.limits.hll_sparse_max_bytes
}

const PFADD: Row = Row {
    name: "pfadd",
    summary: "Adds elements to a HyperLogLog, which is created when the key is missing.",
    since: "2.8.9",
    complexity: "O(1) for each element.",
    group: Group::Hyperloglog,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::INSERT))],
    args: &[Arg::key("key", 0), Arg::string("element").optional().multiple()],
    run: pfadd,
    ..Row::BASE
};

fn pfadd(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (key, sparse_max) = (args.key(1), sparse_bytes_max(cx));
    check(cx, key)?;
    let added = cx.keys.edit_bytes(key, "pfadd", |bytes| {
        let added = hll::add(bytes, args.iter_from(2), sparse_max);
        (added, changed_if(added.is_ok_and(|count| count > 0)))
    })??;
    // The gate has counted one change.
    cx.keys.changes.dirty += added.saturating_sub(1) as u64;
    cx.reply.int(i64::from(added > 0));
    Ok(DONE)
}

fn changed_if(changed: bool) -> Changed {
    if changed { Changed::Yes } else { Changed::No }
}

const PFCOUNT: Row = Row {
    name: "pfcount",
    summary: "Estimates how many different elements were added to a HyperLogLog, or to the union of several.",
    since: "2.8.9",
    complexity: "O(1) for one key whose count is cached; O(N) for N keys, with a large constant.",
    group: Group::Hyperloglog,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::MAY_REPLICATE),
    keys: &[KeySpec {
        begin: Begin::Index(1),
        find: Find::Range {
            last: -1,
            step: 1,
            limit: 0,
        },
        access: Access::RW.with(Access::ACCESS),
        notes: Some(
            "RW because it may change the internal representation of the key, and propagate to replicas",
        ),
    }],
    args: &[Arg::key("key", 0).multiple()],
    run: pfcount,
    ..Row::BASE
};

fn pfcount(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = match args.len() {
        2 => count_one(cx, args.key(1))?,
        _ => union(cx, args)?.0.count(),
    };
    cx.reply.int(count as i64);
    Ok(DONE)
}

/// The count as cached, or counted and cached: a change that replicas hear of.
fn count_one(cx: &mut Cx<'_>, key: Key<'_>) -> Result<u64, Error> {
    let Some(string) = cx.keys.read_string(key)? else {
        return Ok(0);
    };
    let bytes = bytes_of(string)?;
    if let Some(count) = hll::cached_count(bytes)? {
        return Ok(count);
    }
    let count = hll::count(bytes)?;
    cx.keys
        .amend_bytes(key, |bytes| (hll::cache_count(bytes, count), Changed::Yes))?;
    let db = cx.keys.selected();
    cx.keys.changes.instead(db, &[b"PFCOUNT", key.bytes]);
    Ok(count)
}

/// The union of all keys from word 1 on, and whether any of them is dense.
fn union(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(Registers, bool), Error> {
    let mut registers = Registers::default();
    let mut any_dense = false;
    for word in 1..args.len() {
        if let Some(string) = cx.keys.read_string(args.key(word))? {
            any_dense |= registers.merge(bytes_of(string)?)? == Encoding::Dense;
        }
    }
    Ok((registers, any_dense))
}

const PFMERGE: Row = Row {
    name: "pfmerge",
    summary: "Stores the union of HyperLogLogs.",
    since: "2.8.9",
    complexity: "O(N) for N keys, with a large constant.",
    group: Group::Hyperloglog,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(1, Access::RW.with(Access::ACCESS).with(Access::INSERT)),
        KeySpec::range(2, -1, 1, Access::RO.with(Access::ACCESS)),
    ],
    args: &[
        Arg::key("destkey", 0),
        Arg::key("sourcekey", 1).optional().multiple(),
    ],
    run: pfmerge,
    ..Row::BASE
};

/// The destination is one of the sources. A dense source makes it dense.
fn pfmerge(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (registers, dense) = union(cx, args)?;
    let sparse_max = sparse_bytes_max(cx);
    cx.keys.edit_bytes(args.key(1), "pfadd", |bytes| {
        let stored = registers.store(bytes, dense, sparse_max);
        (stored, Changed::Yes)
    })??;
    cx.reply.ok();
    Ok(DONE)
}

const PFDEBUG: Row = Row {
    name: "pfdebug",
    summary: "Shows or changes how a HyperLogLog is stored, for tests.",
    since: "2.8.9",
    complexity: "N/A",
    group: Group::Hyperloglog,
    arity: Arity::Exactly(3),
    flags: Flags::WRITE
        .with(Flags::DENY_OOM)
        .with(Flags::ADMIN)
        .with(Flags::SYSCMD)
        .with(Flags::IN_LOG),
    keys: &[KeySpec::one(2, Access::RW.with(Access::ACCESS))],
    args: &[Arg::string("subcommand"), Arg::key("key", 0)],
    run: pfdebug,
    ..Row::BASE
};

fn pfdebug(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let key = args.key(2);
    let Some(encoding) = check(cx, key)? else {
        return Err(Error::fixed("ERR The specified key does not exist"));
    };
    match args.get(1).to_ascii_lowercase().as_slice() {
        b"getreg" => show_registers(cx, key)?,
        b"decode" => decode(cx, key)?,
        b"encoding" => cx.reply.simple(encoding.name()),
        b"todense" => {
            let converted = make_dense(cx, key)?;
            cx.reply.int(converted.into());
        }
        _ => return Err(Error::quoting("Unknown PFDEBUG subcommand '", args.get(1), "'")),
    }
    Ok(DONE)
}

/// Compat: looking at the registers makes them dense.
fn show_registers(cx: &mut Cx<'_>, key: Key<'_>) -> Result<(), Error> {
    make_dense(cx, key)?;
    let mut registers = Registers::default();
    if let Some(string) = cx.keys.peek_string(key)? {
        registers.merge(bytes_of(string)?)?;
    }
    cx.reply.array(registers.values().len());
    for &value in registers.values() {
        cx.reply.int(value.into());
    }
    Ok(())
}

fn decode(cx: &mut Cx<'_>, key: Key<'_>) -> Result<(), Error> {
    let string = cx.keys.peek_string(key)?;
    let runs = string.map(|string| hll::decode(bytes_of(string)?)).transpose()?;
    match runs.flatten() {
        Some(runs) => cx.reply.bulk(runs.as_bytes()),
        None => return Err(Error::fixed("ERR HLL encoding is not sparse")),
    }
    Ok(())
}

/// Whether it was sparse until now.
fn make_dense(cx: &mut Cx<'_>, key: Key<'_>) -> Result<bool, Error> {
    if check(cx, key)? != Some(Encoding::Sparse) {
        return Ok(false);
    }
    let densified = cx.keys.amend_bytes(key, |bytes| {
        let densified = hll::densify(bytes);
        (densified, changed_if(densified == Ok(true)))
    })?;
    Ok(densified.transpose()?.unwrap_or_default())
}

const PFSELFTEST: Row = Row {
    name: "pfselftest",
    summary: "Checks the implementation of HyperLogLogs, for tests.",
    since: "2.8.9",
    complexity: "N/A",
    group: Group::Hyperloglog,
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::SYSCMD),
    run: pfselftest,
    ..Row::BASE
};

fn pfselftest(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let sparse_max = sparse_bytes_max(cx);
    hll::self_test(cx.rng, sparse_max).map_err(Error::err)?;
    cx.reply.ok();
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{effects, propagates};

    #[test]
    fn each_register_that_changes_counts_as_a_change() {
        assert_eq!(effects("pfadd k"), (vec!["verbatim".into()], vec!["pfadd"], 1));
        assert_eq!(effects("pfadd k ; pfadd k a b c").2, 3);
        assert_eq!(effects("pfadd k a ; pfadd k a"), (vec![], vec![], 0));
        assert_eq!(effects("pfadd k a ; pfmerge d k").1, ["pfadd"]);
    }

    #[test]
    fn a_count_propagates_once_it_has_been_computed() {
        propagates("pfadd k a ; pfcount k", &["PFCOUNT k"]);
        propagates("pfadd k a ; pfcount k ; pfcount k", &[]);
        propagates("pfadd k a ; pfcount k missing", &[]);
        assert!(effects("pfadd k a ; pfcount k").1.is_empty());
    }

    #[test]
    fn a_change_of_encoding_propagates_without_an_event() {
        assert_eq!(
            effects("pfadd k ; pfdebug todense k"),
            (vec!["verbatim".into()], vec![], 1)
        );
        propagates("pfadd k ; pfdebug todense k ; pfdebug getreg k", &[]);
    }
}
