//! What older servers have written, byte by byte, and whole files.

use std::fmt::Write as _;

use super::decode::{Decoder, Refused, Scrutiny};
use super::file::{Reader, Record, Usage};
use super::opcode::Type;
use super::value;
use crate::base::hash::KeyHasher;
use crate::ds::listpack::Listpack;
use crate::keyspace::entry::{Entry, NewValue, View};
use crate::value::{Limits, Value};

fn limits() -> Limits {
    Limits::new(KeyHasher::with_seed(1))
}

/// Encoding and elements of a value, sorted where they have no order.
fn shown(value: NewValue<'_>) -> String {
    let entry = Entry::new(b"k", value, None, 0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut words: Vec<String> = match entry.view() {
        View::Int(n) => vec![n.to_string()],
        View::Inline(bytes) => vec![text(bytes)],
        View::Value(Value::String(bytes)) => vec![text(bytes)],
        View::Value(Value::List(list)) => {
            let mut words = Vec::new();
            list.for_each(|item| words.push(text(&item.to_vec())));
            words
        }
        View::Value(Value::Set(set)) => set.iter().map(|member| text(&member.to_vec())).collect(),
        View::Value(Value::Hash(hash)) => hash
            .fields()
            .map(|field| {
                let mut word = format!("{}={}", text(&field.name.to_vec()), text(&field.value.to_vec()));
                if let Some(at) = field.expire_at {
                    let _ = write!(word, "@{at}");
                }
                word
            })
            .collect(),
        View::Value(Value::Zset(zset)) => zset
            .iter()
            .map(|(member, score)| format!("{}:{score}", text(&member.to_vec())))
            .collect(),
        View::Value(Value::Stream(stream)) => vec![stream.log.len().to_string()],
    };
    if matches!(entry.view(), View::Value(Value::Set(_) | Value::Hash(_))) {
        words.sort();
    }
    format!("{} {}", entry.encoding(), words.join(" "))
}

fn load(kind: Type, bytes: &[u8]) -> Result<String, Refused> {
    let mut decoder = Decoder::with_scrutiny(bytes, bytes.len() as u64, Scrutiny::FULL);
    let mut text = Vec::new();
    let value = value::load(&mut decoder, kind, &limits(), &mut text)?;
    match decoder.left() {
        0 => Ok(shown(value)),
        _ => decoder.damaged("more bytes than the value has"),
    }
}

/// A string as the format has it.
fn string(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 64, "a length of one byte");
    [&[bytes.len() as u8], bytes].concat()
}

fn listpack(items: &[&str]) -> Vec<u8> {
    let mut pack = Listpack::new();
    items.iter().for_each(|item| pack.push_back(item.as_bytes()));
    string(pack.as_bytes())
}

/// A ziplist of short strings.
fn ziplist(items: &[&str]) -> Vec<u8> {
    let (mut body, mut before, mut tail) = (Vec::new(), 0, 10);
    for item in items {
        tail = 10 + body.len() as u32;
        body.extend_from_slice(&[before, item.len() as u8]);
        body.extend_from_slice(item.as_bytes());
        before = item.len() as u8 + 2;
    }
    let total = 10 + body.len() as u32 + 1;
    let head = [total.to_le_bytes(), tail.to_le_bytes()].concat();
    let count = (items.len() as u16).to_le_bytes();
    string(&[&head[..], &count, &body, &[0xff]].concat())
}

const EXPIRY: [u8; 8] = 5_000i64.to_le_bytes();

