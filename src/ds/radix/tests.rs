use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u16),
    Append(u16),
    Remove(u16),
    RemoveRun(u16, u16),
    PopFirst(u16),
    Seek(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..2000u16;
    prop_oneof![
        4 => key.clone().prop_map(Step::Insert),
        2 => (1..300u16).prop_map(Step::Append),
        2 => key.clone().prop_map(Step::Remove),
        1 => (key.clone(), 1..400u16).prop_map(|(from, many)| Step::RemoveRun(from, many)),
        1 => (1..200u16).prop_map(Step::PopFirst),
        2 => key.prop_map(Step::Seek),
    ]
}

fn apply(map: &mut Radix<u16, u32>, twin: &mut BTreeMap<u16, u32>, step: Step) {
    match step {
        Step::Insert(key) => assert_eq!(map.insert(key, 1), twin.insert(key, 1)),
        Step::Append(many) => {
            let end = twin.last_key_value().map_or(0, |(last, _)| *last);
            for key in end..end.saturating_add(many) {
                assert_eq!(map.insert(key, 2), twin.insert(key, 2));
            }
        }
        Step::Remove(key) => assert_eq!(map.remove(&key), twin.remove(&key)),
        Step::RemoveRun(from, many) => {
            for key in from..from + many {
                assert_eq!(map.remove(&key), twin.remove(&key));
            }
        }
        Step::PopFirst(many) => {
            for _ in 0..many {
                assert_eq!(map.pop_first(), twin.pop_first());
            }
        }
        Step::Seek(key) => assert_seeks_agree(map, twin, key),
    }
}

fn assert_seeks_agree(map: &Radix<u16, u32>, twin: &BTreeMap<u16, u32>, key: u16) {
    assert_eq!(map.get(&key), twin.get(&key));
    let after = map.at_or_after(&key).map(|spot| map.at(spot));
    assert_eq!(after, twin.range(key..).next());
    let before = map.at_or_before(&key).map(|spot| map.at(spot));
    assert_eq!(before, twin.range(..=key).next_back());
    assert!(map.iter_from(&key).eq(twin.range(key..)));
}

proptest! {
    #[test]
    fn behaves_as_a_tree_map(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut map, mut twin) = (Radix::new(), BTreeMap::new());
        for step in steps {
            apply(&mut map, &mut twin, step);
            map.check_invariants();
            assert_eq!(map.len(), twin.len());
            assert_eq!(map.first(), twin.first_key_value());
            assert_eq!(map.last(), twin.last_key_value());
        }
        assert!(map.iter().eq(twin.iter()));
        assert!(map.iter().rev().eq(twin.iter().rev()));
    }
}

#[test]
fn spots_walk_both_ways_through_all_blocks() {
    let mut map = Radix::new();
    (0..1000).for_each(|key| assert_eq!(map.insert(key, ()), None));
    let mut forward = vec![];
    let mut spot = map.first_spot();
    while let Some(at) = spot {
        forward.push(*map.at(at).0);
        spot = map.next(at);
    }
    assert!(forward.iter().copied().eq(0..1000));
    let mut backward = vec![];
    let mut spot = map.last_spot();
    while let Some(at) = spot {
        backward.push(*map.at(at).0);
        spot = map.prev(at);
    }
    assert!(backward.into_iter().rev().eq(forward));
}

#[test]
fn an_empty_map_has_neither_ends_nor_memory() {
    let map: Radix<u64, u64> = Radix::new();
    assert_eq!(map.heap_bytes(), 0);
    assert_eq!((map.first(), map.last()), (None, None));
    assert_eq!((map.at_or_after(&1), map.at_or_before(&1)), (None, None));
    assert_eq!(map.iter_from(&0).count(), 0);
}

#[test]
fn one_entry_takes_one_slot_and_appending_fills_blocks() {
    let mut map = Radix::new();
    map.insert(0u64, 0u64);
    assert_eq!(map.heap_bytes(), 16);
    assert_eq!(size_of_val(&map), 24);
    (1..1280).for_each(|key| assert_eq!(map.insert(key, key), None));
    assert_eq!(map.blocks(), 10);
}

#[test]
fn memory_follows_removals() {
    let mut map = Radix::new();
    (0..100_000u64).for_each(|key| assert_eq!(map.insert(key, ()), None));
    let full = map.heap_bytes();
    (0..100_000).filter(|key| key % 50 != 0).for_each(|key| {
        map.remove(&key);
    });
    map.check_invariants();
    assert_eq!(map.len(), 2000);
    assert!(map.heap_bytes() < full / 10, "{} of {full}", map.heap_bytes());
}

#[test]
fn names_are_found_by_their_bytes() {
    let mut map: Radix<Box<[u8]>, u8> = Radix::new();
    for name in [b"beta".as_slice(), b"alpha", b"al"] {
        map.insert(name.into(), name[0]);
    }
    assert_eq!(map.get(b"alpha".as_slice()), Some(&b'a'));
    let names: Vec<&[u8]> = map.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, [b"al".as_slice(), b"alpha", b"beta"]);
}
