//! The rows of each block, and how they get there.

use std::sync::Arc;

use super::BlockPlan;
use crate::dbscan::points::Points;
use crate::dbscan::spill_store::{ListId, RowScatter, SpillStore};
use crate::dbscan::threads::parallel_for;
use crate::error::Result;
use crate::session::Session;
use pleiad_core::dbscan::{ROW_BYTES_2D, ROW_BYTES_3D};

/// The bytes that a row in work takes, its words and its contacts included.
pub(crate) const fn row_bytes<const D: usize>() -> u64 {
    let core = if D == 2 { ROW_BYTES_2D } else { ROW_BYTES_3D };
    (core + 8 * (D + 2) + 16) as u64
}

/// The rows of blocks.
pub(crate) struct RowsByBlock<const D: usize> {
    pub(crate) store: SpillStore,
    pub(crate) blocks: Vec<BlockRows>,
    /// Words of an own row: its place, its position, and its id if there is one.
    pub(crate) width: usize,
}

/// The rows of a block.
#[derive(Debug, Default, Clone)]
pub(crate) struct BlockRows {
    pub(crate) own: Vec<ListId>,
    pub(crate) own_rows: u64,
    /// Places only.
    pub(crate) margin: Vec<ListId>,
    pub(crate) margin_rows: u64,
}

/// Sends every row to the block that owns it and to each block it is near; blocks that are `done`
/// get none.
pub(crate) async fn scatter<const D: usize>(
    points: Points<D>,
    plan: &Arc<BlockPlan<D>>,
    session: &Session,
    done: Arc<Vec<bool>>,
) -> Result<RowsByBlock<D>> {
    let has_ids = points.width > D;
    let width = points.width + 1;
    let (store, points, plan) =
        (Arc::new(SpillStore::new(session, "rows of blocks")), Arc::new(points), Arc::clone(plan));
    let blocks = plan.blocks().len();
    let to = Arc::clone(&store);
    let parts = parallel_for(session.streams(), points.ranges.len(), move |queue| {
        let mut rows = vec![[0_u64; 2]; blocks];
        let mut scatter = RowScatter::new(&to, 2 * blocks, queue.thread());
        let mut words = Vec::with_capacity(width);
        let mut near = Vec::new();
        while let Some(index) = queue.next() {
            let range = &points.ranges[index];
            let taken = points.store.take(range.list, queue.thread())?;
            points.rows_of(range, &taken, |position, place, id| {
                near.clear();
                let owner = plan.places(&place, |block| near.push(block as usize)) as usize;
                words.clear();
                words.extend(place.map(f64::to_bits));
                words.push(position);
                words.extend(has_ids.then_some(id));
                if !done[owner] {
                    rows[owner][0] += 1;
                    scatter.push(2 * owner, &words)?;
                }
                for block in near.iter().filter(|block| !done[**block]) {
                    rows[*block][1] += 1;
                    scatter.push(2 * block + 1, &words[..D])?;
                }
                Ok(())
            })?;
        }
        Ok((scatter.finish()?, rows))
    });
    let mut by_block = vec![BlockRows::default(); blocks];
    for (lists, rows) in parts.await? {
        for (part, list) in lists {
            let block = &mut by_block[part / 2];
            if part % 2 == 0 { block.own.push(list) } else { block.margin.push(list) }
        }
        for (block, [own, margin]) in by_block.iter_mut().zip(rows) {
            block.own_rows += own;
            block.margin_rows += margin;
        }
    }
    let store = Arc::into_inner(store).expect("the threads are over");
    Ok(RowsByBlock { store, blocks: by_block, width })
}
