use std::collections::BTreeMap;

use proptest::prelude::*;

use super::prefixes::Prefix;
use super::*;
use crate::base::hash::KeyHasher;
use crate::keyspace::entry::NewValue;
use crate::keyspace::gate::SetExpiry;

fn keyspace() -> Keyspace {
    Keyspace::new(4, KeyHasher::with_seed(1))
}

fn put(keys: &mut Keyspace, db: usize, name: &str, len: usize) {
    keys.select(db);
    let (key, text) = (keys.key(name.as_bytes()), vec![b'x'; len]);
    keys.set(key, NewValue::Bytes(&text), SetExpiry::Clear);
}

/// Surveys all in pieces of one bucket.
fn survey(keys: &mut Keyspace, options: Options) -> Box<Survey> {
    begin(keys, options);
    while keys.is_surveyed() {
        keys.survey_on(&mut || false);
    }
    keys.survey.take().expect("it stays until the next")
}

fn begin(keys: &mut Keyspace, options: Options) {
    let lfu = keys.access.lfu;
    keys.survey = Some(Box::new(Survey::new(options, lfu, 0)));
}

fn prefix<'a>(survey: &'a Survey, name: &str) -> Option<&'a [u8]> {
    let all = survey.findings.prefixes.biggest();
    all.iter()
        .map(|(known, _)| *known)
        .find(|known| *known == name.as_bytes())
}

fn tally(survey: &Survey, name: &str) -> Option<(u64, usize)> {
    let all = survey.findings.prefixes.biggest();
    let found = all.iter().find(|(known, _)| *known == name.as_bytes());
    found.map(|(_, prefix)| (prefix.tally.keys, prefix.depth))
}

#[test]
fn an_empty_keyspace_is_complete_at_once() {
    let survey = survey(&mut keyspace(), Options::default());
    assert_eq!(
        (survey.state, survey.total()),
        (State::Complete, Tally::default())
    );
    assert!(survey.findings.prefixes.biggest().is_empty() && survey.findings.biggest.highest().is_empty());
}

#[test]
fn all_databases_are_seen_or_the_one_asked_for() {
    let mut keys = keyspace();
    for (db, count) in [(0, 300), (2, 2_000), (3, 1)] {
        (0..count).for_each(|n| put(&mut keys, db, &format!("k{n}"), 10));
    }
    assert_eq!(survey(&mut keys, Options::default()).total().keys, 2_301);
    for (db, count) in [(0, 300), (1, 0), (2, 2_000), (3, 1)] {
        let options = Options {
            db: Some(db),
            ..Options::default()
        };
        assert_eq!(survey(&mut keys, options).total().keys, count);
    }
}

#[test]
fn bytes_are_those_of_memory_usage() {
    let mut keys = keyspace();
    (0..500).for_each(|n| put(&mut keys, 0, &format!("k{n}"), n * 7));
    let truth: usize = keys.db(0).dict().iter().map(|entry| entry.sampled_bytes(0)).sum();
    let survey = survey(&mut keys, Options::default());
    assert_eq!(survey.total().bytes, truth as u64);
    assert_eq!(survey.findings.kinds[0], survey.total());
    assert_eq!(
        survey.findings.tables_bytes,
        keys.db(0).dict().heap_bytes() as u64
    );
}

#[test]
fn a_key_counts_for_each_of_its_prefixes() {
    let mut keys = keyspace();
    for name in [
        "user:1:name",
        "user:1:age",
        "user:2:name",
        "user:",
        "order:7",
        "plain",
        "a:b:c:d:e",
        ":",
    ] {
        put(&mut keys, 0, name, 10);
    }
    let survey = survey(&mut keys, Options::default());
    for (name, expected) in [
        ("user:", Some((4, 1))),
        ("user:1:", Some((2, 2))),
        ("user:2:", Some((1, 2))),
        ("order:", Some((1, 1))),
        ("a:b:", Some((1, 2))),
        ("a:b:c:", None),
        (":", Some((1, 1))),
        ("plain", None),
    ] {
        assert_eq!(tally(&survey, name), expected, "{name}");
    }
    assert_eq!(survey.findings.prefixes.bare().keys, 1);
}

#[test]
fn separators_may_be_long() {
    let mut keys = keyspace();
    for name in ["a::b::1", "a::c", "a:d", ":::"] {
        put(&mut keys, 0, name, 10);
    }
    let options = Options {
        separator: b"::".as_slice().into(),
        ..Options::default()
    };
    let survey = survey(&mut keys, options);
    assert_eq!(tally(&survey, "a::"), Some((2, 1)));
    assert_eq!(tally(&survey, "a::b::"), Some((1, 2)));
    assert_eq!(tally(&survey, "::"), Some((1, 1)));
    assert_eq!(survey.findings.prefixes.bare().keys, 1);
}

#[test]
fn big_prefixes_are_exact_however_many_small_ones_there_are() {
    let mut keys = keyspace();
    for n in 0..20_000 {
        put(&mut keys, 0, &format!("s{n}:x"), 10);
        if n % 10 == 0 {
            put(&mut keys, 0, &format!("big:{n}"), 100);
        }
    }
    let options = Options {
        prefixes_max: 20,
        depth: 1,
        ..Options::default()
    };
    let survey = survey(&mut keys, options);
    let all = survey.findings.prefixes.biggest();
    assert_eq!(all.len(), 20);
    let (name, big) = all[0];
    assert_eq!(
        (name, big.tally.keys, big.since_start),
        (&b"big:"[..], 2_000, true)
    );
    assert!(!all[19].1.since_start, "a late one may have been there before");
    assert!(survey.findings.prefixes.given_up() > 19_000);
}

