use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::base::relocate::{self, MoveAll};

/// A number for a key, and a value to tell one element from the next of the same key.
#[derive(Debug, PartialEq)]
struct Content {
    key: [u8; 4],
    value: u32,
}

#[derive(Debug, PartialEq)]
struct Thin(Box<Content>);

fn thin(key: u32, value: u32) -> Thin {
    Thin(Box::new(Content {
        key: key.to_be_bytes(),
        value,
    }))
}

impl Thin {
    fn number(&self) -> u32 {
        u32::from_be_bytes(self.0.key)
    }
}

impl ThinElement for Thin {
    fn key(&self) -> &[u8] {
        &self.0.key
    }

    fn address(&self) -> *const u8 {
        (&raw const *self.0).cast()
    }
}

/// Hash functions from good to useless.
#[derive(Clone, Copy, Debug)]
enum TestHash {
    Good,
    /// The key's number in the top bits: neighbouring keys share a bucket.
    Ordered,
    /// Only so many different values, in the top bits.
    FewTop(u64),
    /// Only so many different values, in the low bits: all share segment and home.
    FewLow(u64),
    /// Top bits of zero but for a good low half.
    LongPrefix,
}

impl HashKey for TestHash {
    fn hash(&self, key: &[u8]) -> u64 {
        let number = u64::from(u32::from_be_bytes(key.try_into().unwrap()));
        let good = KeyHasher::with_seed(1).hash(key);
        match *self {
            TestHash::Good => good,
            TestHash::Ordered => number << 48,
            TestHash::FewTop(n) => (good % n) << 60,
            TestHash::FewLow(n) => good % n,
            TestHash::LongPrefix => good >> 32,
        }
    }
}

type TestDict = Dict<Thin, TestHash>;

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Inserts or replaces; returns what was there.
fn put(dict: &mut TestDict, number: u32, value: u32) -> Option<Thin> {
    let hash = dict.hash(&key(number));
    match dict.entry(hash, &key(number)) {
        Entry::Occupied(mut entry) => Some(entry.replace(thin(number, value))),
        Entry::Vacant(entry) => {
            assert_eq!(entry.insert(thin(number, value)).0.value, value);
            None
        }
    }
}

fn del(dict: &mut TestDict, number: u32) -> Option<Thin> {
    dict.remove(dict.hash(&key(number)), &key(number))
}

fn get(dict: &TestDict, number: u32) -> Option<&Thin> {
    dict.find(dict.hash(&key(number)), &key(number))
}

fn filled(hasher: TestHash, numbers: impl IntoIterator<Item = u32>) -> TestDict {
    let mut dict = Dict::new(hasher);
    for number in numbers {
        dict.insert_new(hasher.hash(&key(number)), thin(number, number));
    }
    dict
}

/// A small reproducible generator, so that a test does not depend on another room.
fn random_numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        KeyHasher::with_seed(0).hash(&state.to_le_bytes())
    }
}

fn scan_all(dict: &TestDict) -> Vec<u32> {
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = dict.scan(cursor, &mut |element| seen.push(element.number()));
        if cursor == 0 {
            return seen;
        }
    }
}

#[test]
fn an_empty_table_has_no_memory_and_answers_everything() {
    let mut dict: TestDict = Dict::new(TestHash::Good);
    assert_eq!(
        (
            dict.len(),
            dict.heap_bytes(),
            dict.capacity(),
            dict.segment_count()
        ),
        (0, 0, 0, 0)
    );
    assert!(get(&dict, 1).is_none() && del(&mut dict, 1).is_none() && dict.is_empty());
    assert_eq!(dict.scan(0, &mut |_| unreachable!()), 0);
    assert_eq!(dict.scan(u64::MAX, &mut |_| unreachable!()), 0);
    assert_eq!(
        dict.sweep(9, NO_MARK, &mut |_| unreachable!(), &mut |_| unreachable!()),
        0
    );
    assert!(dict.random(&mut || 0).is_none() && dict.iter().next().is_none());
    dict.prefetch_bucket(u64::MAX);
    dict.prefetch_element(u64::MAX);
    dict.lower_mark(0, 1);
    dict.clear();
    dict.check_invariants();
}

