//! HyperLogLogs against a plain array of registers.

use super::*;
use proptest::prelude::*;

const SPARSE_BYTES_MAX: usize = 3000;

fn registers_of(bytes: &[u8]) -> Vec<u8> {
    let mut registers = Registers::default();
    registers.merge(bytes).unwrap();
    registers.values().to_vec()
}

fn filled(elements: impl Iterator<Item = u64>, sparse_bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
        add(
            &mut bytes,
            [&element.to_le_bytes()[..]].into_iter(),
            sparse_bytes_max,
        )
        .unwrap();
    }
    bytes
}

#[test]
fn both_encodings_hold_the_same_registers_and_count_alike() {
    for n in [0, 1, 10, 100, 1000, 5000] {
        let (dense, either) = (filled(0..n, 0), filled(0..n, SPARSE_BYTES_MAX));
        if n > 0 {
            assert_eq!(registers_of(&dense), registers_of(&either));
            assert_eq!(count(&dense), count(&either));
        }
    }
}

#[test]
fn counts_are_within_a_few_percent() {
    for n in [10u64, 1000, 100_000] {
        let estimate = count(&filled(0..n, SPARSE_BYTES_MAX)).unwrap();
        assert!(
            estimate.abs_diff(n) as f64 <= (n as f64 * 0.04).ceil(),
            "{n}: {estimate}"
        );
    }
}

#[test]
fn a_sparse_one_turns_dense_when_it_would_pass_its_limit() {
    let (mut bytes, mut step) = (create(), 0u32);
    while encoding(&bytes) == Ok(Encoding::Sparse) {
        assert!(bytes.len() <= 100);
        let element = step.to_le_bytes();
        step += 1;
        add(&mut bytes, [&element[..]].into_iter(), 100).unwrap();
    }
    assert_eq!(bytes.len(), HEADER_BYTES + dense::BYTES);
}

#[test]
fn room_is_not_doubled() {
    let bytes = filled(0..1000, SPARSE_BYTES_MAX);
    assert!(bytes.capacity() <= bytes.len() + bytes.len() / 8 + 12);
}

#[test]
fn a_refused_addition_leaves_everything_as_it_was() {
    let mut cut = filled(0..50, SPARSE_BYTES_MAX);
    cut.truncate(HEADER_BYTES + 20);
    let before = cut.clone();
    let elements: Vec<[u8; 8]> = (100..300u64).map(u64::to_le_bytes).collect();
    let refused = add(&mut cut, elements.iter().map(|e| &e[..]), SPARSE_BYTES_MAX);
    assert_eq!((refused, cut), (Err(Refused::Corrupt), before));
}

#[test]
fn the_cache_is_void_after_a_change_only() {
    let mut bytes = create();
    assert_eq!(cached_count(&bytes), Ok(Some(0)));
    add(&mut bytes, [&b"a"[..]].into_iter(), SPARSE_BYTES_MAX).unwrap();
    assert_eq!(cached_count(&bytes), Ok(None));
    cache_count(&mut bytes, 1);
    assert_eq!(add(&mut bytes, [&b"a"[..]].into_iter(), SPARSE_BYTES_MAX), Ok(0));
    assert_eq!(cached_count(&bytes), Ok(Some(1)));
}

#[test]
fn the_self_test_passes() {
    let mut rng = crate::base::rng::Rng::seeded(7);
    assert_eq!(self_test(&mut rng, SPARSE_BYTES_MAX), Ok(()));
}

proptest! {
    #[test]
    fn sparse_registers_behave_as_an_array(
        steps in prop::collection::vec((0usize..REGISTERS, 0usize..40, 1u8..52), 0..300),
        near in 0usize..REGISTERS - 40,
    ) {
        let mut bytes = create();
        let mut naive = vec![0; REGISTERS];
        for (far, offset, value) in steps {
            // Neighbours are where runs meet.
            let index = if far % 4 == 0 { far } else { near + offset };
            let changed = set(&mut bytes, index, value % 36, SPARSE_BYTES_MAX).unwrap();
            prop_assert_eq!(changed, value % 36 > naive[index]);
            naive[index] = naive[index].max(value % 36);
        }
        prop_assert_eq!(registers_of(&bytes), naive);
    }

    #[test]
    fn a_stored_union_has_the_higher_of_each_register(
        parts in prop::collection::vec((prop::collection::vec(0u64..5000, 0..80), any::<bool>()), 0..5),
    ) {
        let parts: Vec<Vec<u8>> = parts
            .into_iter()
            .map(|(elements, dense)| {
                let mut bytes = create();
                if dense { densify(&mut bytes).unwrap(); }
                let elements: Vec<[u8; 8]> = elements.into_iter().map(u64::to_le_bytes).collect();
                add(&mut bytes, elements.iter().map(|e| &e[..]), SPARSE_BYTES_MAX).unwrap();
                bytes
            })
            .collect();
        let mut union = Registers::default();
        let mut dense = false;
        for part in &parts {
            dense |= union.merge(part).unwrap() == Encoding::Dense;
        }
        let mut target = parts.first().cloned().unwrap_or_default();
        union.store(&mut target, dense, SPARSE_BYTES_MAX).unwrap();
        prop_assert_eq!(registers_of(&target), union.values().to_vec());
        prop_assert_eq!(count(&target), Ok(union.count()));
        prop_assert_eq!(encoding(&target) == Ok(Encoding::Dense), dense);
    }
}
