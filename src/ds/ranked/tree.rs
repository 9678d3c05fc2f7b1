//! Counted B+ tree: a sequence of small values in some order, each found by its place or by a comparison.
//!
//! ```text
//!              Inner: firsts [ a   k   t ]  counts [ 118  97  140 ]  nodes [ . . . ]
//!                              |   |   |
//!            +-----------------+   |   +-------+        firsts[i] is the first item below nodes[i],
//!     Leaf [ a b c .. ]   Leaf [ k l .. ]   Leaf [ t .. ]     counts[i] how many there are
//! ```
//!
//! The tree compares nothing itself: a search gets a predicate that holds for a prefix of the sequence and finds where
//! it ends ([`Tree::partition_point`]). Everything else goes by *place*, the number of items before one.
//!
//! Invariants:
//! - B1  All leaves are equally deep; a leaf has 1 to 64 items and an inner node 1 to 31 children, only the root may
//!   be an empty leaf, and an inner root has at least two children.
//! - B2  `firsts[i]` and `counts[i]` are true of `nodes[i]`, and `len` is the sum of `counts`.
//!
//! Costs: 16-byte items take about 18 bytes each when inserted at random places and 16.5 at either end, since leaves
//! grow by the allocator's size classes and one that fills at an end of the sequence is left full. Every operation
//! reads 4 inner nodes and a leaf among 5 million items, and changes at most two nodes on each level: nothing ever
//! moves more than a few KiB.
//!
//! Not here: comparing, owning what the items point to.

use std::ops::Range;

use crate::base::relocate::{self, Mover};
use crate::base::size_class;

/// Items of a full leaf.
const LEAF_MAX: usize = 64;
/// Children of a full inner node: its arrays then fill 1.5 KiB.
const CHILDREN_MAX: usize = 31;
/// Below these a node is joined with its neighbour or filled from it. Far enough from half full that a node does not
/// split and join in turn.
const LEAF_MIN: usize = LEAF_MAX * 3 / 8;
const CHILDREN_MIN: usize = CHILDREN_MAX * 3 / 8;

/// The sequence.
pub(super) struct Tree<T> {
    root: Node<T>,
}

enum Node<T> {
    Leaf(Vec<T>),
    Inner(Box<Inner<T>>),
}

struct Inner<T> {
    len: usize,
    children: usize,
    firsts: [T; CHILDREN_MAX],
    counts: [usize; CHILDREN_MAX],
    nodes: [Node<T>; CHILDREN_MAX],
}

/// Where a node stands in its level: what splits at an end of the sequence is likely to go on growing there.
#[derive(Clone, Copy)]
struct Edge {
    first: bool,
    last: bool,
}

impl<T: Copy> Tree<T> {
    pub(super) const fn new() -> Self {
        Tree {
            root: Node::Leaf(Vec::new()),
        }
    }

