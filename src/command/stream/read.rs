//! XREAD and XREADGROUP: entries above an id of several streams, now or when there are any.

use crate::command::args::Args;
use crate::command::blocking::{self, BlockOn, Nil};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::{Error, until_zero};
use crate::command::row::{Access, Arg, Arity, Find, Flags, Group as Family, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::resp::{Deferred, Reply};
use crate::value::Kind;
use crate::value::stream::group::{ConsumerIndex, Pending};
use crate::value::stream::range::Direction;
use crate::value::stream::{Group, Log, Stream, StreamId};

use super::propagate::Names;
use super::{Held, ids, no_group, reply_entry, reply_one};

/// The rows of this file.
pub const ROWS: &[Row] = &[XREAD, XREADGROUP];

/// Keys stand in the first half of the words behind STREAMS.
const FIRST_HALF: Find = Find::Range {
    last: -1,
    step: 1,
    limit: 2,
};

const STREAMS: Arg = Arg::block(
    "streams",
    &[Arg::key("key", 0).multiple(), Arg::string("id").multiple()],
)
.token("STREAMS");

const XREAD: Row = Row {
    name: "xread",
    summary: "Returns the entries of streams above given ids, and waits for some if there are none.",
    since: "5.0.0",
    complexity: "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.",
    group: Family::Stream,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::keyword(
        "STREAMS",
        1,
        FIRST_HALF,
        Access::RO.with(Access::ACCESS),
    )],
    args: &[
        Arg::integer("count").token("COUNT").optional(),
        Arg::integer("milliseconds").token("BLOCK").optional(),
        STREAMS,
    ],
    run: xread,
    ..Row::BASE
};

fn xread(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let request = Request::parse(args, "xread", cx.now_ms())?;
    let after = (0..request.streams)
        .map(|index| request.read_after(cx, args, index))
        .collect::<Result<Vec<_>, _>>()?;
    let mut answer = Answer::default();
    for (index, &after) in after.iter().enumerate() {
        let key = args.key(request.first_key + index);
        let Some(stream) = cx.keys.read_as::<Held>(key)? else {
            continue;
        };
        if let Some(start) = after.next().filter(|_| stream.log.has_after(after)) {
            answer.begin(&mut cx.reply, key.bytes);
            reply_from(&mut cx.reply, &stream.log, start, request.count);
        }
    }
    if answer.finish(&mut cx.reply) {
        return Ok(DONE);
    }
    request.wait(cx, args, Some(&after))
}

const XREADGROUP: Row = Row {
    name: "xreadgroup",
    summary: "Gives a consumer of a group new entries of streams, waiting if need be, or those it has not acknowledged.",
    since: "5.0.0",
    complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
    group: Family::Stream,
    arity: Arity::AtLeast(7),
    flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::keyword(
        "STREAMS",
        4,
        FIRST_HALF,
        Access::RO.with(Access::ACCESS),
    )],
    args: &[
        Arg::block("group-block", &[Arg::string("group"), Arg::string("consumer")]).token("GROUP"),
        Arg::integer("count").token("COUNT").optional(),
        Arg::integer("milliseconds").token("BLOCK").optional(),
        Arg::flag("noack", "NOACK").optional(),
        STREAMS,
    ],
    run: xreadgroup,
    ..Row::BASE
};

fn xreadgroup(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const NO_GROUP: Error = Error::fixed("ERR Missing GROUP option for XREADGROUP");
    let request = Request::parse(args, "xreadgroup", cx.now_ms())?;
    let (group, consumer) = request.group.ok_or(NO_GROUP)?;
    let wanted = (0..request.streams)
        .map(|index| request.wanted_of_group(cx, args, index, group))
        .collect::<Result<Vec<_>, _>>()?;
    // The command itself is never propagated: what it did is.
    cx.keys.changes.overridden = true;
    let mut answer = Answer::default();
    for (index, &wanted) in wanted.iter().enumerate() {
        let key = args.key(request.first_key + index);
        let reader = Reader {
            names: Names {
                key: key.bytes,
                group,
            },
            consumer,
            wanted,
            count: request.count,
            noack: request.noack,
        };
        let reply = &mut cx.reply;
        cx.keys.edit::<Held, ()>(key, |stream, edit| {
            reader.read(stream, edit, reply, &mut answer);
        })?;
    }
    if answer.finish(&mut cx.reply) {
        return Ok(DONE);
    }
    request.wait(cx, args, None)
}

