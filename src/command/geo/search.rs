//! Searching: GEOSEARCH and GEOSEARCHSTORE, and the four older commands they replace.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::row::{Access, Arg, Arity, Find, Flags, Group, KeySpec, Row};
use crate::ds::geohash::{Point, Search};
use crate::resp::Reply;
use crate::value::Limits;
use crate::value::zset::{Direction, Member, ScoreRange, Tally, Zset, with_text};

use super::options::{Form, Options, Order, Store};
use super::{UNITS, write_distance, write_point};

/// The rows of this file.
pub const ROWS: &[Row] = &[
    GEOSEARCH,
    GEOSEARCHSTORE,
    GEORADIUS,
    GEORADIUS_RO,
    GEORADIUSBYMEMBER,
    GEORADIUSBYMEMBER_RO,
];

const RADIUS_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular \
     area delimited by center and radius and M is the number of items inside the index.";

const SHAPE_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area \
     around the shape provided as the filter and M is the number of items inside the shape";

const UPPERCASE_UNITS: (&str, &str) = ("7.0.0", "Added support for uppercase unit names.");
const ANY_ADDED: (&str, &str) = ("6.2.0", "Added the `ANY` option for `COUNT`.");

const KEY: KeySpec = KeySpec::one(1, Access::RO.with(Access::ACCESS));

const FROM: Arg = Arg::one_of(
    "from",
    &[
        Arg::string("member").token("FROMMEMBER"),
        Arg::block("fromlonlat", &[Arg::double("longitude"), Arg::double("latitude")]).token("FROMLONLAT"),
    ],
);
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block(
            "circle",
            &[
                Arg::double("radius").token("BYRADIUS"),
                Arg::one_of("unit", UNITS),
            ],
        ),
        Arg::block(
            "box",
            &[
                Arg::double("width").token("BYBOX"),
                Arg::double("height"),
                Arg::one_of("unit", UNITS),
            ],
        ),
    ],
);
const UNIT: Arg = Arg::one_of("unit", UNITS);
const ORDER: Arg = Arg::one_of("order", &[Arg::flag("asc", "ASC"), Arg::flag("desc", "DESC")]).optional();
const COUNT: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").token("COUNT"),
        Arg::flag("any", "ANY").optional(),
    ],
)
.optional();
const COUNT_SINCE: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").token("COUNT"),
        Arg::flag("any", "ANY").optional().since("6.2.0"),
    ],
)
.optional();
const WITHCOORD: Arg = Arg::flag("withcoord", "WITHCOORD").optional();
const WITHDIST: Arg = Arg::flag("withdist", "WITHDIST").optional();
const WITHHASH: Arg = Arg::flag("withhash", "WITHHASH").optional();
const STORE: Arg = Arg::one_of(
    "store",
    &[
        Arg::key("storekey", 1).shown_as("key").token("STORE"),
        Arg::key("storedistkey", 2).shown_as("key").token("STOREDIST"),
    ],
)
.optional();

/// The keys of a command that may store behind a word from `from` on.
const fn keys_from(from: i32) -> [KeySpec; 3] {
    let one = Find::Range {
        last: 0,
        step: 1,
        limit: 0,
    };
    let access = Access::OW.with(Access::UPDATE);
    [
        KEY,
        KeySpec::keyword("STORE", from, one, access),
        KeySpec::keyword("STOREDIST", from, one, access),
    ]
}

const GEOSEARCH: Row = Row {
    name: "geosearch",
    summary: "Returns the members inside a circle or a rectangle.",
    since: "6.2.0",
    complexity: SHAPE_COMPLEXITY,
    group: Group::Geo,
    arity: Arity::AtLeast(7),
    flags: Flags::READONLY,
    keys: &[KEY],
    history: &[UPPERCASE_UNITS],
    args: &[
        Arg::key("key", 0),
        FROM,
        BY,
        ORDER,
        COUNT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
    ],
    run: |cx, args| search(cx, args, 1, Form::Search),
    ..Row::BASE
};

