//! XCLAIM XAUTOCLAIM: taking over what other consumers were given.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group as Family, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::resp::Reply;
use crate::value::stream::group::{ConsumerIndex, Pending};
use crate::value::stream::{Group, Log, Stream, StreamId};

use super::propagate::Names;
use super::read::seen;
use super::{Held, ids, no_key_or_group, reply_one};

/// The rows of this file.
pub const ROWS: &[Row] = &[XCLAIM, XAUTOCLAIM];

const XCLAIM: Row = Row {
    name: "xclaim",
    summary: "Gives a consumer entries that another one has not acknowledged for some time.",
    since: "5.0.0",
    complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
    group: Family::Stream,
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    tips: &["nondeterministic_output"],
    args: &[
        Arg::key("key", 0),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("id").multiple(),
        Arg::integer("ms").token("IDLE").optional(),
        Arg::unix_time("unix-time-milliseconds").token("TIME").optional(),
        Arg::integer("count").token("RETRYCOUNT").optional(),
        Arg::flag("force", "FORCE").optional(),
        Arg::flag("justid", "JUSTID").optional(),
        Arg::string("lastid").token("LASTID").optional(),
    ],
    run: xclaim,
    ..Row::BASE
};

/// The group must exist before the other words are looked at.
fn xclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = cx.now_ms();
    require_group(cx, args)?;
    let claim = Claim::parse(args, now_ms)?;
    // The command itself is never propagated: what it did is.
    cx.keys.changes.overridden = true;
    let reply = &mut cx.reply;
    cx.keys.edit::<Held, ()>(args.key(1), |stream, edit| {
        let Stream { log, groups } = &mut **stream;
        if let Some(group) = groups.get_mut(args.get(2)) {
            claim.run(log, group, edit, reply);
        }
    })?;
    Ok(DONE)
}

/// Looks for the group.
fn require_group(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let stream = cx.keys.read_as::<Held>(args.key(1))?;
    if stream.is_some_and(|stream| stream.groups.contains(args.get(2))) {
        return Ok(());
    }
    Err(no_key_or_group(args.get(1), args.get(2)))
}

