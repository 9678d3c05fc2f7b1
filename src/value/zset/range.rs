//! Ranges of scores and of members, as ZRANGEBYSCORE and ZRANGEBYLEX name them: `(1.5`, `+inf`, `[abc`, `-`.
//!
//! A range is two borders; a sorted set finds the rank of each. A range of members means something only where all scores
//! are equal, and then the borders do not look at scores.

use std::ops::Bound;

use crate::base::float;

/// Scores from one border to the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRange {
    /// Lower border.
    pub min: Bound<f64>,
    /// Upper border.
    pub max: Bound<f64>,
}

/// Members from one border to the other, by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// Lower border.
    pub min: LexBorder<'a>,
    /// Upper border.
    pub max: LexBorder<'a>,
}

/// A border among members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexBorder<'a> {
    /// Before the first of all: `-`.
    First,
    /// Behind the last of all: `+`.
    Last,
    /// This member, itself within: `[abc`.
    Included(&'a [u8]),
    /// This member, itself outside: `(abc`.
    Excluded(&'a [u8]),
}

impl ScoreRange {
    /// Scores between two numbers, both within.
    pub const fn closed(min: f64, max: f64) -> ScoreRange {
        ScoreRange {
            min: Bound::Included(min),
            max: Bound::Included(max),
        }
    }

    /// Reads two borders: numbers, `(` before one that is to stay outside. `None` when one is no number.
    pub fn parse(min: &[u8], max: &[u8]) -> Option<ScoreRange> {
        Some(ScoreRange {
            min: parse_score(min)?,
            max: parse_score(max)?,
        })
    }

    /// Whether a score lies below the range.
    #[inline]
    pub(super) fn is_below(&self, score: f64) -> bool {
        match self.min {
            Bound::Included(min) => score < min,
            Bound::Excluded(min) => score <= min,
            Bound::Unbounded => false,
        }
    }

    /// Whether a score lies in the range or below it.
    #[inline]
    pub(super) fn is_not_above(&self, score: f64) -> bool {
        match self.max {
            Bound::Included(max) => score <= max,
            Bound::Excluded(max) => score < max,
            Bound::Unbounded => true,
        }
    }
}

/// Compat: what `strtod` makes of the text up to its first zero byte: nothing is 0, white space before is skipped, and
/// what is too large or too small is an infinity or zero.
fn parse_score(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', number @ ..] => float::parse_c(number).map(Bound::Excluded),
        number => float::parse_c(number).map(Bound::Included),
    }
}

impl<'a> LexRange<'a> {
    /// Reads two borders. `None` when one is malformed.
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Option<LexRange<'a>> {
        Some(LexRange {
            min: LexBorder::parse(min)?,
            max: LexBorder::parse(max)?,
        })
    }

    /// Whether a member lies below the range.
    #[inline]
    pub(super) fn is_below(&self, member: &[u8]) -> bool {
        match self.min {
            LexBorder::First => false,
            LexBorder::Last => true,
            LexBorder::Included(min) => member < min,
            LexBorder::Excluded(min) => member <= min,
        }
    }

    /// Whether a member lies in the range or below it.
    #[inline]
    pub(super) fn is_not_above(&self, member: &[u8]) -> bool {
        match self.max {
            LexBorder::First => false,
            LexBorder::Last => true,
            LexBorder::Included(max) => member <= max,
            LexBorder::Excluded(max) => member < max,
        }
    }
}

impl<'a> LexBorder<'a> {
    /// Compat: `-` and `+` may be followed by a zero byte and anything.
    fn parse(text: &'a [u8]) -> Option<LexBorder<'a>> {
        match text {
            [b'-'] | [b'-', 0, ..] => Some(LexBorder::First),
            [b'+'] | [b'+', 0, ..] => Some(LexBorder::Last),
            [b'[', member @ ..] => Some(LexBorder::Included(member)),
            [b'(', member @ ..] => Some(LexBorder::Excluded(member)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_of_scores_are_read_as_the_reference_reads_them() {
        let range = |min: &str, max: &str| ScoreRange::parse(min.as_bytes(), max.as_bytes());
        assert_eq!(range("1", "2.5"), Some(ScoreRange::closed(1.0, 2.5)));
        assert_eq!(
            range("(1", "(+inf"),
            Some(ScoreRange {
                min: Bound::Excluded(1.0),
                max: Bound::Excluded(f64::INFINITY)
            })
        );
        for bad in ["nan", "(nan", "1x", "((1", "[1", "1 "] {
            assert_eq!(range(bad, "1"), None, "{bad}");
            assert_eq!(range("1", bad), None, "{bad}");
        }
    }

    #[test]
    fn borders_of_members_need_their_sign() {
        assert_eq!(LexBorder::parse(b"[a"), Some(LexBorder::Included(b"a")));
        assert_eq!(LexBorder::parse(b"("), Some(LexBorder::Excluded(b"")));
        assert_eq!(LexBorder::parse(b"+"), Some(LexBorder::Last));
        for bad in [&b"a"[..], b"", b"+x", b"-x"] {
            assert_eq!(LexBorder::parse(bad), None);
        }
    }
}
