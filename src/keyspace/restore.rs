//! Keys that come complete, from a snapshot or from RESTORE: value, expiry and trace of use in one.

use super::Keyspace;
use super::entry::{Entry, NewValue};

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
        if self.expire_lazily && expire_at.is_some_and(|at| at <= self.now_ms) {
            return Restored::Expired;
        }
        let key = self.key(name);
        if self.dbs[db].dict.find(key.hash, name).is_some() {
            if !replaces {
                return Restored::Exists;
            }
            if let Some(old) = self.take(db, key) {
                self.discard(old, self.lazy.server_del);
            }
        }
        let access = self.access.restored(access);
        self.insert(db, Entry::new(name, value, expire_at, access));
        Restored::Stored
    }
}
