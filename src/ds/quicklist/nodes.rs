//! The sequence of nodes: a deque of blocks of up to 64 nodes, which knows how many elements each block has.
//!
//! ```text
//! blocks:  [ 5120 | . ] [ 5012 | . ] [ 17 | . ]
//!                   |            |          +--> [node][node]
//!                   |            +--> [node] x 63
//!                   +--> [node] x 64
//! ```
//!
//! I1  No block and no node is empty.
//! I2  A block's `len` is the sum of its nodes' counts, and `len` that of the blocks.
//!
//! Costs: the ends O(1). An index is found by walking blocks from the nearer end: a list of ten million short elements
//! has about 200. Inserting or removing a node moves at most one block and the directory's shorter side.

use std::collections::VecDeque;

use super::End;
use super::node::Node;
use crate::base::relocate::{self, Mover};
use crate::base::size_class::{allocated, rounded};

const BLOCK_NODES: usize = 64;

#[derive(Clone)]
struct Block {
    len: usize,
    nodes: Vec<Node>,
}

/// Nodes in order.
#[derive(Clone, Default)]
pub(super) struct Nodes {
    blocks: VecDeque<Block>,
    /// Elements.
    len: usize,
    /// Nodes.
    count: usize,
}

/// Where a node is, until nodes come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    block: usize,
    node: usize,
}

impl Block {
    fn of(node: Node) -> Block {
        let len = node.count();
        let nodes = vec![node];
        Block { len, nodes }
    }
}

impl Nodes {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the blocks themselves.
    pub(super) fn block_bytes(&self) -> usize {
        let directory = allocated(self.blocks.capacity() * size_of::<Block>());
        let each = self.blocks.iter();
        let blocks = each.map(|block| allocated(block.nodes.capacity() * size_of::<Node>()));
        directory + blocks.sum::<usize>()
    }

    #[inline]
    pub(super) fn end(&self, end: End) -> Option<Spot> {
        let block = match end {
            End::Head => 0,
            End::Tail => self.blocks.len().checked_sub(1)?,
        };
        let nodes = &self.blocks.get(block)?.nodes;
        let node = match end {
            End::Head => 0,
            End::Tail => nodes.len() - 1,
        };
        Some(Spot { block, node })
    }

    #[inline]
    pub(super) fn get(&self, spot: Spot) -> &Node {
        &self.blocks[spot.block].nodes[spot.node]
    }

    /// Lets `change` alter a node and keeps I2; it must not leave the node empty, or the caller removes it.
    #[inline]
    pub(super) fn edit<R>(&mut self, spot: Spot, change: impl FnOnce(&mut Node) -> R) -> R {
        let block = &mut self.blocks[spot.block];
        let node = &mut block.nodes[spot.node];
        let before = node.count();
        let answer = change(node);
        let after = node.count();
        block.len = block.len - before + after;
        self.len = self.len - before + after;
        answer
    }

    /// The neighbour of a node, away from `end`.
    pub(super) fn step(&self, spot: Spot, from: End) -> Option<Spot> {
        match from {
            End::Head => self.next(spot),
            End::Tail => self.prev(spot),
        }
    }

    #[inline]
    pub(super) fn next(&self, Spot { block, node }: Spot) -> Option<Spot> {
        if node + 1 < self.blocks[block].nodes.len() {
            return Some(Spot {
                block,
                node: node + 1,
            });
        }
        (block + 1 < self.blocks.len()).then_some(Spot {
            block: block + 1,
            node: 0,
        })
    }

    #[inline]
    pub(super) fn prev(&self, Spot { block, node }: Spot) -> Option<Spot> {
        if let Some(node) = node.checked_sub(1) {
            return Some(Spot { block, node });
        }
        let block = block.checked_sub(1)?;
        let node = self.blocks[block].nodes.len() - 1;
        Some(Spot { block, node })
    }

    /// The node that has element `index`, and the index in it.
    pub(super) fn locate(&self, index: usize) -> Option<(Spot, usize)> {
        if index >= self.len {
            return None;
        }
        let (block, mut rest) = if index <= self.len / 2 {
            self.block_from_head(index)
        } else {
            self.block_from_tail(index)
        };
        for (node, content) in self.blocks[block].nodes.iter().enumerate() {
            if rest < content.count() {
                return Some((Spot { block, node }, rest));
            }
            rest -= content.count();
        }
        unreachable!("I2")
    }

    fn block_from_head(&self, index: usize) -> (usize, usize) {
        let mut before = 0;
        for (at, block) in self.blocks.iter().enumerate() {
            if index < before + block.len {
                return (at, index - before);
            }
            before += block.len;
        }
        unreachable!("I2: the index is below the length")
    }

    fn block_from_tail(&self, index: usize) -> (usize, usize) {
        let mut before = self.len;
        for (at, block) in self.blocks.iter().enumerate().rev() {
            before -= block.len;
            if index >= before {
                return (at, index - before);
            }
        }
        unreachable!("I2: before the first block there is nothing")
    }

    /// How many nodes stand between a node and the nearer end, or `enough` if it is more.
    pub(super) fn depth(&self, spot: Spot, enough: usize) -> usize {
        let depth = |end| {
            let mut walker = Some(spot);
            let mut steps = 0;
            while let Some(at) = walker {
                if steps == enough {
                    break;
                }
                walker = self.step(at, end);
                steps += usize::from(walker.is_some());
            }
            steps
        };
        depth(End::Head).min(depth(End::Tail))
    }

