//! Hashes: the bytes of a listpack, or the fields, with their expiries where there are any.
//!
//! ```text
//! 16  listpack, since version 10      4  fields | (field value) ...      13  ziplist    9  zipmap
//! 25  soonest expiry ms 8 | listpack of field, value, expiry             since version 12
//! 24  soonest expiry ms 8 | fields | (ttl field value) ...               since version 12
//!     ttl: 0 for none, else 1 + milliseconds after the soonest
//! ```
//!
//! Fields that are due are written and read like others: whoever holds the hash removes them.

use std::io::{Read, Write};

use crate::ds::listpack::{Listpack, all_distinct};
use crate::value::hash::{EXPIRE_AT_MAX, Field, Hash, Previous};
use crate::value::{Limits, Typed};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;
use super::{ziplist, zipmap};

/// How a hash is written in a file of `version`. Versions before expiries lose them.
pub fn kind(hash: &Hash, version: u16) -> Type {
    let wanted = match (hash.listpack(), hash.soonest()) {
        (Some((_, 2)), _) => Type::HashListpack,
        (Some(_), _) => Type::HashListpackEx,
        (None, Some(_)) => Type::HashMetadata,
        (None, None) => Type::Hash,
    };
    if version >= wanted.since() {
        wanted
    } else {
        Type::Hash
    }
}

/// Writes a hash as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, hash: &Hash, kind: Type) {
    // A table's soonest expiry may be too early, which the differences would then show.
    let soonest = hash.fields().filter_map(|field| field.expire_at).min();
    if matches!(kind, Type::HashListpackEx | Type::HashMetadata) {
        encoder.millis(soonest.unwrap_or(0));
    }
    match hash.listpack() {
        Some((pack, _)) if kind != Type::Hash => return encoder.string(pack.as_bytes()),
        _ => encoder.length(hash.len() as u64),
    }
    for Field {
        name,
        value,
        expire_at,
    } in hash.fields()
    {
        if kind == Type::HashMetadata {
            let ttl = expire_at
                .zip(soonest)
                .map_or(0, |(at_ms, soonest)| 1 + at_ms - soonest);
            encoder.length(ttl as u64);
        }
        encoder.item(name);
        encoder.item(value);
    }
}

/// Reads a hash that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<Hash, Refused> {
    let hash = match kind {
        Type::HashListpack => load_packed(decoder, 2, limits)?,
        Type::HashListpackEx => {
            decoder.millis()?;
            load_packed(decoder, 3, limits)?
        }
        Type::HashMetadata => load_expiring(decoder, limits)?,
        Type::HashZiplist => load_ziplist(decoder, limits)?,
        Type::HashZipmap => load_zipmap(decoder, limits)?,
        _ => load_fields(decoder, limits)?,
    };
    decoder.not_empty(hash)
}

/// Adds a field that must be new.
fn add<R: Read>(
    decoder: &Decoder<R>,
    hash: &mut Hash,
    name: &[u8],
    value: &[u8],
    limits: &Limits,
) -> Result<(), Refused> {
    if hash.set(name, value, limits) != Previous::Missing {
        return decoder.damaged("a field that is there twice");
    }
    Ok(())
}

fn load_fields<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Hash, Refused> {
    let count = decoder.count()?;
    let mut hash = Hash::empty();
    hash.expect(count, limits);
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count {
        load_field(decoder, &mut name, &mut value)?;
        add(decoder, &mut hash, &name, &value, limits)?;
    }
    Ok(hash)
}

fn load_field<R: Read>(
    decoder: &mut Decoder<R>,
    name: &mut Vec<u8>,
    value: &mut Vec<u8>,
) -> Result<(), Refused> {
    name.clear();
    value.clear();
    decoder.string_into(name)?;
    decoder.string_into(value)
}

fn load_expiring<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Hash, Refused> {
    let soonest = decoder.millis()?;
    let count = decoder.count()?;
    let mut hash = Hash::empty();
    hash.expect(count, limits);
    let (mut name, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let ttl = decoder.length()?;
        load_field(decoder, &mut name, &mut value)?;
        add(decoder, &mut hash, &name, &value, limits)?;
        if ttl > 0 {
            let at_ms = i64::try_from(ttl - 1)
                .ok()
                .and_then(|ttl| soonest.checked_add(ttl));
            match at_ms {
                Some(at_ms @ 1..=EXPIRE_AT_MAX) => hash.set_expiry(&name, Some(at_ms)),
                _ => return decoder.damaged("a field that expires at an impossible time"),
            };
        }
    }
    Ok(hash)
}

fn load_packed<R: Read>(decoder: &mut Decoder<R>, width: usize, limits: &Limits) -> Result<Hash, Refused> {
    let bytes = decoder.string()?;
    decoder.looks_deep();
    let Ok(pack) = Listpack::from_bytes(bytes) else {
        return decoder.damaged("Hash listpack integrity check failed");
    };
    if !all_distinct(pack.iter().step_by(width)) {
        return decoder.damaged("Hash listpack with dup elements");
    }
    match Hash::from_listpack(pack, width) {
        Ok(hash) => Ok(hash.suited(limits)),
        Err(_) => decoder.damaged("Hash listpack integrity check failed"),
    }
}

