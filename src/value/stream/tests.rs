use proptest::prelude::*;

use crate::base::hash::KeyHasher;
use crate::value::Limits;

use super::Stream;
use super::group::{Group, Pending};
use super::id::{Seq, StreamId};
use super::log::{IdError, Log, TooLarge, WantedId};
use super::range::Direction;
use super::trim::{Keep, Trim};
use crate::value::Typed;

type Words = Vec<Vec<u8>>;

fn limits(entries: usize, bytes: usize) -> Limits {
    Limits {
        stream_node_max_entries: entries,
        stream_node_max_bytes: bytes,
        ..Limits::new(KeyHasher::with_seed(1))
    }
}

fn id(ms: u64) -> StreamId {
    StreamId::new(ms, 0)
}

fn append(log: &mut Log, id: StreamId, words: &[&str], limits: &Limits) {
    log.append(id, words.iter().map(|word| word.as_bytes()), limits)
        .expect("short words");
}

fn log_of(count: u64, limits: &Limits) -> Log {
    let mut log = Log::default();
    (1..=count).for_each(|ms| append(&mut log, id(ms), &["field", &ms.to_string()], limits));
    log
}

fn entries(log: &Log, from: StreamId, to: StreamId, direction: Direction) -> Vec<(StreamId, Words)> {
    let words = |entry: super::node::Entry<'_>| {
        let fields = entry.fields();
        fields
            .flat_map(|(name, value)| [name.to_vec(), value.to_vec()])
            .collect()
    };
    log.range(from, to, direction)
        .map(|entry| (entry.id, words(entry)))
        .collect()
}

fn ids(log: &Log) -> Vec<u64> {
    let all = log.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
    all.map(|entry| entry.id.ms).collect()
}

fn exactly(keep: Keep) -> Trim {
    Trim {
        keep,
        is_approximate: false,
        limit: 0,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append { gap: u64, fields: Vec<(u8, i64)> },
    Delete(Vec<u64>),
    Keep(u64),
    KeepFrom(u64),
    About(Keep, u64),
    Read(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let fields = proptest::collection::vec((0..3u8, any::<i64>()), 1..4);
    prop_oneof![
        10 => (1..3u64, fields).prop_map(|(gap, fields)| Step::Append { gap, fields }),
        3 => proptest::collection::vec(0..80u64, 1..6).prop_map(Step::Delete),
        1 => (0..60u64).prop_map(Step::Keep),
        1 => (0..80u64).prop_map(Step::KeepFrom),
        1 => (0..60u64, 0..20u64).prop_map(|(len, limit)| Step::About(Keep::Newest(len), limit)),
        1 => (0..80u64, 0..20u64).prop_map(|(ms, limit)| Step::About(Keep::From(id(ms)), limit)),
        4 => (0..80u64, 0..80u64).prop_map(|(from, to)| Step::Read(from, to)),
    ]
}

/// The log beside a plain list of its entries.
struct Twins {
    log: Log,
    plain: Vec<(StreamId, Words)>,
    limits: Limits,
}

impl Twins {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Append { gap, fields } => self.append(gap, &fields),
            Step::Delete(which) => self.delete(&which),
            Step::Keep(len) => {
                let surplus = self.plain.len().saturating_sub(len as usize);
                self.trim(Keep::Newest(len), surplus);
            }
            Step::KeepFrom(ms) => {
                let surplus = self.plain.iter().take_while(|(old, _)| *old < id(ms)).count();
                self.trim(Keep::From(id(ms)), surplus);
            }
            Step::About(keep, limit) => self.trim_about(keep, limit),
            Step::Read(from, to) => self.read(id(from), StreamId::new(to, u64::MAX)),
        }
    }

    fn append(&mut self, gap: u64, fields: &[(u8, i64)]) {
        let id = id(self.log.last_id.ms + gap);
        let field = |(name, value): &(u8, i64)| [vec![b'a' + name], value.to_string().into_bytes()];
        let words: Words = fields.iter().flat_map(field).collect();
        let slices = words.iter().map(Vec::as_slice);
        assert_eq!(self.log.append(id, slices, &self.limits), Ok(()));
        self.plain.push((id, words));
    }

    fn delete(&mut self, which: &[u64]) {
        let ids: Vec<StreamId> = which.iter().map(|&ms| id(ms)).collect();
        let before = self.plain.len();
        self.plain.retain(|(id, _)| !ids.contains(id));
        assert_eq!(self.log.delete(&ids), (before - self.plain.len()) as u64);
    }

    fn trim(&mut self, keep: Keep, surplus: usize) {
        assert_eq!(self.log.trim(exactly(keep)), surplus as u64);
        self.plain.drain(..surplus);
    }

    /// How much goes depends on nodes; but never too much, and only old entries.
    fn trim_about(&mut self, keep: Keep, limit: u64) {
        let trim = Trim {
            keep,
            is_approximate: true,
            limit,
        };
        let removed = self.log.trim(trim) as usize;
        assert!(limit == 0 || removed as u64 <= limit);
        let surplus = match keep {
            Keep::Newest(len) => self.plain.len().saturating_sub(len as usize),
            Keep::From(from) => self.plain.iter().take_while(|(old, _)| *old < from).count(),
        };
        assert!(removed <= surplus);
        self.plain.drain(..removed);
    }

    fn read(&self, from: StreamId, to: StreamId) {
        let within = |(id, _): &&(StreamId, Words)| (from..=to).contains(id);
        let expected: Vec<_> = self.plain.iter().filter(within).cloned().collect();
        assert_eq!(entries(&self.log, from, to, Direction::Forward), expected);
        let mut backward = entries(&self.log, from, to, Direction::Backward);
        backward.reverse();
        assert_eq!(backward, expected);
    }

    fn check(&self) {
        assert_eq!(self.log.len(), self.plain.len() as u64);
        let first = self.plain.first().map(|(id, _)| *id);
        assert_eq!(self.log.first_id(), first.unwrap_or_default());
        assert_eq!(self.log.newest_id(), self.plain.last().map(|(id, _)| *id));
        self.log.nodes.check_invariants();
        assert!(self.log.nodes.iter().all(|(_, node)| node.counts().0 > 0));
    }
}

