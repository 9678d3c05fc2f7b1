//! A long list: elements in listpacks of a few kilobytes, the listpacks in a deque of blocks.
//!
//! ```text
//!  head                                                                      tail
//!  [listpack] [listpack] [squeezed] [squeezed] [squeezed] [big element] [listpack]
//!  '---- depth 2 -----'                                   '------ depth 2 -------'
//! ```
//!
//! An element too large for a listpack of the wanted size ([`Fill`]) has a node of its own. With a compress depth, nodes
//! farther than that from both ends are LZF-compressed ([`Node`]); whoever reads one reads a decompressed copy.
//!
//! I1  No node is empty.
//! I2  With a depth, the outer nodes are not compressed. Inner ones are, where it pays.
//!
//! Costs: both ends O(1) and the move of at most one node's bytes; an index, the walk over blocks that `nodes.rs`
//! describes, and half a node on average. A change inside splits a node that is full, and joins small neighbours.
//!
//! Not here: the small list without nodes (`value::list`). After Redis's quicklist, with its limits.

mod node;
mod nodes;
#[cfg(test)]
mod tests;
mod walk;

use crate::base::relocate::Mover;
use crate::base::size_class;
use crate::ds::listpack::{At, Item, Listpack};

pub use node::{Content, Fill, Node};
use nodes::{Nodes, Spot};
pub use walk::walk_pack;

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Where index 0 is.
    Head,
    /// Where index -1 is.
    Tail,
}

impl End {
    /// The other one.
    pub fn opposite(self) -> End {
        match self {
            End::Head => End::Tail,
            End::Tail => End::Head,
        }
    }
}

/// Listpacks of at most this many entries become nodes; longer ones come from files only.
const NODE_ENTRIES_MAX: usize = 32_767;

/// Elements in order. See the module's documentation.
#[derive(Clone)]
pub struct Quicklist {
    nodes: Nodes,
    /// From how many bytes on an element gets a node of its own; 0: as `fill` says.
    plain_from: usize,
    fill: Fill,
    depth: u32,
}

impl Quicklist {
    /// An empty one; `depth` 0 is without compression.
    pub fn new(fill: Fill, depth: u32) -> Quicklist {
        Quicklist {
            nodes: Nodes::default(),
            plain_from: 0,
            fill,
            depth,
        }
    }

    /// From how many bytes on an element gets a node of its own, whatever [`Fill`] says; 0 for as it says. For tests.
    #[inline]
    pub fn set_plain_from(&mut self, bytes: usize) {
        self.plain_from = bytes;
    }

    /// How many elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True without elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much goes into a node.
    pub fn fill(&self) -> Fill {
        self.fill
    }

    /// Nodes at each end that are never compressed; 0 for no compression.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// How many nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.count()
    }

    /// The nodes from head to tail.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Bytes on the heap, those of the nodes estimated from the first few (0: all are asked). O(samples + blocks).
    pub fn sampled_bytes(&self, samples: usize) -> usize {
        let nodes = self.nodes().map(Node::heap_bytes);
        self.nodes.block_bytes() + size_class::sampled(self.node_count(), samples, nodes)
    }

    /// Offers nodes and blocks from `cursor` on until the end or until `mover` says stop; the next cursor, 0 at the end.
    /// Start with 0; every number is a legal cursor.
    pub fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        self.nodes.relocate(cursor, mover)
    }

    /// Appends the elements of a listpack as nodes of their own.
    pub fn push_pack(&mut self, mut pack: Listpack) {
        while !pack.is_empty() {
            let rest = if pack.len() > NODE_ENTRIES_MAX {
                pack.split_off(NODE_ENTRIES_MAX)
            } else {
                Listpack::new()
            };
            self.push_node(End::Tail, Node::packed(pack));
            pack = rest;
        }
    }

    /// Appends a node of one big element.
    pub fn push_plain(&mut self, element: Vec<u8>) {
        self.push_node(End::Tail, Node::plain(element));
    }

    /// The only node's listpack, if there is one node, and that is small by `fill`. The list is empty afterwards.
    pub fn take_small(&mut self, fill: Fill) -> Option<Listpack> {
        self.take_only(|bytes, count| fill.is_small(bytes, count))
    }

    /// The only node's listpack, if there is one node, and that is allowed by `fill`. The list is empty afterwards.
    pub fn take_allowed(&mut self, fill: Fill) -> Option<Listpack> {
        self.take_only(|bytes, count| fill.is_allowed(bytes, count))
    }

    fn take_only(&mut self, fits: impl FnOnce(usize, usize) -> bool) -> Option<Listpack> {
        let spot = self.nodes.end(End::Head).filter(|_| self.node_count() == 1)?;
        let node = self.nodes.get(spot);
        if node.is_plain() || !fits(node.raw_bytes(), node.count()) {
            return None;
        }
        let pack = self.nodes.edit(spot, |node| {
            node.unsqueeze();
            node.edit(std::mem::take)
        });
        self.nodes.remove(spot);
        pack
    }
}

