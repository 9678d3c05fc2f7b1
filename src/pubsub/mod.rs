//! Who listens to what: channels, patterns and shard channels, each with its subscribers.
//!
//! ```text
//!   channels  news ──> [a, b]        patterns  n* ──> [b]        shards  s ──> [a]
//!   publish on news: a, b as subscribers of the channel, then b again for its pattern
//! ```
//!
//! A registry knows names and subscribers' ids, nothing of clients, messages or protocols: who publishes walks the
//! lists it hands out. Finding a channel's subscribers is one hash lookup, however many channels there are; patterns
//! are tried one after the other, each once for all its subscribers.
//!
//! Imports: base.

mod index;

use std::hash::Hash;

use crate::base::glob;
use crate::base::relocate::Mover;

use index::Index;

/// What can be subscribed to. The three have names of their own: a channel and a shard channel may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel, by its name.
    Channel,
    /// All channels that match a glob.
    Pattern,
    /// A channel that lives in the shard of its name's slot.
    Shard,
}

const KINDS: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

/// How far a walk over the memory of a registry has come.
#[derive(Debug, Default)]
pub struct Place {
    kind: usize,
    cursor: usize,
}

/// All subscriptions of subscribers called `Id`.
pub struct Registry<Id> {
    channels: Index<Id>,
    patterns: Index<Id>,
    shards: Index<Id>,
}

impl<Id: Copy + Eq + Hash> Registry<Id> {
    /// An empty registry; `seed` makes the order of its names repeatable.
    pub fn new(seed: u64) -> Registry<Id> {
        Registry {
            channels: Index::new(seed),
            patterns: Index::new(seed),
            shards: Index::new(seed),
        }
    }

    fn index(&self, kind: Kind) -> &Index<Id> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    fn index_mut(&mut self, kind: Kind) -> &mut Index<Id> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// Adds a subscription; false when it was there. O(1).
    pub fn subscribe(&mut self, kind: Kind, name: &[u8], id: Id) -> bool {
        self.index_mut(kind).add(name, id)
    }

    /// Removes a subscription; false when there was none. O(1).
    pub fn unsubscribe(&mut self, kind: Kind, name: &[u8], id: Id) -> bool {
        self.index_mut(kind).remove(name, id)
    }

    /// Removes all subscriptions of a subscriber. O(their number).
    pub fn leave(&mut self, id: Id) {
        self.channels.leave(id);
        self.patterns.leave(id);
        self.shards.leave(id);
    }

    /// What a subscriber listens to, in no order. O(their number).
    pub fn names_of(&self, kind: Kind, id: Id) -> impl Iterator<Item = &[u8]> {
        self.index(kind).names_of(id)
    }

    /// How much a subscriber listens to. O(1).
    pub fn count_of(&self, kind: Kind, id: Id) -> usize {
        self.index(kind).count_of(id)
    }

    /// The subscribers of one name. O(1).
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> &[Id] {
        self.index(kind).members(name)
    }

