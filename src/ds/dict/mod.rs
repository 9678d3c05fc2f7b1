//! Hash table of thin owning pointers that grows a segment at a time and iterates in the order of hashes.
//!
//! It owns the keyspace, and big hashes and sets. An element is 8 bytes and carries its own key.
//!
//! ```text
//! hash:       [ 0 1 | 1 0 1 1 0 0 1 0 | ..................... | tag: 8 bits ]
//!                |          |                                       |
//! directory   slot 01   home bucket 178 of the segment          which of its 7 elements
//!  00 -> #0             +--------------------------------------------------+
//!  01 -> #1 ----------> | 7 tags, overflow | e0 | e1 | e2 | e3 | e4 | e5 | e6 |   x 256 = 16 KiB
//!  1x -> #2, #2         +--------------------------------------------------+
//! ```
//!
//! Segment and bucket come from the top bits, so the order of home buckets over the whole table is the order
//! of hashes, before and after any split: a position in hash space is a cursor that no resize can invalidate.
//!
//! An empty table has no memory. The first segment grows from 1 bucket to 256 by doubling; from then on a
//! crowded segment splits in two, two emptied ones join, and no insert or removal ever moves more than one
//! segment (about 1,700 elements). Hashes that share long prefixes, which only a broken hash function
//! produces, make segments bigger instead of the directory: lookups among them degrade to a search, and
//! nothing else breaks.
//!
//! Costs: find is a directory slot, usually one bucket, and the element. Segments are 38-95% full, which by
//! arithmetic makes 12 to 19 bytes per element of a big table (measured at 1M and 4M: 16). A split takes
//! about 60 us, its elements being out of cache. Without huge pages the buckets of a big table miss the TLB,
//! which batches hide by prefetching. Units: `mark` is whatever the caller says, compared as a number.
//!
//! Each segment carries a *mark*, a lower bound of a number the caller keeps in the elements (the earliest
//! expiry):
//! [`Dict::sweep`] visits only segments that may hold something due.
//!
//! Not here: values, expiry, eviction; a whole-table resize; reserving.
//!
//! After F14 (tags beside pointers, overflow counts) and extendible hashing.

mod entry;
mod raw;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

pub use entry::{Entry, Occupied, Vacant};
pub use scan::Iter;

use crate::base::hash::{HashKey, KeyHasher};
use raw::{BUCKET_SLOTS, SEGMENT_BITS, Segment};
use table::{BITS_MAX, Table};

/// No mark: the segment has nothing that will ever be due.
pub const NO_MARK: u64 = raw::NO_MARK;

/// Two buddies with fewer elements than this are joined: 35% of one segment.
const JOIN_BELOW: usize = (BUCKET_SLOTS << SEGMENT_BITS) * 35 / 100;

/// An owning pointer of 8 bytes to something that carries its own key.
///
/// Size and alignment are checked when the table is compiled. A key that changes while in a table is lost to
/// lookups; it cannot do worse.
pub trait ThinElement: Sized {
    /// The key; always the same bytes while the element is in a table.
    fn key(&self) -> &[u8];

    /// Where the element's first bytes are: a hint for prefetching, never read through.
    fn address(&self) -> *const u8;
}

/// What [`Dict::sweep`] does with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, and the segment's mark becomes at most this ([`NO_MARK`]: it will never be due).
    Keep(u64),
    /// It goes.
    Remove,
}

/// What the visitor of [`Dict::look_around`] makes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// It will never be due. The walk goes on.
    Unmarked,
    /// It will be due some time. The walk goes on.
    Marked,
    /// The walk ends here.
    Enough,
}

/// The shape of a table, for DEBUG HTSTATS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Elements.
    pub elements: usize,
    /// Segments.
    pub segments: usize,
    /// Slots of the directory, a power of two.
    pub directory_slots: usize,
    /// Hash bits the directory looks at.
    pub depth: u8,
    /// Buckets of all segments.
    pub buckets: usize,
    /// How many buckets hold 0, 1, .. 7 elements.
    pub buckets_by_fill: [usize; BUCKET_SLOTS + 1],
    /// Elements that are not in their home bucket.
    pub displaced: usize,
    /// Buckets a lookup reads to reach the element farthest from home.
    pub longest_probe: usize,
}

/// The table. See the module's documentation.
///
/// Every call takes the hash of its key, computed once by the caller with the function given to
/// [`Dict::new`]: the keyspace hashes a whole batch of keys before it touches any.
pub struct Dict<E: ThinElement, H: HashKey = KeyHasher> {
    table: Table<E>,
    len: usize,
    hasher: H,
    /// Segments do not join or shrink.
    keeps_room: bool,
}

