//! How fast is the keyspace's table, against `HashMap<Box<[u8]>, ()>` with the same hash function, and what
//! is the longest that one insert takes while it grows?
//!
//! Corpus: 1,000,000 keys `key:000000000042`, looked up in an order unrelated to that of insertion; each
//! answer is asserted. The growth run inserts 4,000,000.
//!
//! Memory comes from the allocator the server uses.
//!
//! `cargo bench --bench ds_dict`

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::hash::KeyHasher;
use russet::ds::dict::{Dict, Entry, ThinElement};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u32 = 1_000_000;
const GROWTH_KEYS: u32 = 4_000_000;
/// Keys looked up together by the batched benchmark, as the executor does.
const BATCH: usize = 64;

type Key = [u8; 16];
type Rival = HashMap<Box<[u8]>, (), foldhash::quality::FixedState>;

/// One allocation behind one pointer, like an entry of the keyspace: 8 bytes of header, then the key.
struct Thin(Box<(u64, Key)>);

impl ThinElement for Thin {
    fn key(&self) -> &[u8] {
        &self.0.1
    }

    fn address(&self) -> *const u8 {
        (&raw const *self.0).cast()
    }
}

fn key(number: u32) -> Key {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn thin(key: Key) -> Thin {
    Thin(Box::new((0, key)))
}

/// All keys in a scrambled order: the multiplier has no factor in common with their number.
fn shuffled() -> Vec<Key> {
    (0..u64::from(KEYS))
        .map(|i| key((i * 694_847_539 % u64::from(KEYS)) as u32))
        .collect()
}

fn filled_dict() -> Dict<Thin> {
    let mut dict = Dict::new(KeyHasher::with_seed(1));
    for number in 0..KEYS {
        upsert(&mut dict, key(number));
    }
    dict
}

fn filled_rival() -> Rival {
    (0..KEYS).map(|number| (Box::from(key(number)), ())).collect()
}

fn upsert(dict: &mut Dict<Thin>, key: Key) {
    match dict.entry(dict.hash(&key), &key) {
        Entry::Occupied(mut entry) => entry.get_mut().0.0 += 1,
        Entry::Vacant(entry) => drop(black_box(entry.insert(thin(key)))),
    }
}

#[divan::bench(sample_count = 8)]
fn find_dict(bencher: Bencher) {
    let (dict, keys) = (filled_dict(), shuffled());
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let found = keys
            .iter()
            .filter(|key| dict.find(dict.hash(*key), *key).is_some())
            .count();
        assert_eq!(found, KEYS as usize);
    });
}

#[divan::bench(sample_count = 8)]
fn find_dict_batched(bencher: Bencher) {
    let (dict, keys) = (filled_dict(), shuffled());
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let mut found = 0;
        let mut hashes = [0; BATCH];
        for batch in keys.chunks(BATCH) {
            hashes
                .iter_mut()
                .zip(batch)
                .for_each(|(hash, key)| *hash = dict.hash(key));
            hashes[..batch.len()]
                .iter()
                .for_each(|&hash| dict.prefetch_bucket(hash));
            hashes[..batch.len()]
                .iter()
                .for_each(|&hash| dict.prefetch_element(hash));
            found += hashes
                .iter()
                .zip(batch)
                .filter(|&(&hash, key)| dict.find(hash, key).is_some())
                .count();
        }
        assert_eq!(found, KEYS as usize);
    });
}

#[divan::bench(sample_count = 8)]
fn find_std(bencher: Bencher) {
    let (rival, keys) = (filled_rival(), shuffled());
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let found = keys
            .iter()
            .filter(|key| rival.contains_key(key.as_slice()))
            .count();
        assert_eq!(found, KEYS as usize);
    });
}

#[divan::bench(sample_count = 8)]
fn miss_dict(bencher: Bencher) {
    let dict = filled_dict();
    let keys: Vec<Key> = (KEYS..2 * KEYS).map(key).collect();
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let found = keys
            .iter()
            .filter(|key| dict.find(dict.hash(*key), *key).is_some())
            .count();
        assert_eq!(found, 0);
    });
}

#[divan::bench(sample_count = 8)]
fn miss_std(bencher: Bencher) {
    let rival = filled_rival();
    let keys: Vec<Key> = (KEYS..2 * KEYS).map(key).collect();
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let found = keys
            .iter()
            .filter(|key| rival.contains_key(key.as_slice()))
            .count();
        assert_eq!(found, 0);
    });
}