    /// Adds a node at an end.
    pub(super) fn push(&mut self, end: End, node: Node) {
        match (end, self.end(end)) {
            (_, None) => {
                self.note_new(&node);
                // Most lists that get here have one block for good.
                self.blocks = VecDeque::with_capacity(1);
                self.blocks.push_back(Block::of(node));
            }
            (End::Head, Some(spot)) => drop(self.insert_before(spot, node)),
            (End::Tail, Some(spot)) => drop(self.insert_after(spot, node)),
        }
    }

    /// Puts a node before another; where it is.
    pub(super) fn insert_before(&mut self, spot: Spot, node: Node) -> Spot {
        if spot.node == 0 && self.is_full(spot.block) {
            if spot.block > 0 && !self.is_full(spot.block - 1) {
                let end = self.blocks[spot.block - 1].nodes.len();
                return self.insert_at(spot.block - 1, end, node);
            }
            return self.insert_block(spot.block, node);
        }
        self.insert_at(spot.block, spot.node, node)
    }

    /// Puts a node behind another; where it is.
    pub(super) fn insert_after(&mut self, spot: Spot, node: Node) -> Spot {
        let is_last = spot.node + 1 == self.blocks[spot.block].nodes.len();
        if is_last && self.is_full(spot.block) {
            if spot.block + 1 < self.blocks.len() && !self.is_full(spot.block + 1) {
                return self.insert_at(spot.block + 1, 0, node);
            }
            return self.insert_block(spot.block + 1, node);
        }
        self.insert_at(spot.block, spot.node + 1, node)
    }

    fn is_full(&self, block: usize) -> bool {
        self.blocks[block].nodes.len() >= BLOCK_NODES
    }

    fn insert_block(&mut self, block: usize, node: Node) -> Spot {
        self.note_new(&node);
        self.blocks.insert(block, Block::of(node));
        Spot { block, node: 0 }
    }

    /// Puts a node into a block, which is cut in half if it is full.
    fn insert_at(&mut self, mut block: usize, mut at: usize, node: Node) -> Spot {
        if self.is_full(block) {
            self.halve(block);
            let half = self.blocks[block].nodes.len();
            if at > half {
                (block, at) = (block + 1, at - half);
            }
        }
        self.note_new(&node);
        let Block { len, nodes } = &mut self.blocks[block];
        *len += node.count();
        if nodes.len() == nodes.capacity() {
            let wanted = rounded((nodes.len() + 1) * size_of::<Node>()) / size_of::<Node>();
            nodes.reserve_exact(wanted - nodes.len());
        }
        nodes.insert(at, node);
        Spot { block, node: at }
    }

    fn halve(&mut self, block: usize) {
        let first = &mut self.blocks[block];
        let nodes = first.nodes.split_off(BLOCK_NODES / 2);
        let len = nodes.iter().map(Node::count).sum();
        first.len -= len;
        self.blocks.insert(block + 1, Block { len, nodes });
    }

    #[inline]
    fn note_new(&mut self, node: &Node) {
        self.len += node.count();
        self.count += 1;
    }

    /// Takes a node out; where the one behind it is now.
    pub(super) fn remove(&mut self, spot: Spot) -> Option<Spot> {
        let block = &mut self.blocks[spot.block];
        let node = block.nodes.remove(spot.node);
        block.len -= node.count();
        self.len -= node.count();
        self.count -= 1;
        if block.nodes.is_empty() {
            self.blocks.remove(spot.block);
            return (spot.block < self.blocks.len()).then_some(Spot {
                block: spot.block,
                node: 0,
            });
        }
        if spot.node < block.nodes.len() {
            return Some(spot);
        }
        (spot.block + 1 < self.blocks.len()).then_some(Spot {
            block: spot.block + 1,
            node: 0,
        })
    }

    /// Takes the block that begins at `spot` out if it has at most `count` elements; how many it had.
    pub(super) fn remove_block(&mut self, spot: Spot, count: usize) -> Option<usize> {
        let len = self.blocks[spot.block].len;
        if spot.node != 0 || len > count {
            return None;
        }
        let block = self.blocks.remove(spot.block)?;
        self.len -= block.len;
        self.count -= block.nodes.len();
        Some(block.len)
    }

    /// Offers nodes and blocks from `cursor` on until the end or until `mover` says stop; the next cursor, 0 at the end.
    pub(super) fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        if cursor == 0 {
            relocate::deque(&mut self.blocks, mover);
        }
        let (first, mut at) = (cursor / BLOCK_NODES as u64, cursor as usize % BLOCK_NODES);
        for (index, block) in self.blocks.iter_mut().enumerate().skip(first as usize) {
            if at == 0 {
                relocate::vec(&mut block.nodes, mover);
            }
            for node in block.nodes.iter_mut().skip(at) {
                node.relocate(mover);
                at += 1;
                if !mover.goes_on() {
                    return (index * BLOCK_NODES + at) as u64;
                }
            }
            at = 0;
        }
        0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.blocks.iter().flat_map(|block| block.nodes.iter())
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        for block in &self.blocks {
            assert!(!block.nodes.is_empty() && block.nodes.len() <= BLOCK_NODES);
            assert!(block.nodes.iter().all(|node| node.count() > 0));
            assert_eq!(block.len, block.nodes.iter().map(Node::count).sum::<usize>());
        }
        assert_eq!(self.len, self.blocks.iter().map(|block| block.len).sum::<usize>());
        assert_eq!(
            self.count,
            self.blocks.iter().map(|block| block.nodes.len()).sum::<usize>()
        );
    }
}
