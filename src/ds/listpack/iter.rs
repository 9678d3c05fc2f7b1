//! Iterators over a listpack's elements. What is left to visit is a slice of whole entries.

use super::Item;
use super::codec::{back_len, decode, entry_len, read_back};

/// Elements in order, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    pub(super) fn new(entries: &'a [u8]) -> Iter<'a> {
        Iter { rest: entries }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let item = decode(self.rest);
        self.rest = &self.rest[entry_len(self.rest)..];
        Some(item)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (rest, last) = self.rest.split_at(self.rest.len() - last_entry_len(self.rest));
        self.rest = rest;
        Some(decode(last))
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

/// Elements two by two.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    items: Iter<'a>,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(items: Iter<'a>) -> Pairs<'a> {
        Pairs { items }
    }
}

/// An odd element at the end is left out.
impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.items.next()?, self.items.next()?))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let second = self.items.next_back()?;
        Some((self.items.next_back()?, second))
    }
}

/// Length of the entry at the end of `bytes`.
#[inline]
pub(super) fn last_entry_len(bytes: &[u8]) -> usize {
    let body = read_back(bytes).expect("entries were checked when they came in");
    body + back_len(body)
}