const GEOSEARCHSTORE: Row = Row {
    name: "geosearchstore",
    summary: "Stores the members inside a circle or a rectangle in another key.",
    since: "6.2.0",
    complexity: SHAPE_COMPLEXITY,
    group: Group::Geo,
    arity: Arity::AtLeast(8),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(1, Access::OW.with(Access::UPDATE)),
        KeySpec::one(2, Access::RO.with(Access::ACCESS)),
    ],
    history: &[UPPERCASE_UNITS],
    args: &[
        Arg::key("destination", 0),
        Arg::key("source", 1),
        FROM,
        BY,
        ORDER,
        COUNT,
        Arg::flag("storedist", "STOREDIST").optional(),
    ],
    run: |cx, args| search(cx, args, 2, Form::SearchStore),
    ..Row::BASE
};

const GEORADIUS: Row = Row {
    name: "georadius",
    summary: "Returns the members within a distance of a place, or stores them.",
    since: "3.2.0",
    complexity: RADIUS_COMPLEXITY,
    group: Group::Geo,
    arity: Arity::AtLeast(6),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    keys: &keys_from(6),
    history: &[ANY_ADDED, UPPERCASE_UNITS],
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    )),
    args: &[
        Arg::key("key", 0),
        Arg::double("longitude"),
        Arg::double("latitude"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_SINCE,
        ORDER,
        STORE,
    ],
    run: |cx, args| search(cx, args, 1, Form::Radius(Store::Allowed)),
    ..Row::BASE
};

const GEORADIUS_RO: Row = Row {
    name: "georadius_ro",
    summary: "Returns the members within a distance of a place.",
    since: "3.2.10",
    flags: Flags::READONLY,
    keys: &[KEY],
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    args: &[
        Arg::key("key", 0),
        Arg::double("longitude"),
        Arg::double("latitude"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_SINCE,
        ORDER,
    ],
    run: |cx, args| search(cx, args, 1, Form::Radius(Store::Refused)),
    ..GEORADIUS
};

const GEORADIUSBYMEMBER: Row = Row {
    name: "georadiusbymember",
    summary: "Returns the members within a distance of another, or stores them.",
    since: "3.2.0",
    complexity: RADIUS_COMPLEXITY,
    group: Group::Geo,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    keys: &keys_from(5),
    history: &[ANY_ADDED, UPPERCASE_UNITS],
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )),
    args: &[
        Arg::key("key", 0),
        Arg::string("member"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
        STORE,
    ],
    run: |cx, args| search(cx, args, 1, Form::Member(Store::Allowed)),
    ..Row::BASE
};

const GEORADIUSBYMEMBER_RO: Row = Row {
    name: "georadiusbymember_ro",
    summary: "Returns the members within a distance of another.",
    since: "3.2.10",
    flags: Flags::READONLY,
    keys: &[KEY],
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )),
    args: &[
        Arg::key("key", 0),
        Arg::string("member"),
        Arg::double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
    ],
    run: |cx, args| search(cx, args, 1, Form::Member(Store::Refused)),
    ..GEORADIUSBYMEMBER
};

/// A member that lies inside.
struct Hit<'a> {
    member: Member<'a>,
    score: f64,
    point: Point,
    distance_m: f64,
}

/// All six commands; `key_at` is the word of the key to search.
fn search(cx: &mut Cx<'_>, args: Args<'_>, key_at: usize, form: Form) -> Outcome {
    let limits = cx.keys.limits;
    let zset = cx.keys.read_as::<Zset>(args.key(key_at))?;
    let options = Options::parse(args, form, zset)?;
    let hits = match (zset, options.search) {
        (Some(zset), Some(search)) => find(zset, &search, &options),
        _ => Vec::new(),
    };
    match options.store_at {
        None => write_hits(&mut cx.reply, &hits, &options),
        Some(word) => {
            let found = gather(&hits, &options, &limits);
            let count = hits.len();
            store(cx, args, word, form, found, count);
        }
    }
    Ok(DONE)
}

