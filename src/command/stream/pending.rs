//! XACK XPENDING: what a group has been given and not acknowledged.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group as Family, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::resp::Reply;
use crate::value::stream::{Group, StreamId};

use super::{Held, ids, no_key_or_group};

/// The rows of this file.
pub const ROWS: &[Row] = &[XACK, XPENDING];

const XACK: Row = Row {
    name: "xack",
    summary: "Acknowledges entries a consumer of a group was given.",
    since: "5.0.0",
    complexity: "O(1) for each message ID processed.",
    group: Family::Stream,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    args: &[
        Arg::key("key", 0),
        Arg::string("group"),
        Arg::string("id").multiple(),
    ],
    run: xack,
    ..Row::BASE
};

/// Without the key or the group the ids are not looked at; a bad one among them, and none is acknowledged.
fn xack(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let acknowledge = |stream: &mut Held, edit: &mut Edit<'_>| -> Result<usize, Error> {
        let Some(group) = stream.groups.get_mut(args.get(2)) else {
            return Ok(0);
        };
        let ids = ids::exact_from(args, 3)?;
        let acknowledged = ids.into_iter().filter_map(|id| group.acknowledge(id)).count();
        edit.noted_quietly(acknowledged as u64);
        Ok(acknowledged)
    };
    // Compat: it counts as a read.
    let acknowledged = match cx.keys.read_as::<Held>(args.key(1))? {
        Some(_) => cx.keys.edit(args.key(1), acknowledge)?.transpose()?,
        None => None,
    };
    cx.reply.int(acknowledged.unwrap_or(0) as i64);
    Ok(DONE)
}

const XPENDING: Row = Row {
    name: "xpending",
    summary: "Tells which entries a group has been given and not acknowledged.",
    since: "5.0.0",
    complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
    group: Family::Stream,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    history: &[(
        "6.2.0",
        "Only entries idle for some time (`IDLE`), and intervals that leave their ends out.",
    )],
    args: &[
        Arg::key("key", 0),
        Arg::string("group"),
        Arg::block(
            "filters",
            &[
                Arg::integer("min-idle-time")
                    .token("IDLE")
                    .optional()
                    .since("6.2.0"),
                Arg::string("start"),
                Arg::string("end"),
                Arg::integer("count"),
                Arg::string("consumer").optional(),
            ],
        )
        .optional(),
    ],
    run: xpending,
    ..Row::BASE
};

fn xpending(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let filter = Filter::parse(args)?;
    let now_ms = cx.now_ms();
    let stream = cx.keys.read_as::<Held>(args.key(1))?;
    let group = stream.and_then(|stream| stream.groups.get(args.get(2)));
    let group = group.ok_or_else(|| no_key_or_group(args.get(1), args.get(2)))?;
    match filter {
        None => reply_summary(&mut cx.reply, group),
        Some(filter) => filter.reply(&mut cx.reply, group, now_ms),
    }
    Ok(DONE)
}

/// How many are pending, the first and the last of them, and how many each consumer has.
fn reply_summary(reply: &mut Reply<'_>, group: &Group) {
    let pending = group.pending();
    reply.array(4);
    reply.int(pending.len() as i64);
    let (Some((first, _)), Some((last, _))) = (pending.first(), pending.last()) else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    reply.bulk(&first.text());
    reply.bulk(&last.text());
    let array = reply.defer_array();
    let mut written = 0;
    for consumer in group
        .consumers()
        .filter(|consumer| !consumer.pending().is_empty())
    {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending().len() as i64);
        written += 1;
    }
    reply.finish(array, written);
}

/// Which pending entries are asked for.
struct Filter<'a> {
    /// Given out at least so many milliseconds ago.
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Option<Filter<'a>>, Error> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::Syntax),
        }
        let (mut word, mut min_idle_ms) = (3, 0);
        if args.is(3, "idle") {
            min_idle_ms = args.int(4)?;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            word = 5;
        }
        let count = args.int(word + 2)?;
        Ok(Some(Filter {
            min_idle_ms,
            count: count.max(0) as usize,
            start: ids::start(args, word)?,
            end: ids::end(args, word + 1)?,
            consumer: args.try_get(word + 3),
        }))
    }

    fn reply(&self, reply: &mut Reply<'_>, group: &Group, now_ms: i64) {
        let array = reply.defer_array();
        let written = match self.consumer {
            None => self.reply_some(
                reply,
                group,
                now_ms,
                group.pending().iter_from(&self.start).map(|(id, _)| *id),
            ),
            Some(name) => group.find_consumer(name).map_or(0, |consumer| {
                let own = group.consumer(consumer).pending().iter_from(&self.start);
                self.reply_some(reply, group, now_ms, own.map(|(id, ())| *id))
            }),
        };
        reply.finish(array, written);
    }

    /// How many of `ids` were written.
    fn reply_some(
        &self,
        reply: &mut Reply<'_>,
        group: &Group,
        now_ms: i64,
        ids: impl Iterator<Item = StreamId>,
    ) -> usize {
        let mut written = 0;
        for id in ids.take_while(|id| *id <= self.end) {
            if written == self.count {
                break;
            }
            let Some(pending) = group.pending().get(&id) else {
                continue;
            };
            let idle_ms = now_ms.saturating_sub(pending.delivered_ms);
            if self.min_idle_ms != 0 && idle_ms < self.min_idle_ms {
                continue;
            }
            reply.array(4);
            reply.bulk(&id.text());
            reply.bulk(group.consumer(pending.consumer).name());
            reply.int(idle_ms.max(0));
            reply.int(pending.deliveries as i64);
            written += 1;
        }
        written
    }
}
