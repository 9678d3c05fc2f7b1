//! Lists and their two encodings.
//!
//! ```text
//! listpack   one buffer, as long as the limits of a quicklist's node admit it
//! quicklist  many of them
//! ```
//!
//! A listpack that would grow beyond `list-max-listpack-size` becomes the first node of a quicklist. Back it goes when one
//! node is left and that is at most half as big as allowed, so that a list around the limit does not change to and fro.
//!
//! Compat: whether a listpack is going to be too big is asked before adding, by the lengths of the words as sent: what a
//! number would save in the encoding does not count.
//!
//! Costs: as in [`crate::ds::listpack`] and [`crate::ds::quicklist`]. Not here: clients' indexes with their errors.

use std::ops::ControlFlow;

use crate::base::relocate::{self, Mover};
use crate::base::size_class::rounded;
use crate::ds::listpack::{At, Item, Listpack};
use crate::ds::quicklist::{End, Fill, Quicklist, walk_pack};

use super::{Kind, Limits, Typed, variant};

/// Elements in order.
#[derive(Clone)]
pub enum List {
    /// Few and small ones.
    Packed(Listpack),
    /// Any.
    Quick(Box<Quicklist>),
}

const _: () = assert!(size_of::<List>() <= 16);

/// A new element and what it counts when room is made for it.
#[derive(Clone, Copy, Debug)]
pub struct Pushed<'a> {
    /// The element.
    pub text: &'a [u8],
    /// Compat: an element moved from a quicklist that is a number counts as nothing.
    pub counted_bytes: usize,
}

impl<'a> From<&'a [u8]> for Pushed<'a> {
    fn from(text: &'a [u8]) -> Pushed<'a> {
        let counted_bytes = text.len();
        Pushed { text, counted_bytes }
    }
}

impl Typed for List {
    const KIND: Kind = Kind::List;
    variant!(List);

    fn empty() -> List {
        List::Packed(Listpack::new())
    }

    fn is_empty(&self) -> bool {
        match self {
            List::Packed(pack) => pack.is_empty(),
            List::Quick(quick) => quick.is_empty(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            List::Packed(_) => "listpack",
            List::Quick(_) => "quicklist",
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            List::Packed(_) => 1,
            List::Quick(quick) => quick.node_count(),
        }
    }

    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
        match self {
            List::Packed(pack) => {
                pack.relocate(mover);
                0
            }
            List::Quick(quick) => {
                relocate::first(cursor, quick, mover);
                quick.relocate(cursor, mover)
            }
        }
    }

    fn sampled_bytes(&self, samples: usize) -> usize {
        match self {
            List::Packed(pack) => pack.heap_bytes(),
            List::Quick(quick) => rounded(size_of::<Quicklist>()) + quick.sampled_bytes(samples),
        }
    }
}

/// Reading.
impl List {
    /// How many elements.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "that is in `Typed`")]
    pub fn len(&self) -> usize {
        match self {
            List::Packed(pack) => pack.len(),
            List::Quick(quick) => quick.len(),
        }
    }

    /// The position that a client's index means; negative ones count from the tail. `None`: outside.
    pub fn position(&self, index: i64) -> Option<usize> {
        let len = self.len() as i64;
        let index = if index < 0 { index.checked_add(len)? } else { index };
        (0..len).contains(&index).then_some(index as usize)
    }

    /// What `look` makes of the element at `position`.
    pub fn get<R>(&self, position: usize, look: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        match self {
            List::Packed(pack) => pack.seek(position as i64).map(|at| look(pack.get(at))),
            List::Quick(quick) => quick.get(position, look),
        }
    }

    /// What `look` makes of the element at an end.
    pub fn peek<R>(&self, end: End, look: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let position = match end {
            End::Head => 0,
            End::Tail => self.len().checked_sub(1)?,
        };
        self.get(position, look)
    }

