//! The gate: how single keys are read and changed.
//!
//! A read sees no expired key and counts hits and misses. A write does, once and for every handler: lookup, removal of
//! an expired key, type check, the change itself, expiry bookkeeping, watchers, event, dirty count, lazy freeing.

use std::any::Any;

use crate::ds::dict::Entry as Place;
use crate::value::string::StringRef;

use super::changes::Classes;
use super::entry::{Entry, NewValue};
use super::lazyfree::Garbage;
use super::{Key, Keyspace, WrongType};

/// What becomes of a key's expiry when its value is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetExpiry {
    /// The key lives on for ever.
    Clear,
    /// As it is.
    Keep,
    /// At this Unix time in milliseconds.
    At(i64),
}

/// Why an edit did not happen: another type, or what the editing closure says.
#[derive(Debug, PartialEq, Eq)]
pub enum EditError<E> {
    /// The key holds another type.
    WrongType,
    /// The closure refused.
    Refused(E),
}

/// Values whose freeing costs more than this many allocations go to the lazy-free thread.
const LAZY_EFFORT: usize = crate::value::LAZYFREE_EFFORT_MIN;

#[inline]
fn is_past(entry: &Entry, now_ms: i64) -> bool {
    entry.expire_at().is_some_and(|at| at <= now_ms)
}

impl Keyspace {
    /// The entry of a key for a command that reads its value: counts a hit or miss and notes the use.
    #[inline]
    pub fn read(&mut self, key: Key<'_>) -> Option<&Entry> {
        let hidden = self.is_out_of_sight(key);
        match self.dbs[self.current].dict.find_mut(key.hash, key.bytes) {
            Some(entry) if !hidden => {
                self.stats.hits += 1;
                self.access.touch(entry);
                Some(entry)
            }
            _ => {
                self.stats.misses += 1;
                self.changes
                    .event(Classes::KEY_MISS, "keymiss", self.current, key.bytes);
                None
            }
        }
    }

