//! Sources over the whole sphere, each a pure function of (seed, row number).
//!
//! | share | where |
//! | --- | --- |
//! | 60 % | along the galactic plane: uniform in longitude, Laplace(8°) in latitude |
//! | 25 % | uniform on the sphere |
//! | 13 % | in 200 clusters of 0.2°, their centres uniform on the sphere |
//! | 1 % | within 1° of a pole, one in a hundred exactly on it |
//! | 1 % | within 36" of right ascension 0/360, one in a hundred exactly on it |
//!
//! Right ascension in `[0, 360)` and declination in degrees, ICRS; no value is NULL or NaN. Draws are
//! integer arithmetic and functions come from the crate `libm`, so the bits are the same on every
//! machine.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use rand::Rng;

use super::draws::{Column, Draws};
use super::slice::Slice;
use crate::error::{Error, Result};
use crate::grid::{Frame, UnitVector};

/// Clusters of sources.
const CLUSTERS: u64 = 200;
/// The scale of the galactic plane, in degrees.
const PLANE_DEG: f64 = 8.0;
/// The scale of a cluster, in degrees.
const CLUSTER_DEG: f64 = 0.2;

/// One source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Unique, from 1.
    pub id: i64,
    /// Right ascension in degrees, `[0, 360)`.
    pub ra: f64,
    /// Declination in degrees.
    pub decl: f64,
}

/// Sources of one number of rows and one seed, and the slice of them that is asked for.
#[derive(Debug)]
pub struct Sky {
    rows: u64,
    seed: u64,
    slice: Slice,
    positions: Column,
    centres: Column,
}

impl Sky {
    /// The largest number of rows, 2^40.
    pub const MAX_ROWS: u64 = 1 << 40;

    /// `rows` sources from `seed`; `slice` limits what [`Self::slice_rows`] names, and changes no row.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if `rows` is 0 or above [`Self::MAX_ROWS`].
    pub fn new(rows: u64, seed: u64, slice: Option<Slice>) -> Result<Self> {
        if rows == 0 || rows > Self::MAX_ROWS {
            let max = Self::MAX_ROWS;
            return Err(Error::usage(format!("rows is {rows}, expected 1 to {max}")));
        }
        Ok(Self {
            rows,
            seed,
            slice: slice.unwrap_or_default(),
            positions: Column::new(seed, "sky.position"),
            centres: Column::new(seed, "sky.centre"),
        })
    }

    /// Rows of the whole table.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row numbers of the slice, from 0.
    pub fn slice_rows(&self) -> Range<u64> {
        self.slice.of(0..self.rows)
    }

    /// The source at `row`, counted from 0.
    ///
    /// # Panics
    /// If `row` is not below [`Self::rows`].
    pub fn source(&self, row: u64) -> Detection {
        assert!(row < self.rows, "row {row} of a table of {} rows", self.rows);
        let mut draws = self.positions.at(row);
        let (ra, decl) = match draws.next_u64() % 100 {
            0..60 => plane(&mut draws),
            60..85 => uniform(&mut draws),
            85..98 => self.clustered(&mut draws),
            98 => polar(&mut draws),
            _ => meridian(&mut draws),
        };
        Detection { id: i64::try_from(row + 1).expect("at most 2^40 rows"), ra, decl }
    }

    /// The values of another column: positive numbers around 20, most of them below 100, log-normal.
    pub fn measures(&self, name: &str, rows: Range<u64>) -> impl Iterator<Item = f64> {
        let column = Column::new(self.seed, &format!("sky.{name}"));
        rows.map(move |row| libm::exp(3.0 + bell(&mut column.at(row))))
    }

    fn clustered(&self, draws: &mut Draws) -> (f64, f64) {
        let (ra, decl) = uniform(&mut self.centres.at(draws.next_u64() % CLUSTERS));
        // A step on the tangent plane of the centre, then back on the sphere: right at the poles too.
        let [east, north] = [bell(draws), bell(draws)].map(|x| (x * CLUSTER_DEG).to_radians());
        let (sin_ra, cos_ra) = libm::sincos(ra.to_radians());
        let (sin_decl, cos_decl) = libm::sincos(decl.to_radians());
        position(UnitVector {
            x: cos_decl * cos_ra - east * sin_ra - north * sin_decl * cos_ra,
            y: cos_decl * sin_ra + east * cos_ra - north * sin_decl * sin_ra,
            z: sin_decl + north * cos_decl,
        })
    }
}

