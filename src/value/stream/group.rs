//! Consumer groups: how far a group has read, who of it was given what, and what is not acknowledged yet.
//!
//! ```text
//! group     last id, entries read
//!   pending    id -> (delivered at, how often, consumer number)       all of the group, by id
//!   consumers  number -> name, seen at, active at, ids of its own     numbers in the order of names
//! ```
//!
//! Invariants:
//! - I1  A pending id is among the ids of the consumer its entry names, and of no other.
//! - I2  Every consumer's ids are pending.
//! - I3  `by_name` has the number of each consumer once, by ascending name; `vacant` the other numbers.
//!
//! Costs: by id O(log n); a new consumer moves 4 bytes for each that sorts behind it. A pending entry takes 40 bytes in
//! the group and 16 at its consumer; a consumer about 85 and its name.

use crate::base::relocate;
use crate::base::size_class::{allocated, rounded};
use crate::ds::radix::Radix;

use super::id::StreamId;
use super::relocated::Walk;

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
    consumers: Vec<Option<Box<Consumer>>>,
    vacant: Vec<ConsumerIndex>,
    by_name: Vec<ConsumerIndex>,
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
    /// When it last got anything, Unix milliseconds; -1 for never.
    pub active_ms: i64,
    pending: Radix<StreamId, ()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Offers what it has on the heap.
    fn relocate(&mut self, walk: &mut Walk<'_>) {
        walk.piece(|mover| {
            relocate::slice(&mut self.name, mover);
            self.pending.relocate_queue(mover);
        });
        walk.blocks(&mut self.pending, &mut |_, (), _| {});
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
            consumers: Vec::new(),
            vacant: Vec::new(),
            by_name: Vec::new(),
        }
    }

    /// All entries given out and not acknowledged.
    pub fn pending(&self) -> &Radix<StreamId, Pending> {
        &self.pending
    }

    /// Offers what it has on the heap.
    pub(super) fn relocate(&mut self, walk: &mut Walk<'_>) {
        walk.piece(|mover| {
            self.pending.relocate_queue(mover);
            relocate::vec(&mut self.consumers, mover);
            relocate::vec(&mut self.vacant, mover);
            relocate::vec(&mut self.by_name, mover);
        });
        walk.blocks(&mut self.pending, &mut |_, _, _| {});
        for consumer in self.consumers.iter_mut().flatten() {
            if walk.is_over() {
                return;
            }
            walk.piece(|mover| relocate::boxed(consumer, mover));
            consumer.relocate(walk);
        }
    }

    /// How many consumers there are.
    pub fn consumer_count(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.iter().map(|&index| self.consumer(index))
    }

    /// A consumer.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn consumer(&self, index: ConsumerIndex) -> &Consumer {
        let consumer = self.consumers[index as usize].as_deref();
        consumer.expect("a number of a consumer")
    }

    /// A consumer, its times to be changed.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn consumer_mut(&mut self, index: ConsumerIndex) -> &mut Consumer {
        let consumer = self.consumers[index as usize].as_deref_mut();
        consumer.expect("a number of a consumer")
    }

    /// The consumer of that name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerIndex> {
        self.place_of(name).ok().map(|place| self.by_name[place])
    }

    /// Where in `by_name` the name is, or belongs.
    fn place_of(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name
            .binary_search_by(|&index| self.consumer(index).name().cmp(name))
    }

    /// A new consumer; `None` when the name is taken.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerIndex> {
        let place = self.place_of(name).err()?;
        let consumer = Box::new(Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: -1,
            pending: Radix::new(),
        });
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.consumers.push(None);
            ConsumerIndex::try_from(self.consumers.len() - 1).expect("so many names fit no memory")
        });
        self.consumers[index as usize] = Some(consumer);
        self.by_name.insert(place, index);
        Some(index)
    }

    /// Removes a consumer and what it had pending; how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let place = self.place_of(name).ok()?;
        let index = self.by_name.remove(place);
        self.vacant.push(index);
        let consumer = self.consumers[index as usize].take()?;
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
        let each = self.consumers();
        let consumers: usize = each
            .map(|consumer| {
                rounded(size_of_val(consumer))
                    + allocated(consumer.name.len())
                    + consumer.pending.heap_bytes()
            })
            .sum();
        let slots = allocated(self.consumers.capacity() * size_of::<Option<Box<Consumer>>>());
        let numbers: usize = [&self.vacant, &self.by_name]
            .map(|numbers| allocated(numbers.capacity() * size_of::<ConsumerIndex>()))
            .iter()
            .sum();
        consumers + slots + numbers + self.pending.heap_bytes()
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let mut owned = 0;
        for &index in &self.by_name {
            let consumer = self.consumer(index);
            owned += consumer.pending.len();
            for (id, ()) in consumer.pending.iter() {
                let pending = self.pending.get(id).expect("I2");
                assert_eq!(pending.consumer, index, "I1");
            }
        }
        assert_eq!(owned, self.pending.len(), "I1");
        assert!(self.consumers().is_sorted_by(|a, b| a.name < b.name), "I3");
        assert_eq!(self.by_name.len() + self.vacant.len(), self.consumers.len(), "I3");
        self.pending.check_invariants();
    }
}
