use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;

fn limits(entries: usize) -> Limits {
    Limits {
        zset_max_listpack_entries: entries,
        zset_max_listpack_value: 8,
        ..Limits::new(KeyHasher::with_seed(1))
    }
}

type Pairs = Vec<(Vec<u8>, f64)>;

fn listed(walk: Walk<'_>) -> Pairs {
    walk.map(|(member, score)| (member.to_vec(), score)).collect()
}

fn sorted(naive: &BTreeMap<Vec<u8>, f64>) -> Pairs {
    let mut all: Pairs = naive.iter().map(|(name, &score)| (name.clone(), score)).collect();
    all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
    all
}

fn zset(pairs: &[(&str, f64)], limits: &Limits) -> Zset {
    let mut zset = Zset::default();
    for (member, score) in pairs {
        zset.set(member.as_bytes(), *score, limits);
    }
    zset
}

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
    Reload,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (-20..20i32).prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(b'a'..b'd', 0..3),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-8..8i32).prop_map(|n| f64::from(n) / 2.0),
        Just(f64::INFINITY),
        Just(1e300),
        Just(0.1)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (member(), score()).prop_map(|(name, score)| Step::Set(name, score)),
        4 => member().prop_map(Step::Remove),
        1 => (0..40usize, 0..5usize).prop_map(|(from, count)| Step::RemoveRange(from, count)),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #[test]
    fn both_encodings_behave_as_a_sorted_list(
        entries in 0..40usize,
        steps in prop::collection::vec(step(), 0..200),
        from in -5..5i32,
        to in -5..5i32,
        ranks in (0..50usize, 0..50usize),
    ) {
        let limits = limits(entries);
        let (mut naive, mut zset) = (BTreeMap::new(), Zset::default());
        for step in steps {
            match step {
                Step::Set(name, score) => {
                    prop_assert_eq!(zset.set(&name, score, &limits), naive.insert(name, score));
                }
                Step::Remove(name) => prop_assert_eq!(zset.remove(&name), naive.remove(&name)),
                Step::RemoveRange(from, count) => {
                    let ranks = from.min(zset.len())..zset.len().min(from + count);
                    let gone = sorted(&naive)[ranks.clone()].to_vec();
                    gone.iter().for_each(|(name, _)| { naive.remove(name); });
                    zset.remove_range(ranks);
                }
                Step::Reload => {
                    if let Some(listpack) = zset.as_listpack() {
                        zset = Zset::from_listpack(listpack.clone()).unwrap();
                    }
                }
            }
        }
        let sorted = sorted(&naive);
        prop_assert_eq!(zset.len(), sorted.len());
        prop_assert_eq!(listed(zset.iter()), sorted.clone());
        for (rank, (name, score)) in sorted.iter().enumerate() {
            prop_assert_eq!(zset.rank(name), Some((rank, *score)));
        }
        let scores = ScoreRange::closed(f64::from(from), f64::from(to));
        let within = sorted.iter().filter(|(_, score)| (f64::from(from)..=f64::from(to)).contains(score));
        prop_assert_eq!(zset.ranks_of_scores(&scores).len(), within.count());
        let mut down = listed(zset.walk(ranks.0..ranks.1, Direction::Down));
        down.reverse();
        prop_assert_eq!(&down, &listed(zset.walk(ranks.0..ranks.1, Direction::Up)));
        let (begin, end) = (ranks.0.min(sorted.len()), ranks.1.min(sorted.len()));
        prop_assert_eq!(&down[..], &sorted[begin..end.max(begin)]);
    }

    #[test]
    fn ranges_of_members_are_ranges_of_ranks(
        entries in prop_oneof![Just(0usize), Just(100)],
        names in prop::collection::vec(member(), 0..40),
        from in member(),
        to in member(),
    ) {
        let limits = limits(entries);
        let mut zset = Zset::default();
        names.iter().for_each(|name| { zset.set(name, 0.0, &limits); });
        let range = LexRange { min: LexBorder::Excluded(&from), max: LexBorder::Included(&to) };
        let found = listed(zset.walk(zset.ranks_of_members(&range), Direction::Up));
        let mut naive = names.clone();
        naive.sort();
        naive.dedup();
        naive.retain(|name| *name > from && *name <= to);
        prop_assert_eq!(found.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), naive);
    }

    #[test]
    fn no_listpack_from_outside_panics_or_breaks_the_order(bytes: Vec<u8>, items in prop::collection::vec((member(), member()), 0..10)) {
        let mut listpack = Listpack::new();
        items.iter().for_each(|(name, score)| { listpack.push_back(name); listpack.push_back(score); });
        for listpack in [Listpack::from_bytes(bytes), Ok(listpack)].into_iter().flatten() {
            if let Ok(zset) = Zset::from_listpack(listpack) {
                let pairs = listed(zset.iter());
                prop_assert!(pairs.windows(2).all(|pair| (pair[0].1, &pair[0].0) < (pair[1].1, &pair[1].0)));
            }
        }
    }
}

