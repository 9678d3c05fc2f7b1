//! The lifetimes that SET, SETEX and GETEX take: relative or absolute, in seconds or milliseconds.

use crate::command::args::Args;
use crate::command::error::Error;

/// A lifetime as given: where its number stands and what the number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The word that holds the number.
    pub word: usize,
    /// What one is worth.
    pub unit: Unit,
    /// Since when it counts.
    pub from: From,
}

/// What a [`Term`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Since when a [`Term`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Since the command.
    Now,
    /// Since the Unix epoch.
    Epoch,
}

impl Term {
    /// The term that begins at word `at`, its number following; `None` when none does.
    pub fn parse(args: Args<'_>, at: usize) -> Option<Term> {
        let named = [
            ("ex", Unit::Seconds, From::Now),
            ("px", Unit::Milliseconds, From::Now),
            ("exat", Unit::Seconds, From::Epoch),
            ("pxat", Unit::Milliseconds, From::Epoch),
        ];
        let word = at + 1;
        let (_, unit, from) = named.into_iter().find(|(name, ..)| args.is(at, name))?;
        (word < args.len()).then_some(Term { word, unit, from })
    }

    /// Whether both are the same option: a repeated one overrides the first, different ones exclude each other.
    pub fn is_same_option(self, other: Term) -> bool {
        (self.unit, self.from) == (other.unit, other.from)
    }

    /// When the term ends, in Unix milliseconds.
    ///
    /// # Errors
    /// Not an integer, not positive, or beyond 64 bits of milliseconds.
    pub fn deadline_ms(self, args: Args<'_>, now_ms: i64, command: &'static str) -> Result<i64, Error> {
        let count = args.int(self.word)?;
        let factor = if self.unit == Unit::Seconds { 1000 } else { 1 };
        let start = if self.from == From::Now { now_ms } else { 0 };
        let deadline = count.checked_mul(factor).and_then(|ms| ms.checked_add(start));
        deadline
            .filter(|_| count > 0)
            .ok_or(Error::InvalidExpire(command))
    }
}
