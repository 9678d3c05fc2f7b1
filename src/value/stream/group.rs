//! Consumer groups: how far a group has read, who of it was given what, and what is not acknowledged yet.
//!
//! ```text
//! group     last id, entries read
//!   pending    id -> (delivered at, how often, consumer number)       all of the group, by id
//!   consumers  number -> name, seen at, active at, ids of its own     names -> number
//! ```
//!
//! Invariants:
//! - I1  A pending id is among the ids of the consumer its entry names, and of no other.
//! - I2  Every consumer's ids are pending.
//! - I3  `names` maps the name of each consumer to its number.
//!
//! Costs: by id O(log n). A pending entry takes 40 bytes in the group and 16 at its consumer.

use slab::Slab;

use crate::ds::radix::Radix;

use super::id::StreamId;

/// Number of a consumer within its group.
pub type ConsumerIndex = u32;

/// A group of consumers that share a stream's entries.
#[derive(Debug, Clone)]
pub struct Group {
    /// The last id given to a consumer.
    pub last_id: StreamId,
    /// How many entries up to `last_id` were ever appended, if that is known.
    pub entries_read: Option<i64>,
    pending: Radix<StreamId, Pending>,
    consumers: Slab<Consumer>,
    names: Radix<Box<[u8]>, ConsumerIndex>,
}

/// An entry given out and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// When it was last given out, Unix milliseconds.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
    /// To whom.
    pub consumer: ConsumerIndex,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for anything, Unix milliseconds.
    pub seen_ms: i64,
    /// When it last got anything, Unix milliseconds.
    pub active_ms: Option<i64>,
    pending: Radix<StreamId, ()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Ids of the entries it has not acknowledged.
    pub fn pending(&self) -> &Radix<StreamId, ()> {
        &self.pending
    }
}

impl Group {
    /// A group that has read up to `last_id`.
    pub fn new(last_id: StreamId, entries_read: Option<i64>) -> Group {
        Group {
            last_id,
            entries_read,
            pending: Radix::new(),
            consumers: Slab::new(),
            names: Radix::new(),
        }
    }

    /// All entries given out and not acknowledged.
    pub fn pending(&self) -> &Radix<StreamId, Pending> {
        &self.pending
    }

    /// How many consumers there are.
    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// The consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.iter().map(|(_, &index)| self.consumer(index))
    }

    /// A consumer.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn consumer(&self, index: ConsumerIndex) -> &Consumer {
        &self.consumers[index as usize]
    }

    /// A consumer, its times to be changed.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn consumer_mut(&mut self, index: ConsumerIndex) -> &mut Consumer {
        &mut self.consumers[index as usize]
    }

    /// The consumer of that name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerIndex> {
        self.names.get(name).copied()
    }

    /// A new consumer; `None` when the name is taken.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerIndex> {
        if self.names.contains(name) {
            return None;
        }
        let index = self.consumers.insert(Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: Radix::new(),
        });
        let index = u32::try_from(index).expect("so many names fit no memory");
        self.names.insert(name.into(), index);
        Some(index)
    }

    /// Removes a consumer and what it had pending; how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let index = self.names.remove(name)?;
        let consumer = self.consumers.remove(index as usize);
        for (id, ()) in consumer.pending.iter() {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Gives an entry to a consumer, whoever had it before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        match before {
            Some(before) if before.consumer == pending.consumer => return,
            Some(before) => {
                self.consumer_mut(before.consumer).pending.remove(&id);
            }
            None => {}
        }
        self.consumer_mut(pending.consumer).pending.insert(id, ());
    }

    /// Notes another delivery of a pending entry to the consumer that has it.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Takes an entry off the pending ones; what was noted of it.
    pub fn acknowledge(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.consumer_mut(pending.consumer).pending.remove(&id);
        Some(pending)
    }

    /// How many allocations it has, roughly.
    pub fn free_effort(&self) -> usize {
        // Those of the consumers are as many entries again, whoever has them.
        1 + 2 * self.pending.blocks() + self.consumers.len()
    }

    /// Bytes on the heap. O(consumers + blocks).
    pub fn heap_bytes(&self) -> usize {
        let consumers: usize = self
            .consumers
            .iter()
            .map(|(_, consumer)| 2 * consumer.name.len() + consumer.pending.heap_bytes())
            .sum();
        let slots = self.consumers.capacity() * size_of::<Consumer>();
        consumers + slots + self.pending.heap_bytes() + self.names.heap_bytes()
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let mut owned = 0;
        for (name, &index) in self.names.iter() {
            let consumer = self.consumer(index);
            assert_eq!(consumer.name, *name, "I3");
            owned += consumer.pending.len();
            for (id, ()) in consumer.pending.iter() {
                let pending = self.pending.get(id).expect("I2");
                assert_eq!(pending.consumer, index, "I1");
            }
        }
        assert_eq!(owned, self.pending.len(), "I1");
        assert_eq!(self.names.len(), self.consumers.len(), "I3");
        self.pending.check_invariants();
    }
}
