//! How fast do streams grow, and how fast are entries found in a big one? And is the index of sorted blocks worth having
//! beside the standard library's tree?
//!
//! Corpus: entries of two fields, `sensor` and `temperature`, in nodes of 100 as configured by default; 1,000,000 entries
//! in the big stream. Ids are looked up in an order unrelated to that of insertion. The rival of the index is `BTreeMap`
//! with the same keys.
//!
//! `cargo bench --bench value_stream`

use std::collections::BTreeMap;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::hash::KeyHasher;
use russet::ds::radix::Radix;
use russet::value::Limits;
use russet::value::stream::group::{Group, Pending};
use russet::value::stream::range::Direction;
use russet::value::stream::trim::{Keep, Trim};
use russet::value::stream::{Log, StreamId};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ENTRIES: u64 = 1_000_000;
const LOOKUPS: u64 = 10_000;

fn main() {
    divan::main();
}

fn id(ms: u64) -> StreamId {
    StreamId::new(ms, 0)
}

fn append(log: &mut Log, ms: u64, limits: &Limits) {
    let words: [&[u8]; 4] = [b"sensor", b"living room", b"temperature", b"21"];
    log.append(id(ms), words.into_iter(), limits)
        .expect("short words");
}

fn log_of(entries: u64) -> Log {
    let limits = Limits::new(KeyHasher::with_seed(1));
    let mut log = Log::default();
    (1..=entries).for_each(|ms| append(&mut log, ms, &limits));
    log
}

/// All of 1 to `ENTRIES` would come up: the multiplier has no factor in common with it.
fn scrambled(n: u64) -> u64 {
    n.wrapping_mul(7_368_787) % ENTRIES + 1
}

#[divan::bench]
fn append_entries(bencher: Bencher) {
    let limits = Limits::new(KeyHasher::with_seed(1));
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let mut log = Log::default();
        (1..=LOOKUPS).for_each(|ms| append(&mut log, ms, &limits));
        assert_eq!(log.len(), LOOKUPS);
        log
    });
}

#[divan::bench]
fn append_and_trim_to_1000(bencher: Bencher) {
    let limits = Limits::new(KeyHasher::with_seed(1));
    let trim = Trim {
        keep: Keep::Newest(1000),
        is_approximate: true,
        limit: 10_000,
    };
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let mut log = Log::default();
        for ms in 1..=LOOKUPS {
            append(&mut log, ms, &limits);
            log.trim(trim);
        }
        assert!((1000..1100).contains(&log.len()));
        log
    });
}

#[divan::bench(max_time = 5)]
fn find_among_a_million(bencher: Bencher) {
    let log = log_of(ENTRIES);
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        for n in 0..LOOKUPS {
            assert!(log.contains(black_box(id(scrambled(n)))));
        }
    });
}

#[divan::bench(max_time = 5)]
fn walk_a_million(bencher: Bencher) {
    let log = log_of(ENTRIES);
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| {
        let all = log.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
        let fields: usize = all.map(|entry| entry.fields().count()).sum();
        assert_eq!(fields as u64, 2 * ENTRIES);
    });
}

#[divan::bench]
fn give_out_and_acknowledge(bencher: Bencher) {
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let mut group = Group::new(StreamId::MIN, None);
        let consumer = group.create_consumer(b"c", 1).expect("a new name");
        let pending = Pending {
            delivered_ms: 1,
            deliveries: 1,
            consumer,
        };
        (0..LOOKUPS).for_each(|ms| group.assign(id(ms), pending));
        let acknowledged = (0..LOOKUPS).filter(|ms| group.acknowledge(id(*ms)).is_some());
        assert_eq!(acknowledged.count() as u64, LOOKUPS);
        group
    });
}

#[divan::bench(max_time = 5)]
fn index_find(bencher: Bencher) {
    let mut index = Radix::new();
    (1..=ENTRIES).for_each(|ms| assert_eq!(index.insert(id(ms), ms), None));
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        for n in 0..LOOKUPS {
            let key = scrambled(n);
            assert_eq!(index.get(&id(key)), Some(&key));
        }
    });
}

#[divan::bench(max_time = 5)]
fn index_find_rival(bencher: Bencher) {
    let index: BTreeMap<StreamId, u64> = (1..=ENTRIES).map(|ms| (id(ms), ms)).collect();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        for n in 0..LOOKUPS {
            let key = scrambled(n);
            assert_eq!(index.get(&id(key)), Some(&key));
        }
    });
}

#[divan::bench]
fn index_queue(bencher: Bencher) {
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let mut index = Radix::new();
        for ms in 0..LOOKUPS {
            index.insert(id(ms), ms);
            if ms >= 1000 {
                assert_eq!(index.pop_first(), Some((id(ms - 1000), ms - 1000)));
            }
        }
        index
    });
}

#[divan::bench]
fn index_queue_rival(bencher: Bencher) {
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let mut index = BTreeMap::new();
        for ms in 0..LOOKUPS {
            index.insert(id(ms), ms);
            if ms >= 1000 {
                assert_eq!(index.pop_first(), Some((id(ms - 1000), ms - 1000)));
            }
        }
        index
    });
}
