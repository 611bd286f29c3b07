//! From rows as they were read to blocks: counting until a plan is made, then sharing rows out.

use std::sync::Arc;

use super::advise;
use super::count::{Counts, Need};
use super::input::Held;
use super::local::{ROW_BYTES_2D, ROW_BYTES_3D};
use super::options::Params;
use super::plan::{Grid, Limits, Plan, Planner, Region, is_too_wide};
use super::shelf::{Gatherer, Shelf, Slip};
use super::threads::share;
use crate::error::Result;
use crate::session::Session;

/// Own rows of a block at most, where nothing else is asked for.
const MOST_ROWS: u64 = 2_000_000;
/// Below so many rows one block is enough.
const FEW_ROWS: u64 = 200_000;
/// A block that costs more than this share of all, times the threads, is cut.
const SHARE: f64 = 0.25;
/// The part of the pool that blocks in work may take together.
const WORKING_SHARE: u64 = 3;

/// The bytes that a row in work takes, its words and its contacts included.
pub(super) const fn row_bytes<const D: usize>() -> u64 {
    let core = if D == 2 { ROW_BYTES_2D } else { ROW_BYTES_3D };
    (core + 8 * (D + 2) + 16) as u64
}

/// Rows that a block in work may have, with its margin rows.
pub(super) fn rows_in_memory<const D: usize>(session: &Session) -> u64 {
    let threads = session.streams() as u64;
    session.pool_bytes() / WORKING_SHARE / threads / row_bytes::<D>()
}

/// The limits of a run: asked for, or from the memory.
pub(super) fn limits<const D: usize>(
    session: &Session,
    rows: u64,
    max_rows: Option<u64>,
) -> Limits {
    let threads = session.streams() as u64;
    let is_small = rows < FEW_ROWS || max_rows.is_some();
    Limits {
        own_rows: max_rows.unwrap_or(MOST_ROWS),
        rows: rows_in_memory::<D>(session).max(1),
        share: if is_small { 1.0 } else { SHARE / threads as f64 },
    }
}

/// Counts and cuts until blocks are small enough; and what the counts say of the parameters.
pub(super) async fn plan<const D: usize>(
    held: &Arc<Held<D>>,
    params: &Params,
    limits: Limits,
    threads: usize,
) -> Result<(Plan<D>, Vec<String>)> {
    let (usable, eps) = (held.usable(), params.density.eps());
    if usable == 0 {
        return Ok((Plan::whole(eps, usable), Vec::new()));
    }
    let grid = Grid::over(Region::EVERYWHERE, (held.lo, held.hi), usable, eps);
    let counts = count(held, &Arc::new(vec![grid.clone()]), threads, |_| Some(0)).await?;
    let need = Need { eps, min_points: params.density.min_points() };
    let counts = Counts::new(&grid, counts.into_iter().next().unwrap_or_default(), &need);
    let flags = advise::before(&counts, usable, params);
    let width = (0..D).map(|k| held.hi[k] - held.lo[k]).fold(0.0, f64::max);
    let is_small = usable <= limits.own_rows.min(limits.rows) && !is_too_wide(width, eps);
    if is_small && limits.share >= 1.0 {
        return Ok((Plan::whole(eps, usable), flags));
    }
    let mut planner = Planner::new(need, limits);
    planner.first(grid, &counts);
    drop(counts);
    while !planner.waiting().is_empty() {
        let shared = Arc::new(planner);
        let which = Arc::clone(&shared);
        let boxes = extents(held, &shared, threads).await?;
        let waiting = shared.waiting().iter().zip(boxes);
        let grids = waiting.map(|(cell, around)| Grid::over(cell.region, around, cell.rows, eps));
        let grids = Arc::new(grids.collect::<Vec<_>>());
        let counts = count(held, &grids, threads, move |p| which.waiting_of(p)).await?;
        planner = Arc::into_inner(shared).expect("the threads are over");
        let grids = Arc::into_inner(grids).expect("the threads are over");
        planner.finer(grids.into_iter().zip(counts).collect());
    }
    Ok((planner.finish()?, flags))
}

/// The rows of each cell of some grids; `which` names the grid of a row, if it has one.
async fn count<const D: usize>(
    held: &Arc<Held<D>>,
    grids: &Arc<Vec<Grid<D>>>,
    threads: usize,
    which: impl Fn(&[f64; D]) -> Option<usize> + Send + Sync + 'static,
) -> Result<Vec<Vec<u64>>> {
    let (rows, shared) = (Arc::clone(held), Arc::clone(grids));
    let parts = share(threads, held.runs.len(), move |turns| {
        let mut counts: Vec<_> = shared.iter().map(|grid| vec![0_u64; grid.cells()]).collect();
        while let Some(turn) = turns.next() {
            let run = &rows.runs[turn];
            rows.rows_of(run, &rows.shelf.read(run.slip)?, |_, place, _| {
                if let Some(grid) = which(&place) {
                    counts[grid][shared[grid].cell_of(&place)] += 1;
                }
                Ok(())
            })?;
        }
        Ok(counts)
    });
    let mut parts = parts.await?.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, count) in all.iter_mut().flatten().zip(part.into_iter().flatten()) {
            *sum += count;
        }
    }
    Ok(all)
}

