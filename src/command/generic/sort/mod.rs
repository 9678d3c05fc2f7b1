//! SORT and SORT_RO: the elements of a list, set or sorted set in order, or what other keys hold for them.
//!
//! ```text
//! read the elements ──> weigh each (BY) ──> sort what LIMIT leaves ──> reply, or STORE: each element, or its GETs
//!                    elements.rs                                         patterns of keys: pattern.rs
//! ```
//!
//! The elements are copied first: to weigh them other keys are read, each of which counts as a hit or miss.

mod elements;
mod pattern;
#[cfg(test)]
mod tests;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::{Error, until_zero};
use crate::command::row::{Access, Arg, Arity, Begin, Categories, Find, Flags, Group, KeySpec, Row};
use crate::ds::quicklist::End;
use crate::session::SessionFlags;
use crate::value::Typed;
use crate::value::list::List;

use elements::{Elements, Texts};
use pattern::Pattern;

/// The rows of this file.
pub const ROWS: &[Row] = &[SORT, SORT_RO];

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number \
     of returned elements. When the elements are not sorted, complexity is O(N).";

const CATEGORIES: Categories = Categories::SET
    .union(Categories::SORTEDSET)
    .union(Categories::LIST)
    .union(Categories::DANGEROUS);

const KEY: KeySpec = KeySpec::one(1, Access::RO.with(Access::ACCESS));

const PATTERN_KEYS: KeySpec = KeySpec {
    begin: Begin::Unknown,
    find: Find::Unknown,
    access: Access::RO.with(Access::ACCESS),
    notes: Some(
        "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the \
         key we sort",
    ),
};

const STORE_KEY: KeySpec = KeySpec {
    begin: Begin::Unknown,
    find: Find::Unknown,
    access: Access::OW.with(Access::UPDATE),
    notes: Some(
        "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the \
         argument array",
    ),
};

const BY: Arg = Arg::key_pattern("by-pattern", 1)
    .shown_as("pattern")
    .token("BY")
    .optional();
const LIMIT: Arg = Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
    .token("LIMIT")
    .optional();
const GET: Arg = Arg::key_pattern("get-pattern", 1)
    .shown_as("pattern")
    .token("GET")
    .optional()
    .multiple_token();
const ORDER: Arg = Arg::one_of("order", &[Arg::flag("asc", "ASC"), Arg::flag("desc", "DESC")]).optional();
const SORTING: Arg = Arg::flag("sorting", "ALPHA").optional();

const SORT: Row = Row {
    name: "sort",
    summary: "Sorts the elements of a list, a set or a sorted set, and returns or stores them.",
    since: "1.0.0",
    complexity: COMPLEXITY,
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    categories: CATEGORIES,
    keys: &[KEY, PATTERN_KEYS, STORE_KEY],
    find_keys: Some(find_keys),
    args: &[
        Arg::key("key", 0),
        BY,
        LIMIT,
        GET,
        ORDER,
        SORTING,
        Arg::key("destination", 2).token("STORE").optional(),
    ],
    run: |cx, args| sort(cx, args, true),
    ..Row::BASE
};

const SORT_RO: Row = Row {
    name: "sort_ro",
    summary: "Sorts the elements of a list, a set or a sorted set, and returns them.",
    since: "7.0.0",
    complexity: COMPLEXITY,
    group: Group::Generic,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    categories: CATEGORIES,
    keys: &[KEY, PATTERN_KEYS],
    args: &[Arg::key("key", 0), BY, LIMIT, GET, ORDER, SORTING],
    run: |cx, args| sort(cx, args, false),
    ..Row::BASE
};

