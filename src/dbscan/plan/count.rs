//! Rows and cost of any box of cells, in constant time: sums over all cells before a corner.

use super::cells::{CellGrid, next_cell};

/// What the cost of a cell follows from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CostModel {
    pub(crate) eps: f64,
    pub(crate) min_points: usize,
}

/// The counts of a grid, summed up.
pub(crate) struct SummedCells<const D: usize> {
    shape: [usize; D],
    side: f64,
    /// Rows, and cost, of all cells below each corner; the shape is one wider on every axis.
    rows: Vec<u64>,
    cost: Vec<f64>,
}

impl<const D: usize> SummedCells<D> {
    /// Sums up `counts`, the rows of each cell of `grid`.
    pub(crate) fn new(grid: &CellGrid<D>, counts: Vec<u64>, model: &CostModel) -> Self {
        let shape = grid.shape();
        let wide: [usize; D] = shape.map(|cells| cells + 1);
        let mut sums = Self {
            shape,
            side: grid.side(),
            rows: vec![0; wide.iter().product()],
            cost: vec![0.0; wide.iter().product()],
        };
        let mut at = [0; D];
        for count in counts {
            let corner = sums.corner(at.map(|i| i + 1));
            sums.rows[corner] = count;
            sums.cost[corner] = cost::<D>(count, sums.side, model);
            next_cell(&mut at, &shape);
        }
        for k in 0..D {
            let stride: usize = wide[k + 1..].iter().product();
            let mut at = [0; D];
            for corner in 0..sums.rows.len() {
                if at[k] > 0 {
                    sums.rows[corner] += sums.rows[corner - stride];
                    sums.cost[corner] += sums.cost[corner - stride];
                }
                next_cell(&mut at, &wide);
            }
        }
        sums
    }

    pub(crate) fn shape(&self) -> [usize; D] {
        self.shape
    }

    /// Cells of the grid.
    pub(crate) fn cells(&self) -> usize {
        self.shape.iter().product()
    }

    /// The side of a cell.
    pub(crate) fn side(&self) -> f64 {
        self.side
    }

    /// The number of a cell.
    pub(crate) fn index(&self, at: [usize; D]) -> usize {
        (0..D).fold(0, |index, k| index * self.shape[k] + at[k])
    }

    fn corner(&self, at: [usize; D]) -> usize {
        (0..D).fold(0, |index, k| index * (self.shape[k] + 1) + at[k])
    }

    /// A sum over the cells `lo..hi`: corners, added and taken away in turn.
    fn sum<T>(&self, lo: [usize; D], hi: [usize; D], mut take: impl FnMut(usize, bool) -> T) {
        for corner in 0..1usize << D {
            let at = std::array::from_fn(|k| if corner >> k & 1 == 1 { lo[k] } else { hi[k] });
            take(self.corner(at), corner.count_ones().is_multiple_of(2));
        }
    }

    /// Rows of the cells `lo..hi`.
    pub(crate) fn rows_of(&self, lo: [usize; D], hi: [usize; D]) -> u64 {
        let mut rows = 0_u64;
        self.sum(lo, hi, |corner, plus| {
            let part = self.rows[corner];
            rows = if plus { rows.wrapping_add(part) } else { rows.wrapping_sub(part) };
        });
        rows
    }

    /// Calls `cell` with each cell that is not empty: its corners and its rows.
    pub(crate) fn each(&self, mut cell: impl FnMut([usize; D], [usize; D], u64)) {
        let mut at = [0; D];
        for _ in 0..self.cells() {
            let end = at.map(|i| i + 1);
            let rows = self.rows_of(at, end);
            if rows > 0 {
                cell(at, end, rows);
            }
            next_cell(&mut at, &self.shape);
        }
    }

    /// Cost of the cells `lo..hi`.
    pub(crate) fn cost_of(&self, lo: [usize; D], hi: [usize; D]) -> f64 {
        let mut cost = 0.0;
        self.sum(lo, hi, |corner, plus| {
            cost += if plus { self.cost[corner] } else { -self.cost[corner] };
        });
        f64::max(cost, 0.0)
    }

    /// Rows of the cells around `lo..hi` that a row within `eps` may be in.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few cells; more than there are is all"
    )]
    pub(crate) fn ring_of(&self, lo: [usize; D], hi: [usize; D], eps: f64) -> u64 {
        let reach = (eps / self.side).ceil() as usize;
        let from = lo.map(|i| i.saturating_sub(reach));
        let to = std::array::from_fn(|k| hi[k].saturating_add(reach).min(self.shape[k]));
        self.rows_of(from, to) - self.rows_of(lo, hi)
    }

    /// The axis and the edge that halve the cost of `lo..hi` best, on the longest side that leaves
    /// two parts at least `least` wide.
    pub(crate) fn halving(
        &self,
        lo: [usize; D],
        hi: [usize; D],
        least: f64,
    ) -> Option<(usize, usize)> {
        let axis = (0..D).max_by_key(|k| (hi[*k] - lo[*k], D - k))?;
        let edges = lo[axis] + 1..hi[axis];
        let wide = |cells: usize| cells as f64 * self.side >= least;
        let half = self.cost_of(lo, hi) / 2.0;
        let off = |at: &usize| {
            let mut left = hi;
            left[axis] = *at;
            (self.cost_of(lo, left) - half).abs()
        };
        let edges = edges.filter(|at| wide(at - lo[axis]) && wide(hi[axis] - at));
        let best = edges.map(|at| (off(&at), at)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, at)| (axis, at))
    }
}

/// What a cell of `count` rows may cost, in distances computed: where local cells are full nothing is
/// computed, else each row looks at its 25 (3-D: 125) cells until it has seen enough.
fn cost<const D: usize>(count: u64, side: f64, model: &CostModel) -> f64 {
    let (eps, enough) = (model.eps, model.min_points as f64);
    let rows = count as f64;
    // Rows of a cell of side eps/√D, if they are spread evenly.
    let local = match D {
        2 => rows * (eps / side).powi(2) / 2.0,
        _ => rows * (eps / side).powi(3) / 5.2,
    };
    let around = if D == 2 { 25.0 } else { 125.0 };
    if local >= enough { 2.0 * rows } else { rows * (1.0 + enough.min(around * local)) }
}
