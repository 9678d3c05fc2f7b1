//! Writing all databases to a snapshot file: beside the old one, synced, then renamed over it, and the folder synced.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::keyspace::Keyspace;
use crate::keyspace::entry::Entry;

use super::disk::{self, Disk, File, How};
use super::rdb::file::{Style, Usage, Writer};

/// Bytes after which a growing file is synced, so that the last sync is short.
const SYNC_STEP_BYTES: u64 = 4 << 20;

/// Keys between two reports of progress, the first of which comes with the first key.
const REPORT_KEYS: u64 = 1024;

/// Which trace of use a snapshot keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageKept {
    /// None.
    Nothing,
    /// Idle times.
    Idle,
    /// LFU counters.
    Frequency,
}

/// How to write a snapshot.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The format.
    pub style: Style,
    /// `rdb-save-incremental-fsync`.
    pub syncs_in_steps: bool,
    /// Which trace of use to keep.
    pub usage: UsageKept,
    /// Facts about the file.
    pub aux: Vec<(&'static str, String)>,
    /// Sources of libraries of functions.
    pub functions: Vec<Vec<u8>>,
    /// `rdb-key-save-delay`: microseconds to sleep after each key; below 0, one after so many keys.
    pub key_delay_us: i64,
}

/// Why a snapshot was not written.
#[derive(Debug)]
pub struct SaveError {
    /// What was being done.
    pub doing: &'static str,
    /// What the operating system said.
    pub error: io::Error,
}

fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> SaveError {
    move |error| SaveError { doing, error }
}

/// Writes all databases of `keys` to `path` of `disk`, by way of `temp` in the same folder; the size in bytes. `progress` hears
/// now and then how many keys are done.
///
/// # Errors
/// What failed; the file at `path` is as it was, and `temp` is gone.
pub fn write(
    disk: &dyn Disk,
    keys: &Keyspace,
    plan: &Plan,
    temp: &Path,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, SaveError> {
    let steps = plan.syncs_in_steps;
    let filled = fill_file(disk, temp, steps, |sink| write_to(sink, keys, plan, progress));
    let written = filled.and_then(|size| {
        disk.rename(temp, path)
            .map_err(doing("moving the temporary file to its place"))?;
        disk.sync_folder(&disk::folder_of(path))
            .map_err(doing("syncing the folder"))?;
        Ok(size)
    });
    if written.is_err() {
        // It may not exist.
        let _ = disk.remove(temp);
    }
    written
}

/// Creates a file, lets `fill` write it, and syncs it: in between too, if in `steps`. The size in bytes.
///
/// # Errors
/// What failed; a file may be left then.
pub fn fill_file(
    disk: &dyn Disk,
    path: &Path,
    steps: bool,
    fill: impl FnOnce(SteppedSync) -> io::Result<(SteppedSync, u64)>,
) -> Result<u64, SaveError> {
    let file = disk
        .open(path, How::Create)
        .map_err(doing("opening the temporary file"))?;
    let sink = SteppedSync {
        file,
        unsynced: 0,
        steps,
    };
    let (sink, size) = fill(sink).map_err(doing("writing"))?;
    sink.file.sync().map_err(doing("syncing"))?;
    Ok(size)
}

/// Writes all databases of `keys` to `out`; the sink and the size in bytes.
///
/// # Errors
/// The first error of the sink.
pub fn write_to<W: Write>(
    out: W,
    keys: &Keyspace,
    plan: &Plan,
    progress: &mut dyn FnMut(u64),
) -> io::Result<(W, u64)> {
    let mut writer = Writer::new(out, plan.style);
    for (name, text) in &plan.aux {
        writer.aux(name, text);
    }
    for source in &plan.functions {
        writer.function(source);
    }
    let mut done = 0;
    for index in 0..keys.db_count() {
        let db = keys.db(index);
        if db.is_empty() {
            continue;
        }
        writer.database(index, db.len(), db.volatile());
        for entry in db.dict().iter() {
            writer.entry(entry, usage(keys, plan.usage, entry));
            done += 1;
            dawdle(plan.key_delay_us, done);
            if done % REPORT_KEYS == 1 {
                progress(done);
                if writer.has_failed() {
                    break;
                }
            }
        }
    }
    progress(done);
    writer.finish()
}

fn usage(keys: &Keyspace, kept: UsageKept, entry: &Entry) -> Usage {
    match kept {
        UsageKept::Nothing => Usage::Unknown,
        UsageKept::Idle => Usage::IdleSeconds(keys.access.idle_seconds(entry)),
        UsageKept::Frequency => Usage::Frequency(keys.access.frequency(entry) as u8),
    }
}

/// Sleeps as `rdb-key-save-delay` or `key-load-delay` asks when so many keys or commands are done: so many microseconds
/// after each, or, below 0, one after so many of them.
#[inline]
pub fn dawdle(delay_us: i64, done: u64) {
    match delay_us {
        0 => {}
        1.. => std::thread::sleep(Duration::from_micros(delay_us as u64)),
        _ if done.is_multiple_of(delay_us.unsigned_abs()) => std::thread::sleep(Duration::from_micros(1)),
        _ => {}
    }
}

/// A file that is synced every few megabytes.
pub struct SteppedSync {
    file: File,
    unsynced: u64,
    steps: bool,
}

impl Write for SteppedSync {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.steps && self.unsynced >= SYNC_STEP_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