fn load_ziplist<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Hash, Refused> {
    let bytes = decoder.string()?;
    decoder.looks_deep();
    let mut items = Vec::new();
    let read = ziplist::read(&bytes, |item| items.push(item.to_vec()));
    decoder.sound("Hash ziplist", read)?;
    if items.len() % 2 != 0 {
        return decoder.damaged("a field without a value");
    }
    let mut hash = Hash::empty();
    for pair in items.chunks_exact(2) {
        if hash.set(&pair[0], &pair[1], limits) != Previous::Missing {
            return decoder.damaged("Hash ziplist integrity check failed: a field that is there twice");
        }
    }
    Ok(hash)
}

fn load_zipmap<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Hash, Refused> {
    let bytes = decoder.string()?;
    decoder.looks_deep();
    let mut pairs = Vec::new();
    let read = zipmap::read(&bytes, |name, value| pairs.push((name, value)));
    decoder.sound("Zipmap", read)?;
    let mut hash = Hash::empty();
    for (name, value) in pairs {
        add(decoder, &mut hash, name, value, limits)?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;

    fn limits(entries: usize) -> Limits {
        Limits {
            hash_max_listpack_entries: entries,
            ..Limits::new(KeyHasher::with_seed(1))
        }
    }

    fn hash(fields: usize, expiring: usize, limits: &Limits) -> Hash {
        let mut hash = Hash::empty();
        for i in 0..fields {
            let name = format!("field:{i}");
            hash.set(name.as_bytes(), i.to_string().as_bytes(), limits);
            if i < expiring {
                hash.set_expiry(name.as_bytes(), Some(1_000 - i as i64));
            }
        }
        hash
    }

    fn saved(hash: &Hash, kind: Type) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), false, false);
        save(&mut encoder, hash, kind);
        encoder.into_inner()
    }

    fn read(bytes: &[u8], kind: Type, limits: &Limits) -> Result<Hash, Refused> {
        load(&mut Decoder::new(bytes, bytes.len() as u64, false), kind, limits)
    }

    fn contents(hash: &Hash) -> Vec<(Vec<u8>, Vec<u8>, Option<i64>)> {
        let mut all: Vec<_> = hash
            .fields()
            .map(|f| (f.name.to_vec(), f.value.to_vec(), f.expire_at))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn every_kind_reads_back_under_any_limits() {
        for (entries, fields, expiring, expected) in [
            (128, 5, 0, Type::HashListpack),
            (128, 5, 3, Type::HashListpackEx),
            (0, 5, 0, Type::Hash),
            (0, 5, 3, Type::HashMetadata),
            (0, 500, 0, Type::Hash),
            (0, 500, 300, Type::HashMetadata),
        ] {
            let hash = hash(fields, expiring, &limits(entries));
            assert_eq!(kind(&hash, 12), expected);
            let bytes = saved(&hash, expected);
            for entries in [0, 128] {
                let back = read(&bytes, expected, &limits(entries)).expect("just written");
                assert_eq!(contents(&back), contents(&hash));
                assert_eq!(back.encoding() == "hashtable", entries < fields);
            }
            for end in (0..bytes.len()).take(60) {
                assert!(
                    read(&bytes[..end], expected, &limits(128)).is_err(),
                    "cut at {end}"
                );
            }
        }
    }

    #[test]
    fn a_hash_without_expiries_left_is_a_listpackex_still() {
        let limits = limits(128);
        let mut hash = hash(2, 1, &limits);
        hash.set_expiry(b"field:0", None);
        let bytes = saved(&hash, kind(&hash, 12));
        assert_eq!(bytes[..8], [0; 8]);
        let back = read(&bytes, Type::HashListpackEx, &limits).expect("just written");
        assert_eq!((back.encoding(), back.soonest()), ("listpackex", None));
    }

    #[test]
    fn versions_before_expiries_write_plain_fields() {
        let hash = hash(3, 2, &limits(128));
        assert_eq!(kind(&hash, 11), Type::Hash);
        let bytes = saved(&hash, Type::Hash);
        let back = read(&bytes, Type::Hash, &limits(128)).expect("just written");
        assert_eq!((back.len(), back.soonest()), (3, None));
    }

    #[test]
    fn what_no_server_writes_is_refused() {
        let limits = limits(128);
        let pack = |items: &[&[u8]]| {
            let mut pack = Listpack::new();
            items.iter().for_each(|item| pack.push_back(item));
            let mut encoder = Encoder::new(Vec::new(), false, false);
            encoder.string(pack.as_bytes());
            encoder.into_inner()
        };
        let expiring = |items: &[&[u8]]| [vec![0; 8], pack(items)].concat();
        for items in [&[&b"a"[..], b"1", b"a", b"2"][..], &[b"a", b"1", b"b"], &[]] {
            assert!(
                read(&pack(items), Type::HashListpack, &limits).is_err(),
                "{items:?}"
            );
        }
        for items in [
            &[&b"a"[..], b"1", b"5", b"b", b"1", b"4"][..],
            &[b"a", b"1", b"0", b"b", b"1", b"4"],
            &[b"a", b"1", b"-5"],
            &[b"a", b"1", b"x"],
            &[b"a", b"1", b"5", b"b"],
            &[b"a", b"1", b"5", b"a", b"1", b"6"],
            &[b"a", b"1", b"70368744177664"],
        ] {
            assert!(
                read(&expiring(items), Type::HashListpackEx, &limits).is_err(),
                "{items:?}"
            );
        }
        let twice = [&[2, 1, b'a', 1, b'1', 1, b'a', 1, b'1'][..]].concat();
        assert!(read(&twice, Type::Hash, &limits).is_err());
        let never = [&[0xff; 8][..], &[1, 1, 1, b'a', 1, b'1']].concat();
        assert!(read(&never, Type::HashMetadata, &limits).is_err());
    }
}
