//! `--frame legacy2017`: a catalogue as the programs of 2017 would have cut it, faults included.
//!
//! The formulas need all positions at once and know rows by their order, so the input is held in
//! memory (accounted to the pool): it is meant for samples. A row without coordinates ends the run,
//! as it did then.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Builder, ListBuilder, RecordBatch};
use arrow::datatypes::{Field, Float64Type, Schema};
use datafusion::catalog::MemTable;
use datafusion::execution::memory_pool::MemoryConsumer;
use futures::TryStreamExt;

use super::parts::{self, Lines};
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::grid::legacy2017::{self, Options, Published, Version};
use crate::partition::block_record::{self, BlockRecord};
use crate::partition::catalogue::Catalogue;
use crate::partition::options::{GridSize, Params, Preset};
use crate::partition::stored::{DRIVER, Stored};
use crate::table::Run;

const ROWS: &str = include_str!("../../../sql/steps/partition_rows.sql");
const PLACED: &str = include_str!("../../../sql/steps/partition_placed.sql");

/// The constants of 2017: 5000 / 128 is 40 blocks.
const CONSTANTS: (u64, u64) = (5000, 128);
/// Rows of a batch that is held.
const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// Cuts as in 2017 and, with `run`, writes and publishes; gives the blocks and the rows of the input.
///
/// # Errors
/// What ended a run in 2017; a memory limit; storage that fails.
pub async fn run(
    input: &Catalogue,
    params: &Params,
    run: Option<Run>,
) -> Result<(Vec<BlockRecord>, u64)> {
    let plan = input.plan(ROWS, &[], Vec::new()).await?;
    let session = input.session().in_order(BATCH_ROWS);
    let held = MemoryConsumer::new("rows").register(&session.memory_pool());
    let frame = session.context().execute_logical_plan(plan).await?;
    let mut stream = frame.execute_stream().await?;
    let (mut batches, mut positions) = (Vec::new(), Vec::new());
    while let Some(batch) = stream.try_next().await? {
        held.try_grow(batch.get_array_memory_size())?;
        read_positions(input, &batch, &mut positions)?;
        batches.push(batch);
    }
    let rows = positions.len() as u64;
    let options = options(input, params);
    let (outcome, mut blocks) = compute(move |stop| {
        let outcome = legacy2017::run_unless(stop, &options, &positions)?;
        let blocks = records(&outcome);
        Ok((outcome, blocks))
    })
    .await?;
    let Some(run) = run else { return Ok((blocks, rows)) };
    let (outcome, placed) = compute(move |_| {
        let placed = with_places(&batches, &outcome)?;
        Ok((outcome, placed))
    })
    .await?;
    input.session().register("placed", Arc::new(placed))?;
    let plan = input.plan(PLACED, &[], Vec::new()).await?;
    let names: Vec<u32> = outcome.blocks.iter().map(|block| block.id).collect();
    let written = parts::write_files(input, plan, &names, &run).await?;
    for (block, Lines { own, bytes, .. }) in blocks.iter_mut().zip(written) {
        if own != block.own_rows {
            return Err(Error::internal("a part has not the lines of its block"));
        }
        block.bytes = bytes;
    }
    let bounds: Vec<_> = outcome.blocks.iter().map(|block| (block.id, block.bounds)).collect();
    let lines: Vec<_> = names.iter().copied().zip(outcome.rows()).collect();
    parts::write_properties(&run, parts::properties(outcome.shape, &bounds, &lines)).await?;
    let stored = Stored {
        input_location: input.table().location().to_string(),
        input_rows: rows,
        preset: params.preset(),
        columns: input.coordinates.clone(),
        blocks: None,
    };
    let run = run.made_by(DRIVER);
    run.commit_blocks(stored.to_properties(), block_record::lines(&blocks)).await?;
    Ok((blocks, rows))
}

fn read_positions(
    input: &Catalogue,
    batch: &RecordBatch,
    positions: &mut Vec<(f64, f64)>,
) -> Result<()> {
    let columns = batch.num_columns();
    let [ra, dec] = [2, 1].map(|back| batch.column(columns - back).as_primitive::<Float64Type>());
    if ra.null_count() + dec.null_count() > 0 {
        return Err(Error::data(format!(
            "'{}' has rows without coordinates, which end the program of 2017: filter them",
            input.table().name
        )));
    }
    positions.extend(ra.values().iter().copied().zip(dec.values().iter().copied()));
    Ok(())
}

fn options(input: &Catalogue, params: &Params) -> Options {
    let version = match params.preset() {
        Preset::V1 => Version::V1,
        Preset::V2 => Version::V2,
        Preset::V3 => Version::V3,
        Preset::V4 => Version::V4,
    };
    let (size, block) = match params.size() {
        GridSize::Bytes(_) if params.options().block_bytes.is_none() => CONSTANTS,
        GridSize::Bytes(bytes) => (input.bytes(), bytes),
        // The rule of 2017 gives a number that is not prime back.
        GridSize::Shape(shape) => (u64::from(shape.blocks()), 1),
    };
    let test = Options::of_test(version);
    Options { size, block, max_rows: params.max_rows().unwrap_or(test.max_rows), ..test }
}

/// The blocks in published order. Rows in several blocks are rows of each.
fn records(outcome: &Published) -> Vec<BlockRecord> {
    let blocks = outcome.blocks.iter().zip(outcome.rows());
    let record = |(block, rows): (&legacy2017::ClosedBlock, u64)| BlockRecord {
        block: block.id,
        parent: block.id,
        bounds: block.bounds,
        own_rows: rows,
        margin_rows: 0,
        bytes: 0,
        margin_bytes: 0,
        margin_radius_arcsec: 0.0,
        observed: [None, None],
        dense: false,
    };
    blocks.map(record).collect()
}

/// The rows with the places that the outcome gives them, all of them own ones.
fn with_places(batches: &[RecordBatch], outcome: &Published) -> Result<MemTable> {
    let mut places = outcome.places.iter();
    let mut placed = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut lists = ListBuilder::new(Int32Builder::new());
        for indices in places.by_ref().take(batch.num_rows()) {
            for index in indices {
                lists.values().append_value(i32::try_from(index * 2).expect("few blocks"));
            }
            lists.append(true);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let kept: Vec<usize> = (0..batch.num_columns() - 2).collect();
        let rows = batch.project(&kept)?;
        let mut fields = rows.schema().fields().to_vec();
        fields.push(Arc::new(Field::new("sky places", lists.data_type().clone(), false)));
        let mut columns = rows.columns().to_vec();
        columns.push(lists);
        placed.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?);
    }
    let schema = placed.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Ok(MemTable::try_new(schema, vec![placed])?)
}
