//! The partitioner of 2017, bug for bug: the only place that knows its formulas.
//!
//! Four versions of a PySpark program cut a catalogue into blocks. What they published can be
//! computed again here, with the same bits where the C library has the same `sin`, `cos`, `tan`,
//! `asin` and `atan` (glibc). Its faults, all kept:
//!
//! - The number of blocks comes from two constants, not from the input.
//! - Blocks are closed on both sides; the last edge may lie below the greatest value. A row in no
//!   block goes to block 0 (version 1) or ends the run; one on an edge goes to the lowest id
//!   (version 1) or to every block that holds it.
//! - Margins are 5 % of the step of the grid in flat degrees, for cut blocks too; no 0/360.
//! - The ecliptic formulas take degrees for radians, the second term of the longitude has the
//!   wrong sine and cosine, and the arc sine is not clamped.
//! - Version 4 counts margin rows, cuts into `rows // max` slices, so that a block with less than
//!   twice too many is only renamed, and does so once; its published loop would never end.
//!
//! Units are whatever the formulas make of degrees; see [`ecliptic`]. No operation is fused.

use std::hint::black_box;

use super::stop;
use super::{Bounds, GridShape};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};

/// The part of the step of the grid that a margin is wide.
const MARGIN: f64 = 0.05;

/// "Radians" in the formulas of 2017.
const OBLIQUITY: f64 = 23.439281;

/// How many ids are added when the free ones run out.
const MORE_IDS: u32 = 10;

/// Which of the four programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A plain grid.
    V1,
    /// With margins.
    V2,
    /// In its ecliptic frame.
    V3,
    /// With one round of cutting.
    V4,
}

/// In which order version 4 visits the blocks of version 3: Spark's two partitions or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visit {
    /// Even ids, then odd ones, as published.
    #[default]
    EvenThenOdd,
    /// Ascending ids.
    Ascending,
}

/// The constants of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The program.
    pub version: Version,
    /// The size of the input, as far as the program knows: 5000.
    pub size: u64,
    /// The size of a block: 128.
    pub block: u64,
    /// Rows above which version 4 cuts: 2 in its test, 175000 in production.
    pub max_rows: u64,
    /// The order of visits of version 4.
    pub visit: Visit,
    /// How often version 4 cuts: 1 as published.
    pub rounds: u32,
}

impl Options {
    /// A program with the constants of its test.
    pub const fn of_test(version: Version) -> Self {
        let visit = Visit::EvenThenOdd;
        Self { version, size: 5000, block: 128, max_rows: 2, visit, rounds: 1 }
    }
}

/// A block with its id; closed on all sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedBlock {
    /// Its id; ids have gaps.
    pub id: u32,
    /// Where it lies, in the numbers of the version.
    pub bounds: Bounds,
}

/// A block that version 4 has cut or renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The id that went.
    pub id: u32,
    /// Rows in it and in its margin.
    pub rows: u64,
    /// The ids that came.
    pub parts: Vec<u32>,
}

/// What a run publishes.
#[derive(Debug, Clone)]
pub struct Published {
    /// Columns and rows of the grid.
    pub shape: GridShape,
    /// The positions in the numbers of the version.
    pub positions: Vec<(f64, f64)>,
    /// The blocks in published order.
    pub blocks: Vec<ClosedBlock>,
    /// What version 4 did, in order.
    pub cuts: Vec<Cut>,
    /// Per position the indices of its blocks in `blocks`, ascending.
    pub places: Vec<Vec<usize>>,
}

impl Published {
    /// The ids of the blocks of a position, in published order.
    pub fn ids(&self, position: usize) -> impl Iterator<Item = u32> {
        self.places[position].iter().map(|index| self.blocks[*index].id)
    }

    /// Rows by block, margin rows included, in published order.
    pub fn rows(&self) -> Vec<u64> {
        let mut rows = vec![0; self.blocks.len()];
        self.places.iter().flatten().for_each(|index| rows[*index] += 1);
        rows
    }
}

/// Runs a program on right ascensions and declinations, in degrees as they were read.
///
/// # Errors
/// What ended a run in 2017: no rows, a row in no block (versions 2 to 4), a latitude that the arc
/// sine refuses.
pub fn run(options: &Options, equatorial: &[(f64, f64)]) -> Result<Published> {
    run_unless(&CancelFlag::default(), options, equatorial)
}

