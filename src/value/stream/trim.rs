//! Trimming: removing the oldest entries, down to a length or up to an id.
//!
//! Whole nodes go at once; within the node where trimming ends, entries become tombstones, unless the client was content
//! with about (`~`), which leaves that node as it is.

use super::id::StreamId;
use super::log::Log;
use super::node::Node;

/// What shall remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The newest so many entries (MAXLEN).
    Newest(u64),
    /// Entries not below this id (MINID).
    From(StreamId),
}

/// How a stream is trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// What shall remain.
    pub keep: Keep,
    /// Whole nodes only (`~`).
    pub is_approximate: bool,
    /// Remove no more entries than this; 0: as many as it takes.
    pub limit: u64,
}

impl Log {
    /// Trims the stream; how many entries were removed.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut removed = 0;
        while let Some(spot) = self.nodes.first_spot() {
            let (&master, node) = self.nodes.at(spot);
            let (live, _) = node.counts();
            if self.is_short_enough(trim.keep) || (trim.limit > 0 && removed + live > trim.limit) {
                break;
            }
            if self.goes_whole(trim.keep, master, node) {
                self.nodes.pop_first();
                self.len -= live;
                removed += live;
                continue;
            }
            if !trim.is_approximate {
                removed += self.trim_first_node(trim.keep);
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn is_short_enough(&self, keep: Keep) -> bool {
        matches!(keep, Keep::Newest(len) if self.len <= len)
    }

    /// Whether nothing of the first node is to be kept.
    fn goes_whole(&self, keep: Keep, master: StreamId, node: &Node) -> bool {
        match keep {
            Keep::Newest(len) => self.len - node.counts().0 >= len,
            Keep::From(id) => node
                .last_entry(master, node.head())
                .is_none_or(|last| last.id < id),
        }
    }

    /// Makes the entries of the first node that are not to be kept tombstones; how many.
    fn trim_first_node(&mut self, keep: Keep) -> u64 {
        let Some(spot) = self.nodes.first_spot() else {
            return 0;
        };
        let surplus = match keep {
            Keep::Newest(len) => self.len.saturating_sub(len) as usize,
            Keep::From(_) => usize::MAX,
        };
        let (&master, node) = self.nodes.at(spot);
        let head = node.head();
        let entries = std::iter::successors(node.first_entry(master, head), |entry| {
            node.next_entry(master, head, entry)
        });
        let surplus: Vec<_> = entries
            .take_while(|entry| !matches!(keep, Keep::From(id) if entry.id >= id))
            .filter(|entry| !entry.is_deleted)
            .map(|entry| entry.at())
            .take(surplus)
            .collect();
        if surplus.is_empty() {
            return 0;
        }
        let node = self.nodes.at_mut(spot);
        if node.counts().0 == surplus.len() as u64 {
            // Its newest entries were tombstones already.
            self.nodes.pop_first();
        } else {
            node.delete(&surplus);
        }
        self.len -= surplus.len() as u64;
        surplus.len() as u64
    }
}