#[test]
fn a_bucket_is_a_line_and_a_segment_sixteen_kilobytes() {
    let dict = filled(TestHash::Good, 0..7);
    assert_eq!((dict.bucket_count(), dict.capacity()), (1, 7));
    let dict = filled(TestHash::Good, 0..1_000);
    assert_eq!((dict.segment_count(), dict.bucket_count()), (1, 256));
    assert!((16_384..17_000).contains(&dict.heap_bytes()));
}

#[test]
fn an_element_can_be_replaced_in_place() {
    let mut dict = filled(TestHash::Good, 0..100);
    let hash = dict.hash(&key(5));
    *dict.find_mut(hash, &key(5)).unwrap() = thin(5, 77);
    assert_eq!(get(&dict, 5), Some(&thin(5, 77)));
    assert_eq!(put(&mut dict, 5, 78), Some(thin(5, 77)));
    let Entry::Occupied(mut entry) = dict.entry(hash, &key(5)) else {
        panic!("5 is there")
    };
    assert_eq!((entry.get().0.value, entry.get_mut().0.value), (78, 78));
    entry.into_mut().0.value = 79;
    assert_eq!(del(&mut dict, 5), Some(thin(5, 79)));
    dict.check_invariants();
}

#[test]
fn a_table_grows_and_shrinks_back_to_one_bucket() {
    let mut dict = filled(TestHash::Good, 0..60_000);
    dict.check_invariants();
    assert!(dict.segment_count() > 30 && dict.stats().depth >= 5);
    let fill = dict.len() as f64 / dict.capacity() as f64;
    assert!((0.4..0.96).contains(&fill), "fill {fill}");
    for number in 0..60_000 {
        assert_eq!(del(&mut dict, number), Some(thin(number, number)));
        if number % 5_000 == 0 {
            dict.check_invariants();
        }
    }
    dict.check_invariants();
    assert_eq!((dict.len(), dict.segment_count(), dict.bucket_count()), (0, 1, 1));
    assert!(dict.heap_bytes() < 10_000);
}

#[test]
fn splits_are_spread_over_the_growth_of_the_table() {
    let mut dict: TestDict = Dict::new(TestHash::Good);
    let mut most_in_a_row = 0;
    for block in 0..100u32 {
        let before = dict.segment_count();
        (block * 1_000..(block + 1) * 1_000).for_each(|n| drop(put(&mut dict, n, n)));
        most_in_a_row = most_in_a_row.max(dict.segment_count() - before);
    }
    // 64 segments and more by now: had they split together, nearly all would have within one block.
    assert!(
        dict.segment_count() > 64 && most_in_a_row < 12,
        "{most_in_a_row} splits in 1000 inserts"
    );
}

#[test]
fn hashes_with_a_long_common_prefix_make_segments_bigger_and_not_the_directory() {
    for hasher in [
        TestHash::LongPrefix,
        TestHash::FewLow(1),
        TestHash::FewLow(3),
        TestHash::FewTop(2),
    ] {
        let mut dict = filled(hasher, 0..4_000);
        dict.check_invariants();
        let stats = dict.stats();
        assert!(
            stats.directory_slots <= 8 * stats.segments,
            "{hasher:?}: {stats:?}"
        );
        assert!(
            dict.heap_bytes() < 400_000,
            "{hasher:?}: {} bytes",
            dict.heap_bytes()
        );
        (0..4_000).for_each(|n| assert!(get(&dict, n).is_some()));
        assert!(get(&dict, 4_000).is_none());
        let mut seen = scan_all(&dict);
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..4_000));
        (0..4_000).for_each(|n| assert!(del(&mut dict, n).is_some()));
        dict.check_invariants();
        assert_eq!((dict.segment_count(), dict.bucket_count()), (1, 1));
    }
}

