//! Rows sorted by cell.
//!
//! The side of a cell is eps/√D, less a hair: rows of one cell are near each other, and near rows
//! are at most two cells apart on each axis. The hair, 2^-16, is wider than any rounding of an index
//! below 2^32 (2^-19), so both hold for the computed d² and the computed index.

use std::ops::Range;

use super::density::Density;
use super::hull::Hull;
use super::radix;
use super::watch::Watch;
use crate::error::{Error, Kind, Result};

/// Rows of a block, so that a row number, a flag and a label's kind fit 32 bits.
const MAX_ROWS: usize = 1 << 30;
/// Cells along one axis; some are left so that a neighbour's index never wraps.
const MAX_WIDTH: f64 = 4_294_967_280.0;
/// Indices begin here: two cells before the first one still have an index.
const FIRST: u32 = 2;

/// The position of a cell on each axis. Cells are in the order of these, the last axis fastest.
pub(super) type Index<const D: usize> = [u32; D];

/// An index as one number: neighbours are a fixed difference away.
#[inline]
pub(super) fn key<const D: usize>(index: Index<D>) -> i128 {
    index.iter().fold(0, |key, part| (key << 32) | i128::from(*part))
}

/// The rows of a block in the order of their cells, by column, and the cells that are not empty.
///
/// Within a cell own rows come first, each kind in the order of the input.
pub(super) struct Cells<const D: usize> {
    columns: [Vec<f64>; D],
    /// Position in the input.
    order: Vec<u32>,
    own: u32,
    /// Where each cell begins, and the end.
    starts: Vec<u32>,
    index: Vec<Index<D>>,
}

impl<const D: usize> Cells<D> {
    /// Sorts `rows`, the first `own` of them own rows; `None` once it has been asked to stop.
    pub(super) fn sort(
        rows: Vec<[f64; D]>,
        own: usize,
        density: &Density,
        watch: Watch<'_>,
    ) -> Result<Option<Self>> {
        if rows.len() > MAX_ROWS {
            return Err(Error::new(
                Kind::Limit,
                format!("a block has {} rows, expected at most {MAX_ROWS}: split it", rows.len()),
            ));
        }
        let grid = CellIndexer::over(&rows, density)?;
        let Some(sorted) = grid.sort(&rows, watch) else { return Ok(None) };
        let order: Vec<u32> = sorted.iter().map(|item| row_of(*item)).collect();
        drop(sorted);
        let mut columns = std::array::from_fn(|_| Vec::new());
        for (k, column) in columns.iter_mut().enumerate() {
            if watch.is_stopped() {
                return Ok(None);
            }
            // Adding zero turns -0.0 into 0.0.
            *column = order.iter().map(|row| rows[*row as usize][k] + 0.0).collect();
        }
        drop(rows);
        let own = u32::try_from(own).expect("rows are at most 2^30");
        let mut cells = Self { columns, order, own, starts: Vec::new(), index: Vec::new() };
        Ok(cells.divide(&grid, watch).map(|()| cells))
    }

    /// Finds where cells begin.
    fn divide(&mut self, grid: &CellIndexer<D>, watch: Watch<'_>) -> Option<()> {
        let rows = self.order.len();
        let index_at = |i: usize| grid.index_of(&std::array::from_fn(|k| self.columns[k][i]));
        let begins = |i: &usize| *i == 0 || index_at(*i) != index_at(*i - 1);
        let cells = (0..rows).filter(begins).count();
        watch.tick()?;
        let mut starts = Vec::with_capacity(cells + 1);
        let mut index = Vec::with_capacity(cells);
        for i in (0..rows).filter(begins) {
            starts.push(position(i));
            index.push(index_at(i));
        }
        starts.push(position(rows));
        (self.starts, self.index) = (starts, index);
        Some(())
    }

    /// Cells that are not empty.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The position of every cell, rising.
    pub(super) fn index(&self) -> &[Index<D>] {
        &self.index
    }

    /// The rows of the cells `cells`.
    #[inline]
    pub(super) fn rows_of(&self, cells: Range<usize>) -> Range<usize> {
        self.starts[cells.start] as usize..self.starts[cells.end] as usize
    }

    /// The coordinates of `rows`.
    #[inline]
    pub(super) fn columns(&self, rows: Range<usize>) -> [&[f64]; D] {
        std::array::from_fn(|k| &self.columns[k][rows.clone()])
    }

    /// The coordinates of one row.
    #[inline]
    pub(super) fn place(&self, row: usize) -> [f64; D] {
        std::array::from_fn(|k| self.columns[k][row])
    }

    /// The box around `rows`, of which there is at least one.
    pub(super) fn hull(&self, rows: Range<usize>) -> Hull<D> {
        Hull::around(&self.columns(rows))
    }

