//! The keyspace against a map that forgets its expired keys at every step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::entry::NewValue;
use super::gate::{Changed, NewString, SetExpiry};
use super::{Key, Keyspace};
use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;

const DBS: usize = 3;
const START_MS: i64 = 1_000;

/// Value and expiry by key; what has expired is not in it.
type Naive = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Debug, Clone)]
enum Step {
    Set(u8, Vec<u8>, Option<i64>),
    SetKeeping(u8, i64),
    Read(u8),
    Edit(u8, Vec<u8>),
    Append(u8, u8),
    Delete(u8, bool),
    Expire(u8, i64),
    Persist(u8),
    Rename(u8, u8),
    Copy(u8, usize, u8, bool),
    Move(u8, usize),
    Flush(usize, bool),
    Swap(usize, usize),
    Select(usize),
    Sweep,
    SweepSegment,
    Scan,
    RandomKey,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0u8..40;
    let db = || 0..DBS;
    let value = || {
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..40),
            1 => prop::collection::vec(any::<u8>(), 1000..1100),
        ]
    };
    // From expired long ago to far ahead, with borders that waiting meets exactly.
    let delay = || prop_oneof![8 => -3i64..40, 1 => Just(i64::MIN / 2), 1 => Just(i64::MAX / 2)];
    prop_oneof![
        8 => (key(), value(), prop::option::of(delay())).prop_map(|(k, v, d)| Step::Set(k, v, d)),
        3 => (key(), any::<i64>()).prop_map(|(k, n)| Step::SetKeeping(k, n)),
        3 => key().prop_map(Step::Read),
        3 => (key(), value()).prop_map(|(k, v)| Step::Edit(k, v)),
        3 => (key(), any::<u8>()).prop_map(|(k, b)| Step::Append(k, b)),
        3 => (key(), any::<bool>()).prop_map(|(k, lazy)| Step::Delete(k, lazy)),
        5 => (key(), delay()).prop_map(|(k, d)| Step::Expire(k, d)),
        2 => key().prop_map(Step::Persist),
        4 => (key(), key()).prop_map(|(a, b)| Step::Rename(a, b)),
        4 => (key(), db(), key(), any::<bool>()).prop_map(|(a, d, b, r)| Step::Copy(a, d, b, r)),
        4 => (key(), db()).prop_map(|(k, d)| Step::Move(k, d)),
        1 => (db(), any::<bool>()).prop_map(|(d, lazy)| Step::Flush(d, lazy)),
        1 => (db(), db()).prop_map(|(a, b)| Step::Swap(a, b)),
        2 => db().prop_map(Step::Select),
        1 => Just(Step::Sweep),
        1 => Just(Step::SweepSegment),
        1 => Just(Step::Scan),
        1 => Just(Step::RandomKey),
        4 => (1i64..20).prop_map(Step::Wait),
    ]
}

/// Keys ahead of the steps, so that the first ones meet a table that has grown.
fn prelude() -> impl Strategy<Value = Vec<Step>> {
    let many = |keys: u8| (0..keys).map(|k| Step::Set(k, vec![k], (k % 3 == 0).then_some(i64::from(k))));
    (0u8..40).prop_map(move |keys| many(keys).collect())
}

fn name(key: u8) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

/// Both keyspaces, and the same clock.
struct Twins {
    real: Keyspace,
    naive: Vec<Naive>,
    dirty: u64,
    rng: Rng,
}

impl Twins {
    fn new() -> Twins {
        let mut real = Keyspace::new(DBS, KeyHasher::with_seed(1));
        real.now_ms = START_MS;
        real.watch(real.key(b"0"));
        Twins {
            real,
            naive: vec![Naive::new(); DBS],
            dirty: 0,
            rng: Rng::seeded(1),
        }
    }

    fn here(&mut self) -> &mut Naive {
        &mut self.naive[self.real.selected()]
    }