#[test]
fn every_element_is_dropped_once() {
    struct Counted(Box<(Rc<Cell<u32>>, [u8; 4])>);
    impl ThinElement for Counted {
        fn key(&self) -> &[u8] {
            &self.0.1
        }
        fn address(&self) -> *const u8 {
            (&raw const *self.0).cast()
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.0.set(self.0.0.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let mut dict = Dict::new(TestHash::Good);
    for number in 0..5_000u32 {
        let element = Counted(Box::new((dropped.clone(), key(number))));
        dict.insert_new(dict.hash(&key(number)), element);
    }
    assert_eq!(dropped.get(), 0);
    (0..1_000).for_each(|n| drop(dict.remove(dict.hash(&key(n)), &key(n))));
    assert_eq!(dropped.get(), 1_000);
    let taken = dict.take();
    assert_eq!(
        (dict.len(), dict.heap_bytes(), taken.len(), dropped.get()),
        (0, 0, 4_000, 1_000)
    );
    drop(taken);
    assert_eq!(dropped.get(), 5_000);
}

#[test]
fn a_taken_table_can_be_dropped_by_another_thread() {
    let mut dict = filled(TestHash::Good, 0..5_000);
    let taken = dict.take();
    assert_eq!(std::thread::spawn(move || taken.len()).join().unwrap(), 5_000);
    assert!(put(&mut dict, 1, 1).is_none() && dict.len() == 1);
}

#[test]
fn iteration_visits_every_element_once_and_knows_how_many_are_left() {
    for count in [1, 7, 8, 1_000, 20_000] {
        let dict = filled(TestHash::Good, 0..count);
        let mut iter = dict.iter();
        assert_eq!(iter.len(), count as usize);
        iter.next();
        assert_eq!(iter.len(), count as usize - 1);
        let seen: BTreeSet<u32> = dict.iter().map(Thin::number).collect();
        assert!(seen.len() == count as usize && dict.iter().count() == count as usize);
    }
}

#[test]
fn a_still_table_is_scanned_in_the_order_of_hashes_each_element_once() {
    let dict = filled(TestHash::Good, 0..20_000);
    let seen = scan_all(&dict);
    assert_eq!(seen.len(), 20_000);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 20_000);
    let mut cursor = 0;
    let mut lowest = 0;
    loop {
        let from = lowest;
        let next = dict.scan(cursor, &mut |element| {
            let hash = dict.hash(element.key());
            assert!(hash >= from);
            lowest = lowest.max(hash);
        });
        assert!(next == 0 || (next > cursor && next < 1 << 48 && lowest >> 16 < next));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
}

#[test]
fn any_number_is_a_cursor_and_every_scan_ends() {
    let dict = filled(TestHash::Good, 0..5_000);
    let mut random = random_numbers(3);
    for cursor in [1, u64::MAX, 1 << 48, (1 << 48) - 1, 1 << 63]
        .into_iter()
        .chain((0..200).map(|_| random()))
    {
        let next = dict.scan(cursor, &mut |_| ());
        assert!(next == 0 || next > cursor & ((1 << 48) - 1));
    }
}

/// Scans and sweeps while the table grows and shrinks by whole segments; checks the promise against a set.
fn check_scan_under_change(hasher: TestHash, seed: u64, numbers: u32) {
    let mut random = random_numbers(seed);
    let mut dict = filled(hasher, 0..numbers);
    // Numbers below `numbers / 8` stay; the others come and go, so that both growth and shrinking happen.
    let staying = numbers / 8;
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    let mut inserted: BTreeMap<u32, u32> = (0..numbers).map(|number| (number, 1)).collect();
    let (mut cursor, mut calls) = (0, 0u32);
    loop {
        cursor = dict.scan(cursor, &mut |element| {
            *seen.entry(element.number()).or_default() += 1
        });
        if cursor == 0 {
            break;
        }
        calls += 1;
        let growing = (calls / 40).is_multiple_of(2);
        for _ in 0..numbers / 20 {
            let number = staying + (random() % u64::from(numbers * 3)) as u32;
            if !growing {
                del(&mut dict, number);
            } else if put(&mut dict, number, 0).is_none() {
                *inserted.entry(number).or_default() += 1;
            }
        }
    }
    dict.check_invariants();
    for number in 0..staying {
        assert_eq!(
            seen.get(&number),
            Some(&1),
            "{hasher:?}: {number} was there all the time"
        );
    }
    for (number, count) in seen {
        assert!(
            inserted.get(&number).is_some_and(|&times| count <= times),
            "{hasher:?}: {number}: {count}"
        );
    }
}

#[test]
fn a_scan_keeps_its_promise_while_segments_split_and_join() {
    for seed in 0..2 {
        check_scan_under_change(TestHash::Good, seed, 4_000);
        check_scan_under_change(TestHash::Good, seed, 200);
        check_scan_under_change(TestHash::Good, seed, 6);
        check_scan_under_change(TestHash::FewTop(5), seed, 1_000);
        check_scan_under_change(TestHash::LongPrefix, seed, 500);
        check_scan_under_change(TestHash::Ordered, seed, 4_000);
    }
}

#[test]
fn random_choice_is_nearly_uniform() {
    for count in [1u32, 3, 8, 100, 1_000, 3_000, 20_000] {
        let dict = filled(TestHash::Good, 0..count);
        let mut random = random_numbers(u64::from(count));
        let draws = 100_000;
        let mut groups = vec![0u32; count.min(100) as usize];
        for _ in 0..draws {
            let element = dict.random(&mut random).unwrap();
            let group = element.number() as usize % groups.len();
            groups[group] += 1;
        }
        let expected = f64::from(draws) / groups.len() as f64;
        let off = groups
            .iter()
            .map(|&n| (f64::from(n) / expected - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(off < 0.25, "{count} elements: one group is off by {off}");
    }
}

#[test]
fn random_choice_is_fair_to_the_crowded_and_to_the_lonely() {
    // Numbers are positions in hash space: the low half keeps one element in thirty, the high half all.
    let mut dict = filled(TestHash::Ordered, 0..65_536);
    (0..32_768u32)
        .filter(|n| !n.is_multiple_of(30))
        .for_each(|n| drop(del(&mut dict, n)));
    let (lonely, mut random, draws) = (32_768 / 30 + 1, random_numbers(9), 100_000);
    let low = (0..draws)
        .filter(|_| dict.random(&mut random).unwrap().number() < 32_768)
        .count();
    let expected = f64::from(draws) * f64::from(lonely) / dict.len() as f64;
    assert!((low as f64 / expected - 1.0).abs() < 0.1, "{low} of {expected}");
}

#[test]
fn a_random_element_can_be_taken_out() {
    let mut dict = filled(TestHash::Good, 0..5_000);
    let mut random = random_numbers(4);
    let taken: BTreeSet<u32> = (0..5_000)
        .map(|_| dict.take_random(&mut random).unwrap().number())
        .collect();
    assert_eq!((taken.len(), dict.len()), (5_000, 0));
    assert!(dict.take_random(&mut random).is_none());
}

#[test]
fn random_choice_finds_the_only_element_of_a_sparse_table() {
    // One segment holds everything, so most positions lead to empty ones.
    let mut dict = filled(TestHash::LongPrefix, 0..4_000);
    (1..4_000).for_each(|n| drop(del(&mut dict, n)));
    let mut random = random_numbers(1);
    (0..100).for_each(|_| assert_eq!(dict.random(&mut random).map(Thin::number), Some(0)));
    assert_eq!(dict.random(&mut || 0).map(Thin::number), Some(0));
    assert_eq!(dict.random(&mut || u64::MAX).map(Thin::number), Some(0));
}

/// One walk of sweeps; the elements with a value of at most `due` go, and are returned.
fn sweep_all(dict: &mut TestDict, due: u32) -> BTreeSet<u32> {
    let (mut gone, mut cursor) = (BTreeSet::new(), 0);
    let mut judge = |element: &mut Thin| match element.0.value {
        value if value <= due => Verdict::Remove,
        value => Verdict::Keep(u64::from(value)),
    };
    loop {
        cursor = dict.sweep(cursor, u64::from(due), &mut judge, &mut |element| {
            assert!(gone.insert(element.number()));
        });
        if cursor == 0 {
            return gone;
        }
    }
}

#[test]
fn sweeps_remove_what_is_due_and_skip_segments_that_hold_nothing_due() {
    let mut dict: TestDict = Dict::new(TestHash::Good);
    for number in 0..30_000 {
        let hash = dict.hash(&key(number));
        dict.insert_new(hash, thin(number, number));
        dict.lower_mark(hash, u64::from(number));
    }
    assert_eq!(dict.lowest_mark(), 0);
    for due in [0, 10, 5_000, 20_000, 29_998] {
        let before: BTreeSet<u32> = dict.iter().map(Thin::number).filter(|&n| n <= due).collect();
        assert_eq!(sweep_all(&mut dict, due), before);
        dict.check_invariants();
        // Everything due is gone, so a second walk judges nothing.
        assert_eq!(
            dict.sweep(0, u64::from(due), &mut |_| unreachable!(), &mut |_| ()),
            0
        );
        assert!(dict.lowest_mark() > u64::from(due));
    }
    assert_eq!((dict.len(), dict.lowest_mark()), (1, 29_999));
    assert_eq!(
        (dict.segment_count(), dict.bucket_count()),
        (1, 1),
        "what sweeps emptied was joined"
    );
    assert_eq!(
        dict.sweep(0, NO_MARK, &mut |_| Verdict::Keep(NO_MARK), &mut |_| ()),
        0
    );
    assert_eq!(dict.lowest_mark(), NO_MARK);
}

#[test]
fn marks_survive_splits_and_joins() {
    let mut dict = filled(TestHash::Good, 0..100);
    let hash = dict.hash(&key(7));
    dict.lower_mark(hash, 42);
    let mark_of_7 = |dict: &TestDict| dict.table.segment_of(hash).unwrap().mark();
    (100..20_000).for_each(|n| drop(put(&mut dict, n, n)));
    assert!(dict.segment_count() > 8 && mark_of_7(&dict) == 42);
    (100..20_000).for_each(|n| drop(del(&mut dict, n)));
    assert!(dict.segment_count() == 1 && mark_of_7(&dict) == 42);
}

#[test]
fn prefetching_is_harmless_wherever_it_points() {
    let dict = filled(TestHash::FewTop(3), 0..3_000);
    for hash in [0, 1, u64::MAX, 1 << 60, 2 << 60, 0xff] {
        dict.prefetch_bucket(hash);
        dict.prefetch_element(hash);
    }
}

#[test]
fn stats_describe_the_shape() {
    let dict = filled(TestHash::Good, 0..10_000);
    let stats = dict.stats();
    assert_eq!(stats.elements, 10_000);
    assert_eq!(stats.buckets_by_fill.iter().sum::<usize>(), stats.buckets);
    assert_eq!(
        stats
            .buckets_by_fill
            .iter()
            .enumerate()
            .map(|(n, count)| n * count)
            .sum::<usize>(),
        10_000
    );
    assert_eq!(stats.directory_slots, 1 << stats.depth);
    assert!(
        stats.longest_probe >= 1 && stats.longest_probe < 60 && stats.displaced < 5_000,
        "{stats:?}"
    );
}

#[derive(Clone, Debug)]
enum Op {
    Put(u32, u32),
    Remove(u32),
    Find(u32),
    PutRange(u32, u32),
    RemoveRange(u32, u32),
    Sweep(u32),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let number = || 0u32..3_000;
    prop_oneof![
        8 => (number(), any::<u32>()).prop_map(|(k, v)| Op::Put(k, v)),
        4 => number().prop_map(Op::Remove),
        4 => number().prop_map(Op::Find),
        4 => (number(), 0u32..900).prop_map(|(from, count)| Op::PutRange(from, count)),
        3 => (number(), 0u32..900).prop_map(|(from, count)| Op::RemoveRange(from, count)),
        1 => any::<u32>().prop_map(Op::Sweep),
        1 => Just(Op::Clear),
    ]
}

fn test_hash() -> impl Strategy<Value = TestHash> {
    prop_oneof![
        4 => Just(TestHash::Good),
        1 => Just(TestHash::Ordered),
        1 => (1u64..17).prop_map(TestHash::FewTop),
        1 => (1u64..2_000).prop_map(TestHash::FewLow),
        1 => Just(TestHash::LongPrefix),
    ]
}

fn apply(op: &Op, dict: &mut TestDict, twin: &mut BTreeMap<u32, u32>) {
    match *op {
        Op::Put(number, value) => {
            assert_eq!(
                put(dict, number, value).map(|e| e.0.value),
                twin.insert(number, value)
            );
        }
        Op::Remove(number) => {
            assert_eq!(
                del(dict, number).map(|element| element.0.value),
                twin.remove(&number)
            );
        }
        Op::Find(number) => {
            assert_eq!(
                get(dict, number).map(|element| element.0.value),
                twin.get(&number).copied()
            );
        }
        Op::PutRange(from, count) => {
            (from..from + count).for_each(|number| apply(&Op::Put(number, number), dict, twin));
        }
        Op::RemoveRange(from, count) => {
            (from..from + count).for_each(|number| apply(&Op::Remove(number), dict, twin));
        }
        Op::Sweep(due) => {
            // No marks are set here, so the mark given lets every segment pass.
            let mut judge = |e: &mut Thin| {
                if e.0.value <= due {
                    Verdict::Remove
                } else {
                    Verdict::Keep(0)
                }
            };
            let (mut gone, mut cursor) = (BTreeSet::new(), 0);
            loop {
                cursor = dict.sweep(cursor, NO_MARK, &mut judge, &mut |e| {
                    assert!(gone.insert(e.number()));
                });
                if cursor == 0 {
                    break;
                }
            }
            let due_in_twin: BTreeSet<u32> =
                twin.iter().filter(|(_, v)| **v <= due).map(|(k, _)| *k).collect();
            assert_eq!(gone, due_in_twin);
            twin.retain(|_, value| *value > due);
        }
        Op::Clear => {
            dict.clear();
            twin.clear();
        }
    }
    assert_eq!(dict.len(), twin.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_table_is_a_map_whatever_the_hashes(
        hasher in test_hash(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut dict = Dict::new(hasher);
        let mut twin = BTreeMap::new();
        for op in &ops {
            apply(op, &mut dict, &mut twin);
        }
        let mut seen = Vec::new();
        let mut cursor = 0;
        let mut mover = MoveAll::pausing_after(3);
        loop {
            cursor = dict.relocate(cursor, &mut mover, &mut |element, mover| {
                relocate::boxed(&mut element.0, mover);
                seen.push(element.number());
            });
            if cursor == 0 {
                break;
            }
        }
        seen.sort_unstable();
        prop_assert!(seen.iter().eq(twin.keys()), "each is offered once while nothing changes");
        prop_assert!(mover.moved >= seen.len() as u64);
        dict.check_invariants();
        let contents = |items: &mut dyn Iterator<Item = &Thin>| -> BTreeMap<u32, u32> {
            items.map(|element| (element.number(), element.0.value)).collect()
        };
        prop_assert_eq!(contents(&mut dict.iter()), twin.clone());
        let scanned = scan_all(&dict);
        prop_assert_eq!(scanned.len(), twin.len());
        prop_assert!(scanned.into_iter().collect::<BTreeSet<_>>().into_iter().eq(twin.into_keys()));
    }
}

#[test]
fn an_element_is_found_and_taken_by_its_hash_alone() {
    for hasher in [TestHash::Good, TestHash::Ordered, TestHash::LongPrefix] {
        let mut dict = filled(hasher, 0..5_000);
        for number in (0..5_000).step_by(3) {
            let hash = hasher.hash(&key(number));
            assert_eq!(dict.find_hashed(hash).map(Thin::number), Some(number));
            assert_eq!(dict.take_hashed(hash).map(|gone| gone.number()), Some(number));
            assert!(dict.find_hashed(hash).is_none() && dict.take_hashed(hash).is_none());
        }
        dict.check_invariants();
        assert_eq!(dict.len(), 5_000 - 5_000usize.div_ceil(3));
        assert!((0..5_000).all(|number| get(&dict, number).is_some() == (number % 3 != 0)));
    }
}

#[test]
fn of_several_with_one_hash_each_call_takes_one() {
    let hasher = TestHash::FewTop(2);
    let mut dict = filled(hasher, 0..100);
    let hashes = [hasher.hash(&key(0)), hasher.hash(&key(1))];
    let mut gone = HashSet::new();
    for hash in [0, 1 << 60, hashes[0], hashes[1]] {
        while let Some(element) = dict.take_hashed(hash) {
            assert_eq!(hasher.hash(element.key()), hash);
            assert!(gone.insert(element.number()));
            dict.check_invariants();
        }
    }
    assert_eq!((gone.len(), dict.len()), (100, 0));
}

/// Numbers that [`Dict::look_around`] shows when none is enough.
fn look_at_all(dict: &mut TestDict, mark_at_most: u64, glance: impl Fn(u32) -> Glance) -> BTreeSet<u32> {
    let (mut random, mut seen) = (random_numbers(9), BTreeSet::new());
    dict.look_around(&mut random, mark_at_most, &mut |element| {
        seen.insert(element.number());
        glance(element.number())
    });
    seen
}

#[test]
fn a_look_around_sees_all_when_nothing_is_enough() {
    for count in [0, 1, 5, 300, 20_000] {
        let mut dict = filled(TestHash::Good, 0..count);
        let seen = look_at_all(&mut dict, NO_MARK, |_| Glance::Unmarked);
        assert_eq!(seen, (0..count).collect());
    }
}

#[test]
fn a_look_around_ends_when_told() {
    let mut dict = filled(TestHash::Good, 0..20_000);
    let mut random = random_numbers(9);
    for wanted in [1, 5, 4_000] {
        let mut seen = 0;
        dict.look_around(&mut random, NO_MARK, &mut |_| {
            seen += 1;
            if seen < wanted {
                Glance::Unmarked
            } else {
                Glance::Enough
            }
        });
        assert_eq!(seen, wanted);
    }
}

#[test]
fn looks_begin_everywhere() {
    let mut dict = filled(TestHash::Good, 0..2_000);
    let (mut random, mut seen) = (random_numbers(9), HashSet::new());
    for _ in 0..40_000 {
        dict.look_around(&mut random, NO_MARK, &mut |element| {
            seen.insert(element.number());
            Glance::Enough
        });
    }
    // By their places' free neighbours some are met more often, but each is.
    assert!(seen.len() > 1_950, "{}", seen.len());
}

#[test]
fn segments_without_a_mark_are_passed_over_and_vain_marks_go() {
    let hasher = TestHash::Good;
    let mut dict = filled(hasher, 0..20_000);
    assert!(dict.segment_count() > 4);
    assert!(look_at_all(&mut dict, NO_MARK - 1, |_| Glance::Unmarked).is_empty());
    for marked in [7, 11] {
        dict.lower_mark(hasher.hash(&key(marked)), 5);
    }
    let is_marked = |number| match number {
        7 => Glance::Marked,
        _ => Glance::Unmarked,
    };
    let both = look_at_all(&mut dict, NO_MARK - 1, is_marked);
    assert!(both.contains(&7) && both.contains(&11) && both.len() < 10_000);
    let one = look_at_all(&mut dict, NO_MARK - 1, is_marked);
    assert!(
        one.contains(&7) && !one.contains(&11),
        "the other's mark was vain"
    );
    assert!(look_at_all(&mut dict, 4, is_marked).is_empty(), "due later");
    dict.check_invariants();
}