    /// Own rows of the block.
    pub(super) fn own(&self) -> usize {
        self.own as usize
    }

    /// The position of a row in the input.
    #[inline]
    pub(super) fn input(&self, row: usize) -> u32 {
        self.order[row]
    }

    /// Whether the row is one of the block's own, and not of its margin.
    #[inline]
    pub(super) fn is_own(&self, row: usize) -> bool {
        self.input(row) < self.own
    }

    /// Moves the rows of a cell that are `chosen` to its front; how many there are.
    pub(super) fn bring_forward(&mut self, rows: Range<usize>, chosen: &[bool]) -> usize {
        let mut front = rows.start;
        for row in rows.clone() {
            if chosen[row] {
                if front != row {
                    self.order.swap(front, row);
                    self.columns.iter_mut().for_each(|column| column.swap(front, row));
                }
                front += 1;
            }
        }
        front - rows.start
    }
}

/// A row number or a cell number; both are below 2^30.
#[inline]
pub(super) fn position(i: usize) -> u32 {
    u32::try_from(i).expect("rows and cells are at most 2^30")
}

/// The lower half of an item that is sorted: the row.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn row_of(item: u64) -> u32 {
    item as u32
}

/// Where cells lie.
struct CellIndexer<const D: usize> {
    lo: [f64; D],
    /// Cells in a unit of length.
    cells_per_unit: f64,
    /// The largest index on each axis.
    last: Index<D>,
}

