//! Checking one file of commands, and cutting it back to what is whole or to a time.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use crate::base::number;
use crate::persist::aof::replay::{Broken, Item, Replay};
use crate::process::os_text;
use crate::resp::Args;

use super::commands::Commands;
use super::{Console, Failed, show_bytes, snapshot};

/// What is to be done with what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing.
    Look,
    /// Damage at the end is cut off, after a question.
    Fix,
    /// What came after this time, Unix seconds, is cut off.
    Until(i64),
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Valid,
    Empty,
    Fixed,
    CutAtTime(i64),
}

/// A file to be checked.
pub(super) struct Part<'a> {
    /// As messages call it.
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
    /// Only the last file may be cut.
    pub(super) is_last: bool,
    /// It begins as a snapshot.
    pub(super) has_preamble: bool,
}

/// How far a file is whole.
struct Whole {
    /// Behind the last command outside of a transaction, or the last transaction.
    up_to: u64,
    lines: u64,
    /// What is wrong behind that, and where; nothing may be.
    flaw: Option<(u64, Cow<'static, str>)>,
    /// The first note of a time beyond the one asked for.
    late: Option<u64>,
}

impl Part<'_> {
    /// Checks the file.
    pub(super) fn check(
        &self,
        mode: Mode,
        commands: &mut Commands,
        console: &mut Console<'_>,
    ) -> Result<Checked, Failed> {
        let (mut file, size) = self.open(console)?;
        if size == 0 {
            return Ok(Checked::Empty);
        }
        let mut start = 0;
        if self.has_preamble {
            start = self.check_preamble(console)?;
            if let Err(error) = file.seek(SeekFrom::Start(start)) {
                return self.unreadable(&error, console);
            }
        }
        let mut replay = Replay::new(file, start, size);
        let found = self.read(&mut replay, mode, commands);
        let whole = match found {
            Ok(whole) => whole,
            Err(error) => return self.unreadable(&error, console),
        };
        if let (Mode::Until(time_s), Some(offset)) = (mode, whole.late) {
            return self.cut_at_time(time_s, offset, console);
        }
        self.judge(&whole, size, mode, console)
    }

    fn open(&self, console: &mut Console<'_>) -> Result<(File, u64), Failed> {
        let opened = File::open(self.path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((size, file)) => Ok((file, size)),
            Err(error) => {
                let (path, text) = (self.path.display(), os_text(&error));
                writeln!(console.out, "Cannot open file {path}: {text}, aborting...")?;
                Err(Failed)
            }
        }
    }

    fn unreadable<T>(&self, error: &io::Error, console: &mut Console<'_>) -> Result<T, Failed> {
        let (name, text) = (self.name, os_text(error));
        writeln!(console.out, "Failed to read from AOF {name}: {text}, aborting...")?;
        Err(Failed)
    }

    fn check_preamble(&self, console: &mut Console<'_>) -> Result<u64, Failed> {
        match snapshot::check(self.path, console) {
            Ok(end) => {
                writeln!(console.out, "RDB preamble is OK, proceeding with AOF tail...")?;
                Ok(end)
            }
            Err(Failed) => {
                writeln!(console.out, "RDB preamble of AOF file is not sane, aborting.")?;
                Err(Failed)
            }
        }
    }

    /// Reads to the end, the damage, or the time asked for.
    fn read(&self, replay: &mut Replay<File>, mode: Mode, commands: &mut Commands) -> io::Result<Whole> {
        let mut whole = Whole {
            up_to: replay.offset(),
            lines: 1,
            flaw: None,
            late: None,
        };
        let mut in_transaction = false;
        loop {
            let start = replay.offset();
            if !in_transaction {
                whole.up_to = start;
            }
            let item = replay.next_item();
            let found = match item {
                Ok(None) if in_transaction => {
                    let what = "Reached EOF before reading EXEC for MULTI";
                    Err((replay.piece_offset(), Cow::Borrowed(what)))
                }
                Ok(None) => break,
                Err(Broken::Io(error)) => return Err(error),
                Err(Broken::CutOff(what) | Broken::Damaged(what)) => Err((replay.piece_offset(), what)),
                Ok(Some(Item::Note(note))) => match time_of(note) {
                    Some(at_s) if matches!(mode, Mode::Until(time_s) if at_s > time_s) => {
                        whole.late = Some(start);
                        break;
                    }
                    Some(at_s) => {
                        commands.see_time(at_s);
                        Ok(())
                    }
                    None => Ok(()),
                },
                Ok(Some(Item::Command(words))) => {
                    let name = words.get(0);
                    let begins = name.eq_ignore_ascii_case(b"multi");
                    let ends = name.eq_ignore_ascii_case(b"exec");
                    let out_of_place = (begins && in_transaction) || (ends && !in_transaction);
                    let shown = if begins { "MULTI" } else { "EXEC" };
                    in_transaction = (in_transaction || begins) && !ends;
                    commands.see(words, self.name, start, framed_bytes(words));
                    match out_of_place {
                        true => Err((start, format!("Unexpected {shown} in AOF {}", self.name).into())),
                        false => Ok(()),
                    }
                }
            };
            if let Err(flaw) = found {
                whole.flaw = Some(flaw);
                break;
            }
        }
        whole.lines += replay.lines();
        Ok(whole)
    }