impl<E: ThinElement, H: HashKey> Dict<E, H> {
    /// An empty table, which allocates nothing. `hasher` hashes keys again when a segment splits.
    pub const fn new(hasher: H) -> Self {
        Dict {
            table: Table::new(),
            len: 0,
            hasher,
            keeps_room: false,
        }
    }

    /// The hash of `key` that all other calls expect.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// How it hashes keys.
    pub fn hasher(&self) -> H {
        self.hasher
    }

    /// With `true`, the table keeps the room it has when elements go; with `false`, segments join and shrink again as
    /// further elements go. Growing cannot be held back: a full segment splits.
    pub fn keep_room(&mut self, keeps_room: bool) {
        self.keeps_room = keeps_room;
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.table.segments().len()
    }

    /// Number of buckets, of 7 slots each.
    pub fn bucket_count(&self) -> usize {
        self.table.bucket_count()
    }

    /// Slots for elements in the memory the table has now.
    pub fn capacity(&self) -> usize {
        self.table.bucket_count() * BUCKET_SLOTS
    }

    /// Bytes of the segments and the directory, as the allocator rounds them; elements not included.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// The element with this key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&E> {
        self.table.find(hash, key)
    }

    /// The element with this key, to change or to replace by another of the same key.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut E> {
        self.table.find_mut(hash, key)
    }

    /// The place of this key, taken or free, with one lookup.
    #[inline]
    pub fn entry(&mut self, hash: u64, key: &[u8]) -> Entry<'_, E, H> {
        Entry::locate(self, hash, key)
    }

    /// Adds an element whose key is known to be absent. Splits at most one segment.
    #[inline]
    pub fn insert_new(&mut self, hash: u64, element: E) -> &mut E {
        debug_assert_eq!(
            hash,
            self.hasher.hash(element.key()),
            "the hash is that of the element's key"
        );
        debug_assert!(self.find(hash, element.key()).is_none(), "the key is absent");
        if self.table.segment_of(hash).is_none_or(Segment::is_crowded) {
            self.make_room(hash);
        }
        self.len += 1;
        self.table.insert(hash, element)
    }

    /// Takes out the element with this key. Joins at most two segments.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        match self.entry(hash, key) {
            Entry::Occupied(entry) => Some(entry.remove()),
            Entry::Vacant(_) => None,
        }
    }

    /// Drops every element and all memory. O(elements).
    pub fn clear(&mut self) {
        drop(self.take());
    }

    /// Moves everything into a table of its own, for another thread to drop, and leaves this one empty. O(1).
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Dict::new(self.hasher))
    }

    /// Brings the home bucket of `hash` closer; [`prefetch_element`](Self::prefetch_element) is the second
    /// step.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Brings the element closer that `hash` most likely leads to. Reads the home bucket.
    #[inline]
    pub fn prefetch_element(&self, hash: u64) {
        self.table.prefetch_element(hash);
    }

    /// Says that the element of this hash is due at `mark`: the mark of its segment becomes at most that.
    /// Call it after inserting. Splits hand a mark to both halves, joins keep the lower one.
    #[inline]
    pub fn lower_mark(&mut self, hash: u64, mark: u64) {
        self.table.lower_mark(hash, mark);
    }

    /// The lowest mark, [`NO_MARK`] if there is none. O(segments).
    pub fn lowest_mark(&self) -> u64 {
        self.table
            .segments()
            .iter()
            .map(Segment::mark)
            .min()
            .unwrap_or(NO_MARK)
    }

    /// The shape of the table. O(elements), and reads every key.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            elements: self.len,
            segments: self.segment_count(),
            directory_slots: self.table.directory_len(),
            depth: self.table.depth(),
            buckets: self.bucket_count(),
            ..Stats::default()
        };
        self.table
            .segments()
            .iter()
            .for_each(|segment| self.add_stats(segment, &mut stats));
        stats
    }

    fn add_stats(&self, segment: &Segment<E>, stats: &mut Stats) {
        for index in 0..segment.span().bucket_count() {
            stats.buckets_by_fill[segment.lanes(index).count()] += 1;
            for element in segment.elements_of(index) {
                let passed = self.buckets_passed(segment, index, element);
                stats.displaced += usize::from(passed > 0);
                stats.longest_probe = stats.longest_probe.max(passed + 1);
            }
        }
    }

    /// Buckets between an element's home and bucket `index`, where it is.
    fn buckets_passed(&self, segment: &Segment<E>, index: usize, element: &E) -> usize {
        let home = segment.span().home(self.hasher.hash(element.key()));
        index.wrapping_sub(home) & (segment.span().bucket_count() - 1)
    }

    /// Grows or splits the crowded segment for `hash`, once: it has a free slot afterwards, but after a split
    /// that separated little it may still be crowded, and the next insert continues.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, hash: u64) {
        let Some(segment) = self.table.segment_of(hash) else {
            return self.table.begin();
        };
        let (bits, start, end) = (segment.span().bits, segment.start(), segment.end());
        if bits >= SEGMENT_BITS && self.table.may_split(segment) {
            self.table.split(hash, self.hasher);
            if bits > SEGMENT_BITS {
                self.shrink(start);
                self.shrink(end.wrapping_sub(1));
            }
        } else if bits < BITS_MAX {
            self.table.rebuild(hash, bits + 1, self.hasher);
        }
    }

    /// After removals: joins the segment for `hash` with its buddy, or shrinks it, if that is due.
    #[inline]
    fn relax(&mut self, hash: u64) {
        if self.keeps_room {
            return;
        }
        let Some(segment) = self.table.segment_of(hash) else {
            return;
        };
        if segment.len() < JOIN_BELOW || segment.span().bits > SEGMENT_BITS {
            self.join_or_shrink(hash);
        }
    }

    fn join_or_shrink(&mut self, hash: u64) {
        if !self.join(hash) {
            self.shrink(hash);
        }
    }

    /// After a sweep, which may have emptied a segment whose neighbours an earlier one emptied: joins as
    /// often as that is due. Each join moves few elements, and there are at most as many as the directory is
    /// deep.
    fn relax_fully(&mut self, hash: u64) {
        if self.keeps_room {
            return;
        }
        while self.join(hash) {}
        self.shrink(hash);
    }

    /// Joins the segment for `hash` and its buddy if together they would fill little of one.
    fn join(&mut self, hash: u64) -> bool {
        let Some(segment) = self.table.segment_of(hash) else {
            return false;
        };
        let buddy_len = self.table.buddy_of(hash).map(Segment::len);
        let due = buddy_len.is_some_and(|buddy_len| segment.len() + buddy_len < JOIN_BELOW);
        if due {
            self.table.join(hash, self.hasher);
        }
        due
    }

    /// Halves the buckets of the segment for `hash` until it is at least a fifth full. A segment that has a
    /// prefix keeps its 256 buckets, the first one keeps one.
    fn shrink(&mut self, hash: u64) {
        let Some(segment) = self.table.segment_of(hash) else {
            return;
        };
        let span = segment.span();
        let fewest = if span.depth == 0 { 0 } else { SEGMENT_BITS };
        let mut bits = span.bits;
        while bits > fewest && segment.len() * 5 < BUCKET_SLOTS << bits {
            bits -= 1;
        }
        if bits != span.bits {
            self.table.rebuild(hash, bits, self.hasher);
        }
    }

    /// Asserts the invariants of the table, for tests and DEBUG. O(elements), and reads every key.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn check_invariants(&self) {
        let (mut len, mut next_start) = (0, 0);
        self.table.check_invariants(&mut |segment| {
            assert_eq!(segment.start(), next_start, "T1: ranges follow each other");
            next_start = segment.end();
            len += segment.len();
            self.check_segment(segment);
        });
        assert_eq!(next_start, 0, "T1: ranges end with the hash space");
        assert_eq!(len, self.len, "elements are counted");
    }

    fn check_segment(&self, segment: &Segment<E>) {
        let span = segment.span();
        let mut len = 0;
        let mut passed_over = vec![0u64; span.bucket_count()];
        for index in 0..span.bucket_count() {
            for (slot, element) in segment.lanes(index).zip(segment.elements_of(index)) {
                let hash = self.hasher.hash(element.key());
                assert!(
                    segment.is_home_of(hash),
                    "an element is in the segment of its hash"
                );
                assert_eq!(
                    segment.tag(index, slot),
                    (hash & 0xff).max(1),
                    "a tag is that of the element"
                );
                let found = self.find(hash, element.key());
                assert!(
                    found.is_some_and(|found| std::ptr::eq(found, element)),
                    "a key is found, and once"
                );
                let passed = self.buckets_passed(segment, index, element);
                (0..passed).for_each(|step| passed_over[(span.home(hash) + step) % span.bucket_count()] += 1);
                len += 1;
            }
        }
        assert_eq!(len, segment.len(), "I3");
        for (index, &count) in passed_over.iter().enumerate() {
            let stated = segment.overflow(index);
            assert!(
                stated == count || stated == 255,
                "overflow of bucket {index} is {stated}, not {count}"
            );
        }
    }
}

impl<E: ThinElement, H: HashKey> fmt::Debug for Dict<E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dict")
            .field("len", &self.len)
            .field("segments", &self.segment_count())
            .finish_non_exhaustive()
    }
}
