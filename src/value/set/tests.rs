use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;
use crate::ds::few::FEW_MAX;
use crate::value::Limits;

/// Limits so low that few members cross them all.
fn limits() -> Limits {
    Limits {
        set_max_intset_entries: 6,
        set_max_listpack_entries: 4,
        set_max_listpack_value: 5,
        ..Limits::new(KeyHasher::with_seed(3))
    }
}

fn set_of(members: &[&str]) -> Set {
    let mut set = Set::empty();
    for member in members {
        set.insert(member.as_bytes(), &limits());
    }
    set
}

fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
    set.iter().map(Member::to_vec).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Set {
    let mut set = Set::empty();
    for number in range {
        set.insert(
            format!("m{number}").as_bytes(),
            &Limits::new(KeyHasher::with_seed(3)),
        );
    }
    set
}

#[track_caller]
fn check_encoding(members: &[&str], encoding: &str) {
    assert_eq!(set_of(members).encoding(), encoding, "{members:?}");
}

#[test]
fn a_value_is_no_larger_than_its_allocation() {
    // The encoding's tag tells the types of values apart as well.
    assert!(size_of::<Set>() <= 16);
}

#[test]
fn encodings_switch_where_redis_switches() {
    check_encoding(&["1", "2", "3", "4", "5", "6"], "intset");
    check_encoding(&["1", "2", "3", "4", "5", "6", "7"], "hashtable");
    check_encoding(&["1", "2", "3", "a"], "listpack");
    check_encoding(&["1", "2", "3", "4", "a"], "hashtable");
    check_encoding(&["a", "b", "c", "d"], "listpack");
    check_encoding(&["a", "b", "c", "d", "e"], "hashtable");
    check_encoding(&["a", "12345"], "listpack");
    check_encoding(&["a", "123456"], "hashtable");
    check_encoding(&["123456", "a"], "hashtable");
    check_encoding(&["01", "-0", "+1", ""], "listpack");
}

#[test]
fn a_set_is_made_for_as_many_members_as_are_announced() {
    let encoding = |first: &str, count| Set::suited(first.as_bytes(), count, &limits()).encoding();
    assert_eq!((encoding("1", 6), encoding("1", 7)), ("intset", "hashtable"));
    assert_eq!((encoding("a", 4), encoding("a", 5)), ("listpack", "hashtable"));
    let mut ints = set_of(&["1"]);
    ints.expect(6, &limits());
    assert_eq!(ints.encoding(), "intset");
    ints.expect(7, &limits());
    assert_eq!(ints.encoding(), "hashtable");
}

#[test]
fn results_to_store_start_anew() {
    let limits = limits();
    let big = set_of(&["1", "2", "3", "4", "5", "6", "7", "a"]);
    let small = set_of(&["1", "3", "b"]);
    assert_eq!(
        algebra::intersection_to_store(&[&big, &small], &limits).encoding(),
        "intset"
    );
    let letters = set_of(&["a", "b"]);
    assert_eq!(
        algebra::intersection_to_store(&[&big, &letters], &limits).encoding(),
        "listpack"
    );
    assert_eq!(
        algebra::union_to_store(&[&small, &letters], &limits).encoding(),
        "listpack"
    );
    assert_eq!(
        algebra::difference_to_store(&small, &[&letters], &limits).encoding(),
        "intset"
    );
    // So many others that Redis removes from a copy of the first.
    let one = set_of(&["1"]);
    let ones: Vec<&Set> = vec![&one; 5];
    let rest = set_of(&["2", "3", "4", "5", "6", "7", "a"]);
    let others = [&ones[..], &[&rest]].concat();
    assert!(algebra::difference_to_store(&big, &others, &limits).is_empty());
    let most = set_of(&["2", "3", "4", "5", "6", "7"]);
    let others = [&ones[1..], &[&most]].concat();
    let left = algebra::difference_to_store(&big, &others, &limits);
    assert_eq!((left.len(), left.encoding()), (1, "hashtable"));
}

#[test]
fn what_popping_leaves_behind_is_as_small_as_it_can_be() {
    let mut rng = Rng::seeded(1);
    let limits = Limits::new(KeyHasher::with_seed(3));
    let mut set = numbers(0..1000);
    let mut popped = BTreeSet::new();
    set.pop_many(600, &limits, &mut rng, |member| {
        popped.insert(member.to_vec());
    });
    assert_eq!((set.len(), popped.len(), set.encoding()), (400, 600, "hashtable"));
    set.pop_many(390, &limits, &mut rng, |member| {
        popped.insert(member.to_vec());
    });
    assert_eq!((set.len(), popped.len(), set.encoding()), (10, 990, "listpack"));
    assert!(popped.is_disjoint(&texts(&set)));
}

