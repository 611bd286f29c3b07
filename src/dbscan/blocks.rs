//! Blocks one by one: each is clustered on a thread of its own, under a reservation of the memory it
//! may need; what it found is kept for a later run and put away until blocks are merged.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::local::{Density, Local, cluster};
use super::merge::block_result::BlockResult;
use super::merge::block_results::BlockResults;
use super::merge::sizes::Scale;
use super::options::{Border, Params};
use super::plan::block_rows::{RowsByBlock, row_bytes};
use super::plan::margin_owners::MarginOwners;
use super::plan::resume::{Checkpoint, block_name};
use super::spill_store::SpillStore;
use super::threads::{Stop, died};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::session::Session;
use crate::table::Run;

/// What blocks are clustered by.
pub(crate) struct Work<const D: usize> {
    pub(crate) owners: MarginOwners<D>,
    pub(crate) density: Density,
    pub(crate) border: Border,
    pub(crate) scale: Scale,
}

impl<const D: usize> Work<D> {
    pub(crate) fn new(owners: MarginOwners<D>, params: &Params, scale: Scale) -> Self {
        Self { owners, density: params.density, border: params.options.border, scale }
    }

    /// Clusters one block; none once it has been asked to stop.
    fn block(
        &self,
        by_block: &RowsByBlock<D>,
        block: usize,
        stop: &AtomicBool,
    ) -> Result<Option<BlockResult<D>>> {
        let part = &by_block.blocks[block];
        let rows = usize::try_from(part.own_rows + part.margin_rows).unwrap_or(usize::MAX);
        let own = usize::try_from(part.own_rows).unwrap_or(usize::MAX);
        let mut places: Vec<[f64; D]> = Vec::with_capacity(rows);
        let (mut positions, mut ids) = (Vec::with_capacity(own), Vec::new());
        let place = |words: &[u64]| std::array::from_fn(|k| f64::from_bits(words[k]));
        for list in &part.own {
            for words in by_block.store.take(*list)?.chunks_exact(by_block.width) {
                places.push(place(words));
                positions.push(words[D]);
                ids.extend(words.get(D + 1));
            }
        }
        for list in &part.margin {
            places.extend(by_block.store.take(*list)?.chunks_exact(D).map(place));
        }
        let own_places = places[..own].to_vec();
        let copied = |p: &[f64; D]| self.owners.is_copied(block, p);
        let Some(local): Option<Local<D>> = cluster(places, own, &self.density, copied, stop)?
        else {
            return Ok(None);
        };
        let ids = if ids.is_empty() { &positions } else { &ids };
        let own = own_places.into_iter();
        Ok(Some(BlockResult::new(own, &positions, ids, local, self.border, self.scale)))
    }
}

/// Clusters all blocks, the dearest first, and keeps each in the run's record.
pub(crate) async fn cluster_all<const D: usize>(
    work: Work<D>,
    by_block: RowsByBlock<D>,
    checkpoint: Checkpoint,
    run: Option<&Run>,
    session: &Session,
    watch: &dyn Observer,
) -> Result<BlockResults> {
    let mut results =
        BlockResults { store: SpillStore::new(session, "labels of blocks"), blocks: Vec::new() };
    let keeps = work.owners.blocks() > 1;
    for (at, block) in checkpoint.blocks().enumerate() {
        results.add(block, checkpoint.read(at).await?, &work.owners)?;
    }
    let mut queue: Vec<usize> =
        (0..by_block.blocks.len()).filter(|block| by_block.blocks[*block].own_rows > 0).collect();
    let cost = |block: &usize| work.owners.cost(*block);
    queue.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(b.cmp(a)));
    let total = queue.len() as u64;
    watch.report(Event::Stage {
        name: "clustering".into(),
        total: Some(total),
        unit: Unit::Blocks,
    });
    let (work, by_block) = (Arc::new(work), Arc::new(by_block));
    let stop = Stop::default();
    let mut running = JoinSet::new();
    let mut done = 0;
    loop {
        while running.len() < session.streams()
            && let Some(block) = queue.last()
        {
            let Some(room) = room::<D>(session, &work, &by_block, *block, running.is_empty())?
            else {
                break; // until another block is done
            };
            let block = queue.pop().expect("a block is waiting");
            let (work, by_block, stop) = (Arc::clone(&work), Arc::clone(&by_block), stop.flag());
            running.spawn_blocking(move || {
                let result = work.block(&by_block, block, &stop);
                drop(room);
                result.map(|result| (block, result))
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (block, result) = ended.map_err(died)??;
        let result = result.ok_or_else(|| Error::internal("a block was stopped"))?;
        let number = u32::try_from(block).expect("blocks are counted in 30 bits");
        if let Some(run) = run.filter(|_| keeps) {
            run.checkpoint(&block_name(number), Bytes::from(result.to_bytes())).await?;
        }
        results.add(number, result, &work.owners)?;
        done += 1;
        watch.report(Event::Progress { done });
    }
    watch.report(Event::Done);
    results.blocks.sort_by_key(|lists| lists.block);
    Ok(results)
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
                     --memory-limit, or take a smaller eps",
                    work.owners.name(block),
                ),
            )
            .caused_by(cause))
        }
    }
}
