//! Operations on whole keys and databases: rename, copy, move, flush, swap, scan, a random key.

use super::changes::Classes;
use super::entry::Entry;
use super::{Key, Keyspace};

impl Keyspace {
    /// Moves value and expiry of `from`, which must exist, to `to`, overwriting it. Events `rename_from`, `rename_to`.
    pub fn rename(&mut self, from: Key<'_>, to: Key<'_>) -> bool {
        self.forget_if_expired(from);
        let Some(entry) = self.take(self.current, from) else {
            return false;
        };
        self.forget_if_expired(to);
        if let Some(old) = self.take(self.current, to) {
            self.discard(old, self.lazy.server_del);
        }
        self.insert(self.current, entry.rename(to.bytes));
        self.changes.touch(self.current, from.bytes);
        self.changes.touch(self.current, to.bytes);
        // One command, one change: both keys wake their watchers, the count goes up by one.
        self.changes.dirty -= 1;
        self.changes
            .event(Classes::GENERIC, "rename_from", self.current, from.bytes);
        self.changes
            .event(Classes::GENERIC, "rename_to", self.current, to.bytes);
        true
    }

    /// Copies `from`, which is read by it, of the selected database to `to` of `target`. False when `from` does not
    /// exist, or `to` does and `replace` is not set. Event `copy_to`.
    pub fn copy(&mut self, from: Key<'_>, target: usize, to: Key<'_>, replace: bool) -> bool {
        let Some(mut copy) = self.read(from).map(|entry| entry.duplicate(to.bytes)) else {
            return false;
        };
        copy.set_access(self.access.fresh());
        if !self.make_room(target, to, replace) {
            return false;
        }
        self.insert(target, copy);
        self.changes.touch(target, to.bytes);
        self.changes.event(Classes::GENERIC, "copy_to", target, to.bytes);
        true
    }

    /// Moves a key to another database. False when it does not exist or is there already. Events `move_from`,
    /// `move_to`.
    pub fn move_to(&mut self, key: Key<'_>, target: usize) -> bool {
        if !self.exists(key) || !self.make_room(target, key, false) {
            return false;
        }
        let Some(entry) = self.take(self.current, key) else {
            return false;
        };
        self.insert(target, entry);
        self.changes.touch(self.current, key.bytes);
        self.changes.touch(target, key.bytes);
        self.changes.dirty -= 1;
        self.changes
            .event(Classes::GENERIC, "move_from", self.current, key.bytes);
        self.changes.event(Classes::GENERIC, "move_to", target, key.bytes);
        true
    }

    fn make_room(&mut self, db: usize, key: Key<'_>, replace: bool) -> bool {
        let origin = std::mem::replace(&mut self.current, db);
        let taken = self.exists(key);
        self.current = origin;
        if taken
            && replace
            && let Some(old) = self.take(db, key)
        {
            self.discard(old, self.lazy.server_del);
        }
        !taken || replace
    }

    /// Empties database `db`; how many keys it held.
    pub fn flush(&mut self, db: usize, lazy: bool) -> usize {
        self.announce_upheaval(db, None);
        let empty = self.empty_db();
        let old = std::mem::replace(&mut self.dbs[db], empty);
        let removed = old.len();
        self.discard_table(old.dict, lazy);
        self.changes.dirty += removed as u64;
        self.changes.flushed();
        removed
    }

    /// Exchanges the contents of two databases.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a != b {
            self.announce_upheaval(a, Some(b));
            self.announce_upheaval(b, Some(a));
            self.dbs.swap(a, b);
        }
        self.changes.dirty += 1;
    }

    /// Visits the entries of one step of an iteration; the next cursor, 0 at the end. Expired keys met on the way are
    /// removed, not visited.
    ///
    /// Guarantee: an entry that is there from the first call to the last is visited, whatever comes and goes meanwhile.
    pub fn scan(&mut self, cursor: u64, visit: &mut dyn FnMut(&Entry)) -> u64 {
        let mut expired: Vec<Box<[u8]>> = Vec::new();
        let next = self.here().dict.scan(cursor, &mut |entry| {
            if self.is_visible(entry, self.now_ms) {
                visit(entry);
            } else if !self.expire_suspended {
                expired.push(entry.key().into());
            }
        });
        for name in expired {
            self.forget_if_expired(self.key(&name));
        }
        next
    }

    /// Every visible entry of the selected database.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.here()
            .dict
            .iter()
            .filter(|entry| self.is_visible(entry, self.now_ms))
    }

    pub(super) fn is_visible(&self, entry: &Entry, now_ms: i64) -> bool {
        !self.expire_lazily || entry.expire_at().is_none_or(|at| at > now_ms)
    }

    /// Some key that has not expired, near-uniformly chosen; expired ones met on the way are removed. While expiry is
    /// suspended it may be an expired one, when there is little else.
    pub fn random_key(&mut self, random: &mut dyn FnMut() -> u64) -> Option<&[u8]> {
        const TRIES_SUSPENDED: usize = 100;
        let mut tries = 0;
        // Ends, if not before, when the last expired key is gone or has been met too often.
        loop {
            tries += 1;
            let entry = self.here().dict.random(random)?;
            let kept = self.expire_suspended && tries == TRIES_SUSPENDED;
            if kept || self.is_visible(entry, self.now_ms) {
                let hash = self.hasher.hash(entry.key());
                let bytes: Vec<u8> = entry.key().to_vec();
                return self.here().dict.find(hash, &bytes).map(Entry::key);
            }
            if !self.expire_suspended {
                let bytes = entry.key().to_vec();
                self.forget_if_expired(self.key(&bytes));
            }
        }
    }
}
