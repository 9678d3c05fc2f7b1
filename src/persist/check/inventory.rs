//! What a snapshot holds: keys by type, and the biggest ones.

use std::collections::BTreeMap;

use crate::keyspace::entry::NewValue;
use crate::persist::rdb::file::{Loaded, Record};
use crate::persist::rdb::opcode::Type;
use crate::value::Value;

use super::table::{Biggest, shown};
use super::{Console, Failed};

/// Keys of one type.
#[derive(Debug, Default)]
struct Share {
    keys: u64,
    elements: u64,
    bytes: u64,
}

/// One of the biggest keys.
#[derive(Debug)]
struct Key {
    name: String,
    db: u64,
    kind: Type,
    elements: u64,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Inventory {
    keys: u64,
    expires: u64,
    expired: u64,
    empty: u64,
    libraries: u64,
    by_type: BTreeMap<u8, (Type, Share)>,
    biggest: Biggest<Key>,
}

impl Inventory {
    pub(super) fn new() -> Inventory {
        Inventory {
            keys: 0,
            expires: 0,
            expired: 0,
            empty: 0,
            libraries: 0,
            by_type: BTreeMap::new(),
            biggest: Biggest::new(),
        }
    }

    /// Takes in a record of database `db` that begins at `start`.
    pub(super) fn see(&mut self, record: &Record<'_>, db: u64, start: u64, now_ms: i64) {
        match record {
            Record::Entry(loaded) => self.see_key(loaded, db, loaded.end - start, now_ms),
            Record::Function(_) => self.libraries += 1,
            Record::Empty(..) => self.empty += 1,
            Record::Aux(..) | Record::Database(_) | Record::Sizes(..) => {}
        }
    }

    fn see_key(&mut self, loaded: &Loaded<'_>, db: u64, bytes: u64, now_ms: i64) {
        let kind = loaded.kind;
        self.keys += 1;
        self.expires += u64::from(loaded.expire_at.is_some());
        self.expired += u64::from(loaded.expire_at.is_some_and(|at| at < now_ms));
        let elements = elements(&loaded.value);
        let (_, share) = self.by_type.entry(kind as u8).or_insert((kind, Share::default()));
        share.keys += 1;
        share.elements += elements;
        share.bytes += bytes;
        self.biggest.see(bytes, || Key {
            name: shown(loaded.key),
            db,
            kind,
            elements,
        });
    }

    /// The lines of Redis, then the tables.
    pub(super) fn print(&self, console: &mut Console<'_>) -> Result<(), Failed> {
        let out = &mut console.out;
        writeln!(out, "[info] {} keys read", self.keys)?;
        writeln!(out, "[info] {} expires", self.expires)?;
        writeln!(out, "[info] {} already expired", self.expired)?;
        if self.empty > 0 {
            writeln!(out, "[info] {} empty keys, which loading leaves out", self.empty)?;
        }
        if self.libraries > 0 {
            writeln!(out, "[info] {} function libraries", self.libraries)?;
        }
        if self.keys == 0 {
            return Ok(());
        }
        writeln!(
            out,
            "Keys by type         {:>12} {:>14} {:>14}",
            "keys", "elements", "bytes in file"
        )?;
        for (kind, share) in self.by_type.values() {
            let Share {
                keys,
                elements,
                bytes,
            } = share;
            writeln!(out, "  {:<18} {keys:>12} {elements:>14} {bytes:>14}", kind.name())?;
        }
        writeln!(
            out,
            "Biggest keys         {:>12} {:>14}  db  key",
            "elements", "bytes in file"
        )?;
        for (bytes, key) in self.biggest.iter() {
            let Key {
                name,
                db,
                kind,
                elements,
            } = key;
            writeln!(
                out,
                "  {:<18} {elements:>12} {bytes:>14}  {db:>2}  {name}",
                kind.name()
            )?;
        }
        Ok(())
    }
}

/// Elements of a collection; 1 for a string.
fn elements(value: &NewValue<'_>) -> u64 {
    match value {
        NewValue::Int(_) | NewValue::Bytes(_) | NewValue::Value(Value::String(_)) => 1,
        NewValue::Value(Value::List(list)) => list.len() as u64,
        NewValue::Value(Value::Set(set)) => set.len() as u64,
        NewValue::Value(Value::Hash(hash)) => hash.len() as u64,
        NewValue::Value(Value::Zset(zset)) => zset.len() as u64,
        NewValue::Value(Value::Stream(stream)) => stream.log.len(),
    }
}
