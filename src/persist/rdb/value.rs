//! Values as the format holds them: which type writes which value, and what every type becomes.

use std::io::{Read, Write};

use crate::keyspace::entry::{Entry, NewValue, View};
use crate::value::{Limits, Typed, Value};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;
use super::{hash, list, module, set, stream, zset};

/// The oldest type that holds the value of `entry`, not newer than `version` where there is a choice.
pub fn type_of(entry: &Entry, version: u16) -> Type {
    match entry.view() {
        View::Int(_) | View::Inline(_) => Type::String,
        View::Value(value) => match value {
            Value::String(_) => Type::String,
            Value::Hash(hash) => hash::kind(hash, version),
            Value::List(_) => list::kind(version),
            Value::Set(set) => set::kind(set, version),
            Value::Stream(_) => stream::kind(version),
            Value::Zset(zset) => zset::kind(zset, version),
        },
    }
}

/// Writes the value of `entry` as `kind`, which [`type_of`] has chosen.
pub fn save<W: Write>(encoder: &mut Encoder<W>, entry: &Entry, kind: Type) {
    match entry.view() {
        View::Int(n) => encoder.int_string(n),
        View::Inline(bytes) => encoder.string(bytes),
        View::Value(value) => match value {
            Value::String(bytes) => encoder.string(bytes),
            Value::Hash(hash) => hash::save(encoder, hash, kind),
            Value::List(list) => list::save(encoder, list, kind),
            Value::Set(set) => set::save(encoder, set, kind),
            Value::Stream(stream) => stream::save(encoder, stream, kind),
            Value::Zset(zset) => zset::save(encoder, zset, kind),
        },
    }
}

/// Reads a value of type `kind`. A string that fits goes into `text`, which the caller keeps for the next.
///
/// # Errors
/// [`Refused`]: what is wrong with it, and where.
pub fn load<'a, R: Read>(
    decoder: &mut Decoder<R>,
    kind: Type,
    limits: &Limits,
    text: &'a mut Vec<u8>,
) -> Result<NewValue<'a>, Refused> {
    match kind {
        Type::String => {
            text.clear();
            decoder.string_into(text)?;
            Ok(crate::value::string::encode(text).into())
        }
        Type::List | Type::ListZiplist | Type::ListQuicklist | Type::ListQuicklist2 => {
            Ok(whole(list::load(decoder, kind, limits)?))
        }
        Type::Hash
        | Type::HashZipmap
        | Type::HashZiplist
        | Type::HashListpack
        | Type::HashMetadata
        | Type::HashListpackEx => Ok(whole(hash::load(decoder, kind, limits)?)),
        Type::Set | Type::SetIntset | Type::SetListpack => Ok(whole(set::load(decoder, kind, limits)?)),
        Type::StreamListpacks | Type::StreamListpacks2 | Type::StreamListpacks3 => {
            Ok(whole(stream::load(decoder, kind)?))
        }
        Type::Zset | Type::Zset2 | Type::ZsetZiplist | Type::ZsetListpack => {
            Ok(whole(zset::load(decoder, kind, limits)?))
        }
        Type::Module2 | Type::ModulePreGa => {
            let module = module::name(decoder.length()?);
            decoder.damaged(format!(
                "The RDB file contains module data I can't load: no matching module type '{module}'"
            ))
        }
        Type::HashMetadataPreGa | Type::HashListpackExPreGa => {
            decoder.damaged("a hash with expiring fields in the form of a Redis 7.4 release candidate")
        }
    }
}

fn whole(value: impl Typed) -> NewValue<'static> {
    NewValue::Value(value.into_value())
}
