//! Active expiry: removing keys whose time has come although nobody asks for them.
//!
//! Every segment of the table carries the earliest expiry in it (K2). A sweep walks the segments in hash order, opens
//! only those whose mark has passed, removes what is due and sets the mark to the earliest expiry left. The work per
//! step is one segment, so the caller can stop between steps when its time is up.
//!
//! A segment in which one key after another comes due would be opened again and again for little. So a database is
//! swept whole at most once per `PASS_NS_PER_KEY` for each key that expires, unless the last pass was worth its
//! while. With ten million such keys that is a pass in ten seconds; with a thousand, in a millisecond.
//!
//! A hash with due fields is opened in the same way: the mark covers its soonest field, the sweep notes the names of
//! such hashes, and each further step removes fields of those until it has looked at `FIELDS_PER_STEP`. A big hash has
//! segments and marks of its own, and rests after a pass that found little, as a database does.

use crate::ds::dict::{NO_MARK, Verdict};

use super::{Keyspace, entry::Entry};

/// Least time between the starts of two passes, per expiring key.
const PASS_NS_PER_KEY: i64 = 1_000;

/// A pass that removed at least one in this many of the keys it looked at was worth its while.
const WORTHWHILE_ONE_IN: usize = 10;

/// Fields of hashes that one step looks at; a piece of a big hash is looked at whole, so it may be 1,700 more.
const FIELDS_PER_STEP: usize = 1_000;

/// Where a database's sweep stands.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    cursor: u64,
    /// Hashes met that have due fields, still to be seen to. The marks do not cover them.
    hashes: Vec<Box<[u8]>>,
    seen: u64,
    removed: u64,
    /// No new pass in this span of Unix milliseconds.
    rest_from_ms: i64,
    rest_until_ms: i64,
}

impl Sweep {
    /// Whether a pass has ended a moment ago. A clock set back by an hour does not make it rest for an hour.
    fn rests(&self, now_ms: i64) -> bool {
        self.cursor == 0
            && self.hashes.is_empty()
            && (self.rest_from_ms..self.rest_until_ms).contains(&now_ms)
    }
}

impl Keyspace {
    /// Sweeps all databases until nothing is due or `go_on` says stop; whether it was stopped with work left.
    ///
    /// `go_on` is asked after every segment.
    pub fn sweep_expired(&mut self, go_on: &mut dyn FnMut() -> bool) -> bool {
        for db in 0..self.dbs.len() {
            while self.sweep_step(db) {
                if !go_on() {
                    return true;
                }
            }
        }
        false
    }

    /// One segment, or some fields of hashes; false when the pass is over or resting.
    fn sweep_step(&mut self, index: usize) -> bool {
        let now_ms = self.now_ms;
        let db = &mut self.dbs[index];
        if (db.volatile == 0 && db.part_volatile == 0) || db.sweep.rests(now_ms) {
            return false;
        }
        if !db.sweep.hashes.is_empty() {
            self.expire_fields(index);
            return true;
        }
        let mut due: Vec<Entry> = Vec::new();
        let (mut seen, hashes) = (0, &mut db.sweep.hashes);
        let next = db.dict.sweep(
            db.sweep.cursor,
            now_ms.max(0) as u64,
            &mut |entry| {
                let (own, part) = (entry.expire_at(), entry.soonest());
                seen += u64::from(own.is_some() || part.is_some());
                if own.is_some_and(|at| at <= now_ms) {
                    return Verdict::Remove;
                }
                if part.is_some_and(|at| at <= now_ms) {
                    hashes.push(entry.key().into());
                }
                let later = [own, part].into_iter().flatten().filter(|&at| at > now_ms);
                Verdict::Keep(later.min().map_or(NO_MARK, |at| at as u64))
            },
            &mut |entry| due.push(entry),
        );
        for entry in &due {
            db.expiry_changed(entry.expire_at(), None);
            db.value_gone(entry);
        }
        db.sweep.seen += seen;
        db.sweep.removed += due.len() as u64 + db.sweep.hashes.len() as u64;
        db.sweep.cursor = next;
        if next == 0 {
            self.end_pass(index);
        }
        for entry in due {
            self.note_expired(index, entry);
        }
        next != 0 || !self.dbs[index].sweep.hashes.is_empty()
    }

