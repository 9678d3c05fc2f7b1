//! The entries of a stream, in nodes ordered by id, and what is remembered of those that are gone.
//!
//! Invariants:
//! - I1  Nodes are keyed by their master id, which none of their entries is below; entries ascend throughout.
//! - I2  `len` counts entries that are no tombstones; a node of tombstones only is removed.
//! - I3  `last_id` is not below any entry, `max_deleted_id` not above `last_id` unless a client set it so.
//! - I4  `first_id` is the id of the first entry, `0-0` without any.
//!
//! Costs: append O(fields); search by id O(log nodes) and a walk of one node; trimming O(1) a node.

use crate::base::size_class::sampled;
use crate::ds::radix::{Radix, shape};
use crate::value::Limits;

use super::id::{Seq, StreamId};
use super::node::{Damaged, Node};
use super::range::{Direction, Range};

/// No node grows beyond this, whatever the configuration says.
const NODE_BYTES_MAX: usize = 1 << 30;

/// Entries in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub(super) nodes: Radix<StreamId, Node>,
    pub(super) len: u64,
    pub(super) first_id: StreamId,
    /// The greatest id ever given out.
    pub last_id: StreamId,
    /// The greatest id of an entry removed by XDEL.
    pub max_deleted_id: StreamId,
    /// How many entries were ever appended.
    pub entries_added: u64,
}

/// The id of a new entry as a client wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedId {
    /// `*`: of the clock.
    Auto,
    /// `5-*`, `5-3`, `5`.
    At(u64, Seq),
}

/// Why a new entry cannot have that id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    /// There is no id left above the last one.
    Exhausted,
    /// It is not above the last one.
    NotAbove,
}

