//! `--test-memory`: writes patterns into memory and reads them back.
//!
//! A pass fills the buffer with each pattern in turn and then compares. Patterns: the address of each word (finds
//! address lines stuck together), pseudo-random words, stripes and their opposite, a checkerboard that alternates from
//! word to word.
//!
//! Costs: `megabytes` of memory, about a second per gigabyte and pass. What the caches hold is tested as cache, so small
//! sizes prove little.
//!
//! Not here: a test of memory already in use, which is for the machine's own firmware.

use super::os_text;
use std::hint::black_box;
use std::io::{self, Write};

/// How often each pattern is tried.
pub const PASSES: u32 = 5;

/// How a memory test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every word was read as it was written.
    Passed,
    /// A word came back different.
    Failed {
        /// Its place in the buffer, in words of eight bytes.
        word: usize,
        /// What was written.
        expected: u64,
        /// What was read.
        found: u64,
    },
    /// No such memory here: none asked for, more than the machine has, or not to be had now.
    Refused,
}

/// Tests `megabytes` of memory in `passes` passes, telling `out` about it.
///
/// Errors: only what writing to `out` says.
pub fn test_memory(megabytes: u64, passes: u32, out: &mut dyn Write) -> io::Result<Verdict> {
    let Some(mut words) = allocate(megabytes, out)? else {
        return Ok(Verdict::Refused);
    };
    for pass in 1..=passes {
        for pattern in Pattern::ALL {
            write!(
                out,
                "\r{megabytes} MB, pass {pass} of {passes}: {:<14}",
                pattern.name()
            )?;
            out.flush()?;
            if let Some(wrong) = run(&mut words, pattern, u64::from(pass)) {
                writeln!(out, "\n*** MEMORY ERROR DETECTED: {wrong:x?}")?;
                return Ok(wrong);
            }
        }
    }
    writeln!(out, "\nYour memory passed this test.")?;
    writeln!(
        out,
        "A fault that shows only now and then takes hours of a boot-time memory tester to find."
    )?;
    Ok(Verdict::Passed)
}

fn allocate(megabytes: u64, out: &mut dyn Write) -> io::Result<Option<Vec<u64>>> {
    if megabytes == 0 || megabytes > machine_megabytes() {
        writeln!(
            out,
            "Please specify between 1 and {} megabytes to test.",
            machine_megabytes()
        )?;
        return Ok(None);
    }
    let count = (megabytes * ((1 << 20) / 8)) as usize;
    let mut words = Vec::new();
    if words.try_reserve_exact(count).is_err() {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        writeln!(
            out,
            "Unable to allocate {megabytes} megabytes: {}",
            os_text(&error)
        )?;
        return Ok(None);
    }
    words.resize(count, 0);
    Ok(Some(words))
}

fn machine_megabytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit)) >> 20
}

/// Fills and compares; the first word that differs, if one does.
fn run(words: &mut [u64], pattern: Pattern, seed: u64) -> Option<Verdict> {
    for (index, word) in words.iter_mut().enumerate() {
        *word = pattern.word(index, seed);
    }
    // Without this the compiler may prove the comparison below and never touch memory.
    black_box(&mut *words);
    compare(words, pattern, seed)
}

fn compare(words: &[u64], pattern: Pattern, seed: u64) -> Option<Verdict> {
    let differs = |(index, &found): (usize, &u64)| found != pattern.word(index, seed);
    let word = words.iter().enumerate().position(differs)?;
    Some(Verdict::Failed {
        word,
        expected: pattern.word(word, seed),
        found: words[word],
    })
}

/// A rule for what every word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    Address,
    Random,
    Stripes,
    StripesReversed,
    Checkerboard,
}

impl Pattern {
    const ALL: [Pattern; 5] = [
        Self::Address,
        Self::Random,
        Self::Stripes,
        Self::StripesReversed,
        Self::Checkerboard,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Address => "addresses",
            Self::Random => "random words",
            Self::Stripes => "stripes",
            Self::StripesReversed => "other stripes",
            Self::Checkerboard => "checkerboard",
        }
    }

    fn word(self, index: usize, seed: u64) -> u64 {
        match self {
            Self::Address => index as u64 * 8,
            Self::Random => mixed(index as u64 ^ (seed << 48)),
            Self::Stripes => 0xaaaa_aaaa_aaaa_aaaa,
            Self::StripesReversed => 0x5555_5555_5555_5555,
            Self::Checkerboard if index.is_multiple_of(2) => 0xaaaa_aaaa_aaaa_aaaa,
            Self::Checkerboard => 0x5555_5555_5555_5555,
        }
    }
}

/// A word that looks random and depends on every bit of `value` (the finalizer of splitmix64).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_memory_passes_and_says_so() {
        let mut out = Vec::new();
        assert_eq!(test_memory(1, 1, &mut out).unwrap(), Verdict::Passed);
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("Your memory passed this test.")
        );
    }

    #[test]
    fn impossible_sizes_are_refused_not_tried() {
        for megabytes in [0, machine_megabytes() + 1, u64::MAX] {
            assert_eq!(
                test_memory(megabytes, 1, &mut io::sink()).unwrap(),
                Verdict::Refused
            );
        }
    }

    #[test]
    fn one_flipped_bit_is_found_under_every_pattern() {
        let mut words = vec![0; 1000];
        for pattern in Pattern::ALL {
            assert_eq!(run(&mut words, pattern, 3), None);
            words[617] ^= 1 << 40;
            let Some(Verdict::Failed {
                word: 617,
                expected,
                found,
            }) = compare(&words, pattern, 3)
            else {
                panic!("{pattern:?} missed it");
            };
            assert_eq!(expected ^ found, 1 << 40);
        }
    }
}