    /// A tree of items that come in order. O(items).
    pub(super) fn from_sorted(items: &[T]) -> Self {
        let mut level: Vec<Node<T>> = items
            .chunks(LEAF_MAX)
            .map(|chunk| Node::Leaf(chunk.to_vec()))
            .collect();
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len().div_ceil(CHILDREN_MAX));
            let mut nodes = level.into_iter().peekable();
            while nodes.peek().is_some() {
                above.push(Node::inner(nodes.by_ref().take(CHILDREN_MAX)));
            }
            level = above;
        }
        Tree {
            root: level.pop().unwrap_or(Node::Leaf(Vec::new())),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.root.len()
    }

    /// Bytes of all nodes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.root.heap_bytes()
    }

    /// How many items there are before the first one for which `is_before` does not hold.
    #[inline]
    pub(super) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let (mut node, mut passed) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return passed + items.partition_point(&is_before),
                Node::Inner(inner) => {
                    let child = inner.firsts().partition_point(&is_before).saturating_sub(1);
                    passed += inner.counts[..child].iter().sum::<usize>();
                    node = &inner.nodes[child];
                }
            }
        }
    }

    /// The item at `place`.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<T> {
        let (leaf, at) = self.leaf_at(place);
        leaf.get(at).copied()
    }

    /// The leaf with the item at `place` and where in it that is; the last leaf and its length for a place behind
    /// the last.
    #[inline]
    fn leaf_at(&self, place: usize) -> (&[T], usize) {
        let (mut node, mut place) = (&self.root, place);
        loop {
            match node {
                Node::Leaf(items) => return (items, place.min(items.len())),
                Node::Inner(inner) => {
                    let (child, rest) = inner.child_with(place);
                    (node, place) = (&inner.nodes[child], rest);
                }
            }
        }
    }

    /// Puts `item` before the one at `place`, or at the end.
    pub(super) fn insert(&mut self, place: usize, item: T) {
        let edge = Edge {
            first: true,
            last: true,
        };
        if let Some(right) = self.root.insert(place, item, edge) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            self.root = Node::inner([left, right].into_iter());
        }
    }

    /// Puts `item` in the place of another.
    ///
    /// # Panics
    /// If there is none at `place`.
    pub(super) fn replace(&mut self, place: usize, item: T) {
        self.root.replace(place, item);
    }

    /// Takes out the items of `places`, handing each to `removed` in order. O(items + log of all).
    pub(super) fn remove(&mut self, places: Range<usize>, removed: &mut impl FnMut(T)) {
        let mut left = places.end.min(self.len()).saturating_sub(places.start);
        while left > 0 {
            left -= self.root.remove(places.start, left, removed);
            self.shorten();
        }
    }

    /// Keeps B1 of the root.
    fn shorten(&mut self) {
        while let Node::Inner(inner) = &mut self.root
            && inner.children <= 1
        {
            self.root = std::mem::replace(&mut inner.nodes[0], Node::Leaf(Vec::new()));
        }
    }

    /// Offers the leaf with the item at `place`, and the nodes above it that begin there; the place behind the leaf.
    pub(super) fn relocate_leaf(&mut self, place: usize, mover: &mut dyn Mover) -> usize {
        place + self.root.relocate_leaf(place, mover)
    }

    /// The items of `places`, from either end.
    pub(super) fn iter(&self, places: Range<usize>) -> Iter<'_, T> {
        let end = places.end.min(self.len());
        Iter {
            tree: self,
            places: places.start.min(end)..end,
            front: &[],
            back: &[],
        }
    }

    /// Asserts B1 and B2. O(items).
    pub(super) fn check_invariants(&self)
    where
        T: PartialEq + std::fmt::Debug,
    {
        if let Node::Inner(inner) = &self.root {
            assert!(inner.children >= 2, "B1: a root divides");
            inner.check();
        }
    }
}

