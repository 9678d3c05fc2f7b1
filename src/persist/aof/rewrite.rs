//! The data as the commands that make it: a base without a snapshot's format.
//!
//! ```text
//! string  SET            set   SADD          stream  XADD per entry, XSETID, per group XGROUP CREATE and
//! list    RPUSH          zset  ZADD                  CREATECONSUMER, per pending entry XCLAIM
//! hash    HMSET, HPEXPIREAT per field that expires   any key that expires: PEXPIREAT
//! ```
//!
//! Libraries of functions come first, as FUNCTION LOAD. Collections go in commands of at most `ITEMS_MAX` elements. Lost are, as in Redis, traces of use and the times at
//! which consumers were last seen.

use std::io::{self, Write};

use crate::base::{float, number};
use crate::ds::listpack::Item;
use crate::keyspace::Keyspace;
use crate::keyspace::entry::{Entry, View};
use crate::persist::snapshot;
use crate::value::Value;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::stream::range::Direction;
use crate::value::stream::{Group, Stream, StreamId};
use crate::value::zset::Zset;

use super::frame;

/// Elements of one command.
const ITEMS_MAX: usize = 64;

/// Gathered before it is handed on.
const BUFFER_BYTES: usize = 64 * 1024;

/// Keys between two reports of progress, the first of which comes with the first key.
const REPORT_KEYS: u64 = 1024;

/// Writes commands to `out`.
struct Commands<W: Write> {
    out: W,
    buffer: Vec<u8>,
    written: u64,
}

impl<W: Write> Commands<W> {
    fn begin(&mut self, count: usize) {
        frame::begin(count, &mut self.buffer);
    }

    fn word(&mut self, word: &[u8]) {
        frame::word(word, &mut self.buffer);
    }

    fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Bytes(text) => self.word(text),
            Item::Int(value) => self.int(value),
        }
    }

    fn int(&mut self, value: i64) {
        self.word(itoa::Buffer::new().format(value).as_bytes());
    }

    fn id(&mut self, id: StreamId) {
        self.word(&id.text());
    }

    fn words(&mut self, words: &[&[u8]]) {
        frame::command(words.iter().copied(), &mut self.buffer);
    }

    /// The beginning of every command over a collection's elements: after each [`ITEMS_MAX`] a new one.
    fn begin_piece(&mut self, done: usize, total: usize, words_each: usize, verb: &[u8], key: &[u8]) {
        if done.is_multiple_of(ITEMS_MAX) {
            self.begin(2 + words_each * (total - done).min(ITEMS_MAX));
            self.word(verb);
            self.word(key);
        }
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What is written beside the data.
pub struct Surroundings<'a> {
    /// The time to note at the beginning.
    pub stamp_s: Option<i64>,
    /// Sources of libraries of functions.
    pub functions: &'a [Vec<u8>],
    /// `rdb-key-save-delay`, as for a snapshot.
    pub key_delay_us: i64,
}

/// Writes all databases of `keys` to `out` as commands; the sink and the size in bytes.
///
/// # Errors
/// The first error of the sink.
pub fn write_to<W: Write>(
    out: W,
    keys: &Keyspace,
    surroundings: &Surroundings<'_>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<(W, u64)> {
    let mut commands = Commands {
        out,
        buffer: Vec::with_capacity(BUFFER_BYTES),
        written: 0,
    };
    if let Some(now_s) = surroundings.stamp_s {
        frame::stamp(now_s, &mut commands.buffer);
    }
    for source in surroundings.functions {
        commands.words(&[b"FUNCTION", b"LOAD", source]);
    }
    let mut done = 0;
    for index in 0..keys.db_count() {
        let db = keys.db(index);
        if db.is_empty() {
            continue;
        }
        frame::select(index, &mut commands.buffer);
        for entry in db.dict().iter() {
            rewrite(&mut commands, entry);
            commands.flush_if_full()?;
            done += 1;
            snapshot::dawdle(surroundings.key_delay_us, done);
            if done % REPORT_KEYS == 1 {
                progress(done);
            }
        }
    }
    progress(done);
    commands.flush()?;
    Ok((commands.out, commands.written))
}

