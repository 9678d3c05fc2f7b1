//! Eviction: which key goes when memory is short, and what its going means.
//!
//! ```text
//!   every database ── look around a random place: `samples` keys ──> pool of 16, worst first ──> the last one goes
//!                                                                     [ score, db, hash ]
//! ```
//!
//! The best candidates of many samples gather in the pool, so that what goes is close to the best of all. A candidate is
//! remembered by its hash, which needs no memory and no comparison of names. Its score is taken anew when its turn comes:
//! who has been used since it was put there is spared. All keys are candidates, or those that expire; the latter are
//! found by the marks of the table's segments (K2), without an index of their own.
//!
//! Costs: a choice looks at `samples` keys of each database that has any; where few keys expire, at up to some hundreds
//! more. Not here: when memory is short, and for how long to go on (`exec`).

use crate::base::rng::Rng;
use crate::ds::dict::{Glance, NO_MARK};

use super::changes::Classes;
use super::entry::Entry;
use super::{Keyspace, access::AccessPolicy};

/// How many candidates are kept.
const POOL_LEN: usize = 16;

/// How many keys to look at for each one wanted while looking for keys that expire, once there is any.
const LOOKS_PER_SAMPLE: usize = 64;

/// By what keys are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The longest unused goes first.
    Lru,
    /// The least often used goes first.
    Lfu,
    /// The next to expire goes first.
    Ttl,
    /// Any.
    Random,
}

/// A policy that evicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What goes first.
    pub order: Order,
    /// Only keys that expire go.
    pub volatile: bool,
}

impl Policy {
    /// The policy of a `maxmemory-policy`; `None` for `noeviction`.
    pub fn parse(name: &str) -> Option<Policy> {
        let (who, order) = name.split_once('-')?;
        let order = match order {
            "lru" => Order::Lru,
            "lfu" => Order::Lfu,
            "ttl" => Order::Ttl,
            "random" => Order::Random,
            _ => return None,
        };
        let volatile = who == "volatile";
        Some(Policy { order, volatile })
    }

    fn admits(self, entry: &Entry) -> bool {
        !self.volatile || entry.expire_at().is_some()
    }

    /// How well a key is suited to go: more is better.
    fn score(self, entry: &Entry, access: &AccessPolicy) -> u64 {
        match self.order {
            // Not the idle time, which would favour those found lately: it grows while others wait in the pool.
            Order::Lru => u64::from(u32::MAX - access.used_at_seconds(entry)),
            Order::Lfu => u64::from(255 - access.frequency(entry).min(255)),
            Order::Ttl => u64::MAX - entry.expire_at().map_or(u64::MAX, |at| at.max(0) as u64),
            Order::Random => 0,
        }
    }

    /// The highest mark of segments that may hold candidates.
    fn mark_at_most(self) -> u64 {
        if self.volatile { NO_MARK - 1 } else { NO_MARK }
    }
}

/// A key that may go: where to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Victim {
    /// Its database.
    pub db: usize,
    /// The hash of its name.
    pub hash: u64,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: u64,
    victim: Victim,
}

/// The candidates, and where random choice goes on.
#[derive(Debug, Default)]
pub struct Chooser {
    /// Lowest score first.
    pool: Vec<Candidate>,
    next_db: usize,
}

impl Chooser {
    /// Forgets all candidates: another policy scores differently.
    pub fn forget(&mut self) {
        self.pool.clear();
    }

    /// The key that should go next; `None` when no key may. `samples`: how many to compare, at least one.
    pub fn choose(
        &mut self,
        keys: &mut Keyspace,
        policy: Policy,
        samples: usize,
        rng: &mut Rng,
    ) -> Option<Victim> {
        if policy.order == Order::Random {
            return self.choose_random(keys, policy, rng);
        }
        while self.gather(keys, policy, samples, rng) {
            // One that stands no longer is replaced before the next best goes in its stead.
            if let Some(best) = self.pool.pop()
                && still_stands(keys, policy, best)
            {
                return Some(best.victim);
            }
        }
        None
    }

    /// Puts samples of every database into the pool; whether there are keys that may go.
    fn gather(&mut self, keys: &mut Keyspace, policy: Policy, samples: usize, rng: &mut Rng) -> bool {
        let mut any = false;
        for index in 0..keys.dbs.len() {
            let access = keys.access;
            any |= sample(keys, index, policy, samples, rng, &mut |hash, entry| {
                let victim = Victim { db: index, hash };
                let score = policy.score(entry, &access);
                self.consider(Candidate { score, victim });
            });
        }
        any
    }

    /// Keeps a candidate if it is better than one of those kept. Among equals the one that came first goes first.
    fn consider(&mut self, candidate: Candidate) {
        let at = self.pool.partition_point(|known| known.score < candidate.score);
        let is_full = self.pool.len() == POOL_LEN;
        if is_full && at == 0 || self.pool.iter().any(|known| known.victim == candidate.victim) {
            return;
        }
        if is_full {
            self.pool[..at].rotate_left(1);
            self.pool[at - 1] = candidate;
        } else {
            self.pool.insert(at, candidate);
        }
    }

