//! What the server says a key takes, against what the allocator says it handed out: equal to the byte.
//!
//! MEMORY USAGE with SAMPLES 0, and the memory report, add up what `sampled_bytes(0)` answers. The allocator counts, per
//! thread, what it hands out and takes back in whole size classes; a value that was built in between must account for
//! all of the difference, whatever has been done to it.

use proptest::prelude::*;
use tikv_jemalloc_ctl::thread::{allocatedp, deallocatedp};

use russet::base::hash::KeyHasher;
use russet::ds::dict::Dict;
use russet::ds::quicklist::End;
use russet::keyspace::entry::{Entry, NewValue};
use russet::value::hash::Hash;
use russet::value::list::List;
use russet::value::set::Set;
use russet::value::stream::group::Pending;
use russet::value::stream::{Group, Stream, StreamId};
use russet::value::zset::Zset;
use russet::value::{Limits, Typed, Value};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes handed out to this thread less those taken back.
fn held() -> i64 {
    let read = |counter: Result<tikv_jemalloc_ctl::thread::ThreadLocal<u64>, _>| {
        counter.expect("statistics are built in").get().cast_signed()
    };
    read(allocatedp::read()) - read(deallocatedp::read())
}

/// Builds something; it, and what the allocator says it takes.
fn weigh<T>(build: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    let built = build();
    let taken = held() - before;
    (built, usize::try_from(taken).expect("it takes something"))
}

/// Checks a value and its key's entry.
#[track_caller]
fn check(key: &[u8], expire_at: Option<i64>, build: impl FnOnce() -> Value) {
    let (entry, taken) = weigh(|| Entry::new(key, NewValue::Value(build()), expire_at, 0));
    assert_eq!(entry.sampled_bytes(0), taken, "{}", entry.encoding());
}

/// Limits so low that few elements cross them.
fn limits() -> Limits {
    Limits {
        hash_max_listpack_entries: 6,
        hash_max_listpack_value: 20,
        set_max_intset_entries: 20,
        set_max_listpack_entries: 10,
        set_max_listpack_value: 20,
        zset_max_listpack_entries: 10,
        zset_max_listpack_value: 20,
        ..Limits::new(KeyHasher::with_seed(3))
    }
}

/// A step on a collection: what to do, with which of its elements, of which length.
type Step = (u8, u16, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = prop::collection::vec((any::<u8>(), 0..12u16, 0..30usize), 0..30);
    let many = prop::collection::vec((any::<u8>(), 0..3000u16, 0..300usize), 0..3000);
    prop_oneof![3 => few, 1 => many]
}

/// An element's text: a number or something longer.
fn text(number: u16, len: usize) -> Vec<u8> {
    let mut text = number.to_string().into_bytes();
    if number.is_multiple_of(3) {
        text.resize(text.len().max(len), b'x');
    }
    text
}

fn hash_of(steps: &[Step]) -> Value {
    let (mut hash, limits) = (Hash::empty(), limits());
    for &(step, number, len) in steps {
        let name = text(number, 0);
        match step {
            0..=150 => drop(hash.set(&name, &text(number, len), &limits)),
            151..=170 => drop(hash.update(&name, &text(number, len), &limits)),
            171..=200 => drop(hash.set_expiry(&name, Some(1 + i64::from(number) * 1000))),
            201..=220 => drop(hash.set_expiry(&name, None)),
            221..=225 => drop(hash.expire(2000, 100, &mut |_| ())),
            _ => drop(hash.remove(&name)),
        }
    }
    hash.into_value()
}

fn set_of(steps: &[Step]) -> Value {
    let (mut set, limits) = (Set::empty(), limits());
    for &(step, number, len) in steps {
        match step {
            0..=180 => drop(set.insert(&text(number, len), &limits)),
            _ => drop(set.remove(&text(number, len))),
        }
    }
    set.into_value()
}

fn zset_of(steps: &[Step]) -> Value {
    let (mut zset, limits) = (Zset::empty(), limits());
    for &(step, number, len) in steps {
        match step {
            0..=180 => drop(zset.set(&text(number, len), len as f64, &limits)),
            181..=184 => zset.remove_range(usize::from(step - 181)..len),
            _ => drop(zset.remove(&text(number, len))),
        }
    }
    zset.into_value()
}

