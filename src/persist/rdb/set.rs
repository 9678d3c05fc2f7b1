//! Sets: the bytes of an intset or listpack, or the members.
//!
//! ```text
//! 11  intset    20  listpack, since version 11    2  members | member ...
//! ```

use std::io::{Read, Write};

use crate::ds::intset::Intset;
use crate::ds::listpack::{Builder, Listpack, all_distinct};
use crate::value::set::Set;
use crate::value::{Limits, Typed};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;

/// How a set is written in a file of `version`.
pub fn kind(set: &Set, version: u16) -> Type {
    match set {
        Set::Ints(_) => Type::SetIntset,
        Set::Packed(_) if version >= Type::SetListpack.since() => Type::SetListpack,
        Set::Packed(_) | Set::Few(_) | Set::Table(_) => Type::Set,
    }
}

/// Writes a set as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, set: &Set, kind: Type) {
    match set {
        Set::Ints(ints) => encoder.string(ints.as_bytes()),
        Set::Packed(pack) if kind == Type::SetListpack => encoder.string(pack.as_bytes()),
        Set::Packed(_) | Set::Few(_) | Set::Table(_) => {
            encoder.length(set.len() as u64);
            set.iter().for_each(|member| encoder.item(member));
        }
    }
}

/// Reads a set that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<Set, Refused> {
    let set = match kind {
        Type::SetIntset => load_ints(decoder, limits)?,
        Type::SetListpack => load_packed(decoder, limits)?,
        _ => load_members(decoder, limits)?,
    };
    decoder.not_empty(set)
}

fn load_members<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Set, Refused> {
    let count = decoder.count()?;
    let (mut set, mut builder, mut text) = (Set::empty(), Some(Builder::default()), Vec::new());
    for index in 0..count {
        text.clear();
        decoder.string_into(&mut text)?;
        if index == 0 {
            set = Set::suited(&text, count, limits);
            builder = builder.filter(|_| matches!(set, Set::Packed(_)));
        }
        let short = text.len() <= limits.set_max_listpack_value;
        match &mut builder {
            Some(builder) if short && builder.fits(text.len()) => builder.push(&text),
            builder => {
                settle(&mut set, builder.take());
                set.append(&text, limits);
            }
        }
    }
    settle(&mut set, builder);
    // What was given to the set is counted by it; only what the builder gathered may hold a member twice.
    let counted = set.len() == count;
    let distinct = counted && !matches!(&set, Set::Packed(pack) if !all_distinct(pack.iter()));
    if !distinct {
        return decoder.damaged("a member that is there twice");
    }
    Ok(set)
}

/// Makes `set` what `builder` has gathered.
fn settle(set: &mut Set, builder: Option<Builder>) {
    if let Some(builder) = builder.filter(|builder| !builder.is_empty()) {
        *set = Set::Packed(builder.finish());
    }
}

fn load_ints<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Set, Refused> {
    let bytes = decoder.string()?;
    decoder.looks_deep();
    let ints = Intset::from_bytes(bytes).ok();
    // No server has written an empty one.
    let Some(ints) = ints.filter(|ints| !ints.is_empty()) else {
        return decoder.damaged("Intset integrity check failed");
    };
    if ints.len() <= limits.set_max_intset_entries {
        return Ok(Set::Ints(ints));
    }
    let set = Set::Ints(ints);
    Ok(rebuilt(&set, limits))
}

fn load_packed<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<Set, Refused> {
    let bytes = decoder.string()?;
    let Ok(pack) = Listpack::from_bytes(bytes) else {
        return decoder.damaged("Set listpack integrity check failed");
    };
    decoder.looks_deep();
    // Not only for those who ask for it: in another encoding, which needs them distinct, such a set would be written to a
    // snapshot that cannot be read again.
    if !all_distinct(pack.iter()) {
        return decoder.damaged("Set listpack with dup elements");
    }
    let count = pack.len();
    let set = Set::Packed(pack);
    if count <= limits.set_max_listpack_entries {
        return Ok(set);
    }
    Ok(rebuilt(&set, limits))
}

/// The same members in the encoding that suits their number.
fn rebuilt(set: &Set, limits: &Limits) -> Set {
    let mut other = Set::suited(b"", set.len(), limits);
    set.iter().for_each(|member| {
        other.insert_member(member, limits);
    });
    other
}