/// The words of both commands, up to the ids.
struct Request<'a> {
    first_key: usize,
    streams: usize,
    /// Most entries of each stream.
    count: usize,
    /// With BLOCK: when to give up, if ever.
    block: Option<Option<i64>>,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    noack: bool,
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, name: &str, now_ms: i64) -> Result<Request<'a>, Error> {
        let for_group = name == "xreadgroup";
        let mut request = Request {
            first_key: 0,
            streams: 0,
            count: usize::MAX,
            block: None,
            group: None,
            noack: false,
        };
        let mut word = 1;
        while request.first_key == 0 {
            if word >= args.len() {
                return Err(Error::Syntax);
            }
            let more = args.len() - 1 - word;
            if args.is(word, "block") && more > 0 {
                request.block = Some(blocking::timeout_ms(args, word + 1, now_ms)?);
                word += 2;
            } else if args.is(word, "count") && more > 0 {
                let count = args.int(word + 1)?.max(0) as usize;
                request.count = if count == 0 { usize::MAX } else { count };
                word += 2;
            } else if args.is(word, "streams") && more > 0 {
                request.first_key = word + 1;
                request.streams = streams(more, name)?;
            } else if args.is(word, "group") && more > 1 {
                only_for_groups("GROUP", for_group)?;
                request.group = Some((args.get(word + 1), args.get(word + 2)));
                word += 3;
            } else if args.is(word, "noack") {
                only_for_groups("NOACK", for_group)?;
                request.noack = true;
                word += 1;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(request)
    }

    fn id_word(&self, index: usize) -> usize {
        self.first_key + self.streams + index
    }

    /// The id above which XREAD reads a stream.
    ///
    /// Compat: `+` is the entry before the last there is; 7.4.1 takes the last id ever, and finds nothing when that
    /// entry was deleted.
    fn read_after(&self, cx: &mut Cx<'_>, args: Args<'_>, index: usize) -> Result<StreamId, Error> {
        const FOR_GROUPS: Error = Error::fixed(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        );
        let word = self.id_word(index);
        let stream = cx.keys.read_as::<Held>(args.key(self.first_key + index))?;
        let log = stream.map(|stream| &stream.log);
        match args.get(word) {
            b"$" => Ok(log.map_or(StreamId::MIN, |log| log.last_id)),
            b"+" => {
                let last = log.map(|log| log.newest_id().unwrap_or(log.last_id));
                Ok(last.and_then(StreamId::prev).unwrap_or(StreamId::MIN))
            }
            b">" => Err(FOR_GROUPS),
            _ => ids::exact(args, word),
        }
    }

    /// What XREADGROUP reads of a stream, whose group must exist.
    fn wanted_of_group(
        &self,
        cx: &mut Cx<'_>,
        args: Args<'_>,
        index: usize,
        group: &[u8],
    ) -> Result<Wanted, Error> {
        let word = self.id_word(index);
        let key = args.key(self.first_key + index);
        let stream = cx.keys.read_as::<Held>(key)?;
        if !stream.is_some_and(|stream| stream.groups.contains(group)) {
            let option = b"' in XREADGROUP with GROUP option";
            return Err(no_group(&[
                b"No such key '",
                until_zero(key.bytes),
                b"' or consumer group '",
                until_zero(group),
                option,
            ]));
        }
        match args.get(word) {
            sign @ (b"$" | b"+") => Err(meaningless(char::from(sign[0]))),
            b">" => Ok(Wanted::New),
            // Compat: the last possible id says the same as `>`.
            _ => Ok(ids::exact(args, word)?
                .next()
                .map_or(Wanted::New, Wanted::OwnFrom)),
        }
    }

    /// Nothing to read: waits if the client wants to. `after`: the ids that `$` stands for.
    fn wait(&self, cx: &mut Cx<'_>, args: Args<'_>, after: Option<&[StreamId]>) -> Outcome {
        let Some(until_ms) = self.block else {
            cx.reply.null_array();
            return Ok(DONE);
        };
        let keys = (0..self.streams).map(|index| args.get(self.first_key + index));
        blocking::wait(cx, Nil::Array, || BlockOn {
            when_gone: after.is_none(),
            words: after.and_then(|after| self.resolved(args, after)),
            ..BlockOn::keys(Kind::Stream, keys, until_ms)
        })
    }

    /// The words with ids in the place of `$`: run again, it would mean the entry that woke the client.
    fn resolved(&self, args: Args<'_>, after: &[StreamId]) -> Option<Vec<Box<[u8]>>> {
        let ids = self.id_word(0)..args.len();
        if !ids.clone().any(|word| args.get(word) == b"$") {
            return None;
        }
        let resolve = |word| match args.get(word) {
            b"$" if ids.contains(&word) => (*after[word - ids.start].text()).into(),
            other => other.into(),
        };
        Some((0..args.len()).map(resolve).collect())
    }
}

/// How many streams so many words behind STREAMS name.
fn streams(words: usize, command: &str) -> Result<usize, Error> {
    if words.is_multiple_of(2) {
        return Ok(words / 2);
    }
    let sign = if command == "xread" { '$' } else { '>' };
    Err(Error::err(format_args!(
        "Unbalanced '{command}' list of streams: for each stream key an ID or '{sign}' must be specified."
    )))
}

