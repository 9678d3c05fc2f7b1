//! What do sorted sets cost in each encoding, and does the counted tree stand up to std's `BTreeSet` beside a
//! `HashMap`, which has no ranks at all?
//!
//! Members: `member:000000000042` with scores in no relation to them, 100 and 1,000,000 of them, visited in a scrambled
//! order. Every answer is asserted. Memory comes from the allocator the server uses; bytes per member are printed first.
//!
//! `cargo bench --bench value_zset`

use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;

use divan::Bencher;
use russet::base::hash::KeyHasher;
use russet::base::rng::Rng;
use russet::value::zset::{Direction, ScoreRange, Zset};
use russet::value::{Limits, Typed};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SMALL: u32 = 100;
const BIG: u32 = 1_000_000;

fn main() {
    for size in [SMALL, BIG] {
        let per_member = filled(size).sampled_bytes(0) as f64 / f64::from(size);
        println!("{size} members of 19 bytes: {per_member:.1} bytes each");
    }
    divan::main();
}

fn limits() -> Limits {
    Limits::new(KeyHasher::with_seed(1))
}

fn text(number: u32) -> String {
    format!("member:{number:012}")
}

/// A whole number, the same for the same member.
fn score(number: u32) -> f64 {
    f64::from(number.wrapping_mul(2_654_435_761) >> 8)
}

fn filled(size: u32) -> Zset {
    let (mut zset, limits) = (Zset::default(), limits());
    for number in 0..size {
        zset.set(text(number).as_bytes(), score(number), &limits);
    }
    zset
}

/// Members to ask for.
fn asked(size: u32) -> impl FnMut() -> u32 {
    let mut rng = Rng::seeded(1);
    move || rng.below(size.into()) as u32
}

#[divan::bench(args = [SMALL, BIG])]
fn get_score(bencher: Bencher<'_, '_>, size: u32) {
    let (zset, mut asked) = (filled(size), asked(size));
    bencher.bench_local(|| {
        let number = asked();
        assert_eq!(zset.score(text(number).as_bytes()), Some(score(number)));
    });
}

#[divan::bench(args = [SMALL, BIG])]
fn get_rank(bencher: Bencher<'_, '_>, size: u32) {
    let (zset, mut asked) = (filled(size), asked(size));
    bencher.bench_local(|| {
        let (rank, _) = zset.rank(text(asked()).as_bytes()).unwrap();
        assert!(rank < size as usize);
    });
}

#[divan::bench(args = [SMALL, BIG])]
fn change_score(bencher: Bencher<'_, '_>, size: u32) {
    let (mut zset, mut asked, limits) = (filled(size), asked(size), limits());
    bencher.bench_local(|| {
        let (member, new) = (asked(), score(asked()));
        assert!(zset.set(text(member).as_bytes(), new, &limits).is_some());
    });
}

#[divan::bench]
fn change_score_of_the_rival(bencher: Bencher<'_, '_>) {
    let mut asked = asked(BIG);
    let mut scores: HashMap<String, u32> = (0..BIG).map(|n| (text(n), score(n) as u32)).collect();
    let mut order: BTreeSet<(u32, String)> = (0..BIG).map(|n| (score(n) as u32, text(n))).collect();
    bencher.bench_local(|| {
        let (member, new) = (text(asked()), score(asked()) as u32);
        let old = scores.insert(member.clone(), new).unwrap();
        assert!(order.remove(&(old, member.clone())));
        order.insert((new, member));
    });
}

#[divan::bench(args = [SMALL, BIG])]
fn ten_from_a_score_on(bencher: Bencher<'_, '_>, size: u32) {
    let (zset, mut asked) = (filled(size), asked(size));
    bencher.bench_local(|| {
        let range = ScoreRange::closed(score(asked()), f64::INFINITY);
        let ranks = zset.ranks_of_scores(&range);
        assert!(!ranks.is_empty());
        let end = ranks.end.min(ranks.start + 10);
        for member in zset.walk(ranks.start..end, Direction::Up) {
            black_box(member);
        }
    });
}

#[divan::bench(args = [SMALL, BIG])]
fn pop_the_lowest_and_put_it_back(bencher: Bencher<'_, '_>, size: u32) {
    let (mut zset, mut asked, limits) = (filled(size), asked(size), limits());
    bencher.bench_local(|| {
        let member = zset.get(0).unwrap().0.to_vec();
        zset.remove_range(0..1);
        assert_eq!(zset.set(&member, score(asked()), &limits), None);
    });
}
