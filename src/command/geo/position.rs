//! About members that are known: where they are, how far apart, and their geohashes.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::ds::geohash::Point;
use crate::value::zset::Zset;

use super::{UNITS, parse_unit, write_distance, write_point};

/// The rows of this file.
pub const ROWS: &[Row] = &[GEOPOS, GEODIST, GEOHASH];

/// A member's place.
fn place(zset: Option<&Zset>, member: &[u8]) -> Option<Point> {
    zset?.score(member).map(Point::from_score)
}

const GEOPOS: Row = Row {
    name: "geopos",
    summary: "Returns longitude and latitude of members.",
    since: "3.2.0",
    complexity: "O(1) for each member requested.",
    group: Group::Geo,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("member").optional().multiple()],
    run: geopos,
    ..Row::BASE
};

fn geopos(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    cx.reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match place(zset, member) {
            Some(point) => write_point(&mut cx.reply, point),
            None => cx.reply.null_array(),
        }
    }
    Ok(DONE)
}

const GEODIST: Row = Row {
    name: "geodist",
    summary: "Returns the distance between two members.",
    since: "3.2.0",
    complexity: "O(1)",
    group: Group::Geo,
    arity: Arity::AtLeast(4),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[
        Arg::key("key", 0),
        Arg::string("member1"),
        Arg::string("member2"),
        Arg::one_of("unit", UNITS).optional(),
    ],
    run: geodist,
    ..Row::BASE
};

fn geodist(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let unit_m = match args.len() {
        4 => 1.0,
        5 => parse_unit(args, 4)?,
        _ => return Err(Error::Syntax),
    };
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    match (place(zset, args.get(2)), place(zset, args.get(3))) {
        (Some(here), Some(there)) => write_distance(&mut cx.reply, here.distance_m(there) / unit_m),
        _ => cx.reply.null(),
    }
    Ok(DONE)
}

const GEOHASH: Row = Row {
    name: "geohash",
    summary: "Returns the geohashes of members, as geohash.org writes them.",
    since: "3.2.0",
    complexity: "O(1) for each member requested.",
    group: Group::Geo,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    args: &[Arg::key("key", 0), Arg::string("member").optional().multiple()],
    run: geohash,
    ..Row::BASE
};

fn geohash(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let zset = cx.keys.read_as::<Zset>(args.key(1))?;
    cx.reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match place(zset, member) {
            Some(point) => cx.reply.bulk(&point.text()),
            None => cx.reply.null(),
        }
    }
    Ok(DONE)
}
