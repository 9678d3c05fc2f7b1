//! DEBUG tools that show how something is stored.

use std::fmt::Write as _;

use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome};
use crate::command::error::Error;
use crate::ds::dict;
use crate::ds::ranked::Ranked;
use crate::keyspace::entry::{Entry, View, rounded};
use crate::value::Value;

/// The entry of word 2, even if its time is over: whoever looks under the hood wants to see what is there.
pub(super) fn entry<'k>(cx: &'k mut Cx<'_>, args: Args<'_>) -> Result<&'k Entry, Error> {
    cx.keys.stored(args.key(2)).ok_or(Error::NoSuchKey)
}

pub(super) fn object(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let policy = cx.keys.access;
    let entry = entry(cx, args)?;
    // An address would tell an attacker where things are, and nobody else anything.
    let extra = match entry.view() {
        View::Value(Value::List(list)) => super::list::object_fields(list),
        _ => String::new(),
    };
    let before = format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:",
        entry.encoding()
    );
    let behind = format!(
        " lru:{} lru_seconds_idle:{}{extra}",
        entry.access(),
        policy.idle_seconds(entry),
    );
    let key = args.get(2).into();
    Ok(Next::Control(Control::SerializedLength { key, before, behind }))
}

pub(super) fn sdslen(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let entry = entry(cx, args)?;
    let (len, free) = match entry.view() {
        View::Inline(bytes) => (bytes.len(), 0),
        View::Value(Value::String(bytes)) => (bytes.len(), bytes.capacity() - bytes.len()),
        _ => return Err(Error::fixed("ERR Not an sds encoded string.")),
    };
    let key_len = entry.key().len();
    let line = format!(
        "key_sds_len:{key_len}, key_sds_avail:0, key_zmalloc: {}, \
         val_sds_len:{len}, val_sds_avail:{free}, val_zmalloc: {}",
        rounded(key_len),
        rounded(len + free),
    );
    cx.reply.simple(&line);
    Ok(DONE)
}

pub(super) fn htstats(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let index = usize::try_from(args.int(2)?).unwrap_or(usize::MAX);
    if index >= cx.keys.db_count() {
        return Err(Error::fixed("ERR Out of range database"));
    }
    let full = args.len() == 4 && args.is(3, "full");
    let db = cx.keys.db(index);
    let keys = shape(&db.dict().stats(), full);
    // Expiries stand in the entries: there is no second table.
    let text = format!("[Dictionary HT]\n{keys}[Expires HT]\n{EMPTY}");
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

pub(super) fn htstats_key(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let full = args.len() == 4 && args.is(3, "full");
    let stats = table_stats(entry(cx, args)?).ok_or(Error::fixed(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))?;
    cx.reply.verbatim("txt", shape(&stats, full).as_bytes());
    Ok(DONE)
}

/// The shape of the table an entry holds, if it does.
fn table_stats(entry: &Entry) -> Option<dict::Stats> {
    match entry.view() {
        View::Value(Value::Set(set)) => set.table_stats(),
        View::Value(Value::Hash(hash)) => hash.table_stats(),
        View::Value(Value::Zset(zset)) => zset.as_ranked().map(Ranked::table_stats),
        _ => None,
    }
}

const EMPTY: &str = "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n";

/// The lines on one table.
fn shape(stats: &dict::Stats, full: bool) -> String {
    if stats.elements == 0 {
        return EMPTY.to_owned();
    }
    let slots_per_bucket = stats.buckets_by_fill.len() - 1;
    let mut text = String::from("Hash table 0 stats (main hash table):\n");
    let mut line = |name: &str, value: usize| {
        let _ = writeln!(text, " {name}: {value}");
    };
    line("table size", stats.buckets * slots_per_bucket);
    line("number of elements", stats.elements);
    if full {
        line("segments", stats.segments);
        line("directory slots", stats.directory_slots);
        line("buckets", stats.buckets);
        line("elements away from home", stats.displaced);
        line("longest probe", stats.longest_probe);
        text += " Buckets by number of elements:\n";
        for (fill, count) in stats
            .buckets_by_fill
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let percent = *count as f64 * 100.0 / stats.buckets as f64;
            let _ = writeln!(text, "   {fill}: {count} ({percent:.2}%)");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_adds_up() {
        let stats = dict::Stats {
            elements: 3,
            buckets: 2,
            buckets_by_fill: [0, 1, 1, 0, 0, 0, 0, 0],
            ..Default::default()
        };
        let text = shape(&stats, true);
        assert!(
            text.contains(" table size: 14\n number of elements: 3\n"),
            "{text}"
        );
        assert!(text.ends_with("   1: 1 (50.00%)\n   2: 1 (50.00%)\n"), "{text}");
    }
}
