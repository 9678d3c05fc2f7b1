//! Names and their members, findable from both sides.
//!
//! ```text
//!   by_hash  hash of news ──> 3       rows  3: { news, [a, b, c], next: - }       of  b ──> { 3: 1, 8: 0 }
//!                                                         ^ index 1                     ^ where b stands in row 3
//! ```
//!
//! I1: `of[m][r] == i` exactly when `rows[r].members[i] == m`. I2: no list and no map is empty. I3: a row is found from
//! the hash of its name, by way of the rows whose names have the same hash.
//!
//! Knowing where a member stands makes leaving a channel O(1) even among ten thousand others; the last of the list takes
//! the free place. A name is stored once, by the one owner that active defragmentation asks for. Cost per subscription:
//! 8 bytes in the list, 8 and up in the map.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use slab::Slab;

use crate::base::relocate::{self, Mover};

/// In tests so few that names meet.
const HASH_BITS: u64 = if cfg!(test) { 0b11 } else { u64::MAX };

type Map<K, V> = HashMap<K, V, SeedableRandomState>;

/// Names of one kind with their members.
pub(super) struct Index<Id> {
    rows: Slab<Row<Id>>,
    by_hash: Map<u64, u32>,
    of: Map<Id, Map<u32, u32>>,
    hashing: SeedableRandomState,
}

/// A name, and who is a member.
struct Row<Id> {
    name: Box<[u8]>,
    members: Vec<Id>,
    /// Another name with the same hash.
    next: Option<u32>,
}

impl<Id: Copy + Eq + Hash> Index<Id> {
    pub fn new(seed: u64) -> Index<Id> {
        let hashing = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Index {
            rows: Slab::new(),
            by_hash: Map::with_hasher(hashing.clone()),
            of: Map::with_hasher(hashing.clone()),
            hashing,
        }
    }

    fn hash(&self, name: &[u8]) -> u64 {
        self.hashing.hash_one(name) & HASH_BITS
    }

    fn find(&self, name: &[u8]) -> Option<u32> {
        let mut row = self.by_hash.get(&self.hash(name)).copied()?;
        while *self.rows[row as usize].name != *name {
            row = self.rows[row as usize].next?;
        }
        Some(row)
    }

    fn find_or_insert(&mut self, name: &[u8]) -> u32 {
        if let Some(row) = self.find(name) {
            return row;
        }
        let row = self.rows.vacant_key() as u32;
        let next = self.by_hash.insert(self.hash(name), row);
        self.rows.insert(Row {
            name: name.into(),
            members: Vec::new(),
            next,
        });
        row
    }

    /// Makes `id` a member of `name`; false when it is one.
    pub fn add(&mut self, name: &[u8], id: Id) -> bool {
        let row = self.find_or_insert(name);
        let members = &mut self.rows[row as usize].members;
        let names = self
            .of
            .entry(id)
            .or_insert_with(|| Map::with_hasher(self.hashing.clone()));
        if names.contains_key(&row) {
            return false;
        }
        names.insert(row, members.len() as u32);
        members.push(id);
        true
    }

    /// Ends the membership of `id` in `name`; false when it is no member.
    pub fn remove(&mut self, name: &[u8], id: Id) -> bool {
        let (Some(row), Some(names)) = (self.find(name), self.of.get_mut(&id)) else {
            return false;
        };
        let Some(at) = names.remove(&row) else {
            return false;
        };
        if names.is_empty() {
            self.of.remove(&id);
        }
        self.vacate(row, at);
        true
    }

    /// Ends all memberships of `id`.
    pub fn leave(&mut self, id: Id) {
        for (row, at) in self.of.remove(&id).into_iter().flatten() {
            self.vacate(row, at);
        }
    }

    /// Frees place `at` in the members of `row`, whose member has been taken out of `of` already.
    fn vacate(&mut self, row: u32, at: u32) {
        let members = &mut self.rows[row as usize].members;
        members.swap_remove(at as usize);
        if members.is_empty() {
            self.forget(row);
        } else if let Some(moved) = members.get(at as usize)
            && let Some(place) = self.of.get_mut(moved).and_then(|names| names.get_mut(&row))
        {
            *place = at;
        }
    }

    /// Takes a row out of those with its hash.
    fn forget(&mut self, row: u32) {
        let Row { name, next, .. } = self.rows.remove(row as usize);
        let hash = self.hash(&name);
        let first = self.by_hash.get(&hash).copied();
        if first != Some(row) {
            self.unchain(first, row, next);
        } else if let Some(next) = next {
            self.by_hash.insert(hash, next);
        } else {
            self.by_hash.remove(&hash);
        }
    }

    /// Makes the row before `gone`, one of those from `first` on, lead to `next`.
    fn unchain(&mut self, first: Option<u32>, gone: u32, next: Option<u32>) {
        let mut before = first;
        while let Some(row) = before.and_then(|row| self.rows.get_mut(row as usize)) {
            before = row.next;
            if row.next == Some(gone) {
                row.next = next;
                return;
            }
        }
    }

    pub fn members(&self, name: &[u8]) -> &[Id] {
        self.find(name)
            .map_or(&[], |row| self.rows[row as usize].members.as_slice())
    }

    pub fn names_of(&self, id: Id) -> impl Iterator<Item = &[u8]> {
        let rows = self.of.get(&id).into_iter().flat_map(Map::keys);
        rows.map(|&row| &*self.rows[row as usize].name)
    }

    pub fn count_of(&self, id: Id) -> usize {
        self.of.get(&id).map_or(0, Map::len)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[Id])> {
        self.rows
            .iter()
            .map(|(_, row)| (&*row.name, row.members.as_slice()))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Offers names and lists from row `cursor` on until the end or until `mover` says stop; the next cursor, `None` at the end.
    pub fn relocate(&mut self, cursor: usize, mover: &mut dyn Mover) -> Option<usize> {
        for index in cursor..self.rows.capacity() {
            if let Some(row) = self.rows.get_mut(index) {
                relocate::slice(&mut row.name, mover);
                relocate::vec(&mut row.members, mover);
                if !mover.goes_on() {
                    return Some(index + 1);
                }
            }
        }
        None
    }
}
