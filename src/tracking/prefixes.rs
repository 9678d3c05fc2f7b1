//! Prefixes with those who listen to every change below, and the changes not told yet.
//!
//! ```text
//!   "user:" ──> listeners [c, d]    changed  user:1 by c | user:7 by nobody
//! ```
//!
//! Of a key that changes again the last author counts. The prefixes of a key are looked up by length, one lookup for
//! each length that any prefix has. I1: `lengths` counts the prefixes by length. I2: `of[id]` holds `prefix` exactly
//! when `id` listens to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// One prefix.
#[derive(Debug)]
pub struct Prefix<Id> {
    /// Who listens, in the order they came.
    pub listeners: Vec<Id>,
    /// Keys that have changed since they were last told, with the client that did it, if one did.
    pub changed: BTreeMap<Box<[u8]>, Option<Id>>,
}

/// Two prefixes that one client may not listen to together.
#[derive(Debug, PartialEq, Eq)]
pub enum Overlap<'a> {
    /// The new one, and one it has.
    Existing(&'a [u8], Arc<[u8]>),
    /// Two new ones.
    Given(&'a [u8], &'a [u8]),
}

/// All prefixes.
#[derive(Debug)]
pub struct Prefixes<Id> {
    prefixes: BTreeMap<Arc<[u8]>, Prefix<Id>>,
    lengths: BTreeMap<usize, usize>,
    of: HashMap<Id, BTreeSet<Arc<[u8]>>>,
    /// Some prefix has changes to tell.
    dirty: bool,
}

impl<Id> Default for Prefixes<Id> {
    fn default() -> Self {
        Prefixes {
            prefixes: BTreeMap::new(),
            lengths: BTreeMap::new(),
            of: HashMap::new(),
            dirty: false,
        }
    }
}

impl<Id: Copy + Eq + Hash> Prefixes<Id> {
    /// How many prefixes somebody listens to.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The first pair that overlaps, of what `id` listens to and wants to listen to. O(prefixes of the client).
    pub fn overlap<'a>(&self, id: Id, wanted: &[&'a [u8]]) -> Option<Overlap<'a>> {
        wanted.iter().enumerate().find_map(|(at, &new)| {
            let known = self.of(id).find(|known| covers_either_way(known, new));
            let given = || {
                wanted[at + 1..]
                    .iter()
                    .find(|other| covers_either_way(other, new))
            };
            match known {
                Some(known) => Some(Overlap::Existing(new, Arc::clone(known))),
                None => given().map(|other| Overlap::Given(new, other)),
            }
        })
    }

    /// Begins to listen.
    pub fn listen(&mut self, prefix: &[u8], id: Id) {
        let name = match self.prefixes.get_key_value(prefix) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(prefix),
        };
        if !self.of.entry(id).or_default().insert(Arc::clone(&name)) {
            return;
        }
        let lengths = &mut self.lengths;
        let entry = self.prefixes.entry(name).or_insert_with(|| {
            *lengths.entry(prefix.len()).or_default() += 1;
            Prefix {
                listeners: Vec::new(),
                changed: BTreeMap::new(),
            }
        });
        entry.listeners.push(id);
    }

    /// Ends all listening of `id`. O(listeners of its prefixes).
    pub fn leave(&mut self, id: Id) {
        for name in self.of.remove(&id).into_iter().flatten() {
            let Some(prefix) = self.prefixes.get_mut(&name) else {
                continue;
            };
            prefix.listeners.retain(|listener| *listener != id);
            if prefix.listeners.is_empty() {
                self.prefixes.remove(&name);
                self.forget_length(name.len());
            }
        }
    }

    /// Keeps I1.
    fn forget_length(&mut self, len: usize) {
        if let Some(count) = self.lengths.get_mut(&len) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&len);
            }
        }
    }

    /// What `id` listens to, in order.
    pub fn of(&self, id: Id) -> impl Iterator<Item = &Arc<[u8]>> {
        self.of.get(&id).into_iter().flatten()
    }

    /// How many prefixes `id` listens to.
    pub fn count_of(&self, id: Id) -> usize {
        self.of.get(&id).map_or(0, BTreeSet::len)
    }

    /// Keeps a change for those who listen. O(lengths of prefixes).
    pub fn change(&mut self, key: &[u8], by: Option<Id>) {
        for &len in self.lengths.keys().take_while(|&&len| len <= key.len()) {
            if let Some(prefix) = self.prefixes.get_mut(&key[..len]) {
                prefix.changed.insert(key.into(), by);
                self.dirty = true;
            }
        }
    }

    /// Whether changes are to be told.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Takes what is to be told: for each prefix with changes its listeners and the changes.
    pub fn take_changes(&mut self) -> Vec<Prefix<Id>> {
        self.dirty = false;
        let changed = self
            .prefixes
            .values_mut()
            .filter(|prefix| !prefix.changed.is_empty());
        changed
            .map(|prefix| Prefix {
                listeners: prefix.listeners.clone(),
                changed: std::mem::take(&mut prefix.changed),
            })
            .collect()
    }
}