/// The words of an entry are together too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Log {
    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry, `0-0` without any.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id a new entry gets.
    ///
    /// # Errors
    /// [`IdError`].
    #[inline]
    pub fn id_for(&self, wanted: WantedId, now_ms: i64) -> Result<StreamId, IdError> {
        if self.last_id == StreamId::MAX {
            return Err(IdError::Exhausted);
        }
        let now_ms = now_ms.max(0) as u64;
        let id = match wanted {
            WantedId::Auto if now_ms > self.last_id.ms => Some(StreamId::new(now_ms, 0)),
            WantedId::Auto => self.last_id.next(),
            WantedId::At(ms, Seq::Auto) if ms == self.last_id.ms => {
                let seq = self.last_id.seq.checked_add(1);
                seq.map(|seq| StreamId::new(ms, seq))
            }
            WantedId::At(ms, Seq::Given(seq)) => Some(StreamId::new(ms, seq)),
            WantedId::At(ms, Seq::Auto | Seq::Missing) => Some(StreamId::new(ms, 0)),
        };
        id.filter(|id| *id > self.last_id).ok_or(IdError::NotAbove)
    }

    /// Appends an entry: `words` are names and values in turn, `id` is above the last one.
    ///
    /// # Errors
    /// [`TooLarge`]; nothing has changed then.
    pub fn append<'w>(
        &mut self,
        id: StreamId,
        words: impl Iterator<Item = &'w [u8]> + Clone,
        limits: &Limits,
    ) -> Result<(), TooLarge> {
        debug_assert!(id > self.last_id, "ids ascend");
        let (count, bytes) = words
            .clone()
            .fold((0, 0), |(count, bytes), word| (count + 1, bytes + word.len()));
        if bytes > NODE_BYTES_MAX {
            return Err(TooLarge);
        }
        let fields = count / 2;
        match self.nodes.last_mut() {
            Some((&master, node)) if has_room(node, bytes, limits) => node.push(master, id, words, fields),
            _ => {
                let mut node = Node::begin(words.clone().step_by(2), fields);
                node.push(id, id, words, fields);
                self.nodes.insert(id, node);
            }
        }
        self.len += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// The entries between two ids, both included; `from` is the lower one in both directions.
    #[inline]
    pub fn range(&self, from: StreamId, to: StreamId, direction: Direction) -> Range<'_> {
        Range::new(&self.nodes, from, to, direction)
    }

    /// Whether there is an entry of that id.
    pub fn contains(&self, id: StreamId) -> bool {
        self.range(id, id, Direction::Forward).next().is_some()
    }

    /// The id of the last entry there is.
    pub fn newest_id(&self) -> Option<StreamId> {
        let mut all = self.range(StreamId::MIN, StreamId::MAX, Direction::Backward);
        all.next().map(|entry| entry.id)
    }

    /// The id of the first entry or tombstone; the last possible one without any.
    pub fn oldest_id(&self) -> StreamId {
        let first = self.nodes.first().and_then(|(&master, node)| {
            let entry = node.first_entry(master, node.head())?;
            Some(entry.id)
        });
        first.unwrap_or(StreamId::MAX)
    }

    /// Whether there is an entry above `id`.
    #[inline]
    pub fn has_after(&self, id: StreamId) -> bool {
        id < self.last_id && self.newest_id().is_some_and(|newest| newest > id)
    }

    /// Removes the entry of an id; whether there was one.
    fn delete_one(&mut self, id: StreamId) -> bool {
        let mut found = self.range(id, id, Direction::Forward);
        // Asked before the search, which may end in the next node.
        let Some(spot) = found.spot() else {
            return false;
        };
        let Some(entry) = found.next() else {
            return false;
        };
        let at = entry.at();
        let node = self.nodes.at_mut(spot);
        if node.counts().0 <= 1 {
            self.nodes.take(spot);
        } else {
            node.delete(&[at]);
        }
        self.len -= 1;
        true
    }

    /// Removes the entries of these ids (XDEL); how many there were.
    pub fn delete(&mut self, ids: &[StreamId]) -> u64 {
        let mut deleted = 0;
        for &id in ids {
            if self.delete_one(id) {
                self.max_deleted_id = self.max_deleted_id.max(id);
                deleted += 1;
            }
        }
        if deleted > 0 {
            self.find_first();
        }
        deleted
    }

    /// Restores I4.
    pub(super) fn find_first(&mut self) {
        let first = self
            .range(StreamId::MIN, StreamId::MAX, Direction::Forward)
            .next();
        self.first_id = first.map_or(StreamId::MIN, |entry| entry.id);
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many nodes Redis's radix tree of these nodes would have. O(nodes).
    pub fn tree_nodes(&self) -> usize {
        shape::nodes(self.nodes.iter().map(|(id, _)| id.to_bytes()))
    }

    /// Bytes on the heap: the last node, which is still being filled, and the others by so many samples (0: all).
    pub fn sampled_bytes(&self, samples: usize) -> usize {
        let Some((_, last)) = self.nodes.last() else {
            return self.nodes.heap_bytes();
        };
        let full = self.nodes.len() - 1;
        let each = self.nodes.iter().take(full).map(|(_, node)| node.heap_bytes());
        self.nodes.heap_bytes() + sampled(full, samples, each) + last.heap_bytes()
    }

    /// The nodes as Redis saves them: master ids and listpacks.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        self.nodes.iter().map(|(id, node)| (*id, node.as_bytes()))
    }

    /// Takes a node of a file over, behind those there are; totals are the caller's to set.
    ///
    /// # Errors
    /// [`Damaged`] when its master id is not above the ids of the other nodes' entries or the listpack is no node.
    pub fn adopt_node(
        &mut self,
        master: StreamId,
        listpack: crate::ds::listpack::Listpack,
    ) -> Result<(), Damaged> {
        let greatest = self.nodes.last().map(|(&last, node)| {
            let entry = node.last_entry(last, node.head());
            entry.map_or(last, |entry| entry.id)
        });
        if greatest.is_some_and(|greatest| greatest >= master) {
            return Err(Damaged);
        }
        let node = Node::adopt(master, listpack)?;
        let (live, _) = node.counts();
        if live > 0 {
            self.len += live;
            self.nodes.insert(master, node);
        }
        Ok(())
    }

    /// What a file says of entries that are gone, once its nodes are taken over. The last id is not below an entry's.
    pub fn remember(&mut self, last_id: StreamId, max_deleted_id: StreamId, entries_added: u64) {
        self.find_first();
        self.last_id = last_id.max(self.newest_id().unwrap_or_default());
        self.max_deleted_id = max_deleted_id;
        self.entries_added = entries_added;
    }
}

/// Whether an entry of so many bytes still goes into a node.
#[inline]
fn has_room(node: &Node, bytes: usize, limits: &Limits) -> bool {
    let bytes_max = match limits.stream_node_max_bytes {
        0 => NODE_BYTES_MAX,
        limit => limit.min(NODE_BYTES_MAX),
    };
    if node.size() + bytes >= bytes_max {
        return false;
    }
    let entries_max = limits.stream_node_max_entries as u64;
    let (live, deleted) = node.counts();
    entries_max == 0 || live + deleted < entries_max
}