/// Every type with a value, and what that is.
fn samples() -> Vec<(Type, Vec<u8>, &'static str)> {
    vec![
        (Type::String, b"\x05hello".to_vec(), "embstr hello"),
        (Type::String, b"\xc1\x39\x30".to_vec(), "int 12345"),
        (
            Type::String,
            b"\xc3\x05\x0a\x00a\xe0\x00\x00".to_vec(),
            "embstr aaaaaaaaaa",
        ),
        (Type::List, b"\x03\x01a\xc0\x05\x01b".to_vec(), "listpack a 5 b"),
        (Type::Set, b"\x02\x01b\x01a".to_vec(), "listpack a b"),
        (Type::Set, b"\x02\xc0\x02\xc0\x01".to_vec(), "intset 1 2"),
        (
            Type::Zset,
            b"\x03\x01a\x031.5\x01b\xfe\x01c\xff".to_vec(),
            "listpack c:-inf a:1.5 b:inf",
        ),
        (Type::Hash, b"\x01\x01f\x01v".to_vec(), "listpack f=v"),
        (
            Type::Zset2,
            [&b"\x01\x01a"[..], &1.5f64.to_le_bytes()].concat(),
            "listpack a:1.5",
        ),
        (
            Type::HashZipmap,
            string(b"\x02\x01a\x01\x001\x02bb\x02\x0122_\xff"),
            "listpack a=1 bb=22",
        ),
        (Type::ListZiplist, ziplist(&["a", "b"]), "listpack a b"),
        (
            Type::SetIntset,
            string(b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0"),
            "intset 1 2",
        ),
        (
            Type::ZsetZiplist,
            ziplist(&["a", "1", "b", "2.5"]),
            "listpack a:1 b:2.5",
        ),
        (
            Type::HashZiplist,
            ziplist(&["f", "v", "g", "w"]),
            "listpack f=v g=w",
        ),
        (
            Type::ListQuicklist,
            [&b"\x02"[..], &ziplist(&["a"]), &ziplist(&["b", "c"])].concat(),
            "listpack a b c",
        ),
        (Type::HashListpack, listpack(&["f", "v"]), "listpack f=v"),
        (
            Type::ZsetListpack,
            listpack(&["a", "1", "b", "2"]),
            "listpack a:1 b:2",
        ),
        (
            Type::ListQuicklist2,
            [&b"\x01\x02"[..], &listpack(&["a", "7"])].concat(),
            "listpack a 7",
        ),
        (Type::ListQuicklist2, b"\x01\x01\x03big".to_vec(), "quicklist big"),
        (Type::SetListpack, listpack(&["a", "b"]), "listpack a b"),
        (
            Type::HashMetadata,
            [&EXPIRY[..], b"\x02\x01\x01f\x01v\x00\x01g\x01w"].concat(),
            "listpackex f=v@5000 g=w",
        ),
        (
            Type::HashListpackEx,
            [&EXPIRY[..], &listpack(&["f", "v", "5000", "g", "w", "0"])].concat(),
            "listpackex f=v@5000 g=w",
        ),
    ]
}

#[test]
fn every_type_is_read_and_nothing_less_than_all_of_it() {
    for (kind, bytes, expected) in samples() {
        assert_eq!(load(kind, &bytes).expect("sound"), expected, "{kind:?}");
        for end in 0..bytes.len() {
            assert!(load(kind, &bytes[..end]).is_err(), "{kind:?} cut at {end}");
        }
    }
}

#[test]
fn no_damaged_byte_makes_a_value_panic() {
    for (kind, bytes, _) in samples() {
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let _ = load(kind, &damaged);
            }
        }
    }
}

#[test]
fn collections_without_elements_are_told_from_damaged_ones() {
    for (kind, bytes) in [
        (Type::List, vec![0]),
        (Type::Set, vec![0]),
        (Type::Zset, vec![0]),
        (Type::Zset2, vec![0]),
        (Type::Hash, vec![0]),
        (Type::ListZiplist, ziplist(&[])),
        (Type::ZsetZiplist, ziplist(&[])),
        (Type::HashZiplist, ziplist(&[])),
        (Type::ListQuicklist, vec![0]),
        (Type::ListQuicklist, [&b"\x01"[..], &ziplist(&[])].concat()),
        (Type::ListQuicklist2, vec![0]),
        (Type::HashListpack, listpack(&[])),
        (Type::ZsetListpack, listpack(&[])),
        (Type::SetListpack, listpack(&[])),
        (Type::HashMetadata, [&EXPIRY[..], &[0]].concat()),
    ] {
        assert!(
            matches!(load(kind, &bytes), Err(Refused::Empty { .. })),
            "{kind:?}"
        );
    }
    let intset = string(b"\x02\0\0\0\0\0\0\0");
    assert!(matches!(
        load(Type::SetIntset, &intset),
        Err(Refused::Damaged { .. })
    ));
}