/// Whether a key may have both prefixes.
fn covers_either_way(a: &[u8], b: &[u8]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listening(pairs: &[(&str, u8)]) -> Prefixes<u8> {
        let mut prefixes = Prefixes::default();
        pairs
            .iter()
            .for_each(|(prefix, id)| prefixes.listen(prefix.as_bytes(), *id));
        prefixes
    }

    #[test]
    fn overlaps_are_found_among_old_and_new() {
        let prefixes = listening(&[("FOO", 1), ("BAR", 1), ("", 2)]);
        let overlap = |id, wanted: &[&'static str]| {
            let wanted: Vec<&'static [u8]> = wanted.iter().map(|text| text.as_bytes()).collect();
            prefixes.overlap(id, &wanted)
        };
        assert_eq!(
            overlap(1, &["x", "FO"]),
            Some(Overlap::Existing(b"FO", b"FOO"[..].into()))
        );
        assert_eq!(
            overlap(1, &["BARB"]),
            Some(Overlap::Existing(b"BARB", b"BAR"[..].into()))
        );
        assert_eq!(overlap(3, &["x", "ab", "a"]), Some(Overlap::Given(b"ab", b"a")));
        assert_eq!(overlap(2, &["x"]), Some(Overlap::Existing(b"x", b""[..].into())));
        assert_eq!(overlap(3, &["x", "y"]), None);
    }

    #[test]
    fn the_last_author_of_a_key_counts() {
        let mut prefixes = listening(&[("a", 1)]);
        prefixes.change(b"a1", Some(1));
        prefixes.change(b"a1", None);
        prefixes.change(b"b", None);
        let told = prefixes.take_changes();
        assert_eq!(told[0].changed, BTreeMap::from([(b"a1"[..].into(), None)]));
        assert!(prefixes.take_changes().is_empty() && !prefixes.is_dirty());
    }

    type Told = Vec<(Vec<u8>, Vec<Box<[u8]>>)>;

    fn told(prefixes: &mut Prefixes<u8>) -> Told {
        let listeners = |prefix: Prefix<u8>| (prefix.listeners, prefix.changed.into_keys().collect());
        prefixes.take_changes().into_iter().map(listeners).collect()
    }

    /// The same by trying every prefix.
    fn naive(pairs: &[(String, u8)], keys: &[String]) -> Told {
        let names: BTreeSet<&String> = pairs.iter().map(|pair| &pair.0).collect();
        let told = names.into_iter().map(|name| {
            let mut listeners = Vec::new();
            for (_, id) in pairs.iter().filter(|pair| pair.0 == *name) {
                if !listeners.contains(id) {
                    listeners.push(*id);
                }
            }
            let below: BTreeSet<&String> = keys.iter().filter(|key| key.starts_with(name.as_str())).collect();
            (
                listeners,
                below.into_iter().map(|key| key.as_bytes().into()).collect(),
            )
        });
        told.filter(|(_, keys): &(_, Vec<Box<[u8]>>)| !keys.is_empty())
            .collect()
    }

    proptest! {
        #[test]
        fn every_listener_above_a_key_is_told(
            pairs in prop::collection::vec(("[ab]{0,3}", 0..4u8), 0..12),
            keys in prop::collection::vec("[ab]{0,4}", 0..12),
            gone in 0..4u8,
        ) {
            let mut prefixes = Prefixes::default();
            pairs.iter().for_each(|(prefix, id)| prefixes.listen(prefix.as_bytes(), *id));
            prefixes.leave(gone);
            let left: Vec<_> = pairs.into_iter().filter(|pair| pair.1 != gone).collect();
            keys.iter().for_each(|key| prefixes.change(key.as_bytes(), None));
            prop_assert_eq!(told(&mut prefixes), naive(&left, &keys));
            (0..4).for_each(|id| prefixes.leave(id));
            prop_assert!(prefixes.is_empty() && prefixes.lengths.is_empty());
        }
    }
}
