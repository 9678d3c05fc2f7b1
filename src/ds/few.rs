//! A few elements in a row: what a hash or a set of long members has before a table of its own pays.
//!
//! ```text
//! Few -> [ e0 | e1 | e2 ]      8 bytes each, in whole size classes, in no order
//!           |    +--> [ header | key | payload ]
//!           +-------> ..
//! ```
//!
//! A collection that left its listpack for a single long member takes 150 to 200 bytes less than with a table around it,
//! and a lookup among so few compares as many keys as it would in one bucket of a table.
//!
//! Invariant: keys are distinct, which is the caller's to see to ([`Few::push`]).
//!
//! Costs: everything O(elements), of which there should be at most [`FEW_MAX`]. Not here: what a payload means, and when
//! to turn into a table.

use crate::base::relocate::{self, Mover};
use crate::base::size_class::allocated;

use super::dict::Stats;
use super::thin::Thin;

/// More elements should get a table.
pub const FEW_MAX: usize = 8;

/// At most [`FEW_MAX`] elements. See the module's documentation.
#[derive(Clone, Default)]
pub struct Few(Vec<Thin>);

impl Few {
    /// Without elements.
    pub fn new() -> Few {
        Few::default()
    }

    /// How many elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more would be too many.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.0.len() >= FEW_MAX
    }

    /// Offers the row and its elements.
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        relocate::vec(&mut self.0, mover);
        self.0.iter_mut().for_each(|element| element.relocate(mover));
    }

    /// All elements.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, Thin> {
        self.0.iter()
    }

    /// The element at a place below [`len`](Few::len).
    pub fn get(&self, place: usize) -> Option<&Thin> {
        self.0.get(place)
    }

    /// The element with this key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&Thin> {
        self.0.iter().find(|element| element.key() == key)
    }

    /// The element with this key, to be changed; its key must stay.
    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<&mut Thin> {
        self.0.iter_mut().find(|element| element.key() == key)
    }

    /// Adds an element whose key is known to be new.
    pub fn push(&mut self, element: Thin) {
        debug_assert!(self.find(element.key()).is_none(), "keys are distinct");
        if self.0.len() == self.0.capacity() {
            let wanted = allocated((self.0.len() + 1) * size_of::<Thin>()) / size_of::<Thin>();
            self.0.reserve_exact(wanted - self.0.len());
        }
        self.0.push(element);
    }

    /// Takes the element with this key out. Another takes its place.
    pub fn remove(&mut self, key: &[u8]) -> Option<Thin> {
        let place = self.0.iter().position(|element| element.key() == key)?;
        self.take(place)
    }

    /// Takes out the element at a place. Another takes its place.
    pub fn take(&mut self, place: usize) -> Option<Thin> {
        (place < self.0.len()).then(|| self.0.swap_remove(place))
    }

    /// Drops the elements for which `stays` answers false.
    pub fn retain(&mut self, stays: impl FnMut(&Thin) -> bool) {
        self.0.retain(stays);
    }

    /// What a small table would tell of itself.
    pub fn table_stats(&self) -> Stats {
        Stats {
            elements: self.len(),
            buckets: 2,
            ..Stats::default()
        }
    }

    /// Bytes on the heap, as the allocator rounds them.
    pub fn heap_bytes(&self) -> usize {
        let elements: usize = self.0.iter().map(Thin::heap_bytes).sum();
        allocated(self.0.capacity() * size_of::<Thin>()) + elements
    }
}

impl IntoIterator for Few {
    type Item = Thin;
    type IntoIter = std::vec::IntoIter<Thin>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn room_comes_in_whole_size_classes() {
        let mut few = Few::new();
        assert_eq!(few.heap_bytes(), 0);
        for (key, bytes) in [("a", 8), ("b", 16), ("c", 32), ("d", 32), ("e", 48)] {
            few.push(Thin::new(key.as_bytes(), &[]));
            assert_eq!(few.heap_bytes(), bytes + few.len() * 8);
        }
    }

    proptest! {
        #[test]
        fn a_few_behave_as_a_map(steps in prop::collection::vec((0..4u8, 0..12u8, any::<u8>()), 0..80)) {
            let (mut few, mut twin) = (Few::new(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 | 1 => match few.find_mut(&[key]) {
                        Some(element) => {
                            element.set_payload(&[&[value]]);
                            prop_assert!(twin.insert(key, value).is_some());
                        }
                        None => {
                            few.push(Thin::new(&[key], &[&[value]]));
                            prop_assert!(twin.insert(key, value).is_none());
                        }
                    },
                    2 => {
                        let gone = few.remove(&[key]).map(|element| element.payload()[0]);
                        prop_assert_eq!(gone, twin.remove(&key));
                    }
                    _ => {
                        few.retain(|element| element.payload()[0] > 40);
                        twin.retain(|_, value| *value > 40);
                    }
                }
                let found = few.iter().map(|element| (element.key()[0], element.payload()[0]));
                prop_assert_eq!(&found.collect::<BTreeMap<_, _>>(), &twin);
                prop_assert_eq!((few.len(), few.is_empty()), (twin.len(), twin.is_empty()));
                prop_assert_eq!(few.find(&[key]).map(|element| element.payload()[0]), twin.get(&key).copied());
            }
        }
    }
}