    /// The string a key holds, for a command that reads it.
    #[inline]
    pub fn read_string(&mut self, key: Key<'_>) -> Result<Option<StringRef<'_>>, WrongType> {
        self.read(key)
            .map(|entry| entry.string().ok_or(WrongType))
            .transpose()
    }

    /// The entry of a key for a command that asks about it (TTL, TYPE, EXISTS): counts a hit or miss, but asking is no
    /// use that would keep the key from being evicted.
    #[inline]
    pub fn inspect(&mut self, key: Key<'_>) -> Option<&Entry> {
        self.consult(key, true)
    }

    /// As [`Keyspace::inspect`], but a missing key is no event (OBJECT).
    #[inline]
    pub fn inspect_quietly(&mut self, key: Key<'_>) -> Option<&Entry> {
        self.consult(key, false)
    }

    #[inline]
    fn consult(&mut self, key: Key<'_>, announces_miss: bool) -> Option<&Entry> {
        let hidden = self.is_out_of_sight(key);
        let entry = self.dbs[self.current]
            .dict
            .find(key.hash, key.bytes)
            .filter(|_| !hidden);
        if entry.is_some() {
            self.stats.hits += 1;
            return entry;
        }
        self.stats.misses += 1;
        if announces_miss {
            self.changes
                .event(Classes::KEY_MISS, "keymiss", self.current, key.bytes);
        }
        None
    }

    /// The entry as it is stored, expired or not: for a second look at a key just inspected.
    #[inline]
    pub fn stored(&self, key: Key<'_>) -> Option<&Entry> {
        self.here().dict.find(key.hash, key.bytes)
    }

    /// The entry of a key for a write that looks before it changes: no counters, no trace in it.
    #[inline]
    pub fn peek(&mut self, key: Key<'_>) -> Option<&Entry> {
        self.forget_if_expired(key);
        self.dbs[self.current].dict.find(key.hash, key.bytes)
    }

    /// The string a key holds, for a write that looks before it changes.
    #[inline]
    pub fn peek_string(&mut self, key: Key<'_>) -> Result<Option<StringRef<'_>>, WrongType> {
        self.peek(key)
            .map(|entry| entry.string().ok_or(WrongType))
            .transpose()
    }

    /// Whether the key exists; counts and touches nothing.
    #[inline]
    pub fn exists(&mut self, key: Key<'_>) -> bool {
        self.peek(key).is_some()
    }

    /// The entry of a key for a write that may leave it as it is (SETNX, EXPIRE): no counters, but a use.
    #[inline]
    pub fn meet(&mut self, key: Key<'_>) -> Option<&Entry> {
        self.forget_if_expired(key);
        let entry = self.dbs[self.current].dict.find_mut(key.hash, key.bytes)?;
        self.access.touch(entry);
        Some(entry)
    }

    /// Notes a use of the key (TOUCH); whether it exists.
    pub fn touch_access(&mut self, key: Key<'_>) -> bool {
        self.read(key).is_some()
    }

    /// Stores `value` whatever the key held; events `set` and, with a new expiry, `expire`.
    ///
    /// An expiry that has passed already is stored all the same: the key expires when next met.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, value: NewValue<'_>, expiry: SetExpiry) {
        self.store(key, value, expiry);
        self.changes.touch(self.current, key.bytes);
        self.changes
            .event(Classes::STRING, "set", self.current, key.bytes);
        if let SetExpiry::At(_) = expiry {
            self.changes
                .event(Classes::GENERIC, "expire", self.current, key.bytes);
        }
    }

    /// Stores without events and counts: the inner half of [`Keyspace::set`].
    #[inline]
    pub(super) fn store(&mut self, key: Key<'_>, value: NewValue<'_>, expiry: SetExpiry) {
        self.forget_if_expired(key);
        let db = &mut self.dbs[self.current];
        let fresh = self.access.fresh();
        match db.dict.entry(key.hash, key.bytes) {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let old = entry.expire_at();
                let old_soonest = entry.soonest();
                let new = match expiry {
                    SetExpiry::Clear => None,
                    SetExpiry::Keep => old,
                    SetExpiry::At(at) => Some(at),
                };
                let discarded = replace(entry, value, new);
                let soonest = entry.soonest();
                // Another value under the same name: as new by the clock, used once more by the count.
                if self.access.lfu {
                    self.access.touch(entry);
                } else {
                    entry.set_access(fresh);
                }
                if old != new {
                    db.expiry_changed(old, new);
                    mark(db, key.hash, new);
                }
                db.soonest_changed(key.hash, old_soonest, soonest);
                if let Some(discarded) = discarded {
                    self.discard(discarded, self.lazy.server_del);
                }
                // It may be of another type now.
                self.changes.ready(self.current, key.bytes);
            }
            Place::Vacant(place) => {
                let new = if let SetExpiry::At(at) = expiry {
                    Some(at)
                } else {
                    None
                };
                let soonest = place.insert(Entry::new(key.bytes, value, new, fresh)).soonest();
                db.soonest_changed(key.hash, None, soonest);
                if new.is_some() {
                    db.expiry_changed(None, new);
                    mark(db, key.hash, new);
                }
                self.changes.event(Classes::NEW, "new", self.current, key.bytes);
            }
        }
    }

    /// Puts a complete entry under its own key, which must be free; event only `new`.
    pub fn insert(&mut self, db_index: usize, entry: Entry) {
        self.insert_hashed(db_index, self.hasher.hash(entry.key()), entry);
    }

    pub(super) fn insert_hashed(&mut self, db_index: usize, hash: u64, entry: Entry) {
        let (expire_at, soonest) = (entry.expire_at(), entry.soonest());
        self.changes.event(Classes::NEW, "new", db_index, entry.key());
        self.changes.ready(db_index, entry.key());
        let db = &mut self.dbs[db_index];
        db.dict.insert_new(hash, entry);
        db.expiry_changed(None, expire_at);
        mark(db, hash, expire_at);
        db.soonest_changed(hash, None, soonest);
    }

    /// Takes an entry out; no events, no counts.
    pub fn take(&mut self, db_index: usize, key: Key<'_>) -> Option<Entry> {
        let db = &mut self.dbs[db_index];
        let entry = db.dict.remove(key.hash, key.bytes)?;
        db.expiry_changed(entry.expire_at(), None);
        db.value_gone(&entry);
        self.changes.ready(db_index, key.bytes);
        Some(entry)
    }