proptest! {
    #[test]
    fn a_log_behaves_as_a_list_of_entries(
        entries_max in 0..6usize,
        bytes_max in prop_oneof![Just(0usize), 20..200usize],
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut twins = Twins {
            log: Log::default(),
            plain: Vec::new(),
            limits: limits(entries_max, bytes_max),
        };
        for step in steps {
            twins.apply(step);
            twins.check();
        }
        twins.read(StreamId::MIN, StreamId::MAX);
    }

    #[test]
    fn a_group_keeps_its_two_lists_of_pending_entries_in_step(
        steps in proptest::collection::vec((0..4u8, 0..30u64, 0..4u8), 1..200),
    ) {
        let mut group = Group::new(StreamId::MIN, None);
        for (what, ms, who) in steps {
            let name = [b'a' + who];
            match what {
                0 | 1 => {
                    let known = group.find_consumer(&name);
                    let consumer = known.or_else(|| group.create_consumer(&name, 1)).expect("one of the two");
                    group.assign(id(ms), Pending { delivered_ms: 1, deliveries: 1, consumer });
                }
                2 => {
                    group.acknowledge(id(ms));
                }
                _ => {
                    group.delete_consumer(&name);
                }
            }
            group.check_invariants();
        }
    }
}

#[test]
fn a_node_has_the_bytes_redis_saves() {
    let mut log = Log::default();
    let limits = limits(100, 4096);
    append(&mut log, StreamId::new(1, 1), &["f", "v"], &limits);
    let (master, bytes) = log.nodes().next().expect("one node");
    assert_eq!(master, StreamId::new(1, 1));
    // From a payload of DUMP by Redis 7.0.
    let expected = [
        0x1d, 0, 0, 0, 10, 0, 1, 1, 0, 1, 1, 1, 0x81, b'f', 2, 0, 1, 2, 1, 0, 1, 0, 1, 0x81, b'v', 2, 4, 1,
        0xff,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn ids_are_made_up_above_the_last_one() {
    let mut log = Log::default();
    assert_eq!(log.id_for(WantedId::Auto, 7), Ok(id(7)));
    log.last_id = StreamId::new(9, 3);
    assert_eq!(log.id_for(WantedId::Auto, 7), Ok(StreamId::new(9, 4)));
    assert_eq!(log.id_for(WantedId::At(9, Seq::Auto), 7), Ok(StreamId::new(9, 4)));
    assert_eq!(log.id_for(WantedId::At(10, Seq::Auto), 7), Ok(id(10)));
    assert_eq!(
        log.id_for(WantedId::At(9, Seq::Missing), 7),
        Err(IdError::NotAbove)
    );
    log.last_id = StreamId::new(9, u64::MAX);
    assert_eq!(log.id_for(WantedId::At(9, Seq::Auto), 7), Err(IdError::NotAbove));
    assert_eq!(log.id_for(WantedId::Auto, 7), Ok(id(10)));
    log.last_id = StreamId::MAX;
    assert_eq!(log.id_for(WantedId::Auto, 7), Err(IdError::Exhausted));
}

#[test]
fn a_node_is_full_by_entries_or_by_bytes() {
    assert_eq!(log_of(100, &limits(100, 4096)).node_count(), 1);
    assert_eq!(log_of(101, &limits(100, 4096)).node_count(), 2);
    assert_eq!(log_of(10, &limits(0, 1)).node_count(), 10);
    assert_eq!(log_of(1000, &limits(0, 0)).node_count(), 1);
}

#[test]
fn about_trimming_leaves_the_node_it_ends_in() {
    let mut log = log_of(25, &limits(10, 0));
    let mut trim = exactly(Keep::Newest(3));
    trim.is_approximate = true;
    assert_eq!(log.trim(trim), 20);
    assert_eq!(ids(&log), [21, 22, 23, 24, 25]);
    let mut log = log_of(25, &limits(10, 0));
    trim.limit = 15;
    assert_eq!(log.trim(trim), 10);
}

#[test]
fn deleting_everything_remembers_the_last_ids() {
    let mut log = log_of(3, &limits(100, 4096));
    assert_eq!(log.delete(&[id(3), id(1), id(2), id(9)]), 3);
    assert_eq!((log.len(), log.node_count()), (0, 0));
    assert_eq!((log.last_id, log.max_deleted_id), (id(3), id(3)));
    assert_eq!((log.first_id(), log.entries_added), (StreamId::MIN, 3));
}

#[test]
fn a_group_knows_its_lag_until_a_hole_lies_ahead() {
    let limits = limits(100, 4096);
    let mut log = log_of(5, &limits);
    let mut group = Group::new(StreamId::MIN, None);
    assert_eq!(log.lag(&group), Some(5));
    log.note_read(&mut group, id(1));
    assert_eq!((group.entries_read, log.lag(&group)), (Some(1), Some(4)));
    log.delete(&[id(3)]);
    assert_eq!(log.lag(&group), None);
    log.note_read(&mut group, id(2));
    assert_eq!((group.entries_read, log.lag(&group)), (None, None));
    log.note_read(&mut group, id(5));
    assert_eq!((group.entries_read, log.lag(&group)), (Some(5), Some(0)));
}

#[test]
fn an_entry_too_large_for_a_node_is_refused() {
    let mut log = Log::default();
    let big = vec![b'x'; 1 << 20];
    let words = std::iter::repeat_n(big.as_slice(), 1026);
    assert_eq!(log.append(id(1), words, &limits(100, 4096)), Err(TooLarge));
    assert_eq!((log.len(), log.entries_added), (0, 0));
}

#[test]
fn the_memory_of_a_stream_is_that_of_its_nodes_and_groups() {
    let mut stream = Box::<Stream>::default();
    let empty = stream.sampled_bytes(5);
    assert!(empty < 200, "{empty}");
    stream.log = log_of(10_000, &limits(100, 4096));
    let (sampled, whole) = (stream.sampled_bytes(5), stream.sampled_bytes(0));
    assert!(sampled.abs_diff(whole) < whole / 10, "{sampled} {whole}");
    let mut group = Group::new(StreamId::MIN, None);
    let consumer = group.create_consumer(b"c", 1).expect("a new name");
    for ms in 1..=10_000 {
        group.assign(
            id(ms),
            Pending {
                delivered_ms: 1,
                deliveries: 1,
                consumer,
            },
        );
    }
    stream.groups.insert(b"g".as_slice().into(), Box::new(group));
    let pending = stream.sampled_bytes(0) - whole;
    assert!((560_000..600_000).contains(&pending), "{pending}");
}

#[test]
fn a_node_left_with_tombstones_only_goes() {
    let mut log = log_of(3, &limits(100, 4096));
    log.delete(&[id(3)]);
    assert_eq!(log.trim(exactly(Keep::From(id(3)))), 2);
    assert_eq!((log.len(), log.node_count()), (0, 0));
}
