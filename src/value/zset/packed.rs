//! Small sorted sets: a listpack of member, score, member, score, in order.
//!
//! ```text
//! [ 7 bytes of listpack | "alice" 3 | "bob" "3.1" | "carol" 7 ]
//! ```
//!
//! The bytes are Redis's. A score that is a whole number is stored as one, else as its shortest text.
//! Compat: so a score of -0 is 0 here; big sorted sets keep it.
//!
//! I1  Members come in pairs with numbers that are not NaN, in order, each member once.
//!
//! Costs: everything walks, over the few kilobytes that limits allow.

use std::ops::Range;

use crate::base::float;
use crate::base::relocate::Mover;
use crate::ds::listpack::{At, Damaged, Item, Listpack, Pairs, all_distinct};

/// The longest text of a score.
const SCORE_TEXT_MAX: usize = 25;

/// A listpack of members and scores. See the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Packed(Listpack);

impl Packed {
    /// Offers its memory.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        self.0.relocate(mover);
    }
}

/// A score on its way into the listpack.
enum Written {
    Int(i64),
    Text(Vec<u8>),
}

impl Written {
    #[inline]
    fn of(score: f64) -> Written {
        if let Some(whole) = float::exact_i64(score) {
            return Written::Int(whole);
        }
        let mut text = Vec::with_capacity(SCORE_TEXT_MAX);
        float::shortest(score, &mut text);
        Written::Text(text)
    }

    #[inline]
    fn item(&self) -> Item<'_> {
        match self {
            Written::Int(whole) => Item::Int(*whole),
            Written::Text(text) => Item::Bytes(text),
        }
    }
}

/// I1: what stands behind a member is a number.
#[inline]
fn score_of(item: Item<'_>) -> f64 {
    number_of(item).unwrap_or(0.0)
}

/// Whether the text of an item is before `text`.
#[inline]
fn is_before(item: Item<'_>, text: &[u8]) -> bool {
    match item {
        Item::Bytes(bytes) => bytes < text,
        Item::Int(whole) => itoa::Buffer::new().format(whole).as_bytes() < text,
    }
}