    /// A key of the next database that has one that may go.
    fn choose_random(&mut self, keys: &mut Keyspace, policy: Policy, rng: &mut Rng) -> Option<Victim> {
        for _ in 0..keys.dbs.len() {
            self.next_db = (self.next_db + 1) % keys.dbs.len();
            let db = self.next_db;
            let mut found = None;
            sample(keys, db, policy, 1, rng, &mut |hash, _| found = Some(hash));
            if let Some(hash) = found {
                return Some(Victim { db, hash });
            }
        }
        None
    }
}

/// Whether a candidate is there still, and as well suited as when it was found.
fn still_stands(keys: &Keyspace, policy: Policy, candidate: Candidate) -> bool {
    let Victim { db, hash } = candidate.victim;
    let entry = keys.dbs.get(db).and_then(|db| db.dict.find_hashed(hash));
    entry.is_some_and(|entry| policy.admits(entry) && policy.score(entry, &keys.access) >= candidate.score)
}

/// Shows `found` some keys of a database that may go, with their hashes; whether there are any.
///
/// A key that expires is looked for until there is one, however few there are.
fn sample(
    keys: &mut Keyspace,
    index: usize,
    policy: Policy,
    samples: usize,
    rng: &mut Rng,
    found: &mut dyn FnMut(u64, &Entry),
) -> bool {
    let hasher = keys.hasher;
    let db = &mut keys.dbs[index];
    let candidates = if policy.volatile { db.volatile } else { db.len() };
    if candidates == 0 {
        return false;
    }
    let wanted = samples.clamp(1, candidates);
    let (mut taken, mut looks) = (0, 0);
    db.dict
        .look_around(&mut || rng.next_u64(), policy.mark_at_most(), &mut |entry| {
            looks += 1;
            if policy.admits(entry) {
                taken += 1;
                found(hasher.hash(entry.key()), entry);
            }
            if taken >= wanted || (taken > 0 && looks >= samples * LOOKS_PER_SAMPLE) {
                Glance::Enough
            } else if entry.expire_at().is_some() || entry.soonest().is_some() {
                Glance::Marked
            } else {
                Glance::Unmarked
            }
        });
    true
}

impl Keyspace {
    /// Takes a key out that is to go, if it is there still. What follows from that is
    /// [`Keyspace::note_evicted`]; its memory goes with [`Keyspace::free_evicted`].
    pub fn take_victim(&mut self, victim: Victim) -> Option<Entry> {
        let db = self.dbs.get_mut(victim.db)?;
        let entry = db.dict.take_hashed(victim.hash)?;
        db.expiry_changed(entry.expire_at(), None);
        db.value_gone(&entry);
        Some(entry)
    }

    /// Tells of a key that had to go: watchers, waiters, followers, event. It is no change that a save is due for.
    pub fn note_evicted(&mut self, db: usize, entry: &Entry) {
        let key = entry.key();
        self.changes.wake(db, key);
        self.changes.ready(db, key);
        self.changes.event(Classes::EVICTED, "evicted", db, key);
        let verb: &[u8] = if self.lazy.eviction { b"UNLINK" } else { b"DEL" };
        self.changes.propagate_removal(db, &[verb, key]);
    }

