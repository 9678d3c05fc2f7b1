//! Reading a snapshot file into the databases, in steps, so that clients can be told meanwhile that it is going on.

use std::path::Path;

use crate::keyspace::Keyspace;
use crate::keyspace::restore::{Access, Restored};

use super::disk::{Disk, File, How};
use super::rdb::decode::Refused;
use super::rdb::file::{Loaded, Reader, Record, Usage};

/// A load under way.
pub struct Loader {
    reader: Reader<File>,
    db: usize,
    /// Size of the file in bytes.
    pub total_bytes: u64,
    /// Facts of the file: name and text.
    pub aux: Vec<(String, String)>,
    /// Keys that came in.
    pub keys: u64,
    /// Keys that had expired and were left out.
    pub expired: u64,
    /// Keys that are there already are replaced rather than refused.
    pub replaces: bool,
    /// Sources of libraries of functions.
    pub functions: Vec<Vec<u8>>,
}

impl Loader {
    /// Opens `path` of `disk`; `checks`: whether a wrong checksum matters.
    ///
    /// # Errors
    /// It cannot be read, or is no snapshot.
    pub fn open(disk: &dyn Disk, path: &Path, checks: bool, keys: &Keyspace) -> Result<Loader, Refused> {
        let file = disk.open(path, How::Read).map_err(Refused::Io)?;
        let total_bytes = file.size().map_err(Refused::Io)?;
        Ok(Loader {
            reader: Reader::new(file, total_bytes, checks, keys.limits)?,
            db: 0,
            total_bytes,
            aux: Vec::new(),
            keys: 0,
            expired: 0,
            replaces: false,
            functions: Vec::new(),
        })
    }

    /// Bytes read so far.
    pub fn loaded_bytes(&self) -> u64 {
        self.reader.offset()
    }

    /// Reads on while `may_go_on` says so, which is asked every few records; whether more is left.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn step(
        &mut self,
        keys: &mut Keyspace,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Refused> {
        const RECORDS: usize = 256;
        loop {
            for _ in 0..RECORDS {
                if !self.record(keys)? {
                    return Ok(false);
                }
            }
            if !may_go_on() {
                return Ok(true);
            }
        }
    }

    /// Takes one record in; whether there was one.
    fn record(&mut self, keys: &mut Keyspace) -> Result<bool, Refused> {
        let offset = self.reader.offset();
        let refuse = |what: String| Refused::Damaged {
            offset,
            what: what.into(),
        };
        match self.reader.next_record()? {
            None => return Ok(false),
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
                        refuse(format!(
                            "Data file was created with a Redis server configured to handle more than {count} \
                             databases, it names database {index}"
                        ))
                    })?;
            }
            Some(Record::Sizes(..)) => {}
            Some(Record::Entry(loaded)) => match admit(keys, self.db, loaded, self.replaces) {
                Restored::Stored => self.keys += 1,
                Restored::Expired => self.expired += 1,
                Restored::Exists => return Err(refuse("a key that is there twice".into())),
            },
        }
        Ok(true)
    }
}

fn admit(keys: &mut Keyspace, db: usize, loaded: Loaded<'_>, replaces: bool) -> Restored {
    let access = match loaded.usage {
        Usage::Unknown => Access::Fresh,
        Usage::IdleSeconds(seconds) => Access::IdleSeconds(seconds),
        Usage::Frequency(counter) => Access::Frequency(counter),
    };
    keys.restore(db, loaded.key, loaded.value, loaded.expire_at, access, replaces)
}