    fn with_key<R>(&mut self, key: u8, act: impl FnOnce(&mut Keyspace, Key<'_>) -> R) -> R {
        let name = name(key);
        let key = self.real.key(&name);
        act(&mut self.real, key)
    }

    fn forget_expired(&mut self) {
        let now_ms = self.real.now_ms;
        for db in &mut self.naive {
            db.retain(|_, (_, at)| at.is_none_or(|at| at > now_ms));
        }
    }

    /// Does it to both; the answers must agree.
    fn run(&mut self, step: Step) {
        let current = self.real.selected();
        let now_ms = self.real.now_ms;
        match step {
            Step::Set(key, value, delay) => {
                let at = delay.map(|delay| now_ms + delay);
                let expiry = at.map_or(SetExpiry::Clear, SetExpiry::At);
                self.with_key(key, |real, key| real.set(key, NewValue::Bytes(&value), expiry));
                self.here().insert(name(key), (value, at));
                self.dirty += 1;
            }
            Step::SetKeeping(key, n) => {
                self.with_key(key, |real, key| real.set(key, NewValue::Int(n), SetExpiry::Keep));
                self.here().entry(name(key)).or_default().0 = n.to_string().into_bytes();
                self.dirty += 1;
            }
            Step::Read(key) => {
                let read = |real: &mut Keyspace, key: Key<'_>| {
                    real.read_string(key).expect("a string").map(|text| text.to_vec())
                };
                let found = self.with_key(key, read);
                assert_eq!(
                    found.as_ref(),
                    self.here().get(&name(key)).map(|(value, _)| value)
                );
            }
            Step::Edit(key, value) => {
                let new = value.clone();
                let edit = |real: &mut Keyspace, key: Key<'_>| {
                    real.edit_string(key, "set", |_| Ok::<_, ()>(NewString::Text(new)))
                };
                self.with_key(key, edit).expect("a string");
                self.here().entry(name(key)).or_default().0 = value;
                self.dirty += 1;
            }
            Step::Append(key, byte) => {
                let append = |bytes: &mut Vec<u8>| (bytes.push(byte), Changed::Yes);
                self.with_key(key, |real, key| real.edit_bytes(key, "append", append))
                    .expect("a string");
                self.here().entry(name(key)).or_default().0.push(byte);
                self.dirty += 1;
            }
            Step::Delete(key, lazy) => {
                let deleted = self.with_key(key, |real, key| real.delete(key, lazy));
                assert_eq!(deleted, self.here().remove(&name(key)).is_some());
                self.dirty += u64::from(deleted);
            }
            Step::Expire(key, delay) => self.change_expiry(key, Some(now_ms + delay)),
            Step::Persist(key) => self.change_expiry(key, None),
            Step::Rename(from, to) => self.rename(from, to),
            Step::Copy(from, target, to, replace) => self.copy(from, target, to, replace),
            Step::Move(key, target) => self.move_to(key, target),
            Step::Flush(db, lazy) => {
                // Expired keys that nobody has met yet are counted with the others.
                self.dirty += self.real.flush(db, lazy) as u64;
                self.naive[db].clear();
            }
            Step::Swap(a, b) => {
                self.real.swap(a, b);
                self.naive.swap(a, b);
                self.dirty += 1;
            }
            Step::Select(db) => self.real.select(db),
            Step::Sweep => assert!(!self.real.sweep_expired(&mut || true)),
            Step::SweepSegment => {
                self.real.sweep_expired(&mut || false);
            }
            Step::Scan => self.scan(),
            Step::RandomKey => {
                let rng = &mut self.rng;
                let found = self.real.random_key(&mut || rng.next_u64()).map(<[u8]>::to_vec);
                match found {
                    Some(found) => assert!(self.naive[current].contains_key(&found)),
                    None => assert!(self.naive[current].is_empty()),
                }
            }
            Step::Wait(ms) => self.real.now_ms += ms,
        }
        self.forget_expired();
    }

    /// As handlers do it: they look first.
    fn change_expiry(&mut self, key: u8, at: Option<i64>) {
        let change = |real: &mut Keyspace, key: Key<'_>| {
            real.exists(key)
                && match at {
                    Some(at) => real.set_expire(key, at),
                    None => real.persist(key),
                }
        };
        let changed = self.with_key(key, change);
        let entry = self.here().get_mut(&name(key));
        assert_eq!(changed, entry.is_some());
        if let Some(entry) = entry {
            entry.1 = at;
        }
        self.dirty += u64::from(changed);
    }

    fn rename(&mut self, from: u8, to: u8) {
        let target = name(to);
        let renamed = self.with_key(from, |real, from| real.rename(from, real.key(&target)));
        let entry = self.here().remove(&name(from));
        assert_eq!(renamed, entry.is_some());
        if let Some(entry) = entry {
            self.here().insert(target, entry);
        }
        self.dirty += u64::from(renamed);
    }

    fn copy(&mut self, from: u8, target: usize, to: u8, replace: bool) {
        if target == self.real.selected() && from == to {
            return;
        }
        let new = name(to);
        let copied = self.with_key(from, |real, from| {
            real.copy(from, target, real.key(&new), replace)
        });
        let entry = self.here().get(&name(from)).cloned();
        let free = replace || !self.naive[target].contains_key(&new);
        assert_eq!(copied, entry.is_some() && free);
        if copied && let Some(entry) = entry {
            self.naive[target].insert(new, entry);
        }
        self.dirty += u64::from(copied);
    }

    fn move_to(&mut self, key: u8, target: usize) {
        let moved = self.with_key(key, |real, key| real.move_to(key, target));
        let free = !self.naive[target].contains_key(&name(key));
        assert_eq!(moved, free && self.here().contains_key(&name(key)));
        if moved && let Some(entry) = self.here().remove(&name(key)) {
            self.naive[target].insert(name(key), entry);
        }
        self.dirty += u64::from(moved);
    }

    fn scan(&mut self) {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = self
                .real
                .scan(cursor, &mut |entry| seen.push(entry.key().to_vec()));
            if cursor == 0 {
                break;
            }
        }
        seen.sort();
        let expected: Vec<Vec<u8>> = self.here().keys().cloned().collect();
        assert_eq!(seen, expected, "each key once, and no expired one");
        assert_eq!(
            self.real.here().len(),
            expected.len(),
            "expired keys were removed"
        );
    }

    /// The same contents, K1 and K2, and as many changes counted.
    fn compare(&self) {
        let now_ms = self.real.now_ms;
        for (index, naive) in self.naive.iter().enumerate() {
            let db = self.real.db(index);
            db.dict().check_invariants();
            let visible: Naive = db
                .dict()
                .iter()
                .filter(|entry| entry.expire_at().is_none_or(|at| at > now_ms))
                .map(|entry| {
                    let value = entry.string().expect("a string").to_vec();
                    (entry.key().to_vec(), (value, entry.expire_at()))
                })
                .collect();
            assert_eq!(&visible, naive, "database {index}");
            let expiries: Vec<i64> = db.dict().iter().filter_map(|entry| entry.expire_at()).collect();
            let sum: i128 = expiries.iter().map(|&at| i128::from(at)).sum();
            assert_eq!((db.volatile, db.expire_sum), (expiries.len(), sum), "K1");
            let earliest = expiries.iter().min().map_or(u64::MAX, |&at| at.max(0) as u64);
            assert!(db.dict().lowest_mark() <= earliest, "K2");
            let mean = sum.checked_div(expiries.len() as i128).unwrap_or(now_ms.into());
            let left = (mean - i128::from(now_ms)).max(0);
            assert_eq!(i128::from(db.average_ttl_ms(now_ms)), left);
        }
        assert_eq!(self.real.changes.dirty, self.dirty, "changes counted");
    }
}

