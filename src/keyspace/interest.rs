//! The keys that clients take an interest in beyond a command: watched (WATCH) or waited for (BLPOP).
//!
//! ```text
//!   index[db]  "jobs" ──> 3            slots[3]  key, watchers 1, version 7 | waiters 2, ready?
//!                                                     ^ WATCH: compared by EXEC   ^ queue of ready slots: the executor
//! ```
//!
//! A change to a watched key raises the slot's version; a client notes the version when it begins to watch, and EXEC
//! compares. So a change costs one lookup however many clients watch, and nothing at all while nobody does. A key that
//! turns ready is queued once, whatever happens to it until the executor has served those who wait.
//!
//! I1: a slot lives while it has a watcher or waiter, is queued, or is being served. I2: `queue` holds exactly the slots
//! that are queued. I3: `watched`, `waited` and `waited_gone` count the slots with such clients.
//!
//! Not here: who the clients are.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use slab::Slab;

/// Where a key of interest is kept; valid while the client who asked keeps its interest.
pub type SlotId = u32;

/// What a client noted of a key when it began to watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// The key's slot.
    pub slot: SlotId,
    version: u64,
    /// How many removals for being expired are no news: one more than there were, for a key that was expired already.
    expiries: u64,
}

/// A key of interest.
#[derive(Debug)]
pub struct Slot {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub key: Arc<[u8]>,
    watchers: u32,
    version: u64,
    expiries: u64,
    /// What is stored under the name had expired when SWAPDB brought it: to all watchers it is not there.
    ghost: bool,
    waiters: u32,
    /// Those of the waiters who are to be told, too, that the key is gone or of another type.
    waiters_gone: u32,
    queued: bool,
    serving: bool,
}

impl Slot {
    /// Whether somebody waits who is to be told that the key is gone.
    pub fn tells_when_gone(&self) -> bool {
        self.waiters_gone > 0
    }

    fn is_unused(&self) -> bool {
        self.watchers == 0 && self.waiters == 0 && !self.queued && !self.serving
    }
}

type Map = HashMap<Arc<[u8]>, SlotId, SeedableRandomState>;

/// All keys of interest.
#[derive(Debug)]
pub struct Interest {
    index: Vec<Map>,
    hashing: SeedableRandomState,
    slots: Slab<Slot>,
    queue: VecDeque<SlotId>,
    watched: usize,
    waited: usize,
    waited_gone: usize,
}

impl Interest {
    /// No interest in anything. `seed` makes hashing repeatable.
    pub fn new(seed: u64) -> Interest {
        Interest {
            index: Vec::new(),
            hashing: SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            slots: Slab::new(),
            queue: VecDeque::new(),
            watched: 0,
            waited: 0,
            waited_gone: 0,
        }
    }

    /// Keys that are watched.
    pub fn watched(&self) -> usize {
        self.watched
    }

    /// Keys that are waited for.
    pub fn waited(&self) -> usize {
        self.waited
    }

    /// Keys that are waited for by somebody who is to be told when they are gone.
    pub fn waited_gone(&self) -> usize {
        self.waited_gone
    }

    /// The slots of a database, to look each up again.
    pub(super) fn slots_of(&self, db: usize) -> Vec<SlotId> {
        self.index
            .get(db)
            .map_or_else(Vec::new, |map| map.values().copied().collect())
    }

    /// A slot, while somebody is interested in it.
    pub fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(id as usize)
    }

    fn find(&self, db: usize, key: &[u8]) -> Option<SlotId> {
        self.index.get(db)?.get(key).copied()
    }

    fn find_or_add(&mut self, db: usize, key: &[u8]) -> SlotId {
        if let Some(id) = self.find(db, key) {
            return id;
        }
        let key: Arc<[u8]> = key.into();
        let id = self.slots.insert(Slot {
            db,
            key: Arc::clone(&key),
            watchers: 0,
            version: 0,
            expiries: 0,
            ghost: false,
            waiters: 0,
            waiters_gone: 0,
            queued: false,
            serving: false,
        }) as SlotId;
        while self.index.len() <= db {
            self.index.push(Map::with_hasher(self.hashing.clone()));
        }
        self.index[db].insert(key, id);
        id
    }

    /// Keeps I1.
    fn let_go(&mut self, id: SlotId) {
        let slot = &self.slots[id as usize];
        if slot.is_unused() {
            let slot = self.slots.remove(id as usize);
            self.index[slot.db].remove(&slot.key);
        }
    }
}

/// Watching.
impl Interest {
    /// Begins to watch a key. `stale`: it is there but has expired.
    pub(super) fn watch(&mut self, db: usize, key: &[u8], stale: bool) -> Watch {
        let id = self.find_or_add(db, key);
        let slot = &mut self.slots[id as usize];
        self.watched += usize::from(slot.watchers == 0);
        slot.watchers += 1;
        Watch {
            slot: id,
            version: slot.version,
            expiries: slot.expiries + u64::from(stale && !slot.ghost),
        }
    }

    /// Ends a watch.
    pub(super) fn unwatch(&mut self, watch: Watch) {
        let slot = &mut self.slots[watch.slot as usize];
        slot.watchers -= 1;
        self.watched -= usize::from(slot.watchers == 0);
        self.let_go(watch.slot);
    }

    /// Whether the key has changed since.
    #[inline]
    pub(super) fn is_touched(&self, watch: Watch) -> bool {
        let slot = &self.slots[watch.slot as usize];
        slot.version != watch.version || slot.expiries > watch.expiries
    }