impl<T: Copy> Node<T> {
    /// An inner node of at least one and at most 31 children.
    fn inner(nodes: impl Iterator<Item = Node<T>>) -> Node<T> {
        let mut nodes = nodes.peekable();
        let first = nodes.peek().expect("an inner node has a child").first();
        let mut inner = Box::new(Inner {
            len: 0,
            children: 0,
            firsts: [first; CHILDREN_MAX],
            counts: [0; CHILDREN_MAX],
            nodes: [const { Node::Leaf(Vec::new()) }; CHILDREN_MAX],
        });
        nodes.for_each(|node| inner.insert_child(inner.children, node));
        Node::Inner(inner)
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(inner) => inner.len,
        }
    }

    /// The first item; a node that is not a root has one.
    #[inline]
    fn first(&self) -> T {
        match self {
            Node::Leaf(items) => items[0],
            Node::Inner(inner) => inner.firsts[0],
        }
    }

    fn is_thin(&self) -> bool {
        match self {
            Node::Leaf(items) => items.len() < LEAF_MIN,
            Node::Inner(inner) => inner.children < CHILDREN_MIN,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Node::Leaf(items) => size_class::allocated(items.capacity() * size_of::<T>()),
            Node::Inner(inner) => {
                size_class::rounded(size_of::<Inner<T>>())
                    + inner.nodes[..inner.children]
                        .iter()
                        .map(Node::heap_bytes)
                        .sum::<usize>()
            }
        }
    }

    /// Offers the leaf with the item at `place`; how many items it has from there on.
    fn relocate_leaf(&mut self, place: usize, mover: &mut dyn Mover) -> usize {
        match self {
            Node::Leaf(items) => {
                relocate::vec(items, mover);
                items.len().saturating_sub(place)
            }
            Node::Inner(inner) => {
                if place == 0 {
                    relocate::boxed(inner, mover);
                }
                let (child, rest) = inner.child_with(place);
                inner.nodes[child].relocate_leaf(rest, mover)
            }
        }
    }

    /// Returns what is split off to the right.
    fn insert(&mut self, place: usize, item: T, edge: Edge) -> Option<Node<T>> {
        match self {
            Node::Leaf(items) => insert_into_leaf(items, place, item, edge).map(Node::Leaf),
            Node::Inner(inner) => inner.insert(place, item, edge),
        }
    }

    fn replace(&mut self, place: usize, item: T) {
        match self {
            Node::Leaf(items) => items[place] = item,
            Node::Inner(inner) => {
                let (child, rest) = inner.child_with(place);
                inner.nodes[child].replace(rest, item);
                inner.firsts[child] = inner.nodes[child].first();
            }
        }
    }

    /// Removes at most `count` items from `place` on, those in one leaf; how many.
    fn remove(&mut self, place: usize, count: usize, removed: &mut impl FnMut(T)) -> usize {
        match self {
            Node::Leaf(items) => {
                let end = items.len().min(place + count);
                items.drain(place..end).for_each(removed);
                trim(items);
                end - place
            }
            Node::Inner(inner) => inner.remove(place, count, removed),
        }
    }
}

/// Room for one more item, and no more than the allocator gives anyway.
#[inline]
fn make_room<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        let bytes = size_class::rounded((items.len() + more) * size_of::<T>());
        items.reserve_exact(bytes / size_of::<T>() - items.len());
    }
}

/// Gives back room for a quarter of a leaf or more.
fn trim<T>(items: &mut Vec<T>) {
    if items.capacity() - items.len() >= LEAF_MAX / 4 {
        items.shrink_to_fit();
    }
}

fn insert_into_leaf<T: Copy>(items: &mut Vec<T>, place: usize, item: T, edge: Edge) -> Option<Vec<T>> {
    if items.len() < LEAF_MAX {
        make_room(items, 1);
        items.insert(place, item);
        return None;
    }
    if edge.last && place == LEAF_MAX {
        return Some(vec![item]);
    }
    if edge.first && place == 0 {
        return Some(std::mem::replace(items, vec![item]));
    }
    let mut right = items.split_off(LEAF_MAX / 2);
    items.shrink_to_fit();
    let (half, place) = match place.checked_sub(items.len()) {
        Some(rest) if rest > 0 => (&mut right, rest),
        _ => (items, place),
    };
    make_room(half, 1);
    half.insert(place, item);
    Some(right)
}

impl<T: Copy> Inner<T> {
    #[inline]
    fn firsts(&self) -> &[T] {
        &self.firsts[..self.children]
    }

    /// The child with the item at `place`, and its place there; the last one for a place behind the last item.
    #[inline]
    fn child_with(&self, mut place: usize) -> (usize, usize) {
        let last = self.children - 1;
        for (child, &count) in self.counts[..last].iter().enumerate() {
            if place < count {
                return (child, place);
            }
            place -= count;
        }
        (last, place)
    }