fn names(args: Args<'_>) -> Names<'_> {
    Names {
        key: args.get(1),
        group: args.get(2),
    }
}

/// XCLAIM's words.
struct Claim<'a> {
    names: Names<'a>,
    consumer: &'a [u8],
    min_idle_ms: i64,
    ids: Vec<StreamId>,
    /// What the entries are noted as delivered at.
    delivered_ms: i64,
    /// RETRYCOUNT.
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl<'a> Claim<'a> {
    fn parse(args: Args<'a>, now_ms: i64) -> Result<Claim<'a>, Error> {
        let ids: Vec<StreamId> = (5..args.len())
            .map_while(|word| StreamId::parse(args.get(word), 0))
            .collect();
        let mut claim = Claim {
            names: names(args),
            consumer: args.get(3),
            min_idle_ms: number(args, 4, "Invalid min-idle-time argument for XCLAIM")?.max(0),
            delivered_ms: now_ms,
            deliveries: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
            ids,
        };
        let mut word = 5 + claim.ids.len();
        while word < args.len() {
            word += claim.parse_option(args, word, now_ms)?;
        }
        Ok(claim)
    }

    /// Reads the option at `word`; how many words it has.
    ///
    /// Compat: a time in the future, as clocks that differ produce, means now; so does -1.
    fn parse_option(&mut self, args: Args<'_>, word: usize, now_ms: i64) -> Result<usize, Error> {
        let has_value = word + 1 < args.len();
        let past = |time: i64| {
            if (0..=now_ms).contains(&time) {
                time
            } else {
                now_ms
            }
        };
        if args.is(word, "force") {
            self.force = true;
            return Ok(1);
        }
        if args.is(word, "justid") {
            self.just_id = true;
            return Ok(1);
        }
        if args.is(word, "idle") && has_value {
            let idle_ms = number(args, word + 1, "Invalid IDLE option argument for XCLAIM")?;
            self.delivered_ms = past(now_ms.saturating_sub(idle_ms));
        } else if args.is(word, "time") && has_value {
            self.delivered_ms = past(number(args, word + 1, "Invalid TIME option argument for XCLAIM")?);
        } else if args.is(word, "retrycount") && has_value {
            let count = number(args, word + 1, "Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.deliveries = u64::try_from(count).ok();
        } else if args.is(word, "lastid") && has_value {
            self.last_id = ids::exact(args, word + 1)?;
        } else {
            return Err(Error::quoting(
                "Unrecognized XCLAIM option '",
                args.get(word),
                "'",
            ));
        }
        Ok(2)
    }

    fn run(&self, log: &Log, group: &mut Group, edit: &mut Edit<'_>, reply: &mut Reply<'_>) {
        let mut owes_last_id = self.last_id > group.last_id;
        group.last_id = group.last_id.max(self.last_id);
        let (consumer, _) = seen(group, self.consumer, edit);
        let array = reply.defer_array();
        let mut written = 0;
        for &id in &self.ids {
            let outcome = self.claim_one(log, group, edit, id, consumer);
            if outcome != Claimed::Not {
                // Each propagated claim carries the last id.
                owes_last_id = false;
                edit.noted_quietly(1);
            }
            if outcome == Claimed::Taken {
                written += 1;
                match self.just_id {
                    true => reply.bulk(&id.text()),
                    false => {
                        reply_one(reply, log, id);
                    }
                }
            }
        }
        if owes_last_id {
            self.names.has_read(edit, group);
            edit.noted_quietly(1);
        }
        reply.finish(array, written);
    }

    fn claim_one(
        &self,
        log: &Log,
        group: &mut Group,
        edit: &mut Edit<'_>,
        id: StreamId,
        consumer: ConsumerIndex,
    ) -> Claimed {
        let before = group.pending().get(&id).copied();
        if !log.contains(id) {
            return drop_missing(self.names, group, edit, id, before);
        }
        let deliveries = match before {
            None if !self.force => return Claimed::Not,
            Some(before) if is_busy(before, self.min_idle_ms, edit.now_ms) => return Claimed::Not,
            // Made by force, it counts as delivered once before this.
            before => before.map_or(1, |before| before.deliveries),
        };
        let deliveries = self
            .deliveries
            .unwrap_or_else(|| deliveries.wrapping_add(u64::from(!self.just_id)));
        let pending = Pending {
            delivered_ms: self.delivered_ms,
            deliveries,
            consumer,
        };
        take(self.names, group, edit, id, pending);
        Claimed::Taken
    }
}

/// What became of an id.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Claimed {
    /// Nothing.
    Not,
    /// The consumer has it.
    Taken,
    /// It was pending, but the entry is deleted: it no longer is.
    Dropped,
}

/// Whether a pending entry was given out too recently to be taken away.
fn is_busy(pending: Pending, min_idle_ms: i64, now_ms: i64) -> bool {
    min_idle_ms != 0 && now_ms.saturating_sub(pending.delivered_ms) < min_idle_ms
}

/// Takes a deleted entry off the pending ones. Followers are told by a claim, which does the same to them.
fn drop_missing(
    names: Names<'_>,
    group: &mut Group,
    edit: &mut Edit<'_>,
    id: StreamId,
    pending: Option<Pending>,
) -> Claimed {
    let Some(pending) = pending else {
        return Claimed::Not;
    };
    names.claimed(edit, group, id, pending);
    group.acknowledge(id);
    Claimed::Dropped
}

fn take(names: Names<'_>, group: &mut Group, edit: &mut Edit<'_>, id: StreamId, pending: Pending) {
    group.assign(id, pending);
    group.consumer_mut(pending.consumer).active_ms = edit.now_ms;
    names.claimed(edit, group, id, pending);
}

fn number(args: Args<'_>, word: usize, refusal: &str) -> Result<i64, Error> {
    args.int(word).map_err(|_| Error::err(refusal))
}

const XAUTOCLAIM: Row = Row {
    name: "xautoclaim",
    summary: "Gives a consumer what others of its group have not acknowledged for some time, page by page.",
    since: "6.2.0",
    complexity: "O(1) if COUNT is small.",
    group: Family::Stream,
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    tips: &["nondeterministic_output"],
    history: &[(
        "7.0.0",
        "The reply ends with the ids of deleted entries that are no longer pending.",
    )],
    args: &[
        Arg::key("key", 0),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("start"),
        Arg::integer("count").token("COUNT").optional(),
        Arg::flag("justid", "JUSTID").optional(),
    ],
    run: xautoclaim,
    ..Row::BASE
};

/// The key is looked at first (it may be past its time), but spoken of last.
fn xautoclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let found = require_group(cx, args);
    let page = Page::parse(args)?;
    found?;
    // The command itself is never propagated: what it did is.
    cx.keys.changes.overridden = true;
    let reply = &mut cx.reply;
    cx.keys.edit::<Held, ()>(args.key(1), |stream, edit| {
        let Stream { log, groups } = &mut **stream;
        if let Some(group) = groups.get_mut(args.get(2)) {
            page.run(log, group, edit, reply);
        }
    })?;
    Ok(DONE)
}

/// XAUTOCLAIM's words.
struct Page<'a> {
    names: Names<'a>,
    consumer: &'a [u8],
    min_idle_ms: i64,
    start: StreamId,
    /// Most entries of the reply.
    count: i64,
    just_id: bool,
}

