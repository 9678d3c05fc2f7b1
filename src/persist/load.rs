//! Reading a snapshot file into the databases, in steps, so that clients can be told meanwhile that it is going on.

use std::borrow::Cow;
use std::path::Path;

use crate::keyspace::Keyspace;
use crate::keyspace::restore::{Access, Arriving, Restored};

use super::disk::{Disk, File, How};
use super::rdb::decode::{Refused, Scrutiny};
use super::rdb::file::{Loaded, Reader, Record, Usage};
use super::snapshot::dawdle;

/// Keys that are made before they are put in their places: enough for their buckets to have come from memory.
const ARRIVING: usize = 32;

/// How many empty keys of a file the log names.
const EMPTY_TOLD_MAX: u64 = 10;

/// A load under way.
pub struct Loader {
    reader: Reader<File>,
    /// Keys that are made, and where the file has them.
    arriving: Vec<(u64, Arriving)>,
    db: usize,
    /// Size of the file in bytes.
    pub total_bytes: u64,
    /// Facts of the file: name and text.
    pub aux: Vec<(String, String)>,
    /// Keys that came in.
    pub keys: u64,
    /// Keys that had expired and were left out.
    pub expired: u64,
    /// Keys of collections without elements, which were left out.
    pub empty: u64,
    /// Keys that are there already are replaced rather than refused.
    pub replaces: bool,
    /// Sources of libraries of functions.
    pub functions: Vec<Vec<u8>>,
    /// `key-load-delay`: microseconds to sleep after each key; below 0, one after so many keys.
    pub key_delay_us: i64,
}

impl Loader {
    /// Opens `path` of `disk`.
    ///
    /// # Errors
    /// It cannot be read, or is no snapshot.
    pub fn open(
        disk: &dyn Disk,
        path: &Path,
        scrutiny: Scrutiny,
        keys: &Keyspace,
    ) -> Result<Loader, Refused> {
        let file = disk.open(path, How::Read).map_err(Refused::Io)?;
        let total_bytes = file.size().map_err(Refused::Io)?;
        Ok(Loader {
            reader: Reader::new(file, total_bytes, scrutiny, keys.limits)?,
            arriving: Vec::with_capacity(ARRIVING),
            db: 0,
            total_bytes,
            aux: Vec::new(),
            keys: 0,
            expired: 0,
            empty: 0,
            replaces: false,
            functions: Vec::new(),
            key_delay_us: 0,
        })
    }

    /// Bytes read so far.
    pub fn loaded_bytes(&self) -> u64 {
        self.reader.offset()
    }

    /// How many encodings were looked at in depth.
    pub fn sanitized(&self) -> u64 {
        self.reader.sanitized()
    }

    /// Reads on while `may_go_on` says so, which is asked every few records, or after each if they take their time; whether
    /// more is left.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn step(
        &mut self,
        keys: &mut Keyspace,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Refused> {
        const RECORDS: usize = 256;
        let records = if self.key_delay_us > 0 { 1 } else { RECORDS };
        loop {
            for _ in 0..records {
                if !self.record(keys)? {
                    self.admit(keys)?;
                    return Ok(false);
                }
            }
            self.admit(keys)?;
            if !may_go_on() {
                return Ok(true);
            }
        }
    }

    /// Takes one record in; whether there was one.
    fn record(&mut self, keys: &mut Keyspace) -> Result<bool, Refused> {
        let offset = self.reader.offset();
        let record = match self.reader.next_record() {
            Ok(record) => record,
            Err(refused) => {
                return Err(match self.reader.under_way() {
                    Some((kind, key)) => refused.with_key(kind, key),
                    None => refused,
                });
            }
        };
        match record {
            None => {
                if self.reader.lacks_checksum() {
                    tracing::info!("RDB file was saved with checksum disabled: no check performed.");
                }
                return Ok(false);
            }
            Some(Record::Aux(name, text)) => {
                let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.aux.push((text_of(&name), text_of(&text)));
            }
            Some(Record::Function(source)) => self.functions.push(source),
            Some(Record::Database(index)) => {
                self.db = usize::try_from(index)
                    .ok()
                    .filter(|&index| index < keys.db_count())
                    .ok_or_else(|| {
                        let count = keys.db_count();
                        let what = format!(
                            "Data file was created with a Redis server configured to handle more than {count} \
                             databases, it names database {index}"
                        );
                        refuse(offset, what)
                    })?;
            }
            Some(Record::Sizes(..)) => {}
            Some(Record::Empty(key, _)) => {
                self.empty += 1;
                if self.empty <= EMPTY_TOLD_MAX {
                    tracing::info!("RDB skipping empty key: {}", String::from_utf8_lossy(key));
                }
            }
            Some(Record::Entry(loaded)) => {
                match prepare(keys, self.db, loaded) {
                    Some(arriving) => self.arriving.push((offset, arriving)),
                    None => self.expired += 1,
                }
                if self.arriving.len() == ARRIVING {
                    self.admit(keys)?;
                }
                dawdle(
                    self.key_delay_us,
                    self.keys + self.expired + self.arriving.len() as u64,
                );
            }
        }
        Ok(true)
    }

    /// Puts the keys in their places that are made.
    fn admit(&mut self, keys: &mut Keyspace) -> Result<(), Refused> {
        for (offset, arriving) in self.arriving.drain(..) {
            match keys.admit(arriving, self.replaces) {
                Restored::Stored => self.keys += 1,
                Restored::Expired => self.expired += 1,
                Restored::Exists => return Err(refuse(offset, "a key that is there twice")),
            }
        }
        Ok(())
    }
}

fn refuse(offset: u64, what: impl Into<Cow<'static, str>>) -> Refused {
    Refused::Damaged {
        offset,
        what: what.into(),
    }
}

fn prepare(keys: &Keyspace, db: usize, loaded: Loaded<'_>) -> Option<Arriving> {
    let access = match loaded.usage {
        Usage::Unknown => Access::Fresh,
        Usage::IdleSeconds(seconds) => Access::IdleSeconds(seconds),
        Usage::Frequency(counter) => Access::Frequency(counter),
    };
    keys.prepare(db, loaded.key, loaded.value, loaded.expire_at, access)
}