/// The ends.
impl Quicklist {
    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8]) {
        if let Some(spot) = self.nodes.end(end)
            && !self.is_large(text)
            && self.nodes.get(spot).takes(text.len(), self.fill)
        {
            self.nodes.edit(spot, |node| push_into(node, end, text));
            return;
        }
        let node = Node::of(text, self.is_large(text));
        self.push_node(end, node);
    }

    /// Removes the element at an end; what `take` makes of it.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let spot = self.nodes.end(end)?;
        if self.nodes.get(spot).count() == 1 {
            let answer = self.nodes.get(spot).open(|content| match content {
                Content::Pack(pack) => take(pack.get(end_of(pack, end))),
                Content::Element(item) => take(item),
            });
            self.remove_node(spot);
            return Some(answer);
        }
        self.nodes.edit(spot, |node| {
            node.edit(|pack| {
                let at = end_of(pack, end);
                let answer = take(pack.get(at));
                pack.remove(at);
                answer
            })
        })
    }

    #[inline]
    fn is_large(&self, text: &[u8]) -> bool {
        self.fill.is_large(text.len(), self.plain_from)
    }

    fn push_node(&mut self, end: End, node: Node) {
        self.nodes.push(end, node);
        self.settle_ends();
    }

    /// Takes a node out; where the one behind it is now.
    fn remove_node(&mut self, spot: Spot) -> Option<Spot> {
        let next = self.nodes.remove(spot);
        self.settle_ends();
        next
    }
}

/// By index.
impl Quicklist {
    /// What `look` makes of element `index`.
    pub fn get<R>(&self, index: usize, look: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let (spot, index) = self.nodes.locate(index)?;
        Some(self.nodes.get(spot).open(|content| match content {
            Content::Pack(pack) => look(pack.get(at_index(pack, index))),
            Content::Element(item) => look(item),
        }))
    }

    /// Replaces element `index`; false when there is none.
    pub fn set(&mut self, index: usize, text: &[u8]) -> bool {
        let Some((spot, offset)) = self.nodes.locate(index) else {
            return false;
        };
        let is_large = self.is_large(text);
        if is_large || self.nodes.get(spot).is_plain() {
            self.replace_by_node(index, (spot, offset), Node::of(text, is_large));
            return true;
        }
        let replaced = self.edit_pack(spot, |pack| {
            let at = at_index(pack, offset);
            let fits = pack.fits(text.len());
            if fits {
                pack.replace(at, text);
            }
            fits
        });
        if !replaced {
            self.replace_by_node(index, (spot, offset), Node::of(text, is_large));
        }
        true
    }

