//! A survey of where memory goes: bytes and keys by type and by prefix, the biggest and the hottest keys.
//!
//! ```text
//!   db 0, cursor 0 ──> scan a bucket ──> each entry: its bytes ──> types
//!          |                                            ├───> prefixes   user:  user:42:  order:  ..
//!          └── next bucket, next database               ├───> biggest    K keys
//!                                                       └───> hottest    K keys
//! ```
//!
//! The walk is SCAN's: a piece at a time, while commands change what it walks through. A key that is there all the time
//! is counted once, one that comes or goes meanwhile at most once for each time it came; what is counted is what it took
//! when the walk passed.
//!
//! Every part is bounded, whatever the keys are: prefixes (`prefixes.rs`), the lists of keys (`top.rs`), the bytes kept of
//! a name, and the work on one value, which is estimated from `samples` elements.
//!
//! Costs: O(1) a key, plus `samples` for a big value; tens of KiB of memory with the usual options. Not here: when to work
//! and for how long (`exec`), how it is told (`command`).

pub mod prefixes;
#[cfg(test)]
mod tests;
pub mod top;

use super::entry::{Entry, View};
use super::{Db, Keyspace};
use crate::value::Kind;

use prefixes::Prefixes;
use top::Top;

/// Longest name kept whole, of a key or a prefix.
pub const NAME_BYTES_MAX: usize = 1024;

/// How far a cursor of [`crate::ds::dict::Dict::scan`] goes.
const CURSOR_END: u64 = 1 << 48;

/// Keys and the bytes they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub keys: u64,
    /// With their values.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.keys += 1;
        self.bytes += bytes;
    }

    /// The rest of a whole.
    pub fn without(self, part: Tally) -> Tally {
        Tally {
            keys: self.keys.saturating_sub(part.keys),
            bytes: self.bytes.saturating_sub(part.bytes),
        }
    }
}

/// What to look at, and how closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// One database, or all.
    pub db: Option<usize>,
    /// What ends a prefix, which includes it; not empty.
    pub separator: Box<[u8]>,
    /// How many prefixes of one key count, one within the other.
    pub depth: usize,
    /// How many prefixes are kept.
    pub prefixes_max: usize,
    /// How long the lists of keys are.
    pub top: usize,
    /// From how many elements a big value is estimated; 0 for all of them.
    pub samples: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            db: None,
            separator: b":".as_slice().into(),
            depth: 2,
            prefixes_max: 1_000,
            top: 10,
            samples: 100,
        }
    }
}

/// The types in the order in which a report lists them.
pub const KINDS: [Kind; 6] = [
    Kind::String,
    Kind::List,
    Kind::Set,
    Kind::Zset,
    Kind::Hash,
    Kind::Stream,
];

/// A key of a list, named with its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its database.
    pub db: usize,
    /// Its name, cut off at [`NAME_BYTES_MAX`].
    pub name: Box<[u8]>,
    /// How long its name is.
    pub name_bytes: usize,
    /// Its type.
    pub kind: &'static str,
    /// What it takes.
    pub bytes: u64,
}

/// What a survey has found so far.
#[derive(Debug)]
pub struct Findings {
    /// Of each of [`KINDS`].
    pub kinds: [Tally; KINDS.len()],
    /// Of the keys that expire.
    pub volatile: Tally,
    /// Of the databases' tables as they are now, which are beside the keys.
    pub tables_bytes: u64,
    /// By prefix.
    pub prefixes: Prefixes,
    /// The keys that take most, by their bytes.
    pub biggest: Top<Named>,
    /// The keys used most: by frequency, or by the last use if the policy keeps that. See [`Survey::by_frequency`].
    pub hottest: Top<Named>,
}

/// The state of a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// At work.
    Running,
    /// All was seen.
    Complete,
    /// Somebody stopped it.
    Stopped,
}

/// A survey under way, or over.
#[derive(Debug)]
pub struct Survey {
    /// What was asked for.
    pub options: Options,
    /// Where it stands.
    pub state: State,
    /// When it was started, Unix milliseconds, and when it ended.
    pub started_ms: i64,
    /// When it ended; meaningless while it runs.
    pub ended_ms: i64,
    /// Time spent at work.
    pub spent_us: u64,
    /// Whether heat is a frequency; else it is the second of the last use.
    pub by_frequency: bool,
    /// What it has found.
    pub findings: Findings,
    db: usize,
    cursor: u64,
}

