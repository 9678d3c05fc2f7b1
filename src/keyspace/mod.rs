//! The databases: typed lookup, the gate all writes pass, expiry, and what changed.
//!
//! ```text
//!   handler ── read / peek ───────────> lookup, lazy expiry, hit counters, access field ──> &Entry
//!           ── set / edit / delete ───> lookup, lazy expiry, type check, change,
//!                                       WATCH, event, dirty count, expiry bookkeeping  ──> Changes
//!   executor ── changes.drain ────────> AOF, replicas, Pub/Sub, waiters
//! ```
//!
//! The executor selects the client's database and sets the time before each command; nothing here reads a clock.
//! Invariants: K1 `volatile` and `expire_sum` of a database are the count and sum over its entries that expire, and
//! `part_volatile` the count of those of whose values a part expires (a hash with such fields);
//! K2 a segment's mark is at most the time at which the sweep has to look at one of its entries; K3 every change goes
//! through `gate.rs`, `typed.rs`, `expire.rs`, `evict.rs`, `fields.rs` or `whole.rs`, which record it in [`Changes`].
//!
//! Imports: base, ds, value. Knows no clients, replies or files.

pub mod access;
pub mod changes;
pub mod defrag;
pub mod entry;
pub mod evict;
pub mod expire;
mod fields;
pub mod gate;
pub mod interest;
pub mod lazyfree;
pub mod modified;
pub mod restore;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod typed;
pub mod watch;
pub mod whole;

use crate::base::hash::KeyHasher;
use crate::ds::dict::Dict;

use crate::value::Limits;
use access::AccessPolicy;
use changes::Changes;
use entry::Entry;
use lazyfree::LazyFree;

/// A key with its hash.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The name.
    pub bytes: &'a [u8],
    /// Its hash under the keyspace's hasher.
    pub hash: u64,
}

/// The key holds another type than the command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType;

/// One database.
pub struct Db {
    pub(crate) dict: Dict<Entry>,
    /// Entries with an expiry (K1).
    volatile: usize,
    /// Sum of their expiries, for the average time to live (K1).
    expire_sum: i128,
    /// Entries of whose values a part expires (K1).
    part_volatile: usize,
    sweep: expire::Sweep,
}

impl Db {
    fn new(hasher: KeyHasher) -> Db {
        Db {
            dict: Dict::new(hasher),
            volatile: 0,
            expire_sum: 0,
            part_volatile: 0,
            sweep: expire::Sweep::default(),
        }
    }

    /// Keys it holds, expired ones that nobody has met yet included.
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.dict.is_empty()
    }

    /// Keys that expire.
    pub fn volatile(&self) -> usize {
        self.volatile
    }

    /// Hashes with fields that expire.
    pub fn part_volatile(&self) -> usize {
        self.part_volatile
    }

    /// Mean time to live of the keys that expire, in milliseconds.
    pub fn average_ttl_ms(&self, now_ms: i64) -> i64 {
        if self.volatile == 0 {
            return 0;
        }
        (self.expire_sum / self.volatile as i128 - i128::from(now_ms)).max(0) as i64
    }

    /// The table, for statistics.
    pub fn dict(&self) -> &Dict<Entry> {
        &self.dict
    }

    /// Keeps K1 when an entry's expiry changes, comes or goes.
    #[inline]
    fn expiry_changed(&mut self, old: Option<i64>, new: Option<i64>) {
        if let Some(at) = old {
            self.volatile -= 1;
            self.expire_sum -= i128::from(at);
        }
        if let Some(at) = new {
            self.volatile += 1;
            self.expire_sum += i128::from(at);
        }
    }

    /// Keeps K1 and K2 when the soonest expiry among the parts of the value of hash `hash` changes, comes or goes.
    #[inline]
    fn soonest_changed(&mut self, hash: u64, old: Option<i64>, new: Option<i64>) {
        if old == new {
            return;
        }
        self.count_part(old, new);
        if let Some(at) = new {
            self.lower_mark(hash, at);
        }
    }

    /// Keeps K1 alone.
    fn count_part(&mut self, old: Option<i64>, new: Option<i64>) {
        self.part_volatile -= usize::from(old.is_some());
        self.part_volatile += usize::from(new.is_some());
    }

    /// Keeps K2.
    #[inline]
    fn lower_mark(&mut self, hash: u64, at_ms: i64) {
        self.dict.lower_mark(hash, at_ms.max(0) as u64);
    }

    /// Keeps K1 when a value goes that was in this database.
    #[inline]
    fn value_gone(&mut self, entry: &Entry) {
        // Most databases have no such value: then there is no need to look at this one.
        if self.part_volatile > 0 {
            self.part_volatile -= usize::from(entry.soonest().is_some());
        }
    }
}

/// Counters of lookups and removals.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyspaceStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Fields of hashes removed because their time had come.
    pub expired_fields: u64,
    /// Sweeps that ran out of time before they were done.
    pub expire_time_cap_reached: u64,
    /// Estimated share of expired keys among those that expire, in percent.
    pub expired_stale_percent: f64,
    /// Time spent in sweeps, microseconds.
    pub expire_cycle_us: u64,
}

