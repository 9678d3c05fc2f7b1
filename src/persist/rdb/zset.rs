//! Sorted sets: the bytes of a listpack, or members with scores.
//!
//! ```text
//! 17  listpack, since version 10     5  members | member, score as 8 bytes ...   highest score first
//! 12  ziplist                        3  members | member, score as text ...
//! ```

use std::io::{Read, Write};

use crate::ds::listpack::Listpack;
use crate::value::Limits;
use crate::value::zset::{Direction, Tally, Zset, with_text};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;
use super::ziplist;

/// How a sorted set is written in a file of `version`.
pub fn kind(zset: &Zset, version: u16) -> Type {
    if zset.as_listpack().is_some() && version >= Type::ZsetListpack.since() {
        Type::ZsetListpack
    } else {
        Type::Zset2
    }
}

/// Writes a sorted set as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, zset: &Zset, kind: Type) {
    if let (Some(listpack), Type::ZsetListpack) = (zset.as_listpack(), kind) {
        return encoder.string(listpack.as_bytes());
    }
    encoder.length(zset.len() as u64);
    for (member, score) in zset.walk(0..usize::MAX, Direction::Down) {
        encoder.item(member);
        encoder.double(score);
    }
}

/// Reads a sorted set that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<Zset, Refused> {
    let zset = match kind {
        Type::ZsetListpack => {
            let bytes = decoder.string()?;
            decoder.looks_deep();
            match Listpack::from_bytes(bytes) {
                Ok(listpack) => packed(decoder, listpack, limits)?,
                Err(_) => return decoder.damaged("Zset listpack integrity check failed"),
            }
        }
        Type::ZsetZiplist => {
            let bytes = decoder.string()?;
            decoder.looks_deep();
            let mut listpack = Listpack::new();
            let read = ziplist::read(&bytes, |item| listpack.push_back_item(item));
            decoder.sound("Zset ziplist", read)?;
            packed(decoder, listpack, limits)?
        }
        _ => load_members(decoder, kind, limits)?,
    };
    decoder.not_empty(zset)
}

fn packed<R: Read>(decoder: &Decoder<R>, listpack: Listpack, limits: &Limits) -> Result<Zset, Refused> {
    let Ok(zset) = Zset::from_listpack(listpack) else {
        return decoder.damaged("Zset listpack integrity check failed: not in order, or a member twice");
    };
    if zset.len() <= limits.zset_max_listpack_entries {
        return Ok(zset);
    }
    let mut tally = Tally::new(limits.hasher);
    for (member, score) in zset.iter() {
        with_text(member, |text| tally.change(text, |_| score));
    }
    Ok(Zset::from_tally(tally, limits))
}

fn load_members<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<Zset, Refused> {
    let (mut tally, mut text) = (Tally::new(limits.hasher), Vec::new());
    for before in 0..decoder.count()? {
        text.clear();
        decoder.string_into(&mut text)?;
        let score = match kind {
            Type::Zset => decoder.double_text()?,
            _ => decoder.double()?,
        };
        if score.is_nan() {
            return decoder.damaged("a score that is no number");
        }
        tally.change(&text, |_| score);
        if tally.len() == before {
            return decoder.damaged("a member that is there twice");
        }
    }
    Ok(Zset::from_tally(tally, limits))
}
