//! Fields of hashes whose time has come: out of sight at once, removed when they are met or by the sweep.
//!
//! ```text
//!   reader met one ──> forget_due_fields      HRANDFIELD ──> forget_all_due_fields      sweep ──> expire_some_fields
//!                                 \                  |                  /
//!                     removal, HDEL for followers, watchers, `hexpired` once, `del` when nothing is left
//! ```
//!
//! Compat: a hash whose fields are all due still exists until they are removed, and HLEN counts them.
//! Not here: what a due field looks like to a command (each compares with [`Keyspace::due_ms`]).

use crate::value::hash::Hash;
use crate::value::{Typed, Value};

use super::changes::{Changes, Classes};
use super::entry::Entry;
use super::expire::rest_ms;
use super::{Key, Keyspace};

/// What a call of [`Keyspace::expire_some_fields`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Fields looked at.
    pub seen: usize,
    /// Fields removed.
    pub removed: usize,
    /// Due fields may be left.
    pub more: bool,
}

impl Keyspace {
    /// The moment at or before which fields are due, for readers: in the past of all where nothing expires by itself (a
    /// replica, a file being loaded).
    #[inline]
    pub fn due_ms(&self) -> i64 {
        if self.expire_lazily { self.now_ms } else { i64::MIN }
    }

    /// Removes those of the named fields of a hash that are due, before a write meets them or after a reader did.
    ///
    /// Costs a branch while no hash of the database has a field that expires.
    #[inline]
    pub fn forget_due_fields<'n>(&mut self, key: Key<'_>, names: impl IntoIterator<Item = &'n [u8]>) {
        if self.may_forget_fields() {
            self.forget_named(key, &mut names.into_iter());
        }
    }

    #[cold]
    fn forget_named(&mut self, key: Key<'_>, names: &mut dyn Iterator<Item = &[u8]>) {
        let (db, due_ms) = (self.current, self.now_ms);
        self.forget_if_expired(key);
        let Keyspace { dbs, changes, .. } = self;
        let Some(hash) = hash_of(dbs[db].dict.find_mut(key.hash, key.bytes), due_ms) else {
            return;
        };
        let (before, mut removed) = (hash.soonest(), 0);
        for name in names {
            if hash.find(name).is_some_and(|found| found.is_due(due_ms)) {
                hash.remove(name);
                changes.propagate_removal(db, &[b"HDEL", key.bytes, name]);
                removed += 1;
            }
        }
        let after = hash.soonest();
        self.dbs[db].soonest_changed(key.hash, before, after);
        self.note_fields_expired(db, key, removed);
    }

    /// Removes all due fields of a hash, before a random one is chosen. O(due fields).
    #[inline]
    pub fn forget_all_due_fields(&mut self, key: Key<'_>) {
        if self.may_forget_fields() {
            self.forget_if_expired(key);
            while self.expire_some_fields(self.current, key, usize::MAX).more {}
        }
    }

    /// Removes due fields of a hash, looking at about `budget` fields, and sees to it that the sweep looks again when the
    /// next one is due, or some time later if looking is not worth its while.
    pub(super) fn expire_some_fields(&mut self, db: usize, key: Key<'_>, budget: usize) -> Progress {
        let due_ms = self.now_ms;
        let Keyspace { dbs, changes, .. } = self;
        let Some(hash) = hash_of(dbs[db].dict.find_mut(key.hash, key.bytes), due_ms) else {
            return Progress::default();
        };
        let (before, mut removed) = (hash.soonest(), 0);
        let (seen, over) = hash.expire(due_ms, budget, &mut |field| {
            propagate_removal(changes, db, key.bytes, &field.name);
            removed += 1;
        });
        let after = hash.soonest();
        let rest_until_ms = due_ms + rest_ms(hash.volatile(), seen, removed);
        self.dbs[db].count_part(before, after);
        if let Some(at_ms) = after {
            self.dbs[db].lower_mark(key.hash, at_ms.max(rest_until_ms));
        }
        self.note_fields_expired(db, key, removed);
        Progress {
            seen,
            removed,
            more: !over || after.is_some_and(|at_ms| at_ms <= due_ms),
        }
    }

    fn may_forget_fields(&self) -> bool {
        self.here().part_volatile > 0 && self.expire_lazily && !self.expire_suspended
    }

    /// Everything that follows from the removal of due fields.
    fn note_fields_expired(&mut self, db: usize, key: Key<'_>, removed: usize) {
        if removed == 0 {
            return;
        }
        self.stats.expired_fields += removed as u64;
        self.changes.wake(db, key.bytes);
        self.changes.event(Classes::HASH, "hexpired", db, key.bytes);
        let entry = self.dbs[db].dict.find_mut(key.hash, key.bytes);
        if entry.is_some_and(|entry| matches!(entry.held_mut(), Some(Value::Hash(hash)) if hash.is_empty()))
            && let Some(emptied) = self.take(db, key)
        {
            self.changes.event(Classes::GENERIC, "del", db, key.bytes);
            self.discard(emptied, self.lazy.expire);
        }
    }
}

/// The hash in an entry, if some of its fields may be due.
fn hash_of(entry: Option<&mut Entry>, due_ms: i64) -> Option<&mut Hash> {
    match entry?.held_mut() {
        Some(Value::Hash(hash)) if hash.may_have_due(due_ms) => Some(hash),
        _ => None,
    }
}

