//! DEBUG DIGEST and DIGEST-VALUE: signatures that are equal exactly when the data is.
//!
//! ```text
//! xor(d, x) = d ^ SHA1(x)               order does not matter
//! mix(d, x) = SHA1(d ^ SHA1(x))         order matters
//!
//! value   = mix(type), then by type, and xor("!!expire!!") if the key expires
//!   string  mix(bytes)                   list    mix(element) for each
//!   set     xor(member) for each         hash    xor(mix(field), mix(value)) for each
//!   zset    xor(mix(member), mix(score)) for each, scores with 17 digits
//!   stream  mix(<ms>.<seq>), then mix(name), mix(value) for each field, for each entry
//! all     = per database: mix(number), then for each key: xor(mix(key) continued with value)
//! ```
//!
//! Compat: the same data gives the same signature as Redis; encodings and the time of expiry play no part.
//! Limits: numbers are mixed in as 32 bits, most significant byte first.

use sha1::{Digest as _, Sha1};

use crate::base::float;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::keyspace::entry::{Entry, View};
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::{self, Set};
use crate::value::stream::Stream;
use crate::value::stream::id::StreamId;
use crate::value::stream::range::Direction;
use crate::value::string::{IntText, StringRef};
use crate::value::zset::{self, Zset};
use crate::value::{Kind, Typed, Value};

/// A signature in the making.
#[derive(Default, PartialEq, Eq, Debug)]
struct Signature([u8; 20]);

impl Signature {
    fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::digest(bytes);
        self.0.iter_mut().zip(hash).for_each(|(own, byte)| *own ^= byte);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// An element of an unordered collection that consists of several parts: a field and its value.
    fn xor_parts(&mut self, parts: &[&[u8]]) {
        let mut one = Signature::default();
        parts.iter().for_each(|part| one.mix(part));
        self.xor(&one.0);
    }

    fn mix_value(&mut self, entry: &Entry) {
        match entry.view() {
            View::Int(n) => self.mix_string(StringRef::Int(n).text(&mut IntText::default())),
            View::Inline(bytes) => self.mix_string(bytes),
            View::Value(value) => self.mix_held(value),
        }
        if entry.expire_at().is_some() {
            self.xor(b"!!expire!!");
        }
    }

    /// One line and one function for each type.
    fn mix_held(&mut self, value: &Value) {
        match value {
            Value::String(bytes) => self.mix_string(bytes),
            Value::Set(set) => self.mix_set(set),
            Value::List(list) => self.mix_list(list),
            Value::Hash(hash) => self.mix_hash(hash),
            Value::Stream(stream) => self.mix_stream(stream),
            Value::Zset(zset) => self.mix_zset(zset),
        }
    }

    fn mix_list(&mut self, list: &List) {
        self.mix_type(Kind::List);
        let mut text = Vec::new();
        list.for_each(|item| {
            text.clear();
            item.write_to(&mut text);
            self.mix(&text);
        });
    }

    fn mix_zset(&mut self, zset: &Zset) {
        self.mix_type(Kind::Zset);
        let mut text = Vec::new();
        for (member, score) in zset.iter() {
            text.clear();
            float::seventeen_digits(score, &mut text);
            zset::with_text(member, |member| self.xor_parts(&[member, &text]));
        }
    }

    fn mix_type(&mut self, kind: Kind) {
        let number: u32 = match kind {
            Kind::String => 0,
            Kind::List => 1,
            Kind::Set => 2,
            Kind::Zset => 3,
            Kind::Hash => 4,
            Kind::Stream => 6,
        };
        self.mix(&number.to_be_bytes());
    }

    fn mix_string(&mut self, bytes: &[u8]) {
        self.mix_type(Kind::String);
        self.mix(bytes);
    }

    fn mix_set(&mut self, set: &Set) {
        self.mix_type(Kind::Set);
        set.iter()
            .for_each(|member| set::with_text(member, |text| self.xor(text)));
    }

    fn mix_stream(&mut self, stream: &Stream) {
        self.mix_type(Kind::Stream);
        let entries = stream.log.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
        for entry in entries {
            self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (name, value) in entry.fields() {
                self.mix(&name.to_vec());
                self.mix(&value.to_vec());
            }
        }
    }
}

impl Signature {
    /// Compat: that some fields expire plays a part, which and when does not.
    fn mix_hash(&mut self, hash: &Hash) {
        self.mix_type(Kind::Hash);
        for field in hash.fields() {
            self.xor_parts(&[&field.name.to_vec(), &field.value.to_vec()]);
        }
        if hash.soonest().is_some() {
            self.xor(b"!!hexpire!!");
        }
    }
}

pub(super) fn digest(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let mut all = Signature::default();
    for index in 0..cx.keys.db_count() {
        let db = cx.keys.db(index);
        if db.is_empty() {
            continue;
        }
        all.mix(&(index as u32).to_be_bytes());
        for entry in db.dict().iter() {
            let mut one = Signature::default();
            one.mix(entry.key());
            one.mix_value(entry);
            all.xor(&one.0);
        }
    }
    cx.reply.simple(&all.text());
    Ok(DONE)
}

pub(super) fn digest_value(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    cx.reply.array(args.len() - 2);
    for index in 2..args.len() {
        let mut one = Signature::default();
        if let Some(entry) = cx.keys.stored(args.key(index)) {
            one.mix_value(entry);
        }
        cx.reply.simple(&one.text());
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::entry::NewValue;

    fn value(new: NewValue<'_>, expire_at: Option<i64>) -> String {
        let mut signature = Signature::default();
        signature.mix_value(&Entry::new(b"k", new, expire_at, 0));
        signature.text()
    }

    #[test]
    fn signatures_are_those_of_the_reference() {
        assert_eq!(
            value(NewValue::Int(1), None),
            "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da"
        );
        assert_eq!(
            value(NewValue::Bytes(b"hello"), None),
            "36b23a1456b2dce2c3ed252c456761301dba8060"
        );
        assert_eq!(Signature::default().text(), "0".repeat(40));
    }

    #[test]
    fn encodings_and_times_play_no_part_but_expiry_does() {
        let text = || NewValue::Value(Value::String(b"12".to_vec()));
        assert_eq!(value(NewValue::Int(12), None), value(text(), None));
        assert_eq!(value(NewValue::Int(12), Some(5)), value(text(), Some(9)));
        assert_ne!(value(NewValue::Int(12), Some(5)), value(text(), None));
    }
}