impl<'a> Page<'a> {
    fn parse(args: Args<'a>) -> Result<Page<'a>, Error> {
        const COUNT_MAX: i64 = i64::MAX / 16;
        let mut page = Page {
            names: names(args),
            consumer: args.get(3),
            min_idle_ms: number(args, 4, "Invalid min-idle-time argument for XAUTOCLAIM")?.max(0),
            start: ids::start(args, 5)?,
            count: 100,
            just_id: false,
        };
        let mut word = 6;
        while word < args.len() {
            if args.is(word, "count") && word + 1 < args.len() {
                let count = args.int(word + 1).ok();
                page.count = count
                    .filter(|count| (1..=COUNT_MAX).contains(count))
                    .ok_or(Error::fixed("ERR COUNT must be > 0"))?;
                word += 2;
            } else if args.is(word, "justid") {
                page.just_id = true;
                word += 1;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(page)
    }

    /// The reply's first element is known last: the entries are put together beside it.
    fn run(&self, log: &Log, group: &mut Group, edit: &mut Edit<'_>, reply: &mut Reply<'_>) {
        /// Entries looked at for each that may be claimed: others are too busy.
        const ATTEMPTS: i64 = 10;
        let (consumer, _) = seen(group, self.consumer, edit);
        let (mut bytes, mut taken, mut dropped) = (Vec::new(), 0, Vec::new());
        let mut entries = Reply::new(&mut bytes, reply.resp3);
        let (mut attempts, mut count) = (self.count * ATTEMPTS, self.count);
        let mut cursor = Some(self.start);
        let next = loop {
            let spot = cursor.and_then(|cursor| group.pending().at_or_after(&cursor));
            let Some((&id, &before)) = spot.map(|spot| group.pending().at(spot)) else {
                break StreamId::MIN;
            };
            if attempts == 0 || count == 0 {
                break id;
            }
            attempts -= 1;
            cursor = id.next();
            if !log.contains(id) {
                drop_missing(self.names, group, edit, id, Some(before));
                dropped.push(id);
            } else if is_busy(before, self.min_idle_ms, edit.now_ms) {
                continue;
            } else {
                self.take(group, edit, id, before, consumer);
                taken += 1;
                match self.just_id {
                    true => entries.bulk(&id.text()),
                    false => {
                        reply_one(&mut entries, log, id);
                    }
                }
            }
            edit.noted_quietly(1);
            count -= 1;
        };
        reply.array(3);
        reply.bulk(&next.text());
        reply.array(taken);
        reply.raw(&bytes);
        reply.array(dropped.len());
        dropped.iter().for_each(|id| reply.bulk(&id.text()));
    }

    fn take(
        &self,
        group: &mut Group,
        edit: &mut Edit<'_>,
        id: StreamId,
        before: Pending,
        consumer: ConsumerIndex,
    ) {
        let pending = Pending {
            delivered_ms: edit.now_ms,
            deliveries: before.deliveries.wrapping_add(u64::from(!self.just_id)),
            consumer,
        };
        take(self.names, group, edit, id, pending);
    }
}