    fn insert(&mut self, place: usize, item: T, edge: Edge) -> Option<Node<T>> {
        // Between two children the item goes to the end of the left one, so that only a new first item of all
        // becomes a first one.
        let (child, rest) = match place.checked_sub(1) {
            Some(before) => {
                let (child, rest) = self.child_with(before);
                (child, rest + 1)
            }
            None => (0, 0),
        };
        let below = Edge {
            first: edge.first && child == 0,
            last: edge.last && child + 1 == self.children,
        };
        let split = self.nodes[child].insert(rest, item, below);
        self.refresh(child);
        let right = split?;
        if self.children < CHILDREN_MAX {
            self.insert_child(child + 1, right);
            return None;
        }
        Some(self.split_with(child + 1, right, edge))
    }

    /// Makes B2 true of a child that has changed.
    #[inline]
    fn refresh(&mut self, child: usize) {
        let count = self.nodes[child].len();
        self.len = self.len - self.counts[child] + count;
        self.counts[child] = count;
        self.firsts[child] = self.nodes[child].first();
    }

    fn insert_child(&mut self, at: usize, node: Node<T>) {
        let end = self.children;
        self.firsts.copy_within(at..end, at + 1);
        self.counts.copy_within(at..end, at + 1);
        self.nodes[at..=end].rotate_right(1);
        self.children += 1;
        self.len += node.len();
        self.firsts[at] = node.first();
        self.counts[at] = node.len();
        self.nodes[at] = node;
    }

    fn remove_child(&mut self, at: usize) -> Node<T> {
        let end = self.children;
        self.len -= self.counts[at];
        self.firsts.copy_within(at + 1..end, at);
        self.counts.copy_within(at + 1..end, at);
        self.nodes[at..end].rotate_left(1);
        self.children -= 1;
        std::mem::replace(&mut self.nodes[end - 1], Node::Leaf(Vec::new()))
    }

    /// Puts `node` at `at` of a full node by splitting it; the right part.
    fn split_with(&mut self, at: usize, node: Node<T>, edge: Edge) -> Node<T> {
        if edge.last && at == CHILDREN_MAX {
            return Node::inner(std::iter::once(node));
        }
        let keep = if edge.first && at == 1 {
            1
        } else {
            CHILDREN_MAX / 2
        };
        let mut right = self.split_off(keep);
        if at <= keep {
            self.insert_child(at, node);
        } else {
            right.insert_child(at - keep, node);
        }
        Node::Inner(right)
    }

    /// Moves the children from `keep` on to a new node.
    fn split_off(&mut self, keep: usize) -> Box<Inner<T>> {
        let end = self.children;
        let moved = self.nodes[keep..end]
            .iter_mut()
            .map(|node| std::mem::replace(node, Node::Leaf(Vec::new())));
        let Node::Inner(right) = Node::inner(moved) else {
            unreachable!("`Node::inner` makes an inner node")
        };
        self.children = keep;
        self.len -= right.len;
        right
    }

    fn remove(&mut self, place: usize, count: usize, removed: &mut impl FnMut(T)) -> usize {
        let (child, rest) = self.child_with(place);
        let gone = self.nodes[child].remove(rest, count, removed);
        if self.nodes[child].len() == 0 {
            self.counts[child] -= gone;
            self.len -= gone;
            self.remove_child(child);
            return gone;
        }
        self.refresh(child);
        if self.nodes[child].is_thin() && self.children > 1 {
            self.even_out(child.min(self.children - 2));
        }
        gone
    }

    /// Joins the children `left` and `left + 1` if one node can hold both, else gives them equal shares.
    fn even_out(&mut self, left: usize) {
        let right = self.remove_child(left + 1);
        let rest = match (&mut self.nodes[left], right) {
            (Node::Leaf(items), Node::Leaf(more)) => share_items(items, more).map(Node::Leaf),
            (Node::Inner(inner), Node::Inner(more)) => inner.share_children(more).map(Node::Inner),
            _ => unreachable!("B1: neighbours are equally deep"),
        };
        self.refresh(left);
        if let Some(rest) = rest {
            self.insert_child(left + 1, rest);
        }
    }

