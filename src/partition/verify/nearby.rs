//! Margins by brute force: some own rows near borders, each compared with every other row.
//!
//! It knows nothing of windows, reaches and neighbours, only angles between positions, so it checks
//! the code that makes margins. Every own row is offered to a [`Choice`]; the [`Samples`] then see
//! every own row once more and note which of them must be in the margins of the samples' blocks; last
//! they see every margin row, and [`Samples::lacking`] lists what was missing. Positions are degrees
//! in one frame, with longitudes in `[0, 360)`; rows are known by their block and the bits of their
//! position, and counted, since several may lie on one place.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::grid::{Bounds, UnitVector};

/// Samples of a dataset.
const SAMPLES: usize = 256;
/// Places noted for a sample: a dense field may have millions.
const NOTED: usize = 256;

/// Own rows near the border of their block, the same ones in any order of rows.
pub(super) struct Choice {
    /// Bounds and margin radius of each block.
    blocks: Vec<(Bounds, f64)>,
    /// By a hash of the row.
    chosen: BTreeMap<u64, Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    block: u32,
    lat_deg: f64,
    direction: UnitVector,
    noted: usize,
}

impl Choice {
    /// No rows yet, of blocks with these bounds and margin radii in degrees.
    pub(super) fn new(blocks: Vec<(Bounds, f64)>) -> Self {
        Self { blocks, chosen: BTreeMap::new() }
    }

    /// Takes an own row of `block`, if it is near the border and its hash is among the lowest.
    pub(super) fn offer(&mut self, block: u32, lon_deg: f64, lat_deg: f64) {
        let Some((bounds, radius_deg)) = self.blocks.get(block as usize) else { return };
        // Bounds may begin below 0, positions do not.
        let lon = if lon_deg > bounds.lon_max { lon_deg - 360.0 } else { lon_deg };
        let across = (lon - bounds.lon_min).min(bounds.lon_max - lon) * lat_deg.to_radians().cos();
        let along = (lat_deg - bounds.lat_min).min(bounds.lat_max - lat_deg);
        if across.min(along) > *radius_deg {
            return;
        }
        let mut hasher = DefaultHasher::new();
        (block, lon_deg.to_bits(), lat_deg.to_bits()).hash(&mut hasher);
        let hash = hasher.finish();
        let last = self.chosen.last_key_value().map(|(last, _)| *last);
        if self.chosen.len() < SAMPLES || last.is_some_and(|last| hash < last) {
            let direction = UnitVector::from_degrees(lon_deg, lat_deg);
            self.chosen.insert(hash, Sample { block, lat_deg, direction, noted: 0 });
            if self.chosen.len() > SAMPLES {
                self.chosen.pop_last();
            }
        }
    }

    /// The rows that were chosen.
    pub(super) fn samples(self) -> Samples {
        let radii: Vec<f64> = self.blocks.iter().map(|(_, radius_deg)| *radius_deg).collect();
        let mut samples: Vec<Sample> = self.chosen.into_values().collect();
        samples.sort_by(|a, b| a.lat_deg.total_cmp(&b.lat_deg));
        let widest = samples.iter().map(|sample| radii[sample.block as usize]);
        let widest = widest.fold(0.0, f64::max);
        Samples { samples, radii, widest, places: HashMap::new(), pairs: 0 }
    }
}

/// Rows that must be in margins, and how many of them are not.
pub(super) struct Samples {
    /// By latitude.
    samples: Vec<Sample>,
    radii: Vec<f64>,
    widest: f64,
    /// Rows that the margin of a block must hold at a place, less those it holds.
    places: HashMap<(u32, u64, u64), i64>,
    pairs: u64,
}

/// A place that a margin does not hold as it must.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lacking {
    /// The block whose margin it is.
    pub(super) block: u32,
    /// The longitude, in degrees.
    pub(super) lon_deg: f64,
    /// The latitude, in degrees.
    pub(super) lat_deg: f64,
    /// Rows that are not there; below 0 those that are there too often.
    pub(super) rows: i64,
}

