//! Points of the plane in shapes that clustering is tried on, each a pure function of (seed, row).
//!
//! | shape | where | truth |
//! | --- | --- | --- |
//! | `blobs` | ten bells of deviation 10, centres uniform in a square of 1000 | the bell |
//! | `moons` | two half circles of radius 100, one turned and moved into the other, deviation 5 | the half |
//! | `rings` | three circles of radius 100, 200 and 300 about one centre, deviation 5 | the circle |
//! | `simden` | ten random walks in a square of 100,000, 100 rows a step within 100 of it | the walk |
//! | `varden` | the same, the radius of walk k and of its steps is 100·(k + 1) | the walk |
//! | `lattice` | whole numbers, x fastest, in a square | none |
//!
//! `simden` and `varden` are the seed spreader of Gan and Tao (SIGMOD 2015, doi
//! 10.1145/2723372.2737792) with walks of equal length; one row in ten thousand is uniform noise,
//! whose truth is -1. Walks may cross: their truth is where a row came from, not what a clustering
//! must find. No value is NULL or NaN. Draws are integer arithmetic and functions come from the crate
//! `libm`, so the bits are the same on every machine.

use std::f64::consts::{PI, TAU};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use rand::Rng;

use super::draws::{Column, Draws};
use super::slice::Slice;
use crate::error::{Error, Result};

/// Clusters of `blobs`, and walks of the spreader.
const CLUSTERS: u64 = 10;
/// The side of the square that walks stay in.
const SQUARE: f64 = 1e5;
/// Rows around one step of a walk.
const STEP_ROWS: u64 = 100;
/// One row in this number is noise.
const NOISE_ONE_IN: u64 = 10_000;

/// A shape by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Ten bells.
    Blobs,
    /// Two half circles.
    Moons,
    /// Three circles about one centre.
    Rings,
    /// Ten walks of one density.
    Simden,
    /// Ten walks of ten densities.
    Varden,
    /// Whole numbers.
    Lattice,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 6] =
        [Self::Blobs, Self::Moons, Self::Rings, Self::Simden, Self::Varden, Self::Lattice];

    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Moons => "moons",
            Self::Rings => "rings",
            Self::Simden => "simden",
            Self::Varden => "varden",
            Self::Lattice => "lattice",
        }
    }

    /// Whether it is known where a row belongs.
    pub fn has_truth(self) -> bool {
        self != Self::Lattice
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::usage(format!("shape is '{text}', expected one of {names}"))
        })
    }
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapePoint {
    /// Its coordinates.
    pub x: f64,
    /// Its coordinates.
    pub y: f64,
    /// Where it belongs, from 0; -1 is noise. 0 for shapes without a truth.
    pub truth: i32,
}

/// Points of one shape, number of rows and seed, and the slice of them that is asked for.
#[derive(Debug)]
pub struct Shapes {
    shape: Shape,
    rows: u64,
    slice: Slice,
    points: Column,
    centres: Column,
    /// Where each step of the walks is, walk after walk.
    steps: Vec<(f64, f64)>,
}

impl Shapes {
    /// The largest number of rows, 2^32: the spreader holds 16 bytes for each hundred.
    pub const MAX_ROWS: u64 = 1 << 32;