    fn share_children(&mut self, mut more: Box<Inner<T>>) -> Option<Box<Inner<T>>> {
        let all = self.children + more.children;
        let keep = if all <= CHILDREN_MAX { all } else { all / 2 };
        while self.children < keep {
            self.insert_child(self.children, more.remove_child(0));
        }
        while self.children > keep {
            more.insert_child(0, self.remove_child(self.children - 1));
        }
        (more.children > 0).then_some(more)
    }

    fn check(&self)
    where
        T: PartialEq + std::fmt::Debug,
    {
        assert!((1..=CHILDREN_MAX).contains(&self.children), "B1");
        assert_eq!(self.len, self.counts[..self.children].iter().sum::<usize>(), "B2");
        for (child, node) in self.nodes[..self.children].iter().enumerate() {
            assert_eq!(self.counts[child], node.len(), "B2: a count is true");
            assert_eq!(self.firsts[child], node.first(), "B2: a first item is true");
            assert_eq!(node.depth(), self.nodes[0].depth(), "B1: leaves are equally deep");
            match node {
                Node::Leaf(items) => assert!((1..=LEAF_MAX).contains(&items.len()), "B1"),
                Node::Inner(inner) => inner.check(),
            }
        }
    }
}

impl<T: Copy> Node<T> {
    fn depth(&self) -> usize {
        match self {
            Node::Leaf(_) => 0,
            Node::Inner(inner) => 1 + inner.nodes[0].depth(),
        }
    }
}

fn share_items<T: Copy>(items: &mut Vec<T>, mut more: Vec<T>) -> Option<Vec<T>> {
    let all = items.len() + more.len();
    let keep = if all <= LEAF_MAX { all } else { all / 2 };
    if let Some(missing) = keep.checked_sub(items.len()) {
        make_room(items, missing);
        items.extend(more.drain(..missing));
    } else {
        make_room(&mut more, items.len() - keep);
        more.splice(0..0, items.drain(keep..));
    }
    trim(items);
    trim(&mut more);
    (!more.is_empty()).then_some(more)
}

/// Items of a [`Tree`] in order; made by [`Tree::iter`].
///
/// It descends anew for each leaf, so it is three words and two slices, and costs an amortized nanosecond or two.
pub(super) struct Iter<'a, T> {
    tree: &'a Tree<T>,
    places: Range<usize>,
    front: &'a [T],
    back: &'a [T],
}

impl<'a, T: Copy> Iter<'a, T> {
    /// Items that [`next`](Iterator::next) will return from the present leaf.
    pub(super) fn ahead(&self) -> &'a [T] {
        self.front
    }

    /// Items that `next_back` will return from the present leaf, the last one first.
    pub(super) fn ahead_back(&self) -> &'a [T] {
        self.back
    }
}

impl<T: Copy> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.places.is_empty() {
            return None;
        }
        if self.front.is_empty() {
            let (leaf, at) = self.tree.leaf_at(self.places.start);
            self.front = &leaf[at..];
        }
        let (&item, rest) = self.front.split_first()?;
        self.front = rest;
        self.places.start += 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.places.len(), Some(self.places.len()))
    }
}

impl<T: Copy> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        if self.places.is_empty() {
            return None;
        }
        if self.back.is_empty() {
            let (leaf, at) = self.tree.leaf_at(self.places.end - 1);
            self.back = &leaf[..=at];
        }
        let (&item, rest) = self.back.split_last()?;
        self.back = rest;
        self.places.end -= 1;
        Some(item)
    }
}

