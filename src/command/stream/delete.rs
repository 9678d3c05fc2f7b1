//! XDEL XSETID: entries by id, and the ids a stream remembers.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::value::stream::{Log, StreamId};

use super::{Held, ids};

/// The rows of this file.
pub const ROWS: &[Row] = &[XDEL, XSETID];

const XDEL: Row = Row {
    name: "xdel",
    summary: "Removes entries from a stream by their ids.",
    since: "5.0.0",
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
    group: Group::Stream,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    args: &[Arg::key("key", 0), Arg::string("id").multiple()],
    run: xdel,
    ..Row::BASE
};

/// Without the key the ids are not looked at.
fn xdel(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let delete = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<u64, Error> {
        let ids = ids::exact_from(args, 2)?;
        let deleted = stream.log.delete(&ids);
        if deleted > 0 {
            edit.changed("xdel", deleted);
        }
        Ok(deleted)
    };
    let deleted = cx.keys.edit(args.key(1), delete)?.transpose()?;
    cx.reply.int(deleted.unwrap_or(0) as i64);
    Ok(DONE)
}

const XSETID: Row = Row {
    name: "xsetid",
    summary: "Sets what a stream remembers of its ids; for replication.",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Stream,
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    history: &[(
        "7.0.0",
        "The number of entries added and the greatest id removed.",
    )],
    args: &[
        Arg::key("key", 0),
        Arg::string("last-id"),
        Arg::integer("entries-added")
            .token("ENTRIESADDED")
            .optional()
            .since("7.0.0"),
        Arg::string("max-deleted-id")
            .token("MAXDELETEDID")
            .optional()
            .since("7.0.0"),
    ],
    run: xsetid,
    ..Row::BASE
};

fn xsetid(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let memory = Remembered::parse(args)?;
    let set = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<(), Error> {
        memory.check(&stream.log)?;
        memory.apply(&mut stream.log);
        edit.noted("xsetid", 1);
        Ok(())
    };
    cx.keys.edit(args.key(1), set)?.ok_or(Error::NoSuchKey)??;
    cx.reply.ok();
    Ok(DONE)
}

/// What XSETID makes a stream remember.
struct Remembered {
    last_id: StreamId,
    entries_added: Option<u64>,
    max_deleted_id: StreamId,
}

impl Remembered {
    fn parse(args: Args<'_>) -> Result<Remembered, Error> {
        const NEGATIVE: Error = Error::fixed("ERR entries_added must be positive");
        const DELETED_ABOVE: Error =
            Error::fixed("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
        let mut memory = Remembered {
            last_id: ids::exact(args, 2)?,
            entries_added: None,
            max_deleted_id: StreamId::MIN,
        };
        for word in (3..args.len()).step_by(2) {
            if word + 1 < args.len() && args.is(word, "entriesadded") {
                let added = u64::try_from(args.int(word + 1)?).map_err(|_| NEGATIVE)?;
                memory.entries_added = Some(added);
            } else if word + 1 < args.len() && args.is(word, "maxdeletedid") {
                memory.max_deleted_id = ids::exact(args, word + 1)?;
                if memory.last_id < memory.max_deleted_id {
                    return Err(DELETED_ABOVE);
                }
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(memory)
    }

    /// Ids must keep ascending, and totals must not contradict the entries.
    fn check(&self, log: &Log) -> Result<(), Error> {
        if self.last_id < log.max_deleted_id {
            return Err(Error::fixed(
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
            ));
        }
        let Some(newest) = log.newest_id() else {
            return Ok(());
        };
        if self.last_id < newest {
            return Err(Error::fixed(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if self.entries_added.is_some_and(|added| added < log.len()) {
            return Err(Error::fixed(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        Ok(())
    }

    fn apply(&self, log: &mut Log) {
        log.last_id = self.last_id;
        log.entries_added = self.entries_added.unwrap_or(log.entries_added);
        if self.max_deleted_id != StreamId::MIN {
            log.max_deleted_id = self.max_deleted_id;
        }
    }
}
