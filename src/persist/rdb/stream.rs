//! Streams: nodes as they are in memory, then what the stream remembers, then its groups.
//!
//! ```text
//! stream    nodes | (master id as string | listpack as string) ... | entries | last id
//!           | first id | greatest deleted id | entries added                              since 19
//!           | groups | group ...
//! group     name | last id | entries read (since 19)
//!           | pending | (id 16 | delivered ms 8 | deliveries) ...
//!           | consumers | consumer ...
//! consumer  name | seen ms 8 | active ms 8 (since 21) | pending | id 16 ...
//!
//! id        two lengths; `id 16` is 16 bytes, big-endian
//! ```
//!
//! What older types lack is derived from the entries. What a file says that its entries contradict is not believed.

use std::io::{Read, Write};

use crate::ds::listpack::Listpack;
use crate::ds::radix::Radix;
use crate::value::stream::group::Pending;
use crate::value::stream::{Group, Log, Stream, StreamId};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;

/// How a stream is written in a file of `version`.
pub fn kind(version: u16) -> Type {
    let kinds = [Type::StreamListpacks3, Type::StreamListpacks2];
    let newest = kinds.into_iter().find(|kind| version >= kind.since());
    newest.unwrap_or(Type::StreamListpacks)
}

/// Writes a stream as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, stream: &Stream, kind: Type) {
    let log = &stream.log;
    encoder.length(log.node_count() as u64);
    for (master, listpack) in log.nodes() {
        encoder.string(&master.to_bytes());
        encoder.string(listpack);
    }
    encoder.length(log.len());
    save_id(encoder, log.last_id);
    if kind != Type::StreamListpacks {
        save_id(encoder, log.first_id());
        save_id(encoder, log.max_deleted_id);
        encoder.length(log.entries_added);
    }
    encoder.length(stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        encoder.string(name);
        save_group(encoder, group, kind);
    }
}

fn save_id<W: Write>(encoder: &mut Encoder<W>, id: StreamId) {
    encoder.length(id.ms);
    encoder.length(id.seq);
}

fn save_group<W: Write>(encoder: &mut Encoder<W>, group: &Group, kind: Type) {
    save_id(encoder, group.last_id);
    if kind != Type::StreamListpacks {
        // -1 for unknown, as a length of 64 bits.
        encoder.length(group.entries_read.unwrap_or(-1) as u64);
    }
    encoder.length(group.pending().len() as u64);
    for (id, pending) in group.pending().iter() {
        encoder.raw(&id.to_bytes());
        encoder.millis(pending.delivered_ms);
        encoder.length(pending.deliveries);
    }
    encoder.length(group.consumer_count() as u64);
    for consumer in group.consumers() {
        encoder.string(consumer.name());
        encoder.millis(consumer.seen_ms);
        if kind == Type::StreamListpacks3 {
            encoder.millis(consumer.active_ms);
        }
        encoder.length(consumer.pending().len() as u64);
        consumer
            .pending()
            .iter()
            .for_each(|(id, ())| encoder.raw(&id.to_bytes()));
    }
}

/// Reads a stream that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type) -> Result<Box<Stream>, Refused> {
    let mut stream = Box::<Stream>::default();
    load_log(decoder, &mut stream.log, kind)?;
    for _ in 0..decoder.count()? {
        let name = decoder.string()?;
        let group = load_group(decoder, &stream.log, kind)?;
        if stream.groups.insert(name.into(), Box::new(group)).is_some() {
            return decoder.damaged("Duplicated consumer group name in a stream");
        }
    }
    Ok(stream)
}

fn load_log<R: Read>(decoder: &mut Decoder<R>, log: &mut Log, kind: Type) -> Result<(), Refused> {
    for _ in 0..decoder.count()? {
        let Ok(master) = <[u8; 16]>::try_from(decoder.string()?) else {
            return decoder.damaged("the key of a stream's node is no id");
        };
        let bytes = decoder.string()?;
        decoder.looks_deep();
        let node = Listpack::from_bytes(bytes)
            .ok()
            .and_then(|listpack| log.adopt_node(StreamId::from_bytes(master), listpack).ok());
        if node.is_none() {
            return decoder.damaged("Stream listpack integrity check failed: damaged, or out of order");
        }
    }
    let entries = decoder.length()?;
    if entries > 0 && log.node_count() == 0 {
        return decoder.damaged("a stream has entries but no nodes");
    }
    let last_id = load_id(decoder)?;
    let newest_id = log.newest_id();
    if decoder.looks_deep() && (entries != log.len() || newest_id.is_some_and(|newest| last_id < newest)) {
        return decoder.damaged("a stream's entries are not those it says it has");
    }
    let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, log.len());
    if kind != Type::StreamListpacks {
        load_id(decoder)?;
        max_deleted_id = load_id(decoder)?;
        entries_added = decoder.length()?;
    }
    log.remember(last_id, max_deleted_id, entries_added);
    Ok(())
}

fn load_id<R: Read>(decoder: &mut Decoder<R>) -> Result<StreamId, Refused> {
    Ok(StreamId::new(decoder.length()?, decoder.length()?))
}

fn load_group<R: Read>(decoder: &mut Decoder<R>, log: &Log, kind: Type) -> Result<Group, Refused> {
    let last_id = load_id(decoder)?;
    let entries_read = match kind {
        Type::StreamListpacks => log.count_up_to(last_id),
        _ => Some(decoder.length()? as i64).filter(|read| *read >= 0),
    };
    let mut group = Group::new(last_id, entries_read);
    // Whom an entry was given to comes later.
    let mut pending = Radix::new();
    for _ in 0..decoder.count()? {
        let id = StreamId::from_bytes(decoder.array()?);
        let delivery = (decoder.millis()?, decoder.length()?);
        if pending.insert(id, delivery).is_some() {
            return decoder.damaged("Duplicated global PEL entry loading stream consumer group");
        }
    }
    for _ in 0..decoder.count()? {
        load_consumer(decoder, &mut group, &pending, kind)?;
    }
    if group.pending().len() != pending.len() {
        return decoder.damaged("a pending entry of a consumer group has no consumer");
    }
    Ok(group)
}

