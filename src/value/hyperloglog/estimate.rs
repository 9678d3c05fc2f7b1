//! From register values to a count: the estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv:1702.01284, which needs no corrections for small or large counts.
//!
//! Every operation rounds as in Redis, so the counts are the same to the last digit.

use super::{COUNTED_BITS, REGISTERS};

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value. Values above 51 come only from forged strings and count for nothing.
#[derive(Clone, Copy)]
pub struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts registers of a value below 64.
    #[inline]
    pub fn add(&mut self, value: u8, registers: u32) {
        self.0[usize::from(value % 64)] += registers;
    }

    /// Sums of several.
    pub fn sum(parts: &[Histogram]) -> Histogram {
        let mut all = Histogram::default();
        for part in parts {
            all.0
                .iter_mut()
                .zip(part.0)
                .for_each(|(sum, count)| *sum += count);
        }
        all
    }

    /// How many different elements, most likely.
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let largest = COUNTED_BITS as usize + 1;
        let mut z = m * tau((m - f64::from(self.0[largest])) / m);
        for value in (1..largest).rev() {
            z = (z + f64::from(self.0[value])) * 0.5;
        }
        z += m * sigma(f64::from(self.0[0]) / m);
        let estimate = (ALPHA * m * m / z).round();
        // Compat: forged registers can make it infinite, which C turns into the integer farthest from that.
        if estimate < 2f64.powi(63) {
            estimate as u64
        } else {
            1 << 63
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_added_counts_nothing() {
        let mut histogram = Histogram::default();
        histogram.add(0, REGISTERS as u32);
        assert_eq!(histogram.estimate(), 0);
    }

    #[test]
    fn registers_that_no_hash_fills_make_the_count_infinite() {
        let mut histogram = Histogram::default();
        histogram.add(63, REGISTERS as u32);
        assert_eq!(histogram.estimate(), 1 << 63);
    }
}
