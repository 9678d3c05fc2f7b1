//! Values with inner structure, each read and written in one place: save points, output limits, scores, event
//! classes, the master, percentiles, folders.
//!
//! Numbers inside these are read as C's `strtoll` reads them, which takes a `+`, leading zeros, and nothing
//! at all for 0: that is how Redis reads these directives, unlike plain integers.

use super::value::{Reason, bytes_path};
use crate::base::units;

/// "After `seconds`, if at least `changes` changes were made": one pair of `save`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last save, at least 1.
    pub seconds: i64,
    /// Changes since the last save.
    pub changes: i64,
}

/// When to disconnect a client that does not read its replies. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Bytes waiting at which it is disconnected at once.
    pub hard_bytes: u64,
    /// Bytes waiting that it may exceed for a while.
    pub soft_bytes: u64,
    /// How long that while is, in seconds.
    pub soft_seconds: i64,
}

/// The limits of the three classes of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas, which CONFIG GET calls `slave`.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    pub(super) fn text(&self) -> String {
        let class = |name: &str, limit: &OutputLimit| {
            format!(
                "{name} {} {} {}",
                limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
            )
        };
        [
            class("normal", &self.normal),
            class("slave", &self.replica),
            class("pubsub", &self.pubsub),
        ]
        .join(" ")
    }

    /// The three limits under the names a configuration file gives them.
    pub(super) fn named(&self) -> [(&'static str, OutputLimit); 3] {
        [
            ("normal", self.normal),
            ("replica", self.replica),
            ("pubsub", self.pubsub),
        ]
    }

    fn class(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(&mut self.normal),
            b"replica" | b"slave" => Some(&mut self.replica),
            b"pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }
}

/// Reads `<class> <hard> <soft> <seconds>` groups over `limits`; classes not named keep theirs.
pub(super) fn parse_output_limits(
    words: &[Vec<u8>],
    mut limits: OutputLimits,
) -> Result<OutputLimits, Reason> {
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    };
    for [class, hard, soft, seconds] in groups {
        let place = limits
            .class(class)
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        *place = parse_output_limit(hard, soft, seconds)
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn parse_output_limit(hard: &[u8], soft: &[u8], seconds: &[u8]) -> Option<OutputLimit> {
    let soft_seconds = c_integer(seconds).filter(|count| (0..=i64::from(i32::MAX)).contains(count))?;
    Some(OutputLimit {
        hard_bytes: units::parse_memory(hard)?,
        soft_bytes: units::parse_memory(soft)?,
        soft_seconds,
    })
}

pub(super) fn parse_save_points(words: &[Vec<u8>]) -> Result<Vec<SavePoint>, Reason> {
    let wrong = "Invalid save parameters";
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err(wrong.into());
    };
    let point = |[seconds, changes]: &[Vec<u8>; 2]| {
        let seconds = c_integer(seconds).filter(|seconds| *seconds >= 1)?;
        let changes = c_integer(changes).filter(|changes| *changes >= 0)?;
        Some(SavePoint { seconds, changes })
    };
    pairs.iter().map(point).collect::<Option<_>>().ok_or(wrong.into())
}

pub(super) fn save_points_text(points: &[SavePoint]) -> String {
    let pairs: Vec<_> = points
        .iter()
        .map(|point| format!("{} {}", point.seconds, point.changes))
        .collect();
    pairs.join(" ")
}

pub(super) fn parse_oom_scores(words: &[Vec<u8>]) -> Result<[i32; 3], Reason> {
    let words: &[Vec<u8>; 3] = words.try_into().map_err(|_| "wrong number of arguments")?;
    let mut scores = [0; 3];
    for (score, word) in scores.iter_mut().zip(words) {
        let number = c_integer(word).filter(|number| (-2000..=2000).contains(number));
        *score =
            number.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")? as i32;
    }
    Ok(scores)
}

/// Letters of event classes, in the order they are shown: first those that `A` stands for, then the others.
pub(super) const CLASSES: &str = "g$lshzxetdnKEm";
const ALL_CLASSES: &str = "g$lshzxetd";

/// Spells out the classes named: each once, in the order of [`CLASSES`].
pub(super) fn parse_events(word: &[u8]) -> Result<String, Reason> {
    let named = |letter: char| word.contains(&(letter as u8));
    if word
        .iter()
        .any(|byte| *byte != b'A' && !CLASSES.contains(*byte as char))
    {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let wanted = |letter: &char| named(*letter) || (named('A') && ALL_CLASSES.contains(*letter));
    Ok(CLASSES.chars().filter(wanted).collect())
}

/// Classes as Redis shows them. Compat: once all of `A` are on, it does not show `n`.
pub(super) fn events_text(letters: &str) -> String {
    match letters.strip_prefix(ALL_CLASSES) {
        Some(others) => format!("A{}", others.replace('n', "")),
        None => letters.to_owned(),
    }
}

/// Reads `no one` or `<host> <port>`.
pub(super) fn parse_master(words: &[Vec<u8>]) -> Result<Option<(Vec<u8>, u16)>, Reason> {
    let [host, port] = words else {
        return Err("wrong number of arguments".into());
    };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(None);
    }
    let port = c_integer(port)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or("Invalid master port")?;
    Ok(Some((host.clone(), port)))
}

pub(super) fn parse_percentiles(words: &[Vec<u8>]) -> Result<Vec<f64>, Reason> {
    let percentile = |word: &Vec<u8>| {
        let number = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        match number {
            Some(number) if number.is_nan() => Err("Invalid latency-tracking-info-percentiles parameters"),
            Some(number) if (0.0..=100.0).contains(&number) => Ok(number),
            Some(_) => Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
            None => Err("Invalid latency-tracking-info-percentiles parameters"),
        }
    };
    words
        .iter()
        .map(|word| percentile(word).map_err(Reason::from))
        .collect()
}

pub(super) fn percentiles_text(numbers: &[f64]) -> String {
    let shown: Vec<_> = numbers.iter().copied().map(percentile_text).collect();
    shown.join(" ")
}

/// A percentile with up to six digits and no idle zeros, as INFO names its fields.
pub fn percentile_text(number: f64) -> String {
    format!("{number:.6}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// An absolute spelling of a folder. Falls back to the bytes as they are when the system will not say where
/// it is.
pub(super) fn absolute(folder: &[u8]) -> Vec<u8> {
    let Ok(path) = std::path::absolute(bytes_path(folder)) else {
        return folder.to_vec();
    };
    // Collecting the components takes a trailing slash away, which `absolute` leaves.
    path.components()
        .collect::<std::path::PathBuf>()
        .into_os_string()
        .into_encoded_bytes()
}

/// What `strtoll` makes of a whole word: blanks, a sign, digits; nothing at all is 0, and too much is the
/// bound.
fn c_integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    if text.is_empty() {
        return Some(0);
    }
    let number = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bound = if number.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(number.parse().unwrap_or(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn save_points_come_in_pairs() {
        let points = parse_save_points(&words("900 1 +300 010")).expect("two pairs");
        assert_eq!(save_points_text(&points), "900 1 300 10");
        assert_eq!(parse_save_points(&[]), Ok(Vec::new()));
        for bad in ["900", "900 1 300", "0 1", "1 -1", "a b", "1 1x"] {
            assert_eq!(
                parse_save_points(&words(bad)),
                Err("Invalid save parameters".into()),
                "{bad}"
            );
        }
    }

    #[test]
    fn output_limits_change_the_named_classes_only() {
        let base =
            parse_output_limits(&words("pubsub 32mb 8mb 60"), OutputLimits::default()).expect("a group");
        let limits =
            parse_output_limits(&words("NORMAL 1mb 2k 3 slave 1 1 1 replica 2 2 2"), base).expect("groups");
        assert_eq!(
            limits.text(),
            "normal 1048576 2000 3 slave 2 2 2 pubsub 33554432 8388608 60"
        );
    }

    #[test]
    fn output_limits_are_refused_in_redis_words() {
        let cases = [
            (
                "normal 1 2",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "foo 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "master 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "normal a 2 3",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (
                "pubsub 1 2 -1",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
        ];
        for (line, reason) in cases {
            assert_eq!(
                parse_output_limits(&words(line), OutputLimits::default()),
                Err(reason.into())
            );
        }
    }

    #[test]
    fn oom_scores_are_three() {
        assert_eq!(parse_oom_scores(&words("-1 0 2000")), Ok([-1, 0, 2000]));
        assert!(parse_oom_scores(&words("1 2")).is_err());
        assert!(parse_oom_scores(&words("1 2 3000")).is_err());
        assert!(parse_oom_scores(&words("a b c")).is_err());
    }

    #[test]
    fn event_classes_are_shown_as_redis_shows_them() {
        let cases = [
            ("KEA", "AKE"),
            ("g$lshzxe", "g$lshzxe"),
            ("Elg", "glE"),
            ("Km", "Km"),
            ("", ""),
            ("KEAmn", "AKEm"),
            ("KEdgxn", "gxdnKE"),
            ("g$lshzxetd", "A"),
        ];
        for (given, shown) in cases {
            assert_eq!(events_text(&parse_events(given.as_bytes()).expect(given)), shown);
        }
        assert_eq!(
            parse_events(b"KEAn").as_deref(),
            Ok("g$lshzxetdnKE"),
            "n is kept though not shown"
        );
        assert!(
            parse_events(b"A n").is_err() && parse_events(b"Z").is_err() && parse_events(b"\xff").is_err()
        );
    }

    #[test]
    fn masters_are_hosts_and_ports() {
        assert_eq!(parse_master(&words("h 6379")), Ok(Some((b"h".to_vec(), 6379))));
        assert_eq!(parse_master(&words("NO one")), Ok(None));
        assert_eq!(parse_master(&words("h 99999")), Err("Invalid master port".into()));
        assert_eq!(parse_master(&words("h")), Err("wrong number of arguments".into()));
    }

    #[test]
    fn percentiles_are_shown_without_idle_zeros() {
        let numbers = parse_percentiles(&words("50 99.9 99.99999999 1e1 0")).expect("percentiles");
        assert_eq!(percentiles_text(&numbers), "50 99.9 100 10 0");
        for bad in ["nan", "a", "101", "-1", "inf"] {
            assert!(parse_percentiles(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_inside_are_read_as_c_reads_them() {
        for (word, number) in [
            ("", 0),
            (" 5", 5),
            ("+5", 5),
            ("-005", -5),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(c_integer(word.as_bytes()), Some(number), "{word}");
        }
        for bad in ["5 ", "+", "--5", "5x", " "] {
            assert_eq!(c_integer(bad.as_bytes()), None, "{bad}");
        }
    }
}
