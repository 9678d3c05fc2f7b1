use std::collections::BTreeMap;

use super::*;
use crate::base::relocate::MoveAll;
use proptest::prelude::*;

/// The naive twin: sorted anew for every question.
#[derive(Default)]
struct Naive(BTreeMap<Vec<u8>, f64>);

impl Naive {
    fn sorted(&self) -> Vec<(Vec<u8>, f64)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(name, &score)| (name.clone(), score))
            .collect();
        all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
        all
    }
}

fn listed(ranked: &Ranked, ranks: Range<usize>) -> Vec<(Vec<u8>, f64)> {
    ranked
        .iter(ranks)
        .map(|(name, score)| (name.to_vec(), score))
        .collect()
}

fn hasher() -> KeyHasher {
    KeyHasher::with_seed(1)
}

#[derive(Debug, Clone)]
enum Step {
    Set(u16, i8),
    Nudge(u16, i8),
    Leave(u16),
    Remove(u16),
    RemoveRange(u16, u8),
    Clone,
    Relocate(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..400u16, any::<i8>()).prop_map(|(name, score)| Step::Set(name, score)),
        10 => (0..400u16, -2..3i8).prop_map(|(name, by)| Step::Nudge(name, by)),
        2 => (0..400u16).prop_map(Step::Leave),
        10 => (0..400u16).prop_map(Step::Remove),
        1 => (any::<u16>(), 0..40u8).prop_map(|(from, count)| Step::RemoveRange(from, count)),
        1 => Just(Step::Clone),
        2 => (0..30u64).prop_map(Step::Relocate),
    ]
}

/// Names of all lengths, some of which need the long form.
fn name(number: u16) -> Vec<u8> {
    let mut name = format!("m{number}").into_bytes();
    name.resize(name.len() + usize::from(number % 7) * 60, b'x');
    name
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_keep_their_order_whatever_happens(steps in prop::collection::vec(step(), 0..800)) {
        let mut naive = Naive::default();
        let mut ranked = Ranked::new(hasher());
        let mut cursor = 0;
        for step in steps {
            match step {
                Step::Set(number, score) => {
                    let score = f64::from(score) / 4.0;
                    prop_assert_eq!(ranked.set(&name(number), score), naive.0.insert(name(number), score));
                }
                Step::Nudge(number, by) => {
                    let by = f64::from(by) / 8.0;
                    let outcome = ranked.change(&name(number), |old| Some(old.unwrap_or(0.0) + by));
                    let score = naive.0.entry(name(number)).or_insert(0.0);
                    *score += by;
                    prop_assert_eq!(outcome.new, Some(*score));
                }
                Step::Leave(number) => {
                    let old = naive.0.get(&name(number)).copied();
                    prop_assert_eq!(ranked.change(&name(number), |_| None), Outcome { old, new: old });
                }
                Step::Remove(number) => {
                    prop_assert_eq!(ranked.remove(&name(number)), naive.0.remove(&name(number)));
                }
                Step::RemoveRange(from, count) => {
                    let sorted = naive.sorted();
                    let from = usize::from(from) % (sorted.len() + 1);
                    let to = sorted.len().min(from + usize::from(count));
                    let seen = listed(&ranked, from..to);
                    prop_assert_eq!(&seen[..], &sorted[from..to]);
                    ranked.remove_range(from..from + usize::from(count));
                    naive.0.retain(|name, _| !seen.iter().any(|(gone, _)| gone == name));
                }
                Step::Clone => ranked = ranked.clone(),
                Step::Relocate(budget) => {
                    cursor = ranked.relocate(cursor, &mut MoveAll::pausing_after(budget));
                }
            }
        }
        ranked.check_invariants();
        let sorted = naive.sorted();
        prop_assert_eq!(listed(&ranked, 0..usize::MAX), sorted.clone());
        for (rank, (name, score)) in sorted.iter().enumerate() {
            prop_assert_eq!(ranked.rank(name), Some((rank, *score)));
            prop_assert_eq!(ranked.get(rank), Some((&name[..], *score)));
        }
    }

    #[test]
    fn members_of_equal_scores_are_found_where_they_have_moved(members in 1..3000u16, scores in 1..4u16) {
        let mut ranked = Ranked::new(hasher());
        for number in 0..members {
            ranked.set(&name(number), f64::from(number % scores));
        }
        let before = listed(&ranked, 0..usize::MAX);
        let mut mover = MoveAll::pausing_after(7);
        let mut cursor = ranked.relocate(0, &mut mover);
        while cursor != 0 {
            cursor = ranked.relocate(cursor, &mut mover);
        }
        prop_assert!(mover.moved > u64::from(members), "elements, and nodes of the order");
        ranked.check_invariants();
        prop_assert_eq!(listed(&ranked, 0..usize::MAX), before);
    }

    #[test]
    fn ranges_of_scores_are_ranges_of_ranks(scores in prop::collection::vec(-50..50i32, 0..300), from in -60..60i32, to in -60..60i32) {
        let mut tally = Tally::new(hasher());
        for (number, &score) in scores.iter().enumerate() {
            tally.change(format!("m{number}").as_bytes(), |_| f64::from(score));
        }
        let ranked = tally.into_ranked();
        ranked.check_invariants();
        let (from, to) = (f64::from(from), f64::from(to));
        let begin = ranked.partition_point(|score, _| score < from);
        let end = ranked.partition_point(|score, _| score <= to);
        let naive = scores.iter().filter(|&&score| (from..=to).contains(&f64::from(score))).count();
        prop_assert_eq!(end.saturating_sub(begin), naive);
        let forth = listed(&ranked, begin..end);
        let mut back: Vec<_> = ranked.iter(begin..end).rev().map(|(name, score)| (name.to_vec(), score)).collect();
        back.reverse();
        prop_assert_eq!(forth, back);
    }
}

#[test]
fn zeros_of_either_sign_and_infinities_have_their_places() {
    let mut ranked = Ranked::new(hasher());
    for (name, score) in [
        ("b", -0.0),
        ("a", 0.0),
        ("c", f64::INFINITY),
        ("d", f64::NEG_INFINITY),
    ] {
        ranked.set(name.as_bytes(), score);
    }
    ranked.check_invariants();
    let names: Vec<_> = listed(&ranked, 0..4).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"d", b"a", b"b", b"c"]);
}

#[test]
fn a_scan_meets_every_member_and_chance_reaches_all() {
    let mut ranked = Ranked::new(hasher());
    for n in 0..1000 {
        ranked.set(format!("m{n}").as_bytes(), f64::from(n));
    }
    let (mut cursor, mut seen) = (0, 0);
    loop {
        cursor = ranked.scan(cursor, &mut |_, _| seen += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, 1000);
    assert_eq!(ranked.random(&mut || 0), Some((&b"m0"[..], 0.0)));
    assert_eq!(ranked.random(&mut || u64::MAX), Some((&b"m999"[..], 999.0)));
    assert_eq!(Ranked::new(hasher()).random(&mut || 7), None);
}

#[test]
fn a_member_takes_less_than_70_bytes() {
    let mut tally = Tally::new(hasher());
    (0..100_000u32).for_each(|n| tally.change(format!("member:{n:06}").as_bytes(), |_| f64::from(n)));
    let bytes = tally.into_ranked().sampled_bytes(0);
    assert!(bytes < 100_000 * 70, "{bytes}");
}

#[test]
#[should_panic(expected = "R2")]
fn a_score_that_is_no_number_is_refused() {
    Ranked::new(hasher()).set(b"m", f64::NAN);
}
