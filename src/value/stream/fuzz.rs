//! The fuzz entry: a listpack of any bytes is refused as a node or walks, trims and loses entries as one.

use crate::ds::listpack::Listpack;

use super::id::StreamId;
use super::log::Log;
use super::range::Direction;
use super::trim::{Keep, Trim};

const MASTER: StreamId = StreamId::new(5, 5);

/// Checks one input: the bytes of a listpack, or one line per element. Panics when an invariant is broken.
pub fn fuzz_stream_node(data: &[u8]) {
    if let Ok(listpack) = Listpack::from_bytes(data.to_vec()) {
        check(listpack);
    }
    let mut listpack = Listpack::new();
    data.split(|&byte| byte == b'\n')
        .for_each(|line| listpack.push_back(line));
    check(listpack);
}

fn check(listpack: Listpack) {
    let mut log = Log::default();
    if log.adopt_node(MASTER, listpack).is_err() {
        return;
    }
    let forward = ids(&log, Direction::Forward);
    let mut backward = ids(&log, Direction::Backward);
    backward.reverse();
    assert!(forward.is_sorted() && forward == backward);
    assert_eq!(forward.len() as u64, log.len());
    for direction in [Direction::Forward, Direction::Backward] {
        for entry in log.range(StreamId::MIN, StreamId::MAX, direction) {
            assert!(entry.fields().count() == entry.len());
        }
    }
    check_changes(log, &forward);
}

fn ids(log: &Log, direction: Direction) -> Vec<StreamId> {
    let all = log.range(StreamId::MIN, StreamId::MAX, direction);
    all.map(|entry| entry.id).collect()
}

fn check_changes(mut log: Log, ids_before: &[StreamId]) {
    let half = ids_before.len() as u64 / 2;
    let trim = Trim {
        keep: Keep::Newest(half),
        is_approximate: false,
        limit: 0,
    };
    assert_eq!(log.trim(trim), ids_before.len() as u64 - half);
    let left = ids(&log, Direction::Forward);
    assert_eq!(left.len() as u64, half);
    if let Some((first, rest)) = left.split_first() {
        assert_eq!(log.first_id(), *first);
        assert_eq!(log.delete(&[*first]), 1);
        assert_eq!(ids(&log, Direction::Forward), rest);
    }
}
