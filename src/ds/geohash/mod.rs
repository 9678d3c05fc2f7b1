//! Places on earth as 52-bit numbers, such that places with numbers close together are close together.
//!
//! ```text
//! latitude  -85.05..85.05 > 26 bits    y25  y24  ...  y0
//! longitude  -180..180    > 26 bits  x25  x24  ...  x0
//! cell                               x25 y25 x24 y24 ... x0 y0      52 bits, a sorted set's score
//! ```
//!
//! The first 2n bits name a cell of step n; a step more quarters it. So the places of a cell are a range of scores, and
//! a search visits the ranges of nine cells: one around its center and its neighbours, of a step that covers what is
//! searched (see [`Search`]).
//!
//! Latitudes end where the square Mercator map does (EPSG:3857). A place on the upper edge lies one past the last cell:
//! its number has a bit more, and reading it gives the edge back.
//!
//! Distances are in meters on a sphere (haversine). Costs: all O(1); a distance takes two sines, two cosines and an arc
//! sine. Not here: sorted sets, units, and text other than the standard geohash's eleven letters.
//!
//! Compat: Redis 7.4, rounding included.

mod search;

pub use search::{Search, Shape};

/// Longitudes reach from minus this to this, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;

/// Latitudes reach from minus this to this, in degrees.
pub const LATITUDE_MAX: f64 = 85.051_128_78;

/// Halvings of each axis in a score.
pub const STEPS: u32 = 26;

/// Mean of earth's radius, in meters.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A place, in degrees.
///
/// ```
/// use russet::ds::geohash::Point;
/// let palermo = Point { longitude: 13.361389, latitude: 38.115556 };
/// let catania = Point { longitude: 15.087269, latitude: 37.502669 };
/// assert_eq!(palermo.score(), 3479099956230698);
/// assert_eq!(palermo.distance_m(catania).round(), 166_274.0);
/// assert_eq!(&palermo.text(), b"sqc8b49rny0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// East is positive.
    pub longitude: f64,
    /// North is positive.
    pub latitude: f64,
}

impl Point {
    /// Whether it lies on the map; NaN does not.
    pub fn is_valid(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The number of its cell of step 26. For valid points.
    pub fn score(self) -> u64 {
        Cell::around(self, STEPS).bits
    }

    /// The middle of the cell that a score names.
    ///
    /// Compat: any score names one. What is not a whole number of 64 bits becomes one as C's casts do it on x86-64.
    pub fn from_score(score: f64) -> Point {
        let cell = Cell {
            bits: whole(score),
            step: STEPS,
        };
        let (longitude, latitude) = (cell.longitude(), cell.latitude());
        Point {
            longitude: longitude.middle().clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: latitude.middle().clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// Distance along the surface; a number, between valid points.
    pub fn distance_m(self, other: Point) -> f64 {
        let (here, there) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let v = ((other.longitude * RADIANS - self.longitude * RADIANS) / 2.0).sin();
        if v == 0.0 {
            return EARTH_RADIUS_M * (there - here).abs();
        }
        let u = ((there - here) / 2.0).sin();
        let a = u * u + here.cos() * there.cos() * v * v;
        // Rounding can lift it above 1 on the opposite side of the globe.
        2.0 * EARTH_RADIUS_M * a.min(1.0).sqrt().asin()
    }

    /// The standard geohash, as geohash.org has it: latitudes from -90 to 90, base 32.
    ///
    /// Compat: 52 bits are ten letters and two bits; the eleventh letter is always `0`.
    pub fn text(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = interleave(
            fraction(self.latitude, 90.0, STEPS),
            fraction(self.longitude, LONGITUDE_MAX, STEPS),
        );
        let mut text = [b'0'; 11];
        for (index, letter) in text[..10].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (47 - index * 5)) as usize % 32];
        }
        text
    }
}

/// As C casts a double to an unsigned 64-bit integer on x86-64: negative ones wrap around, and what does not fit at all
/// becomes 2^63 below or 0 above.
fn whole(value: f64) -> u64 {
    const TOP: f64 = (1u64 << 63) as f64;
    let signed = |value: f64| {
        if (-TOP..TOP).contains(&value) {
            value as i64 as u64
        } else {
            1 << 63
        }
    };
    if value < TOP {
        signed(value)
    } else {
        signed(value - TOP) ^ 1 << 63
    }
}

/// Where `degrees` lie between `-max` and `max`, in units of 2^-step.
fn fraction(degrees: f64, max: f64, step: u32) -> u32 {
    let offset = (degrees + max) / (max + max);
    (offset * (1u64 << step) as f64) as u32
}

/// A part of an axis, in degrees.
#[derive(Clone, Copy, Debug)]
struct Span {
    min: f64,
    max: f64,
}

impl Span {
    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// A cell of the grid whose axes are halved `step` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// The lowest 2 * step bits, and one more past the upper edges.
    bits: u64,
    /// 1 to 26.
    step: u32,
}

