//! From rows as they were read to blocks: counting until a plan is made, then sharing rows out.

use std::sync::Arc;

use super::BlockPlan;
use super::block_rows::row_bytes;
use super::cells::{CellGrid, Region};
use super::count::{CostModel, SummedCells};
use super::planner::{Limits, Planner, is_too_wide};
use crate::dbscan::check::advise;
use crate::dbscan::options::Params;
use crate::dbscan::points::Points;
use crate::dbscan::threads::{self, parallel_for};
use crate::error::Result;
use crate::session::Session;

/// Own rows of a block at most, where nothing else is asked for.
const MAX_OWN_ROWS: u64 = 2_000_000;
/// With fewer rows than this, one block is enough.
const FEW_ROWS: u64 = 200_000;
/// A block that costs more than this share of all, times the threads, is cut.
const SHARE: f64 = 0.25;
/// The part of the pool that blocks in work may take together.
const WORKING_SHARE: u64 = 3;

/// Rows that a block in work may have, with its margin rows.
pub(crate) fn rows_in_memory<const D: usize>(session: &Session) -> u64 {
    let threads = session.streams() as u64;
    session.pool_bytes() / WORKING_SHARE / threads / row_bytes::<D>()
}

/// The limits of a run: asked for, or from the memory.
pub(crate) fn limits<const D: usize>(
    session: &Session,
    rows: u64,
    max_rows: Option<u64>,
) -> Limits {
    let threads = session.streams() as u64;
    let is_small = rows < FEW_ROWS || max_rows.is_some();
    Limits {
        own_rows: max_rows.unwrap_or(MAX_OWN_ROWS),
        rows: rows_in_memory::<D>(session).max(1),
        share: if is_small { 1.0 } else { SHARE / threads as f64 },
    }
}

/// Counts and cuts until blocks are small enough; and what the counts say of the parameters.
pub(crate) async fn plan<const D: usize>(
    points: &Arc<Points<D>>,
    params: &Params,
    limits: Limits,
    threads: usize,
) -> Result<(BlockPlan<D>, Vec<String>)> {
    let (usable, eps) = (points.usable(), params.density().eps());
    if usable == 0 {
        return Ok((BlockPlan::whole(eps, usable), Vec::new()));
    }
    let grids =
        Arc::new(vec![CellGrid::over(Region::EVERYWHERE, (points.lo, points.hi), usable, eps)]);
    let counts = count(points, &grids, threads, |_| Some(0)).await?;
    let width = (0..D).map(|k| points.hi[k] - points.lo[k]).fold(0.0, f64::max);
    let is_small = usable <= limits.own_rows.min(limits.rows) && !is_too_wide(width, eps);
    let is_small = is_small && limits.share >= 1.0;
    let params = params.clone();
    let (mut planner, flags) = threads::run(move |thread| {
        let grids = Arc::into_inner(grids).expect("the threads are over");
        let (grid, counts) = grids.into_iter().zip(counts).next().expect("one grid was counted");
        let model = CostModel { eps, min_points: params.density().min_points() };
        let counts = SummedCells::new(&grid, counts, &model);
        let flags = advise::before(&counts, usable, &params);
        let mut planner = Planner::new(model, limits);
        if !is_small {
            planner.first(grid, &counts, thread.watch())?;
        }
        Ok((planner, flags))
    })
    .await?;
    if is_small {
        return Ok((BlockPlan::whole(eps, usable), flags));
    }
    while !planner.waiting().is_empty() {
        let shared = Arc::new(planner);
        let which = Arc::clone(&shared);
        let boxes = extents(points, &shared, threads).await?;
        let waiting = shared.waiting().iter().zip(boxes);
        let grids =
            waiting.map(|(cell, around)| CellGrid::over(cell.region, around, cell.rows, eps));
        let grids = Arc::new(grids.collect::<Vec<_>>());
        let counts = count(points, &grids, threads, move |p| which.waiting_of(p)).await?;
        planner = threads::run(move |thread| {
            let mut planner = Arc::into_inner(shared).expect("the threads are over");
            let grids = Arc::into_inner(grids).expect("the threads are over");
            planner.finer(grids.into_iter().zip(counts).collect(), thread.watch())?;
            Ok(planner)
        })
        .await?;
    }
    Ok((threads::run(move |thread| planner.finish(thread.watch())).await?, flags))
}

/// The rows of each cell of some grids; `which` names the grid of a row, if it has one.
async fn count<const D: usize>(
    points: &Arc<Points<D>>,
    grids: &Arc<Vec<CellGrid<D>>>,
    threads: usize,
    which: impl Fn(&[f64; D]) -> Option<usize> + Send + Sync + 'static,
) -> Result<Vec<Vec<u64>>> {
    let (rows, shared) = (Arc::clone(points), Arc::clone(grids));
    let parts = parallel_for(threads, points.ranges.len(), move |queue| {
        let mut counts: Vec<_> = shared.iter().map(|grid| vec![0_u64; grid.cells()]).collect();
        while let Some(index) = queue.next() {
            let range = &rows.ranges[index];
            rows.rows_of(range, &rows.store.read(range.list, queue.thread())?, |_, place, _| {
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
    points: &Arc<Points<D>>,
    planner: &Arc<Planner<D>>,
    threads: usize,
) -> Result<Vec<([f64; D], [f64; D])>> {
    const NOTHING: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);
    let (rows, shared) = (Arc::clone(points), Arc::clone(planner));
    let parts = parallel_for(threads, points.ranges.len(), move |queue| {
        let mut boxes = vec![([NOTHING.0; D], [NOTHING.1; D]); shared.waiting().len()];
        while let Some(index) = queue.next() {
            let range = &rows.ranges[index];
            rows.rows_of(range, &rows.store.read(range.list, queue.thread())?, |_, place, _| {
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
