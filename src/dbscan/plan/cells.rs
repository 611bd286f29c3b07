//! Boxes, and grids of equal cells over them, by which rows are counted.
//!
//! A row is in a box by comparing with its edges, `lo <= x < hi`, everywhere. Whether a box may hold a
//! row within eps is decided by the distance of the row to it, in the expression of d²: never a no too
//! much, by monotony of rounding. NaN does not occur here.

/// Cells of a grid at most: about a row each, between these.
const MAX_CELLS: (usize, usize) = (1 << 12, 1 << 20);
/// A box `[lo, hi)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Region<const D: usize> {
    /// The lower corner; may be minus infinity.
    pub(crate) lo: [f64; D],
    /// The upper corner; may be infinity.
    pub(crate) hi: [f64; D],
}

impl<const D: usize> Region<D> {
    /// All of space.
    pub(crate) const EVERYWHERE: Self = Self { lo: [f64::NEG_INFINITY; D], hi: [f64::INFINITY; D] };

    /// No row here is nearer to `p` than this (squared): as d² is computed.
    #[inline]
    pub(crate) fn nearest(&self, p: &[f64; D]) -> f64 {
        let gap = |k: usize| {
            let gap = if self.lo[k] > p[k] { self.lo[k] - p[k] } else { p[k] - self.hi[k] };
            if gap > 0.0 { gap } else { 0.0 }
        };
        (1..D).fold(gap(0) * gap(0), |sum, k| sum + gap(k) * gap(k))
    }

    /// No two rows of the two boxes are nearer than this (squared).
    pub(crate) fn nearest_between(&self, other: &Self) -> f64 {
        let gap = |k: usize| (self.lo[k] - other.hi[k]).max(other.lo[k] - self.hi[k]).max(0.0);
        (1..D).fold(gap(0) * gap(0), |sum, k| sum + gap(k) * gap(k))
    }

    /// Whether a row of this box may be within `eps` of a row outside it; a yes too often is safe.
    #[inline]
    pub(crate) fn is_edge(&self, p: &[f64; D], eps: f64) -> bool {
        let reach = eps * (1.0 + 2f64.powi(-20));
        (0..D).any(|k| p[k] - self.lo[k] <= reach || self.hi[k] - p[k] <= reach)
    }
}

/// Equal cells over a box; the first and last of each axis reach to the edge of the region.
#[derive(Debug, Clone)]
pub(crate) struct CellGrid<const D: usize> {
    region: Region<D>,
    lo: [f64; D],
    side: f64,
    /// The lower edge of each cell but the first, axis by axis.
    edges: [Vec<f64>; D],
}

impl<const D: usize> CellGrid<D> {
    /// A grid of one cell, which is all of `region`.
    pub(crate) fn one_cell(region: Region<D>) -> Self {
        Self { region, lo: [0.0; D], side: 1.0, edges: std::array::from_fn(|_| Vec::new()) }
    }

    /// A grid over this many rows from `lo` to `hi`, all in `region`, with cells of half an eps or
    /// larger.
    pub(crate) fn over(
        region: Region<D>,
        (lo, hi): ([f64; D], [f64; D]),
        rows: u64,
        eps: f64,
    ) -> Self {
        let widest = (0..D).map(|k| hi[k] - lo[k]).fold(0.0, f64::max);
        // No smaller than can be told apart near the largest coordinate.
        let far = (0..D).map(|k| lo[k].abs().max(hi[k].abs())).fold(0.0, f64::max);
        let most = usize::try_from(rows).unwrap_or(usize::MAX);
        let most = most.clamp(MAX_CELLS.0, MAX_CELLS.1);
        let mut side = (eps / 2.0).max(far * 1e-15).max(widest / most as f64);
        while cells_of(&lo, &hi, side).iter().product::<usize>() > most {
            side *= 1.125;
        }
        let cells = cells_of(&lo, &hi, side);
        let edges = std::array::from_fn(|k| {
            (1..cells[k]).map(|i| lo[k] + side * i as f64).collect::<Vec<_>>()
        });
        Self { region, lo, side, edges }
    }

    pub(crate) fn side(&self) -> f64 {
        self.side
    }

    /// Cells along each axis.
    pub(crate) fn shape(&self) -> [usize; D] {
        std::array::from_fn(|k| self.edges[k].len() + 1)
    }

    pub(crate) fn cells(&self) -> usize {
        self.shape().iter().product()
    }

    /// The cell of a row of the region, first axis slowest.
    #[inline]
    pub(crate) fn cell_of(&self, p: &[f64; D]) -> usize {
        let mut cell = 0;
        for (k, x) in p.iter().copied().enumerate() {
            let edges = &self.edges[k];
            let mut index = guess((x - self.lo[k]) / self.side).min(edges.len());
            // The edges decide.
            while index > 0 && x < edges[index - 1] {
                index -= 1;
            }
            while index < edges.len() && x >= edges[index] {
                index += 1;
            }
            cell = cell * (edges.len() + 1) + index;
        }
        cell
    }

    /// The region of the cells `lo..hi`.
    pub(crate) fn region(&self, lo: [usize; D], hi: [usize; D]) -> Region<D> {
        let edge = |k: usize, i: usize| match i {
            0 => self.region.lo[k],
            i if i > self.edges[k].len() => self.region.hi[k],
            i => self.edges[k][i - 1],
        };
        Region {
            lo: std::array::from_fn(|k| edge(k, lo[k])),
            hi: std::array::from_fn(|k| edge(k, hi[k])),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a guess; below zero it is zero"
)]
fn guess(cells: f64) -> usize {
    cells as usize
}

fn cells_of<const D: usize>(lo: &[f64; D], hi: &[f64; D], side: f64) -> [usize; D] {
    std::array::from_fn(|k| guess((hi[k] - lo[k]) / side).min(MAX_CELLS.1) + 1)
}

/// The next cell, the last axis fastest.
pub(crate) fn next_cell<const D: usize>(at: &mut [usize; D], shape: &[usize; D]) {
    for k in (0..D).rev() {
        at[k] += 1;
        if at[k] < shape[k] {
            return;
        }
        at[k] = 0;
    }
}
