//! Keys that come complete, from a snapshot or from RESTORE: value, expiry and trace of use in one.

use super::entry::{Entry, NewValue};
use super::{Key, Keyspace};

/// The trace of use that comes with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// None: it counts as used now.
    Fresh,
    /// Seconds since it was last used.
    IdleSeconds(u32),
    /// The counter of LFU policies.
    Frequency(u8),
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// It is there.
    Stored,
    /// Its time had passed: it is not.
    Expired,
    /// Another of its name is there, which stays.
    Exists,
}

/// A complete key on its way in.
pub struct Arriving {
    db: usize,
    hash: u64,
    entry: Entry,
}

impl Keyspace {
    /// Puts a key into database `db` as it comes; `replaces`: in place of what is there. No events, no counts but
    /// `new`'s: loading a file is no change.
    pub fn restore(
        &mut self,
        db: usize,
        name: &[u8],
        value: NewValue<'_>,
        expire_at: Option<i64>,
        access: Access,
        replaces: bool,
    ) -> Restored {
        match self.prepare(db, name, value, expire_at, access) {
            Some(arriving) => self.admit(arriving, replaces),
            None => Restored::Expired,
        }
    }

    /// Makes the entry of a key and asks for its bucket, for [`Keyspace::admit`] to find it in the cache: between the two
    /// others can be prepared. `None` if its time has passed.
    pub fn prepare(
        &self,
        db: usize,
        name: &[u8],
        value: NewValue<'_>,
        expire_at: Option<i64>,
        access: Access,
    ) -> Option<Arriving> {
        if self.expire_lazily && expire_at.is_some_and(|at| at <= self.now_ms) {
            return None;
        }
        let hash = self.hasher.hash(name);
        self.dbs[db].dict.prefetch_bucket(hash);
        let entry = Entry::new(name, value, expire_at, self.access.restored(access));
        Some(Arriving { db, hash, entry })
    }

    /// Puts a prepared key in its place.
    pub fn admit(&mut self, arriving: Arriving, replaces: bool) -> Restored {
        let Arriving { db, hash, entry } = arriving;
        if self.dbs[db].dict.find(hash, entry.key()).is_some() {
            if !replaces {
                return Restored::Exists;
            }
            let bytes = entry.key();
            if let Some(old) = self.take(db, Key { bytes, hash }) {
                self.discard(old, self.lazy.server_del);
            }
        }
        self.insert_hashed(db, hash, entry);
        Restored::Stored
    }
}
