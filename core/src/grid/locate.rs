//! Where a position lies in a grid: one alone, or a whole batch in vector registers.

use super::base::Grid;
use super::canonical;
use super::edges::{Formula, TWO_TO_52};
use crate::isa::{Isa, Task};

/// A position as the edges of a grid count it, and the base block that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Located {
    pub(super) base: u32,
    /// The longitude after the seam.
    pub(super) lon: f64,
    pub(super) lat: f64,
}

/// What a batch says of a position that has to be asked alone; no base block has this number.
const ASK_ALONE: u32 = u32::MAX;

impl Grid {
    /// Where a position of the grid's frame lies; none if it is unusable ([`canonical`]) or outside.
    #[inline]
    pub fn locate(&self, lon_deg: f64, lat_deg: f64) -> Option<Located> {
        let (lon, lat) = if (0.0..360.0).contains(&lon_deg) {
            (lon_deg, lat_deg)
        } else {
            canonical(lon_deg, lat_deg).ok()?
        };
        let lon = after_seam(lon, self.wrap_from());
        let base =
            self.columns().index_of(lon)? * self.rows().cells() + self.rows().index_of(lat)?;
        Some(Located { base, lon, lat })
    }

    /// [`Self::locate`] of many positions, to the bit.
    pub fn locate_all<'a>(
        &'a self,
        lon_deg: &'a [f64],
        lat_deg: &'a [f64],
    ) -> impl Iterator<Item = Option<Located>> {
        self.locate_with(Isa::best(), lon_deg, lat_deg)
    }

    fn locate_with<'a>(
        &'a self,
        isa: Isa,
        lon_deg: &'a [f64],
        lat_deg: &'a [f64],
    ) -> impl Iterator<Item = Option<Located>> {
        assert_eq!(lon_deg.len(), lat_deg.len(), "a position has two coordinates");
        let mut bases = vec![ASK_ALONE; lon_deg.len()];
        if let (Some(columns), Some(rows)) = (self.columns().formula(), self.rows().formula()) {
            let wrap_from = self.wrap_from();
            isa.run(Bases { columns, rows, wrap_from, of: [lon_deg, lat_deg], to: &mut bases });
        }
        bases.into_iter().zip(lon_deg.iter().zip(lat_deg)).map(|(base, (&lon, &lat))| {
            if base == ASK_ALONE {
                return self.locate(lon, lat);
            }
            Some(Located { base, lon: after_seam(lon, self.wrap_from()), lat })
        })
    }
}

#[inline(always)]
fn after_seam(lon: f64, wrap_from: f64) -> f64 {
    if lon >= wrap_from { lon - 360.0 } else { lon }
}

/// The base block of each position inside the grid whose longitude is in `[0, 360)` as it is.
struct Bases<'a> {
    columns: Formula,
    rows: Formula,
    wrap_from: f64,
    of: [&'a [f64]; 2],
    to: &'a mut [u32],
}

impl Task for Bases<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { columns, rows, wrap_from, of: [lon, lat], to } = self;
        for ((&lon, &lat), base) in lon.iter().zip(lat).zip(to) {
            let (column, in_columns) = columns.index_of(after_seam(lon, wrap_from));
            let (row, in_rows) = rows.index_of(lat);
            // No short cut: a loop without branches is many positions at once.
            let sure = (0.0..360.0).contains(&lon) & in_columns & in_rows;
            let found = whole(column * rows.cells() + row);
            *base = if sure { found } else { ASK_ALONE };
        }
    }
}

/// A whole number of at most 32 bits as an integer: the low bits of its sum with 2^52.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half is the exponent of 2^52")]
fn whole(number: f64) -> u32 {
    (number + TWO_TO_52).to_bits() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Bounds, Frame, GridShape};
    use proptest::prelude::*;

    /// Grids of the whole sky and of parts of it, with a seam and without, some without any width.
    fn grid() -> impl Strategy<Value = Grid> {
        let extent = prop_oneof![Just(0.0), 0.0..1e-12f64, 0.0..90.0f64, Just(180.0)];
        let columns = (prop_oneof![Just(0.0), -180.0..180.0f64], extent.clone(), 1..40_u32);
        let rows = (prop_oneof![Just(-90.0), -90.0..90.0f64], extent, 1..40_u32);
        (columns, rows, any::<bool>()).prop_map(
            |((lon, width, columns), (lat, height, rows), seam)| {
                let (seam, lon_min) = if seam { (180.0, lon) } else { (0.0, lon.abs()) };
                let lon_max = (lon_min + width * 2.0).min(if seam > 0.0 { 180.0 } else { 360.0 });
                let lat_max = (lat + height).min(90.0);
                let bounds = Bounds { lon_min, lon_max, lat_min: lat, lat_max };
                let shape = GridShape::new(columns, rows).unwrap();
                Grid::new(Frame::Equatorial, seam, bounds, shape).unwrap()
            },
        )
    }

    /// Numbers around the edges of an axis, anywhere, and no numbers.
    fn values(edges: &[f64]) -> Vec<f64> {
        let near = edges.iter().flat_map(|x| [*x, x + 360.0, x - 360.0]);
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 90.0, 360.0, 720.0];
        near.chain(odd).flat_map(|x| [x, x.next_up(), x.next_down(), x + 1e-9]).collect()
    }

    proptest! {
        #[test]
        fn many_positions_at_once_lie_where_each_alone_does(
            (grid, position) in grid().prop_flat_map(|grid| {
                let lon = prop::sample::select(values(grid.columns().as_slice()));
                let lat = prop::sample::select(values(grid.rows().as_slice()));
                let lon = prop_oneof![lon, -400.0..800.0f64, 0.0..360.0f64];
                let lat = prop_oneof![lat, -100.0..100.0f64];
                (Just(grid), prop::collection::vec((lon, lat), 0..60))
            }),
        ) {
            let (lon, lat): (Vec<f64>, Vec<f64>) = position.into_iter().unzip();
            let bits = |at: Located| (at.base, at.lon.to_bits(), at.lat.to_bits());
            let alone: Vec<_> =
                lon.iter().zip(&lat).map(|(lon, lat)| grid.locate(*lon, *lat).map(bits)).collect();
            for isa in Isa::available() {
                let all: Vec<_> = grid.locate_with(isa, &lon, &lat).map(|at| at.map(bits)).collect();
                prop_assert_eq!(&all, &alone, "{:?}", isa);
            }
        }
    }
}
