//! Blocks: boxes that tile all of space, cut so that each fits into memory and none costs much more
//! than others.
//!
//! A grid of equal cells lies over the rows; rows are counted by cell, and boxes of cells are halved
//! until they are small enough. A cell that still holds too much gets a finer grid of its own, over
//! the rows it holds, with cells of half an eps at least. The outer blocks are unbounded.
//!
//! A row is owned by comparing with stored edges, `lo <= x < hi`, everywhere. Whether a block may hold
//! a row within eps is decided by the distance of the row to its box, in the expression of d²: never a
//! no too much, by monotony of rounding. NaN has no place here.

use super::count::{Counts, Need};
use crate::error::{Error, Result};

/// Cells of a grid at most: about a row each, between these.
const MOST_CELLS: (usize, usize) = (1 << 12, 1 << 20);
/// A cell that is this number, and above, of a finer grid.
const FINER: u32 = 1 << 31;

/// A box `[lo, hi)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region<const D: usize> {
    /// The lower corner; may be minus infinity.
    pub lo: [f64; D],
    /// The upper corner; may be infinity.
    pub hi: [f64; D],
}

impl<const D: usize> Region<D> {
    /// All of space.
    pub const EVERYWHERE: Self = Self { lo: [f64::NEG_INFINITY; D], hi: [f64::INFINITY; D] };

    /// No row here is nearer to `p` than this (squared): as d² is computed.
    #[inline]
    pub fn nearest(&self, p: &[f64; D]) -> f64 {
        let gap = |k: usize| {
            let gap = if self.lo[k] > p[k] { self.lo[k] - p[k] } else { p[k] - self.hi[k] };
            if gap > 0.0 { gap } else { 0.0 }
        };
        (1..D).fold(gap(0) * gap(0), |sum, k| sum + gap(k) * gap(k))
    }

    /// No two rows of the two boxes are nearer than this (squared).
    fn nearest_between(&self, other: &Self) -> f64 {
        let gap = |k: usize| (self.lo[k] - other.hi[k]).max(other.lo[k] - self.hi[k]).max(0.0);
        (1..D).fold(gap(0) * gap(0), |sum, k| sum + gap(k) * gap(k))
    }

    /// Whether a row of this box may be within `eps` of a row outside it; a yes too often is safe.
    #[inline]
    pub fn is_edge(&self, p: &[f64; D], eps: f64) -> bool {
        let reach = eps * (1.0 + 2f64.powi(-20));
        (0..D).any(|k| p[k] - self.lo[k] <= reach || self.hi[k] - p[k] <= reach)
    }
}

/// Equal cells over a box; the first and last of each axis reach to the edge of the region.
#[derive(Debug, Clone)]
pub(super) struct Grid<const D: usize> {
    region: Region<D>,
    lo: [f64; D],
    side: f64,
    /// The lower edge of each cell but the first, axis by axis.
    edges: [Vec<f64>; D],
}

