//! How fast is a list of a million elements at its ends and inside, against `VecDeque<Box<[u8]>>`, and what is the
//! longest that one push takes while a list grows?
//!
//! Corpus: elements `element:000042`, 14 bytes; answers are asserted. Memory comes from the allocator the server uses.
//!
//! `cargo bench --bench value_list`

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::hash::KeyHasher;
use russet::ds::listpack::Item;
use russet::ds::quicklist::End;
use russet::value::list::List;
use russet::value::{Limits, Typed};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ELEMENTS: usize = 1_000_000;
const RANGE: usize = 100;

fn main() {
    divan::main();
    report_growth();
}

fn element(number: usize) -> Vec<u8> {
    format!("element:{number:06}").into_bytes()
}

fn limits() -> Limits {
    Limits::new(KeyHasher::with_seed(1))
}

fn list(limits: &Limits) -> List {
    let mut list = List::empty();
    (0..ELEMENTS).for_each(|n| list.push(End::Tail, element(n)[..].into(), limits));
    assert_eq!(list.encoding(), "quicklist");
    list
}

fn rival() -> VecDeque<Box<[u8]>> {
    (0..ELEMENTS).map(|n| element(n).into()).collect()
}

/// Indexes all over the list.
fn indexes() -> impl Iterator<Item = usize> {
    (0..1000).map(|n: usize| n * 7_919 % ELEMENTS)
}

mod ends {
    use super::*;

    #[divan::bench(args = [true, false])]
    fn push_and_pop_of_a_listpack(bencher: Bencher, at_head: bool) {
        let (limits, text) = (limits(), element(7));
        let end = if at_head { End::Head } else { End::Tail };
        let mut list = List::empty();
        list.push_all(End::Tail, [&text[..]; 100].into_iter(), &limits);
        bencher.counter(ItemsCount::new(2u32)).bench_local(|| {
            list.push(end, black_box(&text[..]).into(), &limits);
            list.pop(end, &limits, |item| item.len())
        });
    }

    #[divan::bench(args = [true, false])]
    fn push_and_pop(bencher: Bencher, at_head: bool) {
        let (limits, text) = (limits(), element(7));
        let end = if at_head { End::Head } else { End::Tail };
        let mut list = list(&limits);
        bencher.counter(ItemsCount::new(2u32)).bench_local(|| {
            list.push(end, black_box(&text[..]).into(), &limits);
            list.pop(end, &limits, |item| item.len())
        });
    }

    #[divan::bench]
    fn push_and_pop_of_the_rival(bencher: Bencher) {
        let (mut rival, text) = (rival(), element(7));
        bencher.counter(ItemsCount::new(2u32)).bench_local(|| {
            rival.push_front(black_box(&text[..]).into());
            rival.pop_front()
        });
    }

    #[divan::bench(args = [true, false], sample_count = 10)]
    fn a_hundred_thousand_pushes(bencher: Bencher, at_head: bool) {
        let (limits, text) = (limits(), element(7));
        let end = if at_head { End::Head } else { End::Tail };
        bencher.counter(ItemsCount::new(100_000u32)).bench_local(|| {
            let mut list = List::empty();
            (0..100_000).for_each(|_| list.push(end, black_box(&text[..]).into(), &limits));
            list.len()
        });
    }
}

mod inside {
    use super::*;

    #[divan::bench]
    fn index(bencher: Bencher) {
        let list = list(&limits());
        let found = list.get(500_000, |item| item == Item::Bytes(b"element:500000"));
        assert_eq!(found, Some(true));
        bencher.counter(ItemsCount::new(1000u32)).bench_local(|| {
            indexes()
                .filter_map(|at| list.get(at, |item| item.len()))
                .sum::<usize>()
        });
    }

    #[divan::bench]
    fn range_of_a_hundred(bencher: Bencher) {
        let list = list(&limits());
        bencher
            .counter(ItemsCount::new((1000 * RANGE) as u32))
            .bench_local(|| {
                let mut bytes = 0;
                indexes().for_each(|at| list.for_range(at, RANGE, End::Head, |item| bytes += item.len()));
                bytes
            });
    }

    #[divan::bench]
    fn range_of_the_rival(bencher: Bencher) {
        let rival = rival();
        bencher
            .counter(ItemsCount::new((1000 * RANGE) as u32))
            .bench_local(|| {
                indexes()
                    .map(|at| {
                        rival
                            .range(at..(at + RANGE).min(ELEMENTS))
                            .map(|text| text.len())
                            .sum::<usize>()
                    })
                    .sum::<usize>()
            });
    }

    #[divan::bench]
    fn set(bencher: Bencher) {
        let (limits, text) = (limits(), element(1));
        let mut list = list(&limits);
        bencher.counter(ItemsCount::new(1000u32)).bench_local(|| {
            indexes().for_each(|at| assert!(list.set(at, black_box(&text), &limits)));
        });
    }
}

/// Pushes until the list has a million elements of a node each, which is as many nodes as anybody has.
fn report_growth() {
    let limits = Limits {
        list_max_listpack_size: 1,
        ..limits()
    };
    let (mut list, text) = (List::empty(), element(7));
    let mut longest = Duration::ZERO;
    for _ in 0..ELEMENTS {
        let started = Instant::now();
        list.push(End::Tail, text[..].into(), &limits);
        longest = longest.max(started.elapsed());
    }
    assert_eq!(list.free_effort(), ELEMENTS);
    println!("longest push into a list that grows to {ELEMENTS} nodes: {longest:?}");
}
