use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::base::relocate::MoveAll;

impl Quicklist {
    fn check(&self) {
        self.nodes.check();
        let depth = self.depth as usize;
        let count = self.node_count();
        for (index, node) in self.nodes().enumerate() {
            let is_inner = depth > 0 && index >= depth && count - 1 - index >= depth;
            if !is_inner {
                assert!(node.squeezed().is_none(), "I2: node {index} of {count}");
            }
        }
    }

    fn texts(&self) -> Vec<Vec<u8>> {
        collect(self, 0, End::Head)
    }
}

fn collect(list: &Quicklist, start: usize, from: End) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let _ = list.walk(start, from, |item| -> ControlFlow<()> {
        all.push(item.to_vec());
        ControlFlow::Continue(())
    });
    all
}

fn numbers(count: usize, fill: i32) -> Quicklist {
    let mut list = Quicklist::new(Fill(fill), 0);
    (0..count).for_each(|n| list.push(End::Tail, n.to_string().as_bytes()));
    list
}

#[test]
fn limits_are_those_of_the_directive() {
    let bytes = [-1, -2, -3, -4, -5, -6].map(|fill| Fill(fill).bytes_max());
    assert_eq!(bytes, [4096, 8192, 16384, 32768, 65536, 65536]);
    assert_eq!([0, 1, 128].map(|fill| Fill(fill).count_max()), [1, 1, 128]);
    assert!(Fill(1000).is_exceeded(8193, 1) && !Fill(1000).is_exceeded(8192, 1000));
    assert!(Fill(128).is_small(8192, 64) && !Fill(128).is_small(10, 65));
    assert!(Fill(-2).is_small(4096, 1) && !Fill(-2).is_small(4097, 1));
}

#[test]
fn nodes_hold_as_many_as_they_are_told() {
    assert_eq!(numbers(100, 3).node_count(), 34);
    assert_eq!(numbers(100, 0).node_count(), 100);
    let by_bytes = numbers(10_000, -1);
    by_bytes.check();
    assert!(by_bytes.nodes().all(|node| node.raw_bytes() <= 4096));
}

#[test]
fn big_elements_have_nodes_of_their_own() {
    let mut list = Quicklist::new(Fill(-2), 0);
    for len in [10, 8192, 8193, 20] {
        list.push(End::Tail, &vec![b'x'; len]);
    }
    let plain: Vec<bool> = list.nodes().map(Node::is_plain).collect();
    assert_eq!(plain, [false, false, true, false]);
    list.set(2, b"small now");
    assert_eq!(list.get(2, |item| item.to_vec()).unwrap(), b"small now");
    list.set_plain_from(3);
    list.set(0, b"xyz");
    assert!(list.nodes().next().unwrap().is_plain());
    list.check();
}

#[test]
fn an_element_that_is_a_number_is_equal_wherever_it_is() {
    let mut list = numbers(4, -2);
    list.set_plain_from(1);
    list.push(End::Tail, b"2");
    assert_eq!(list.remove_equal(b"2", End::Head, usize::MAX), 2);
    assert_eq!(list.texts(), [b"0", b"1", b"3"]);
}

#[test]
fn any_index_of_a_list_of_many_blocks_is_found() {
    let list = numbers(20_000, 5);
    for index in (0..20_000).step_by(77) {
        assert_eq!(list.get(index, |item| item.int()), Some(Some(index as i64)));
    }
    assert_eq!(list.get(20_000, |_| ()), None);
}

#[test]
fn a_range_over_many_blocks_is_removed_at_once() {
    let mut list = numbers(20_000, 5);
    list.remove_range(3, 19_990);
    list.check();
    let left: Vec<i64> = list
        .texts()
        .iter()
        .map(|text| String::from_utf8_lossy(text).parse().unwrap())
        .collect();
    assert_eq!(
        left,
        [0, 1, 2, 19_993, 19_994, 19_995, 19_996, 19_997, 19_998, 19_999]
    );
}

#[test]
fn inner_nodes_are_compressed_and_read_the_same() {
    let mut list = Quicklist::new(Fill(-1), 1);
    for n in 0..5000 {
        list.push(End::Tail, format!("some text that repeats {n}").as_bytes());
    }
    let (inner, all) = (
        list.nodes().filter(|node| node.squeezed().is_some()).count(),
        list.node_count(),
    );
    assert_eq!(inner, all - 2);
    assert_eq!(
        list.get(2500, |item| item.to_vec()).unwrap(),
        b"some text that repeats 2500"
    );
    assert!(list.sampled_bytes(0) < 5000 * 12);
    list.set(2500, b"other");
    assert_eq!(list.get(2500, |item| item.to_vec()).unwrap(), b"other");
    list.check();
    while list.pop(End::Head, |_| ()).is_some() {
        list.check();
    }
}