impl<const D: usize> Grid<D> {
    /// A grid over so many rows from `lo` to `hi`, all in `region`, with cells of half an eps or
    /// larger.
    pub(super) fn over(
        region: Region<D>,
        (lo, hi): ([f64; D], [f64; D]),
        rows: u64,
        eps: f64,
    ) -> Self {
        let widest = (0..D).map(|k| hi[k] - lo[k]).fold(0.0, f64::max);
        // No smaller than can be told apart near the largest coordinate.
        let far = (0..D).map(|k| lo[k].abs().max(hi[k].abs())).fold(0.0, f64::max);
        let most = usize::try_from(rows).unwrap_or(usize::MAX);
        let most = most.clamp(MOST_CELLS.0, MOST_CELLS.1);
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

    pub(super) fn side(&self) -> f64 {
        self.side
    }

    /// Cells along each axis.
    pub(super) fn shape(&self) -> [usize; D] {
        std::array::from_fn(|k| self.edges[k].len() + 1)
    }

    pub(super) fn cells(&self) -> usize {
        self.shape().iter().product()
    }

    /// The cell of a row of the region, first axis slowest.
    #[inline]
    pub(super) fn cell_of(&self, p: &[f64; D]) -> usize {
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
    pub(super) fn region(&self, lo: [usize; D], hi: [usize; D]) -> Region<D> {
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
    std::array::from_fn(|k| guess((hi[k] - lo[k]) / side).min(MOST_CELLS.1) + 1)
}

/// One block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block<const D: usize> {
    /// Where its own rows are.
    pub region: Region<D>,
    /// Own rows, as they were counted.
    pub own: u64,
    /// Margin rows, as far as the counts tell.
    pub margin: u64,
    /// What it may take to cluster it, in distances.
    pub cost: f64,
}

/// All blocks of a run, and how a row finds its own.
#[derive(Debug, Clone)]
pub struct Plan<const D: usize> {
    eps_squared: f64,
    blocks: Vec<Block<D>>,
    grids: Vec<Lookup<D>>,
}

/// A grid whose cells are known to belong to a block, or to a finer grid.
#[derive(Debug, Clone)]
struct Lookup<const D: usize> {
    grid: Grid<D>,
    holders: Vec<u32>,
    /// Where the neighbours of each cell begin in the next list, and the end.
    starts: Vec<u32>,
    /// Blocks other than the cell's own that are within eps of it.
    near: Vec<u32>,
}

impl<const D: usize> Plan<D> {
    /// One block for all rows.
    pub fn whole(eps: f64, rows: u64) -> Self {
        let region = Region::EVERYWHERE;
        let block = Block { region, own: rows, margin: 0, cost: rows as f64 };
        let grid = Grid { region, lo: [0.0; D], side: 1.0, edges: std::array::from_fn(|_| vec![]) };
        Self { eps_squared: eps * eps, blocks: vec![block], grids: vec![Lookup::new(grid)] }
    }

    /// The blocks; their index is their number.
    pub fn blocks(&self) -> &[Block<D>] {
        &self.blocks
    }

    /// The block that owns a row.
    #[inline]
    pub fn owner(&self, p: &[f64; D]) -> u32 {
        self.leaf(p).1
    }

    /// The block that owns a row; `margin` is called with each block that holds a copy of it.
    #[inline]
    pub fn places(&self, p: &[f64; D], mut margin: impl FnMut(u32)) -> u32 {
        let (near, owner) = self.leaf(p);
        for block in near {
            if self.blocks[*block as usize].region.nearest(p) <= self.eps_squared {
                margin(*block);
            }
        }
        owner
    }

    #[inline]
    fn leaf(&self, p: &[f64; D]) -> (&[u32], u32) {
        let mut lookup = &self.grids[0];
        loop {
            let cell = lookup.grid.cell_of(p);
            let holder = lookup.holders[cell];
            if holder < FINER {
                let near = lookup.starts[cell] as usize..lookup.starts[cell + 1] as usize;
                return (&lookup.near[near], holder);
            }
            lookup = &self.grids[(holder - FINER) as usize];
        }
    }

    /// Finds, for each cell, the other blocks within eps of it.
    fn find_neighbours(&mut self) -> Result<()> {
        let mut boxes: Vec<(Region<D>, u32)> = Vec::new();
        for (number, block) in (0..).zip(&self.blocks) {
            boxes.push((block.region, number));
        }
        // Sorted by their lower edge on the first axis: blocks too far right end a search.
        boxes.sort_by(|a, b| a.0.lo[0].total_cmp(&b.0.lo[0]));
        for lookup in &mut self.grids {
            lookup.find_neighbours(&boxes, self.eps_squared)?;
        }
        Ok(())
    }
}

impl<const D: usize> Lookup<D> {
    /// Every cell belongs to block 0.
    fn new(grid: Grid<D>) -> Self {
        let cells = grid.cells();
        Self { grid, holders: vec![0; cells], starts: vec![0; cells + 1], near: Vec::new() }
    }

    fn find_neighbours(&mut self, boxes: &[(Region<D>, u32)], eps_squared: f64) -> Result<()> {
        self.near.clear();
        let shape = self.grid.shape();
        let mut at = [0; D];
        // The blocks near the whole line of cells along the last axis, then near each cell.
        let mut of_line: Vec<(Region<D>, u32)> = Vec::new();
        for cell in 0..self.grid.cells() {
            if at[D - 1] == 0 {
                let mut end = at.map(|i| i + 1);
                end[D - 1] = shape[D - 1];
                let line = self.grid.region(at, end);
                let near = boxes.iter().take_while(|(region, _)| {
                    let gap = region.lo[0] - line.hi[0];
                    gap <= 0.0 || gap * gap <= eps_squared
                });
                of_line.clear();
                of_line.extend(near.filter(|(b, _)| b.nearest_between(&line) <= eps_squared));
            }
            let own = self.holders[cell];
            if own < FINER {
                let here = self.grid.region(at, at.map(|i| i + 1));
                let near = of_line.iter().filter(|(region, number)| {
                    *number != own && region.nearest_between(&here) <= eps_squared
                });
                self.near.extend(near.map(|(_, number)| *number));
            }
            self.starts[cell + 1] = u32::try_from(self.near.len()).map_err(|cause| {
                Error::internal("a plan of too many neighbours").caused_by(cause)
            })?;
            step(&mut at, &shape);
        }
        Ok(())
    }
}

/// The next cell, the last axis fastest.
pub(super) fn step<const D: usize>(at: &mut [usize; D], shape: &[usize; D]) {
    for k in (0..D).rev() {
        at[k] += 1;
        if at[k] < shape[k] {
            return;
        }
        at[k] = 0;
    }
}

/// When a block is small enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Own rows of a block at most.
    pub own_rows: u64,
    /// Own and margin rows of a block at most; no rule for blocks that are mostly margin.
    pub rows: u64,
    /// The cost of a block, as a share of that of all, at most.
    pub share: f64,
}

impl Limits {
    /// Limits that make other and more blocks of `rows` rows.
    pub(super) fn thirds(self, rows: u64) -> Self {
        Self {
            own_rows: (self.own_rows.min(rows) / 3).max(1),
            rows: (self.rows / 3).max(1),
            share: self.share / 3.0,
        }
    }
}

/// A plan in the making: grids are counted, cut, and cells that hold too much are counted finer.
pub(super) struct Planner<const D: usize> {
    eps: f64,
    need: Need,
    limits: Limits,
    plan: Plan<D>,
    /// What all rows cost together, from the first grid.
    cost: f64,
    /// Cells that want a finer grid.
    waiting: Vec<Waiting<D>>,
}

/// A cell that holds too much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<const D: usize> {
    grid: usize,
    cell: usize,
    pub(super) region: Region<D>,
    pub(super) rows: u64,
}