/// The hits in order, no more than wanted.
fn find<'a>(zset: &'a Zset, search: &Search, options: &Options) -> Vec<Hit<'a>> {
    let enough = options.count.filter(|_| options.any).unwrap_or(usize::MAX);
    let mut hits = Vec::new();
    for scores in search.ranges() {
        let scores = ScoreRange {
            min: Bound::Included(scores.start as f64),
            max: Bound::Excluded(scores.end as f64),
        };
        let members = zset.walk(zset.ranks_of_scores(&scores), Direction::Up);
        let inside = members.filter_map(|(member, score)| {
            let point = Point::from_score(score);
            let distance_m = search.distance_if_inside(point)?;
            Some(Hit {
                member,
                score,
                point,
                distance_m,
            })
        });
        hits.extend(inside.take(enough - hits.len()));
    }
    // The nearest are wanted unless any will do.
    let nearest = options.count.filter(|_| !options.any).map(|_| Order::Ascending);
    if let Some(order) = options.order.or(nearest) {
        sort(&mut hits, order, options.count);
    }
    hits.truncate(options.count.unwrap_or(usize::MAX));
    hits
}

/// Puts the first `count` in order; equal distances stay as they were found.
fn sort(hits: &mut Vec<Hit<'_>>, order: Order, count: Option<usize>) {
    let by_distance = |a: &Hit<'_>, b: &Hit<'_>| match order {
        Order::Ascending => a.distance_m.total_cmp(&b.distance_m),
        Order::Descending => b.distance_m.total_cmp(&a.distance_m),
    };
    match count {
        Some(count) if count < hits.len() => {
            let mut numbered: Vec<(usize, Hit<'_>)> = std::mem::take(hits).into_iter().enumerate().collect();
            let in_turn = |(m, a): &(usize, Hit<'_>), (n, b): &(usize, Hit<'_>)| -> Ordering {
                by_distance(a, b).then(m.cmp(n))
            };
            numbered.select_nth_unstable_by(count, in_turn);
            numbered.truncate(count);
            numbered.sort_unstable_by(in_turn);
            hits.extend(numbered.into_iter().map(|(_, hit)| hit));
        }
        _ => hits.sort_by(by_distance),
    }
}

fn write_hits(reply: &mut Reply<'_>, hits: &[Hit<'_>], options: &Options) {
    let with = [options.with_distance, options.with_hash, options.with_coordinates];
    let extras = with.into_iter().filter(|&is_wanted| is_wanted).count();
    reply.array(hits.len());
    for hit in hits {
        if extras > 0 {
            reply.array(1 + extras);
        }
        with_text(hit.member, |text| reply.bulk(text));
        if options.with_distance {
            write_distance(reply, hit.distance_m / options.unit_m);
        }
        if options.with_hash {
            reply.int(whole(hit.score));
        }
        if options.with_coordinates {
            write_point(reply, hit.point);
        }
    }
}

/// Compat: as C casts it on x86-64, a score too large becomes the smallest integer.
fn whole(score: f64) -> i64 {
    if score < 2f64.powi(63) {
        score as i64
    } else {
        i64::MIN
    }
}

/// The hits as a sorted set.
fn gather(hits: &[Hit<'_>], options: &Options, limits: &Limits) -> Zset {
    let mut tally = Tally::new(limits.hasher);
    for hit in hits {
        let score = match options.store_distance {
            true => hit.distance_m / options.unit_m,
            false => hit.score,
        };
        with_text(hit.member, |text| tally.change(text, |_| score));
    }
    Zset::from_tally(tally, limits)
}

fn store(cx: &mut Cx<'_>, args: Args<'_>, word: usize, form: Form, found: Zset, count: usize) {
    let event = match form {
        Form::SearchStore => "geosearchstore",
        _ => "georadiusstore",
    };
    if cx.keys.store_as(args.key(word), found, event) {
        // The gate has counted one.
        cx.keys.changes.dirty += count as u64 - 1;
    }
    cx.reply.int(count as i64);
}