    /// Puts an element before element `index`, or behind the last one.
    pub fn insert(&mut self, index: usize, text: &[u8]) {
        let Some((spot, offset)) = self.nodes.locate(index) else {
            return self.push(End::Tail, text);
        };
        if !self.is_large(text) {
            if self.nodes.get(spot).takes(text.len(), self.fill) {
                return self.edit_pack(spot, |pack| {
                    pack.insert_before(at_index(pack, offset), text);
                });
            }
            let before = self.nodes.prev(spot).filter(|_| offset == 0);
            if let Some(before) = before.filter(|at| self.nodes.get(*at).takes(text.len(), self.fill)) {
                return self.edit_pack(before, |pack| pack.push_back(text));
            }
        }
        self.insert_node(index, (spot, offset), Node::of(text, self.is_large(text)));
    }

    /// Removes `count` elements, or as many as there are, from element `start` on.
    pub fn remove_range(&mut self, start: usize, count: usize) {
        let mut left = count.min(self.len().saturating_sub(start));
        while left > 0 {
            let (spot, offset) = self.nodes.locate(start).expect("`left` are left");
            left -= self.remove_some(spot, offset, left);
        }
        self.settle_ends();
    }

    /// Removes up to `count` elements of one node, or of one whole block, from `offset` on; how many.
    fn remove_some(&mut self, spot: Spot, offset: usize, count: usize) -> usize {
        if offset == 0 {
            if let Some(removed) = self.nodes.remove_block(spot, count) {
                return removed;
            }
            let all = self.nodes.get(spot).count();
            if all <= count {
                self.nodes.remove(spot);
                return all;
            }
        }
        let some = count.min(self.nodes.get(spot).count() - offset);
        self.edit_pack(spot, |pack| pack.remove_range(offset as i64, some));
        some
    }

    /// Removes elements that equal `text`, at most `max` of them, beginning at `from`; how many.
    pub fn remove_equal(&mut self, text: &[u8], from: End, max: usize) -> usize {
        let (wanted, mut removed) = (Item::of(text), 0);
        let mut walker = self.nodes.end(from);
        while let Some(spot) = walker.filter(|_| removed < max) {
            let here = self.remove_equal_in(spot, wanted, from, max - removed);
            removed += here;
            walker = if here > 0 && self.nodes.get(spot).count() == 0 {
                self.remove_emptied(spot, from)
            } else {
                self.nodes.step(spot, from)
            };
        }
        self.settle_ends();
        removed
    }

    /// Takes an emptied node out; the one to go on with.
    fn remove_emptied(&mut self, spot: Spot, from: End) -> Option<Spot> {
        match from {
            End::Head => self.nodes.remove(spot),
            End::Tail => {
                let before = self.nodes.prev(spot);
                self.nodes.remove(spot);
                before
            }
        }
    }

    /// The same in one node, which may be left empty.
    fn remove_equal_in(&mut self, spot: Spot, wanted: Item<'_>, from: End, max: usize) -> usize {
        let is_there = self.nodes.get(spot).open(|content| match content {
            Content::Pack(pack) => pack.iter().any(|item| item == wanted),
            Content::Element(item) => item == wanted,
        });
        if !is_there {
            return 0;
        }
        if self.nodes.get(spot).is_plain() {
            self.nodes
                .edit(spot, |node| *node = Node::packed(Listpack::new()));
            return 1;
        }
        self.edit_pack(spot, |pack| pack.remove_equal(wanted, from == End::Tail, max))
    }
}

/// Inside.
impl Quicklist {
    /// Changes the listpack of a node, which must not be plain.
    fn edit_pack<R>(&mut self, spot: Spot, change: impl FnOnce(&mut Listpack) -> R) -> R {
        let answer = self.nodes.edit(spot, |node| {
            node.unsqueeze();
            node.edit(change).expect("a node of small elements")
        });
        self.settle(spot);
        answer
    }

    /// Puts `node` in the place of element `index`, which is at `offset` of `spot`.
    fn replace_by_node(&mut self, index: usize, (spot, offset): (Spot, usize), node: Node) {
        if self.nodes.get(spot).count() == 1 {
            self.nodes.edit(spot, |old| *old = node);
            return self.settle(spot);
        }
        self.edit_pack(spot, |pack| pack.remove_range(offset as i64, 1));
        if offset == self.nodes.get(spot).count() {
            self.nodes.insert_after(spot, node);
            self.settle_around(index);
        } else {
            self.insert_node(index, (spot, offset), node);
        }
    }