    /// `rows` points from `seed`; `slice` limits what [`Self::slice_rows`] names, and changes no row.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if `rows` is 0 or above [`Self::MAX_ROWS`].
    pub fn new(shape: Shape, rows: u64, seed: u64, slice: Option<Slice>) -> Result<Self> {
        if rows == 0 || rows > Self::MAX_ROWS {
            let max = Self::MAX_ROWS;
            return Err(Error::usage(format!("rows is {rows}, expected 1 to {max}")));
        }
        let column = |what: &str| Column::new(seed, &format!("shapes.{shape}.{what}"));
        let steps = match shape {
            Shape::Simden | Shape::Varden => {
                let steps = rows.div_ceil(STEP_ROWS).div_ceil(CLUSTERS);
                (0..CLUSTERS).flat_map(|walk| walked(shape, walk, steps, column("steps"))).collect()
            }
            _ => Vec::new(),
        };
        let (points, centres) = (column("points"), column("centres"));
        Ok(Self { shape, rows, slice: slice.unwrap_or_default(), points, centres, steps })
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows of the whole table.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row numbers of the slice, from 0.
    pub fn slice_rows(&self) -> Range<u64> {
        self.slice.of(0..self.rows)
    }

    /// The point at `row`, counted from 0.
    ///
    /// # Panics
    /// If `row` is not below [`Self::rows`].
    pub fn point(&self, row: u64) -> ShapePoint {
        assert!(row < self.rows, "row {row} of a table of {} rows", self.rows);
        let mut draws = self.points.at(row);
        match self.shape {
            Shape::Blobs => {
                let blob = draws.next_u64() % CLUSTERS;
                let mut centre = self.centres.at(blob);
                let x = unit(&mut centre) * 1000.0 + bell(&mut draws) * 10.0;
                let y = unit(&mut centre) * 1000.0 + bell(&mut draws) * 10.0;
                ShapePoint { x, y, truth: number(blob) }
            }
            Shape::Moons => {
                let moon = draws.next_u64() % 2;
                let (sin, cos) = libm::sincos(unit(&mut draws) * PI);
                let (x, y) = if moon == 0 { (cos, sin) } else { (1.0 - cos, 0.5 - sin) };
                let [right, up] = [bell(&mut draws), bell(&mut draws)].map(|x| x * 5.0);
                ShapePoint { x: x * 100.0 + right, y: y * 100.0 + up, truth: number(moon) }
            }
            Shape::Rings => {
                let ring = draws.next_u64() % 3;
                let (sin, cos) = libm::sincos(unit(&mut draws) * TAU);
                let radius = (ring + 1) as f64 * 100.0 + bell(&mut draws) * 5.0;
                ShapePoint { x: radius * cos, y: radius * sin, truth: number(ring) }
            }
            Shape::Simden | Shape::Varden => self.spread(row, &mut draws),
            Shape::Lattice => {
                let side = lattice_side(self.rows);
                ShapePoint { x: (row % side) as f64, y: (row / side) as f64, truth: 0 }
            }
        }
    }

    /// A row near its step of a walk, or noise.
    fn spread(&self, row: u64, draws: &mut Draws) -> ShapePoint {
        if draws.next_u64().is_multiple_of(NOISE_ONE_IN) {
            return ShapePoint { x: unit(draws) * SQUARE, y: unit(draws) * SQUARE, truth: -1 };
        }
        let step = row / STEP_ROWS;
        let walk = step / (self.steps.len() as u64 / CLUSTERS);
        let (sin, cos) = libm::sincos(unit(draws) * TAU);
        let radius = radius(self.shape, walk) * libm::sqrt(unit(draws));
        let (x, y) = self.steps[usize::try_from(step).expect("steps are held in memory")];
        ShapePoint { x: x + radius * cos, y: y + radius * sin, truth: number(walk) }
    }
}

/// The steps of a walk, each as long as the radius around it, inside the square.
fn walked(shape: Shape, walk: u64, steps: u64, column: Column) -> Vec<(f64, f64)> {
    let mut draws = column.at(walk * steps);
    let (mut x, mut y) = (unit(&mut draws) * SQUARE, unit(&mut draws) * SQUARE);
    let mut all = Vec::new();
    for step in 0..steps {
        all.push((x, y));
        let (sin, cos) = libm::sincos(unit(&mut column.at(walk * steps + step + 1)) * TAU);
        x = (x + radius(shape, walk) * cos).clamp(0.0, SQUARE);
        y = (y + radius(shape, walk) * sin).clamp(0.0, SQUARE);
    }
    all
}

fn radius(shape: Shape, walk: u64) -> f64 {
    if shape == Shape::Simden { 100.0 } else { 100.0 * (walk + 1) as f64 }
}

/// The smallest side whose square holds this number of points.
fn lattice_side(rows: u64) -> u64 {
    let side = rows.isqrt();
    if side * side < rows { side + 1 } else { side }
}

fn number(cluster: u64) -> i32 {
    i32::try_from(cluster).expect("shapes have ten clusters at most")
}

/// Uniform in `[0, 1)`.
fn unit(draws: &mut Draws) -> f64 {
    (draws.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Mean 0, deviation 1: twelve draws less six.
fn bell(draws: &mut Draws) -> f64 {
    (0..12).map(|_| unit(draws)).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(shape: Shape, rows: u64) -> Vec<ShapePoint> {
        let shapes = Shapes::new(shape, rows, 3, None).unwrap();
        (0..rows).map(|row| shapes.point(row)).collect()
    }

    #[test]
    fn every_cluster_has_rows_and_every_row_is_finite() {
        for (shape, clusters) in
            [(Shape::Blobs, 10), (Shape::Moons, 2), (Shape::Rings, 3), (Shape::Varden, 10)]
        {
            let all = points(shape, 30_000);
            assert!(all.iter().all(|point| point.x.is_finite() && point.y.is_finite()));
            for cluster in 0..clusters {
                let rows = all.iter().filter(|point| point.truth == cluster).count();
                assert!(rows > 1000, "{shape} {cluster}: {rows}");
            }
        }
    }

    #[test]
    fn walks_stay_in_the_square_and_few_rows_are_noise() {
        let all = points(Shape::Varden, 100_000);
        let inside = |x: f64| (-1000.0..=SQUARE + 1000.0).contains(&x);
        assert!(all.iter().all(|point| inside(point.x) && inside(point.y)));
        let noise = all.iter().filter(|point| point.truth == -1).count();
        assert!((1..40).contains(&noise), "{noise}");
    }

    #[test]
    fn a_lattice_is_whole_numbers_in_a_square() {
        let all = points(Shape::Lattice, 10);
        assert_eq!((all[3].x, all[3].y, all[4].x, all[4].y), (3.0, 0.0, 0.0, 1.0));
    }

    #[test]
    fn an_unknown_shape_is_refused() {
        let message = "star".parse::<Shape>().unwrap_err().to_string();
        assert!(message.starts_with("shape is 'star', expected one of blobs, moons"), "{message}");
    }
}