#[test]
fn two_big_sets_combine() {
    let (a, b) = (numbers(0..5000), numbers(3000..9000));
    let hasher = KeyHasher::with_seed(3);
    let (mut common, mut all, mut rest) = (0, 0, 0);
    algebra::intersection(&[&a, &b], |_| {
        common += 1;
        true
    });
    algebra::union(&[&a, &b], hasher, |_| all += 1);
    algebra::difference(&a, &[&b], hasher, |_| rest += 1);
    assert_eq!((common, all, rest), (2000, 9000, 3000));
}

#[test]
fn an_intersection_ends_when_told() {
    let (a, b) = (numbers(0..500), numbers(0..600));
    let mut count = 0;
    algebra::intersection(&[&a, &b], |_| {
        count += 1;
        count < 7
    });
    assert_eq!(count, 7);
}

/// How far the rarest and the commonest of `counts` are from the mean, as a share of it.
fn spread(counts: &[u32]) -> f64 {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let off = |count: &u32| (f64::from(*count) / mean - 1.0).abs();
    counts.iter().map(off).fold(0.0, f64::max)
}

fn index_of(member: Member<'_>) -> usize {
    let text = String::from_utf8(member.to_vec()).unwrap();
    text.trim_start_matches('m').parse().unwrap()
}

#[test]
fn every_member_is_chosen_as_often_as_the_others() {
    let mut rng = Rng::seeded(5);
    let ints: Vec<String> = (0..100).map(|n: u32| n.to_string()).collect();
    let defaults = Limits::new(KeyHasher::with_seed(1));
    let mut of_ints = Set::empty();
    ints.iter().for_each(|text| {
        of_ints.insert(text.as_bytes(), &defaults);
    });
    let few = Limits {
        set_max_listpack_entries: 0,
        ..defaults
    };
    let mut of_few = Set::empty();
    for text in ["m0", "m1", "m2", "m3", "m4", "m5", "m6"] {
        of_few.insert(text.as_bytes(), &few);
    }
    assert!(matches!(of_few, Set::Few(_)));
    for set in [of_ints, of_few, numbers(0..100), numbers(0..400)] {
        let len = set.len();
        let (mut drawn, mut repeated, mut sampled) = (vec![0; len], vec![0; len], vec![0; len]);
        for _ in 0..len * 500 {
            drawn[index_of(set.random(&mut rng).unwrap())] += 1;
        }
        set.random_with_repeats(len as u64 * 500, &mut rng, |member| {
            repeated[index_of(member)] += 1
        });
        for count in [3, len / 2].into_iter().cycle().take(2000) {
            set.sample(count, &mut rng, |member| sampled[index_of(member)] += 1);
        }
        for counts in [drawn, repeated, sampled] {
            assert!(spread(&counts) < 0.25, "{}: {}", set.encoding(), spread(&counts));
        }
    }
}

#[test]
fn a_sample_has_each_member_once() {
    let mut rng = Rng::seeded(6);
    for set in [
        set_of(&["1", "2", "3"]),
        set_of(&["a", "b", "c"]),
        set_of(&["a", "b", "c", "d", "e", "f"]),
        numbers(0..300),
    ] {
        for count in [0, 1, 2, 3, 50, 150, 299, 300, usize::MAX] {
            let mut sample = Vec::new();
            set.sample(count, &mut rng, |member| sample.push(member.to_vec()));
            assert_eq!(sample.len(), count.min(set.len()));
            sample.sort();
            sample.dedup();
            assert_eq!(sample.len(), count.min(set.len()));
        }
    }
    assert!(Set::empty().random(&mut rng).is_none() && Set::empty().pop(&mut rng, |_| ()).is_none());
}

#[test]
fn memory_is_measured_by_samples() {
    let set = numbers(0..1000);
    let exact = set.sampled_bytes(0);
    assert!(exact > 1000 * (8 + 8) && exact < 1000 * (16 + 24), "{exact}");
    assert_eq!(set.sampled_bytes(1000), exact);
    assert!(set.sampled_bytes(5).abs_diff(exact) < exact / 2);
}