    /// Replaces the string by what `edit` makes of it (`None`: no such key); expiry stays. Event: `event`.
    ///
    /// # Errors
    /// [`EditError`]; nothing has changed then.
    #[inline]
    pub fn edit_string<E>(
        &mut self,
        key: Key<'_>,
        event: &'static str,
        edit: impl FnOnce(Option<StringRef<'_>>) -> Result<NewString, E>,
    ) -> Result<(), EditError<E>> {
        self.forget_if_expired(key);
        match self.dbs[self.current].dict.entry(key.hash, key.bytes) {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let old = entry.string().ok_or(EditError::WrongType)?;
                let new = edit(Some(old)).map_err(EditError::Refused)?;
                entry.set(new.as_value());
                self.access.touch(entry);
            }
            Place::Vacant(place) => {
                let new = edit(None).map_err(EditError::Refused)?;
                place.insert(Entry::new(key.bytes, new.as_value(), None, self.access.fresh()));
                self.changes.event(Classes::NEW, "new", self.current, key.bytes);
            }
        }
        self.changes.touch(self.current, key.bytes);
        self.changes
            .event(Classes::STRING, event, self.current, key.bytes);
        Ok(())
    }

    /// Lets `edit` change the bytes of a string in place; a missing key starts empty. Event: `event`, unless `edit`
    /// answers that it changed nothing.
    ///
    /// # Errors
    /// [`WrongType`]. What can be refused must be checked before, with [`Keyspace::peek_string`].
    pub fn edit_bytes<R>(
        &mut self,
        key: Key<'_>,
        event: &'static str,
        edit: impl FnOnce(&mut Vec<u8>) -> (R, Changed),
    ) -> Result<R, WrongType> {
        self.forget_if_expired(key);
        let (answer, changed) = match self.dbs[self.current].dict.entry(key.hash, key.bytes) {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                entry.string().ok_or(WrongType)?;
                self.access.touch(entry);
                edit(entry.string_mut())
            }
            Place::Vacant(place) => {
                let mut bytes = Vec::new();
                let (answer, changed) = edit(&mut bytes);
                if changed == Changed::Yes {
                    let value = NewValue::Value(crate::value::Value::String(bytes));
                    place.insert(Entry::new(key.bytes, value, None, self.access.fresh()));
                    self.changes.event(Classes::NEW, "new", self.current, key.bytes);
                }
                (answer, changed)
            }
        };
        if changed == Changed::Yes {
            self.changes.touch(self.current, key.bytes);
            self.changes
                .event(Classes::STRING, event, self.current, key.bytes);
        }
        Ok(answer)
    }

    /// Lets `amend` rewrite the bytes of a string whose meaning stays (a cache in it, another encoding): counted and
    /// seen by watchers, but no event. `None`: no such key.
    ///
    /// # Errors
    /// [`WrongType`].
    pub fn amend_bytes<R>(
        &mut self,
        key: Key<'_>,
        amend: impl FnOnce(&mut Vec<u8>) -> (R, Changed),
    ) -> Result<Option<R>, WrongType> {
        self.forget_if_expired(key);
        let db = &mut self.dbs[self.current];
        let Some(entry) = db.dict.find_mut(key.hash, key.bytes) else {
            return Ok(None);
        };
        entry.string().ok_or(WrongType)?;
        let (answer, changed) = amend(entry.string_mut());
        if changed == Changed::Yes {
            self.changes.touch(self.current, key.bytes);
        }
        Ok(Some(answer))
    }

    /// Removes a key; whether it was there. Event `del`. `lazy`: big values are freed elsewhere.
    pub fn delete(&mut self, key: Key<'_>, lazy: bool) -> bool {
        self.forget_if_expired(key);
        self.delete_stored(key, lazy)
    }

    /// The same for a key whose time may be over already, which it then does not tell: what an empty result replaces
    /// (SINTERSTORE, BITOP), or what another server has taken, is deleted as it is.
    pub fn delete_stored(&mut self, key: Key<'_>, lazy: bool) -> bool {
        let Some(entry) = self.take(self.current, key) else {
            return false;
        };
        self.discard(entry, lazy);
        self.changes.touch(self.current, key.bytes);
        self.changes
            .event(Classes::GENERIC, "del", self.current, key.bytes);
        true
    }

    /// Sets a key's expiry; false when there is no such key. Event `expire`.
    pub fn set_expire(&mut self, key: Key<'_>, at_ms: i64) -> bool {
        self.change_expiry(key, Some(at_ms), "expire")
    }

    /// Removes a key's expiry; false when there is no such key. Event `persist`.
    pub fn persist(&mut self, key: Key<'_>) -> bool {
        self.change_expiry(key, None, "persist")
    }

    fn change_expiry(&mut self, key: Key<'_>, new: Option<i64>, event: &'static str) -> bool {
        let db = &mut self.dbs[self.current];
        let Some(entry) = db.dict.find_mut(key.hash, key.bytes) else {
            return false;
        };
        let old = entry.expire_at();
        entry.set_expire_at(new);
        db.expiry_changed(old, new);
        mark(db, key.hash, new);
        self.changes.touch(self.current, key.bytes);
        self.changes
            .event(Classes::GENERIC, event, self.current, key.bytes);
        true
    }

    /// Sees to it that a read finds no expired key: removes it or, while expiry is suspended, tells that it is there but
    /// is not to be seen.
    #[inline]
    fn is_out_of_sight(&mut self, key: Key<'_>) -> bool {
        if self.expire_suspended {
            let found = self.here().dict.find(key.hash, key.bytes);
            return found.is_some_and(|entry| !self.is_visible(entry, self.now_ms));
        }
        self.forget_if_expired(key);
        false
    }

    /// Removes the key if its time has come, before anybody sees it.
    #[inline]
    pub(super) fn forget_if_expired(&mut self, key: Key<'_>) {
        let db = &self.dbs[self.current];
        if db.volatile == 0 || !self.expire_lazily {
            return;
        }
        if db
            .dict
            .find(key.hash, key.bytes)
            .is_some_and(|entry| is_past(entry, self.now_ms))
        {
            self.expire_now(key);
        }
    }

    #[cold]
    fn expire_now(&mut self, key: Key<'_>) {
        if let Some(entry) = self.take(self.current, key) {
            self.note_expired(self.current, entry);
        }
    }

    /// Everything that follows from a key's expiry, lazy or active, once it is out of the table.
    pub(super) fn note_expired(&mut self, db: usize, entry: Entry) {
        self.stats.expired += 1;
        self.changes.expired(db, entry.key());
        self.changes.event(Classes::EXPIRED, "expired", db, entry.key());
        let verb: &[u8] = if self.lazy.expire { b"UNLINK" } else { b"DEL" };
        self.changes.propagate_removal(db, &[verb, entry.key()]);
        self.discard(entry, self.lazy.expire);
    }

    /// Frees an entry, here or on the lazy-free thread.
    pub(super) fn discard(&mut self, entry: Entry, lazy: bool) {
        if lazy && entry.free_effort() > LAZY_EFFORT {
            self.lazyfree.free(Garbage::Entry(entry));
        }
    }

    /// Frees what another room has done with, on the lazy-free thread when it has many parts.
    pub fn free_elsewhere(&mut self, garbage: impl Any + Send, parts: usize) {
        if parts > LAZY_EFFORT {
            self.lazyfree.free(Garbage::Other(Box::new(garbage), parts));
        }
    }

    pub(super) fn discard_table(&mut self, table: crate::ds::dict::Dict<Entry>, lazy: bool) {
        if lazy {
            self.lazyfree.free(Garbage::Table(table));
        }
    }
}

