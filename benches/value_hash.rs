//! How fast are hashes, small and big, against `HashMap<Box<[u8]>, Box<[u8]>>` with the same hash function; what is the
//! longest that one store takes while a hash grows to 5,000,000 fields; and how long does one step of expiry keep its
//! caller?
//!
//! Corpus: fields `field:0000042`, values of 8 bytes; 100 fields in a listpack, 1,000,000 in a table, looked up in an
//! order unrelated to that of insertion. Each answer is asserted. The rival has no expiries and no small encoding.
//!
//! Memory comes from the allocator the server uses.
//!
//! `cargo bench --bench value_hash`

use std::collections::HashMap;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::hash::KeyHasher;
use russet::value::Limits;
use russet::value::hash::Hash;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SMALL: u32 = 100;
const BIG: u32 = 1_000_000;
const GROWTH: u32 = 5_000_000;
/// Fields looked at in one step of expiry, as the keyspace's sweep does.
const STEP: usize = 2_000;
/// No field is due at this time.
const NEVER_DUE: i64 = i64::MIN;

type Name = [u8; 13];
type Rival = HashMap<Box<[u8]>, Box<[u8]>, foldhash::quality::FixedState>;

fn limits() -> Limits {
    Limits::new(KeyHasher::with_seed(1))
}

fn name(number: u32) -> Name {
    let mut name = *b"field:0000000";
    let mut rest = number;
    for digit in name[6..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// All names in a scrambled order: the multiplier has no factor in common with their number.
fn shuffled(count: u32) -> Vec<Name> {
    (0..u64::from(count))
        .map(|i| name((i * 694_847_539 % u64::from(count)) as u32))
        .collect()
}

fn filled(count: u32) -> Hash {
    let (mut hash, limits) = (Hash::default(), limits());
    for number in 0..count {
        hash.set(&name(number), b"value:00", &limits);
    }
    hash
}

fn filled_rival(count: u32) -> Rival {
    let value: Box<[u8]> = Box::from(*b"value:00");
    (0..count)
        .map(|number| (Box::from(name(number)), value.clone()))
        .collect()
}

#[divan::bench(args = [SMALL, BIG], sample_count = 8)]
fn get(bencher: Bencher, count: u32) {
    let (hash, names) = (filled(count), shuffled(count));
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let found = names.iter().filter(|name| hash.get(*name, NEVER_DUE).is_some());
        assert_eq!(found.count(), count as usize);
    });
}

#[divan::bench(args = [SMALL, BIG], sample_count = 8)]
fn get_std(bencher: Bencher, count: u32) {
    let (rival, names) = (filled_rival(count), shuffled(count));
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let found = names.iter().filter(|name| rival.contains_key(name.as_slice()));
        assert_eq!(found.count(), count as usize);
    });
}

#[divan::bench(args = [SMALL, BIG], sample_count = 8)]
fn overwrite(bencher: Bencher, count: u32) {
    let (mut hash, names, limits) = (filled(count), shuffled(count), limits());
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        for name in &names {
            hash.set(name, b"value:01", &limits);
        }
        assert_eq!(hash.len(), count as usize);
    });
}

#[divan::bench(args = [SMALL, BIG], sample_count = 8)]
fn fill(bencher: Bencher, count: u32) {
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| assert_eq!(filled(count).len(), count as usize));
}

#[divan::bench(args = [SMALL, BIG], sample_count = 8)]
fn fill_std(bencher: Bencher, count: u32) {
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| assert_eq!(filled_rival(count).len(), count as usize));
}

/// The time of the longest of the calls that `act` makes `count` of.
fn longest(count: u32, mut act: impl FnMut(u32)) -> Duration {
    let mut longest = Duration::ZERO;
    for number in 0..count {
        let started = Instant::now();
        act(number);
        longest = longest.max(started.elapsed());
    }
    longest
}

/// Prints what no average shows: the longest single calls.
fn report_longest() {
    let (mut hash, limits) = (Hash::default(), limits());
    let store = longest(GROWTH, |number| {
        hash.set(&name(number), b"value:00", &limits);
    });
    assert_eq!(hash.len(), GROWTH as usize);
    for number in 0..BIG {
        hash.set_expiry(&name(number), Some(1 + i64::from(number % 2)));
    }
    let mut gone = 0;
    let step = longest(5_000, |_| {
        hash.expire(1, STEP, &mut |_| gone += 1);
    });
    assert_eq!(gone, BIG / 2);
    println!("longest store while growing to {GROWTH} fields: {store:?}; longest step of expiry: {step:?}");
}

fn main() {
    report_longest();
    divan::main();
}