proptest! {
    #[test]
    fn a_keyspace_behaves_as_maps_that_forget(
        prelude in prelude(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut twins = Twins::new();
        for step in prelude.into_iter().chain(steps) {
            twins.run(step);
            twins.compare();
        }
    }
}

fn with_expired(count: usize) -> Keyspace {
    let mut keys = Keyspace::new(2, KeyHasher::with_seed(1));
    keys.now_ms = START_MS;
    for i in 0..count {
        let name = format!("gone:{i}");
        keys.set(
            keys.key(name.as_bytes()),
            NewValue::Int(1),
            SetExpiry::At(START_MS),
        );
    }
    keys
}

#[test]
fn a_random_key_is_never_an_expired_one() {
    let mut keys = with_expired(5_000);
    keys.set(keys.key(b"live"), NewValue::Int(1), SetExpiry::Clear);
    let mut rng = Rng::seeded(1);
    assert_eq!(keys.random_key(&mut || rng.next_u64()), Some(&b"live"[..]));
    keys.delete(keys.key(b"live"), false);
    assert_eq!(keys.random_key(&mut || rng.next_u64()), None);
    assert_eq!((keys.here().len(), keys.stats.expired), (0, 5_000));
}

#[test]
fn while_expiry_is_suspended_reads_hide_expired_keys_and_leave_them() {
    let mut keys = with_expired(10);
    keys.expire_suspended = true;
    let (first, second) = (keys.key(b"gone:0"), keys.key(b"gone:1"));
    assert!(keys.read(first).is_none());
    assert!(keys.inspect(first).is_none());
    assert!(keys.inspect_quietly(first).is_none());
    assert_eq!(keys.entries().count(), 0);
    keys.scan(0, &mut |entry| panic!("{entry:?} has expired"));
    let mut rng = Rng::seeded(1);
    assert!(keys.random_key(&mut || rng.next_u64()).is_some(), "all there is");
    assert_eq!(
        (keys.stats.misses, keys.stats.expired, keys.here().len()),
        (3, 0, 10)
    );
    assert!(!keys.exists(second), "a write removes what it meets");
    keys.expire_suspended = false;
    assert!(keys.read(first).is_none());
    assert_eq!((keys.stats.expired, keys.here().len()), (2, 8));
}