impl Cell {
    /// The one that a valid point lies in.
    fn around(point: Point, step: u32) -> Cell {
        let latitude = fraction(point.latitude, LATITUDE_MAX, step);
        let longitude = fraction(point.longitude, LONGITUDE_MAX, step);
        Cell {
            bits: interleave(latitude, longitude),
            step,
        }
    }

    fn latitude(self) -> Span {
        self.span(even_bits(self.bits), LATITUDE_MAX)
    }

    fn longitude(self) -> Span {
        self.span(even_bits(self.bits >> 1), LONGITUDE_MAX)
    }

    fn span(self, index: u32, max: f64) -> Span {
        let cells = (1u64 << self.step) as f64;
        let at = |index: u32| -max + f64::from(index) / cells * (max + max);
        Span {
            min: at(index),
            max: at(index.wrapping_add(1)),
        }
    }

    /// The cell so many columns east and rows north, around the globe and past the poles alike.
    fn neighbour(self, east: i32, north: i32) -> Cell {
        let moved = |index: u32, by: i32| match by {
            // The edge beyond the last cell stays where it is.
            0 => index,
            by => index.wrapping_add_signed(by) % (1 << self.step),
        };
        let latitude = moved(even_bits(self.bits), north);
        let longitude = moved(even_bits(self.bits >> 1), east);
        Cell {
            bits: interleave(latitude, longitude),
            step: self.step,
        }
    }

    /// The scores of the places in it.
    fn scores(self) -> std::ops::Range<u64> {
        let shift = 2 * (STEPS - self.step);
        self.bits << shift..(self.bits + 1) << shift
    }
}

const EVEN_BITS: u64 = 0x5555_5555_5555_5555;

/// Latitude in the even bits, longitude in the odd ones.
fn interleave(latitude: u32, longitude: u32) -> u64 {
    spread(latitude) | spread(longitude) << 1
}

/// A zero bit above each bit.
fn spread(bits: u32) -> u64 {
    let mut bits = u64::from(bits);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & EVEN_BITS
}

/// What [`spread`] was given.
fn even_bits(bits: u64) -> u32 {
    let mut bits = bits & EVEN_BITS;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = Point> {
        let latitude = -LATITUDE_MAX..=LATITUDE_MAX;
        (-LONGITUDE_MAX..=LONGITUDE_MAX, latitude)
            .prop_map(|(longitude, latitude)| Point { longitude, latitude })
    }

    fn at(longitude: f64, latitude: f64) -> Point {
        Point { longitude, latitude }
    }

    #[test]
    fn edges_of_the_map_are_read_back() {
        for point in [at(180.0, LATITUDE_MAX), at(180.0, 0.0), at(0.0, LATITUDE_MAX)] {
            let read = Point::from_score(point.score() as f64);
            assert!(point.distance_m(read) < 1.0, "{read:?}");
        }
        assert_eq!(at(-180.0, -LATITUDE_MAX).score(), 0);
    }

    #[test]
    fn any_score_is_a_valid_point() {
        for score in [
            0.0,
            -1.0,
            -1.5,
            1e300,
            -1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.8e19,
            9.3e18,
        ] {
            assert!(Point::from_score(score).is_valid(), "{score}");
        }
    }

    #[test]
    fn off_the_map_is_not_valid() {
        assert!(!at(180.1, 0.0).is_valid() && !at(0.0, 85.1).is_valid());
        assert!(!at(f64::NAN, 0.0).is_valid() && !at(0.0, f64::INFINITY).is_valid());
    }

    proptest! {
        #[test]
        fn a_score_reads_back_within_a_meter(point in point()) {
            let read = Point::from_score(point.score() as f64);
            prop_assert!(point.distance_m(read) < 1.0, "{:?} {:?}", point, read);
        }

        #[test]
        fn interleaved_bits_come_apart_again(latitude: u32, longitude: u32) {
            let bits = interleave(latitude, longitude);
            prop_assert_eq!((even_bits(bits), even_bits(bits >> 1)), (latitude, longitude));
        }

        #[test]
        fn neighbours_lie_side_by_side(point in point(), step in 1u32..=26) {
            let cell = Cell::around(point, step);
            prop_assert_eq!(cell.neighbour(1, 1).neighbour(-1, -1), cell);
            prop_assert_eq!(cell.neighbour(0, 0), cell);
            let (here, east) = (cell.longitude(), cell.neighbour(1, 0).longitude());
            prop_assert!(east.min == here.max || east.min == -LONGITUDE_MAX);
        }

        #[test]
        fn distances_are_the_same_both_ways(a in point(), b in point()) {
            prop_assert!((a.distance_m(b) - b.distance_m(a)).abs() < 1e-3);
            prop_assert_eq!(a.distance_m(a), 0.0);
        }
    }
}