    /// Says what was found, and cuts the file back if that is wanted.
    fn judge(
        &self,
        whole: &Whole,
        size: u64,
        mode: Mode,
        console: &mut Console<'_>,
    ) -> Result<Checked, Failed> {
        let (name, up_to) = (self.name, whole.up_to);
        if let Some((offset, what)) = &whole.flaw {
            writeln!(console.out, "0x{offset:>16x}: {what}")?;
            show_bytes(self.path, *offset, console)?;
        }
        let rest = size - up_to;
        if let (0, Mode::Until(time_s)) = (rest, mode) {
            writeln!(
                console.out,
                "Truncate nothing in AOF {name} to timestamp {time_s}"
            )?;
            return Ok(Checked::Valid);
        }
        writeln!(
            console.out,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={up_to}, ok_up_to_line={}, diff={rest}",
            whole.lines
        )?;
        match mode {
            _ if rest == 0 => Ok(Checked::Valid),
            Mode::Fix => self.fix(size, up_to, console),
            _ => {
                writeln!(
                    console.out,
                    "AOF {name} is not valid. Use the --fix option to try fixing it."
                )?;
                Err(Failed)
            }
        }
    }

    fn fix(&self, size: u64, up_to: u64, console: &mut Console<'_>) -> Result<Checked, Failed> {
        let name = self.name;
        if !self.is_last {
            writeln!(
                console.out,
                "Failed to truncate AOF {name} because it is not the last file"
            )?;
            return Err(Failed);
        }
        writeln!(
            console.out,
            "This will shrink the AOF {name} from {size} bytes, with {} bytes, to {up_to} bytes",
            size - up_to
        )?;
        write!(console.out, "Continue? [y/N]: ")?;
        console.out.flush()?;
        let mut answer = Vec::new();
        let answered = io::BufRead::read_until(&mut console.input, b'\n', &mut answer);
        if answered.is_err()
            || !answer
                .first()
                .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'y'))
        {
            writeln!(console.out, "Aborting...")?;
            return Err(Failed);
        }
        if let Err(error) = self.cut(up_to) {
            writeln!(console.out, "Failed to truncate AOF {name}: {}", os_text(&error))?;
            return Err(Failed);
        }
        Ok(Checked::Fixed)
    }

    fn cut_at_time(&self, time_s: i64, offset: u64, console: &mut Console<'_>) -> Result<Checked, Failed> {
        let name = self.name;
        if offset == 0 {
            writeln!(
                console.out,
                "AOF {name} has nothing before timestamp {time_s}, aborting..."
            )?;
            return Err(Failed);
        }
        if !self.is_last {
            writeln!(
                console.out,
                "Failed to truncate AOF {name} to timestamp {time_s} to offset {offset} because it is not the last \
                 file.\nTo cut there all the same, delete the files behind it, and their lines in the manifest, and run \
                 this again."
            )?;
            return Err(Failed);
        }
        if let Err(error) = self.cut(offset) {
            let text = os_text(&error);
            writeln!(
                console.out,
                "Failed to truncate AOF {name} to timestamp {time_s}: {text}"
            )?;
            return Err(Failed);
        }
        Ok(Checked::CutAtTime(time_s))
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path)?;
        file.set_len(size)?;
        file.sync_all()
    }
}

/// Bytes of a command in a file.
fn framed_bytes(words: Args<'_>) -> u64 {
    const MARK_AND_LINE_END: usize = 3;
    let number = |n: usize| n.checked_ilog10().unwrap_or(0) as usize + 1 + MARK_AND_LINE_END;
    let each = |word: &[u8]| number(word.len()) + word.len() + 2;
    (number(words.len()) + words.iter().map(each).sum::<usize>()) as u64
}

/// The Unix seconds of a note that tells the time.
fn time_of(note: &[u8]) -> Option<i64> {
    number::parse_i64(note.strip_prefix(b"TS:")?)
}
