//! A node: up to some hundred entries of a stream in one listpack, laid out as Redis saves them.
//!
//! ```text
//! master entry   | live | deleted | n | name 1 | ... | name n | 0 |
//! entry, same    | flags | ms - master's | seq - master's |     value 1 | ... | value n |                     count |
//! entry, other   | flags | ms - master's | seq - master's | m | name 1 | value 1 | ... | name m | value m |   count |
//! ```
//!
//! The node's key holds the master id; the names of its first entry stand in the master entry, so entries with the same
//! names (flag 2) need not repeat them. `count` is the number of elements of its entry without itself: whoever walks
//! backwards finds the flags by it, and the master entry by its 0. A deleted entry stays where it is under flag 1.
//!
//! A node's listpack is walked without further checks: what comes from outside passes [`Node::adopt`] first.
//! Cost: to find an entry is to walk the node.

use crate::base::relocate::Mover;
use crate::ds::listpack::{At, Item, Listpack};

use super::id::StreamId;

const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;

/// Flags and the two parts of the id.
const FIXED_ELEMENTS: usize = 3;

/// A listpack that is a node.
#[derive(Debug, Clone)]
pub struct Node(Listpack);

/// Bytes that are no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a node of a stream")]
pub struct Damaged;

/// What the master entry tells.
#[derive(Clone, Copy)]
pub struct Head {
    /// How many names there are.
    names: usize,
    first_name: At,
    /// The 0 at the end of the master entry.
    end: At,
}

/// One entry as it stands in its node.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Whether it is only a tombstone.
    pub is_deleted: bool,
    listpack: &'a Listpack,
    /// How many fields.
    fields: usize,
    /// Where the names stand, if in the master entry.
    names: Option<At>,
    /// Where its flags stand.
    at: At,
    /// The first element behind id and number of fields.
    body: At,
}

impl Node {
    /// Offers the listpack.
    pub(super) fn relocate(&mut self, mover: &mut dyn Mover) {
        self.0.relocate(mover);
    }

    /// A node without entries that knows these names.
    pub fn begin<'n>(names: impl Iterator<Item = &'n [u8]>, count: usize) -> Node {
        let mut listpack = Listpack::new();
        listpack.push_back_int(0);
        listpack.push_back_int(0);
        listpack.push_back_int(count as i64);
        names.for_each(|name| listpack.push_back(name));
        listpack.push_back_int(0);
        Node(listpack)
    }

    /// Appends an entry of `count` fields, given as names and values in turn. `id` is the greatest so far.
    pub fn push<'w>(
        &mut self,
        master: StreamId,
        id: StreamId,
        words: impl Iterator<Item = &'w [u8]> + Clone,
        count: usize,
    ) {
        let is_same = self.has_names(words.clone().step_by(2), count);
        let listpack = &mut self.0;
        listpack.push_back_int(if is_same { SAME_NAMES } else { 0 });
        listpack.push_back_int(id.ms.wrapping_sub(master.ms) as i64);
        listpack.push_back_int(id.seq.wrapping_sub(master.seq) as i64);
        if is_same {
            words
                .skip(1)
                .step_by(2)
                .for_each(|value| listpack.push_back(value));
            listpack.push_back_int((FIXED_ELEMENTS + count) as i64);
        } else {
            listpack.push_back_int(count as i64);
            words.for_each(|word| listpack.push_back(word));
            listpack.push_back_int((FIXED_ELEMENTS + 1 + 2 * count) as i64);
        }
        self.recount(1, 0);
    }

    /// Whether the master entry has just these names.
    fn has_names<'n>(&self, mut names: impl Iterator<Item = &'n [u8]>, count: usize) -> bool {
        let (known, mut at) = self.names();
        known == count
            && names.all(|name| {
                let is_same = self.0.get(at).eq_bytes(name);
                at = self.after(at);
                is_same
            })
    }

    /// Bytes of the listpack.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// The listpack as Redis saves it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// How many entries there are, and how many tombstones.
    pub fn counts(&self) -> (u64, u64) {
        let live = self.first();
        (self.number(live) as u64, self.number(self.after(live)) as u64)
    }

    /// Adds to the number of entries and to that of tombstones.
    fn recount(&mut self, live: i64, deleted: i64) {
        let at = self.first();
        let sum = self.number(at) + live;
        self.0.replace_int(at, sum);
        if deleted != 0 {
            let at = self.after(self.first());
            let sum = self.number(at) + deleted;
            self.0.replace_int(at, sum);
        }
    }

    /// Makes the entries that stand at these places tombstones.
    pub fn delete(&mut self, entries: &[At]) {
        for &at in entries {
            // Flags are below 128 with and without this one: the element keeps its length, and places stay good.
            let flags = self.number(at) | DELETED;
            self.0.replace_int(at, flags);
        }
        let count = entries.len() as i64;
        self.recount(-count, count);
    }

    /// How many names the master entry has, and where they begin.
    fn names(&self) -> (usize, At) {
        let count = self.after(self.after(self.first()));
        (self.number(count) as usize, self.after(count))
    }

    /// What the master entry tells. Walks its names.
    pub fn head(&self) -> Head {
        let (names, first_name) = self.names();
        let end = (0..names).fold(first_name, |at, _| self.after(at));
        Head {
            names,
            first_name,
            end,
        }
    }

    /// The first entry, tombstone or not.
    pub fn first_entry(&self, master: StreamId, head: Head) -> Option<Entry<'_>> {
        Some(self.entry(master, head, self.0.next(head.end)?))
    }

    /// The last entry, tombstone or not.
    pub fn last_entry(&self, master: StreamId, head: Head) -> Option<Entry<'_>> {
        self.entry_that_ends(master, head, self.0.last()?)
    }

    /// The entry behind.
    pub fn next_entry(&self, master: StreamId, head: Head, entry: &Entry<'_>) -> Option<Entry<'_>> {
        let elements = entry.fields * if entry.names.is_some() { 1 } else { 2 };
        let count = (0..elements).fold(entry.body, |at, _| self.after(at));
        Some(self.entry(master, head, self.0.next(count)?))
    }

    /// The entry before.
    pub fn prev_entry(&self, master: StreamId, head: Head, entry: &Entry<'_>) -> Option<Entry<'_>> {
        self.entry_that_ends(master, head, self.0.prev(entry.at)?)
    }

    /// The entry whose `count` stands there; none when that is the end of the master entry.
    fn entry_that_ends(&self, master: StreamId, head: Head, count: At) -> Option<Entry<'_>> {
        let elements = self.number(count);
        if elements <= 0 {
            return None;
        }
        let flags = (0..elements).try_fold(count, |at, _| self.0.prev(at))?;
        Some(self.entry(master, head, flags))
    }

    fn entry(&self, master: StreamId, head: Head, at: At) -> Entry<'_> {
        let flags = self.number(at);
        let ms = self.after(at);
        let seq = self.after(ms);
        let behind = self.after(seq);
        let has_same_names = flags & SAME_NAMES != 0;
        let (fields, body) = if has_same_names {
            (head.names, behind)
        } else {
            (self.number(behind) as usize, self.after(behind))
        };
        Entry {
            id: master.offset(self.number(ms), self.number(seq)),
            is_deleted: flags & DELETED != 0,
            listpack: &self.0,
            fields,
            names: has_same_names.then_some(head.first_name),
            at,
            body,
        }
    }

    fn first(&self) -> At {
        self.0.first().expect("a node has its master entry")
    }

    /// The element behind one that is not the last.
    #[inline]
    fn after(&self, at: At) -> At {
        self.0.next(at).expect("an entry of a node ends with its count")
    }

    #[inline]
    fn number(&self, at: At) -> i64 {
        self.0.get(at).int().unwrap_or_default()
    }
}

