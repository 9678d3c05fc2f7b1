//! Whether elements are all different: what a set's or hash's bytes from a file have to prove.
//!
//! The hashes are sorted and neighbours compared. Only equal ones, which in sound bytes are next to impossible, make
//! the elements themselves be compared: a few elements cost no allocation, many one.

use std::collections::HashSet;

use super::Item;
use crate::base::hash::KeyHasher;

/// Hashes that are sorted without an allocation.
const FEW: usize = 32;

/// Whether no item comes twice. O(n log n).
pub fn all_distinct<'a>(items: impl Iterator<Item = Item<'a>> + Clone) -> bool {
    let hasher = KeyHasher::with_seed(0);
    let mut hashes = items.clone().map(|item| hash(hasher, item));
    let (mut few, mut count) = ([0; FEW], 0);
    for (place, hash) in few.iter_mut().zip(&mut hashes) {
        *place = hash;
        count += 1;
    }
    let differ = if count < FEW {
        differ(&mut few[..count])
    } else {
        let mut many = few.to_vec();
        many.extend(hashes);
        differ(&mut many)
    };
    differ || all_distinct_by_text(items)
}

#[inline]
fn hash(hasher: KeyHasher, item: Item<'_>) -> u64 {
    match item {
        Item::Int(value) => hasher.hash(&value.to_le_bytes()),
        Item::Bytes(text) => hasher.hash(text),
    }
}

fn differ(hashes: &mut [u64]) -> bool {
    hashes.sort_unstable();
    hashes.windows(2).all(|pair| pair[0] != pair[1])
}

#[cold]
fn all_distinct_by_text<'a>(mut items: impl Iterator<Item = Item<'a>>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_and_text_of_the_same_bytes_differ() {
        let number = i64::from_le_bytes(*b"eightbyt");
        let items = [Item::Int(number), Item::Bytes(b"eightbyt")];
        assert!(all_distinct(items.into_iter()));
    }

    proptest! {
        #[test]
        fn it_finds_what_comparing_all_finds(texts in prop::collection::vec("[ab]{0,6}|[0-9]{1,3}", 0..80)) {
            let items: Vec<Item> = texts.iter().map(|text| Item::of(text.as_bytes())).collect();
            prop_assert_eq!(all_distinct(items.iter().copied()), all_distinct_by_text(items.iter().copied()));
        }
    }
}
