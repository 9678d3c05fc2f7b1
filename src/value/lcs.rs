//! The longest common subsequence of two byte strings: LCS.
//!
//! The textbook keeps a table of lengths L(i, j) for the first i bytes of `a` and j of `b`. Along a row a
//! length grows by 0 or 1 per step, so a row is kept as one bit per column, and computed a word at a time
//! (Hyyro, "Bit-parallel LCS-length computation revisited", 2004). The same bits suffice to walk back from
//! the end:
//!
//! ```text
//! columns of b ->   1 0 1 1 0 1        bit j of row i is 0: L(i, j+1) = L(i, j) + 1
//! rows of a, one per byte              at a mismatch: L(i-1, j) > L(i, j-1) exactly when that bit is 0
//! ```
//!
//! Ties on the way back are broken as Redis breaks them, so string and ranges are the same, not only as long.
//!
//! Cost: |a| * |b| / 64 steps, and |a| * |b| / 8 bytes for the string or the ranges (a 32nd of the textbook's
//! table, and about as much again for the masks when `a` uses many different bytes); O(min) memory for the
//! length alone. Not here: the limit on the size of the table, which is a matter of configuration
//! ([`table_bytes`] is the number to hold against it).

/// A run of bytes common to both strings and contiguous in both. Indices from 0, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// First and last index in the first string.
    pub a: (usize, usize),
    /// First and last index in the second string.
    pub b: (usize, usize),
}

