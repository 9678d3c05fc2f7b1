//! Keys with those who have read them.
//!
//! ```text
//!   index    "a" ──> 1   "b" ──> 0          entries   [ b: One(7) | a: Many[3, 7] ]
//! ```
//!
//! I1: `index[entries[i].key] == i`, and nothing else is in the index. I2: `items` is the number of ids in all entries.
//! I3: ids are sorted, each once.
//!
//! The entries stand in one list, so a random one is found at once; the last takes the place of one that goes.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

/// The name of a key.
pub type Name = Arc<[u8]>;

/// Trackers of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids<Id> {
    /// A single one, as most keys have.
    One(Id),
    /// Several, sorted.
    Many(Vec<Id>),
}

impl<Id: Copy + Ord> Ids<Id> {
    /// All of them, in order.
    pub fn as_slice(&self) -> &[Id] {
        match self {
            Ids::One(id) => std::slice::from_ref(id),
            Ids::Many(ids) => ids,
        }
    }

    /// Adds one; false when it is there.
    fn add(&mut self, id: Id) -> bool {
        match self {
            Ids::One(known) if *known == id => false,
            Ids::One(known) => {
                *self = Ids::Many(vec![id.min(*known), id.max(*known)]);
                true
            }
            Ids::Many(ids) => match ids.binary_search(&id) {
                Ok(_) => false,
                Err(at) => {
                    ids.insert(at, id);
                    true
                }
            },
        }
    }
}

#[derive(Debug)]
struct Entry<Id> {
    key: Name,
    ids: Ids<Id>,
}

/// All noted keys.
#[derive(Debug)]
pub struct Table<Id> {
    index: HashMap<Name, u32, SeedableRandomState>,
    entries: Vec<Entry<Id>>,
    items: usize,
}

impl<Id: Copy + Ord> Table<Id> {
    /// An empty table. `seed` makes hashing repeatable.
    pub fn new(seed: u64) -> Table<Id> {
        Table {
            index: HashMap::with_hasher(SeedableRandomState::with_seed(seed, SharedSeed::global_fixed())),
            entries: Vec::new(),
            items: 0,
        }
    }

    /// Notes that `id` has read `key`; false when that was known. O(trackers of the key) at worst.
    pub fn note(&mut self, key: &[u8], id: Id) -> bool {
        let added = match self.index.get(key) {
            Some(&at) => self.entries[at as usize].ids.add(id),
            None => {
                let key: Name = key.into();
                self.index.insert(Arc::clone(&key), self.entries.len() as u32);
                let ids = Ids::One(id);
                self.entries.push(Entry { key, ids });
                true
            }
        };
        self.items += usize::from(added);
        added
    }

    /// Takes a key out; those who had read it. O(1).
    pub fn take(&mut self, key: &[u8]) -> Option<Ids<Id>> {
        let at = self.index.remove(key)?;
        Some(self.vacate(at as usize).ids)
    }

    /// Takes out the key at a place, any number below [`Table::len`].
    pub fn take_at(&mut self, at: usize) -> Option<(Name, Ids<Id>)> {
        let key = Arc::clone(&self.entries.get(at)?.key);
        self.index.remove(&key);
        Some((key, self.vacate(at).ids))
    }

    /// Frees a place whose key has left the index already. Keeps I1, I2.
    fn vacate(&mut self, at: usize) -> Entry<Id> {
        let gone = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at)
            && let Some(place) = self.index.get_mut(&moved.key)
        {
            *place = at as u32;
        }
        self.items -= gone.ids.as_slice().len();
        gone
    }

    /// Takes everything out, to be freed by the caller.
    pub fn take_all(&mut self) -> Table<Id> {
        let empty = Table {
            index: HashMap::with_hasher(self.index.hasher().clone()),
            entries: Vec::new(),
            items: 0,
        };
        std::mem::replace(self, empty)
    }

    /// How many keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many trackers all keys have together.
    pub fn items(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Note(u8, u8),
        Take(u8),
        TakeAt(u8),
        TakeAll,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            12 => (0..9u8, 0..6u8).prop_map(|(key, id)| Step::Note(key, id)),
            4 => (0..9u8).prop_map(Step::Take),
            2 => any::<u8>().prop_map(Step::TakeAt),
            1 => Just(Step::TakeAll),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn take_out(pairs: &mut BTreeSet<(u8, u8)>, key: u8) -> Vec<u8> {
        let ids = pairs
            .iter()
            .filter(|pair| pair.0 == key)
            .map(|pair| pair.1)
            .collect();
        pairs.retain(|pair| pair.0 != key);
        ids
    }

    proptest! {
        #[test]
        fn a_table_behaves_as_a_set_of_pairs(steps in steps()) {
            let (mut table, mut pairs) = (Table::new(1), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Note(key, id) => prop_assert_eq!(table.note(&[key], id), pairs.insert((key, id))),
                    Step::Take(key) => {
                        let ids = table.take(&[key]).map_or_else(Vec::new, |ids| ids.as_slice().to_vec());
                        prop_assert_eq!(ids, take_out(&mut pairs, key));
                    }
                    Step::TakeAt(at) if usize::from(at) < table.len() => {
                        let (key, ids) = table.take_at(at.into()).expect("below its length");
                        prop_assert_eq!(ids.as_slice(), take_out(&mut pairs, key[0]));
                    }
                    Step::TakeAt(_) => {}
                    Step::TakeAll => {
                        prop_assert_eq!(table.take_all().items(), pairs.len());
                        pairs.clear();
                    }
                }
                let keys: BTreeSet<u8> = pairs.iter().map(|pair| pair.0).collect();
                prop_assert_eq!((table.len(), table.items()), (keys.len(), pairs.len()));
                prop_assert_eq!(table.is_empty(), pairs.is_empty());
            }
        }
    }
}