impl<'a> Entry<'a> {
    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether it has none, which only a file can bring about.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Where it stands in its node, until the next change.
    pub fn at(&self) -> At {
        self.at
    }

    /// Names and values.
    pub fn fields(&self) -> impl Iterator<Item = (Item<'a>, Item<'a>)> + use<'a> {
        let listpack = self.listpack;
        let mut values = listpack.iter_from(self.body);
        let mut names = self.names.map(|at| listpack.iter_from(at));
        (0..self.fields).map_while(move |_| {
            let name = match &mut names {
                Some(names) => names.next(),
                None => values.next(),
            };
            Some((name?, values.next()?))
        })
    }
}

impl Node {
    /// A node of a listpack from outside, whose key is `master`.
    ///
    /// # Errors
    /// [`Damaged`] unless every entry is whole, ids ascend from `master` on, and the counts are true. Walks all of it.
    pub fn adopt(master: StreamId, listpack: Listpack) -> Result<Node, Damaged> {
        let mut elements = listpack.iter();
        let mut number = || elements.next().and_then(Item::int).ok_or(Damaged);
        let (live, deleted, names) = (number()?, number()?, number()?);
        let is_plausible = |count: i64| (0..=i64::from(u32::MAX)).contains(&count);
        if ![live, deleted, names].into_iter().all(is_plausible) {
            return Err(Damaged);
        }
        skip(&mut elements, names)?;
        if elements.next() != Some(Item::Int(0)) {
            return Err(Damaged);
        }
        let (mut found_live, mut found_deleted, mut last) = (0, 0, None);
        while let Some(flags) = elements.next() {
            let (is_deleted, ms, seq) = check_entry(flags, &mut elements, names)?;
            let id = master.offset(ms, seq);
            if id < master || last.is_some_and(|last| last >= id) {
                return Err(Damaged);
            }
            last = Some(id);
            if is_deleted {
                found_deleted += 1;
            } else {
                found_live += 1;
            }
        }
        if (found_live, found_deleted) != (live, deleted) {
            return Err(Damaged);
        }
        Ok(Node(listpack))
    }
}

/// Checks the entry that begins with these flags; whether it is a tombstone, and how far its id is from the master's.
fn check_entry<'a>(
    flags: Item<'_>,
    elements: &mut impl Iterator<Item = Item<'a>>,
    names: i64,
) -> Result<(bool, i64, i64), Damaged> {
    let flags = flags
        .int()
        .filter(|flags| (0..4).contains(flags))
        .ok_or(Damaged)?;
    let mut number = || elements.next().and_then(Item::int).ok_or(Damaged);
    let (ms, seq) = (number()?, number()?);
    let (body, head) = if flags & SAME_NAMES != 0 {
        (names, FIXED_ELEMENTS as i64)
    } else {
        let fields = number()?;
        let body = fields.checked_mul(2).filter(|body| *body >= 0).ok_or(Damaged)?;
        (body, FIXED_ELEMENTS as i64 + 1)
    };
    skip(elements, body)?;
    let count = elements.next().and_then(Item::int).ok_or(Damaged)?;
    if Some(count) != body.checked_add(head) {
        return Err(Damaged);
    }
    Ok((flags & DELETED != 0, ms, seq))
}

/// Passes over `count` elements that must be there.
fn skip<'a>(elements: &mut impl Iterator<Item = Item<'a>>, count: i64) -> Result<(), Damaged> {
    for _ in 0..count {
        elements.next().ok_or(Damaged)?;
    }
    Ok(())
}