/// As [`run`]; an error soon after `stop` is raised.
///
/// # Errors
/// As [`run`].
pub fn run_unless(
    stop: &CancelFlag,
    options: &Options,
    equatorial: &[(f64, f64)],
) -> Result<Published> {
    let shape = GridShape::of_blocks(blocks(options.size, options.block)?)?;
    let positions = if options.version < Version::V3 {
        equatorial.to_vec()
    } else {
        equatorial.iter().map(|(ra, dec)| ecliptic(*ra, *dec, black_box(OBLIQUITY))).collect()
    };
    if let Some((lon, lat)) = positions.iter().find(|(lon, lat)| lon.is_nan() || lat.is_nan()) {
        return Err(Error::data(format!("position {lon}, {lat} ends the program of 2017")));
    }
    let bounds = extent(&positions)
        .ok_or_else(|| Error::data("the input has no rows, expected at least one"))?;
    let lon_step = bounds.width_deg() / f64::from(shape.columns());
    let lat_step = bounds.height_deg() / f64::from(shape.rows());
    let margin = (options.version > Version::V1).then_some((lon_step * MARGIN, lat_step * MARGIN));

    let blocks = base_blocks(&bounds, shape, lon_step, lat_step);
    let places = assign(&positions, &blocks, margin, stop)?;
    let mut outcome = Published { shape, positions, blocks, cuts: Vec::new(), places };
    if options.version == Version::V4 {
        let mut ids = Ids::of(&outcome);
        ids.forget_empty(&mut outcome);
        for _ in 0..options.rounds {
            ids.cut(&mut outcome, options, stop)?;
            outcome.places = assign(&outcome.positions, &outcome.blocks, margin, stop)?;
        }
    }
    Ok(outcome)
}

/// The ecliptic longitude and latitude of 2017: radians of an angle that never was.
///
/// The right second term of the longitude is `cos e tan a`; here both arguments are degrees taken
/// as radians. `obliquity` is an argument so that its sine is the C library's, not the compiler's.
pub fn ecliptic(ra: f64, dec: f64, obliquity: f64) -> (f64, f64) {
    let (sin_e, cos_e) = (obliquity.sin(), obliquity.cos());
    let lon = ((sin_e / ra.cos()) * dec.tan() + (cos_e / ra.cos()) * ra.tan()).atan();
    let lat = (cos_e * dec.sin() - sin_e * ra.sin() * dec.cos()).asin();
    (lon, lat)
}

/// The number of blocks of two constants; 0 and 1 count as prime.
fn blocks(size: u64, block: u64) -> Result<u32> {
    let (Some(quotient), Some(rest)) = (size.checked_div(block), size.checked_rem(block)) else {
        return Err(Error::usage("block is 0, expected at least 1"));
    };
    let blocks = match quotient {
        _ if rest == 0 && !is_prime(quotient) => quotient,
        _ if rest != 0 && is_prime(quotient + 1) => quotient + 2,
        _ => quotient + 1,
    };
    u32::try_from(blocks)
        .map_err(|cause| Error::usage(format!("size is {size}: too many blocks: {cause}")))
}

fn is_prime(number: u64) -> bool {
    number < 2
        || (2..)
            .take_while(|factor| factor * factor <= number)
            .all(|factor| !number.is_multiple_of(factor))
}

fn extent(positions: &[(f64, f64)]) -> Option<Bounds> {
    let (first, rest) = positions.split_first()?;
    let one = Bounds { lon_min: first.0, lon_max: first.0, lat_min: first.1, lat_max: first.1 };
    Some(rest.iter().fold(one, |all, (lon, lat)| Bounds {
        lon_min: all.lon_min.min(*lon),
        lon_max: all.lon_max.max(*lon),
        lat_min: all.lat_min.min(*lat),
        lat_max: all.lat_max.max(*lat),
    }))
}

/// Column by column. The last edge is computed as all others are, and may miss the maximum.
fn base_blocks(
    bounds: &Bounds,
    shape: GridShape,
    lon_step: f64,
    lat_step: f64,
) -> Vec<ClosedBlock> {
    let at = |min: f64, index: u32, step: f64| min + f64::from(index) * step;
    (0..shape.blocks())
        .map(|id| {
            let (column, row) = (id / shape.rows(), id % shape.rows());
            let bounds = Bounds {
                lon_min: at(bounds.lon_min, column, lon_step),
                lon_max: at(bounds.lon_min, column + 1, lon_step),
                lat_min: at(bounds.lat_min, row, lat_step),
                lat_max: at(bounds.lat_min, row + 1, lat_step),
            };
            ClosedBlock { id, bounds }
        })
        .collect()
}