impl<const D: usize> Planner<D> {
    pub(super) fn new(need: Need, limits: Limits) -> Self {
        let eps = need.eps;
        let plan = Plan { eps_squared: eps * eps, blocks: Vec::new(), grids: Vec::new() };
        Self { eps, need, limits, plan, cost: 0.0, waiting: Vec::new() }
    }

    /// The cells that want a finer grid; rows are sent to them by [`Self::waiting_of`].
    pub(super) fn waiting(&self) -> &[Waiting<D>] {
        &self.waiting
    }

    /// Which of the waiting cells holds a row, if one does.
    #[inline]
    pub(super) fn waiting_of(&self, p: &[f64; D]) -> Option<usize> {
        let (_, holder) = self.plan.leaf(p);
        (holder >= WAITING).then(|| (holder - WAITING) as usize)
    }

    /// Takes the first grid with its counts.
    pub(super) fn first(&mut self, grid: Grid<D>, counts: &Counts<D>) {
        self.cost = counts.cost_of([0; D], grid.shape());
        self.plan.grids.push(Lookup::new(grid));
        self.cut(0, counts);
    }

    /// Takes the finer grids of the waiting cells, in their order, with their counts.
    pub(super) fn finer(&mut self, finer: Vec<(Grid<D>, Vec<u64>)>) {
        let waiting = std::mem::take(&mut self.waiting);
        for (waiting, (grid, counts)) in waiting.into_iter().zip(finer) {
            let number = self.plan.grids.len();
            self.plan.grids[waiting.grid].holders[waiting.cell] = FINER + index(number);
            let counts = Counts::new(&grid, counts, &self.need);
            self.plan.grids.push(Lookup::new(grid));
            self.cut(number, &counts);
        }
    }