fn propagate_removal(changes: &mut Changes, db: usize, key: &[u8], name: &crate::ds::listpack::Item<'_>) {
    if changes.followed {
        changes.propagate_removal(db, &[b"HDEL", key, &name.to_vec()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;

    fn with_hash(fields: usize, expire_at: impl Fn(usize) -> Option<i64>) -> Keyspace {
        let mut keys = Keyspace::new(2, KeyHasher::with_seed(1));
        keys.changes.wanted = Classes::ALL;
        let key = keys.key(b"h");
        let limits = keys.limits;
        keys.edit_or_new::<Hash, _>(key, |hash, edit| {
            for i in 0..fields {
                let name = format!("f{i}");
                hash.set(name.as_bytes(), b"v", &limits);
                hash.set_expiry(name.as_bytes(), expire_at(i));
            }
            edit.changed("hset", fields as u64);
        })
        .expect("a new key");
        keys
    }

    fn len(keys: &mut Keyspace) -> Option<usize> {
        let key = keys.key(b"h");
        keys.peek_as::<Hash>(key).expect("a hash").map(Hash::len)
    }

    fn event_names(keys: &mut Keyspace) -> Vec<&'static str> {
        keys.changes.events.drain(..).map(|event| event.name).collect()
    }

    #[test]
    fn a_reader_removes_the_due_fields_it_met_and_the_hash_with_the_last() {
        let mut keys = with_hash(3, |_| Some(50));
        let key = keys.key(b"h");
        keys.changes.followed = true;
        keys.now_ms = 40;
        keys.forget_due_fields(key, [&b"f0"[..]]);
        assert_eq!((len(&mut keys), keys.here().part_volatile()), (Some(3), 1));
        keys.now_ms = 50;
        event_names(&mut keys);
        keys.forget_due_fields(key, [&b"f0"[..], b"f2", b"missing"]);
        assert_eq!(
            (len(&mut keys), event_names(&mut keys)),
            (Some(1), vec!["hexpired"])
        );
        keys.forget_due_fields(key, [&b"f1"[..]]);
        assert_eq!(
            (len(&mut keys), event_names(&mut keys)),
            (None, vec!["hexpired", "del"])
        );
        assert_eq!((keys.here().part_volatile(), keys.stats.expired_fields), (0, 3));
        let words: Vec<Vec<u8>> = keys
            .changes
            .propagated
            .iter()
            .map(|p| p.words.join(&b' '))
            .collect();
        assert_eq!(words, [&b"HDEL h f0"[..], b"HDEL h f2", b"HDEL h f1"]);
    }

    #[test]
    fn a_sweep_removes_due_fields_in_pieces_and_leaves_the_others() {
        for fields in [10, 100_000] {
            let mut keys = with_hash(fields, |i| (i % 10 != 0).then_some(50 + i as i64 % 10));
            keys.now_ms = 58;
            let mut calls = 0;
            while keys.sweep_expired(&mut || false) {
                calls += 1;
            }
            assert_eq!(len(&mut keys), Some(fields / 5), "{calls} calls");
            assert!(fields < 2_000 || calls > 20, "{calls} calls");
            keys.now_ms += 10_000;
            keys.sweep_expired(&mut || true);
            assert_eq!(
                (len(&mut keys), keys.here().part_volatile()),
                (Some(fields / 10), 0)
            );
        }
    }

    #[test]
    fn a_hash_that_the_sweep_empties_goes() {
        for fields in [10, 10_000] {
            let mut keys = with_hash(fields, |_| Some(50));
            keys.now_ms = 100;
            event_names(&mut keys);
            while keys.sweep_expired(&mut || true) {}
            assert_eq!((len(&mut keys), keys.here().part_volatile()), (None, 0));
            assert_eq!(keys.stats.expired_fields, fields as u64);
            assert_eq!(
                (keys.stats.expired, event_names(&mut keys).last()),
                (0, Some(&"del"))
            );
        }
    }

    #[test]
    fn hashes_that_move_take_their_expiries_along() {
        let mut keys = with_hash(5, |_| Some(50));
        let (key, other) = (keys.key(b"h"), keys.key(b"other"));
        assert!(keys.rename(key, other) && keys.copy(other, 1, key, false));
        assert_eq!([0, 1].map(|db| keys.db(db).part_volatile()), [1, 1]);
        assert!(keys.move_to(other, 1));
        assert_eq!([0, 1].map(|db| keys.db(db).part_volatile()), [0, 2]);
        keys.now_ms = 60;
        while keys.sweep_expired(&mut || true) {}
        assert_eq!([0, 1].map(|db| keys.db(db).len()), [0, 0]);
    }

    #[test]
    fn what_overwrites_or_removes_a_hash_is_counted() {
        use crate::keyspace::entry::NewValue;
        use crate::keyspace::gate::SetExpiry;
        let mut keys = with_hash(5, |_| Some(50));
        let key = keys.key(b"h");
        keys.set(key, NewValue::Int(1), SetExpiry::Clear);
        assert_eq!(keys.here().part_volatile(), 0);
        keys.forget_all_due_fields(key);
        let mut keys = with_hash(5, |_| Some(50));
        assert!(keys.delete(key, false));
        assert_eq!(keys.here().part_volatile(), 0);
    }
}
