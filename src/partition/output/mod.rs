//! What a run writes: the full read of the catalogue, in one of the layouts, published at once.

pub mod blocks; // Parquet by block
pub mod job; // what is written from
pub mod layout; // the list of layouts
pub mod legacy; // as in 2017
pub mod parts; // a text file for each block
pub mod quarantine; // rows without a position

use super::block_record::{self, BlockRecord};
use super::stored;
use crate::error::Result;
use crate::table::Run;
use job::Job;
use layout::Layout;

/// Writes every row to the block that owns it and to the margins that hold it, completes the records
/// of the blocks, and publishes.
///
/// # Errors
/// An input that changed since it was counted; the engine's; storage that fails.
pub async fn publish(job: Job<'_>, blocks: &mut [BlockRecord], run: Run) -> Result<()> {
    match job.params.options.layout {
        Layout::Blocks => blocks::write(job, blocks, &run).await?,
        Layout::Parts => parts::write(job, blocks, &run).await?,
    }
    quarantine::write(job, &run).await?;
    job.catalogue.check_unchanged().await?;
    let properties = stored::properties(job.catalogue, job.params, job.counted, blocks)?;
    run.commit_blocks(properties, block_record::lines(blocks)).await?;
    Ok(())
}