#[divan::bench(sample_count = 5)]
fn insert_dict(bencher: Bencher) {
    let keys = shuffled();
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let mut dict = Dict::new(KeyHasher::with_seed(1));
        keys.iter().for_each(|&key| upsert(&mut dict, key));
        assert_eq!(dict.len(), KEYS as usize);
        dict
    });
}

#[divan::bench(sample_count = 5)]
fn insert_std(bencher: Bencher) {
    let keys = shuffled();
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let mut rival = Rival::default();
        rival.extend(keys.iter().map(|key| (Box::from(*key), ())));
        assert_eq!(rival.len(), KEYS as usize);
        rival
    });
}

#[divan::bench(sample_count = 5)]
fn remove_dict(bencher: Bencher) {
    let keys = shuffled();
    bencher
        .counter(ItemsCount::new(KEYS))
        .with_inputs(filled_dict)
        .bench_local_values(|mut dict| {
            keys.iter()
                .for_each(|key| assert!(dict.remove(dict.hash(key), key).is_some()));
            assert!(dict.is_empty());
        });
}

#[divan::bench(sample_count = 5)]
fn remove_std(bencher: Bencher) {
    let keys = shuffled();
    bencher
        .counter(ItemsCount::new(KEYS))
        .with_inputs(filled_rival)
        .bench_local_values(|mut rival| {
            keys.iter()
                .for_each(|key| assert!(rival.remove(key.as_slice()).is_some()));
            assert!(rival.is_empty());
        });
}

/// The longest single insert and the number of those over 100 us, while `insert` is called for every number.
fn worst_insert(mut insert: impl FnMut(u32)) -> (Duration, usize) {
    let mut worst = Duration::ZERO;
    let mut slow = 0;
    let mut before = Instant::now();
    for number in 0..GROWTH_KEYS {
        insert(number);
        let after = Instant::now();
        let took = after - before;
        worst = worst.max(took);
        slow += usize::from(took > Duration::from_micros(100));
        before = after;
    }
    (worst, slow)
}

/// Resident bytes of this process, 0 where the system does not say.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .unwrap_or(0)
        * 4096
}

/// How long inserts take that split a segment, the worst and the middle one, and the worst of the others.
fn split_times() -> (Duration, Duration, Duration) {
    let mut dict = Dict::new(KeyHasher::with_seed(1));
    let (mut splits, mut worst_other) = (Vec::new(), Duration::ZERO);
    let resident_before = resident_bytes();
    for number in 0..GROWTH_KEYS {
        let (segments, before) = (dict.segment_count(), Instant::now());
        upsert(&mut dict, key(number));
        let took = before.elapsed();
        if dict.segment_count() > segments {
            splits.push(took);
        } else {
            worst_other = worst_other.max(took);
        }
    }
    let resident = resident_bytes().saturating_sub(resident_before) / dict.len();
    println!(
        "{resident} B resident per key, {} B of them table",
        dict.heap_bytes() / dict.len()
    );
    splits.sort_unstable();
    (splits[splits.len() - 1], splits[splits.len() / 2], worst_other)
}

fn report_growth() {
    // First, while the allocator has nothing to give back to the system: that takes milliseconds of its own.
    let (worst, middle, other) = split_times();
    println!("inserts that split: worst {worst:?}, median {middle:?}; worst of the others {other:?}");

    let mut dict = Dict::new(KeyHasher::with_seed(1));
    let (worst, slow) = worst_insert(|number| upsert(&mut dict, key(number)));
    assert_eq!(dict.len(), GROWTH_KEYS as usize);
    println!("worst insert of {GROWTH_KEYS}, dict: {worst:?}, over 100 us: {slow}");
    println!(
        "  {} B of table per key; {:?}",
        dict.heap_bytes() / dict.len(),
        dict.stats()
    );

    let mut rival = Rival::default();
    let (worst, slow) = worst_insert(|number| {
        rival.insert(Box::from(key(number)), ());
    });
    assert_eq!(rival.len(), GROWTH_KEYS as usize);
    println!("worst insert of {GROWTH_KEYS}, std: {worst:?}, over 100 us: {slow}");

    // What the machine itself stalls: the same clock reads and allocations without a table.
    let mut kept = Vec::with_capacity(GROWTH_KEYS as usize);
    let (worst, slow) = worst_insert(|number| kept.push(thin(key(number))));
    println!("worst of {GROWTH_KEYS}, allocation alone: {worst:?}, over 100 us: {slow}");
}

fn main() {
    report_growth();
    divan::main();
}
