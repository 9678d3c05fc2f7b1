use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::rng::Rng;

fn limits(entries: usize) -> Limits {
    Limits {
        hash_max_listpack_entries: entries,
        hash_max_listpack_value: 20,
        ..Limits::new(KeyHasher::with_seed(1))
    }
}

fn hash_of(fields: &[(&str, &str)], limits: &Limits) -> Hash {
    let mut hash = Hash::empty();
    for (name, value) in fields {
        hash.set(name.as_bytes(), value.as_bytes(), limits);
    }
    hash
}

fn numbered(count: usize, limits: &Limits) -> Hash {
    let mut hash = Hash::empty();
    for i in 0..count {
        hash.set(format!("f{i}").as_bytes(), b"v", limits);
    }
    hash
}

#[test]
fn encodings_switch_at_the_thresholds_and_never_back() {
    let limits = limits(2);
    let mut hash = hash_of(&[("a", "1"), ("b", "2")], &limits);
    assert_eq!(hash.encoding(), "listpack");
    hash.set(b"c", b"3", &limits);
    assert_eq!(hash.encoding(), "hashtable");
    hash.remove(b"a");
    hash.remove(b"b");
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 1));

    let twenty = "x".repeat(20);
    assert_eq!(hash_of(&[(&twenty, &twenty)], &limits).encoding(), "listpack");
    for (name, value) in [(&*twenty, "x".repeat(21)), (&*"x".repeat(21), twenty.clone())] {
        assert_eq!(hash_of(&[(name, &value)], &limits).encoding(), "hashtable");
    }
    let mut many = Hash::empty();
    many.expect(3, &limits);
    assert_eq!(many.encoding(), "hashtable");
}

#[test]
fn a_first_expiry_makes_a_listpackex_that_stays_one() {
    let mut hash = hash_of(&[("a", "1"), ("b", "2")], &limits(8));
    assert!(!hash.set_expiry(b"missing", Some(5)) && hash.set_expiry(b"a", None));
    assert_eq!(hash.encoding(), "listpack");
    assert!(hash.set_expiry(b"a", Some(5)));
    assert_eq!((hash.encoding(), hash.soonest()), ("listpackex", Some(5)));
    assert!(hash.set_expiry(b"a", None));
    assert_eq!((hash.encoding(), hash.soonest()), ("listpackex", None));
}

#[test]
fn a_listpackex_keeps_the_soonest_first_and_the_lasting_last() {
    let mut hash = numbered(5, &limits(8));
    for (name, at_ms) in [(b"f3", 70), (b"f1", 30), (b"f2", 50), (b"f4", 50)] {
        hash.set_expiry(name, Some(at_ms));
    }
    let (pack, width) = hash.listpack().expect("small");
    let texts: Vec<Vec<u8>> = pack.iter().map(Item::to_vec).collect();
    let order: Vec<&[u8]> = texts.chunks(width).flat_map(|c| [&*c[0], &*c[2]]).collect();
    assert_eq!(
        order,
        [
            &b"f1"[..],
            b"30",
            b"f2",
            b"50",
            b"f4",
            b"50",
            b"f3",
            b"70",
            b"f0",
            b"0"
        ]
    );
}

#[test]
fn a_write_clears_the_expiry_and_an_update_keeps_it() {
    for entries in [8, 0] {
        let limits = limits(entries);
        let mut hash = hash_of(&[("a", "1"), ("b", "2")], &limits);
        hash.set_expiry(b"a", Some(50));
        assert_eq!(hash.update(b"a", b"5", &limits), Previous::Expiring(50));
        assert_eq!(hash.find(b"a").expect("there").expire_at, Some(50));
        assert_eq!(hash.set(b"a", b"6", &limits), Previous::Expiring(50));
        assert_eq!(hash.set(b"a", b"7", &limits), Previous::Lasting);
        assert_eq!(
            (hash.find(b"a").expect("there").expire_at, hash.soonest()),
            (None, None)
        );
        assert_eq!(hash.update(b"new", b"8", &limits), Previous::Missing);
        hash.check_invariants();
    }
}

#[test]
fn due_fields_are_counted_and_not_seen() {
    for entries in [8, 0] {
        let mut hash = numbered(4, &limits(entries));
        hash.set_expiry(b"f1", Some(50));
        hash.set_expiry(b"f2", Some(60));
        assert_eq!(
            (hash.len(), hash.visible_len(49), hash.visible_len(50)),
            (4, 4, 3)
        );
        assert_eq!(hash.get(b"f1", 50), None);
        assert!(hash.get(b"f1", 49).is_some() && hash.get(b"f1", i64::MIN).is_some());
        assert!(Previous::Expiring(50).was_visible(49) && !Previous::Expiring(50).was_visible(50));
    }
}

#[test]
fn a_big_hash_expires_in_pieces() {
    let mut hash = numbered(50_000, &limits(8));
    for i in 0..50_000 {
        hash.set_expiry(format!("f{i}").as_bytes(), Some(100 + i % 3));
    }
    let (mut gone, mut calls) = (0, 0);
    while !hash.expire(101, 2_000, &mut |_| gone += 1).1 {
        calls += 1;
    }
    assert!(calls > 10, "{calls}");
    assert_eq!((gone, hash.len(), hash.soonest()), (33_334, 16_666, Some(102)));
    hash.check_invariants();
}

