//! `redis-check-rdb` and `redis-check-aof`: whether files are whole, what is in them, and where they are damaged.
//!
//! ```text
//! redis-check-rdb <file>                                        snapshot  records one by one, as loading reads them
//! redis-check-aof [--fix | --truncate-to-timestamp t] <file>    log       a manifest with its parts, or one file,
//!                                                                         which may begin as a snapshot
//! ```
//!
//! Messages and exit codes are those of Redis's tools, for the scripts that read them; what Redis does not tell comes in
//! lines of its own behind: counts by type (inventory) or by command (commands), what is biggest, the bytes around the damage.
//!
//! A file is opened for reading only, unless it is to be cut; it is cut after a question (`--fix`) or at a time that the
//! caller names. Not here: checking that commands of a log exist, which would take the table of commands.

mod commands;
mod inventory;
mod log;
mod parts;
mod snapshot;
mod table;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::base::clock::now_unix_ms;
use crate::process::version::REDIS_VERSION;

pub use snapshot::report;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// For snapshots.
    Rdb,
    /// For append-only files.
    Aof,
}

/// Where a tool reads answers and writes what it finds.
pub struct Console<'a> {
    /// Answers of whoever sits there.
    pub input: &'a mut dyn BufRead,
    /// What is found.
    pub out: &'a mut dyn Write,
    /// How to use the tool, and manifests that make no sense.
    pub err: &'a mut dyn Write,
    /// The time, Unix milliseconds.
    pub now_ms: i64,
}

/// Something is wrong, and has been said.
#[derive(Debug, PartialEq, Eq)]
struct Failed;

/// Nobody can be told any more.
impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Failed {
        Failed
    }
}

/// A tool with its arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Call<'a> {
    tool: Tool,
    /// How it was called, for its usage text.
    program: String,
    args: &'a [OsString],
}

impl<'a> Call<'a> {
    /// The tool that `argv` asks for: by the name the program has been given (a link), or by its first argument.
    pub fn of(argv: &'a [OsString]) -> Option<Call<'a>> {
        let (program, args) = argv.split_first()?;
        let shown = program.to_string_lossy().into_owned();
        if let Some(tool) = Path::new(program)
            .file_name()
            .and_then(|name| named(name.as_bytes()))
        {
            return Some(Call {
                tool,
                program: shown,
                args,
            });
        }
        let (name, args) = args.split_first()?;
        Some(Call {
            tool: named(name.as_bytes())?,
            program: format!("{shown} {}", name.to_string_lossy()),
            args,
        })
    }

    /// Does the work at the terminal; whether all is well.
    pub fn run(&self) -> bool {
        let mut console = Console {
            input: &mut io::stdin().lock(),
            out: &mut io::stdout().lock(),
            err: &mut io::stderr().lock(),
            now_ms: now_unix_ms(),
        };
        let is_well = self.run_on(&mut console);
        console.out.flush().is_ok() && is_well
    }

    /// Does the work; whether all is well.
    pub fn run_on(&self, console: &mut Console<'_>) -> bool {
        if let [only] = self.args
            && (only == "-v" || only == "--version")
        {
            return writeln!(console.out, "{} {REDIS_VERSION}", self.tool.name()).is_ok();
        }
        let done = match self.tool {
            Tool::Rdb => snapshot::run(&self.program, self.args, console),
            Tool::Aof => parts::run(&self.program, self.args, console),
        };
        done.is_ok()
    }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Rdb => "redis-check-rdb",
            Tool::Aof => "redis-check-aof",
        }
    }
}

fn named(name: &[u8]) -> Option<Tool> {
    match name {
        b"redis-check-rdb" | b"russet-check-rdb" | b"check-rdb" => Some(Tool::Rdb),
        b"redis-check-aof" | b"russet-check-aof" | b"check-aof" => Some(Tool::Aof),
        _ => None,
    }
}

/// Prints the bytes before and behind `offset` of a file, sixteen a line.
fn show_bytes(path: &Path, offset: u64, console: &mut Console<'_>) -> Result<(), Failed> {
    const LINE: u64 = 16;
    let start = (offset / LINE * LINE).saturating_sub(LINE);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.take(3 * LINE).read_to_end(&mut bytes)
    });
    if read.is_err() || bytes.is_empty() {
        return Ok(());
    }
    writeln!(console.out, "[additional info] Bytes around offset {offset}:")?;
    for (index, line) in bytes.chunks(LINE as usize).enumerate() {
        let hex: String = line.iter().map(|byte| format!(" {byte:02x}")).collect();
        let shown = |byte: &u8| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        };
        let text: String = line.iter().map(shown).collect();
        writeln!(
            console.out,
            "  {:>10} {hex:<48}  {text}",
            start + LINE * index as u64
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
