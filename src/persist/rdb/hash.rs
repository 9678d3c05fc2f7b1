//! Hashes: the bytes of a listpack, or fields with values; if any field expires, with the soonest expiry in front.
//!
//! ```text
//! 25  soonest expiry 8 | listpack of field, value, expiry (0: none)                   since version 12
//! 24  soonest expiry 8 | fields | (expiry - soonest + 1, or 0 | field | value) ...    since version 12
//! 16  listpack, since version 10    4  fields | (field | value) ...
//! 13  ziplist    9  zipmap
//! ```

use std::io::{Read, Write};

use crate::ds::listpack::{Item, Listpack};
use crate::value::hash::{EXPIRE_AT_MAX, Hash};
use crate::value::{Limits, Typed};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;
use super::{ziplist, zipmap};

/// How a hash is written in a file of `version`. A version that knows no expiry of fields gets them without.
pub fn kind(hash: &Hash, version: u16) -> Type {
    let expires = hash.soonest().is_some() && version >= Type::HashMetadata.since();
    match hash.listpack() {
        Some((_, 3)) if version >= Type::HashListpackEx.since() => Type::HashListpackEx,
        Some((_, 2)) if version >= Type::HashListpack.since() => Type::HashListpack,
        _ if expires => Type::HashMetadata,
        _ => Type::Hash,
    }
}

/// Writes a hash as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, hash: &Hash, kind: Type) {
    let soonest = hash.soonest().unwrap_or(0);
    match (kind, hash.listpack()) {
        (Type::HashListpackEx, Some((pack, _))) => {
            encoder.millis(soonest);
            encoder.string(pack.as_bytes());
        }
        (Type::HashListpack, Some((pack, _))) => encoder.string(pack.as_bytes()),
        _ => {
            let keeps_expiries = kind == Type::HashMetadata;
            if keeps_expiries {
                encoder.millis(soonest);
            }
            encoder.length(hash.len() as u64);
            for field in hash.fields() {
                if keeps_expiries {
                    encoder.length(field.expire_at.map_or(0, |at| (at - soonest + 1) as u64));
                }
                encoder.item(field.name);
                encoder.item(field.value);
            }
        }
    }
}

/// Reads a hash that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<Hash, Refused> {
    let mut hash = Hash::empty();
    match kind {
        Type::Hash => load_fields(decoder, &mut hash, false, limits)?,
        Type::HashMetadata => load_fields(decoder, &mut hash, true, limits)?,
        Type::HashListpack => load_packed(decoder, &mut hash, limits)?,
        Type::HashListpackEx => {
            decoder.millis()?;
            load_expiring(decoder, &mut hash, limits)?;
        }
        Type::HashZiplist => load_ziplist(decoder, &mut hash, limits)?,
        _ => load_zipmap(decoder, &mut hash, limits)?,
    }
    decoder.not_empty(hash)
}

const TWICE: &str = "a field that is there twice";

fn load_fields<R: Read>(
    decoder: &mut Decoder<R>,
    hash: &mut Hash,
    with_expiries: bool,
    limits: &Limits,
) -> Result<(), Refused> {
    let soonest = if with_expiries { decoder.millis()? } else { 0 };
    let count = decoder.count()?;
    hash.expect(count, limits);
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let offset = if with_expiries { decoder.length()? } else { 0 };
        name.clear();
        value.clear();
        decoder.string_into(&mut name)?;
        decoder.string_into(&mut value)?;
        add(decoder, hash, &name, &value, limits)?;
        if offset > 0 {
            let at = i64::try_from(offset - 1)
                .ok()
                .and_then(|offset| soonest.checked_add(offset));
            expire(decoder, hash, &name, at)?;
        }
    }
    Ok(())
}

fn add<R: Read>(
    decoder: &Decoder<R>,
    hash: &mut Hash,
    name: &[u8],
    value: &[u8],
    limits: &Limits,
) -> Result<(), Refused> {
    if hash.set(name, value, limits).was_visible(i64::MIN) {
        return decoder.damaged(TWICE);
    }
    Ok(())
}

fn expire<R: Read>(
    decoder: &Decoder<R>,
    hash: &mut Hash,
    name: &[u8],
    at: Option<i64>,
) -> Result<(), Refused> {
    match at.filter(|at| (1..=EXPIRE_AT_MAX).contains(at)) {
        Some(at) => {
            hash.set_expiry(name, Some(at));
            Ok(())
        }
        None => decoder.damaged("an expiry of a field that is out of range"),
    }
}

/// The listpack that comes next, of groups of `step` entries.
fn listpack<R: Read>(decoder: &mut Decoder<R>, step: usize) -> Result<Listpack, Refused> {
    let bytes = decoder.string()?;
    match Listpack::from_bytes(bytes) {
        Ok(pack) if pack.len().is_multiple_of(step) => Ok(pack),
        _ => decoder.damaged("a damaged listpack"),
    }
}

fn load_packed<R: Read>(decoder: &mut Decoder<R>, hash: &mut Hash, limits: &Limits) -> Result<(), Refused> {
    let pack = listpack(decoder, 2)?;
    if !decoder.all_distinct(pack.iter().step_by(2)) {
        return decoder.damaged(TWICE);
    }
    *hash = Hash::from_listpack(pack, limits);
    Ok(())
}

fn load_expiring<R: Read>(decoder: &mut Decoder<R>, hash: &mut Hash, limits: &Limits) -> Result<(), Refused> {
    let pack = listpack(decoder, 3)?;
    let items: Vec<Item<'_>> = pack.iter().collect();
    for triple in items.chunks_exact(3) {
        let name = triple[0].to_vec();
        add(decoder, hash, &name, &triple[1].to_vec(), limits)?;
        match triple[2].int() {
            Some(0) => {}
            at => expire(decoder, hash, &name, at)?,
        }
    }
    Ok(())
}

fn load_ziplist<R: Read>(decoder: &mut Decoder<R>, hash: &mut Hash, limits: &Limits) -> Result<(), Refused> {
    let bytes = decoder.string()?;
    let mut items = Vec::new();
    decoder.sound(ziplist::read(&bytes, |item| items.push(item.to_vec())))?;
    if !items.len().is_multiple_of(2) {
        return decoder.damaged("a field without value");
    }
    for pair in items.chunks_exact(2) {
        add(decoder, hash, &pair[0], &pair[1], limits)?;
    }
    Ok(())
}

fn load_zipmap<R: Read>(decoder: &mut Decoder<R>, hash: &mut Hash, limits: &Limits) -> Result<(), Refused> {
    let bytes = decoder.string()?;
    let mut twice = false;
    let read = zipmap::read(&bytes, |name, value| {
        twice |= hash.set(name, value, limits).was_visible(i64::MIN);
    });
    decoder.sound(read)?;
    if twice {
        return decoder.damaged(TWICE);
    }
    Ok(())
}