    /// Puts a node of one element before element `index`, which is at `offset` of `spot`; that node is split if need be.
    fn insert_node(&mut self, index: usize, (spot, offset): (Spot, usize), node: Node) {
        let behind = if offset == 0 {
            spot
        } else {
            let tail = self.edit_pack(spot, |pack| pack.split_off(offset));
            self.nodes.insert_after(spot, Node::packed(tail))
        };
        self.nodes.insert_before(behind, node);
        self.join_around(index);
        self.settle_around(index);
    }

    /// Joins the node of element `index` with its neighbours, and those with theirs, where both fit into one.
    fn join_around(&mut self, index: usize) {
        let Some((spot, _)) = self.nodes.locate(index) else {
            return;
        };
        // From back to front, so that places still to be looked at stay where they are.
        let before = self.nodes.prev(spot);
        let places = [
            self.nodes.next(spot),
            Some(spot),
            before,
            before.and_then(|at| self.nodes.prev(at)),
        ];
        places.into_iter().flatten().for_each(|at| self.join_next(at));
    }

    /// Moves the elements of the next node into this one, if they fit.
    fn join_next(&mut self, spot: Spot) {
        let Some(next) = self.nodes.next(spot) else {
            return;
        };
        if !self.nodes.get(spot).takes_all_of(self.nodes.get(next), self.fill) {
            return;
        }
        let moved = self.nodes.get(next).open(|content| match content {
            Content::Pack(pack) => pack.clone(),
            Content::Element(_) => unreachable!("a big element joins nothing"),
        });
        self.nodes.remove(next);
        self.nodes.edit(spot, |node| {
            node.unsqueeze();
            node.edit(|pack| pack.append(&moved));
        });
    }
}

/// Compression: keeping I2.
impl Quicklist {
    /// Compresses a node or not, by where it stands.
    #[inline]
    fn settle(&mut self, spot: Spot) {
        let depth = self.depth as usize;
        if depth == 0 {
            return;
        }
        let is_inner = self.nodes.depth(spot, depth) >= depth;
        self.nodes.edit(spot, |node| {
            if is_inner {
                node.squeeze()
            } else {
                node.unsqueeze()
            }
        });
    }

    /// After nodes have come or gone near element `index`.
    fn settle_around(&mut self, index: usize) {
        if self.depth == 0 {
            return;
        }
        if let Some((spot, _)) = self.nodes.locate(index) {
            let around = [self.nodes.prev(spot), Some(spot), self.nodes.next(spot)];
            around.into_iter().flatten().for_each(|at| self.settle(at));
        }
        self.settle_ends();
    }

    /// After nodes have come or gone anywhere: two at a time come at most, so two nodes inside may have to be compressed.
    #[inline]
    fn settle_ends(&mut self) {
        if self.depth == 0 {
            return;
        }
        for end in [End::Head, End::Tail] {
            let mut walker = self.nodes.end(end);
            for _ in 0..(self.depth as usize).saturating_add(2) {
                let Some(spot) = walker else { break };
                self.settle(spot);
                walker = self.nodes.step(spot, end);
            }
        }
    }
}

#[inline]
fn push_into(node: &mut Node, end: End, text: &[u8]) {
    node.edit(|pack| match end {
        End::Head => pack.push_front(text),
        End::Tail => pack.push_back(text),
    });
}

#[inline]
fn end_of(pack: &Listpack, end: End) -> At {
    let at = match end {
        End::Head => pack.first(),
        End::Tail => pack.last(),
    };
    at.expect("I1")
}

#[inline]
fn at_index(pack: &Listpack, index: usize) -> At {
    pack.seek(index as i64).expect("the node's count is right")
}
