//! Commands as the log holds them.
//!
//! ```text
//! #TS:1700000000\r\n                              once a second, with aof-timestamp-enabled
//! *2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n                when the database is another than the last command's
//! *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n
//! ```

use crate::base::number;

/// Frames commands one after the other.
#[derive(Debug, Default)]
pub struct Framer {
    /// The database that a reader has selected by now; none at the beginning of a file.
    db: Option<usize>,
    /// The time noted last, in Unix seconds.
    stamped_s: i64,
}

impl Framer {
    /// A new file begins.
    pub fn begin_file(&mut self) {
        self.db = None;
    }

    /// Notes the time if it has changed.
    #[inline]
    pub fn stamp(&mut self, now_s: i64, out: &mut Vec<u8>) {
        if now_s > self.stamped_s {
            self.stamped_s = now_s;
            stamp(now_s, out);
        }
    }

    /// Appends a command that runs in database `db`, or in any (`None`).
    #[inline]
    pub fn command<'a>(
        &mut self,
        db: Option<usize>,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        out: &mut Vec<u8>,
    ) {
        if db.is_some() && db != self.db {
            self.db = db;
            select(db.unwrap_or(0), out);
        }
        command(words, out);
    }
}

/// Appends a note of the time.
pub fn stamp(now_s: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"#TS:");
    number::write_i64(now_s, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the command that selects a database.
pub fn select(db: usize, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(4);
    number::write_u64(db as u64, &mut text);
    command([&b"SELECT"[..], &text].into_iter(), out);
}

/// Appends a command.
#[inline]
pub fn command<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    header(b'*', words.len(), out);
    words.for_each(|word| self::word(word, out));
}

/// Appends the beginning of a command of `count` words.
#[inline]
pub fn begin(count: usize, out: &mut Vec<u8>) {
    header(b'*', count, out);
}

/// Appends one word.
#[inline]
pub fn word(word: &[u8], out: &mut Vec<u8>) {
    header(b'$', word.len(), out);
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn header(mark: u8, number: usize, out: &mut Vec<u8>) {
    out.push(mark);
    number::write_u64(number as u64, out);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_selected_when_it_changes_and_at_the_beginning_of_a_file() {
        let (mut framer, mut out) = (Framer::default(), Vec::new());
        let mut add = |framer: &mut Framer, db| framer.command(db, [&b"X"[..]].into_iter(), &mut out);
        add(&mut framer, None);
        add(&mut framer, Some(9));
        add(&mut framer, Some(9));
        add(&mut framer, None);
        framer.begin_file();
        add(&mut framer, Some(9));
        let text = String::from_utf8(out).expect("text").replace("\r\n", " ");
        let (x, select) = ("*1 $1 X ", "*2 $6 SELECT $1 9 ");
        assert_eq!(text, format!("{x}{select}{x}{x}{x}{select}{x}"));
    }

    #[test]
    fn the_time_is_noted_once_a_second() {
        let (mut framer, mut out) = (Framer::default(), Vec::new());
        for now_s in [5, 5, 6, 4] {
            framer.stamp(now_s, &mut out);
        }
        assert_eq!(out, b"#TS:5\r\n#TS:6\r\n");
    }
}
