//! Places on earth: sorted sets whose scores are cells of a map (`ds::geohash`). Any sorted set will do, and the commands
//! on sorted sets work on places too.
//!
//! ```text
//! add        GEOADD, which is ZADD with scores made of coordinates
//! position   GEOPOS, GEODIST, GEOHASH: about members that are known
//! search     GEOSEARCH, GEOSEARCHSTORE, and GEORADIUS in four forms, all with the options of options.rs
//! ```

pub mod add;
mod options;
pub mod position;
pub mod search;
#[cfg(test)]
mod tests;

use crate::base::float;
use crate::base::long_double::LongDouble;
use crate::command::args::Args;
use crate::command::error::Error;
use crate::command::row::Arg;
use crate::ds::geohash::Point;
use crate::resp::Reply;

/// The units of distances.
const UNITS: &[Arg] = &[
    Arg::flag("m", "m"),
    Arg::flag("km", "km"),
    Arg::flag("ft", "ft"),
    Arg::flag("mi", "mi"),
];

/// How many meters the unit at a word is.
fn parse_unit(args: Args<'_>, word: usize) -> Result<f64, Error> {
    const METERS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let unit = METERS.iter().find(|(name, _)| args.is(word, name));
    let unknown = Error::fixed("ERR unsupported unit provided. please use M, KM, FT, MI");
    unit.map(|&(_, meters)| meters).ok_or(unknown)
}

/// Longitude and latitude at two words.
fn parse_point(args: Args<'_>, word: usize) -> Result<Point, Error> {
    let degrees = |word| float::parse(args.get(word)).ok_or(Error::NotFloat);
    let point = Point {
        longitude: degrees(word)?,
        latitude: degrees(word + 1)?,
    };
    if point.is_valid() {
        return Ok(point);
    }
    Err(Error::err(format_args!(
        "invalid longitude,latitude pair {:.6},{:.6}",
        point.longitude, point.latitude
    )))
}

/// An array of longitude and latitude.
fn write_point(reply: &mut Reply<'_>, point: Point) {
    reply.array(2);
    write_degrees(reply, point.longitude);
    write_degrees(reply, point.latitude);
}

/// As `long double`s are printed: up to 17 decimal places, never an exponent.
fn write_degrees(reply: &mut Reply<'_>, degrees: f64) {
    let mut text = Vec::with_capacity(24);
    LongDouble::from_f64(degrees).write_human(&mut text);
    if reply.resp3 {
        reply.raw(b",");
        reply.raw(&text);
        reply.raw(b"\r\n");
    } else {
        reply.bulk(&text);
    }
}

/// A distance with four decimal places.
fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even() as u64;
    let text = format!("{}.{:04}", scaled / 10_000, scaled % 10_000);
    reply.bulk(text.as_bytes());
}