    /// Removes due fields of the hashes that the sweep has met, as many as fit one step.
    fn expire_fields(&mut self, index: usize) {
        let mut left = FIELDS_PER_STEP;
        while left > 0
            && let Some(name) = self.dbs[index].sweep.hashes.pop()
        {
            let key = self.key(&name);
            let progress = self.expire_some_fields(index, key, left);
            left = left.saturating_sub(progress.seen.max(1));
            if progress.more {
                self.dbs[index].sweep.hashes.push(name);
            }
        }
    }

    fn end_pass(&mut self, index: usize) {
        let db = &mut self.dbs[index];
        let Sweep { seen, removed, .. } = db.sweep;
        let share = if seen == 0 {
            0.0
        } else {
            removed as f64 * 100.0 / seen as f64
        };
        self.stats.expired_stale_percent = self.stats.expired_stale_percent * 0.95 + share * 0.05;
        let rest_ms = rest_ms(db.volatile + db.part_volatile, seen as usize, removed as usize);
        db.sweep = Sweep {
            rest_from_ms: self.now_ms,
            rest_until_ms: self.now_ms + rest_ms,
            hashes: std::mem::take(&mut db.sweep.hashes),
            ..Sweep::default()
        };
    }
}

/// How long to rest after a pass over some of `volatile` things that expire, which looked at `seen` of them.
pub(super) fn rest_ms(volatile: usize, seen: usize, removed: usize) -> i64 {
    let worthwhile = seen > 0 && removed * WORTHWHILE_ONE_IN >= seen;
    if worthwhile {
        0
    } else {
        volatile as i64 * PASS_NS_PER_KEY / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use crate::base::hash::KeyHasher;
    use crate::keyspace::Keyspace;
    use crate::keyspace::entry::NewValue;
    use crate::keyspace::gate::SetExpiry;

    fn with_keys(count: usize, expire_at: impl Fn(usize) -> Option<i64>) -> Keyspace {
        let mut keys = Keyspace::new(2, KeyHasher::with_seed(1));
        for i in 0..count {
            let name = format!("key:{i}");
            let expiry = expire_at(i).map_or(SetExpiry::Clear, SetExpiry::At);
            let key = keys.key(name.as_bytes());
            keys.set(key, NewValue::Int(i as i64), expiry);
        }
        keys
    }

    #[test]
    fn a_sweep_removes_what_is_due_and_nothing_else() {
        let mut keys = with_keys(20_000, |i| {
            (i % 2 == 0).then_some(if i % 4 == 0 { 50 } else { 500 })
        });
        keys.now_ms = 100;
        assert!(!keys.sweep_expired(&mut || true));
        assert_eq!(
            (keys.here().len(), keys.here().volatile(), keys.stats.expired),
            (15_000, 5_000, 5_000)
        );
        assert_eq!(keys.here().average_ttl_ms(100), 400);
    }

    #[test]
    fn a_sweep_stops_when_told_and_goes_on_where_it_was() {
        let mut keys = with_keys(20_000, |_| Some(50));
        keys.now_ms = 100;
        let mut calls = 0;
        while keys.sweep_expired(&mut || false) {
            calls += 1;
        }
        assert!(calls > 5 && keys.here().is_empty());
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_sweeps() {
        let mut keys = with_keys(20_000, |_| Some(9_000_000));
        keys.now_ms = 8_000_000;
        keys.set_expire(keys.key(b"key:1"), 7_000_000);
        keys.sweep_expired(&mut || true);
        keys.set_expire(keys.key(b"key:2"), 6_000);
        keys.now_ms = 7_000;
        keys.sweep_expired(&mut || true);
        assert_eq!((keys.here().len(), keys.stats.expired), (19_998, 2));
    }

    #[test]
    fn keys_without_a_due_expiry_cost_no_look() {
        let mut keys = with_keys(5_000, |_| Some(1_000_000));
        keys.now_ms = 100;
        keys.sweep_expired(&mut || panic!("no segment is due"));
        assert_eq!(keys.here().len(), 5_000);
    }

    #[test]
    fn tables_told_to_keep_their_room_shrink_only_when_told_otherwise() {
        let mut keys = with_keys(20_000, |_| Some(50));
        let room = keys.here().dict().capacity();
        keys.keep_room(true);
        keys.now_ms = 100;
        while keys.sweep_expired(&mut || true) {}
        assert!(keys.here().is_empty());
        assert_eq!(keys.here().dict().capacity(), room);
        keys.keep_room(false);
        let key = keys.key(b"last");
        keys.set(key, NewValue::Int(1), SetExpiry::Clear);
        assert!(keys.delete(key, false));
        assert!(keys.here().dict().capacity() < room);
    }
}