#[test]
fn every_field_can_be_drawn_and_distinct_ones_differ() {
    let mut rng = Rng::seeded(7);
    for (entries, fields) in [(200, 100), (0, 100), (0, 5_000)] {
        let mut hash = numbered(fields, &limits(entries));
        hash.set_expiry(b"f0", Some(5));
        for due_ms in [4, 5] {
            let visible = hash.visible_len(due_ms);
            for wanted in [0, 1, 10, visible / 2, visible, visible + 7] {
                let mut drawn = Vec::new();
                hash.sample(Sample::Distinct(wanted), due_ms, &mut rng, &mut |f| {
                    drawn.push(f.name.to_vec())
                });
                drawn.sort();
                drawn.dedup();
                assert_eq!(drawn.len(), wanted.min(visible), "of {fields}");
            }
            let mut drawn = Vec::new();
            hash.sample(Sample::Repeated(40 * visible), due_ms, &mut rng, &mut |f| {
                drawn.push(f.name.to_vec())
            });
            assert_eq!(drawn.len(), 40 * visible);
            drawn.sort();
            drawn.dedup();
            assert_eq!(drawn.len(), visible);
            assert!(hash.random(due_ms, &mut rng).is_some());
        }
    }
    assert_eq!(Hash::empty().random(0, &mut rng), None);
    Hash::empty().sample(Sample::Repeated(5), 0, &mut rng, &mut |_| {
        panic!("nothing to draw")
    });
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, Vec<u8>),
    Update(u8, i64),
    Remove(u8),
    Expire(u8, Option<i64>),
    Sweep(i64, usize),
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0u8..40;
    prop_oneof![
        4 => (name(), prop::collection::vec(any::<u8>(), 0..24)).prop_map(|(n, v)| Step::Set(n, v)),
        2 => (name(), any::<i64>()).prop_map(|(n, v)| Step::Update(n, v)),
        3 => name().prop_map(Step::Remove),
        3 => (name(), prop::option::of(1i64..100)).prop_map(|(n, at)| Step::Expire(n, at)),
        1 => (0i64..100, 1usize..20).prop_map(|(due, budget)| Step::Sweep(due, budget)),
        1 => Just(Step::Clone),
    ]
}

type Twin = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn contents(hash: &Hash) -> Twin {
    hash.fields()
        .map(|f| (f.name.to_vec(), (f.value.to_vec(), f.expire_at)))
        .collect()
}

fn scanned(hash: &Hash) -> Twin {
    let (mut all, mut cursor) = (Twin::new(), 0);
    loop {
        cursor = hash.scan(cursor, &mut |f| {
            all.insert(f.name.to_vec(), (f.value.to_vec(), f.expire_at));
        });
        if cursor == 0 {
            return all;
        }
    }
}

/// Some names look like numbers, which listpacks keep as such.
fn name_of(number: u8) -> Vec<u8> {
    if number.is_multiple_of(3) {
        number.to_string().into_bytes()
    } else {
        format!("field:{number}").into_bytes()
    }
}

/// Does one step to both; what the step answered must be the same.
fn apply(hash: &mut Hash, twin: &mut Twin, step: Step, limits: &Limits) {
    match step {
        Step::Set(n, value) => {
            let previous = hash.set(&name_of(n), &value, limits);
            let old = twin.insert(name_of(n), (value, None));
            assert_eq!(
                previous,
                old.map_or(Previous::Missing, |(_, at)| Previous::of(at))
            );
        }
        Step::Update(n, value) => {
            let value = value.to_string().into_bytes();
            let previous = hash.update(&name_of(n), &value, limits);
            let at = twin.get(&name_of(n)).map(|&(_, at)| at);
            assert_eq!(previous, at.map_or(Previous::Missing, Previous::of));
            twin.insert(name_of(n), (value, at.flatten()));
        }
        Step::Remove(n) => assert_eq!(hash.remove(&name_of(n)), twin.remove(&name_of(n)).is_some()),
        Step::Expire(n, at) => {
            assert_eq!(hash.set_expiry(&name_of(n), at), twin.contains_key(&name_of(n)));
            twin.entry(name_of(n)).and_modify(|(_, old)| *old = at);
        }
        Step::Sweep(due, budget) => {
            let is_due = |at: Option<i64>| at.is_some_and(|at| at <= due);
            while hash.may_have_due(due) {
                hash.expire(due, budget, &mut |field| {
                    let gone = twin.remove(&field.name.to_vec());
                    assert!(is_due(gone.expect("it was there").1));
                });
            }
            assert!(!twin.values().any(|&(_, at)| is_due(at)), "all due ones are gone");
        }
        Step::Clone => *hash = hash.clone(),
    }
}

proptest! {
    #[test]
    fn a_hash_behaves_as_a_map(
        entries in prop_oneof![Just(0usize), Just(8), Just(100)],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let limits = limits(entries);
        let (mut hash, mut twin) = (Hash::empty(), Twin::new());
        for step in steps {
            apply(&mut hash, &mut twin, step, &limits);
            hash.check_invariants();
            prop_assert_eq!(hash.len(), twin.len());
            prop_assert_eq!(hash.is_empty(), twin.is_empty());
            let soonest = twin.values().filter_map(|&(_, at)| at).min();
            prop_assert_eq!(hash.soonest().is_some(), soonest.is_some());
            prop_assert!(hash.soonest() <= soonest);
        }
        prop_assert_eq!(contents(&hash), twin.clone());
        prop_assert_eq!(scanned(&hash), twin);
    }
}
