//! What a log holds: commands by name, the biggest ones, and from when to when.

use std::collections::HashMap;

use crate::resp::Args;

use super::table::{Biggest, shown};
use super::{Console, Failed};

/// Names that are told apart: more than there are commands, few enough for a file that is full of other words.
const NAMES_MAX: usize = 1024;

/// Longer first words are no names of commands.
const NAME_BYTES_MAX: usize = 64;

/// How many names are printed.
const PRINTED_MAX: usize = 15;

/// What was found so far.
#[derive(Debug)]
pub(super) struct Commands {
    count: u64,
    transactions: u64,
    by_name: HashMap<Vec<u8>, (u64, u64)>,
    biggest: Biggest<String>,
    /// Unix seconds of the first and last note of the time.
    times: Option<(i64, i64)>,
}

impl Commands {
    pub(super) fn new() -> Commands {
        Commands {
            count: 0,
            transactions: 0,
            by_name: HashMap::new(),
            biggest: Biggest::new(),
            times: None,
        }
    }

    /// Takes in a command of so many bytes, which stands at `offset` of the file `part`.
    pub(super) fn see(&mut self, words: Args<'_>, part: &str, offset: u64, bytes: u64) {
        let name = words.get(0);
        self.count += 1;
        self.transactions += u64::from(name.eq_ignore_ascii_case(b"multi"));
        let name = name[..name.len().min(NAME_BYTES_MAX)].to_ascii_uppercase();
        let is_known = self.by_name.contains_key(&name);
        let name = if is_known || self.by_name.len() < NAMES_MAX {
            name
        } else {
            b"(others)".to_vec()
        };
        let (count, sum) = self.by_name.entry(name).or_default();
        (*count, *sum) = (*count + 1, *sum + bytes);
        self.biggest.see(bytes, || {
            let key = if words.len() > 1 { words.get(1) } else { b"" };
            let name = String::from_utf8_lossy(words.get(0)).to_uppercase();
            let name: String = name.chars().take(NAME_BYTES_MAX).collect();
            format!("{part} at {offset}: {name} {}", shown(key))
        });
    }

    /// Takes in a note of the time.
    pub(super) fn see_time(&mut self, at_s: i64) {
        let (first, _) = self.times.unwrap_or((at_s, at_s));
        self.times = Some((first, at_s));
    }

    pub(super) fn print(&self, console: &mut Console<'_>) -> Result<(), Failed> {
        let out = &mut console.out;
        if self.count == 0 {
            return Ok(());
        }
        let (count, transactions) = (self.count, self.transactions);
        writeln!(out, "[info] {count} commands read, {transactions} transactions")?;
        if let Some((first, last)) = self.times {
            writeln!(out, "[info] timestamps from {first} to {last}")?;
        }
        let mut names: Vec<_> = self.by_name.iter().collect();
        names.sort_by_key(|(name, (count, _))| (std::cmp::Reverse(*count), *name));
        writeln!(
            out,
            "Commands             {:>12} {:>14}",
            "count", "bytes in file"
        )?;
        for (name, (count, bytes)) in names.iter().take(PRINTED_MAX) {
            let name = name.escape_ascii().to_string();
            writeln!(out, "  {name:<18} {count:>12} {bytes:>14}")?;
        }
        if let Some(more) = names.len().checked_sub(PRINTED_MAX).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more")?;
        }
        writeln!(out, "Biggest commands     {:>14}", "bytes in file")?;
        for (bytes, command) in self.biggest.iter() {
            writeln!(out, "                     {bytes:>14}  {command}")?;
        }
        Ok(())
    }
}