#[test]
fn a_few_long_members_have_no_table_until_they_are_more() {
    let limits = Limits::new(KeyHasher::with_seed(3));
    let long = |number: usize| format!("{number:0>73}").into_bytes();
    let mut set = Set::empty();
    for count in 1..=FEW_MAX {
        assert!(set.insert(&long(count), &limits) && !set.insert(&long(count), &limits));
        assert!(matches!(set, Set::Few(_)) && set.encoding() == "hashtable");
        // 80 for a member and 8 for its place, beside 32 for the row itself.
        assert!(set.sampled_bytes(0) <= 32 + count * 80 + (count * 8).next_multiple_of(16));
    }
    let shape = set.table_stats().expect("it passes for a table");
    assert_eq!(shape.elements, FEW_MAX);
    assert!(set.insert(&long(0), &limits) && matches!(set, Set::Table(_)));
    assert!((0..=FEW_MAX).all(|number| set.contains(&long(number))));
}

fn member() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..12i64).prop_map(|n| n.to_string()),
        1 => any::<i32>().prop_map(|n| n.to_string()),
        3 => "[a-f]{1,2}",
        1 => "[a-f]{6,9}",
        1 => Just("007".to_owned()),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Insert(String),
    Remove(String),
    Pop,
    PopMany(usize),
    Expect(usize),
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => member().prop_map(Step::Insert),
        3 => member().prop_map(Step::Remove),
        1 => Just(Step::Pop),
        1 => (0..8usize).prop_map(Step::PopMany),
        1 => (0..6usize).prop_map(Step::Expect),
        1 => Just(Step::Clone),
    ]
}

fn small_set() -> impl Strategy<Value = Set> {
    prop::collection::vec(member(), 0..12)
        .prop_map(|members| set_of(&members.iter().map(String::as_str).collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn a_set_behaves_as_an_ordered_set(steps in prop::collection::vec(step(), 0..60), seed: u64) {
        let (mut set, mut twin, mut rng) = (Set::empty(), BTreeSet::new(), Rng::seeded(seed));
        let limits = limits();
        for step in steps {
            match step {
                Step::Insert(text) => {
                    prop_assert_eq!(set.insert(text.as_bytes(), &limits), twin.insert(text.into_bytes()));
                }
                Step::Remove(text) => {
                    prop_assert_eq!(set.remove(text.as_bytes()), twin.remove(text.as_bytes()));
                }
                Step::Pop => {
                    let popped = set.pop(&mut rng, |member| member.to_vec());
                    prop_assert_eq!(popped.is_some(), !twin.is_empty());
                    prop_assert!(popped.is_none_or(|text| twin.remove(&text)));
                }
                Step::PopMany(count) => {
                    let (before, mut popped) = (twin.len(), 0);
                    set.pop_many(count, &limits, &mut rng, |member| {
                        popped += usize::from(twin.remove(&member.to_vec()));
                    });
                    prop_assert_eq!(popped, count.min(before));
                }
                Step::Expect(count) => set.expect(count, &limits),
                Step::Clone => set = set.clone(),
            }
            prop_assert_eq!((set.len(), set.is_empty()), (twin.len(), twin.is_empty()));
            prop_assert_eq!(&texts(&set), &twin);
            prop_assert!(twin.iter().all(|text| set.contains(text)));
            prop_assert!(!set.contains(b"never") && set.contains(b"7") == twin.contains(&b"7"[..]));
        }
    }

    #[test]
    fn set_operations_agree_with_those_on_ordered_sets(sets in prop::collection::vec(small_set(), 1..6)) {
        let limits = limits();
        let all: Vec<&Set> = sets.iter().collect();
        let twins: Vec<BTreeSet<Vec<u8>>> = sets.iter().map(texts).collect();
        let common = twins[1..].iter().fold(twins[0].clone(), |sum, twin| &sum & twin);
        let united = twins[1..].iter().fold(twins[0].clone(), |sum, twin| &sum | twin);
        let left = twins[1..].iter().fold(twins[0].clone(), |sum, twin| &sum - twin);

        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        algebra::intersection(&all, |member| { a.push(member.to_vec()); true });
        algebra::union(&all, limits.hasher, |member| b.push(member.to_vec()));
        algebra::difference(all[0], &all[1..], limits.hasher, |member| c.push(member.to_vec()));
        for (found, twin) in [(a, &common), (b, &united), (c, &left)] {
            prop_assert_eq!(found.len(), twin.len(), "each once");
            prop_assert_eq!(&found.into_iter().collect::<BTreeSet<_>>(), twin);
        }
        prop_assert_eq!(texts(&algebra::intersection_to_store(&all, &limits)), common);
        prop_assert_eq!(texts(&algebra::union_to_store(&all, &limits)), united);
        prop_assert_eq!(texts(&algebra::difference_to_store(all[0], &all[1..], &limits)), left);
    }
}