fn load_consumer<R: Read>(
    decoder: &mut Decoder<R>,
    group: &mut Group,
    pending: &Radix<StreamId, (i64, u64)>,
    kind: Type,
) -> Result<(), Refused> {
    let name = decoder.string()?;
    let seen_ms = decoder.millis()?;
    let Some(consumer) = group.create_consumer(&name, seen_ms) else {
        return decoder.damaged("Duplicate stream consumer detected");
    };
    group.consumer_mut(consumer).active_ms = match kind {
        Type::StreamListpacks3 => decoder.millis()?,
        _ => seen_ms,
    };
    for _ in 0..decoder.count()? {
        let id = StreamId::from_bytes(decoder.array()?);
        let Some(&(delivered_ms, deliveries)) = pending.get(&id) else {
            return decoder.damaged("an entry is pending for a consumer but not for its group");
        };
        group.assign(
            id,
            Pending {
                delivered_ms,
                deliveries,
                consumer,
            },
        );
    }
    Ok(())
}

/// The fuzz entry: a byte that chooses the type, then its bytes, which are refused or are a stream that is written as it
/// was read. Panics when an invariant is broken.
pub fn fuzz_stream(data: &[u8]) {
    const KINDS: [Type; 3] = [
        Type::StreamListpacks,
        Type::StreamListpacks2,
        Type::StreamListpacks3,
    ];
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let Ok(stream) = load(&mut Decoder::new(bytes, bytes.len() as u64, false), kind) else {
        return;
    };
    stream
        .groups
        .iter()
        .for_each(|(_, group)| group.check_invariants());
    let written = |stream: &Stream| {
        let mut encoder = Encoder::new(Vec::new(), false, false);
        save(&mut encoder, stream, Type::StreamListpacks3);
        encoder.into_inner()
    };
    let once = written(&stream);
    let again = load(
        &mut Decoder::new(once.as_slice(), once.len() as u64, false),
        Type::StreamListpacks3,
    );
    assert_eq!(written(&again.expect("what was written")), once);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;
    use crate::value::Limits;

    const KINDS: [Type; 3] = [
        Type::StreamListpacks,
        Type::StreamListpacks2,
        Type::StreamListpacks3,
    ];

    fn sample() -> Stream {
        let mut stream = Stream::default();
        let limits = Limits {
            stream_node_max_entries: 3,
            ..Limits::new(KeyHasher::with_seed(1))
        };
        for ms in 1..=10 {
            let words: [&[u8]; 4] = [b"name", b"value", b"number", b"42"];
            let id = StreamId::new(ms, ms % 3);
            stream
                .log
                .append(id, words.into_iter(), &limits)
                .expect("short words");
        }
        stream.log.delete(&[StreamId::new(10, 1), StreamId::new(2, 2)]);
        let mut group = Group::new(StreamId::new(4, 1), Some(3));
        group.create_consumer(b"idle", 70).expect("a new name");
        let consumer = group.create_consumer(b"busy", 80).expect("a new name");
        group.consumer_mut(consumer).active_ms = 75;
        for ms in [3, 4] {
            let pending = Pending {
                delivered_ms: 75,
                deliveries: ms,
                consumer,
            };
            group.assign(StreamId::new(ms, ms % 3), pending);
        }
        stream.groups.insert(b"g".as_slice().into(), Box::new(group));
        let unknown = Group::new(StreamId::MAX, None);
        stream.groups.insert(b"h".as_slice().into(), Box::new(unknown));
        stream
    }

    fn saved(stream: &Stream, kind: Type) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), false, true);
        save(&mut encoder, stream, kind);
        encoder.into_inner()
    }

    fn loaded(bytes: &[u8], kind: Type) -> Result<Box<Stream>, Refused> {
        load(&mut Decoder::new(bytes, bytes.len() as u64, false), kind)
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let stream = sample();
        for kind in KINDS {
            let again = loaded(&saved(&stream, kind), kind).expect("what was saved");
            assert!(again.log.nodes().eq(stream.log.nodes()));
            assert_eq!((again.log.len(), again.log.last_id), (8, stream.log.last_id));
            assert_eq!(again.log.first_id(), stream.log.first_id());
            again
                .groups
                .iter()
                .for_each(|(_, group)| group.check_invariants());
            let group = again.groups.get(b"g".as_slice()).expect("the group");
            assert_eq!((group.pending().len(), group.consumer_count()), (2, 2));
        }
        let newest = loaded(&saved(&stream, KINDS[2]), KINDS[2]).expect("what was saved");
        assert_eq!(saved(&newest, KINDS[2]), saved(&stream, KINDS[2]));
    }

    #[test]
    fn a_damaged_stream_is_refused_or_whole() {
        for kind in KINDS {
            let whole = saved(&sample(), kind);
            for at in 0..whole.len() {
                assert!(loaded(&whole[..at], kind).is_err(), "cut at {at}");
                for flip in [1, 0x80, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= flip;
                    if let Ok(stream) = loaded(&bytes, kind) {
                        stream
                            .groups
                            .iter()
                            .for_each(|(_, group)| group.check_invariants());
                    }
                }
            }
        }
    }
}
