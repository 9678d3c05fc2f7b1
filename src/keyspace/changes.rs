//! What commands changed, in order, until the executor's drain tells the rest of the world.
//!
//! Nothing is recorded for listeners that do not exist: with no AOF, replica, subscriber or watcher a change costs a
//! counter and a few branches.

use bitflags::bitflags;

use super::interest::{Interest, SlotId, Watch};
use super::modified::Modified;

bitflags! {
    /// Classes of keyspace events (`notify-keyspace-events`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Classes: u32 {
        /// `K`: publish on `__keyspace@<db>__:<key>`.
        const KEYSPACE = 1 << 0;
        /// `E`: publish on `__keyevent@<db>__:<event>`.
        const KEYEVENT = 1 << 1;
        /// `g`: commands of no type (DEL, EXPIRE, RENAME).
        const GENERIC = 1 << 2;
        /// `$`.
        const STRING = 1 << 3;
        /// `l`.
        const LIST = 1 << 4;
        /// `s`.
        const SET = 1 << 5;
        /// `h`.
        const HASH = 1 << 6;
        /// `z`.
        const ZSET = 1 << 7;
        /// `x`: expired keys.
        const EXPIRED = 1 << 8;
        /// `e`: evicted keys.
        const EVICTED = 1 << 9;
        /// `t`.
        const STREAM = 1 << 10;
        /// `m`: reads that found nothing.
        const KEY_MISS = 1 << 11;
        /// `d`: module types.
        const MODULE = 1 << 12;
        /// `n`: new keys.
        const NEW = 1 << 13;
        /// `A`: all but `m` and `n`.
        const ALL = Self::GENERIC.bits() | Self::STRING.bits() | Self::LIST.bits() | Self::SET.bits()
            | Self::HASH.bits() | Self::ZSET.bits() | Self::EXPIRED.bits() | Self::EVICTED.bits()
            | Self::STREAM.bits() | Self::MODULE.bits();
    }
}

bitflags! {
    /// Who follows the stream of writes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Audience: u8 {
        /// The append-only file.
        const LOG = 1 << 0;
        /// Replicas.
        const REPLICAS = 1 << 1;
    }
}

impl Classes {
    /// The classes of a `notify-keyspace-events` value; `None` for an unknown letter.
    pub fn parse(text: &str) -> Option<Classes> {
        text.chars().try_fold(Classes::empty(), |all, letter| {
            Some(
                all | match letter {
                    'A' => Classes::ALL,
                    'g' => Classes::GENERIC,
                    '$' => Classes::STRING,
                    'l' => Classes::LIST,
                    's' => Classes::SET,
                    'h' => Classes::HASH,
                    'z' => Classes::ZSET,
                    'x' => Classes::EXPIRED,
                    'e' => Classes::EVICTED,
                    'K' => Classes::KEYSPACE,
                    'E' => Classes::KEYEVENT,
                    't' => Classes::STREAM,
                    'm' => Classes::KEY_MISS,
                    'd' => Classes::MODULE,
                    'n' => Classes::NEW,
                    _ => return None,
                },
            )
        })
    }
}

/// Something that happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Class, for filters.
    pub class: Classes,
    /// Redis's name for it (`set`, `expired`).
    pub name: &'static str,
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
}

/// A command for AOF and replicas, already deterministic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagated {
    /// Database it runs in; `None` for what runs in any (MULTI, EXEC).
    pub db: Option<usize>,
    /// Its words.
    pub words: Vec<Box<[u8]>>,
    /// Who is to have it.
    pub audience: Audience,
}

/// What has changed since the last drain, and who wants to know.
#[derive(Debug)]
pub struct Changes {
    /// Changes since the last save, as INFO counts them.
    pub dirty: u64,
    /// Which events are wanted (`notify-keyspace-events`).
    pub wanted: Classes,
    /// Whether anything follows the stream of writes (AOF, replicas).
    pub followed: bool,
    /// Which of those are to have what commands write; a script may choose (`redis.set_repl`).
    pub audience: Audience,
    /// Whether any client watches a key.
    watching: bool,
    /// Whether any client is blocked until a key is ready.
    blocking: bool,
    /// Whether changed keys are kept in `modified`: some client may hold them in a cache of its own.
    pub tracked: bool,
    /// Those keys, until the drain.
    pub modified: Modified,
    /// The keys that clients watch or wait for.
    pub interest: Interest,
    /// Events in order.
    pub events: Vec<Event>,
    /// Commands to propagate, in order.
    pub propagated: Vec<Propagated>,
    /// The running command has said itself what to propagate.
    pub overridden: bool,
}

