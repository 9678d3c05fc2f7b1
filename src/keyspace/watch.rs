//! What the keyspace does for clients that watch keys or wait for them: the part that looks at keys.
//!
//! The rules about expiry are Redis's: a key that was expired already when it was watched may be removed unnoticed; one
//! that expires later is a change, even before anybody removes it.

use crate::value::Kind;

use super::interest::{SlotId, Watch};
use super::{Key, Keyspace};

impl Keyspace {
    /// Begins to watch a key of the selected database. O(1).
    pub fn watch(&mut self, key: Key<'_>) -> Watch {
        let stale = self.is_stale(self.current, key);
        self.changes.watch(self.current, key.bytes, stale)
    }

    /// Whether a watched key has changed, or has expired, since. O(1).
    pub fn is_changed(&self, watch: Watch) -> bool {
        let interest = &self.changes.interest;
        if interest.is_touched(watch) {
            return true;
        }
        let Some(slot) = interest.slot(watch.slot) else {
            return false;
        };
        !interest.is_known_to_be_stale(watch) && self.is_stale(slot.db, self.key(&slot.key))
    }

    /// The type of a key as one who waits for it would find it: nothing when it has expired. No counters, no trace.
    pub fn kind_of(&self, db: usize, name: &[u8]) -> Option<Kind> {
        let key = self.key(name);
        let entry = self.dbs[db].dict.find(key.hash, key.bytes)?;
        self.is_visible(entry, self.now_ms).then(|| entry.kind())
    }

    /// Whether a key is there although its time has come.
    fn is_stale(&self, db: usize, key: Key<'_>) -> bool {
        let db = &self.dbs[db];
        db.volatile > 0
            && db
                .dict
                .find(key.hash, key.bytes)
                .is_some_and(|entry| entry.expire_at().is_some_and(|at| at <= self.now_ms))
    }

    /// Before all of database `db` goes, or is exchanged for another: tells those who are interested in one of its
    /// keys, as far as that changes anything for them. O(keys of interest in it).
    pub(super) fn announce_upheaval(&mut self, db: usize, replacement: Option<usize>) {
        if !self.changes.is_watching() && !self.changes.is_blocking() {
            return;
        }
        for slot in self.changes.interest.slots_of(db) {
            self.announce_slot(slot, db, replacement);
        }
    }

    fn announce_slot(&mut self, slot: SlotId, db: usize, replacement: Option<usize>) {
        let Some(name) = self.changes.interest.slot(slot).map(|slot| slot.key.clone()) else {
            return;
        };
        let key = self.key(&name);
        let goes = Presence::of(self, db, key);
        let comes = replacement.map_or(Presence::Missing, |other| Presence::of(self, other, key));
        if goes != Presence::Missing || comes != Presence::Missing {
            self.changes.ready(db, key.bytes);
        }
        match (goes, comes) {
            (_, Presence::Alive) | (Presence::Alive, _) => self.changes.wake_watchers(db, key.bytes),
            (Presence::Stale, _) => self.changes.expired_for_watchers(db, key.bytes),
            (Presence::Missing, _) => {}
        }
        if comes == Presence::Stale {
            self.changes.interest.haunt(slot);
        }
    }
}

/// Whether a key is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Missing,
    /// It is stored, although its time has come.
    Stale,
    Alive,
}

impl Presence {
    fn of(keys: &Keyspace, db: usize, key: Key<'_>) -> Presence {
        match keys.dbs[db].dict.find(key.hash, key.bytes) {
            None => Presence::Missing,
            Some(_) if keys.is_stale(db, key) => Presence::Stale,
            Some(_) => Presence::Alive,
        }
    }
}