#[test]
fn a_small_set_that_holds_a_member_twice_is_refused_without_being_asked_to() {
    for (bytes, is_sound) in [(listpack(&["a", "b", "a"]), false), (listpack(&["a", "b"]), true)] {
        let (mut decoder, mut text) = (Decoder::new(&bytes[..], bytes.len() as u64, false), Vec::new());
        let value = value::load(&mut decoder, Type::SetListpack, &limits(), &mut text);
        assert_eq!(value.is_ok(), is_sound);
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    for (kind, bytes) in [
        (Type::Set, b"\x02\x01a\x01a".to_vec()),
        // Integers first, then something that makes it another encoding.
        (Type::Set, b"\x03\xc0\x05\x015\x01a".to_vec()),
        (Type::Zset, b"\x02\x01a\x011\x01a\x012".to_vec()),
        (Type::Hash, b"\x02\x01f\x01v\x01f\x01w".to_vec()),
        (Type::HashZipmap, string(b"\x02\x01a\x01\x001\x01a\x01\x002\xff")),
        (Type::ZsetZiplist, ziplist(&["a", "1", "a", "2"])),
        (Type::HashZiplist, ziplist(&["f", "v", "f", "w"])),
        (Type::SetListpack, listpack(&["a", "a"])),
        (Type::ZsetListpack, listpack(&["a", "1", "a", "2"])),
        (Type::HashListpack, listpack(&["f", "v", "f", "w"])),
        (Type::SetIntset, string(b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0")),
    ] {
        assert!(
            matches!(load(kind, &bytes), Err(Refused::Damaged { .. })),
            "{kind:?}"
        );
    }
}

#[test]
fn small_encodings_beyond_todays_limits_become_large_ones() {
    let tight = Limits {
        hash_max_listpack_entries: 1,
        set_max_intset_entries: 1,
        set_max_listpack_entries: 1,
        zset_max_listpack_entries: 1,
        ..limits()
    };
    for (kind, bytes, expected) in samples() {
        let (mut decoder, mut text) = (Decoder::new(&bytes[..], bytes.len() as u64, false), Vec::new());
        let value = value::load(&mut decoder, kind, &tight, &mut text).expect("sound");
        let (encoding, elements) = expected.split_once(' ').expect("an encoding");
        let large = match kind {
            Type::Hash | Type::Zset2 => encoding,
            Type::Set | Type::SetIntset | Type::SetListpack => "hashtable",
            Type::Zset | Type::ZsetZiplist | Type::ZsetListpack => "skiplist",
            Type::HashZipmap | Type::HashZiplist | Type::HashMetadata | Type::HashListpackEx => "hashtable",
            _ => encoding,
        };
        let sorted = |text: &str| {
            let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        let found = shown(value);
        let (found_encoding, found) = found.split_once(' ').expect("an encoding");
        assert_eq!(
            (found_encoding, sorted(found)),
            (large, sorted(elements)),
            "{kind:?}"
        );
    }
}

/// The records of a file, a word or two for each.
fn records(bytes: &[u8]) -> Result<Vec<String>, Refused> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut reader = Reader::new(bytes, bytes.len() as u64, Scrutiny::FULL, limits())?;
    let mut all = Vec::new();
    while let Some(record) = reader.next_record()? {
        all.push(match record {
            Record::Aux(name, value) => format!("aux {}={}", text(&name), text(&value)),
            Record::Function(source) => format!("function {}", text(&source)),
            Record::Database(number) => format!("db {number}"),
            Record::Sizes(keys, expiring) => format!("sizes {keys} {expiring}"),
            Record::Empty(key, _) => format!("empty {}", text(key)),
            Record::Entry(loaded) => {
                let usage = match loaded.usage {
                    Usage::Unknown => String::new(),
                    Usage::IdleSeconds(seconds) => format!(" idle {seconds}"),
                    Usage::Frequency(counter) => format!(" freq {counter}"),
                };
                let expiry = loaded
                    .expire_at
                    .map_or(String::new(), |at| format!(" until {at}"));
                format!("{}: {}{expiry}{usage}", text(loaded.key), shown(loaded.value))
            }
        });
    }
    Ok(all)
}

#[test]
fn files_of_every_version_are_read() {
    // The first versions had no checksum, and knew neither facts nor sizes.
    let old = b"REDIS0001\xfe\x00\xfd\x10\x27\0\0\x00\x01k\x01v\xfe\x02\x01\x01l\x01\x01a\xff";
    let keys = ["db 0", "k: embstr v until 10000000", "db 2", "l: listpack a"];
    assert_eq!(records(old).expect("sound"), keys);
    for version in ["0002", "0003", "0004"] {
        let bytes = [b"REDIS", version.as_bytes(), &old[9..]].concat();
        assert_eq!(records(&bytes).expect("sound"), keys, "{version}");
        assert!(records(&bytes[..bytes.len() - 1]).is_err());
    }
    for version in 5..=12 {
        let head = format!("REDIS{version:04}");
        let unsummed = [head.as_bytes(), &old[9..], &[0; 8]].concat();
        assert_eq!(records(&unsummed).expect("sound"), keys, "{version}");
        let mut wrong = unsummed.clone();
        *wrong.last_mut().expect("a checksum") = 1;
        assert!(records(&wrong).is_err(), "{version}");
        assert!(records(&unsummed[..unsummed.len() - 8]).is_err(), "{version}");
    }
    for bad in ["REDIS0000", "REDIS0013", "REDIS00x1", "REDIX0009"] {
        assert!(
            records(&[bad.as_bytes(), &old[9..], &[0; 8]].concat()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn every_mark_is_understood_or_refused_by_name() {
    let file = |body: &[u8]| records(&[b"REDIS0012", body, b"\xff\0\0\0\0\0\0\0\0"].concat());
    let marks = b"\xfa\x09redis-ver\x057.4.1\xf5\x03lib\xfe\x01\xfb\x02\x01\
        \xfc\x10\x27\0\0\0\0\0\0\xf8\x05\x00\x01a\x01v\xf9\x07\x00\x01b\x01w\x02\x04none\x00\x00\x01c\x01x";
    assert_eq!(
        file(marks).expect("sound"),
        [
            "aux redis-ver=7.4.1",
            "function lib",
            "db 1",
            "sizes 2 1",
            "a: embstr v until 10000 idle 5",
            "b: embstr w freq 7",
            "empty none",
            "c: embstr x",
        ]
    );
    let refused = |body: &[u8]| file(body).expect_err("refused").to_string();
    assert!(refused(b"\xf6\x03lib").contains("release candidate"));
    assert!(refused(b"\xf7\x81\x80\x1b\xa0\x02\x30\x08\x20\x00").contains("module"));
    assert!(refused(b"\x07\x01k\x01").contains("no matching module type"));
    assert!(refused(b"\x06\x01k\x01").contains("no matching module type"));
    assert!(refused(b"\x16\x01k\x01").contains("release candidate"));
    assert!(refused(b"\x17\x01k\x01").contains("release candidate"));
    assert!(refused(b"\x08\x01k\x01").ends_with("Invalid object type: 8 at offset 10"));
    assert!(refused(b"\x1a\x01k\x01").contains("Invalid object type: 26"));
}

#[test]
fn numbers_of_types_are_their_own() {
    for byte in 0..=255 {
        if let Some(kind) = Type::from_byte(byte) {
            assert_eq!(kind as u8, byte);
        }
    }
    assert_eq!(Type::ALL.len(), (0..=255).filter_map(Type::from_byte).count());
}