impl Changes {
    /// Nothing has changed. `seed` makes hashing repeatable.
    pub fn new(seed: u64) -> Changes {
        Changes {
            dirty: 0,
            wanted: Classes::empty(),
            followed: false,
            audience: Audience::all(),
            watching: false,
            blocking: false,
            tracked: false,
            modified: Modified::default(),
            interest: Interest::new(seed),
            events: Vec::new(),
            propagated: Vec::new(),
            overridden: false,
        }
    }

    /// Whether a drain has nothing to do.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        // What a command has said itself holds for that command: left standing, it would keep the next one out of the log.
        self.events.is_empty() && self.propagated.is_empty() && self.modified.is_empty() && !self.overridden
    }

    /// Records an event if anybody wants its class.
    #[inline]
    pub fn event(&mut self, class: Classes, name: &'static str, db: usize, key: &[u8]) {
        if self.wanted.intersects(class) {
            self.events.push(Event {
                class,
                name,
                db,
                key: key.into(),
            });
        }
    }

    /// A key has changed: counts it and wakes its watchers.
    #[inline]
    pub fn touch(&mut self, db: usize, key: &[u8]) {
        self.dirty += 1;
        self.wake(db, key);
    }

    /// A key has changed: wakes its watchers, counts nothing.
    #[inline]
    pub fn wake(&mut self, db: usize, key: &[u8]) {
        self.wake_watchers(db, key);
        if self.tracked {
            self.modified.key(key, true);
        }
    }

    /// What a name stands for has changed with its whole database, of which caches are told otherwise, if at all.
    #[inline]
    pub(super) fn wake_watchers(&mut self, db: usize, key: &[u8]) {
        if self.watching {
            self.interest.touch(db, key);
        }
    }

    /// A key has been removed because its time had come: wakes those of its watchers who knew it alive.
    #[inline]
    pub(super) fn expired(&mut self, db: usize, key: &[u8]) {
        self.expired_for_watchers(db, key);
        if self.tracked {
            self.modified.key(key, false);
        }
    }

    /// As [`Changes::wake_watchers`], of a key that had expired.
    #[inline]
    pub(super) fn expired_for_watchers(&mut self, db: usize, key: &[u8]) {
        if self.watching {
            self.interest.expire(db, key);
        }
    }

    /// A database has been emptied.
    pub(super) fn flushed(&mut self) {
        if self.tracked {
            self.modified.all();
        }
    }

    /// A key came into being, went, or has something new for those who wait: blocked clients should look again.
    #[inline]
    pub fn ready(&mut self, db: usize, key: &[u8]) {
        if self.blocking {
            self.interest.ready(db, key);
        }
    }

    /// A client begins to watch a key. `stale`: it is there but has expired.
    pub(super) fn watch(&mut self, db: usize, key: &[u8], stale: bool) -> Watch {
        self.watching = true;
        self.interest.watch(db, key, stale)
    }

    /// A client's watch ends.
    pub fn unwatch(&mut self, watch: Watch) {
        self.interest.unwatch(watch);
        self.watching = self.interest.watched() > 0;
    }

    /// A client begins to wait for a key; `when_gone`: also for its removal or change of type.
    pub fn wait(&mut self, db: usize, key: &[u8], when_gone: bool) -> SlotId {
        self.blocking = true;
        self.interest.wait(db, key, when_gone)
    }

    /// A client's wait, begun with the same `when_gone`, ends.
    pub fn unwait(&mut self, slot: SlotId, when_gone: bool) {
        self.interest.unwait(slot, when_gone);
        self.blocking = self.interest.waited() > 0;
    }

    /// Whether anybody watches.
    #[inline]
    pub(super) fn is_watching(&self) -> bool {
        self.watching
    }

    /// Whether anybody waits.
    #[inline]
    pub(super) fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// Propagates these words, beside or instead of the running command ([`Changes::instead`]).
    pub fn propagate(&mut self, db: usize, words: &[&[u8]]) {
        self.propagate_to(self.audience, db, words);
    }

    /// Propagates the removal of what has had its time: to everybody, whatever a script wants of its own writes.
    pub(super) fn propagate_removal(&mut self, db: usize, words: &[&[u8]]) {
        self.propagate_to(Audience::all(), db, words);
    }

    fn propagate_to(&mut self, audience: Audience, db: usize, words: &[&[u8]]) {
        if self.followed && !audience.is_empty() {
            let words = words.iter().map(|&w| w.into()).collect();
            self.propagated.push(Propagated {
                db: Some(db),
                words,
                audience,
            });
        }
    }

    /// The running command propagates as these words (`EXPIRE` as `PEXPIREAT`).
    pub fn instead(&mut self, db: usize, words: &[&[u8]]) {
        self.overridden = true;
        self.propagate(db, words);
    }
}
