//! Values as the format holds them: which type writes which value, and what every type becomes.

use std::io::{Read, Write};

use crate::keyspace::entry::{Entry, NewValue, View};
use crate::value::{Limits, Value};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::module;
use super::opcode::Type;

/// The oldest type that holds the value of `entry`, not newer than `version` where there is a choice.
pub fn type_of(entry: &Entry, _version: u16) -> Type {
    match entry.view() {
        View::Int(_) | View::Inline(_) => Type::String,
        View::Boxed(value) => match value {
            _ => Type::String,
        },
    }
}

/// Writes the value of `entry` as `kind`, which [`type_of`] has chosen.
pub fn save<W: Write>(encoder: &mut Encoder<W>, entry: &Entry, _kind: Type) {
    match entry.view() {
        View::Int(n) => encoder.int_string(n),
        View::Inline(bytes) => encoder.string(bytes),
        View::Boxed(value) => match value {
            Value::String(bytes) => encoder.string(bytes),
            _ => {}
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
    _limits: &Limits,
    text: &'a mut Vec<u8>,
) -> Result<NewValue<'a>, Refused> {
    match kind {
        Type::String => {
            text.clear();
            decoder.string_into(text)?;
            Ok(crate::value::string::encode(text).into())
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
        other => decoder.damaged(format!("values of type {} cannot be read yet", other as u8)),
    }
}