impl Match {
    /// The number of bytes matched, at least 1.
    pub fn match_len(self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// The memory Redis would take for two strings of these lengths: it refuses when this exceeds
/// `proto-max-bulk-len`.
pub fn table_bytes(a_len: usize, b_len: usize) -> u64 {
    (a_len as u64)
        .saturating_add(1)
        .saturating_mul((b_len as u64).saturating_add(1))
        .saturating_mul(4)
}

/// The length of the longest common subsequence.
pub fn lcs_len(a: &[u8], b: &[u8]) -> usize {
    // The length does not depend on which is which, the memory does.
    let (rows, columns) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let masks = Masks::new(rows, columns);
    let mut row = vec![u64::MAX; masks.words];
    rows.iter().for_each(|byte| advance(&mut row, masks.of(*byte)));
    zeros(&row)
}

/// The longest common subsequence; of several, the one Redis gives.
pub fn lcs_string(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut reversed = Vec::new();
    Table::new(a, b).walk_back(a, b, |i, _| reversed.push(a[i]));
    reversed.reverse();
    reversed
}

/// The runs making up the longest common subsequence, last first, and its length: IDX.
///
/// Runs shorter than `match_len_min` (MINMATCHLEN) are left out, but still counted in the length.
pub fn lcs_matches(a: &[u8], b: &[u8], match_len_min: usize) -> (Vec<Match>, usize) {
    let mut matches: Vec<Match> = Vec::new();
    let mut len = 0;
    Table::new(a, b).walk_back(a, b, |i, j| {
        len += 1;
        match matches.last_mut() {
            Some(run) if run.a.0 == i + 1 && run.b.0 == j + 1 => (run.a.0, run.b.0) = (i, j),
            _ => matches.push(Match { a: (i, i), b: (j, j) }),
        }
    });
    matches.retain(|run| run.match_len() >= match_len_min);
    (matches, len)
}

/// Every row of bits, one per byte of `a`.
struct Table {
    rows: Vec<u64>,
    /// Words per row.
    words: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Table {
        let masks = Masks::new(a, b);
        let words = masks.words;
        let mut rows = Vec::with_capacity(a.len() * words);
        let mut row = vec![u64::MAX; words];
        for byte in a {
            advance(&mut row, masks.of(*byte));
            rows.extend_from_slice(&row);
        }
        Table { rows, words }
    }

    /// Reports the matched pairs of indices, last first.
    fn walk_back(&self, a: &[u8], b: &[u8], mut matched: impl FnMut(usize, usize)) {
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                matched(i, j);
            } else if self.grows(i - 1, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }

    /// Is L one larger after column `column` than before it, in the row of `a[row]`?
    fn grows(&self, row: usize, column: usize) -> bool {
        self.rows[row * self.words + column / 64] >> (column % 64) & 1 == 0
    }
}

/// Computes the row after one more byte of `a`, whose places in `b` are `mask`.
fn advance(row: &mut [u64], mask: &[u64]) {
    let mut carry = false;
    for (word, mask) in row.iter_mut().zip(mask) {
        let (sum, over) = word.overflowing_add(*word & mask);
        let (sum, over_again) = sum.overflowing_add(carry.into());
        carry = over || over_again;
        *word = sum | (*word & !mask);
    }
}

/// The clear bits: the length a row ends with. Bits past the last column are in no mask, so they stay set.
fn zeros(row: &[u64]) -> usize {
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

/// For each byte value that occurs in one string, its places in the other, as bits.
struct Masks {
    /// Where each byte value's mask starts in `bits`, in masks.
    slots: [u16; 256],
    bits: Vec<u64>,
    /// Words per mask.
    words: usize,
}

impl Masks {
    /// Masks of the bytes of `rows` in `columns`. Bytes that `rows` lacks share none, so the masks of a short
    /// string are few however long the other is.
    fn new(rows: &[u8], columns: &[u8]) -> Masks {
        const ABSENT: u16 = u16::MAX;
        let words = columns.len().div_ceil(64);
        let mut slots = [ABSENT; 256];
        let mut count = 0;
        for &byte in rows {
            if slots[usize::from(byte)] == ABSENT {
                slots[usize::from(byte)] = count;
                count += 1;
            }
        }
        let mut bits = vec![0; usize::from(count) * words];
        for (column, &byte) in columns.iter().enumerate() {
            let slot = slots[usize::from(byte)];
            if slot != ABSENT {
                bits[usize::from(slot) * words + column / 64] |= 1 << (column % 64);
            }
        }
        Masks { slots, bits, words }
    }

    /// The places of `byte`, which must occur in `rows`.
    fn of(&self, byte: u8) -> &[u64] {
        let start = usize::from(self.slots[usize::from(byte)]) * self.words;
        &self.bits[start..start + self.words]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook's table, and the walk back with the reference's choice at ties.
    fn naive_pairs(a: &[u8], b: &[u8]) -> Vec<(usize, usize)> {
        let mut table = vec![vec![0u32; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = match a[i - 1] == b[j - 1] {
                    true => table[i - 1][j - 1] + 1,
                    false => table[i - 1][j].max(table[i][j - 1]),
                };
            }
        }
        let (mut i, mut j, mut pairs) = (a.len(), b.len(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        pairs
    }

    const RNA_1: &[u8] = b"CACCTTCCCAGGTAACAAACCAACCAACTTTCGATCTCTTGTAGATCTGTTCTCTAAACGAACTTTAAAA\
        TCTGTGTGGCTGTCACTCGGCTGCATGCTTAGTGCACT";
    const RNA_2: &[u8] = b"ATTAAAGGTTTATACCTTCCCAGGTAACAAACCAACCAACTTTCGATCTCTTGTAGATCTGTTCTCTAAA\
        CGAACTTTAAAATCTGTGTGGCTGTCACTCGGCTGCATGCTTAGTGCACT";

    #[test]
    fn the_documented_example_holds() {
        let (a, b) = (b"ohmytext", b"mynewtext");
        assert_eq!(lcs_string(a, b), b"mytext");
        assert_eq!(lcs_len(a, b), 6);
        let (text, my) = (Match { a: (4, 7), b: (5, 8) }, Match { a: (2, 3), b: (0, 1) });
        assert_eq!(lcs_matches(a, b, 0), (vec![text, my], 6));
        assert_eq!(lcs_matches(a, b, 4), (vec![text], 6));
        assert_eq!(lcs_matches(a, b, 5), (vec![], 6));
    }

    #[test]
    fn ranges_of_long_strings_follow_the_reference() {
        assert_eq!(
            lcs_matches(RNA_1, RNA_2, 5),
            (
                vec![Match {
                    a: (1, 107),
                    b: (13, 119)
                }],
                107
            )
        );
        assert_eq!(lcs_len(RNA_1, RNA_2), 107);
    }

    #[test]
    fn empty_strings_have_nothing_in_common() {
        for (a, b) in [
            (&b""[..], &b""[..]),
            (b"abc", b""),
            (b"", b"abc"),
            (b"abc", b"xyz"),
        ] {
            assert_eq!(
                (lcs_len(a, b), lcs_string(a, b), lcs_matches(a, b, 0)),
                (0, vec![], (vec![], 0))
            );
        }
    }

    #[test]
    fn table_size_is_four_bytes_a_cell_and_saturates() {
        assert_eq!(table_bytes(0, 0), 4);
        assert_eq!(table_bytes(8, 9), 360);
        assert_eq!(table_bytes(usize::MAX, usize::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn bits_walk_the_textbook_way(a in "[a-d]{0,200}", b in "[a-e]{0,200}", match_len_min in 0usize..5) {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let pairs = naive_pairs(a, b);
            prop_assert_eq!(lcs_len(a, b), pairs.len());
            let naive: Vec<u8> = pairs.iter().rev().map(|&(i, _)| a[i]).collect();
            prop_assert_eq!(lcs_string(a, b), naive);
            let (matches, len) = lcs_matches(a, b, 0);
            prop_assert_eq!(len, pairs.len());
            let steps = |run: &Match| {
                let run = *run;
                (0..run.match_len()).map(move |step| (run.a.1 - step, run.b.1 - step))
            };
            prop_assert_eq!(matches.iter().flat_map(steps).collect::<Vec<_>>(), pairs);
            let mut long = matches;
            long.retain(|run| run.match_len() >= match_len_min);
            prop_assert_eq!(lcs_matches(a, b, match_len_min).0, long);
        }
    }
}
