//! Lists: a sequence of nodes, each a listpack or one big element.
//!
//! ```text
//! 18  nodes | (1 element | 2 listpack) ...        since version 10
//! 14  nodes | ziplist ...    10  ziplist    1  elements | element ...
//! ```

use std::io::{Read, Write};

use crate::ds::listpack::Listpack;
use crate::ds::quicklist::{Content, End, Fill, Quicklist};
use crate::value::list::List;
use crate::value::{Limits, Typed};

use super::decode::{Decoder, Refused};
use super::encode::Encoder;
use super::opcode::Type;
use super::ziplist;

const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// How a list is written in a file of `version`.
pub fn kind(version: u16) -> Type {
    if version >= Type::ListQuicklist2.since() {
        Type::ListQuicklist2
    } else {
        Type::List
    }
}

/// Writes a list as `kind`.
pub fn save<W: Write>(encoder: &mut Encoder<W>, list: &List, kind: Type) {
    if kind == Type::List {
        encoder.length(list.len() as u64);
        return list.for_each(|item| encoder.item(item));
    }
    match list {
        List::Packed(pack) => {
            encoder.length(1);
            encoder.length(PACKED);
            encoder.string(pack.as_bytes());
        }
        List::Quick(quick) => {
            encoder.length(quick.node_count() as u64);
            for node in quick.nodes() {
                encoder.length(if node.is_plain() { PLAIN } else { PACKED });
                if let (Some(lzf), true) = (node.squeezed(), encoder.compresses()) {
                    encoder.lzf(lzf, node.raw_bytes());
                    continue;
                }
                node.open(|content| match content {
                    Content::Pack(pack) => encoder.string(pack.as_bytes()),
                    Content::Element(item) => encoder.item(item),
                });
            }
        }
    }
}

/// Reads a list that was written as `kind`.
///
/// # Errors
/// [`Refused`].
pub fn load<R: Read>(decoder: &mut Decoder<R>, kind: Type, limits: &Limits) -> Result<List, Refused> {
    match kind {
        Type::ListQuicklist2 => return load_nodes(decoder, limits),
        Type::List => {
            let mut list = List::empty();
            let mut text = Vec::new();
            for _ in 0..decoder.count()? {
                text.clear();
                decoder.string_into(&mut text)?;
                list.push(End::Tail, text.as_slice().into(), limits);
            }
            Ok(list)
        }
        _ => {
            let nodes = if kind == Type::ListQuicklist {
                decoder.count()?
            } else {
                1
            };
            let mut list = List::empty();
            for _ in 0..nodes {
                let bytes = decoder.string()?;
                decoder.looks_deep();
                let read = ziplist::read(&bytes, |item| {
                    list.push(End::Tail, item.to_vec().as_slice().into(), limits);
                });
                decoder.sound("Ziplist", read)?;
            }
            Ok(list)
        }
    }
    .and_then(|list| decoder.not_empty(list))
}

fn load_nodes<R: Read>(decoder: &mut Decoder<R>, limits: &Limits) -> Result<List, Refused> {
    let fill = Fill(limits.list_max_listpack_size);
    let mut quick = Quicklist::new(fill, limits.list_compress_depth);
    for _ in 0..decoder.count()? {
        match decoder.length()? {
            PLAIN => {
                let element = decoder.string()?;
                if element.is_empty() {
                    return decoder.damaged("a list's node for a big element, which is empty");
                }
                quick.push_plain(element);
            }
            PACKED => {
                let bytes = decoder.string()?;
                decoder.looks_deep();
                match Listpack::from_bytes(bytes) {
                    Ok(pack) if !pack.is_empty() => quick.push_pack(pack),
                    Ok(_) => {}
                    Err(_) => return decoder.damaged("Listpack integrity check failed"),
                }
            }
            container => return decoder.damaged(format!("a list's node of unknown kind {container}")),
        }
    }
    let list = match quick.take_allowed(fill) {
        Some(pack) => List::Packed(pack),
        None => List::Quick(Box::new(quick)),
    };
    decoder.not_empty(list)
}