impl Samples {
    /// How many rows are compared with all others.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether no row is near a border.
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Rows of other blocks that were found within the radius of a sample's block.
    pub(super) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Compares an own row of `block` with the samples of other blocks.
    pub(super) fn own_row(&mut self, block: u32, lon_deg: f64, lat_deg: f64) {
        let from = self.samples.partition_point(|s| s.lat_deg < lat_deg - self.widest);
        let to = self.samples.partition_point(|s| s.lat_deg <= lat_deg + self.widest);
        if from == to {
            return;
        }
        let direction = UnitVector::from_degrees(lon_deg, lat_deg);
        let mut held: Vec<u32> = Vec::new();
        for sample in &mut self.samples[from..to] {
            let of = sample.block;
            if of == block || held.contains(&of) {
                continue;
            }
            if direction.angle_deg(sample.direction) > self.radii[of as usize] {
                continue;
            }
            let place = (of, lon_deg.to_bits(), lat_deg.to_bits());
            if let Some(rows) = self.places.get_mut(&place) {
                *rows += 1;
            } else if sample.noted < NOTED {
                sample.noted += 1;
                self.places.insert(place, 1);
            } else {
                continue;
            }
            self.pairs += 1;
            held.push(of);
        }
    }

    /// Sees a row in the margin of `block`.
    pub(super) fn margin_row(&mut self, block: u32, lon_deg: f64, lat_deg: f64) {
        if let Some(rows) = self.places.get_mut(&(block, lon_deg.to_bits(), lat_deg.to_bits())) {
            *rows -= 1;
        }
    }

    /// The places where rows are not there, or too often, by block.
    pub(super) fn lacking(&self) -> Vec<Lacking> {
        let wrong = self.places.iter().filter(|(_, rows)| **rows != 0);
        let mut lacking: Vec<Lacking> = wrong
            .map(|((block, lon, lat), rows)| Lacking {
                block: *block,
                lon_deg: f64::from_bits(*lon),
                lat_deg: f64::from_bits(*lat),
                rows: *rows,
            })
            .collect();
        lacking.sort_by(|a, b| {
            let place = |of: &Lacking| (of.block, of.lon_deg.to_bits(), of.lat_deg.to_bits());
            place(a).cmp(&place(b))
        });
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEST: Bounds = Bounds { lon_min: -10.0, lon_max: 0.0, lat_min: 80.0, lat_max: 90.0 };
    const EAST: Bounds = Bounds { lon_min: 0.0, lon_max: 350.0, lat_min: 80.0, lat_max: 90.0 };

    /// Rows beside 0/360, one across the pole, and one far from all borders.
    const ROWS: [(u32, f64, f64); 5] =
        [(0, 359.9, 85.0), (1, 0.1, 85.0), (0, 355.0, 89.99), (1, 175.0, 89.99), (1, 170.0, 80.5)];

    fn seen(margins: &[(u32, f64, f64)]) -> Samples {
        let mut choice = Choice::new(vec![(WEST, 0.1), (EAST, 0.1)]);
        ROWS.iter().for_each(|(block, lon, lat)| choice.offer(*block, *lon, *lat));
        let mut samples = choice.samples();
        ROWS.iter().for_each(|(block, lon, lat)| samples.own_row(*block, *lon, *lat));
        margins.iter().for_each(|(block, lon, lat)| samples.margin_row(*block, *lon, *lat));
        samples
    }

    #[test]
    fn neighbours_are_found_across_0_360_and_the_pole() {
        let whole = [(0, 0.1, 85.0), (0, 175.0, 89.99), (1, 359.9, 85.0), (1, 355.0, 89.99)];
        let samples = seen(&whole);
        assert_eq!((samples.lacking(), samples.pairs()), (Vec::new(), 4));
        let lacking = |margins: &[_]| -> Vec<(u32, i64)> {
            seen(margins).lacking().iter().map(|place| (place.block, place.rows)).collect()
        };
        assert_eq!(lacking(&whole[1..]), [(0, 1)]);
        assert_eq!(lacking(&[&whole[..], &whole[3..]].concat()), [(1, -1)], "held twice");
    }

    #[test]
    fn the_same_rows_are_chosen_in_any_order() {
        let rows: Vec<(u32, f64, f64)> =
            (0..2000).map(|i| (1, 0.01 + 1e-6 * f64::from(i), 85.0)).collect();
        let chosen = |rows: &mut dyn Iterator<Item = &(u32, f64, f64)>| {
            let mut choice = Choice::new(vec![(WEST, 0.1), (EAST, 0.1)]);
            rows.for_each(|(block, lon, lat)| choice.offer(*block, *lon, *lat));
            choice.chosen.into_keys().collect::<Vec<_>>()
        };
        let forward = chosen(&mut rows.iter());
        assert_eq!(forward.len(), SAMPLES);
        assert_eq!(forward, chosen(&mut rows.iter().rev()));
    }
}
