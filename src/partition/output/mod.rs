//! What a run writes: the full read of the catalogue, in one of the layouts, published at once.

pub mod blocks; // Parquet by block
pub mod job; // what is written from
pub mod layout; // the list of layouts
pub mod legacy; // as in 2017
pub mod parts; // a text file for each block
pub mod quarantine; // rows without a position

use super::block_record::{self, BlockRecord};
use super::options::GridSize;
use super::stored::{DRIVER, Stored, StoredBlocks, StoredSplit};
use crate::compute::compute;
use crate::error::Result;
use crate::grid::Margin;
use crate::table::Run;
use job::Job;
use layout::Layout;

/// Writes every row to the block that owns it and to the margins that hold it, completes the records
/// of the blocks, and publishes.
///
/// # Errors
/// An input that changed since it was counted; the engine's; storage that fails.
pub async fn publish(job: Job<'_>, blocks: Vec<BlockRecord>, run: Run) -> Result<Vec<BlockRecord>> {
    let blocks = match job.params.options().layout {
        Layout::Blocks => blocks::write(job, blocks, &run).await?,
        Layout::Parts => parts::write(job, blocks, &run).await?,
    };
    quarantine::write(job, &run).await?;
    job.catalogue.check_unchanged().await?;
    let properties = stored(job, &blocks).to_properties();
    let (blocks, lines) = compute(move |_| {
        let lines = block_record::lines(&blocks);
        Ok((blocks, lines))
    })
    .await?;
    run.made_by(DRIVER).commit_blocks(properties, lines).await?;
    Ok(blocks)
}

/// What is said of the blocks that are written.
fn stored(job: Job<'_>, blocks: &[BlockRecord]) -> Stored {
    let Job { catalogue, params, counted, .. } = job;
    let sum = |of: fn(&BlockRecord) -> u64| blocks.iter().map(of).sum::<u64>();
    let radius = blocks.iter().map(|block| block.margin_radius_arcsec).fold(f64::MAX, f64::min);
    Stored {
        input_location: catalogue.table().location().to_string(),
        input_rows: counted.rows,
        preset: params.preset(),
        columns: catalogue.coordinates.clone(),
        blocks: Some(StoredBlocks {
            input_files: catalogue.table().files.len() as u64,
            input_bytes: catalogue.bytes(),
            unit: params.options().unit,
            grid: counted.split.plan.grid().clone(),
            coverage: params.options().bounds,
            block_bytes: match params.size() {
                GridSize::Bytes(bytes) => Some(bytes),
                GridSize::Shape(_) => None,
            },
            split: params.max_rows().map(|max_rows| StoredSplit {
                rule: params.options().split,
                max_rows,
                rounds: counted.split.rounds,
            }),
            margin: params.margin(),
            margin_radius_arcsec: (params.margin() != Margin::None).then_some(radius),
            count: blocks.len() as u64,
            dense: sum(|block| u64::from(block.dense)),
            empty: sum(|block| u64::from(block.own_rows == 0)),
            own_rows: sum(|block| block.own_rows),
            margin_rows: sum(|block| block.margin_rows),
            quarantined: counted.bad(),
            reasons: counted.faults.iter().cloned().collect(),
        }),
    }
}
