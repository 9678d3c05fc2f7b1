//! The gate for collections: reading and changing a list, set, hash, sorted set or stream in place.
//!
//! A handler hands a closure the value and an [`Edit`], in which the closure notes what it did. The gate does the rest:
//! lookup, removal of an expired key, type check, creation, removal of an emptied collection, access field, watchers,
//! events in order, dirty count, waking of blocked clients.

use crate::ds::dict::Entry as Place;
use crate::value::{Kind, Limits, Typed};

use super::changes::{Changes, Classes};
use super::entry::{Entry, NewValue, View};
use super::{Key, Keyspace, WrongType};

/// What a change to a value needs to know, and where it notes what it did.
pub struct Edit<'a> {
    /// When to switch encodings.
    pub limits: &'a Limits,
    /// Unix milliseconds.
    pub now_ms: i64,
    changes: &'a mut Changes,
    class: Classes,
    db: usize,
    key: &'a [u8],
    changed: bool,
    was_new: bool,
}

impl Edit<'_> {
    /// The value has changed by `count` elements: one event, `count` towards the next save. What never says so has
    /// changed nothing.
    #[inline]
    pub fn changed(&mut self, event: &'static str, count: u64) {
        self.changed_quietly(count);
        self.changes.event(self.class, event, self.db, self.key);
    }

    /// The value has changed, without an event of its own.
    #[inline]
    pub fn changed_quietly(&mut self, count: u64) {
        if !self.changed {
            self.changed = true;
            self.changes.wake(self.db, self.key);
            if self.was_new {
                self.changes.event(Classes::NEW, "new", self.db, self.key);
            }
        }
        self.changes.dirty += count;
    }

    /// Something beside the value has changed that no transaction depends on, a stream's groups: counted like a change,
    /// but watchers are not woken, and a new key is not kept for it.
    #[inline]
    pub fn noted(&mut self, event: &'static str, count: u64) {
        self.changes.dirty += count;
        self.changes.event(self.class, event, self.db, self.key);
    }

    /// As [`Edit::noted`], without an event.
    #[inline]
    pub fn noted_quietly(&mut self, count: u64) {
        self.changes.dirty += count;
    }

    /// Whether anybody follows what is propagated: else the words for [`Edit::instead`] need not be put together.
    #[inline]
    pub fn is_followed(&self) -> bool {
        self.changes.followed
    }

    /// The running command propagates as these words; said again, also as those.
    pub fn instead(&mut self, words: &[&[u8]]) {
        self.changes.instead(self.db, words);
    }

    /// Clients blocked on the key should look again, although it is not new (XADD).
    #[inline]
    pub fn ready(&mut self) {
        self.changes.ready(self.db, self.key);
    }

    /// Whether the key did not exist before.
    pub fn is_new(&self) -> bool {
        self.was_new
    }
}

impl Keyspace {
    /// The collection a key holds, for a command that reads it: counts a hit or miss and notes the use.
    ///
    /// # Errors
    /// [`WrongType`].
    #[inline]
    pub fn read_as<T: Typed>(&mut self, key: Key<'_>) -> Result<Option<&T>, WrongType> {
        self.read(key).map(of).transpose()
    }

    /// The collection a key holds, for a write that looks before it changes: no counters, no trace.
    ///
    /// # Errors
    /// [`WrongType`].
    #[inline]
    pub fn peek_as<T: Typed>(&mut self, key: Key<'_>) -> Result<Option<&T>, WrongType> {
        self.peek(key).map(of).transpose()
    }

    /// The collection a key holds, expired or not: for a second look at a key just read.
    #[inline]
    pub fn stored_as<T: Typed>(&self, key: Key<'_>) -> Option<&T> {
        self.stored(key).and_then(|entry| of(entry).ok())
    }

