//! A snapshot as a file: [`Writer`] makes one, [`Reader`] hands out what is in one, record by record.

use std::io::{self, Read, Write};

use crate::keyspace::entry::{Entry, NewValue};
use crate::value::Limits;

use super::decode::{Decoder, Refused, Scrutiny};
use super::encode::Encoder;
use super::opcode::{self, Type};
use super::{module, value};

const MAGIC: &[u8; 5] = b"REDIS";

/// The first version whose files end in a checksum.
const CHECKSUM_SINCE: u16 = 5;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The newest version of the format to use.
    pub version: u16,
    /// Whether it ends in a checksum (`rdbchecksum`).
    pub checksum: bool,
    /// Whether strings are compressed (`rdbcompression`).
    pub compresses: bool,
}

/// Writes a snapshot.
pub struct Writer<W: Write> {
    encoder: Encoder<W>,
    version: u16,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    pub fn new(out: W, style: Style) -> Writer<W> {
        let mut encoder = Encoder::new(out, style.checksum, style.compresses);
        encoder.raw(MAGIC);
        encoder.raw(format!("{:04}", style.version).as_bytes());
        Writer {
            encoder,
            version: style.version,
        }
    }

    /// A fact about the file.
    pub fn aux(&mut self, name: &str, text: &str) {
        self.encoder.byte(opcode::AUX);
        self.encoder.string(name.as_bytes());
        self.encoder.string(text.as_bytes());
    }

    /// The source of a library of functions.
    pub fn function(&mut self, source: &[u8]) {
        self.encoder.byte(opcode::FUNCTION2);
        self.encoder.string(source);
    }

    /// The keys that follow are of database `index`, so many, of which so many expire.
    pub fn database(&mut self, index: usize, keys: usize, expiring: usize) {
        self.encoder.byte(opcode::SELECTDB);
        self.encoder.length(index as u64);
        self.encoder.byte(opcode::RESIZEDB);
        self.encoder.length(keys as u64);
        self.encoder.length(expiring as u64);
    }

    /// A key with its value.
    pub fn entry(&mut self, entry: &Entry, usage: Usage) {
        if let Some(at) = entry.expire_at() {
            self.encoder.byte(opcode::EXPIRETIME_MS);
            self.encoder.millis(at);
        }
        match usage {
            Usage::Unknown => {}
            Usage::IdleSeconds(seconds) => {
                self.encoder.byte(opcode::IDLE);
                self.encoder.length(u64::from(seconds));
            }
            Usage::Frequency(counter) => {
                self.encoder.byte(opcode::FREQ);
                self.encoder.byte(counter);
            }
        }
        let kind = value::type_of(entry, self.version);
        self.encoder.byte(kind as u8);
        self.encoder.string(entry.key());
        value::save(&mut self.encoder, entry, kind);
    }

    /// Whether writing has failed: what follows is pointless.
    pub fn has_failed(&self) -> bool {
        self.encoder.has_failed()
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.encoder.position()
    }

    /// Ends the file; the sink and the size in bytes.
    ///
    /// # Errors
    /// The first error of the sink.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.encoder.byte(opcode::EOF);
        self.encoder.finish()
    }
}

/// How much a key was used, as far as the eviction policy keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Not kept.
    Unknown,
    /// Seconds since it was last used.
    IdleSeconds(u32),
    /// The counter of LFU policies.
    Frequency(u8),
}

/// A key with its value, as read.
#[derive(Debug)]
pub struct Loaded<'a> {
    /// The key.
    pub key: &'a [u8],
    /// How it was written.
    pub kind: Type,
    /// Where it ends, in bytes of the file.
    pub end: u64,
    /// Its value.
    pub value: NewValue<'a>,
    /// When it expires, Unix milliseconds.
    pub expire_at: Option<i64>,
    /// How much it was used.
    pub usage: Usage,
}

/// What a file holds, piece by piece.
#[derive(Debug)]
pub enum Record<'a> {
    /// A fact about the file: name and text.
    Aux(Vec<u8>, Vec<u8>),
    /// The source of a library of functions.
    Function(Vec<u8>),
    /// The keys that follow are of this database.
    Database(u64),
    /// How many keys the database has, and how many expire.
    Sizes(u64, u64),
    /// A key.
    Entry(Loaded<'a>),
    /// A key that holds a collection without elements, as servers with a mistake in them have written.
    Empty(&'a [u8], Type),
}

/// What a reader is at, in the words of `redis-check-rdb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// The first bytes.
    Start,
    /// The byte that begins a record.
    Type,
    /// When a key expires.
    Expire,
    /// A key.
    Key,
    /// A value.
    Value,
    /// The checksum.
    Checksum,
    /// A number.
    Length,
    /// A fact about the file.
    Aux,
    /// Data of a module.
    ModuleAux,
    /// A library of functions.
    Functions,
}

impl Doing {
    /// As `redis-check-rdb` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Doing::Start => "start",
            Doing::Type => "read-type",
            Doing::Expire => "read-expire",
            Doing::Key => "read-key",
            Doing::Value => "read-object-value",
            Doing::Checksum => "check-sum",
            Doing::Length => "read-len",
            Doing::Aux => "read-aux",
            Doing::ModuleAux => "read-module-aux",
            Doing::Functions => "read-functions",
        }
    }
}

