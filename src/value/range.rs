//! Index ranges as commands give them: both ends included, negative ones counted from the end.
//!
//! ```text
//! index     0  1  2  3  4        GETRANGE k 1 -2 is 1..4
//!          -5 -4 -3 -2 -1        GETRANGE k -100 1 is 0..2      GETRANGE k 3 100 is 3..5
//! ```

use std::ops::Range;

/// The part of `0..len` that GETRANGE, SUBSTR and BITCOUNT mean by `start end`; `None` when it is empty.
pub fn normalize_range(start: i64, end: i64, len: usize) -> Option<Range<usize>> {
    // Compat: two negative ends in the wrong order mean nothing, even when both lie before the first element,
    // where clamping alone would give that element.
    if start < 0 && end < 0 && start > end {
        return None;
    }
    clamp_range(start, end, len)
}

/// The part of `0..len` that BITPOS means by `start end`; `None` when it is empty.
///
/// Ends before the first element count as the first, so `-1 -5` of a single element is that element.
pub fn clamp_range(start: i64, end: i64, len: usize) -> Option<Range<usize>> {
    let (first, last) = (from_end(start, len), from_end(end, len).min(len.checked_sub(1)?));
    (first <= last).then(|| first..last + 1)
}

/// A non-negative index for `index`, which may be past the end.
fn from_end(index: i64, len: usize) -> usize {
    match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules of the reference, on wide integers.
    fn naive(start: i64, end: i64, len: usize) -> Option<Range<usize>> {
        let (mut first, mut last, len) = (i128::from(start), i128::from(end), len as i128);
        if first < 0 && last < 0 && first > last {
            return None;
        }
        if first < 0 {
            first = (first + len).max(0);
        }
        if last < 0 {
            last = (last + len).max(0);
        }
        last = last.min(len - 1);
        (first <= last).then(|| first as usize..last as usize + 1)
    }

    #[test]
    fn ranges_follow_the_reference() {
        assert_eq!(normalize_range(0, -1, 5), Some(0..5));
        assert_eq!(normalize_range(1, -2, 5), Some(1..4));
        assert_eq!(normalize_range(-100, 1, 5), Some(0..2));
        assert_eq!(normalize_range(3, 100, 5), Some(3..5));
        assert_eq!(normalize_range(0, -100, 5), Some(0..1));
        assert_eq!(normalize_range(5, 10, 5), None);
        assert_eq!(normalize_range(3, 2, 5), None);
        assert_eq!(normalize_range(0, -1, 0), None);
        assert_eq!(normalize_range(-1, -5, 1), None);
        assert_eq!(clamp_range(-1, -5, 1), Some(0..1));
        assert_eq!(normalize_range(i64::MIN, i64::MAX, 3), Some(0..3));
        assert_eq!(normalize_range(i64::MAX, i64::MIN, 3), None);
    }

    proptest! {
        #[test]
        fn ranges_equal_those_of_wide_arithmetic(start in -12i64..12, end in -12i64..12, len in 0usize..8) {
            prop_assert_eq!(normalize_range(start, end, len), naive(start, end, len));
        }
    }
}
