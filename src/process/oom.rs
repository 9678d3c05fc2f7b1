//! `oom-score-adj`: how soon the kernel should pick this process when memory runs out.
//!
//! ```text
//! value = clamp(values[class] (+ score before the server touched it, when relative), -1000, 1000)
//! ```
//!
//! Invariant: the score found when control begins is remembered until control ends, and put back then, so a refused
//! `CONFIG SET` or `oom-score-adj no` leaves the process as it was found.

use super::log::warning;
use super::os_text;
use std::io;
use std::path::PathBuf;

/// The `oom-score-adj` directive; `yes` means relative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OomMode {
    /// Leave the score alone.
    #[default]
    No,
    /// Add to the score the process was started with.
    Relative,
    /// Set the score.
    Absolute,
}

impl OomMode {
    /// The mode a directive value names, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        const NAMES: [(&str, OomMode); 4] = [
            ("no", OomMode::No),
            ("yes", OomMode::Relative),
            ("relative", OomMode::Relative),
            ("absolute", OomMode::Absolute),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, mode)| mode)
    }
}

/// The three kinds of process, in the order of `oom-score-adj-values`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessClass {
    /// A server on its own or with replicas.
    Master,
    /// A server that follows another.
    Replica,
    /// A process forked to save or rewrite.
    BackgroundChild,
}

/// The score of this process, and what it was before.
#[derive(Debug)]
pub struct OomScore {
    file: PathBuf,
    base: Option<i32>,
}

const OWN_SCORE: &str = "/proc/self/oom_score_adj";

/// Sets the score of this process, and says nothing in the log: for children, which must not.
///
/// # Errors
/// What the operating system says.
pub fn set_score(score: i32) -> io::Result<()> {
    std::fs::write(OWN_SCORE, format!("{score}\n"))
}

impl Default for OomScore {
    fn default() -> Self {
        Self {
            file: PathBuf::from(OWN_SCORE),
            base: None,
        }
    }
}

impl OomScore {
    /// Makes the score what the directives say for `class`: at start, when they change, on becoming a replica or
    /// master, and in a child.
    ///
    /// Errors: the score cannot be read or written (lowering it takes privileges); logged, and for the caller to turn
    /// into the failure of a `CONFIG SET`.
    pub fn apply(&mut self, mode: OomMode, values: [i32; 3], class: ProcessClass) -> io::Result<()> {
        match (mode, self.base) {
            (OomMode::No, None) => Ok(()),
            (OomMode::No, Some(base)) => {
                self.base = None;
                self.write(base)
            }
            (OomMode::Relative | OomMode::Absolute, _) => {
                self.remember_base()?;
                self.score(mode, values, class)
                    .map_or(Ok(()), |score| self.write(score))
            }
        }
    }

    /// The score a process of `class` should have, as far as anybody has asked for one; what [`OomScore::apply`] found
    /// at first counts as where it starts from.
    pub fn score(&self, mode: OomMode, values: [i32; 3], class: ProcessClass) -> Option<i32> {
        let value = values[class as usize];
        match mode {
            OomMode::No => None,
            OomMode::Relative => Some(clamped(value.saturating_add(self.base.unwrap_or(0)))),
            OomMode::Absolute => Some(clamped(value)),
        }
    }

    fn remember_base(&mut self) -> io::Result<i32> {
        if let Some(base) = self.base {
            return Ok(base);
        }
        let base = self
            .read()
            .inspect_err(|error| warning!("Unable to read oom_score_adj: {}", os_text(error)))?;
        self.base = Some(base);
        Ok(base)
    }

    fn read(&self) -> io::Result<i32> {
        let text = std::fs::read_to_string(&self.file)?;
        text.trim()
            .parse()
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn write(&self, score: i32) -> io::Result<()> {
        let written = std::fs::write(&self.file, format!("{score}\n"));
        written.inspect_err(|error| warning!("Unable to write oom_score_adj: {}", os_text(error)))
    }
}

fn clamped(score: i32) -> i32 {
    score.clamp(-1000, 1000)
}

#[cfg(test)]
mod tests {
    use super::ProcessClass::{BackgroundChild, Master, Replica};
    use super::*;

    const VALUES: [i32; 3] = [10, 20, 30];

    /// A score kept in an ordinary file that starts at `base`.
    fn score_at(base: i32) -> (tempfile::TempDir, OomScore) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("oom_score_adj");
        std::fs::write(&file, format!("{base}\n")).unwrap();
        (folder, OomScore { file, base: None })
    }

    #[test]
    fn relative_adds_to_the_score_found() {
        let (_folder, mut score) = score_at(100);
        for (class, expected) in [
            (Master, 110),
            (Replica, 120),
            (BackgroundChild, 130),
            (Master, 110),
        ] {
            score.apply(OomMode::Relative, VALUES, class).unwrap();
            assert_eq!(score.read().unwrap(), expected);
        }
    }

    #[test]
    fn absolute_sets_the_score_and_no_puts_it_back() {
        let (_folder, mut score) = score_at(100);
        score.apply(OomMode::Absolute, VALUES, Replica).unwrap();
        assert_eq!(score.read().unwrap(), 20);
        score.apply(OomMode::No, VALUES, Replica).unwrap();
        assert_eq!(score.read().unwrap(), 100);
    }

    #[test]
    fn no_leaves_a_score_others_chose_alone() {
        let (_folder, mut score) = score_at(7);
        score.apply(OomMode::No, VALUES, Master).unwrap();
        std::fs::write(&score.file, "8\n").unwrap();
        score.apply(OomMode::No, VALUES, Master).unwrap();
        assert_eq!(score.read().unwrap(), 8);
        score.apply(OomMode::Relative, [9; 3], Master).unwrap();
        assert_eq!(score.read().unwrap(), 17);
    }

    #[test]
    fn scores_stay_within_what_the_kernel_takes() {
        let (_folder, mut score) = score_at(900);
        score.apply(OomMode::Relative, [2000; 3], Master).unwrap();
        assert_eq!(score.read().unwrap(), 1000);
        score.apply(OomMode::Absolute, [-2000; 3], Master).unwrap();
        assert_eq!(score.read().unwrap(), -1000);
    }

    #[test]
    fn failures_are_told_and_not_remembered() {
        let (folder, mut score) = score_at(5);
        std::fs::write(&score.file, "what\n").unwrap();
        assert!(score.apply(OomMode::Relative, VALUES, Master).is_err());
        assert_eq!(score.base, None);
        drop(folder);
        assert!(score.apply(OomMode::Relative, VALUES, Master).is_err());
    }

    #[test]
    fn yes_means_relative() {
        assert_eq!(OomMode::parse("YES"), Some(OomMode::Relative));
        assert_eq!(OomMode::parse("absolute"), Some(OomMode::Absolute));
        assert_eq!(OomMode::parse("maybe"), None);
    }
}
