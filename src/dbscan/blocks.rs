//! Blocks one by one: each is clustered on a thread of its own, under a reservation of the memory it
//! may need; what it found is kept for a later run and put away until blocks are merged.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::merge::block_result::BlockResult;
use super::merge::block_results::{BlockLists, BlockResults};
use super::merge::sizes::Scale;
use super::options::{Border, Params};
use super::plan::block_rows::{RowsByBlock, row_bytes};
use super::plan::margin_owners::MarginOwners;
use super::plan::resume::{Checkpoint, block_name};
use super::spill_store::SpillStore;
use super::threads::{self, BlockingThread, Threads};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::session::Session;
use crate::table::Run;
use pleiad_core::dbscan::{Density, cluster, stopped};

/// What blocks are clustered by.
pub(crate) struct Work<const D: usize> {
    pub(crate) owners: MarginOwners<D>,
    pub(crate) density: Density,
    pub(crate) border: Border,
    pub(crate) scale: Scale,
}

impl<const D: usize> Work<D> {
    pub(crate) fn new(owners: MarginOwners<D>, params: &Params, scale: Scale) -> Self {
        Self { owners, density: params.density(), border: params.options().border, scale }
    }

    /// Clusters one block.
    fn block(
        &self,
        by_block: &RowsByBlock<D>,
        block: usize,
        thread: &BlockingThread,
    ) -> Result<BlockResult<D>> {
        let part = &by_block.blocks[block];
        let rows = usize::try_from(part.own_rows + part.margin_rows).unwrap_or(usize::MAX);
        let own = usize::try_from(part.own_rows).unwrap_or(usize::MAX);
        let mut places: Vec<[f64; D]> = Vec::with_capacity(rows);
        let (mut positions, mut ids) = (Vec::with_capacity(own), Vec::new());
        let place = |words: &[u64]| std::array::from_fn(|k| f64::from_bits(words[k]));
        for list in &part.own {
            for words in by_block.store.take(*list, thread)?.chunks_exact(by_block.width) {
                places.push(place(words));
                positions.push(words[D]);
                ids.extend(words.get(D + 1));
            }
        }
        for list in &part.margin {
            places.extend(by_block.store.take(*list, thread)?.chunks_exact(D).map(place));
        }
        let own_places = places[..own].to_vec();
        let copied = |p: &[f64; D]| self.owners.is_copied(block, p);
        let local = cluster(places, own, &self.density, copied, thread.stop())?;
        let local = local.ok_or_else(stopped)?;
        let ids = if ids.is_empty() { &positions } else { &ids };
        let own = own_places.into_iter();
        Ok(BlockResult::new(own, &positions, ids, local, self.border, self.scale))
    }
}

/// Clusters all blocks, the most expensive first, and keeps each in the run's record.
pub(crate) async fn cluster_all<const D: usize>(
    work: Work<D>,
    by_block: RowsByBlock<D>,
    checkpoint: Checkpoint,
    run: Option<&Run>,
    session: &Session,
    watch: &dyn Observer,
) -> Result<BlockResults> {
    let run = run.filter(|_| work.owners.blocks() > 1);
    let mut queue: Vec<usize> =
        (0..by_block.blocks.len()).filter(|block| by_block.blocks[*block].own_rows > 0).collect();
    let cost = |block: &usize| work.owners.cost(*block);
    queue.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(b.cmp(a)));
    let total = Some(queue.len() as u64);
    watch.report(Event::Stage { name: "clustering".into(), total, unit: Unit::Blocks });
    let (work, by_block) = (Arc::new(work), Arc::new(by_block));
    let store = Arc::new(SpillStore::new(session, "labels of blocks"));
    let mut blocks = done_before(&checkpoint, &work, &store).await?;
    let mut running = Threads::new();
    let mut done = 0;
    loop {
        while running.len() < session.streams()
            && let Some(block) = queue.last()
        {
            let Some(room) = room::<D>(session, &work, &by_block, *block, running.len() == 0)?
            else {
                break; // until another block is done
            };
            let block = queue.pop().expect("a block is waiting");
            let (work, by_block, store) =
                (Arc::clone(&work), Arc::clone(&by_block), Arc::clone(&store));
            let is_kept = run.is_some();
            running.spawn(move |thread| {
                let result = work.block(&by_block, block, thread)?;
                drop(room);
                let number = u32::try_from(block).expect("blocks are counted in 30 bits");
                let bytes = is_kept.then(|| Bytes::from(result.to_bytes()));
                Ok((BlockLists::new(number, result, &work.owners, &store, thread)?, bytes))
            });
        }
        let Some(ended) = running.next().await else { break };
        let (lists, bytes) = ended?;
        if let (Some(run), Some(bytes)) = (run, bytes) {
            run.checkpoint(&block_name(lists.block), bytes).await?;
        }
        blocks.push(lists);
        done += 1;
        watch.report(Event::Progress { done });
    }
    watch.report(Event::Done);
    blocks.sort_by_key(|lists| lists.block);
    let store = Arc::into_inner(store).expect("the threads are over");
    Ok(BlockResults { store, blocks })
}

/// The blocks that a killed run had done.
async fn done_before<const D: usize>(
    checkpoint: &Checkpoint,
    work: &Arc<Work<D>>,
    store: &Arc<SpillStore>,
) -> Result<Vec<BlockLists>> {
    let mut blocks = Vec::new();
    for (at, block) in checkpoint.blocks().enumerate() {
        let bytes = checkpoint.read(at).await?;
        let (work, store) = (Arc::clone(work), Arc::clone(store));
        let lists = threads::run(move |thread| {
            let result = BlockResult::from_bytes(&bytes)?;
            BlockLists::new(block, result, &work.owners, &store, thread)
        });
        blocks.push(lists.await?);
    }
    Ok(blocks)
}

/// Memory for a block; none while others hold too much of it.
fn room<const D: usize>(
    session: &Session,
    work: &Work<D>,
    by_block: &RowsByBlock<D>,
    block: usize,
    is_alone: bool,
) -> Result<Option<MemoryReservation>> {
    let part = &by_block.blocks[block];
    let rows = part.own_rows + part.margin_rows;
    let bytes = usize::try_from(rows * row_bytes::<D>()).unwrap_or(usize::MAX);
    let room = MemoryConsumer::new("dbscan block").register(&session.memory_pool());
    match room.try_grow(bytes) {
        Ok(()) => Ok(Some(room)),
        Err(_) if !is_alone => Ok(None),
        Err(cause) => {
            let (own, margin, mib) = (part.own_rows, part.margin_rows, bytes >> 20);
            Err(Error::new(
                Kind::Limit,
                format!(
                    "{} has {own} rows and {margin} within eps of it, which need {mib} MiB: raise \
                     --memory-limit, or use a smaller eps",
                    work.owners.name(block),
                ),
            )
            .caused_by(cause))
        }
    }
}