impl<T: Copy> ExactSizeIterator for Iter<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32, u32),
        InsertFirst(u32),
        InsertLast(u32),
        Remove(u32, u16),
        Replace(u32, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (any::<u32>(), any::<u32>()).prop_map(|(at, item)| Step::Insert(at, item)),
            2 => any::<u32>().prop_map(Step::InsertFirst),
            2 => any::<u32>().prop_map(Step::InsertLast),
            1 => (any::<u32>(), 0..300u16).prop_map(|(at, count)| Step::Remove(at, count)),
            2 => (any::<u32>(), Just(1u16)).prop_map(|(at, count)| Step::Remove(at, count)),
            1 => (any::<u32>(), any::<u32>()).prop_map(|(at, item)| Step::Replace(at, item)),
        ]
    }

    fn take(tree: &mut Tree<u32>, places: Range<usize>) -> Vec<u32> {
        let mut taken = Vec::new();
        tree.remove(places, &mut |item| taken.push(item));
        taken
    }

    fn contents(tree: &Tree<u32>) -> Vec<u32> {
        tree.iter(0..tree.len()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_tree_behaves_as_a_vector(start in 0..5000u32, steps in prop::collection::vec(step(), 0..600)) {
            let mut naive: Vec<u32> = (0..start).collect();
            let mut tree = Tree::from_sorted(&naive);
            for step in steps {
                let len = naive.len();
                match step {
                    Step::Insert(at, item) => {
                        let at = at as usize % (len + 1);
                        naive.insert(at, item);
                        tree.insert(at, item);
                    }
                    Step::InsertFirst(item) => { naive.insert(0, item); tree.insert(0, item); }
                    Step::InsertLast(item) => { naive.push(item); tree.insert(len, item); }
                    Step::Remove(at, count) => {
                        let at = at as usize % (len + 1);
                        let end = len.min(at + usize::from(count));
                        let gone: Vec<u32> = naive.drain(at..end).collect();
                        prop_assert_eq!(take(&mut tree, at..at + usize::from(count)), gone);
                    }
                    Step::Replace(at, item) if len > 0 => {
                        naive[at as usize % len] = item;
                        tree.replace(at as usize % len, item);
                    }
                    Step::Replace(..) => {}
                }
                prop_assert_eq!(tree.len(), naive.len());
            }
            tree.check_invariants();
            prop_assert_eq!(contents(&tree), naive);
        }

        #[test]
        fn a_search_finds_where_the_prefix_ends(len in 0..9000u32, at in 0..9001u32, from in 0..9000usize) {
            let items: Vec<u32> = (0..len).collect();
            let tree = Tree::from_sorted(&items);
            prop_assert_eq!(tree.partition_point(|&item| item < at), at.min(len) as usize);
            prop_assert_eq!(tree.get(from), items.get(from).copied());
            let tail: Vec<u32> = tree.iter(from..usize::MAX).collect();
            prop_assert_eq!(&tail[..], &items[from.min(items.len())..]);
            let mut both = tree.iter(0..from);
            let mut seen: Vec<u32> = both.by_ref().take(at as usize / 2).collect();
            let behind: Vec<u32> = both.rev().collect();
            seen.extend(behind.iter().rev());
            prop_assert_eq!(&seen[..], &items[..from.min(items.len())]);
        }
    }

    #[test]
    fn what_grows_at_an_end_fills_its_leaves() {
        let (mut up, mut down) = (Tree::new(), Tree::new());
        for item in 0..100_000u32 {
            up.insert(up.len(), item);
            down.insert(0, item);
        }
        for tree in [&up, &down] {
            tree.check_invariants();
            assert!(tree.heap_bytes() < 100_000 * 5, "{}", tree.heap_bytes());
        }
        assert!(contents(&down).into_iter().rev().eq(contents(&up)));
    }

    #[test]
    fn removing_all_but_few_leaves_few_nodes() {
        let items: Vec<u32> = (0..100_000).collect();
        let mut tree = Tree::from_sorted(&items);
        assert_eq!(take(&mut tree, 10..99_990).len(), 99_980);
        assert_eq!(contents(&tree).len(), 20);
        assert!(tree.heap_bytes() < 1000, "{}", tree.heap_bytes());
        let mut tree = Tree::from_sorted(&items);
        for place in 0..99_000 {
            let at = (place * 7919) % tree.len();
            take(&mut tree, at..at + 1);
        }
        tree.check_invariants();
        assert!(tree.heap_bytes() < 1000 * 4 * 4, "{}", tree.heap_bytes());
        take(&mut tree, 0..1000);
        assert_eq!((tree.len(), contents(&tree).len()), (0, 0));
    }
}