fn only_for_groups(option: &str, for_group: bool) -> Result<(), Error> {
    if for_group {
        return Ok(());
    }
    Err(Error::err(format_args!(
        "The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

fn meaningless(sign: char) -> Error {
    Error::err(format_args!(
        "The {sign} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
         by specifying a proper ID, or use the > ID to get new messages. The {sign} ID would just return an empty \
         result set."
    ))
}

/// The reply of both commands: a map of keys and entries, an array of pairs in RESP2, begun with the first stream that
/// has any.
#[derive(Default)]
struct Answer {
    map: Option<Deferred>,
    streams: usize,
}

impl Answer {
    fn begin(&mut self, reply: &mut Reply<'_>, key: &[u8]) {
        self.map.get_or_insert_with(|| match reply.resp3 {
            true => reply.defer_map(),
            false => reply.defer_array(),
        });
        self.streams += 1;
        if !reply.resp3 {
            reply.array(2);
        }
        reply.bulk(key);
    }

    /// Whether there was anything.
    fn finish(self, reply: &mut Reply<'_>) -> bool {
        let Some(map) = self.map else {
            return false;
        };
        reply.finish(map, self.streams);
        true
    }
}

fn reply_from(reply: &mut Reply<'_>, log: &Log, start: StreamId, count: usize) {
    let array = reply.defer_array();
    let mut written = 0;
    for entry in log.range(start, StreamId::MAX, Direction::Forward).take(count) {
        reply_entry(reply, &entry);
        written += 1;
    }
    reply.finish(array, written);
}

/// What a consumer wants of a stream.
#[derive(Clone, Copy)]
enum Wanted {
    /// Entries nobody of the group has got.
    New,
    /// What it has not acknowledged, from this id on.
    OwnFrom(StreamId),
}

/// A consumer reading one stream.
struct Reader<'a> {
    names: Names<'a>,
    consumer: &'a [u8],
    wanted: Wanted,
    count: usize,
    noack: bool,
}

impl Reader<'_> {
    fn read(&self, stream: &mut Stream, edit: &mut Edit<'_>, reply: &mut Reply<'_>, answer: &mut Answer) {
        let Some(group) = stream.groups.get_mut(self.names.group) else {
            return;
        };
        let consumer = self.seen(group, edit);
        match self.wanted {
            Wanted::OwnFrom(start) => {
                answer.begin(reply, self.names.key);
                self.repeat(&stream.log, group, edit.now_ms, start, consumer, reply);
            }
            Wanted::New => {
                let Some(start) = group
                    .last_id
                    .next()
                    .filter(|_| stream.log.has_after(group.last_id))
                else {
                    return;
                };
                answer.begin(reply, self.names.key);
                self.hand_out(&stream.log, group, edit, start, consumer, reply);
            }
        }
    }

    /// The consumer, created if need be.
    fn seen(&self, group: &mut Group, edit: &mut Edit<'_>) -> ConsumerIndex {
        let (consumer, is_new) = seen(group, self.consumer, edit);
        if is_new && self.noack {
            self.names.created(edit, self.consumer);
        }
        consumer
    }

    fn hand_out(
        &self,
        log: &Log,
        group: &mut Group,
        edit: &mut Edit<'_>,
        start: StreamId,
        consumer: ConsumerIndex,
        reply: &mut Reply<'_>,
    ) {
        let array = reply.defer_array();
        let mut written = 0;
        let pending = Pending {
            delivered_ms: edit.now_ms,
            deliveries: 1,
            consumer,
        };
        for entry in log
            .range(start, StreamId::MAX, Direction::Forward)
            .take(self.count)
        {
            log.note_read(group, entry.id);
            reply_entry(reply, &entry);
            written += 1;
            if !self.noack {
                group.assign(entry.id, pending);
                group.consumer_mut(consumer).active_ms = edit.now_ms;
                self.names.claimed(edit, group, entry.id, pending);
            }
        }
        reply.finish(array, written);
        self.names.has_read(edit, group);
        edit.noted_quietly(1);
    }

    /// Entries the consumer has got already: another delivery of each, of which no follower is told.
    fn repeat(
        &self,
        log: &Log,
        group: &mut Group,
        now_ms: i64,
        start: StreamId,
        consumer: ConsumerIndex,
        reply: &mut Reply<'_>,
    ) {
        let own = group.consumer(consumer).pending().iter_from(&start);
        let ids: Vec<StreamId> = own.map(|(id, ())| *id).take(self.count).collect();
        reply.array(ids.len());
        for id in ids {
            if reply_one(reply, log, id) {
                group.redeliver(id, now_ms);
            } else {
                // Deleted meanwhile: there is only the id left to acknowledge.
                reply.array(2);
                reply.bulk(&id.text());
                reply.null_array();
            }
        }
    }
}

/// The consumer of that name, created if need be, and whether it was; notes that it has been seen.
pub(super) fn seen(group: &mut Group, name: &[u8], edit: &mut Edit<'_>) -> (ConsumerIndex, bool) {
    if let Some(consumer) = group.find_consumer(name) {
        group.consumer_mut(consumer).seen_ms = edit.now_ms;
        return (consumer, false);
    }
    let consumer = group
        .create_consumer(name, edit.now_ms)
        .expect("the name was looked for");
    edit.noted("xgroup-createconsumer", 1);
    (consumer, true)
}
