//! Fuzz entries: one value of any type, and a whole file.
//!
//! What is not refused is a value like any other: it is written and read again, closely looked at, and nothing is lost.

use crate::base::hash::KeyHasher;
use crate::keyspace::entry::{Entry, NewValue};
use crate::value::Limits;

use super::checksum::checksum;
use super::decode::{Decoder, Refused, Scrutiny};
use super::encode::Encoder;
use super::file::{Loaded, Reader, Record, Style, Usage, Writer};
use super::opcode::{Type, VERSION};
use super::value;

/// Bits of the first byte: collections leave their small encodings early; everything is looked at in depth.
const NARROW: u8 = 1;
const DEEP: u8 = 2;

/// Numbers of types are below.
const KINDS: u8 = Type::HashListpackEx as u8 + 1;

/// The checksum of a file is put right before it is read.
const SEALED: u8 = 4;

fn limits(options: u8) -> Limits {
    let usual = Limits::new(KeyHasher::with_seed(1));
    if options & NARROW == 0 {
        return usual;
    }
    Limits {
        list_max_listpack_size: 2,
        list_compress_depth: 1,
        set_max_intset_entries: 2,
        set_max_listpack_entries: 2,
        hash_max_listpack_entries: 1,
        zset_max_listpack_entries: 1,
        ..usual
    }
}

/// Options, a type, the bytes of a value.
///
/// # Panics
/// When an invariant is broken.
pub fn fuzz_value(data: &[u8]) {
    let Some(entry) = read_value(data) else {
        return;
    };
    let (limits, deep) = (limits(data[0]), data[0] & DEEP != 0);
    let (kind, once) = written(&entry);
    // Without a look in depth a small set may hold a member twice.
    let again = read(&once, kind, deep, &limits).expect("what was written is sound");
    let (kind_again, twice) = written(&again);
    assert_eq!((kind, once.len()), (kind_again, twice.len()), "nothing is lost");
    if !matches!(kind, Type::Hash | Type::HashMetadata | Type::Set) {
        assert_eq!(once, twice, "what has an order keeps it");
    }
}

/// Only the reading, which is to keep to its share of memory: the value, as a key's entry.
pub fn read_value(data: &[u8]) -> Option<Box<Entry>> {
    let &[options, kind, ref bytes @ ..] = data else {
        return None;
    };
    let kind = Type::from_byte(kind % KINDS)?;
    read(bytes, kind, options & DEEP != 0, &limits(options))
}

fn read(bytes: &[u8], kind: Type, deep: bool, limits: &Limits) -> Option<Box<Entry>> {
    let scrutiny = Scrutiny {
        checksum: false,
        deep,
    };
    let mut decoder = Decoder::with_scrutiny(bytes, bytes.len() as u64, scrutiny);
    let mut text = Vec::new();
    let value: Result<NewValue<'_>, Refused> = value::load(&mut decoder, kind, limits, &mut text);
    if let Err(Refused::Damaged { offset, .. } | Refused::Empty { offset }) = &value {
        assert!(*offset <= bytes.len() as u64, "an error is within the input");
    }
    let entry = value.ok().map(|value| Entry::new(b"key", value, None, 0))?;
    Some(Box::new(entry))
}

fn written(entry: &Entry) -> (Type, Vec<u8>) {
    let kind = value::type_of(entry, VERSION);
    let mut encoder = Encoder::new(Vec::new(), false, false);
    value::save(&mut encoder, entry, kind);
    (kind, encoder.into_inner())
}

/// Options, then a file. What is read before its damage, if any, makes a file that is whole.
///
/// # Panics
/// When an invariant is broken.
pub fn fuzz_file(data: &[u8]) {
    let Some((&options, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if options & SEALED != 0 && bytes.len() > 8 {
        let body = bytes.len() - 8;
        let sum = checksum(&bytes[..body]);
        bytes[body..].copy_from_slice(&sum.to_le_bytes());
    }
    let (limits, deep) = (limits(options), options & DEEP != 0);
    let (copied, count) = copy(&bytes, deep, limits);
    let (again, count_again) = copy(&copied, deep, limits);
    assert_eq!(
        (copied.len(), count),
        (again.len(), count_again),
        "a whole file is read to its end"
    );
}

/// Only the reading of a file, which is to keep to its share of memory.
pub fn read_file(data: &[u8]) {
    let Some((&options, bytes)) = data.split_first() else {
        return;
    };
    let scrutiny = Scrutiny {
        checksum: false,
        deep: options & DEEP != 0,
    };
    if let Ok(mut reader) = Reader::new(bytes, bytes.len() as u64, scrutiny, limits(options)) {
        while let Ok(Some(_)) = reader.next_record() {}
    }
}

/// A file of what comes before the end or the damage of another, and of how many records.
fn copy(bytes: &[u8], deep: bool, limits: Limits) -> (Vec<u8>, usize) {
    let style = Style {
        version: VERSION,
        checksum: true,
        compresses: false,
    };
    let (mut writer, mut count) = (Writer::new(Vec::new(), style), 0);
    let scrutiny = Scrutiny { checksum: true, deep };
    if let Ok(mut reader) = Reader::new(bytes, bytes.len() as u64, scrutiny, limits) {
        while let Ok(Some(record)) = reader.next_record() {
            count += usize::from(copy_record(&mut writer, record));
        }
        assert!(reader.offset() <= bytes.len() as u64);
    }
    let (copied, size) = writer.finish().expect("memory takes all");
    assert_eq!(copied.len() as u64, size);
    (copied, count)
}

/// Whether there is anything to copy.
fn copy_record(writer: &mut Writer<Vec<u8>>, record: Record<'_>) -> bool {
    match record {
        Record::Function(source) => writer.function(&source),
        Record::Database(index) => writer.database(index as usize, 0, 0),
        Record::Entry(Loaded {
            key,
            value,
            expire_at,
            usage,
            ..
        }) => writer.entry(&Entry::new(key, value, expire_at, 0), usage_kept(usage)),
        Record::Aux(..) | Record::Sizes(..) | Record::Empty(..) => return false,
    }
    true
}

/// An idle time longer than the format of the copy has room for is none.
fn usage_kept(usage: Usage) -> Usage {
    match usage {
        Usage::IdleSeconds(u32::MAX) => Usage::Unknown,
        other => other,
    }
}
