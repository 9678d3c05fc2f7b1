//! How many nodes Redis's radix tree would have for the same keys: XINFO STREAM tells its users.
//!
//! ```text
//!   keys 17a0 17a1 2b00      root [1|2] ─1─> (7a) ─> [0|1] ─0─> leaf        [..] parts several ways
//!                                    │                     └1─> leaf        (..) run of bytes with one way on
//!                                    └2─> (b00) ─> leaf                     leaf ends a key
//! ```
//!
//! A node that parts takes one byte of the key, a run any number: so between two nodes there is a run exactly when they
//! lie more than that one byte apart. Keys must be of one length, so that none ends within another.
//!
//! Cost: one pass over the keys.

/// Nodes of the radix tree of these ascending keys, the root included.
pub fn nodes<const LEN: usize>(keys: impl IntoIterator<Item = [u8; LEN]>) -> usize {
    let mut keys = keys.into_iter();
    let Some(mut last) = keys.next() else {
        return 1;
    };
    let mut count = Count::default();
    let mut shared_before = None;
    for key in keys {
        let shared = shared_bytes(&last, &key);
        count.leaf(LEN, shared_before.max(Some(shared)));
        count.part_at(shared);
        shared_before = Some(shared);
        last = key;
    }
    count.leaf(LEN, shared_before);
    count.finish()
}

fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[derive(Default)]
struct Count {
    nodes: usize,
    /// Depths of the parting nodes on the way to the last key, ascending.
    parting: Vec<usize>,
}

impl Count {
    fn leaf(&mut self, depth: usize, parent: Option<usize>) {
        self.node(depth, parent);
    }

    /// The last key and the next one part at `depth`; deeper nodes will see no more keys.
    fn part_at(&mut self, depth: usize) {
        while let Some(deeper) = self.parting.pop_if(|last| *last > depth) {
            let parent = self.parting.last().copied().max(Some(depth));
            self.node(deeper, parent);
        }
        if self.parting.last() != Some(&depth) {
            self.parting.push(depth);
        }
    }

    fn finish(mut self) -> usize {
        while let Some(depth) = self.parting.pop() {
            self.node(depth, self.parting.last().copied());
        }
        self.nodes
    }

    /// A node, and the run of bytes between its parent and it.
    fn node(&mut self, depth: usize, parent: Option<usize>) {
        let begins = parent.map_or(0, |parent| parent + 1);
        self.nodes += 1 + usize::from(depth > begins);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_few_keys_is_counted_by_hand() {
        assert_eq!(nodes::<4>([]), 1);
        assert_eq!(nodes([*b"17a0"]), 2);
        assert_eq!(nodes([*b"17a0", *b"17a1"]), 4);
        // root, "7a", its two ways, two leaves, "b00", a leaf.
        assert_eq!(nodes([*b"17a0", *b"17a1", *b"2b00"]), 7);
        assert_eq!(nodes([*b"a", *b"b", *b"c"]), 4);
    }

    #[test]
    fn the_count_agrees_with_a_tree_built_of_maps() {
        use std::collections::BTreeMap;
        #[derive(Default)]
        struct Tree(BTreeMap<u8, Tree>);
        /// Whether the parent has one way on, and so may be one run with this node.
        fn count(tree: &Tree, in_run: bool) -> usize {
            let is_run = tree.0.len() == 1;
            let here = usize::from(!(is_run && in_run));
            here + tree.0.values().map(|child| count(child, is_run)).sum::<usize>()
        }
        let mut rng = crate::base::rng::Rng::seeded(7);
        for size in 0..60 {
            let mut keys: Vec<[u8; 3]> = (0..size)
                .map(|_| std::array::from_fn(|_| rng.below(5) as u8))
                .collect();
            keys.sort_unstable();
            keys.dedup();
            let mut tree = Tree::default();
            for key in &keys {
                let mut place = &mut tree;
                for byte in key {
                    place = place.0.entry(*byte).or_default();
                }
            }
            assert_eq!(nodes(keys.iter().copied()), count(&tree, false), "{keys:?}");
        }
    }
}