    /// Shows `visit` the element at `start` and those that follow it away from `from`, until it breaks off.
    pub fn walk<B>(
        &self,
        start: usize,
        from: End,
        visit: impl FnMut(Item<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match self {
            List::Packed(pack) => walk_pack(pack, start, from, visit),
            List::Quick(quick) => quick.walk(start, from, visit),
        }
    }

    /// Shows `visit` all elements from head to tail.
    pub fn for_each(&self, mut visit: impl FnMut(Item<'_>)) {
        self.for_range(0, self.len(), End::Head, &mut visit);
    }

    /// Shows `visit` `count` elements, or as many as there are, from `start` on, away from `from`.
    pub fn for_range(&self, start: usize, count: usize, from: End, mut visit: impl FnMut(Item<'_>)) {
        if count == 0 {
            return;
        }
        let mut left = count;
        let _ = self.walk(start, from, |item| {
            visit(item);
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }
}

/// Changing. Every change keeps the encoding what the limits say.
impl List {
    /// Adds elements at an end, one after the other.
    #[inline]
    pub fn push_all<'a>(&mut self, end: End, texts: impl Iterator<Item = &'a [u8]> + Clone, limits: &Limits) {
        let mut sizes = texts.clone().map(<[u8]>::len);
        let first = sizes.next().unwrap_or(0);
        // The case of one element is the hot one.
        let (bytes, count) = sizes.fold((first, 1), |(bytes, count), len| (bytes + len, count + 1));
        self.make_room(bytes, count, limits);
        texts.for_each(|text| self.push_raw(end, text));
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, element: Pushed<'_>, limits: &Limits) {
        self.make_room(element.counted_bytes, 1, limits);
        self.push_raw(end, element.text);
    }

    #[inline]
    fn push_raw(&mut self, end: End, text: &[u8]) {
        match self {
            List::Packed(pack) if end == End::Head => pack.push_front(text),
            List::Packed(pack) => pack.push_back(text),
            List::Quick(quick) => quick.push(end, text),
        }
    }

    /// Removes the element at an end; what `take` makes of it.
    #[inline]
    pub fn pop<R>(&mut self, end: End, limits: &Limits, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let answer = match self {
            List::Packed(pack) => {
                let at = match end {
                    End::Head => pack.first()?,
                    End::Tail => pack.last()?,
                };
                let answer = take(pack.get(at));
                pack.remove(at);
                answer
            }
            List::Quick(quick) => quick.pop(end, take)?,
        };
        self.shrink(limits);
        Some(answer)
    }

    /// Shows `visit` up to `count` elements from an end on, outermost first, and removes them.
    pub fn pop_many(&mut self, end: End, count: usize, limits: &Limits, visit: impl FnMut(Item<'_>)) {
        let len = self.len();
        let count = count.min(len);
        if count == 0 {
            return;
        }
        let (outermost, first) = match end {
            End::Head => (0, 0),
            End::Tail => (len - 1, len - count),
        };
        self.for_range(outermost, count, end, visit);
        self.remove_range(first, count, limits);
    }

    /// Replaces the element at `position`; false when there is none.
    pub fn set(&mut self, position: usize, text: &[u8], limits: &Limits) -> bool {
        self.make_room(text.len(), 1, limits);
        let replaced = match self {
            List::Packed(pack) => match pack.seek(position as i64) {
                Some(at) => {
                    pack.replace(at, text);
                    true
                }
                None => false,
            },
            List::Quick(quick) => quick.set(position, text),
        };
        if replaced {
            self.shrink(limits);
        }
        replaced
    }

    /// Puts an element before the first one that equals `pivot`, or behind it; false when there is none.
    pub fn insert_beside(&mut self, pivot: &[u8], after: bool, text: &[u8], limits: &Limits) -> bool {
        // Compat: room is made even if the pivot is not there.
        self.make_room(text.len(), 1, limits);
        match self {
            List::Packed(pack) => insert_into_pack(pack, pivot, after, text),
            List::Quick(quick) => insert_into_quick(quick, pivot, after, text),
        }
    }

    /// Removes elements that equal `text`, at most `max` of them, beginning at `from`; how many.
    pub fn remove_equal(&mut self, text: &[u8], from: End, max: usize, limits: &Limits) -> usize {
        let removed = match self {
            List::Packed(pack) => pack.remove_equal(Item::of(text), from == End::Tail, max),
            List::Quick(quick) => quick.remove_equal(text, from, max),
        };
        if removed > 0 {
            self.shrink(limits);
        }
        removed
    }

    /// Removes `count` elements, or as many as there are, from position `start` on.
    pub fn remove_range(&mut self, start: usize, count: usize, limits: &Limits) {
        if count == 0 {
            return;
        }
        match self {
            List::Packed(pack) => pack.remove_range(start as i64, count),
            List::Quick(quick) => quick.remove_range(start, count),
        }
        self.shrink(limits);
    }

    /// Moves the element at an end to an end; what `take` makes of it.
    pub fn rotate<R>(
        &mut self,
        from: End,
        to: End,
        limits: &Limits,
        take: impl FnOnce(Pushed<'_>) -> R,
    ) -> Option<R> {
        let is_quick = matches!(self, List::Quick(_));
        let (text, is_number) = match self {
            List::Packed(pack) => {
                let at = match from {
                    End::Head => pack.first()?,
                    End::Tail => pack.last()?,
                };
                let moved = own(pack.get(at));
                pack.remove(at);
                moved
            }
            List::Quick(quick) => quick.pop(from, own)?,
        };
        let element = Pushed {
            text: &text,
            counted_bytes: if is_quick && is_number { 0 } else { text.len() },
        };
        let answer = take(element);
        self.push(to, element, limits);
        self.shrink(limits);
        Some(answer)
    }
}

/// Encodings.
impl List {
    /// Becomes a quicklist if `count` more elements of `bytes` together are too much for a listpack.
    #[inline]
    fn make_room(&mut self, bytes: usize, count: usize, limits: &Limits) {
        match self {
            List::Packed(pack) => {
                let fill = Fill(limits.list_max_listpack_size);
                if fill.is_exceeded(pack.size().saturating_add(bytes), pack.len() + count) {
                    self.expand(limits);
                }
            }
            List::Quick(quick) => quick.set_plain_from(limits.list_packed_threshold),
        }
    }

    #[cold]
    fn expand(&mut self, limits: &Limits) {
        let List::Packed(pack) = self else { return };
        let mut quick = Quicklist::new(Fill(limits.list_max_listpack_size), limits.list_compress_depth);
        quick.set_plain_from(limits.list_packed_threshold);
        quick.push_pack(std::mem::take(pack));
        *self = List::Quick(Box::new(quick));
    }

    /// Becomes a listpack again if it is small enough by far.
    #[inline]
    fn shrink(&mut self, limits: &Limits) {
        if let List::Quick(quick) = self
            && quick.node_count() == 1
            && let Some(pack) = quick.take_small(Fill(limits.list_max_listpack_size))
        {
            *self = List::Packed(pack);
        }
    }
}

/// The text, and whether it is kept as a number.
fn own(item: Item<'_>) -> (Vec<u8>, bool) {
    (item.to_vec(), item.int().is_some())
}

fn insert_into_pack(pack: &mut Listpack, pivot: &[u8], after: bool, text: &[u8]) -> bool {
    let found = |first: At| pack.find(first, pivot, 0);
    let Some(at) = pack.first().and_then(found) else {
        return false;
    };
    if after {
        pack.insert_after(at, text);
    } else {
        pack.insert_before(at, text);
    }
    true
}

fn insert_into_quick(quick: &mut Quicklist, pivot: &[u8], after: bool, text: &[u8]) -> bool {
    let (wanted, mut position) = (Item::of(pivot), 0);
    let found = quick.walk(0, End::Head, |item| {
        if item == wanted {
            return ControlFlow::Break(());
        }
        position += 1;
        ControlFlow::Continue(())
    });
    if found.is_break() {
        quick.insert(position + usize::from(after), text);
    }
    found.is_break()
}

impl std::fmt::Debug for List {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut all = Vec::new();
        self.for_each(|item| all.push(String::from_utf8_lossy(&item.to_vec()).into_owned()));
        write!(out, "{} {all:?}", self.encoding())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;

    fn limits(list_max_listpack_size: i32) -> Limits {
        Limits {
            list_max_listpack_size,
            ..Limits::new(KeyHasher::with_seed(1))
        }
    }

    fn of(texts: &[&str], limits: &Limits) -> List {
        let mut list = List::empty();
        list.push_all(End::Tail, texts.iter().map(|text| text.as_bytes()), limits);
        list
    }

    fn texts(list: &List) -> Vec<String> {
        let mut all = Vec::new();
        list.for_each(|item| all.push(String::from_utf8(item.to_vec()).unwrap()));
        all
    }

    #[test]
    fn one_element_too_many_makes_a_quicklist_and_half_as_many_a_listpack() {
        let limits = limits(4);
        let mut list = of(&["a", "b", "c", "d"], &limits);
        assert_eq!(list.encoding(), "listpack");
        list.push(End::Head, b"e"[..].into(), &limits);
        assert_eq!(list.encoding(), "quicklist");
        while list.len() > 3 {
            list.pop(End::Head, &limits, |_| ());
            assert_eq!(list.encoding(), "quicklist");
        }
        list.pop(End::Tail, &limits, |_| ());
        assert_eq!(list.encoding(), "listpack");
        assert_eq!(texts(&list), ["b", "c"]);
    }

    #[test]
    fn bytes_are_counted_as_sent() {
        let limits = limits(-1);
        let mut list = List::empty();
        list.push(End::Tail, vec![b'x'; 4089][..].into(), &limits);
        assert_eq!(list.encoding(), "listpack");
        let mut list = List::empty();
        list.push(End::Tail, vec![b'x'; 4090][..].into(), &limits);
        assert_eq!(list.encoding(), "quicklist");
    }

    #[test]
    fn positions_are_counted_from_either_end() {
        let list = of(&["a", "b", "c"], &limits(-2));
        let positions = [0, 2, 3, -1, -3, -4, i64::MIN, i64::MAX].map(|index| list.position(index));
        let expected = [Some(0), Some(2), None, Some(2), Some(0), None, None, None];
        assert_eq!(positions, expected);
    }

    #[test]
    fn both_encodings_do_the_same() {
        for limits in [limits(-2), limits(1), limits(3)] {
            let mut list = of(&["a", "b", "1", "b", "c", "b"], &limits);
            assert!(list.insert_beside(b"1", true, b"x", &limits));
            assert!(list.insert_beside(b"a", false, b"first", &limits));
            assert!(!list.insert_beside(b"none", false, b"y", &limits));
            assert_eq!(texts(&list), ["first", "a", "b", "1", "x", "b", "c", "b"]);
            assert!(list.set(4, b"X", &limits) && !list.set(8, b"Y", &limits));
            assert_eq!(list.remove_equal(b"b", End::Tail, 2, &limits), 2);
            assert_eq!(texts(&list), ["first", "a", "b", "1", "X", "c"]);
            assert_eq!(
                list.rotate(End::Tail, End::Head, &limits, |element| element.text.to_vec()),
                Some(b"c".to_vec())
            );
            let mut popped = Vec::new();
            list.pop_many(End::Tail, 2, &limits, |item| popped.push(item.to_vec()));
            assert_eq!(popped, [b"X", b"1"]);
            assert_eq!(texts(&list), ["c", "first", "a", "b"]);
            list.pop_many(End::Head, 10, &limits, |_| ());
            assert!(list.is_empty());
        }
    }
}