#[test]
fn the_encoding_changes_with_the_entry_too_many_or_too_long() {
    let limits = limits(2);
    let mut small = zset(&[("a", 1.0), ("12345678", 2.0)], &limits);
    assert_eq!(small.encoding(), "listpack");
    small.set(b"a", 5.0, &limits);
    assert_eq!(small.encoding(), "listpack");
    assert_eq!(zset(&[("123456789", 1.0)], &limits).encoding(), "skiplist");
    small.set(b"c", 5.0, &limits);
    assert_eq!(small.encoding(), "skiplist");
    assert_eq!(Zset::suited(3, 0, &limits).encoding(), "skiplist");
    assert_eq!(Zset::suited(2, 9, &limits).encoding(), "skiplist");
    let mut tally = Tally::new(limits.hasher);
    tally.change(b"a", |_| 1.0);
    assert_eq!(Zset::from_tally(tally, &limits).encoding(), "listpack");
}

#[test]
fn scores_in_a_listpack_are_numbers_or_their_shortest_text() {
    let limits = limits(10);
    let small = zset(&[("a", 1.0), ("b", 3.1), ("c", 1e20), ("z", -0.0)], &limits);
    let items: Vec<Vec<u8>> = small.as_listpack().unwrap().iter().map(Member::to_vec).collect();
    assert_eq!(items, [&b"z"[..], b"0", b"a", b"1", b"b", b"3.1", b"c", b"1e+20"]);
}

#[test]
fn a_sample_has_each_member_once_and_repeats_reach_all() {
    let mut rng = Rng::seeded(1);
    for entries in [0, 200] {
        let limits = limits(entries);
        let mut all = Zset::default();
        for n in 0..100 {
            all.set(format!("m{n}").as_bytes(), f64::from(n), &limits);
        }
        for count in [0, 1, 10, 50, 99, 100, 1000] {
            let mut seen = std::collections::BTreeSet::new();
            all.sample(count, &mut rng, |member, _| assert!(seen.insert(member.to_vec())));
            assert_eq!(seen.len(), count.min(100));
        }
        let mut seen = std::collections::BTreeSet::new();
        all.random_with_repeats(2000, &mut rng, |member, _| {
            seen.insert(member.to_vec());
            true
        });
        assert_eq!(seen.len(), 100);
        all.random_with_repeats(u64::MAX, &mut rng, |_, _| false);
    }
}

#[test]
fn unions_intersections_and_differences_weigh_and_aggregate() {
    let limits = limits(2);
    let one = zset(&[("a", 1.0), ("b", 2.0), ("c", 3.0)], &limits);
    let other = zset(&[("b", 10.0), ("c", f64::INFINITY)], &limits);
    let hasher = limits.hasher;
    let inputs = |weights: [f64; 2]| {
        [&one, &other]
            .into_iter()
            .zip(weights)
            .map(|(zset, weight)| Weighted {
                source: Source::Zset(zset),
                weight,
            })
            .collect::<Vec<_>>()
    };
    let result = |tally: Tally| listed(Zset::from_tally(tally, &limits).iter());
    let named = |pairs: &[(&str, f64)]| -> Pairs {
        pairs.iter().map(|&(name, score)| (name.into(), score)).collect()
    };
    let inf = f64::INFINITY;
    let sum = union(&inputs([2.0, 1.0]), Aggregate::Sum, hasher);
    assert_eq!(result(sum), named(&[("a", 2.0), ("b", 14.0), ("c", inf)]));
    let min = intersection(&inputs([1.0, 0.0]), Aggregate::Min, hasher);
    assert_eq!(result(min), named(&[("b", 0.0), ("c", 0.0)]));
    let opposite = intersection(&inputs([-inf, 1.0]), Aggregate::Sum, hasher);
    assert_eq!(result(opposite), named(&[("b", -inf), ("c", 0.0)]));
    let sources = [Source::Zset(&one), Source::Zset(&other)];
    assert_eq!(result(difference(&sources, hasher)), named(&[("a", 1.0)]));
    assert_eq!(intersection_size(&sources, 0), 2);
    assert_eq!(intersection_size(&sources, 1), 1);
    assert_eq!(intersection_size(&[Source::Missing, sources[0]], 0), 0);
    let many = [
        sources[0], sources[1], sources[1], sources[1], sources[1], sources[1],
    ];
    assert_eq!(result(difference(&many, hasher)), named(&[("a", 1.0)]));
}