/// Reads a snapshot.
pub struct Reader<R: Read> {
    doing: Doing,
    kind: Type,
    decoder: Decoder<R>,
    version: u16,
    checks: bool,
    stated_checksum: Option<u64>,
    limits: Limits,
    key: Vec<u8>,
    text: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Opens an input of `size` bytes.
    ///
    /// # Errors
    /// It is no snapshot, or one of a version from the future.
    pub fn new(input: R, size: u64, scrutiny: Scrutiny, limits: Limits) -> Result<Reader<R>, Refused> {
        let mut decoder = Decoder::with_scrutiny(input, size, scrutiny);
        let magic: [u8; 9] = decoder.array()?;
        if magic[..5] != *MAGIC {
            return decoder.damaged("Wrong signature trying to load DB from file");
        }
        let digits = std::str::from_utf8(&magic[5..]).ok();
        let version = digits
            .and_then(|digits| digits.trim_start().parse().ok())
            .unwrap_or(0);
        if !(1..=opcode::VERSION).contains(&version) {
            return decoder.damaged(format!("Can't handle RDB format version {version}"));
        }
        Ok(Reader {
            doing: Doing::Start,
            kind: Type::String,
            decoder,
            version,
            checks: scrutiny.checksum,
            stated_checksum: None,
            limits,
            key: Vec::new(),
            text: Vec::new(),
        })
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    /// What it is at, or was when it failed.
    pub fn doing(&self) -> Doing {
        self.doing
    }

    /// Type and key of the value it is at, or was when it failed.
    pub fn under_way(&self) -> Option<(Type, &[u8])> {
        (self.doing == Doing::Value).then_some((self.kind, &self.key))
    }

    /// Whether the checksum was to be verified, and the file turned out to have none.
    pub fn lacks_checksum(&self) -> bool {
        self.checks && self.stated_checksum == Some(0)
    }

    /// The checksum at the end of the file, once it is read: none in old versions, 0 if it was written without one.
    pub fn stated_checksum(&self) -> Option<u64> {
        self.stated_checksum
    }

    /// How many encodings were looked at in depth.
    pub fn sanitized(&self) -> u64 {
        self.decoder.sanitized()
    }

    /// The version of the format.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// What is wrong, and where; [`Reader::under_way`] says with which key.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Refused> {
        let (mut expire_at, mut usage) = (None, Usage::Unknown);
        loop {
            let decoder = &mut self.decoder;
            self.doing = Doing::Type;
            let mark = decoder.byte()?;
            self.doing = doing(mark);
            match mark {
                opcode::EXPIRETIME => {
                    let seconds = i32::from_le_bytes(decoder.array()?);
                    expire_at = Some(i64::from(seconds) * 1000);
                }
                opcode::EXPIRETIME_MS => expire_at = Some(decoder.millis()?),
                opcode::FREQ => usage = Usage::Frequency(decoder.byte()?),
                opcode::IDLE => {
                    let seconds = decoder.length()?;
                    usage = Usage::IdleSeconds(u32::try_from(seconds).unwrap_or(u32::MAX));
                }
                opcode::EOF => {
                    self.verify()?;
                    return Ok(None);
                }
                opcode::SELECTDB => return Ok(Some(Record::Database(decoder.length()?))),
                opcode::RESIZEDB => return Ok(Some(Record::Sizes(decoder.length()?, decoder.length()?))),
                opcode::AUX => return Ok(Some(Record::Aux(decoder.string()?, decoder.string()?))),
                opcode::FUNCTION2 => return Ok(Some(Record::Function(decoder.string()?))),
                opcode::FUNCTION_PRE_GA => {
                    return decoder.damaged("functions in the form of a Redis 7.0 release candidate");
                }
                opcode::MODULE_AUX => {
                    let module = module::name(decoder.length()?);
                    return decoder.damaged(format!(
                        "The RDB file contains AUX module data I can't load: no matching module '{module}'"
                    ));
                }
                byte => {
                    let Some(kind) = Type::from_byte(byte) else {
                        return decoder.damaged(format!("Invalid object type: {byte}"));
                    };
                    return self.entry(kind, expire_at, usage).map(Some);
                }
            }
        }
    }

    fn entry(&mut self, kind: Type, expire_at: Option<i64>, usage: Usage) -> Result<Record<'_>, Refused> {
        (self.doing, self.kind) = (Doing::Key, kind);
        self.key.clear();
        self.decoder.string_into(&mut self.key)?;
        self.doing = Doing::Value;
        match value::load(&mut self.decoder, kind, &self.limits, &mut self.text) {
            Ok(value) => Ok(Record::Entry(Loaded {
                key: &self.key,
                kind,
                end: self.decoder.offset(),
                value,
                expire_at,
                usage,
            })),
            Err(Refused::Empty { .. }) => Ok(Record::Empty(&self.key, kind)),
            Err(refused) => Err(refused),
        }
    }

    /// Compares the checksum, which is 0 in files written without one.
    fn verify(&mut self) -> Result<(), Refused> {
        if self.version < CHECKSUM_SINCE {
            return Ok(());
        }
        let found = self.decoder.checksum();
        let stated = u64::from_le_bytes(self.decoder.array()?);
        self.stated_checksum = Some(stated);
        if self.checks && stated != 0 && stated != found {
            return self.decoder.damaged(format!(
                "RDB CRC error: Wrong RDB checksum expected: ({stated:x}) but got ({found:x})"
            ));
        }
        Ok(())
    }
}

/// What the record is that begins with this byte.
fn doing(mark: u8) -> Doing {
    match mark {
        opcode::EXPIRETIME | opcode::EXPIRETIME_MS => Doing::Expire,
        opcode::EOF => Doing::Checksum,
        opcode::SELECTDB | opcode::RESIZEDB => Doing::Length,
        opcode::AUX => Doing::Aux,
        opcode::FUNCTION2 | opcode::FUNCTION_PRE_GA => Doing::Functions,
        opcode::MODULE_AUX => Doing::ModuleAux,
        _ => Doing::Type,
    }
}
