//! The full read: every row to the block that owns it, and to the margins that hold it.

use std::collections::BTreeMap;

use super::job::Job;
use crate::compute::compute;
use crate::error::Result;
use crate::event::Event;
use crate::grid::Margin;
use crate::partition::block_record::BlockRecord;
use crate::partition::catalogue::Catalogue;
use crate::partition::count::bound_plan;
use crate::partition::options::AngleUnit;
use crate::table::manifest::FileRecord;
use crate::table::{KeyLayout, Run, TableSpec, input_changed};

const BLOCKS: &str = include_str!("../../../sql/steps/partition_blocks.sql");
const LISTS: &str = include_str!("../../../sql/steps/partition_lists.sql");
const ASSIGN: &str = include_str!("../../../sql/steps/partition_assign.sql");

/// Bytes that an open writer needs for each column: rows short of a chunk, and rows that wait.
const BYTES_PER_COLUMN: u64 = 64 << 10;

/// Writes the tables `blocks` and `margins`, and completes the records of the blocks.
///
/// # Errors
/// An input that changed since it was counted; the engine's; storage that fails.
pub async fn write(job: Job<'_>, blocks: Vec<BlockRecord>, run: &Run) -> Result<Vec<BlockRecord>> {
    let Job { catalogue, counted, .. } = job;
    let has_margin = job.params.margin() != Margin::None;
    let plan = bound_plan(&counted.split).await?;
    let layout = layout(catalogue, &blocks, has_margin);
    let text = match layout {
        _ if !has_margin => BLOCKS,
        KeyLayout::CountedFanout => LISTS,
        _ => ASSIGN,
    };
    // Asking costs a copy of every row, and the position twice.
    let known = if counted.bad() == 0 { "" } else { "WHERE block IS NOT NULL" };
    let plan = catalogue.plan(text, &[("where", known)], vec![plan]).await?;
    let spec = TableSpec {
        name: "blocks".to_owned(),
        keys: vec!["block".to_owned()],
        layout,
        beside: if has_margin { vec!["margins".to_owned()] } else { Vec::new() },
        high_cardinality: true,
        ..TableSpec::default()
    };
    job.stage("writing blocks", counted.rows - counted.bad());
    run.write(&catalogue.session().state(), plan, spec, job.watch).await?;
    job.watch.report(Event::Done);
    let (own, margins) = (run.files_of("blocks"), run.files_of("margins"));
    let in_degrees = job.params.options().unit == AngleUnit::Deg;
    let coordinates = in_degrees.then(|| catalogue.coordinates.clone());
    compute(move |_| completed(blocks, own, margins, coordinates.as_ref())).await
}

/// A writer for each block in each stream if the pool has room for them, else a shuffle and a sort.
fn layout(catalogue: &Catalogue, blocks: &[BlockRecord], has_margin: bool) -> KeyLayout {
    let used = blocks.iter().filter(|block| block.own_rows > 0).count() as u64;
    let keys = if has_margin { used + blocks.len() as u64 } else { used };
    let columns = catalogue.schema().fields().len() as u64;
    let bytes = keys * catalogue.session().streams() as u64 * columns * BYTES_PER_COLUMN;
    if bytes <= catalogue.session().pool_bytes() / 3 {
        KeyLayout::CountedFanout
    } else {
        KeyLayout::Clustered
    }
}

/// Notes what was written of each block, and compares it with what was counted. `coordinates` are the
/// columns whose bounds are noted too.
fn completed(
    mut blocks: Vec<BlockRecord>,
    own: Vec<FileRecord>,
    margins: Vec<FileRecord>,
    coordinates: Option<&[String; 2]>,
) -> Result<Vec<BlockRecord>> {
    let (own, margins) = (by_block(own), by_block(margins));
    for block in &mut blocks {
        let sums = |files: Option<&Vec<FileRecord>>| {
            let files = || files.into_iter().flatten();
            (files().map(|file| file.rows).sum::<u64>(), files().map(|file| file.size).sum())
        };
        let written;
        (written, block.bytes) = sums(own.get(&block.block));
        (block.margin_rows, block.margin_bytes) = sums(margins.get(&block.block));
        if written != block.own_rows {
            return Err(input_changed(&format!(
                "block {} was counted with {} rows and written with {written}",
                block.block, block.own_rows
            )));
        }
        if let (Some(files), Some(names)) = (own.get(&block.block), coordinates) {
            block.observed = [0, 1].map(|axis| observed(files, &names[axis]));
        }
    }
    Ok(blocks)
}

fn by_block(files: Vec<FileRecord>) -> BTreeMap<u32, Vec<FileRecord>> {
    let mut blocks: BTreeMap<u32, Vec<FileRecord>> = BTreeMap::new();
    for file in files {
        // The file of an empty table belongs to no block.
        if let Some(block) = file.partition.first().and_then(|key| key.parse().ok()) {
            blocks.entry(block).or_default().push(file);
        }
    }
    blocks
}

/// The bounds of a column in some files, if all of them have statistics.
fn observed(files: &[FileRecord], column: &str) -> Option<(f64, f64)> {
    let bound = |values: &BTreeMap<String, String>| values.get(column)?.parse::<f64>().ok();
    let mut all = (f64::INFINITY, f64::NEG_INFINITY);
    for file in files {
        let (min, max) = (bound(&file.min)?, bound(&file.max)?);
        all = (all.0.min(min), all.1.max(max));
    }
    // Statistics say -0.0 for the least of zeros.
    Some((all.0 + 0.0, all.1 + 0.0))
}
