//! What do sets cost in each encoding, and set operations on two sets of a million?
//!
//! Members: `member:000000000042`; integers; half of the members of either big set are in both. Every answer is
//! asserted. Memory comes from the allocator the server uses; bytes per member are printed first.
//!
//! `cargo bench --bench value_set`

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::hash::KeyHasher;
use russet::base::rng::Rng;
use russet::value::set::{Set, algebra};
use russet::value::{Limits, Typed};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BIG: u32 = 1_000_000;

fn main() {
    let set = big(0);
    let per_member = set.sampled_bytes(0) as f64 / f64::from(BIG);
    println!("{BIG} members of 19 bytes: {per_member:.1} bytes each");
    divan::main();
}

fn limits() -> Limits {
    Limits::new(KeyHasher::with_seed(1))
}

fn text(number: u32) -> String {
    format!("member:{number:012}")
}

fn set_of(members: impl Iterator<Item = String>) -> Set {
    let (mut set, limits) = (Set::empty(), limits());
    members.for_each(|member| {
        set.insert(member.as_bytes(), &limits);
    });
    set
}

fn big(first: u32) -> Set {
    set_of((first..first + BIG).map(text))
}

fn small(encoding: &str) -> Set {
    let set = match encoding {
        "intset" => set_of((0..400).map(|n: u32| (n * 7).to_string())),
        "listpack" => set_of((0..100).map(text)),
        _ => set_of((0..2000).map(text)),
    };
    assert_eq!(set.encoding(), encoding);
    set
}

const ENCODINGS: [&str; 3] = ["intset", "listpack", "hashtable"];

#[divan::bench(args = ENCODINGS)]
fn contains(bencher: Bencher<'_, '_>, encoding: &str) {
    let set = small(encoding);
    let members: Vec<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
    bencher
        .counter(ItemsCount::new(members.len()))
        .bench_local(|| assert!(members.iter().all(|member| set.contains(black_box(member)))));
}

#[divan::bench(args = ENCODINGS)]
fn insert_and_remove(bencher: Bencher<'_, '_>, encoding: &str) {
    let (mut set, limits) = (small(encoding), limits());
    let member: &[u8] = if encoding == "intset" {
        b"1400"
    } else {
        b"member:new"
    };
    set.remove(member);
    bencher.bench_local(|| assert!(set.insert(black_box(member), &limits) && set.remove(member)));
}

#[divan::bench(args = ENCODINGS)]
fn random(bencher: Bencher<'_, '_>, encoding: &str) {
    let (set, mut rng) = (small(encoding), Rng::seeded(1));
    bencher.bench_local(|| assert!(black_box(&set).random(&mut rng).is_some()));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fill_a_million(bencher: Bencher<'_, '_>) {
    let members: Vec<String> = (0..BIG).map(text).collect();
    let limits = limits();
    bencher
        .counter(ItemsCount::new(BIG))
        .with_inputs(Set::empty)
        .bench_local_values(|mut set| {
            assert!(
                members
                    .iter()
                    .all(|member| set.insert(member.as_bytes(), &limits))
            );
            set
        });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn intersect_two_millions(bencher: Bencher<'_, '_>) {
    let (a, b) = (big(0), big(BIG / 2));
    bencher.counter(ItemsCount::new(BIG)).bench_local(|| {
        let mut count = 0;
        algebra::intersection(&[&a, &b], |_| {
            count += 1;
            true
        });
        assert_eq!(count, BIG / 2);
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn unite_two_millions(bencher: Bencher<'_, '_>) {
    let (a, b) = (big(0), big(BIG / 2));
    bencher.counter(ItemsCount::new(2 * BIG)).bench_local(|| {
        let mut count = 0;
        algebra::union(&[&a, &b], KeyHasher::with_seed(1), |_| count += 1);
        assert_eq!(count, BIG + BIG / 2);
    });
}