    /// Whether what is stored under the name, if it has expired, is old news: it had when the watch began, or when it
    /// came.
    pub(super) fn is_known_to_be_stale(&self, watch: Watch) -> bool {
        let slot = &self.slots[watch.slot as usize];
        slot.ghost || slot.expiries < watch.expiries
    }

    /// A key has changed.
    #[cold]
    pub(super) fn touch(&mut self, db: usize, key: &[u8]) {
        if let Some(id) = self.find(db, key) {
            let slot = &mut self.slots[id as usize];
            slot.version += 1;
            slot.ghost = false;
        }
    }

    /// A key has been removed because its time had come: no news to those who found it expired.
    #[cold]
    pub(super) fn expire(&mut self, db: usize, key: &[u8]) {
        if let Some(id) = self.find(db, key) {
            let slot = &mut self.slots[id as usize];
            slot.expiries += u64::from(!slot.ghost);
            slot.ghost = false;
        }
    }

    /// A key has come that had expired before.
    pub(super) fn haunt(&mut self, id: SlotId) {
        self.slots[id as usize].ghost = true;
    }
}

/// Waiting.
impl Interest {
    /// Begins to wait for a key. `when_gone`: also for its removal or change of type.
    pub(super) fn wait(&mut self, db: usize, key: &[u8], when_gone: bool) -> SlotId {
        let id = self.find_or_add(db, key);
        let slot = &mut self.slots[id as usize];
        self.waited += usize::from(slot.waiters == 0);
        self.waited_gone += usize::from(when_gone && slot.waiters_gone == 0);
        slot.waiters += 1;
        slot.waiters_gone += u32::from(when_gone);
        id
    }

    /// Ends a wait begun with the same `when_gone`.
    pub(super) fn unwait(&mut self, id: SlotId, when_gone: bool) {
        let slot = &mut self.slots[id as usize];
        slot.waiters -= 1;
        slot.waiters_gone -= u32::from(when_gone);
        self.waited -= usize::from(slot.waiters == 0);
        self.waited_gone -= usize::from(when_gone && slot.waiters_gone == 0);
        self.let_go(id);
    }

    /// Those who wait for a key should look at it.
    #[cold]
    pub(super) fn ready(&mut self, db: usize, key: &[u8]) {
        let Some(id) = self.find(db, key) else {
            return;
        };
        let slot = &mut self.slots[id as usize];
        if slot.waiters > 0 && !slot.queued {
            slot.queued = true;
            self.queue.push_back(id);
        }
    }

    /// Whether a key is ready.
    #[inline]
    pub fn is_any_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the key that has been ready for longest, to be served until [`Interest::served`].
    pub fn next_ready(&mut self) -> Option<SlotId> {
        let id = self.queue.pop_front()?;
        let slot = &mut self.slots[id as usize];
        slot.queued = false;
        slot.serving = true;
        Some(id)
    }

    /// Whoever waits for the key has been served as far as it goes.
    pub fn served(&mut self, id: SlotId) {
        self.slots[id as usize].serving = false;
        self.let_go(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest() -> Interest {
        Interest::new(1)
    }

    #[test]
    fn a_change_is_news_to_those_who_watched_before_it() {
        let mut all = interest();
        let early = all.watch(0, b"k", false);
        all.touch(1, b"k");
        all.touch(0, b"other");
        assert!(!all.is_touched(early));
        all.touch(0, b"k");
        let late = all.watch(0, b"k", false);
        assert_eq!((all.is_touched(early), all.is_touched(late)), (true, false));
        assert_eq!(all.watched(), 1);
        all.unwatch(early);
        all.unwatch(late);
        assert!(all.watched() == 0 && all.slots.is_empty());
    }

    #[test]
    fn the_removal_of_an_expired_key_is_news_only_to_those_who_knew_it_alive() {
        let mut all = interest();
        let (fresh, stale) = (all.watch(0, b"k", false), all.watch(0, b"k", true));
        assert!(all.is_known_to_be_stale(stale) && !all.is_known_to_be_stale(fresh));
        all.expire(0, b"k");
        assert_eq!((all.is_touched(fresh), all.is_touched(stale)), (true, false));
        assert!(!all.is_known_to_be_stale(stale));
        all.expire(0, b"k");
        assert!(all.is_touched(stale), "it was there again and expired again");
    }

    #[test]
    fn a_key_is_queued_once_until_it_is_served_and_only_for_somebody() {
        let mut all = interest();
        all.ready(0, b"k");
        assert!(!all.is_any_ready());
        let slot = all.wait(0, b"k", false);
        let other = all.wait(0, b"other", true);
        for key in [b"other", &b"k"[..], b"other", b"k"] {
            all.ready(0, key);
        }
        assert_eq!(
            (all.next_ready(), all.waited(), all.waited_gone()),
            (Some(other), 2, 1)
        );
        // Ready again while it is served, as by BLMOVE.
        all.ready(0, b"other");
        all.served(other);
        assert_eq!(all.next_ready(), Some(slot));
        all.served(slot);
        assert_eq!(all.next_ready(), Some(other));
        all.unwait(other, true);
        assert!(all.slot(other).is_some(), "it is being served");
        all.served(other);
        all.unwait(slot, false);
        assert!(all.slots.is_empty() && !all.is_any_ready());
        assert_eq!((all.waited(), all.waited_gone()), (0, 0));
    }

    #[test]
    fn a_queued_key_outlives_those_who_waited_for_it() {
        let mut all = interest();
        let slot = all.wait(0, b"k", false);
        all.ready(0, b"k");
        all.unwait(slot, false);
        assert_eq!(all.next_ready(), Some(slot));
        all.served(slot);
        assert!(all.slots.is_empty());
    }
}