#[test]
fn a_small_list_of_one_node_gives_its_listpack() {
    let mut list = numbers(100, -2);
    assert_eq!(list.take_small(Fill(100)), None);
    assert_eq!(list.take_small(Fill(200)).map(|pack| pack.len()), Some(100));
    assert!(list.is_empty());
    list.check();
}

#[test]
fn a_listpack_of_any_length_becomes_nodes() {
    let mut pack = Listpack::new();
    (0..100_000).for_each(|_| pack.push_back(b"1"));
    let mut list = Quicklist::new(Fill(-2), 0);
    list.push_pack(pack);
    list.check();
    assert_eq!((list.len(), list.node_count()), (100_000, 4));
}

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    Pop(End),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveEqual(Vec<u8>, End, usize),
    Walk(usize, End),
    PlainFrom(usize),
    Relocate(u64, u64),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Head), Just(End::Tail)]
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => (0..20i64).prop_map(|n| n.to_string().into_bytes()),
        3 => (0..90usize, any::<u8>()).prop_map(|(n, byte)| vec![byte; n]),
        1 => (2000..5000usize).prop_map(|n| vec![b'm'; n]),
        1 => (8180..8200usize).prop_map(|n| vec![b'l'; n]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0..300usize;
    prop_oneof![
        8 => (end(), element()).prop_map(|(end, text)| Step::Push(end, text)),
        3 => end().prop_map(Step::Pop),
        2 => (index.clone(), element()).prop_map(|(at, text)| Step::Set(at, text)),
        4 => (index.clone(), element()).prop_map(|(at, text)| Step::Insert(at, text)),
        1 => (index.clone(), 0..20usize).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        1 => (element(), end(), 1..5usize).prop_map(|(text, end, max)| Step::RemoveEqual(text, end, max)),
        2 => (index, end()).prop_map(|(at, end)| Step::Walk(at, end)),
        1 => prop_oneof![Just(0), Just(1), Just(50)].prop_map(Step::PlainFrom),
        1 => (0..200u64, 0..9u64).prop_map(|(from, budget)| Step::Relocate(from, budget)),
    ]
}

fn remove_equal(naive: &mut Vec<Vec<u8>>, text: &[u8], from: End, max: usize) -> usize {
    let mut removed = 0;
    while removed < max {
        let found = match from {
            End::Head => naive.iter().position(|other| other == text),
            End::Tail => naive.iter().rposition(|other| other == text),
        };
        let Some(at) = found else { break };
        naive.remove(at);
        removed += 1;
    }
    removed
}

fn take(step: Step, list: &mut Quicklist, naive: &mut Vec<Vec<u8>>) {
    let len = naive.len();
    match step {
        Step::PlainFrom(bytes) => list.set_plain_from(bytes),
        Step::Relocate(from, budget) => {
            let mut mover = MoveAll::pausing_after(budget);
            let mut cursor = list.relocate(from, &mut mover);
            while cursor != 0 {
                assert!(cursor > from, "a walk goes on");
                cursor = list.relocate(cursor, &mut mover);
            }
        }
        Step::Push(end, text) => {
            list.push(end, &text);
            naive.insert(if end == End::Head { 0 } else { len }, text);
        }
        Step::Pop(end) => {
            let popped = list.pop(end, |item| item.to_vec());
            let expected = match end {
                End::Head if len > 0 => Some(naive.remove(0)),
                _ => naive.pop(),
            };
            assert_eq!(popped, expected);
        }
        Step::Set(at, text) => {
            assert_eq!(list.set(at, &text), at < len);
            if let Some(old) = naive.get_mut(at) {
                *old = text;
            }
        }
        Step::Insert(at, text) => {
            list.insert(at, &text);
            naive.insert(at.min(len), text);
        }
        Step::RemoveRange(at, count) => {
            list.remove_range(at, count);
            naive.drain(at.min(len)..(at + count).min(len));
        }
        Step::RemoveEqual(text, from, max) => {
            let removed = list.remove_equal(&text, from, max);
            assert_eq!(removed, remove_equal(naive, &text, from, max));
        }
        Step::Walk(start, from) => {
            let expected = match (naive.get(start), from) {
                (None, _) => Vec::new(),
                (_, End::Head) => naive[start..].to_vec(),
                (_, End::Tail) => naive[..=start].iter().rev().cloned().collect(),
            };
            assert_eq!(collect(list, start, from), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_does_what_a_vector_of_texts_does(
        fill in prop_oneof![Just(-1), Just(-2), 0..5i32],
        depth in 0..4u32,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let (mut list, mut naive) = (Quicklist::new(Fill(fill), depth), Vec::new());
        for step in steps {
            take(step, &mut list, &mut naive);
            list.check();
            prop_assert_eq!(list.len(), naive.len());
        }
        prop_assert_eq!(list.texts(), naive);
    }
}