fn list_of(steps: &[Step], compress_depth: i64) -> Value {
    let limits = Limits {
        list_max_listpack_size: 4,
        list_compress_depth: compress_depth as u32,
        ..limits()
    };
    let mut list = List::empty();
    for &(step, number, len) in steps {
        let end = if number % 2 == 0 { End::Head } else { End::Tail };
        let text = text(number, len);
        match step {
            0..=180 => list.push(end, text.as_slice().into(), &limits),
            181..=200 => drop(list.set(usize::from(number), &text, &limits)),
            201..=205 => list.remove_range(usize::from(number) / 4, len / 4, &limits),
            _ => drop(list.pop(end, &limits, |_| ())),
        }
    }
    list.into_value()
}

fn stream_of(steps: &[Step]) -> Value {
    let limits = Limits {
        stream_node_max_entries: 10,
        ..limits()
    };
    let mut stream = Box::<Stream>::default();
    let mut group = Group::new(StreamId::MIN, None);
    for (ms, &(step, number, len)) in (1u64..).zip(steps) {
        let id = StreamId::new(ms, 0);
        match step {
            0..=150 => {
                let words = [b"field".to_vec(), text(number, len)];
                let words = words.iter().map(Vec::as_slice);
                stream.log.append(id, words, &limits).expect("it is small");
            }
            151..=170 => drop(stream.log.delete(&[StreamId::new(u64::from(number), 0)])),
            171..=180 => drop(group.create_consumer(&text(number, len), 1)),
            181..=184 => drop(group.delete_consumer(&text(number, len))),
            _ if group.consumer_count() > 0 => {
                let name = group.consumers().next().expect("there is one").name().to_vec();
                let consumer = group.find_consumer(&name).expect("there is one");
                let pending = Pending {
                    delivered_ms: 1,
                    deliveries: 1,
                    consumer,
                };
                group.assign(id, pending);
            }
            _ => {}
        }
    }
    stream
        .groups
        .insert(b"a group".as_slice().into(), Box::new(group));
    Value::Stream(stream)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_hash_takes_what_it_says(steps in steps()) {
        check(b"key", None, || hash_of(&steps));
    }

    #[test]
    fn a_set_takes_what_it_says(steps in steps()) {
        check(b"key", Some(1), || set_of(&steps));
    }

    #[test]
    fn a_sorted_set_takes_what_it_says(steps in steps()) {
        check(b"a longer key", None, || zset_of(&steps));
    }

    #[test]
    fn a_list_takes_what_it_says(steps in steps(), compress_depth in 0..3i64) {
        // The compressor's table comes with its first use and stays with the thread.
        drop(list_of(&steps, compress_depth));
        check(b"key", None, || list_of(&steps, compress_depth));
    }

    #[test]
    fn a_stream_takes_what_it_says(steps in steps()) {
        check(b"key", None, || stream_of(&steps));
    }

    #[test]
    fn a_string_takes_what_it_says(key in prop::collection::vec(any::<u8>(), 0..300), len in 0..70_000usize, expires: bool) {
        let (text, expire_at) = (vec![b'x'; len], expires.then_some(1));
        for value in [NewValue::Bytes(&text), NewValue::Int(len as i64)] {
            let (mut entry, taken) = weigh(|| Entry::new(&key, value, expire_at, 0));
            prop_assert_eq!(entry.sampled_bytes(0), taken);
            let ((), grown) = weigh(|| {
                entry.string_mut().extend_from_slice(&[b'y'; 5000]);
            });
            prop_assert_eq!(entry.sampled_bytes(0), taken + grown);
        }
    }
}

#[test]
fn a_table_of_keys_takes_what_it_says() {
    let hasher = KeyHasher::with_seed(1);
    for count in [0, 1, 7, 1_000, 60_000] {
        let (mut dict, mut taken) = weigh(|| {
            let mut dict = Dict::new(hasher);
            for number in 0..count {
                let key = format!("key:{number}").into_bytes();
                dict.insert_new(hasher.hash(&key), Entry::new(&key, NewValue::Int(1), None, 0));
            }
            dict
        });
        for step in [2, 3] {
            let bytes: usize = dict.iter().map(|entry| entry.sampled_bytes(0)).sum();
            assert_eq!(bytes + dict.heap_bytes(), taken, "{count} keys");
            let before = held();
            for number in (0..count).step_by(step) {
                let key = format!("key:{number}").into_bytes();
                dict.remove(hasher.hash(&key), &key);
            }
            taken = taken.strict_add_signed((held() - before) as isize);
        }
    }
}