/// The key to sort, and the one behind the last STORE that is no option's value.
fn find_keys(argc: usize, word: &dyn Fn(usize) -> Vec<u8>) -> Vec<(usize, usize)> {
    let mut stored = None;
    let mut at = 2;
    while at < argc {
        match word(at).to_ascii_lowercase().as_slice() {
            b"limit" => at += 2,
            b"by" | b"get" => at += 1,
            b"store" if at + 1 < argc => stored = Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    let stored = stored.map(|at| (at, 2));
    [(1, 0)].into_iter().chain(stored).collect()
}

/// What is asked for.
struct Options<'a> {
    descending: bool,
    /// Compare texts, not numbers.
    alpha: bool,
    /// How many to pass over, and how many to take; negative: all.
    limit: (i64, i64),
    /// Whether the order matters: a BY without `*` says it does not.
    sorts: bool,
    by: Option<Pattern<'a>>,
    gets: Vec<Pattern<'a>>,
    /// Word of the key to store to.
    store_at: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, may_store: bool) -> Result<Options<'a>, Error> {
        let mut options = Options {
            descending: false,
            alpha: false,
            limit: (0, -1),
            sorts: true,
            by: None,
            gets: Vec::new(),
            store_at: None,
        };
        let mut at = 2;
        while at < args.len() {
            at += options.take(args, at, may_store)?;
        }
        Ok(options)
    }

    /// Reads the option at a word; how many words it has.
    fn take(&mut self, args: Args<'a>, at: usize, may_store: bool) -> Result<usize, Error> {
        let left = args.len() - at - 1;
        let is = |name: &str, values: usize| args.is(at, name) && left >= values;
        match () {
            () if is("asc", 0) => self.descending = false,
            () if is("desc", 0) => self.descending = true,
            () if is("alpha", 0) => self.alpha = true,
            () if is("limit", 2) => {
                self.limit = (args.int(at + 1)?, args.int(at + 2)?);
                return Ok(3);
            }
            () if may_store && is("store", 1) => {
                self.store_at = Some(at + 1);
                return Ok(2);
            }
            () if is("by", 1) => {
                self.by = Some(Pattern::parse(args.get(at + 1)));
                // Compat: once said, a later BY does not take it back.
                self.sorts &= until_zero(args.get(at + 1)).contains(&b'*');
                return Ok(2);
            }
            () if is("get", 1) => {
                self.gets.push(Pattern::parse(args.get(at + 1)));
                return Ok(2);
            }
            () => return Err(Error::Syntax),
        }
        Ok(1)
    }

    /// A set has no order of its own: what is stored, or seen by a script, is sorted all the same.
    fn sort_sets(&mut self) {
        if !self.sorts {
            self.sorts = true;
            self.alpha = true;
            self.by = None;
        }
    }
}

fn sort(cx: &mut Cx<'_>, args: Args<'_>, may_store: bool) -> Outcome {
    let mut options = Options::parse(args, may_store)?;
    let must_agree = options.store_at.is_some() || cx.session().flags.contains(SessionFlags::SCRIPT);
    let mut elements = Elements::read(cx.keys, args.key(1), &mut options, must_agree)?;
    if options.sorts {
        elements.weigh(cx.keys, &options)?;
        elements.sort(&options);
    }
    match options.store_at {
        None => reply(cx, &elements, &options),
        Some(word) => store(cx, args, word, &elements, &options),
    }
    Ok(DONE)
}

fn reply(cx: &mut Cx<'_>, elements: &Elements, options: &Options<'_>) {
    if options.gets.is_empty() {
        cx.reply.array(elements.len());
        return elements.texts().for_each(|text| cx.reply.bulk(text));
    }
    cx.reply.array(elements.len() * options.gets.len());
    for text in elements.texts() {
        for pattern in &options.gets {
            pattern.look_up(cx.keys, text, |value| match value {
                Some(value) => cx.reply.bulk(value),
                None => cx.reply.null(),
            });
        }
    }
}

/// Compat: what a GET does not find is stored as nothing, not left out.
fn store(cx: &mut Cx<'_>, args: Args<'_>, word: usize, elements: &Elements, options: &Options<'_>) {
    let limits = cx.keys.limits;
    let mut list = List::empty();
    let count = if options.gets.is_empty() {
        list.push_all(End::Tail, elements.texts(), &limits);
        elements.len()
    } else {
        let mut found = Texts::default();
        for text in elements.texts() {
            for pattern in &options.gets {
                pattern.look_up(cx.keys, text, |value| found.push(value.unwrap_or_default()));
            }
        }
        list.push_all(End::Tail, found.iter(), &limits);
        found.len()
    };
    if cx.keys.store_as(args.key(word), list, "sortstore") {
        // The gate has counted one.
        cx.keys.changes.dirty += count as u64 - 1;
    }
    cx.reply.int(count as i64);
}
