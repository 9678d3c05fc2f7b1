//! DEBUG tools on lists: the nodes of a quicklist, the entries of a listpack.
//!
//! Compat: what they show goes to the server's standard output, not to the client.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::base::units;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::ds::listpack::{Item, Listpack};
use crate::ds::quicklist::{Content, Node, Quicklist};
use crate::keyspace::entry::{Entry, View};
use crate::value::Value;
use crate::value::list::List;
use crate::value::set::Set;

/// What DEBUG OBJECT adds for a quicklist.
pub(super) fn object_fields(list: &List) -> String {
    let List::Quick(quick) = list else {
        return String::new();
    };
    let raw_bytes: usize = quick.nodes().map(Node::raw_bytes).sum();
    format!(
        " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{raw_bytes}",
        quick.node_count(),
        quick.len() as f64 / quick.node_count() as f64,
        quick.fill().0,
        i32::from(quick.depth() != 0),
    )
}

pub(super) fn listpack(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const NO_LISTPACK: Error = Error::fixed("ERR Not a listpack encoded object.");
    let entry = super::inspect::entry(cx, args)?;
    show(&listpack_text(listpack_of(entry).ok_or(NO_LISTPACK)?));
    cx.reply.simple("Listpack structure printed on stdout");
    Ok(DONE)
}

/// The listpack a collection is, while it is small.
fn listpack_of(entry: &Entry) -> Option<&Listpack> {
    match entry.view() {
        View::Value(Value::List(List::Packed(pack)) | Value::Set(Set::Packed(pack))) => Some(pack),
        View::Value(Value::Zset(zset)) => zset.as_listpack(),
        View::Value(Value::Hash(hash)) => hash.listpack().map(|(pack, _)| pack),
        _ => None,
    }
}

pub(super) fn quicklist(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let full = args.len() == 4 && args.int(3).is_ok_and(|full| full != 0);
    match super::inspect::entry(cx, args)?.view() {
        View::Value(Value::List(List::Quick(quick))) => show(&quicklist_text(quick, full)),
        _ => return Err(Error::fixed("ERR Not a quicklist encoded object.")),
    }
    cx.reply.simple("Quicklist structure printed on stdout");
    Ok(DONE)
}

pub(super) fn packed_threshold(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const REFUSAL: Error =
        Error::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    const BYTES_MAX: u64 = (1 << 32) - (1 << 20);
    let bytes = units::parse_memory(args.get(2)).filter(|&bytes| bytes <= BYTES_MAX);
    cx.keys.limits.list_packed_threshold = bytes.ok_or(REFUSAL)? as usize;
    cx.reply.ok();
    Ok(DONE)
}

/// Nobody can be told that standard output is gone.
fn show(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn listpack_text(pack: &Listpack) -> String {
    let mut text = format!(
        "{{total bytes {}}} {{num entries {}}}\n{{\n",
        pack.size(),
        pack.len()
    );
    for (index, item) in pack.iter().enumerate() {
        let _ = writeln!(text, "\tindex: {index:2}, {}", item_text(item));
    }
    text + "}\n{end}\n"
}

fn item_text(item: Item<'_>) -> String {
    match item {
        Item::Int(value) => format!("[int]{value}"),
        Item::Bytes(bytes) => format!("[str]{}", bytes.escape_ascii()),
    }
}

fn quicklist_text(quick: &Quicklist, full: bool) -> String {
    let mut text = format!(
        "{{count : {}}}\n{{len : {}}}\n{{fill : {}}}\n{{compress : {}}}\n",
        quick.len(),
        quick.node_count(),
        quick.fill().0,
        quick.depth(),
    );
    for (index, node) in quick.nodes().enumerate() {
        let (container, encoding) = (
            if node.is_plain() { "PLAIN" } else { "PACKED" },
            if node.squeezed().is_some() { "LZF" } else { "RAW" },
        );
        let _ = writeln!(
            text,
            "{{quicklist node({index})\n{{container : {container}, encoding: {encoding}, size: {}, count: {}}}",
            node.raw_bytes(),
            node.count(),
        );
        if let Some(lzf) = node.squeezed() {
            let _ = writeln!(text, "{{ compressed: {} bytes }}", lzf.len());
        }
        if full {
            text += &node.open(|content| match content {
                Content::Pack(pack) => listpack_text(pack),
                Content::Element(item) => format!("{{ data: {} }}\n", item_text(item)),
            });
        }
        text += "}\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;
    use crate::ds::quicklist::End;
    use crate::value::{Limits, Typed};

    #[test]
    fn a_list_shows_its_nodes() {
        let limits = Limits {
            list_max_listpack_size: 2,
            ..Limits::new(KeyHasher::with_seed(1))
        };
        let mut list = List::empty();
        list.push_all(End::Tail, [&b"a"[..], b"7", b"c"].into_iter(), &limits);
        assert_eq!(
            object_fields(&list),
            " ql_nodes:2 ql_avg_node:1.50 ql_listpack_max:2 ql_compressed:0 ql_uncompressed_size:22"
        );
        let List::Quick(quick) = &list else {
            panic!("three are more than two");
        };
        let text = quicklist_text(quick, true);
        assert!(text.contains("{container : PACKED, encoding: RAW, size: 12, count: 2}"));
        assert!(text.contains("[str]a") && text.contains("[int]7"));
    }
}
