//! Random fields, for HRANDFIELD.

use std::collections::HashSet;

use crate::base::rng::Rng;
use crate::ds::dict::ThinElement;

use super::element;
use super::table::Table;
use super::{Field, Hash, Repr};

/// How to choose more than one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// So many different ones, or as many as there are.
    Distinct(usize),
    /// So many, each chosen anew.
    Repeated(usize),
}

/// With fewer fields than this many times the wanted ones, choosing again and again would mostly find chosen ones.
const CHOICE_RATIO: usize = 3;

impl Hash {
    /// A field that is not due, all about equally likely. O(n) in small hashes, and while due fields may be among them.
    pub fn random(&self, due_ms: i64, rng: &mut Rng) -> Option<Field<'_>> {
        match self.plain_table(due_ms) {
            Some(table) => one_of(table, rng),
            None => {
                let count = self.visible_len(due_ms);
                self.visible(due_ms).nth(rng.index(count))
            }
        }
    }

    /// Shows random fields that are not due to `visit`.
    pub fn sample(&self, sample: Sample, due_ms: i64, rng: &mut Rng, visit: &mut dyn FnMut(Field<'_>)) {
        match (sample, self.plain_table(due_ms)) {
            (Sample::Distinct(count), _) if count >= self.len() => self.visible(due_ms).for_each(visit),
            (Sample::Distinct(count), Some(table)) if table.len() / CHOICE_RATIO > count => {
                distinct(table, count, rng, visit);
            }
            (Sample::Repeated(count), Some(table)) => {
                (0..count).filter_map(|_| one_of(table, rng)).for_each(visit);
            }
            (Sample::Distinct(count), _) => {
                let mut all: Vec<Field<'_>> = self.visible(due_ms).collect();
                for place in 0..count.min(all.len()) {
                    let chosen = place + rng.index(all.len() - place);
                    all.swap(place, chosen);
                    visit(all[place]);
                }
            }
            (Sample::Repeated(count), _) => {
                let all: Vec<Field<'_>> = self.visible(due_ms).collect();
                if !all.is_empty() {
                    (0..count).for_each(|_| visit(all[rng.index(all.len())]));
                }
            }
        }
    }

    /// The table, if the hash is one in which nothing can be due.
    fn plain_table(&self, due_ms: i64) -> Option<&Table> {
        match &self.0 {
            Repr::Table(table) if !self.may_have_due(due_ms) => Some(table),
            _ => None,
        }
    }
}

fn one_of<'a>(table: &'a Table, rng: &mut Rng) -> Option<Field<'a>> {
    table.dict().random(&mut || rng.next_u64()).map(element::field)
}

/// Chooses until `count` different fields have been found, of many more.
fn distinct(table: &Table, count: usize, rng: &mut Rng, visit: &mut dyn FnMut(Field<'_>)) {
    let mut chosen = HashSet::new();
    while chosen.len() < count {
        let Some(element) = table.dict().random(&mut || rng.next_u64()) else {
            return;
        };
        if chosen.insert(element.address()) {
            visit(element::field(element));
        }
    }
}