    /// Lets `change` alter an existing collection; `None` when there is no such key. One left empty is removed (event
    /// `del`).
    ///
    /// # Errors
    /// [`WrongType`]; nothing has changed then.
    #[inline]
    pub fn edit<T: Typed, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T, &mut Edit<'_>) -> R,
    ) -> Result<Option<R>, WrongType> {
        self.forget_if_expired(key);
        let db = self.current;
        let Some(entry) = self.dbs[db].dict.find_mut(key.hash, key.bytes) else {
            return Ok(None);
        };
        let value = of_mut::<T>(entry)?;
        let soonest = value.soonest();
        let mut edit = Edit::new::<T>(&self.limits, self.now_ms, &mut self.changes, db, key.bytes);
        let answer = change(value, &mut edit);
        let (emptied, soonest_now) = (value.is_empty(), value.soonest());
        self.access.touch(entry);
        self.dbs[db].soonest_changed(key.hash, soonest, soonest_now);
        if emptied {
            self.remove_emptied(key);
        }
        Ok(Some(answer))
    }

    /// As [`Keyspace::edit`], but a missing key starts as an empty collection, and stays missing if nothing changed.
    ///
    /// # Errors
    /// [`WrongType`]; nothing has changed then.
    #[inline]
    pub fn edit_or_new<T: Typed, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T, &mut Edit<'_>) -> R,
    ) -> Result<R, WrongType> {
        self.forget_if_expired(key);
        let db = self.current;
        let mut edit = Edit::new::<T>(&self.limits, self.now_ms, &mut self.changes, db, key.bytes);
        match self.dbs[db].dict.entry(key.hash, key.bytes) {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let value = of_mut::<T>(entry)?;
                let soonest = value.soonest();
                let answer = change(value, &mut edit);
                let (emptied, soonest_now) = (value.is_empty(), value.soonest());
                self.access.touch(entry);
                self.dbs[db].soonest_changed(key.hash, soonest, soonest_now);
                if emptied {
                    self.remove_emptied(key);
                }
                Ok(answer)
            }
            Place::Vacant(place) => {
                let mut value = T::empty();
                edit.was_new = true;
                let answer = change(&mut value, &mut edit);
                if edit.changed && !value.is_empty() {
                    let soonest = value.soonest();
                    let value = NewValue::Value(value.into_value());
                    place.insert(Entry::new(key.bytes, value, None, self.access.fresh()));
                    self.dbs[db].soonest_changed(key.hash, None, soonest);
                    self.changes.ready(db, key.bytes);
                }
                Ok(answer)
            }
        }
    }

    /// Stores a whole collection whatever the key held, without expiry (SINTERSTORE and its like); an empty one removes
    /// the key. Whether something was stored. Events: `event`, or `del` when that removed something.
    pub fn store_as<T: Typed>(&mut self, key: Key<'_>, value: T, event: &'static str) -> bool {
        if value.is_empty() {
            self.delete_stored(key, self.lazy.server_del);
            return false;
        }
        let value = NewValue::Value(value.into_value());
        self.store(key, value, super::gate::SetExpiry::Clear);
        self.changes.touch(self.current, key.bytes);
        self.changes
            .event(class_of(T::KIND), event, self.current, key.bytes);
        self.changes.ready(self.current, key.bytes);
        true
    }

    /// Removes a collection that an edit has left empty. The edit has been counted already.
    fn remove_emptied(&mut self, key: Key<'_>) {
        let Some(entry) = self.take(self.current, key) else {
            return;
        };
        self.discard(entry, self.lazy.server_del);
        self.changes
            .event(Classes::GENERIC, "del", self.current, key.bytes);
    }
}

impl<'a> Edit<'a> {
    #[inline]
    fn new<T: Typed>(
        limits: &'a Limits,
        now_ms: i64,
        changes: &'a mut Changes,
        db: usize,
        key: &'a [u8],
    ) -> Edit<'a> {
        Edit {
            limits,
            now_ms,
            changes,
            class: class_of(T::KIND),
            db,
            key,
            changed: false,
            was_new: false,
        }
    }
}

/// The class of the events of a type.
const fn class_of(kind: Kind) -> Classes {
    match kind {
        Kind::String => Classes::STRING,
        Kind::List => Classes::LIST,
        Kind::Set => Classes::SET,
        Kind::Hash => Classes::HASH,
        Kind::Zset => Classes::ZSET,
        Kind::Stream => Classes::STREAM,
    }
}

#[inline]
fn of<T: Typed>(entry: &Entry) -> Result<&T, WrongType> {
    match entry.view() {
        View::Value(value) => T::of(value).ok_or(WrongType),
        _ => Err(WrongType),
    }
}

/// Looks at the type first: getting at the value of a string would move it out of its entry.
#[inline]
fn of_mut<T: Typed>(entry: &mut Entry) -> Result<&mut T, WrongType> {
    match entry.held_mut() {
        Some(value) => T::of_mut(value).ok_or(WrongType),
        None => Err(WrongType),
    }
}
