//! Blocks: boxes that tile all of space, cut so that each fits into memory and none costs much more
//! than others.
//!
//! A grid of equal cells lies over the rows; rows are counted by cell, and boxes of cells are halved
//! until they are small enough. A cell that still holds too much gets a finer grid of its own, over
//! the rows it holds, with cells of half an eps at least. The outer blocks are unbounded.
//!
//! A row is owned by comparing with stored edges, `lo <= x < hi`, everywhere. Whether a block may hold
//! a row within eps is decided by the distance of the row to its box, in the expression of d²: never a
//! no too much, by monotony of rounding. NaN does not occur here.

pub(crate) mod block_rows; // the rows of each block
pub(crate) mod cells; // boxes and grids; pure
pub(crate) mod count; // rows and cost of boxes of cells; pure
pub(crate) mod divide; // counting rows until a plan is made
pub(crate) mod margin_owners; // who owns a margin row
pub(crate) mod planner; // boxes of cells halved until they are blocks; pure
pub mod resume; // the blocks of a killed run
pub(crate) mod stored; // blocks and margins of a dataset

use crate::error::{Error, Result};
use cells::{CellGrid, Region, next_cell};
use pleiad_core::dbscan::Watch;

/// A cell that is this number, and above, of a finer grid.
const FINER: u32 = 1 << 31;

/// One block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedBlock<const D: usize> {
    /// Where its own rows are.
    pub(crate) region: Region<D>,
    /// Own rows, as they were counted.
    pub(crate) own: u64,
    /// Margin rows, as the counts suggest.
    pub(crate) margin: u64,
    /// What it may take to cluster it, in distances.
    pub(crate) cost: f64,
}

/// All blocks of a run, and how a row finds its own.
#[derive(Debug, Clone)]
pub(crate) struct BlockPlan<const D: usize> {
    eps_squared: f64,
    blocks: Vec<PlannedBlock<D>>,
    grids: Vec<Lookup<D>>,
}

/// A grid whose cells are known to belong to a block, or to a finer grid.
#[derive(Debug, Clone)]
struct Lookup<const D: usize> {
    grid: CellGrid<D>,
    holders: Vec<u32>,
    /// Where the neighbours of each cell begin in the next list, and the end.
    starts: Vec<u32>,
    /// Blocks other than the cell's own that are within eps of it.
    near: Vec<u32>,
}

impl<const D: usize> BlockPlan<D> {
    /// One block for all rows.
    pub(crate) fn whole(eps: f64, rows: u64) -> Self {
        let region = Region::EVERYWHERE;
        let block = PlannedBlock { region, own: rows, margin: 0, cost: rows as f64 };
        let grid = CellGrid::one_cell(region);
        Self { eps_squared: eps * eps, blocks: vec![block], grids: vec![Lookup::new(grid)] }
    }

    /// The blocks; their index is their number.
    pub(crate) fn blocks(&self) -> &[PlannedBlock<D>] {
        &self.blocks
    }

    /// The block that owns a row.
    #[inline]
    pub(crate) fn owner(&self, p: &[f64; D]) -> u32 {
        self.leaf(p).1
    }

    /// The block that owns a row; `margin` is called with each block that holds a copy of it.
    #[inline]
    pub(crate) fn places(&self, p: &[f64; D], mut margin: impl FnMut(u32)) -> u32 {
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
    fn find_neighbours(&mut self, watch: Watch<'_>) -> Result<()> {
        let mut boxes: Vec<(Region<D>, u32)> = Vec::new();
        for (number, block) in (0..).zip(&self.blocks) {
            boxes.push((block.region, number));
        }
        // Sorted by their lower edge on the first axis: blocks too far right end a search.
        boxes.sort_by(|a, b| a.0.lo[0].total_cmp(&b.0.lo[0]));
        for lookup in &mut self.grids {
            lookup.find_neighbours(&boxes, self.eps_squared, watch)?;
        }
        Ok(())
    }
}

impl<const D: usize> Lookup<D> {
    /// Every cell belongs to block 0.
    fn new(grid: CellGrid<D>) -> Self {
        let cells = grid.cells();
        Self { grid, holders: vec![0; cells], starts: vec![0; cells + 1], near: Vec::new() }
    }

    fn find_neighbours(
        &mut self,
        boxes: &[(Region<D>, u32)],
        eps_squared: f64,
        watch: Watch<'_>,
    ) -> Result<()> {
        self.near.clear();
        let shape = self.grid.shape();
        let mut at = [0; D];
        // The blocks near the whole line of cells along the last axis, then near each cell.
        let mut of_line: Vec<(Region<D>, u32)> = Vec::new();
        for cell in 0..self.grid.cells() {
            watch.check()?;
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
            next_cell(&mut at, &shape);
        }
        Ok(())
    }
}
