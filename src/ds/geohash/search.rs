//! Searches: which scores to look at, and whether a place found there lies inside.
//!
//! ```text
//!   +----+----+----+      around: the center's cell, of a step whose cells are about as large as the search,
//!   | nw |  n | ne |      and its neighbours. When one of the four beside it ends before the search does, all
//!   +----+----+----+      are taken one step larger. A row or column that the search does not reach is left out.
//!   |  w | () |  e |
//!   +----+----+----+      The order is that of results: center, n, s, e, w, ne, nw, se, sw.
//!   | sw |  s | se |
//!   +----+----+----+
//! ```
//!
//! The cells cover the search or more, except that a search across a pole, or one near it whose cells narrow, can miss
//! some of what it should find: Redis misses the same.

use std::ops::Range;

use super::{Cell, EARTH_RADIUS_M, Point, RADIANS, STEPS, Span};

/// Half the width of the square Mercator map, in meters.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// What is searched around the center.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// All that is no farther away than this.
    Circle {
        /// In meters.
        radius_m: f64,
    },
    /// All in a rectangle whose sides run along the axes.
    Rectangle {
        /// From west to east, in meters.
        width_m: f64,
        /// From south to north, in meters.
        height_m: f64,
    },
}

impl Shape {
    /// Half width and half height.
    fn reach_m(self) -> (f64, f64) {
        match self {
            Shape::Circle { radius_m } => (radius_m, radius_m),
            Shape::Rectangle { width_m, height_m } => (width_m / 2.0, height_m / 2.0),
        }
    }

    /// Distance from the center to the farthest point.
    fn radius_m(self) -> f64 {
        match self {
            Shape::Circle { radius_m } => radius_m,
            Shape::Rectangle { .. } => {
                let (x, y) = self.reach_m();
                (x * x + y * y).sqrt()
            }
        }
    }
}

/// A shape around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Its middle; must be valid.
    pub center: Point,
    /// What is searched.
    pub shape: Shape,
}

/// The rectangle around a search, in degrees.
struct Bounds {
    longitude: Span,
    latitude: Span,
}

impl Search {
    /// Distance of `point` from the center in meters, if it lies inside.
    pub fn distance_if_inside(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius_m } => {
                let distance = self.center.distance_m(point);
                (distance <= radius_m).then_some(distance)
            }
            Shape::Rectangle { .. } => {
                let (x, y) = self.shape.reach_m();
                // The cheap one of the two first.
                if Self::height_between(self.center, point) > y {
                    return None;
                }
                let beside = Point {
                    latitude: point.latitude,
                    ..self.center
                };
                (point.distance_m(beside) <= x).then(|| self.center.distance_m(point))
            }
        }
    }

    fn height_between(a: Point, b: Point) -> f64 {
        EARTH_RADIUS_M * (b.latitude * RADIANS - a.latitude * RADIANS).abs()
    }

    /// Ranges of scores that hold what is to be found, in the order of the results.
    ///
    /// Compat: a range like the one before it is left out. Searches so wide that their cells meet behind the globe may
    /// have one range twice all the same.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let mut cells: Vec<Cell> = self.cells().into_iter().flatten().collect();
        cells.dedup();
        cells.into_iter().map(Cell::scores).collect()
    }

    /// The nine cells, those left out as `None`.
    fn cells(&self) -> [Option<Cell>; 9] {
        let bounds = self.bounds();
        let mut step = estimate_step(self.shape.radius_m(), self.center.latitude);
        if step > 1 && !bounds.are_covered_around(Cell::around(self.center, step)) {
            step -= 1;
        }
        let cell = Cell::around(self.center, step);
        // (east, north)
        const ORDER: [(i32, i32); 9] = [
            (0, 0),
            (0, 1),
            (0, -1),
            (1, 0),
            (-1, 0),
            (1, 1),
            (-1, 1),
            (1, -1),
            (-1, -1),
        ];
        ORDER.map(|(east, north)| {
            let is_needed = step < 2 || bounds.reach(cell, east, north);
            is_needed.then(|| cell.neighbour(east, north))
        })
    }

    fn bounds(&self) -> Bounds {
        let Point { longitude, latitude } = self.center;
        let (width_m, height_m) = self.shape.reach_m();
        let height = height_m / EARTH_RADIUS_M / RADIANS;
        // A degree of longitude is shortest on the side of the nearer pole.
        let narrow = if latitude < 0.0 {
            latitude - height
        } else {
            latitude + height
        };
        let width = width_m / EARTH_RADIUS_M / (narrow * RADIANS).cos() / RADIANS;
        Bounds {
            longitude: Span {
                min: longitude - width,
                max: longitude + width,
            },
            latitude: Span {
                min: latitude - height,
                max: latitude + height,
            },
        }
    }
}