#[test]
fn a_name_without_end_is_cut() {
    let mut keys = keyspace();
    let long = format!("a:{}:z", "b".repeat(5_000));
    put(&mut keys, 0, &long, 10);
    let survey = survey(&mut keys, Options::default());
    assert!(prefix(&survey, "a:").is_some());
    assert_eq!(survey.findings.prefixes.biggest().len(), 1);
    let (_, named) = survey.findings.biggest.highest()[0];
    assert_eq!((named.name.len(), named.name_bytes), (NAME_BYTES_MAX, long.len()));
}

#[test]
fn the_biggest_and_the_hottest_are_found() {
    let mut keys = keyspace();
    keys.access.lfu = true;
    for n in 0..1_000 {
        // So far apart at the top that each has a size class of its own.
        let len = if n < 998 { 20 + n } else { 4_000 * (n - 997) };
        put(&mut keys, n % 2, &format!("k{n}"), len);
    }
    keys.select(1);
    for n in [11, 501] {
        let name = format!("k{n}");
        for _ in 0..2_000 + n {
            assert!(keys.read(keys.key(name.as_bytes())).is_some());
        }
    }
    let options = Options {
        top: 2,
        ..Options::default()
    };
    let survey = survey(&mut keys, options);
    let names = |top: &Top<Named>| -> Vec<Vec<u8>> {
        top.highest()
            .iter()
            .map(|(_, named)| named.name.to_vec())
            .collect()
    };
    assert_eq!(
        names(&survey.findings.biggest),
        [b"k999", b"k998"].map(|name| name.to_vec())
    );
    let mut hottest = names(&survey.findings.hottest);
    hottest.sort();
    assert_eq!(hottest, [b"k11".to_vec(), b"k501".to_vec()]);
    assert!(survey.by_frequency);
}

#[test]
fn keys_that_stay_are_counted_once_while_others_come_and_go() {
    let mut keys = keyspace();
    (0..5_000).for_each(|n| put(&mut keys, 0, &format!("stay:{n}"), 10));
    begin(&mut keys, Options::default());
    let mut round = 0;
    while keys.is_surveyed() {
        keys.survey_on(&mut || false);
        for n in 0..20 {
            put(&mut keys, 0, &format!("come:{round}:{n}"), 10);
            let gone = format!("come:{}:{n}", round / 2);
            let key = keys.key(gone.as_bytes());
            keys.delete(key, false);
        }
        round += 1;
    }
    let survey = keys.survey.take().expect("it is over");
    assert_eq!(tally(&survey, "stay:"), Some((5_000, 1)));
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let mut keys = keyspace();
    (0..3_000).for_each(|n| put(&mut keys, n % 3, &format!("k{n}"), 10));
    begin(&mut keys, Options::default());
    let mut last = 0.0;
    while keys.is_surveyed() {
        let progress = keys.survey.as_ref().map_or(0.0, |survey| survey.progress(&keys));
        assert!((last..=1.0).contains(&progress), "{last} {progress}");
        last = progress;
        keys.survey_on(&mut || false);
    }
    assert!(last > 0.9);
    let survey = keys.survey.as_ref().expect("it is over");
    assert_eq!(survey.progress(&keys), 1.0);
}

#[test]
fn who_is_stopped_keeps_what_was_found() {
    let mut keys = keyspace();
    (0..3_000).for_each(|n| put(&mut keys, 0, &format!("k{n}"), 10));
    begin(&mut keys, Options::default());
    keys.survey_on(&mut || false);
    let survey = keys.survey.as_mut().expect("it runs");
    survey.stop(5);
    let seen = survey.total().keys;
    assert!(survey.state == State::Stopped && 0 < seen && seen < 3_000);
    keys.survey_on(&mut || true);
    assert_eq!(keys.survey.as_ref().map(|survey| survey.total().keys), Some(seen));
}

proptest! {
    #[test]
    fn prefixes_agree_with_naive_counting(
        names in prop::collection::btree_set("[ab:]{0,8}", 0..40),
        depth in 1..4usize,
    ) {
        let options = Options { depth, ..Options::default() };
        let mut prefixes = Prefixes::new(&options);
        let mut naive: BTreeMap<Vec<u8>, Prefix> = BTreeMap::new();
        let mut bare = 0;
        for name in &names {
            prefixes.add(name.as_bytes(), 10);
            let ends: Vec<usize> = name.match_indices(':').map(|(at, _)| at + 1).take(depth).collect();
            bare += u64::from(ends.is_empty());
            for (index, end) in ends.into_iter().enumerate() {
                let fresh = Prefix { tally: Tally::default(), depth: index + 1, since_start: true };
                let prefix = naive.entry(name.as_bytes()[..end].to_vec()).or_insert(fresh);
                prefix.tally.add(10);
            }
        }
        let found: BTreeMap<Vec<u8>, Prefix> = prefixes.biggest().into_iter().map(|(name, prefix)| (name.to_vec(), prefix)).collect();
        prop_assert_eq!(found, naive);
        prop_assert_eq!(prefixes.bare().keys, bare);
    }

    #[test]
    fn the_top_is_that_of_a_sorted_list(ranks in prop::collection::vec(0..50u64, 0..100), max in 0..12usize) {
        let mut top = Top::new(max);
        for (index, rank) in ranks.iter().enumerate() {
            top.offer(*rank, || index);
        }
        let mut sorted: Vec<u64> = ranks.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted.truncate(max);
        let found: Vec<u64> = top.highest().iter().map(|(rank, _)| *rank).collect();
        prop_assert_eq!(found, sorted);
        prop_assert!(top.highest().iter().all(|(rank, index)| ranks[**index] == *rank));
    }
}