fn rewrite<W: Write>(commands: &mut Commands<W>, entry: &Entry) {
    let key = entry.key();
    match entry.view() {
        View::Int(value) => commands.words(&[b"SET", key, itoa::Buffer::new().format(value).as_bytes()]),
        View::Inline(text) => commands.words(&[b"SET", key, text]),
        View::Value(value) => match value {
            Value::String(text) => commands.words(&[b"SET", key, text]),
            Value::List(list) => rewrite_list(commands, key, list),
            Value::Set(set) => rewrite_set(commands, key, set),
            Value::Hash(hash) => rewrite_hash(commands, key, hash),
            Value::Zset(zset) => rewrite_zset(commands, key, zset),
            Value::Stream(stream) => rewrite_stream(commands, key, stream),
        },
    }
    if let Some(at) = entry.expire_at() {
        commands.words(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
    }
}

fn rewrite_list<W: Write>(commands: &mut Commands<W>, key: &[u8], list: &List) {
    let (total, mut done) = (list.len(), 0);
    list.for_each(|item| {
        commands.begin_piece(done, total, 1, b"RPUSH", key);
        commands.item(item);
        done += 1;
    });
}

fn rewrite_set<W: Write>(commands: &mut Commands<W>, key: &[u8], set: &Set) {
    let total = set.len();
    for (done, member) in set.iter().enumerate() {
        commands.begin_piece(done, total, 1, b"SADD", key);
        commands.item(member);
    }
}

fn rewrite_zset<W: Write>(commands: &mut Commands<W>, key: &[u8], zset: &Zset) {
    let (total, mut score_text) = (zset.len(), Vec::new());
    for (done, (member, score)) in zset.iter().enumerate() {
        commands.begin_piece(done, total, 2, b"ZADD", key);
        score_text.clear();
        float::seventeen_digits(score, &mut score_text);
        commands.word(&score_text);
        commands.item(member);
    }
}

fn rewrite_hash<W: Write>(commands: &mut Commands<W>, key: &[u8], hash: &Hash) {
    let total = hash.len();
    for (done, field) in hash.fields().enumerate() {
        commands.begin_piece(done, total, 2, b"HMSET", key);
        commands.item(field.name);
        commands.item(field.value);
    }
    if hash.volatile() == 0 {
        return;
    }
    for field in hash.fields() {
        if let Some(at) = field.expire_at {
            commands.begin(6);
            commands.word(b"HPEXPIREAT");
            commands.word(key);
            commands.int(at);
            commands.word(b"FIELDS");
            commands.word(b"1");
            commands.item(field.name);
        }
    }
}

fn rewrite_stream<W: Write>(commands: &mut Commands<W>, key: &[u8], stream: &Stream) {
    let log = &stream.log;
    for entry in log.range(StreamId::MIN, StreamId::MAX, Direction::Forward) {
        commands.begin(3 + 2 * entry.len());
        commands.word(b"XADD");
        commands.word(key);
        commands.id(entry.id);
        for (name, value) in entry.fields() {
            commands.item(name);
            commands.item(value);
        }
    }
    if log.is_empty() {
        // There is no other way to make an empty one.
        commands.words(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }
    commands.begin(7);
    commands.word(b"XSETID");
    commands.word(key);
    commands.id(log.last_id);
    commands.word(b"ENTRIESADDED");
    let mut count = Vec::new();
    number::write_u64(log.entries_added, &mut count);
    commands.word(&count);
    commands.word(b"MAXDELETEDID");
    commands.id(log.max_deleted_id);
    for (name, group) in stream.groups.iter() {
        rewrite_group(commands, key, name, group);
    }
}

fn rewrite_group<W: Write>(commands: &mut Commands<W>, key: &[u8], name: &[u8], group: &Group) {
    commands.begin(7);
    for word in [&b"XGROUP"[..], b"CREATE", key, name] {
        commands.word(word);
    }
    commands.id(group.last_id);
    commands.word(b"ENTRIESREAD");
    commands.int(group.entries_read.unwrap_or(-1));
    for consumer in group.consumers() {
        commands.words(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
        for (&id, ()) in consumer.pending().iter() {
            let Some(pending) = group.pending().get(&id) else {
                continue;
            };
            commands.begin(12);
            for word in [&b"XCLAIM"[..], key, name, consumer.name(), b"0"] {
                commands.word(word);
            }
            commands.id(id);
            commands.word(b"TIME");
            commands.int(pending.delivered_ms);
            commands.word(b"RETRYCOUNT");
            commands.int(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
            commands.word(b"JUSTID");
            commands.word(b"FORCE");
        }
    }
}