/// Uniform in `[0, 1)`.
fn unit(draws: &mut Draws) -> f64 {
    (draws.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Mean 0, deviation 1: twelve draws less six.
fn bell(draws: &mut Draws) -> f64 {
    (0..12).map(|_| unit(draws)).sum::<f64>() - 6.0
}

fn uniform(draws: &mut Draws) -> (f64, f64) {
    let ra = unit(draws) * 360.0;
    (ra, libm::asin(2.0 * unit(draws) - 1.0).to_degrees())
}

fn plane(draws: &mut Draws) -> (f64, f64) {
    let lon = unit(draws) * TAU;
    let depth = -libm::log(1.0 - unit(draws)) * PLANE_DEG.to_radians();
    let depth = depth.min(PI / 2.0);
    let lat = if draws.next_u64().is_multiple_of(2) { depth } else { -depth };
    let (sin_lon, cos_lon) = libm::sincos(lon);
    let (sin_lat, cos_lat) = libm::sincos(lat);
    let galactic = UnitVector { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat };
    position(Frame::Galactic.turned_back(galactic))
}

fn polar(draws: &mut Draws) -> (f64, f64) {
    let decl = if draws.next_u64().is_multiple_of(100) { 90.0 } else { 90.0 - unit(draws) };
    let sign = if draws.next_u64().is_multiple_of(2) { 1.0 } else { -1.0 };
    (unit(draws) * 360.0, sign * decl)
}

fn meridian(draws: &mut Draws) -> (f64, f64) {
    let aside = if draws.next_u64().is_multiple_of(100) { 0.0 } else { unit(draws) * 0.01 };
    let ra = if draws.next_u64().is_multiple_of(2) || aside == 0.0 { aside } else { 360.0 - aside };
    (if ra < 360.0 { ra } else { 0.0 }, uniform(draws).1)
}

/// Degrees of a direction, of any length.
fn position(UnitVector { x, y, z }: UnitVector) -> (f64, f64) {
    let ra = libm::atan2(y, x).to_degrees();
    let ra = if ra < 0.0 { ra + 360.0 } else { ra };
    let decl = libm::atan2(z, libm::hypot(x, y)).to_degrees();
    (if ra < 360.0 { ra } else { 0.0 }, decl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sphere_is_populated() {
        let sky = Sky::new(20_000, 1, None).unwrap();
        let all: Vec<Detection> = (0..sky.rows()).map(|row| sky.source(row)).collect();
        let count =
            |of: &dyn Fn(&Detection) -> bool| all.iter().filter(|source| of(source)).count();
        assert_eq!(count(&|s| (0.0..360.0).contains(&s.ra) && s.decl.abs() <= 90.0), all.len());
        assert!(count(&|s| s.decl.abs() >= 90.0) > 0);
        assert!(count(&|s| s.decl > 89.0) > 50 && count(&|s| s.decl < -89.0) > 50);
        assert!(count(&|s| s.ra < 0.01) > 50 && count(&|s| s.ra > 359.99) > 50);
        assert!(count(&|s| s.ra <= 0.0) > 0);
        let galactic = |s: &Detection| Frame::Galactic.from_equatorial(s.ra, s.decl).1.abs();
        // 60 % of a Laplace law within its scale, and 14 % of the others
        let near = count(&|s| galactic(s) < PLANE_DEG) as f64 / all.len() as f64;
        assert!((near - (0.6 * 0.632 + 0.4 * 0.139)).abs() < 0.05, "{near}");
    }

    #[test]
    fn senseless_numbers_of_rows_are_refused() {
        let message = Sky::new(0, 1, None).unwrap_err().to_string();
        assert_eq!(message, "rows is 0, expected 1 to 1099511627776");
    }
}
