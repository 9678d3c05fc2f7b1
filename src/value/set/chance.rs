//! Random members: one, many with repeats, a sample without, popping.
//!
//! Every member is equally likely, and every sample as likely as any other of its size.

use std::collections::HashSet;

use crate::base::rng::Rng;
use crate::ds::listpack::Listpack;
use crate::ds::thin::Thin;
use crate::value::Limits;

use super::{Member, Set, Table};

/// A sample of more than one in so many members is chosen on a walk through all of them.
const WALK_FROM_ONE_IN: usize = 3;
/// Popping leaves fewer than one member for so many popped: those that stay are moved out instead.
const MOVE_FROM_ONE_IN: usize = 5;

/// Chooses `wanted` of `left` things that pass by one after the other, all choices equally likely.
///
/// Selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S.
struct Selection<'r> {
    wanted: usize,
    left: usize,
    rng: &'r mut Rng,
}

impl Selection<'_> {
    /// Whether the thing now passing by is chosen.
    fn next(&mut self) -> bool {
        let chosen = self.rng.index(self.left) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= usize::from(chosen);
        chosen
    }
}

impl Set {
    /// Any member.
    pub fn random(&self, rng: &mut Rng) -> Option<Member<'_>> {
        match self {
            Set::Ints(ints) => ints.random(rng).map(Member::Int),
            Set::Packed(list) => {
                let index = rng.index(list.len());
                list.seek(index as i64).map(|at| list.get(at))
            }
            Set::Few(few) => few
                .get(rng.index(few.len()))
                .map(|element| Member::Bytes(element.key())),
            Set::Table(table) => random_of(table, rng).map(|element| Member::Bytes(element.key())),
        }
    }

    /// `count` times any member: the same one may come again, and the order is by chance too. O(n + count) in a
    /// listpack, else O(count).
    pub fn random_with_repeats(&self, count: u64, rng: &mut Rng, mut visit: impl FnMut(Member<'_>)) {
        match self {
            Set::Packed(list) if count > 1 => {
                let members: Vec<Member<'_>> = list.iter().collect();
                (0..count).for_each(|_| visit(members[rng.index(members.len())]));
            }
            _ => (0..count).for_each(|_| self.random(rng).into_iter().for_each(&mut visit)),
        }
    }

    /// `count` different members, or all if there are no more. Their order is not by chance.
    ///
    /// O(count) in a table much larger, else O(n).
    pub fn sample<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Member<'a>)) {
        if count >= self.len() {
            return self.iter().for_each(visit);
        }
        if let Set::Table(table) = self
            && count < table.len() / WALK_FROM_ONE_IN
        {
            return sample_by_draws(table, count, rng, |element| visit(Member::Bytes(element.key())));
        }
        let mut selection = Selection {
            wanted: count,
            left: self.len(),
            rng,
        };
        self.iter().filter(|_| selection.next()).for_each(visit);
    }

    /// Takes any member out and hands it to `take`; `None` if there is none.
    pub fn pop<R>(&mut self, rng: &mut Rng, take: impl FnOnce(Member<'_>) -> R) -> Option<R> {
        match self {
            Set::Ints(ints) => {
                let value = ints.random(rng)?;
                ints.remove(value);
                Some(take(Member::Int(value)))
            }
            Set::Packed(list) => {
                let at = list.seek(rng.index(list.len()) as i64)?;
                let answer = take(list.get(at));
                list.remove(at);
                Some(answer)
            }
            Set::Few(few) => {
                let element = few.take(rng.index(few.len()))?;
                Some(take(Member::Bytes(element.key())))
            }
            Set::Table(table) => take_from(table, rng).map(|element| take(Member::Bytes(element.key()))),
        }
    }

    /// Takes `count` members out, or all if there are no more, and hands each to `take`.
    ///
    /// When few of a table stay behind, they become a set of their own, in the encoding that suits them.
    pub fn pop_many(
        &mut self,
        count: usize,
        limits: &Limits,
        rng: &mut Rng,
        mut take: impl FnMut(Member<'_>),
    ) {
        let left = self.len();
        let mut selection = Selection {
            wanted: count.min(left),
            left,
            rng,
        };
        match self {
            Set::Ints(ints) => ints.retain(|value| {
                let goes = selection.next();
                if goes {
                    take(Member::Int(value));
                }
                !goes
            }),
            Set::Packed(list) => {
                let mut kept = Listpack::new();
                for member in list.iter() {
                    if selection.next() {
                        take(member);
                    } else {
                        kept.push_back_item(member);
                    }
                }
                *list = kept;
            }
            Set::Few(few) => few.retain(|element| {
                let goes = selection.next();
                if goes {
                    take(Member::Bytes(element.key()));
                }
                !goes
            }),
            Set::Table(_) => self.pop_many_of_table(count, limits, rng, take),
        }
    }

    fn pop_many_of_table(
        &mut self,
        count: usize,
        limits: &Limits,
        rng: &mut Rng,
        mut take: impl FnMut(Member<'_>),
    ) {
        let Set::Table(table) = self else { return };
        let staying = table.len().saturating_sub(count);
        if staying > count / MOVE_FROM_ONE_IN {
            for _ in 0..count {
                if let Some(element) = take_from(table, rng) {
                    take(Member::Bytes(element.key()));
                }
            }
            return;
        }
        let mut kept = Set::Packed(Listpack::new());
        for _ in 0..staying {
            if let Some(element) = take_from(table, rng) {
                kept.adopt(element, limits);
            }
        }
        std::mem::replace(self, kept).iter().for_each(take);
    }
}

fn random_of<'a>(table: &'a Table, rng: &mut Rng) -> Option<&'a Thin> {
    table.random(&mut || rng.next_u64())
}

fn take_from(table: &mut Table, rng: &mut Rng) -> Option<Thin> {
    table.take_random(&mut || rng.next_u64())
}

/// Draws until `count` different elements have come up, which is soon when they are few among many.
fn sample_by_draws<'a>(table: &'a Table, count: usize, rng: &mut Rng, mut visit: impl FnMut(&'a Thin)) {
    let mut drawn: HashSet<*const u8> = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(element) = random_of(table, rng) else {
            return;
        };
        if drawn.insert(element.key().as_ptr()) {
            visit(element);
        }
    }
}