impl Bounds {
    /// Whether the four cells beside `cell` reach as far.
    fn are_covered_around(&self, cell: Cell) -> bool {
        cell.neighbour(0, 1).latitude().max >= self.latitude.max
            && cell.neighbour(0, -1).latitude().min <= self.latitude.min
            && cell.neighbour(1, 0).longitude().max >= self.longitude.max
            && cell.neighbour(-1, 0).longitude().min <= self.longitude.min
    }

    /// Whether they pass the sides of `cell` on the way to that neighbour.
    fn reach(&self, cell: Cell, east: i32, north: i32) -> bool {
        let passes = |direction: i32, own: Span, bounds: Span| match direction {
            0 => true,
            1 => own.max <= bounds.max,
            _ => own.min >= bounds.min,
        };
        passes(east, cell.longitude(), self.longitude) && passes(north, cell.latitude(), self.latitude)
    }
}

/// The step whose cells are about as large as the radius; larger ones towards the poles, where cells are narrow.
fn estimate_step(radius_m: f64, latitude: f64) -> u32 {
    if radius_m == 0.0 {
        return STEPS;
    }
    let mut step = -1;
    let mut reach_m = radius_m;
    while reach_m < MERCATOR_MAX {
        reach_m *= 2.0;
        step += 1;
    }
    if latitude.abs() > 66.0 {
        step -= 1;
        if latitude.abs() > 80.0 {
            step -= 1;
        }
    }
    step.clamp(1, STEPS as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(longitude: f64, latitude: f64, shape: Shape) -> Search {
        let center = Point { longitude, latitude };
        Search { center, shape }
    }

    #[test]
    fn larger_searches_take_larger_cells() {
        let step = |radius_m| estimate_step(radius_m, 0.0);
        assert_eq!((step(0.0), step(0.1), step(1e9)), (26, 26, 1));
        assert!(step(100.0) > step(1000.0));
        assert_eq!(estimate_step(1000.0, 81.0) + 2, step(1000.0));
        assert_eq!(estimate_step(f64::INFINITY, 0.0), 1);
    }

    #[test]
    fn the_whole_world_is_searched_in_four_cells() {
        let world = search(10.0, 10.0, Shape::Circle { radius_m: 5e7 });
        let ranges = world.ranges();
        assert!((0..4u64).all(|cell| ranges.iter().any(|range| range.start == cell << 50)));
    }

    proptest! {
        #[test]
        fn what_lies_inside_is_in_one_of_the_ranges(
            longitude in -180f64..180.0,
            latitude in -70f64..70.0,
            radius_m in 1f64..3_000_000.0,
            height_m in 1f64..1_000_000.0,
            (x, y) in (-1f64..1.0, -1f64..1.0),
        ) {
            for shape in [Shape::Circle { radius_m }, Shape::Rectangle { width_m: radius_m, height_m }] {
                let search = search(longitude, latitude, shape);
                let reach = shape.radius_m() / 100_000.0;
                let point = Point {
                    longitude: (longitude + x * reach).clamp(-180.0, 179.9),
                    latitude: (latitude + y * reach).clamp(-70.0, 70.0),
                };
                if search.distance_if_inside(point).is_some() {
                    prop_assert!(search.ranges().iter().any(|range| range.contains(&point.score())));
                }
            }
        }

        #[test]
        fn a_rectangle_lies_within_the_circle_around_it(
            (longitude, latitude) in (-170f64..170.0, -60f64..60.0),
            (width_m, height_m) in (1f64..100_000.0, 1f64..100_000.0),
            (x, y) in (-1f64..1.0, -1f64..1.0),
        ) {
            let shape = Shape::Rectangle { width_m, height_m };
            let point = Point { longitude: longitude + x, latitude: latitude + y };
            if let Some(distance) = search(longitude, latitude, shape).distance_if_inside(point) {
                prop_assert!(distance <= shape.radius_m() * 1.01);
            }
        }
    }
}