    /// The patterns that match `channel`, each with its subscribers. O(patterns).
    pub fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [Id])> {
        self.patterns
            .iter()
            .filter(move |(pattern, _)| glob::matches(pattern, channel, false))
    }

    /// Every name somebody listens to, in no order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.index(kind).iter().map(|(name, _)| name)
    }

    /// How many names somebody listens to.
    pub fn len(&self, kind: Kind) -> usize {
        self.index(kind).len()
    }

    /// Offers the memory of names and of lists of subscribers, from `place` on until the end or until `mover` says stop;
    /// true at the end. Between two calls names may come and go.
    pub fn relocate(&mut self, place: &mut Place, mover: &mut dyn Mover) -> bool {
        while let Some(&kind) = KINDS.get(place.kind) {
            if let Some(cursor) = self.index_mut(kind).relocate(place.cursor, mover) {
                place.cursor = cursor;
                return false;
            }
            *place = Place {
                kind: place.kind + 1,
                cursor: 0,
            };
        }
        true
    }

    /// Whether nobody listens to anything.
    pub fn is_empty(&self) -> bool {
        KINDS.iter().all(|&kind| self.len(kind) == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::base::relocate::MoveAll;

    fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut items: Vec<T> = items.into_iter().collect();
        items.sort();
        items
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        let mut registry = Registry::new(1);
        assert!(registry.is_empty());
        assert!(registry.subscribe(Kind::Channel, b"x", 1));
        assert!(registry.subscribe(Kind::Shard, b"x", 2));
        assert_eq!(registry.subscribers(Kind::Channel, b"x"), [1]);
        assert_eq!(registry.subscribers(Kind::Shard, b"x"), [2]);
        assert_eq!(registry.subscribers(Kind::Pattern, b"x"), [0; 0]);
        registry.leave(1);
        assert!(!registry.is_empty());
        registry.leave(2);
        assert!(registry.is_empty());
    }

    #[test]
    fn only_matching_patterns_are_offered_each_once() {
        let mut registry = Registry::new(1);
        for (pattern, id) in [("news.*", 1), ("news.*", 2), ("*", 3), ("sport", 4)] {
            registry.subscribe(Kind::Pattern, pattern.as_bytes(), id);
        }
        let found = sorted(registry.matching(b"news.art"));
        assert_eq!(found, [(&b"*"[..], &[3][..]), (b"news.*", &[1, 2])]);
    }

    #[test]
    fn subscribers_are_served_in_the_order_they_came() {
        let mut registry = Registry::new(1);
        for id in 0..10_000 {
            registry.subscribe(Kind::Channel, b"all", id);
        }
        assert!(
            registry
                .subscribers(Kind::Channel, b"all")
                .iter()
                .copied()
                .eq(0..10_000)
        );
        (0..10_000).for_each(|id| registry.leave(id));
        assert!(registry.is_empty());
    }

    #[test]
    fn everything_is_found_at_its_new_place() {
        let mut registry = Registry::new(1);
        let names = |n: u32| (n / 3).to_string().repeat(9);
        for n in 0..300 {
            let kind = KINDS[n as usize % 3];
            registry.subscribe(kind, names(n).as_bytes(), n % 7);
            registry.subscribe(kind, names(n).as_bytes(), n);
        }
        let (mut place, mut mover) = (Place::default(), MoveAll::pausing_after(5));
        let mut slices = 0;
        while !registry.relocate(&mut place, &mut mover) {
            // Rows that go in the middle of the walk.
            registry.leave(150 + slices);
            slices += 1;
        }
        assert!(slices > 20 && mover.moved > 500, "{slices} {}", mover.moved);
        for n in 7..150 {
            let subscribers = registry.subscribers(KINDS[n as usize % 3], names(n).as_bytes());
            assert_eq!(subscribers, [n % 7, n]);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Subscribe(u8, u8),
        Unsubscribe(u8, u8),
        Leave(u8),
        Relocate,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..6u8, 0..6u8).prop_map(|(name, id)| Step::Subscribe(name, id)),
            2 => (0..6u8, 0..6u8).prop_map(|(name, id)| Step::Unsubscribe(name, id)),
            1 => (0..6u8).prop_map(Step::Leave),
            1 => Just(Step::Relocate),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn an_index_behaves_as_a_set_of_pairs(steps in steps()) {
            let mut registry = Registry::new(7);
            let mut pairs = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Subscribe(name, id) => {
                        prop_assert_eq!(registry.subscribe(Kind::Channel, &[name], id), pairs.insert((name, id)));
                    }
                    Step::Unsubscribe(name, id) => {
                        prop_assert_eq!(registry.unsubscribe(Kind::Channel, &[name], id), pairs.remove(&(name, id)));
                    }
                    Step::Relocate => {
                        registry.relocate(&mut Place::default(), &mut MoveAll::pausing_after(0));
                    }
                    Step::Leave(gone) => {
                        registry.leave(gone);
                        pairs.retain(|(_, id)| *id != gone);
                    }
                }
                for one in 0..6u8 {
                    let members = pairs.iter().filter(|(name, _)| *name == one).map(|(_, id)| *id);
                    let found = sorted(registry.subscribers(Kind::Channel, &[one]).iter().copied());
                    prop_assert_eq!(found, members.collect::<Vec<_>>());
                    let names = pairs.iter().filter(|(_, id)| *id == one).map(|(name, _)| vec![*name]);
                    let found = sorted(registry.names_of(Kind::Channel, one).map(<[u8]>::to_vec));
                    prop_assert_eq!(registry.count_of(Kind::Channel, one), found.len());
                    prop_assert_eq!(found, names.collect::<Vec<_>>());
                }
                let names: BTreeSet<u8> = pairs.iter().map(|(name, _)| *name).collect();
                prop_assert_eq!(registry.len(Kind::Channel), names.len());
            }
        }
    }
}