    /// Frees it, here or on the lazy-free thread.
    pub fn free_evicted(&mut self, entry: Entry) {
        self.discard(entry, self.lazy.eviction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;
    use crate::keyspace::entry::NewValue;
    use crate::keyspace::gate::SetExpiry;

    fn keyspace() -> Keyspace {
        Keyspace::new(3, KeyHasher::with_seed(1))
    }

    fn put(keys: &mut Keyspace, db: usize, name: &str, expiry: Option<i64>) {
        keys.select(db);
        let key = keys.key(name.as_bytes());
        keys.set(
            key,
            NewValue::Int(1),
            expiry.map_or(SetExpiry::Clear, SetExpiry::At),
        );
    }

    /// Evicts one key; its database and name.
    fn evict(
        chooser: &mut Chooser,
        keys: &mut Keyspace,
        policy: Policy,
        rng: &mut Rng,
    ) -> Option<(usize, String)> {
        let victim = chooser.choose(keys, policy, 5, rng)?;
        let entry = keys.take_victim(victim).expect("who is chosen is there");
        keys.note_evicted(victim.db, &entry);
        let name = String::from_utf8_lossy(entry.key()).into_owned();
        keys.free_evicted(entry);
        Some((victim.db, name))
    }

    const fn policy(order: Order, volatile: bool) -> Policy {
        Policy { order, volatile }
    }

    #[test]
    fn names_of_policies() {
        assert_eq!(Policy::parse("noeviction"), None);
        assert_eq!(Policy::parse("allkeys-lru"), Some(policy(Order::Lru, false)));
        assert_eq!(Policy::parse("volatile-ttl"), Some(policy(Order::Ttl, true)));
        assert_eq!(
            Policy::parse("volatile-random"),
            Some(policy(Order::Random, true))
        );
        assert_eq!(Policy::parse("allkeys-lfu"), Some(policy(Order::Lfu, false)));
    }

    #[test]
    fn every_policy_evicts_all_that_it_may_of_all_databases_and_then_stops() {
        for order in [Order::Lru, Order::Lfu, Order::Ttl, Order::Random] {
            for volatile in [false, true] {
                let (mut keys, mut chooser, mut rng) = (keyspace(), Chooser::default(), Rng::seeded(7));
                keys.access.lfu = order == Order::Lfu;
                for i in 0..900 {
                    let expiry = (i % 3 == 0).then_some(10_000 + i);
                    put(&mut keys, i as usize % 3, &format!("k{i}"), expiry);
                    put(&mut keys, i as usize % 2, &format!("e{i}"), expiry);
                }
                let mut gone = 0;
                while evict(&mut chooser, &mut keys, policy(order, volatile), &mut rng).is_some() {
                    gone += 1;
                }
                assert_eq!(gone, if volatile { 600 } else { 1_800 }, "{order:?} {volatile}");
                assert!((0..3).all(|db| keys.db(db).volatile() == 0));
            }
        }
    }

    #[test]
    fn what_goes_first_is_nearly_the_best_of_all() {
        let (mut keys, mut chooser, mut rng) = (keyspace(), Chooser::default(), Rng::seeded(7));
        for i in 0..10_000 {
            keys.access.set_time(1_000 * i);
            put(&mut keys, 0, &format!("{i}"), Some(1_000_000 + i));
        }
        for order in [Order::Lru, Order::Ttl] {
            let mut sum = 0;
            for _ in 0..500 {
                let (_, name) = evict(&mut chooser, &mut keys, policy(order, true), &mut rng).expect("a key");
                sum += name.parse::<usize>().expect("a number");
            }
            // One key at random would be at 5,000.
            assert!(sum / 500 < 1_500, "{order:?}: {}", sum / 500);
            chooser.forget();
        }
    }

    #[test]
    fn a_candidate_that_is_used_again_is_spared() {
        let (mut keys, mut chooser, mut rng) = (keyspace(), Chooser::default(), Rng::seeded(7));
        for i in 0..10 {
            put(&mut keys, 0, &format!("{i}"), None);
        }
        keys.access.set_time(60_000);
        let lru = policy(Order::Lru, false);
        assert!(chooser.gather(&mut keys, lru, 10, &mut rng));
        for i in 1..10 {
            let key = format!("{i}");
            keys.read(keys.key(key.as_bytes()));
        }
        let gone = evict(&mut chooser, &mut keys, lru, &mut rng);
        assert_eq!(gone, Some((0, "0".to_owned())));
    }

    #[test]
    fn a_few_keys_that_expire_are_found_among_many_that_do_not() {
        let (mut keys, mut chooser, mut rng) = (keyspace(), Chooser::default(), Rng::seeded(7));
        for i in 0..50_000 {
            put(&mut keys, 0, &format!("k{i}"), None);
        }
        for i in 0..3 {
            put(&mut keys, 0, &format!("e{i}"), Some(10_000));
        }
        // Marks left behind by keys that have no expiry any more.
        for i in 0..500 {
            put(&mut keys, 0, &format!("k{i}"), Some(10_000));
            let name = format!("k{i}");
            keys.persist(keys.key(name.as_bytes()));
        }
        let mut gone = Vec::new();
        while let Some((_, name)) = evict(&mut chooser, &mut keys, policy(Order::Lru, true), &mut rng) {
            gone.push(name);
        }
        gone.sort();
        assert_eq!(gone, ["e0", "e1", "e2"]);
        assert_eq!(keys.here().len(), 50_000);
    }

    #[test]
    fn the_pool_keeps_the_best_sixteen_in_order() {
        let mut chooser = Chooser::default();
        for hash in 0..100u64 {
            let score = hash * 37 % 100;
            let victim = Victim { db: 0, hash };
            chooser.consider(Candidate { score, victim });
            chooser.consider(Candidate { score, victim });
        }
        let scores: Vec<u64> = chooser.pool.iter().map(|known| known.score).collect();
        assert_eq!(scores, (84..100).collect::<Vec<u64>>());
    }

    #[test]
    fn what_goes_is_told_to_those_who_follow() {
        let (mut keys, mut chooser, mut rng) = (keyspace(), Chooser::default(), Rng::seeded(7));
        keys.changes.followed = true;
        keys.changes.wanted = Classes::EVICTED;
        put(&mut keys, 2, "k", None);
        keys.changes.dirty = 0;
        evict(&mut chooser, &mut keys, policy(Order::Random, false), &mut rng);
        let told = &keys.changes.propagated[0];
        let words: Vec<&[u8]> = told.words.iter().map(|word| &**word).collect();
        assert_eq!((told.db, words), (Some(2), vec![&b"DEL"[..], b"k"]));
        assert_eq!((keys.changes.events[0].name, keys.changes.dirty), ("evicted", 0));
    }
}