impl<const D: usize> CellIndexer<D> {
    fn over(rows: &[[f64; D]], density: &Density) -> Result<Self> {
        let (mut lo, mut hi) = ([f64::INFINITY; D], [f64::NEG_INFINITY; D]);
        for (number, row) in rows.iter().enumerate() {
            for k in 0..D {
                if !row[k].is_finite() {
                    return Err(Error::data(format!(
                        "row {number} of a block has coordinate {}, expected a finite number: \
                         leave such rows out and count them as skipped",
                        row[k]
                    )));
                }
                lo[k] = lo[k].min(row[k]);
                hi[k] = hi[k].max(row[k]);
            }
        }
        let side = density.eps() / (D as f64).sqrt() * (1.0 - 2f64.powi(-16));
        let mut grid = Self { lo, cells_per_unit: side.recip(), last: [FIRST; D] };
        if rows.is_empty() {
            return Ok(grid);
        }
        for k in 0..D {
            if (hi[k] - lo[k]) * grid.cells_per_unit >= MAX_WIDTH {
                return Err(Error::new(
                    Kind::Limit,
                    format!(
                        "eps is {:e}, too small for a block from {:e} to {:e}, which would be over \
                         2^32 cells wide: pass a larger eps",
                        density.eps(),
                        lo[k],
                        hi[k]
                    ),
                ));
            }
        }
        grid.last = grid.index_of(&hi);
        Ok(grid)
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounding down a number in 0..2^32 is what is wanted"
    )]
    fn index_of(&self, row: &[f64; D]) -> Index<D> {
        std::array::from_fn(|k| ((row[k] - self.lo[k]) * self.cells_per_unit) as u32 + FIRST)
    }

    /// The rows in the order of their cells, in the lower halves of the items.
    fn sort(&self, rows: &[[f64; D]], watch: Watch<'_>) -> Option<Vec<u64>> {
        let mut items: Vec<u64> = (0..rows.len() as u64).collect();
        let mut scratch = vec![0; items.len()];
        let width = |k: usize| u32::BITS - self.last[k].leading_zeros();
        // As many of the last axes at a time as fit the upper half of an item.
        let mut end = D;
        while end > 0 {
            let (mut start, mut bits) = (end - 1, width(end - 1));
            while start > 0 && bits + width(start - 1) <= u32::BITS {
                start -= 1;
                bits += width(start);
            }
            for item in &mut items {
                let row = row_of(*item);
                let index = self.index_of(&rows[row as usize]);
                let parts = start..end;
                let key = parts.fold(0, |key, k| (key << width(k)) | u64::from(index[k]));
                *item = (key << 32) | u64::from(row);
            }
            radix::sort(&mut items, &mut scratch, 32..32 + bits, watch)?;
            end = start;
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    fn sorted<const D: usize>(rows: &[[f64; D]], eps: f64) -> Result<Cells<D>> {
        let (density, stop) = (Density::new(eps, 1).unwrap(), AtomicBool::new(false));
        let cells = Cells::sort(rows.to_vec(), rows.len(), &density, Watch::new(&stop))?;
        Ok(cells.expect("nothing stops it"))
    }

    #[test]
    fn rows_of_a_cell_are_together_and_in_the_order_of_the_input() {
        let rows = [[9.0, 9.0], [0.0, 0.0], [0.1, 0.1], [9.1, 9.1], [0.2, 0.0]];
        let cells = sorted(&rows, 1.0).unwrap();
        let inputs: Vec<_> = (0..rows.len()).map(|row| cells.input(row)).collect();
        assert_eq!((inputs, cells.len()), (vec![1, 2, 4, 0, 3], 2));
        assert_eq!(cells.rows_of(1..2), 3..5);
    }

    #[test]
    fn axes_too_wide_for_one_sort_are_sorted_one_after_the_other() {
        // 2^30 cells on each of three axes: no two of them fit 32 bits.
        let far = f64::from(1 << 29);
        let rows: Vec<[f64; 3]> = (0..8u8)
            .rev()
            .map(|i| [i >> 2, (i >> 1) & 1, i & 1].map(|b| f64::from(b) * far))
            .collect();
        let cells = sorted(&rows, 1.0).unwrap();
        let keys: Vec<_> = cells.index().iter().map(|index| key(*index)).collect();
        assert!(keys.is_sorted() && keys.len() == 8, "{keys:?}");
        assert_eq!(
            (0..8).map(|row| cells.input(row)).collect::<Vec<_>>(),
            [7, 6, 5, 4, 3, 2, 1, 0]
        );
    }

    /// Steps of a walk, in eps: across a cell, to the edge of what is near, a hair more.
    fn steps<const D: usize>() -> impl Strategy<Value = Vec<[f64; D]>> {
        let side = 1.0 / (D as f64).sqrt();
        let step = prop_oneof![
            Just(0.0),
            Just(1.0),
            Just(side),
            Just(side * (1.0 - 2f64.powi(-16))),
            Just(1.0 + f64::EPSILON),
            0.0..1.2f64,
        ];
        let step = prop_oneof![Just([side; D]), prop::array::uniform::<_, D>(step)];
        prop::collection::vec(step, 1..40)
    }

    /// Rows along a walk, the first of them `far` away from the others.
    fn check<const D: usize>(eps: f64, far: f64, steps: &[[f64; D]]) {
        let mut at = [far; D];
        let mut rows = vec![[0.0; D]];
        for step in steps {
            at = std::array::from_fn(|k| (at[k] + step[k] * eps) % (far + 5.0 * eps));
            at = at.map(|x| x.max(far));
            rows.push(at);
        }
        let eps_squared = eps * eps;
        let cells = sorted(&rows, eps).unwrap();
        let cell_of = |row: usize| {
            (0..cells.len()).find(|cell| cells.rows_of(*cell..cell + 1).contains(&row)).unwrap()
        };
        for a in 0..rows.len() {
            for b in 0..a {
                let near = Hull::at(cells.place(a)).nearest(&cells.place(b)) <= eps_squared;
                let [a, b] = [a, b].map(|row| cells.index()[cell_of(row)]);
                assert!(near || a != b, "rows of a cell are near each other");
                assert!(
                    !near || (0..D).all(|k| a[k].abs_diff(b[k]) <= 2),
                    "near rows are in reach"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_cell_holds_near_rows_and_near_rows_are_at_most_two_cells_apart(
            eps in prop_oneof![Just(1.0), Just(0.1), 0.01..10.0f64],
            cells_away in prop_oneof![Just(0.0), (0..4_000_000_000u32).prop_map(f64::from)],
            flat in steps::<2>(),
            deep in steps::<3>(),
        ) {
            check(eps, cells_away * eps / 2f64.sqrt(), &flat);
            check(eps, cells_away * eps / 3f64.sqrt(), &deep);
        }
    }

    #[test]
    fn minus_zero_is_zero() {
        let cells = sorted(&[[-0.0, 0.0]], 1.0).unwrap();
        assert_eq!(cells.place(0)[0].to_bits(), 0);
    }

    #[test]
    fn a_coordinate_that_is_not_finite_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = sorted(&[[0.0, 0.0], [1.0, bad]], 1.0).err().unwrap();
            assert!(
                error.to_string().starts_with(&format!("row 1 of a block has coordinate {bad}"))
            );
        }
    }

    #[test]
    fn an_eps_too_small_for_the_width_is_refused_and_for_one_place_is_not() {
        let error = sorted(&[[1e3, 0.0], [2e3, 0.0]], 1e-13).err().unwrap();
        assert_eq!(error.kind(), Kind::Limit);
        assert!(error.to_string().starts_with("eps is 1e-13, too small"), "{error}");
        assert!(sorted(&[[1e3, 0.0], [1e3, 0.0]], 1e-13).is_ok());
        assert!(sorted(&[[-1e308, 0.0], [1e308, 0.0]], 1e100).is_err());
    }
}
