//! The memory report for people.
//!
//! ```text
//! Survey complete: 1200 keys, 93.10K, beside 34.00K of tables
//!
//! type           keys      bytes  share  a key
//! string         1000     83.10K  89.3%  85
//! ```
//!
//! Amounts are for the eye ([`human_bytes`]); REPORT DATA has them exact, and all prefixes. Lines about nothing are left
//! out.

use std::fmt::Write;

use crate::base::quote::repr;
use crate::base::units::human_bytes;
use crate::keyspace::survey::{KINDS, Named, Survey, Tally};

use super::report::{Status, heat_name, others};

/// More prefixes nobody reads; the rest is with the others.
const PREFIX_LINES_MAX: usize = 50;

/// The report, lines ended by `\n`.
pub(super) fn render(status: &Status, survey: &Survey) -> String {
    let mut page = Page {
        text: String::new(),
        all: status.seen,
    };
    page.head(status, survey);
    page.kinds(survey);
    page.prefixes(survey);
    page.biggest(survey);
    page.hottest(survey, status);
    page.text
}

struct Page {
    text: String,
    /// What shares are of.
    all: Tally,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn head(&mut self, status: &Status, survey: &Survey) {
        let how_far = match status.state {
            "complete" => String::new(),
            _ => format!(" at {:.0}%", status.progress * 100.0),
        };
        let which = match survey.options.db {
            Some(db) => format!(" of db{db}"),
            None => String::new(),
        };
        let line = format!(
            "Survey{which} {}{how_far}: {} keys, {} with their values, beside {} of tables; {} ms of work in {} ms",
            status.state,
            status.seen.keys,
            human_bytes(status.seen.bytes),
            human_bytes(survey.findings.tables_bytes),
            status.spent_us / 1000,
            status.elapsed_ms,
        );
        self.line(&line);
    }

    fn title(&mut self, what: &str) {
        let line = format!(
            "\n{:>10}  {:>10}  {:>6}  {:>8}  {what}",
            "keys", "bytes", "share", "a key"
        );
        self.line(&line);
    }

    /// Nothing for nothing.
    fn tally(&mut self, tally: Tally, name: &str) {
        if tally.keys == 0 {
            return;
        }
        let share = tally.bytes as f64 * 100.0 / self.all.bytes.max(1) as f64;
        let line = format!(
            "{:>10}  {:>10}  {share:>5.1}%  {:>8}  {name}",
            tally.keys,
            human_bytes(tally.bytes),
            human_bytes(tally.bytes / tally.keys),
        );
        self.line(&line);
    }

    fn kinds(&mut self, survey: &Survey) {
        self.title("type");
        for (kind, tally) in KINDS.iter().zip(survey.findings.kinds) {
            self.tally(tally, kind.name());
        }
        self.tally(survey.findings.volatile, "(of these with an expiry)");
    }

    fn prefixes(&mut self, survey: &Survey) {
        let prefixes = &survey.findings.prefixes;
        let mut biggest = prefixes.biggest();
        biggest.truncate(PREFIX_LINES_MAX);
        self.title("prefix");
        for (name, prefix) in &biggest {
            let indent = "  ".repeat(prefix.depth - 1);
            let at_least = if prefix.since_start { "" } else { " (at least)" };
            self.tally(prefix.tally, &format!("{indent}{}{at_least}", shown(name)));
        }
        self.tally(others(survey, &biggest), "(other prefixes)");
        self.tally(prefixes.bare(), "(no prefix)");
    }

    fn biggest(&mut self, survey: &Survey) {
        let line = format!("\n{:>10}  {:<7} {:>3}  biggest keys", "bytes", "type", "db");
        self.line(&line);
        for (bytes, key) in survey.findings.biggest.highest() {
            self.key(&human_bytes(bytes), key);
        }
    }

    fn hottest(&mut self, survey: &Survey, status: &Status) {
        let ended_s = (status.started_ms + status.elapsed_ms) / 1000;
        let (what, by_frequency) = match heat_name(survey) {
            "frequency" => ("frequency", true),
            _ => ("idle", false),
        };
        let line = format!("\n{what:>10}  {:<7} {:>3}  hottest keys", "type", "db");
        self.line(&line);
        for (heat, key) in survey.findings.hottest.highest() {
            let rank = match by_frequency {
                true => heat.to_string(),
                false => format!("{}s", (ended_s - heat.cast_signed()).max(0)),
            };
            self.key(&rank, key);
        }
    }

    fn key(&mut self, rank: &str, key: &Named) {
        let mut line = format!("{rank:>10}  {:<7} {:>3}  {}", key.kind, key.db, shown(&key.name));
        if key.name_bytes > key.name.len() {
            let _ = write!(line, "... ({} bytes)", key.name_bytes);
        }
        self.line(&line);
    }
}

/// A name, quoted if it would not stand as it is.
fn shown(name: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    let mut text = Vec::new();
    if !name.is_empty() && name.iter().all(is_plain) {
        text.extend_from_slice(name);
    } else {
        repr(name, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::survey::{Options, State, Survey};

    #[test]
    fn names_that_would_break_the_page_are_quoted() {
        assert_eq!(shown(b"user:1"), "user:1");
        assert_eq!(shown(b"a b"), "\"a b\"");
        assert_eq!(shown(b"\n\xff"), "\"\\n\\xff\"");
        assert_eq!(shown(b""), "\"\"");
    }

    fn status() -> Status {
        Status {
            state: "complete",
            progress: 1.0,
            seen: Tally::default(),
            started_ms: 0,
            elapsed_ms: 3,
            spent_us: 1_500,
        }
    }

    #[test]
    fn a_page_shows_the_biggest_prefixes_only() {
        let mut survey = Survey::new(Options::default(), false, 0);
        for number in 0..200 {
            survey
                .findings
                .prefixes
                .add(format!("p{number}:x").as_bytes(), 100 + number);
        }
        let page = render(&status(), &survey);
        let prefixes = page.lines().filter(|line| line.ends_with(':')).count();
        assert_eq!(prefixes, PREFIX_LINES_MAX);
        assert!(page.contains("p199:") && !page.contains("p149:"), "{page}");
    }

    #[test]
    fn a_page_without_keys_has_its_titles() {
        let mut survey = Survey::new(Options::default(), false, 0);
        survey.state = State::Complete;
        let page = render(&status(), &survey);
        assert!(
            page.starts_with(
                "Survey complete: 0 keys, 0B with their values, beside 0B of tables; 1 ms of work in 3 ms\n"
            ),
            "{page}"
        );
        assert_eq!(
            page.lines().filter(|line| line.contains("keys")).count(),
            5,
            "{page}"
        );
    }
}