/// The box around the rows of each cell that waits.
async fn extents<const D: usize>(
    held: &Arc<Held<D>>,
    planner: &Arc<Planner<D>>,
    threads: usize,
) -> Result<Vec<([f64; D], [f64; D])>> {
    const NOTHING: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);
    let (rows, shared) = (Arc::clone(held), Arc::clone(planner));
    let parts = share(threads, held.runs.len(), move |turns| {
        let mut boxes = vec![([NOTHING.0; D], [NOTHING.1; D]); shared.waiting().len()];
        while let Some(turn) = turns.next() {
            let run = &rows.runs[turn];
            rows.rows_of(run, &rows.shelf.read(run.slip)?, |_, place, _| {
                if let Some(waiting) = shared.waiting_of(&place) {
                    let (lo, hi) = &mut boxes[waiting];
                    for k in 0..D {
                        lo[k] = lo[k].min(place[k]);
                        hi[k] = hi[k].max(place[k]);
                    }
                }
                Ok(())
            })?;
        }
        Ok(boxes)
    });
    let mut parts = parts.await?.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        for ((lo, hi), (other_lo, other_hi)) in all.iter_mut().zip(part) {
            *lo = std::array::from_fn(|k| lo[k].min(other_lo[k]));
            *hi = std::array::from_fn(|k| hi[k].max(other_hi[k]));
        }
    }
    Ok(all)
}

/// The rows of blocks.
pub(super) struct Piles<const D: usize> {
    pub(super) shelf: Shelf,
    pub(super) blocks: Vec<Pile>,
    /// Words of an own row: its place, its position, and its id if there is one.
    pub(super) width: usize,
}

/// The rows of a block.
#[derive(Debug, Default, Clone)]
pub(super) struct Pile {
    pub(super) own: Vec<Slip>,
    pub(super) own_rows: u64,
    /// Places only.
    pub(super) margin: Vec<Slip>,
    pub(super) margin_rows: u64,
}

/// Sends every row to the block that owns it and to each block it is near; blocks that are `done`
/// get none.
pub(super) async fn scatter<const D: usize>(
    held: Held<D>,
    plan: &Arc<Plan<D>>,
    session: &Session,
    done: Arc<Vec<bool>>,
) -> Result<Piles<D>> {
    let has_ids = held.width > D;
    let width = held.width + 1;
    let (shelf, held, plan) =
        (Arc::new(Shelf::new(session, "rows of blocks")), Arc::new(held), Arc::clone(plan));
    let blocks = plan.blocks().len();
    let to = Arc::clone(&shelf);
    let parts = share(session.streams(), held.runs.len(), move |turns| {
        let mut rows = vec![[0_u64; 2]; blocks];
        let mut gatherer = Gatherer::new(&to, 2 * blocks);
        let mut words = Vec::with_capacity(width);
        let mut near = Vec::new();
        while let Some(turn) = turns.next() {
            let run = &held.runs[turn];
            let taken = held.shelf.take(run.slip)?;
            held.rows_of(run, &taken, |position, place, id| {
                near.clear();
                let owner = plan.places(&place, |block| near.push(block as usize)) as usize;
                words.clear();
                words.extend(place.map(f64::to_bits));
                words.push(position);
                words.extend(has_ids.then_some(id));
                if !done[owner] {
                    rows[owner][0] += 1;
                    gatherer.push(2 * owner, &words)?;
                }
                for block in near.iter().filter(|block| !done[**block]) {
                    rows[*block][1] += 1;
                    gatherer.push(2 * block + 1, &words[..D])?;
                }
                Ok(())
            })?;
        }
        Ok((gatherer.finish()?, rows))
    });
    let mut piles = vec![Pile::default(); blocks];
    for (lists, rows) in parts.await? {
        for (pile, slip) in lists {
            let block = &mut piles[pile / 2];
            if pile % 2 == 0 { block.own.push(slip) } else { block.margin.push(slip) }
        }
        for (block, [own, margin]) in piles.iter_mut().zip(rows) {
            block.own_rows += own;
            block.margin_rows += margin;
        }
    }
    let shelf = Arc::into_inner(shelf).expect("the threads are over");
    Ok(Piles { shelf, blocks: piles, width })
}