    /// The plan, with the neighbours of every cell.
    pub(super) fn finish(mut self) -> Result<Plan<D>> {
        self.plan.find_neighbours()?;
        Ok(self.plan)
    }

    /// Halves the boxes of a grid until each is a block, or a cell that waits.
    fn cut(&mut self, number: usize, counts: &Counts<D>) {
        let shape = counts.shape();
        let mut open = vec![([0; D], shape)];
        while let Some((lo, hi)) = open.pop() {
            let (own, margin) = (counts.rows_of(lo, hi), counts.ring_of(lo, hi, self.eps));
            let cost = counts.cost_of(lo, hi);
            let width = (0..D).map(|k| hi[k] - lo[k]).max().unwrap_or(0) as f64 * counts.side();
            let is_wide = own + margin > 1 && is_too_wide(width, self.eps);
            let is_large = is_wide
                || own > self.limits.own_rows
                || own + margin > self.limits.rows && own > self.limits.rows / 4;
            let is_dear = cost > self.cost * self.limits.share;
            let cell = (0..D).all(|k| hi[k] - lo[k] == 1);
            if is_large && cell && counts.cells() > 1 && counts.side() > 0.5 * self.eps * 1.001 {
                let cell = counts.index(lo);
                let holder = WAITING + index(self.waiting.len());
                self.plan.grids[number].holders[cell] = holder;
                let region = self.plan.grids[number].grid.region(lo, hi);
                self.waiting.push(Waiting { grid: number, cell, region, rows: own });
            } else if let Some((axis, at)) =
                counts.halving(lo, hi, if is_large { 0.0 } else { 2.0 * self.eps })
                && (is_large || is_dear)
            {
                let (mut left, mut right) = (hi, lo);
                left[axis] = at;
                right[axis] = at;
                open.push((right, hi));
                open.push((lo, left));
            } else {
                self.add(number, counts, (lo, hi), own, margin, cost);
            }
        }
    }

    fn add(
        &mut self,
        number: usize,
        counts: &Counts<D>,
        (lo, hi): ([usize; D], [usize; D]),
        own: u64,
        margin: u64,
        cost: f64,
    ) {
        let lookup = &mut self.plan.grids[number];
        let block = index(self.plan.blocks.len());
        let mut at = [0; D];
        let shape: [usize; D] = std::array::from_fn(|k| hi[k] - lo[k]);
        for _ in 0..shape.iter().product() {
            let cell = counts.index(std::array::from_fn(|k| lo[k] + at[k]));
            lookup.holders[cell] = block;
            step(&mut at, &shape);
        }
        let region = lookup.grid.region(lo, hi);
        self.plan.blocks.push(Block { region, own, margin, cost });
    }
}

/// Whether a block may be too wide to count its own cells in 32 bits.
pub(super) fn is_too_wide(width: f64, eps: f64) -> bool {
    width > eps * 2e9
}

/// A cell that is this number, and above, waits for a finer grid.
const WAITING: u32 = 1 << 30;

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("cells bound the blocks and grids of a plan")
}