/// Whether each member has a number behind it, and comes after the one before it.
fn are_ordered(listpack: &Listpack) -> bool {
    let mut last: Option<(f64, Item<'_>)> = None;
    listpack.pairs().all(|(member, score)| {
        let Some(score) = number_of(score) else {
            return false;
        };
        let before = last.replace((score, member));
        before.is_none_or(|(other, before)| {
            other < score || other == score && with_text(member, |text| is_before(before, text))
        })
    })
}

fn number_of(item: Item<'_>) -> Option<f64> {
    match item {
        Item::Int(whole) => Some(whole as f64),
        Item::Bytes(text) => float::parse(text),
    }
}

impl Packed {
    /// Takes over a listpack from a file.
    ///
    /// # Errors
    /// [`Damaged`] when I1 does not hold. O(n).
    pub fn from_listpack(listpack: Listpack) -> Result<Packed, Damaged> {
        let members = listpack.pairs().map(|(member, _)| member);
        if !listpack.len().is_multiple_of(2) || !are_ordered(&listpack) || !all_distinct(members) {
            return Err(Damaged);
        }
        Ok(Packed(listpack))
    }

    pub(super) fn listpack(&self) -> &Listpack {
        &self.0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a member is, and its score.
    #[inline]
    pub(super) fn find(&self, member: &[u8]) -> Option<(At, f64)> {
        let at = self.0.find(self.0.first()?, member, 1)?;
        Some((at, self.score_at(at)))
    }

    /// The score of the member at `at`.
    #[inline]
    fn score_at(&self, at: At) -> f64 {
        self.0.next(at).map_or(0.0, |at| score_of(self.0.get(at)))
    }

    /// The member behind the one at `at`.
    #[inline]
    fn after(&self, at: At) -> Option<At> {
        self.0.next(at).and_then(|score_at| self.0.next(score_at))
    }

    /// The number of members before the one at `at`.
    pub(super) fn rank_of(&self, at: At) -> usize {
        let mut here = self.0.first();
        let mut rank = 0;
        while let Some(before) = here
            && before < at
        {
            here = self.after(before);
            rank += 1;
        }
        rank
    }

    /// Adds a member that is not there.
    #[inline]
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        match self.place_of(member, score) {
            Some(place) => {
                let at = self.0.insert_before(place, member);
                self.0.insert_item_after(at, Written::of(score).item());
            }
            None => self.push(member, score),
        }
    }

    /// Adds a member behind all others.
    #[inline]
    pub(super) fn push(&mut self, member: &[u8], score: f64) {
        self.0.push_back(member);
        self.0.push_back_item(Written::of(score).item());
    }

    /// The first member that this one comes before.
    fn place_of(&self, member: &[u8], score: f64) -> Option<At> {
        let mut here = self.0.first();
        while let Some(at) = here {
            let score_at = self.0.next(at)?;
            let other = score_of(self.0.get(score_at));
            if other > score || other == score && !is_before(self.0.get(at), member) {
                return Some(at);
            }
            here = self.0.next(score_at);
        }
        None
    }

    /// Gives the member at `at` another score.
    #[inline]
    pub(super) fn change(&mut self, at: At, member: &[u8], score: f64) {
        if self.keeps_place(at, member, score) {
            if let Some(score_at) = self.0.next(at) {
                self.0.replace_item(score_at, Written::of(score).item());
            }
            return;
        }
        self.remove(at);
        self.insert(member, score);
    }

    fn keeps_place(&self, at: At, member: &[u8], score: f64) -> bool {
        let above = self.0.prev(at).and_then(|score_at| self.0.prev(score_at));
        let is_ordered = |first: (f64, At), is_first_before: bool| {
            let (other, other_at) = first;
            let is_less = if is_first_before {
                other < score
            } else {
                score < other
            };
            is_less || other == score && is_before(self.0.get(other_at), member) == is_first_before
        };
        above.is_none_or(|other| is_ordered((self.score_at(other), other), true))
            && self
                .after(at)
                .is_none_or(|other| is_ordered((self.score_at(other), other), false))
    }

    #[inline]
    pub(super) fn remove(&mut self, at: At) {
        self.0.remove_many(at, 2);
    }

    pub(super) fn remove_range(&mut self, ranks: Range<usize>) {
        self.0.remove_range(2 * ranks.start as i64, 2 * ranks.len());
    }

    /// The number of members before the first one for which `is_before` does not hold.
    pub(super) fn partition_point(&self, is_before: impl Fn(f64, Item<'_>) -> bool) -> usize {
        self.iter()
            .take_while(|&(member, score)| is_before(score, member))
            .count()
    }

    /// Members with scores, from either end.
    #[inline]
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter(self.0.pairs())
    }
}

/// Members with scores.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a>(Pairs<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(member, score)| (member, score_of(score)))
    }

    /// Skips without reading scores.
    #[inline]
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.0.nth(n).map(|(member, score)| (member, score_of(score)))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0
            .next_back()
            .map(|(member, score)| (member, score_of(score)))
    }

    #[inline]
    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        self.0
            .nth_back(n)
            .map(|(member, score)| (member, score_of(score)))
    }
}

/// Calls `read` with a member's text.
#[inline]
pub fn with_text<R>(member: Item<'_>, read: impl FnOnce(&[u8]) -> R) -> R {
    match member {
        Item::Bytes(text) => read(text),
        Item::Int(value) => {
            let mut text = itoa::Buffer::new();
            read(text.format(value).as_bytes())
        }
    }
}

/// Bytes a member may take in a listpack, at most.
pub(super) fn entry_bytes_max(member: &[u8]) -> usize {
    const AROUND: usize = 2 * (5 + 5);
    member.len() + SCORE_TEXT_MAX + AROUND
}