impl Survey {
    /// A survey that has seen nothing yet. `by_frequency`: whether the policy counts uses.
    pub fn new(options: Options, by_frequency: bool, now_ms: i64) -> Survey {
        Survey {
            findings: Findings {
                kinds: Default::default(),
                volatile: Tally::default(),
                tables_bytes: 0,
                prefixes: Prefixes::new(&options),
                biggest: Top::new(options.top),
                hottest: Top::new(options.top),
            },
            db: options.db.unwrap_or(0),
            cursor: 0,
            options,
            state: State::Running,
            started_ms: now_ms,
            ended_ms: now_ms,
            spent_us: 0,
            by_frequency,
        }
    }

    /// Ends it before its time.
    pub fn stop(&mut self, now_ms: i64) {
        if self.state == State::Running {
            self.end(State::Stopped, now_ms);
        }
    }

    fn end(&mut self, state: State, now_ms: i64) {
        (self.state, self.ended_ms) = (state, now_ms);
    }

    /// All keys seen.
    pub fn total(&self) -> Tally {
        let add = |sum: Tally, kind: &Tally| Tally {
            keys: sum.keys + kind.keys,
            bytes: sum.bytes + kind.bytes,
        };
        self.findings.kinds.iter().fold(Tally::default(), add)
    }

    /// How much of the keys it has seen, from 0 to 1: by the part of the table it has walked through.
    pub fn progress(&self, keys: &Keyspace) -> f64 {
        if self.state == State::Complete {
            return 1.0;
        }
        let len = |db: usize| keys.db(db).len() as f64;
        let here = len(self.db.min(keys.db_count() - 1)) * (self.cursor as f64 / CURSOR_END as f64);
        let (seen, all) = match self.options.db {
            Some(db) => (here, len(db)),
            None => (
                here + (0..self.db).map(len).sum::<f64>(),
                (0..keys.db_count()).map(len).sum(),
            ),
        };
        if all == 0.0 { 0.0 } else { (seen / all).min(1.0) }
    }

    /// Looks at one bucket; whether there is more to see.
    fn step(&mut self, keys: &Keyspace) -> bool {
        let (db, findings) = (keys.db(self.db), &mut self.findings);
        let (options, by_frequency) = (&self.options, self.by_frequency);
        let heat = |entry: &Entry| match by_frequency {
            true => u64::from(keys.access.frequency(entry)),
            false => u64::from(keys.access.used_at_seconds(entry)),
        };
        self.cursor = db.dict().scan(self.cursor, &mut |entry| {
            findings.add(options, self.db, entry, heat(entry));
        });
        self.cursor != 0 || self.next_db(keys)
    }

    /// Goes to the next database that holds anything, if there is one.
    fn next_db(&mut self, keys: &Keyspace) -> bool {
        if self.options.db.is_some() {
            return false;
        }
        let next = (self.db + 1..keys.db_count()).find(|&db| !keys.db(db).is_empty());
        self.db = next.unwrap_or(self.db);
        next.is_some()
    }

    fn tables_bytes(&self, keys: &Keyspace) -> u64 {
        let of = |db: &Db| db.dict().heap_bytes() as u64;
        match self.options.db {
            Some(db) => of(keys.db(db)),
            None => (0..keys.db_count()).map(|db| of(keys.db(db))).sum(),
        }
    }
}

impl Findings {
    fn add(&mut self, options: &Options, db: usize, entry: &Entry, heat: u64) {
        let (key, kind) = (entry.key(), kind_of(entry));
        let bytes = entry.sampled_bytes(options.samples) as u64;
        let index = KINDS.iter().position(|known| *known == kind);
        self.kinds[index.expect("all kinds are listed")].add(bytes);
        if entry.expire_at().is_some() {
            self.volatile.add(bytes);
        }
        self.prefixes.add(key, bytes);
        let named = || Named {
            db,
            name: key[..key.len().min(NAME_BYTES_MAX)].into(),
            name_bytes: key.len(),
            kind: kind.name(),
            bytes,
        };
        self.biggest.offer(bytes, named);
        self.hottest.offer(heat, named);
    }
}

fn kind_of(entry: &Entry) -> Kind {
    match entry.view() {
        View::Value(value) => value.kind(),
        _ => Kind::String,
    }
}

impl Keyspace {
    /// Goes on with the survey while `may_go_on` says so, which is asked after every bucket.
    pub fn survey_on(&mut self, may_go_on: &mut dyn FnMut() -> bool) {
        let Some(mut survey) = self.survey.take() else {
            return;
        };
        while survey.state == State::Running {
            if !survey.step(self) {
                survey.end(State::Complete, self.now_ms);
            }
            if !may_go_on() {
                break;
            }
        }
        survey.findings.tables_bytes = survey.tables_bytes(self);
        self.survey = Some(survey);
    }

    /// Whether a survey is at work.
    #[inline]
    pub fn is_surveyed(&self) -> bool {
        let running = |survey: &Survey| survey.state == State::Running;
        self.survey.as_deref().is_some_and(running)
    }
}