/// Whether an in-place edit changed the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Yes,
    /// It did not.
    No,
}

/// What an edit leaves behind.
#[derive(Debug)]
pub enum NewString {
    /// An integer.
    Int(i64),
    /// Text, kept as it is even if it looks like an integer.
    Text(Vec<u8>),
}

impl NewString {
    fn as_value(&self) -> NewValue<'_> {
        match self {
            NewString::Int(n) => NewValue::Int(*n),
            NewString::Text(text) => NewValue::Bytes(text),
        }
    }
}

/// Puts value and expiry into an entry; hands back the old entry when it is worth freeing elsewhere.
#[inline]
fn replace(entry: &mut Entry, value: NewValue<'_>, expire_at: Option<i64>) -> Option<Entry> {
    if entry.expire_at().is_some() == expire_at.is_some() && entry.free_effort() <= LAZY_EFFORT {
        entry.set(value);
        entry.set_expire_at(expire_at);
        return None;
    }
    let fresh = Entry::new(entry.key(), value, expire_at, entry.access());
    Some(std::mem::replace(entry, fresh))
}

/// Keeps K2.
#[inline]
fn mark(db: &mut super::Db, hash: u64, expire_at: Option<i64>) {
    if let Some(at) = expire_at {
        db.lower_mark(hash, at);
    }
}
