//! Checking a whole log: a manifest with all its files, or one file of before Redis 7.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::base::number;
use crate::persist::aof::manifest::Manifest;
use crate::process::os_text;

use super::commands::Commands;
use super::log::{Checked, Mode, Part};
use super::{Console, Failed};

/// Longer lines are no manifest's.
const LINE_BYTES_MAX: u64 = 1024;

/// The tool.
pub(super) fn run(program: &str, args: &[OsString], console: &mut Console<'_>) -> Result<(), Failed> {
    let (mode, path) = match args {
        [path] => (Mode::Look, path),
        [option, path] if option == "--fix" => (Mode::Fix, path),
        [option, time, path] if option == "--truncate-to-timestamp" => {
            match number::parse_i64(time.as_encoded_bytes()) {
                Some(time_s) => (Mode::Until(time_s), path),
                None => {
                    writeln!(console.out, "Invalid timestamp, aborting...")?;
                    return Err(Failed);
                }
            }
        }
        _ => {
            writeln!(
                console.out,
                "Usage: {program} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>"
            )?;
            return Err(Failed);
        }
    };
    let path = Path::new(path);
    let mut commands = Commands::new();
    let found = match is_manifest(path) {
        Ok(true) => check_parts(path, mode, &mut commands, console),
        Ok(false) => check_single(path, mode, &mut commands, console),
        Err(error) => cannot_open(path, &error, console),
    };
    commands.print(console)?;
    found
}

fn cannot_open<T>(path: &Path, error: &io::Error, console: &mut Console<'_>) -> Result<T, Failed> {
    let (path, text) = (path.display(), os_text(error));
    writeln!(console.out, "Cannot open file {path}: {text}")?;
    Err(Failed)
}

/// Whether the first line that is no comment names a file.
fn is_manifest(path: &Path) -> io::Result<bool> {
    let mut input = BufReader::new(File::open(path)?);
    loop {
        let mut line = Vec::new();
        (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.first() != Some(&b'#') {
            return Ok(line.starts_with(b"file"));
        }
    }
}

fn is_snapshot(path: &Path) -> bool {
    let mut magic = [0; 5];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"REDIS"
}

fn check_single(
    path: &Path,
    mode: Mode,
    commands: &mut Commands,
    console: &mut Console<'_>,
) -> Result<(), Failed> {
    writeln!(console.out, "Start checking Old-Style AOF")?;
    let name = path.to_string_lossy();
    let part = Part {
        name: &name,
        path,
        is_last: true,
        has_preamble: is_snapshot(path),
    };
    let checked = part.check(mode, commands, console)?;
    conclude("AOF", &name, checked, console)
}

fn check_parts(
    path: &Path,
    mode: Mode,
    commands: &mut Commands,
    console: &mut Console<'_>,
) -> Result<(), Failed> {
    writeln!(console.out, "Start checking Multi Part AOF")?;
    let manifest = read_manifest(path, console)?;
    let count = manifest.parts().count();
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut told_incrs = false;
    for (index, part) in manifest.parts().enumerate() {
        let (name, path) = (part.shown(), folder.join(part.path()));
        let is_base = manifest.base.as_ref() == Some(part);
        let has_preamble = is_base && is_snapshot(&path);
        let format = if has_preamble { "RDB" } else { "RESP" };
        match is_base {
            true => writeln!(console.out, "Start to check BASE AOF ({format} format).")?,
            false if !told_incrs => {
                writeln!(console.out, "Start to check INCR files.")?;
                told_incrs = true;
            }
            false => {}
        }
        let part = Part {
            name: &name,
            path: &path,
            is_last: index + 1 == count,
            has_preamble,
        };
        let checked = part.check(mode, commands, console)?;
        conclude(
            if is_base { "BASE AOF" } else { "INCR AOF" },
            &name,
            checked,
            console,
        )?;
    }
    writeln!(console.out, "All AOF files and manifest are valid")?;
    Ok(())
}

fn read_manifest(path: &Path, console: &mut Console<'_>) -> Result<Manifest, Failed> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => return cannot_open(path, &error, console),
    };
    let malformed = match Manifest::parse(&text) {
        Ok(manifest) => return Ok(manifest),
        Err(malformed) => malformed,
    };
    writeln!(console.err, "\n*** FATAL AOF MANIFEST FILE ERROR ***")?;
    if let Some((number, line)) = &malformed.line {
        writeln!(
            console.err,
            "Reading the manifest file, at line {number}\n>>> '{line}'"
        )?;
    }
    writeln!(console.err, "{}", malformed.what)?;
    Err(Failed)
}

fn conclude(what: &str, name: &str, checked: Checked, console: &mut Console<'_>) -> Result<(), Failed> {
    match checked {
        Checked::Valid => writeln!(console.out, "{what} {name} is valid")?,
        Checked::Empty => writeln!(console.out, "{what} {name} is empty")?,
        Checked::Fixed => writeln!(console.out, "Successfully truncated AOF {name}")?,
        Checked::CutAtTime(time_s) => {
            writeln!(
                console.out,
                "Successfully truncated AOF {name} to timestamp {time_s}"
            )?;
        }
    }
    Ok(())
}
