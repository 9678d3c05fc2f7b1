use proptest::prelude::*;

use super::*;
use crate::base::size_class::rounded;

fn of(texts: &[&[u8]]) -> Listpack {
    let mut listpack = Listpack::new();
    texts.iter().for_each(|text| listpack.push_back(text));
    listpack
}

fn texts(listpack: &Listpack) -> Vec<Vec<u8>> {
    listpack.iter().map(Item::to_vec).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Read from the payload of a real server's DUMP.
#[test]
fn every_kind_of_number_has_the_bytes_redis_gives_it() {
    let listpack = of(&[
        b"0",
        b"127",
        b"128",
        b"-1",
        b"4095",
        b"-4096",
        b"4096",
        b"-4097",
        b"32767",
        b"-32768",
        b"32768",
        b"8388607",
        b"-8388608",
        b"8388608",
        b"-8388609",
        b"2147483647",
        b"-2147483648",
        b"2147483648",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"",
        b"a",
        b"012",
        b"-0",
    ]);
    assert_eq!(
        hex(listpack.as_bytes()),
        "8f000000190000017f01c08002dfff02cfff02d00002f1001003f1ffef03f1ff7f03f1008003f200800004f2ffff7f04f2\
         00008004f30000800005f3ffff7fff05f3ffffff7f05f30000008005f4000000800000000009f4ffffffffffffff7f09f4\
         00000000000000800993393232333337323033363835343737353830381480018161028330313204822d3003ff"
    );
    assert_eq!(Listpack::from_bytes(listpack.as_bytes().to_vec()), Ok(listpack));
}

#[test]
fn texts_of_every_length_have_the_bytes_redis_gives_them() {
    for (len, head, tail) in [
        (63, "480000000100bf", "40ff"),
        (64, "4a0000000100e040", "42ff"),
        (126, "890000000100e07e", "0180ff"),
        (127, "8a0000000100e07f", "0181ff"),
        (4095, "0a1000000100efff", "2081ff"),
        (4096, "0e1000000100f000100000", "2085ff"),
        (5000, "961300000100f088130000", "278dff"),
    ] {
        let listpack = of(&[&vec![b'x'; len]]);
        assert_eq!(
            hex(listpack.as_bytes()),
            format!("{head}{}{tail}", "78".repeat(len))
        );
    }
}

#[test]
fn the_largest_body_of_a_length_takes_a_longer_way_back() {
    for (text, back) in [(16_377, 2), (16_378, 3), (2_097_145, 3), (2_097_146, 4)] {
        let listpack = of(&[&vec![b'x'; text], b"end"]);
        assert_eq!(listpack.size(), 7 + 5 + text + back + 5);
        assert_eq!(listpack.seek(-2), listpack.first());
    }
}

#[test]
fn a_new_one_owns_no_memory_and_reads_as_empty() {
    let empty = Listpack::new();
    assert_eq!((empty.heap_bytes(), empty.size(), empty.len()), (0, 7, 0));
    assert_eq!(empty.as_bytes(), EMPTY);
    assert_eq!((empty.first(), empty.last(), empty.seek(0)), (None, None, None));
    assert_eq!(Listpack::from_bytes(EMPTY.to_vec()), Ok(empty.clone()));
    let mut emptied = of(&[b"a"]);
    emptied.remove(emptied.first().unwrap());
    assert_eq!(emptied, empty);
    assert_eq!(emptied.as_bytes(), EMPTY);
}

#[test]
fn a_buffer_is_never_larger_than_its_size_class_while_it_grows() {
    let mut listpack = Listpack::new();
    for number in 0..10_000 {
        listpack.push_back_int(number * 1_000_003);
        assert_eq!(listpack.heap_bytes(), rounded(listpack.size()));
    }
}

#[test]
fn memory_goes_back_as_elements_leave() {
    let mut listpack = of(&[&b"some text"[..]; 1000]);
    while let Some(last) = listpack.last() {
        listpack.remove(last);
        assert_eq!(listpack.heap_bytes(), rounded(listpack.size()));
    }
}

#[test]
fn find_looks_at_every_second_entry_when_told() {
    let listpack = of(&[b"a", b"b", b"b", b"1", b"7", b"odd"]);
    let first = listpack.first().unwrap();
    assert_eq!(listpack.find(first, b"b", 0), listpack.seek(1));
    assert_eq!(listpack.find(first, b"b", 1), listpack.seek(2));
    assert_eq!(listpack.find(first, b"1", 1), None);
    assert_eq!(listpack.find(first, b"7", 1), listpack.seek(4));
    assert_eq!(listpack.find(first, b"07", 0), None);
    assert_eq!(listpack.find(listpack.seek(2).unwrap(), b"a", 0), None);
}

#[test]
fn pairs_come_two_by_two() {
    let listpack = of(&[b"f", b"1", b"g", b"2"]);
    let pairs: Vec<_> = listpack.pairs().map(|(f, v)| (f.to_vec(), v.int())).collect();
    assert_eq!(pairs, [(b"f".to_vec(), Some(1)), (b"g".to_vec(), Some(2))]);
    let last = listpack.pairs().next_back();
    assert_eq!(last, Some((Item::Bytes(b"g"), Item::Int(2))));
}

#[test]
fn beyond_65534_entries_are_counted_by_walking() {
    let mut listpack = Listpack::new();
    (0..65_534).for_each(|_| listpack.push_back(b"1"));
    assert_eq!(&listpack.as_bytes()[4..6], &[0xFE, 0xFF]);
    (0..10).for_each(|_| listpack.push_front(b"1"));
    assert_eq!(&listpack.as_bytes()[4..6], &[0xFF, 0xFF]);
    assert_eq!(listpack.len(), 65_544);
    let tail = listpack.split_off(65_500);
    assert_eq!((listpack.len(), tail.len()), (65_500, 44));
    listpack.append(&tail);
    assert_eq!(listpack.len(), 65_544);
}

#[test]
fn damage_is_refused() {
    let good = of(&[b"a", b"500", b"text"]).into_bytes();
    for at in 0..good.len() {
        for change in 1..=255u8 {
            let mut bad = good.clone();
            bad[at] ^= change;
            if let Ok(listpack) = Listpack::from_bytes(bad) {
                // Only the elements themselves can differ, or the count be unknown.
                assert_eq!(listpack.len(), 3);
            }
        }
        assert_eq!(Listpack::from_bytes(good[..at].to_vec()), Err(Damaged));
    }
}

#[test]
fn longer_forms_from_elsewhere_are_made_shortest() {
    // 5 as a number of 16 bits, and `a` as a text of 12 bits of length.
    let foreign = [14, 0, 0, 0, 2, 0, 0xF1, 5, 0, 3, 0xE0, 1, b'a', 3, END];
    let mut bytes = foreign.to_vec();
    bytes[0] = foreign.len() as u8;
    let listpack = Listpack::from_bytes(bytes).unwrap();
    assert_eq!(listpack.as_bytes(), of(&[b"5", b"a"]).as_bytes());
}

#[derive(Clone, Debug)]
enum Step {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    ReplaceInt(usize, i64),
    Remove(usize),
    RemoveMany(usize, usize),
    Split(usize),
    Find(Vec<u8>),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..10),
        2 => (0..1000i64).prop_map(|n| n.to_string().into_bytes()),
        2 => (any::<i64>(), 0..64u32).prop_map(|(n, shift)| (n >> shift).to_string().into_bytes()),
        1 => (60..70usize).prop_map(|n| vec![b'm'; n]),
        1 => (4090..4100usize).prop_map(|n| vec![b'l'; n]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..40usize;
    prop_oneof![
        4 => element().prop_map(Step::PushBack),
        2 => element().prop_map(Step::PushFront),
        1 => (at.clone(), element()).prop_map(|(at, text)| Step::InsertBefore(at, text)),
        1 => (at.clone(), element()).prop_map(|(at, text)| Step::InsertAfter(at, text)),
        2 => (at.clone(), element()).prop_map(|(at, text)| Step::Replace(at, text)),
        1 => (at.clone(), any::<i64>()).prop_map(|(at, n)| Step::ReplaceInt(at, n)),
        2 => at.clone().prop_map(Step::Remove),
        1 => (at.clone(), 0..5usize).prop_map(|(at, count)| Step::RemoveMany(at, count)),
        1 => at.prop_map(Step::Split),
        2 => element().prop_map(Step::Find),
    ]
}

/// One step on both; what the listpack answers is checked here, what it holds by the caller.
fn take(step: Step, packed: &mut Listpack, naive: &mut Vec<Vec<u8>>) {
    let len = naive.len();
    let position = |packed: &Listpack, index: usize| packed.seek((index % len.max(1)) as i64);
    match step {
        Step::PushBack(text) => {
            packed.push_back(&text);
            naive.push(text);
        }
        Step::PushFront(text) => {
            packed.push_front(&text);
            naive.insert(0, text);
        }
        Step::Find(text) => {
            let found = packed.first().and_then(|first| packed.find(first, &text, 0));
            let index = naive.iter().position(|other| *other == text);
            assert_eq!(found, index.and_then(|index| packed.seek(index as i64)));
        }
        Step::Split(index) => {
            let tail = packed.split_off(index);
            assert_eq!(texts(&tail), naive[index.min(len)..]);
            packed.append(&tail);
        }
        Step::InsertBefore(index, text) => {
            if let Some(at) = position(packed, index) {
                let placed = packed.insert_before(at, &text);
                assert!(packed.get(placed).eq_bytes(&text));
                naive.insert(index % len, text);
            }
        }
        Step::InsertAfter(index, text) => {
            if let Some(at) = position(packed, index) {
                let placed = packed.insert_after(at, &text);
                assert!(packed.get(placed).eq_bytes(&text));
                naive.insert(index % len + 1, text);
            }
        }
        Step::Replace(index, text) => {
            if let Some(at) = position(packed, index) {
                packed.replace(at, &text);
                naive[index % len] = text;
            }
        }
        Step::ReplaceInt(index, value) => {
            if let Some(at) = position(packed, index) {
                packed.replace_int(at, value);
                naive[index % len] = value.to_string().into_bytes();
            }
        }
        Step::Remove(index) => {
            if let Some(at) = position(packed, index) {
                let follower = packed.remove(at);
                naive.remove(index % len);
                assert_eq!(follower, packed.seek((index % len) as i64));
            }
        }
        Step::RemoveMany(index, count) => {
            if let Some(at) = position(packed, index) {
                packed.remove_many(at, count);
                let index = index % len;
                naive.drain(index..(index + count).min(len));
            }
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_vector_of_texts_does(steps in prop::collection::vec(step(), 0..60)) {
        let (mut packed, mut naive) = (Listpack::new(), Vec::new());
        for step in steps {
            take(step, &mut packed, &mut naive);
            prop_assert_eq!(texts(&packed), naive.clone());
            prop_assert_eq!(packed.len(), naive.len());
            let backwards: Vec<_> = packed.iter().rev().map(Item::to_vec).collect();
            prop_assert!(backwards.iter().eq(naive.iter().rev()));
            prop_assert_eq!(Listpack::from_bytes(packed.as_bytes().to_vec()), Ok(packed.clone()));
        }
    }
}
