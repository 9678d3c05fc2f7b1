//! Streams: an append-only log of entries with ids, and groups of consumers that share the reading of it.
//!
//! ```text
//! id     <ms>-<seq>, its text and bytes             node   entries of one listpack, as Redis saves them
//! log    nodes by id; append, search, delete        range  walking entries either way
//! trim   removing the oldest                        group  consumers and what they have not acknowledged
//! lag    how far a group has read
//! ```
//!
//! A stream without entries is a value all the same: it remembers its last id and its groups.
//! Not here: who waits for entries, replies, what a change propagates as.

pub mod fuzz;
pub mod group;
pub mod id;
mod lag;
pub mod log;
pub mod node;
pub mod range;
mod relocated;
#[cfg(test)]
mod tests;
pub mod trim;

use crate::base::relocate::{self, Mover};
use crate::base::size_class::{allocated, rounded};
use crate::ds::radix::Radix;

use super::{Kind, Typed};

pub use group::Group;
pub use id::StreamId;
pub use log::Log;

/// A log of entries and the groups that read it.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The entries.
    pub log: Log,
    /// The groups by name.
    pub groups: Radix<Box<[u8]>, Box<Group>>,
}

impl Typed for Box<Stream> {
    const KIND: Kind = Kind::Stream;

    super::variant!(Stream);

    fn empty() -> Self {
        Box::default()
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn free_effort(&self) -> usize {
        let groups = self.groups.iter().map(|(_, group)| group.free_effort());
        2 + self.log.node_count() + groups.sum::<usize>()
    }

    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        relocate::first(cursor, self, mover);
        relocated::stream(self, cursor, mover)
    }

    /// Nodes are sampled; groups count their blocks.
    fn sampled_bytes(&self, samples: usize) -> usize {
        let groups: usize = self
            .groups
            .iter()
            .map(|(name, group)| allocated(name.len()) + rounded(size_of::<Group>()) + group.heap_bytes())
            .sum();
        rounded(size_of::<Stream>()) + self.log.sampled_bytes(samples) + self.groups.heap_bytes() + groups
    }
}