/// The blocks of every position: with a margin all that hold it, else the first one, or block 0.
fn assign(
    positions: &[(f64, f64)],
    blocks: &[ClosedBlock],
    margin: Option<(f64, f64)>,
    stop: &CancelFlag,
) -> Result<Vec<Vec<usize>>> {
    let (lon_margin, lat_margin) = margin.unwrap_or_default();
    let windows: Vec<Bounds> = blocks
        .iter()
        .map(|ClosedBlock { bounds, .. }| Bounds {
            lon_min: bounds.lon_min - lon_margin,
            lon_max: bounds.lon_max + lon_margin,
            lat_min: bounds.lat_min - lat_margin,
            lat_max: bounds.lat_max + lat_margin,
        })
        .collect();
    positions
        .iter()
        .map(|(lon, lat)| {
            // There may be a million windows.
            stop::check(stop, 0)?;
            let mut holding = (0..windows.len()).filter(|index| windows[*index].holds(*lon, *lat));
            if margin.is_none() {
                return Ok(vec![holding.next().unwrap_or(0)]);
            }
            let places: Vec<usize> = holding.collect();
            if places.is_empty() {
                return Err(Error::data(format!(
                    "position {lon}, {lat} is in no block, which ends the program of 2017"
                )));
            }
            Ok(places)
        })
        .collect()
}

/// The ids that version 4 can give away, first in, first out.
struct Ids {
    free: std::collections::VecDeque<u32>,
    /// The ids that were ever given are below this.
    known: u32,
}

impl Ids {
    /// Those of blocks without rows.
    fn of(outcome: &Published) -> Self {
        let free = outcome
            .blocks
            .iter()
            .zip(outcome.rows())
            .filter(|(_, rows)| *rows == 0)
            .map(|(block, _)| block.id)
            .collect();
        Self { free, known: outcome.shape.blocks() }
    }

    /// Drops the blocks without rows. The places are those of the blocks that stay.
    fn forget_empty(&self, outcome: &mut Published) {
        let rows = outcome.rows();
        let mut index_now = Vec::with_capacity(rows.len());
        let mut kept = 0;
        for count in &rows {
            index_now.push(kept);
            kept += usize::from(*count > 0);
        }
        outcome.places.iter_mut().flatten().for_each(|index| *index = index_now[*index]);
        let mut count = rows.into_iter();
        outcome.blocks.retain(|_| count.next().is_some_and(|rows| rows > 0));
    }

    /// The next id.
    fn take(&mut self) -> u32 {
        if self.free.is_empty() {
            self.free.extend(self.known..self.known + MORE_IDS);
            self.known += MORE_IDS;
        }
        self.free.pop_front().expect("ids were just added")
    }

    /// One round: cuts every block above the limit into `rows // max` slices of longitude.
    fn cut(&mut self, outcome: &mut Published, options: &Options, stop: &CancelFlag) -> Result<()> {
        let mut visits: Vec<(u32, u64)> =
            outcome.blocks.iter().map(|block| block.id).zip(outcome.rows()).collect();
        visits.retain(|(_, rows)| *rows > options.max_rows);
        visits.sort_unstable_by_key(|(id, _)| match options.visit {
            Visit::EvenThenOdd => (id % 2, *id),
            Visit::Ascending => (0, *id),
        });
        for (id, rows) in visits {
            stop::check(stop, 0)?;
            let whole = outcome.blocks.iter().position(|block| block.id == id);
            let whole = outcome.blocks.remove(whole.expect("ids are unique")).bounds;
            let parts = rows / options.max_rows;
            let width = whole.width_deg() / parts as f64;
            let mut cut = Cut { id, rows, parts: Vec::new() };
            for part in 0..parts {
                let lon_min = whole.lon_min + part as f64 * width;
                let bounds = Bounds { lon_min, lon_max: lon_min + width, ..whole };
                let id = self.take();
                outcome.blocks.push(ClosedBlock { id, bounds });
                cut.parts.push(id);
            }
            self.free.push_back(id);
            outcome.cuts.push(cut);
        }
        Ok(())
    }
}
