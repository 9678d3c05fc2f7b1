//! Checking a snapshot: every record is read as loading would, looked at in depth, counted and forgotten.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::base::clock::now_unix_ms;
use crate::base::hash::KeyHasher;
use crate::persist::rdb::decode::{CUT_OFF, Refused, Scrutiny};
use crate::persist::rdb::file::{Doing, Reader, Record};
use crate::process::os_text;
use crate::value::Limits;

use super::inventory::Inventory;
use super::{Console, Failed, show_bytes};

/// The tool.
pub(super) fn run(program: &str, args: &[OsString], console: &mut Console<'_>) -> Result<(), Failed> {
    let [path] = args else {
        writeln!(console.err, "Usage: {program} <rdb-file-name>")?;
        return Err(Failed);
    };
    check(Path::new(path), console).map(drop)
}

/// Tells standard output what is wrong with a snapshot that was refused, as Redis does before it gives up.
pub fn report(path: &Path) {
    let mut console = Console {
        input: &mut io::empty(),
        out: &mut io::stdout().lock(),
        err: &mut io::stderr().lock(),
        now_ms: now_unix_ms(),
    };
    // Whatever it finds, it says.
    let _ = check(path, &mut console);
}

/// Checks the snapshot at the beginning of a file; where it ends.
pub(super) fn check(path: &Path, console: &mut Console<'_>) -> Result<u64, Failed> {
    writeln!(console.out, "[offset 0] Checking RDB file {}", path.display())?;
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let text = os_text(&error);
            writeln!(console.err, "Cannot open file {}: {text}", path.display())?;
            return Err(Failed);
        }
    };
    let mut inventory = Inventory::new();
    let limits = Limits::new(KeyHasher::with_seed(now_unix_ms() as u64));
    let found = match Reader::new(file, size, Scrutiny::FULL, limits) {
        Ok(mut reader) => read(&mut reader, &mut inventory, console)?.map_err(|(refused, whole)| Damage {
            doing: reader.doing(),
            value: reader
                .under_way()
                .map(|(kind, key)| (kind as u8, kind.name(), String::from_utf8_lossy(key).into_owned())),
            refused,
            whole,
        }),
        Err(refused) => Err(Damage {
            doing: Doing::Start,
            value: None,
            refused,
            whole: 0,
        }),
    };
    if let Err(damage) = &found {
        damage.print(size, console)?;
        show_bytes(path, damage.offset(), console)?;
    }
    inventory.print(console)?;
    found.map_err(|_| Failed)
}

/// What is wrong.
struct Damage {
    doing: Doing,
    /// Number and name of the type, and the key.
    value: Option<(u8, &'static str, String)>,
    refused: Refused,
    /// Where the record begins that cannot be read.
    whole: u64,
}

impl Damage {
    fn offset(&self) -> u64 {
        match self.refused {
            Refused::Damaged { offset, .. } | Refused::Empty { offset } => offset,
            Refused::Io(_) => self.whole,
        }
    }

    /// Whether the checksum was read, and is another.
    fn is_wrong_sum(&self) -> bool {
        self.doing == Doing::Checksum
            && matches!(&self.refused, Refused::Damaged { what, .. } if what != CUT_OFF)
    }

    fn print(&self, size: u64, console: &mut Console<'_>) -> Result<(), Failed> {
        let what = match &self.refused {
            Refused::Damaged { what, .. } if self.is_wrong_sum() => format!("RDB CRC error: {what}"),
            Refused::Damaged { what, .. } => what.to_string(),
            other => other.to_string(),
        };
        let out = &mut console.out;
        writeln!(out, "--- RDB ERROR DETECTED ---")?;
        writeln!(out, "[offset {}] {what}", self.offset())?;
        writeln!(out, "[additional info] While doing: {}", self.doing.name())?;
        if let Some((number, name, key)) = &self.value {
            writeln!(out, "[additional info] Reading key '{key}'")?;
            writeln!(out, "[additional info] Reading type {number} ({name})")?;
        }
        if self.is_wrong_sum() {
            writeln!(
                out,
                "[additional info] Every record can be read, but some byte is not what was written"
            )?;
            return Ok(());
        }
        let whole = self.whole;
        writeln!(
            out,
            "[additional info] Whole up to offset {whole} of {size}: the damage is in the record that begins there"
        )?;
        Ok(())
    }
}

type Read = Result<u64, (Refused, u64)>;

/// Reads to the end, which is told, or to the damage, which is told with the offset of its record.
fn read(
    reader: &mut Reader<File>,
    inventory: &mut Inventory,
    console: &mut Console<'_>,
) -> Result<Read, Failed> {
    let mut db = 0;
    loop {
        let before = reader.offset();
        let told = match reader.next_record() {
            Ok(None) => break,
            Err(refused) => return Ok(Err((refused, before))),
            Ok(Some(Record::Aux(name, text))) => {
                let (name, text) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&text));
                Some(format!("AUX FIELD {name} = '{text}'"))
            }
            Ok(Some(Record::Database(index))) => {
                db = index;
                Some(format!("Selecting DB ID {index}"))
            }
            Ok(Some(record)) => {
                inventory.see(&record, db, before, console.now_ms);
                None
            }
        };
        if let Some(told) = told {
            writeln!(console.out, "[offset {}] {told}", reader.offset())?;
        }
    }
    let end = reader.offset();
    match reader.stated_checksum() {
        Some(0) => writeln!(
            console.out,
            "[offset {end}] RDB file was saved with checksum disabled: no check performed."
        )?,
        Some(_) => writeln!(console.out, "[offset {end}] Checksum OK")?,
        None => {}
    }
    writeln!(console.out, "[offset {end}] \\o/ RDB looks OK! \\o/")?;
    Ok(Ok(end))
}