/// Which removals leave the freeing to another thread (the `lazyfree-lazy-*` directives).
#[derive(Debug, Clone, Copy, Default)]
pub struct LazyPolicy {
    /// Evicted keys.
    pub eviction: bool,
    /// Expired keys.
    pub expire: bool,
    /// Keys overwritten or removed as a side effect (RENAME).
    pub server_del: bool,
    /// `DEL` behaves as `UNLINK`.
    pub user_del: bool,
    /// `FLUSHALL` and `FLUSHDB` without an option.
    pub user_flush: bool,
}

/// All databases and what changed in them.
pub struct Keyspace {
    dbs: Vec<Db>,
    hasher: KeyHasher,
    current: usize,
    /// Unix milliseconds of the present drain.
    pub now_ms: i64,
    /// What has changed since the last drain.
    pub changes: Changes,
    /// Lookup counters.
    pub stats: KeyspaceStats,
    /// How the access field is kept.
    pub access: AccessPolicy,
    /// Up to which size collections keep their small encodings.
    pub limits: Limits,
    /// What is freed elsewhere.
    pub lazy: LazyPolicy,
    /// `DEBUG SET-ACTIVE-EXPIRE 0`-like switch for lazy expiry: off while a file is loaded or on a replica.
    pub expire_lazily: bool,
    /// Reads hide expired keys and leave them where they are (CLIENT PAUSE); a write that meets one removes it.
    pub expire_suspended: bool,
    /// The memory report: the last survey, or the one under way.
    pub survey: Option<Box<survey::Survey>>,
    lazyfree: LazyFree,
    /// Tables keep their room when keys go.
    keeps_room: bool,
}

impl Keyspace {
    /// `count` empty databases.
    pub fn new(count: usize, hasher: KeyHasher) -> Keyspace {
        Keyspace {
            dbs: (0..count).map(|_| Db::new(hasher)).collect(),
            hasher,
            current: 0,
            now_ms: 0,
            changes: Changes::new(hasher.hash(b"interest")),
            stats: KeyspaceStats::default(),
            access: AccessPolicy::default(),
            limits: Limits::new(hasher),
            lazy: LazyPolicy::default(),
            expire_lazily: true,
            expire_suspended: false,
            survey: None,
            lazyfree: LazyFree::default(),
            keeps_room: false,
        }
    }

    /// Selects the database that the following calls work on.
    ///
    /// # Panics
    /// When there is no such database: SELECT checks.
    #[inline]
    pub fn select(&mut self, db: usize) {
        debug_assert!(db < self.dbs.len());
        self.current = db;
    }

    /// The selected database's index.
    pub fn selected(&self) -> usize {
        self.current
    }

    /// How many databases there are.
    pub fn db_count(&self) -> usize {
        self.dbs.len()
    }

    /// Database `index`.
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    /// The selected database.
    pub fn here(&self) -> &Db {
        &self.dbs[self.current]
    }

    /// Whether tables keep their room when keys go (DEBUG DICT-RESIZING 0) or shrink again.
    pub fn keep_room(&mut self, keeps_room: bool) {
        self.keeps_room = keeps_room;
        self.dbs.iter_mut().for_each(|db| db.dict.keep_room(keeps_room));
    }

    fn empty_db(&self) -> Db {
        let mut db = Db::new(self.hasher);
        db.dict.keep_room(self.keeps_room);
        db
    }

    /// How keys are hashed.
    #[inline]
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// `bytes` as a key.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key {
            bytes,
            hash: self.hasher.hash(bytes),
        }
    }

    /// First pass of the prefetch: the bucket a key would be in.
    #[inline]
    pub fn prefetch_bucket(&self, db: usize, hash: u64) {
        self.dbs[db].dict.prefetch_bucket(hash);
    }

    /// Second pass: the entry itself.
    #[inline]
    pub fn prefetch_entry(&self, db: usize, hash: u64) {
        self.dbs[db].dict.prefetch_element(hash);
    }

    /// Values handed to the lazy-free thread and not freed yet, and those freed since start.
    pub fn lazyfree_counts(&self) -> (usize, u64) {
        self.lazyfree.counts()
    }

    /// Frees everything here from now on: for a forked child.
    pub fn free_here(&mut self) {
        self.lazyfree.stay_here();
    }

    /// Has `bell` called when all is freed that was handed to the lazy-free thread before; its number.
    pub fn hang_bell(&mut self, bell: lazyfree::Bell) -> u64 {
        self.lazyfree.hang_bell(bell)
    }

    /// The number of the last bell that has rung.
    pub fn bells_rung(&self) -> u64 {
        self.lazyfree.rung()
    }

    /// Forgets how many were freed lazily (CONFIG RESETSTAT).
    pub fn reset_lazyfreed(&mut self) {
        self.lazyfree.reset();
    }
}
