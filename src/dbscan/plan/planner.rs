//! Making a plan: boxes of cells are halved until they are small enough; a cell that still holds too
//! much gets a finer grid of its own, over the rows it holds, with cells of half an eps at least.

use super::cells::{CellGrid, Region, next_cell};
use super::count::{CostModel, SummedCells};
use super::{BlockPlan, FINER, Lookup, PlannedBlock};
use crate::error::Result;
use pleiad_core::dbscan::Watch;

/// When a block is small enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// Own rows of a block at most.
    pub(crate) own_rows: u64,
    /// Own and margin rows of a block at most; no rule for blocks that are mostly margin.
    pub(crate) rows: u64,
    /// The cost of a block, as a share of that of all, at most.
    pub(crate) share: f64,
}

impl Limits {
    /// Limits that make other and more blocks of `rows` rows.
    pub(crate) fn thirds(self, rows: u64) -> Self {
        Self {
            own_rows: (self.own_rows.min(rows) / 3).max(1),
            rows: (self.rows / 3).max(1),
            share: self.share / 3.0,
        }
    }
}

/// A plan in the making: grids are counted, cut, and cells that hold too much are counted finer.
pub(crate) struct Planner<const D: usize> {
    eps: f64,
    model: CostModel,
    limits: Limits,
    plan: BlockPlan<D>,
    /// What all rows cost together, from the first grid.
    cost: f64,
    /// Cells that want a finer grid.
    waiting: Vec<Waiting<D>>,
}

/// A cell that holds too much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<const D: usize> {
    grid: usize,
    cell: usize,
    pub(crate) region: Region<D>,
    pub(crate) rows: u64,
}

impl<const D: usize> Planner<D> {
    pub(crate) fn new(model: CostModel, limits: Limits) -> Self {
        let eps = model.eps;
        let plan = BlockPlan { eps_squared: eps * eps, blocks: Vec::new(), grids: Vec::new() };
        Self { eps, model, limits, plan, cost: 0.0, waiting: Vec::new() }
    }

    /// The cells that want a finer grid; rows are sent to them by [`Self::waiting_of`].
    pub(crate) fn waiting(&self) -> &[Waiting<D>] {
        &self.waiting
    }

    /// Which of the waiting cells holds a row, if one does.
    #[inline]
    pub(crate) fn waiting_of(&self, p: &[f64; D]) -> Option<usize> {
        let (_, holder) = self.plan.leaf(p);
        (holder >= WAITING).then(|| (holder - WAITING) as usize)
    }

    /// Takes the first grid with its counts.
    pub(crate) fn first(
        &mut self,
        grid: CellGrid<D>,
        counts: &SummedCells<D>,
        watch: Watch<'_>,
    ) -> Result<()> {
        self.cost = counts.cost_of([0; D], grid.shape());
        self.plan.grids.push(Lookup::new(grid));
        self.cut(0, counts, watch)
    }

    /// Takes the finer grids of the waiting cells, in their order, with their counts.
    pub(crate) fn finer(
        &mut self,
        finer: Vec<(CellGrid<D>, Vec<u64>)>,
        watch: Watch<'_>,
    ) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        for (waiting, (grid, counts)) in waiting.into_iter().zip(finer) {
            let number = self.plan.grids.len();
            self.plan.grids[waiting.grid].holders[waiting.cell] = FINER + index(number);
            let counts = SummedCells::new(&grid, counts, &self.model);
            self.plan.grids.push(Lookup::new(grid));
            self.cut(number, &counts, watch)?;
        }
        Ok(())
    }

    /// The plan, with the neighbours of every cell.
    pub(crate) fn finish(mut self, watch: Watch<'_>) -> Result<BlockPlan<D>> {
        self.plan.find_neighbours(watch)?;
        Ok(self.plan)
    }

    /// Halves the boxes of a grid until each is a block, or a cell that waits.
    fn cut(&mut self, number: usize, counts: &SummedCells<D>, watch: Watch<'_>) -> Result<()> {
        let shape = counts.shape();
        let mut open = vec![([0; D], shape)];
        while let Some((lo, hi)) = open.pop() {
            watch.check()?;
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
        Ok(())
    }

    fn add(
        &mut self,
        number: usize,
        counts: &SummedCells<D>,
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
            next_cell(&mut at, &shape);
        }
        let region = lookup.grid.region(lo, hi);
        self.plan.blocks.push(PlannedBlock { region, own, margin, cost });
    }
}

/// Whether a block may be too wide to count its own cells in 32 bits.
pub(crate) fn is_too_wide(width: f64, eps: f64) -> bool {
    width > eps * 2e9
}

/// A cell that is this number, and above, waits for a finer grid.
const WAITING: u32 = 1 << 30;

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("cells bound the blocks and grids of a plan")
}
