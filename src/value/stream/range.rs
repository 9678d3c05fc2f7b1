//! Walking the entries of a stream between two ids, in either direction.

use crate::ds::radix::{Radix, Spot};

use super::id::StreamId;
use super::node::{Entry, Head, Node};

/// From which end a range is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// The entries between two ids, both included. Tombstones are left out.
pub struct Range<'a> {
    nodes: &'a Radix<StreamId, Node>,
    direction: Direction,
    from: StreamId,
    to: StreamId,
    /// The node being walked, and the entry to look at next.
    here: Option<Place<'a>>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    spot: Spot,
    master: StreamId,
    node: &'a Node,
    head: Head,
    entry: Option<Entry<'a>>,
}

impl<'a> Range<'a> {
    /// `from` is the lower end in both directions.
    pub(super) fn new(
        nodes: &'a Radix<StreamId, Node>,
        from: StreamId,
        to: StreamId,
        direction: Direction,
    ) -> Range<'a> {
        let spot = match direction {
            // The node that may hold `from` is the last to begin by then.
            Direction::Forward => nodes.at_or_before(&from).or_else(|| nodes.first_spot()),
            Direction::Backward => nodes.at_or_before(&to),
        };
        let mut range = Range {
            nodes,
            direction,
            from,
            to,
            here: None,
        };
        range.here = spot.map(|spot| range.enter(spot));
        range
    }

    fn enter(&self, spot: Spot) -> Place<'a> {
        let (&master, node) = self.nodes.at(spot);
        let head = node.head();
        let entry = match self.direction {
            Direction::Forward => node.first_entry(master, head),
            Direction::Backward => node.last_entry(master, head),
        };
        Place {
            spot,
            master,
            node,
            head,
            entry,
        }
    }

    /// The next entry there is, whatever its id, tombstones included.
    #[inline]
    fn step(&mut self) -> Option<Entry<'a>> {
        loop {
            let here = self.here.as_mut()?;
            if let Some(entry) = here.entry {
                here.entry = match self.direction {
                    Direction::Forward => here.node.next_entry(here.master, here.head, &entry),
                    Direction::Backward => here.node.prev_entry(here.master, here.head, &entry),
                };
                return Some(entry);
            }
            let spot = match self.direction {
                Direction::Forward => self.nodes.next(here.spot),
                Direction::Backward => self.nodes.prev(here.spot),
            };
            self.here = spot.map(|spot| self.enter(spot));
        }
    }

    /// Where the node of the entries now passed is.
    pub(super) fn spot(&self) -> Option<Spot> {
        self.here.map(|here| here.spot)
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let entry = self.step()?;
            let (is_begun, is_over) = match self.direction {
                Direction::Forward => (entry.id >= self.from, entry.id > self.to),
                Direction::Backward => (entry.id <= self.to, entry.id < self.from),
            };
            if is_over {
                self.here = None;
                return None;
            }
            if is_begun && !entry.is_deleted {
                return Some(entry);
            }
        }
    }
}
