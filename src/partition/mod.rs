//! The sky partitioner: a catalogue of sources into blocks of bounded size, neighbours included.
//!
//! 1. Read the positions once, in the frame of the grid, and measure their extent ([`catalogue`]).
//! 2. Lay a grid of as many blocks as the input's bytes ask for, and count the rows of each
//!    ([`count`](mod@count)); rows without a position are set aside by reason.
//! 3. Split what holds too many rows, on counts alone, until nothing does or rows cannot be
//!    separated.
//! 4. Read everything once more and send each row to the block that owns it, and copies of it to
//!    the blocks whose margin holds it ([`output`]).
//! 5. Compare rows written with rows counted, and publish all tables and `blocks.csv` at once.
//!
//! Exact: own rows and quarantined rows together are the rows of the input; no row has two owners;
//! margins are complete within the radius that each block states, at the poles and across 0/360
//! ([`grid`](crate::grid)). Nothing depends on streams, batches or the order of files.
//!
//! Memory: positions (16 bytes a row) if they fit a quarter of the pool, counts of at most 2^20 cells
//! a stream, some 200 bytes a block, and what the sink accounts to the pool.

pub mod block_record; // what is said of each block
pub mod catalogue; // columns, coordinates, positions
pub(crate) mod coordinates; // their columns, and their values as SQL
pub mod count; // extent, grid, counts, splitting
pub mod options; // as the user wrote them, and checked
pub mod output; // the full read, in a layout
pub mod schema; // CREATE TABLE for text without header
pub mod stored; // what is said of the dataset
pub mod verify; // what was stored, against the plan

pub use block_record::BlockRecord;
pub use options::{Options, Params};
pub use schema::TextSchema;

use std::sync::Arc;

use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::grid::{Assigner, Margin};
use crate::session::Session;
use crate::table::{Run, Source};
use catalogue::Catalogue;
use options::{AngleUnit, BadRows, FrameName};
use output::job::Job;
use output::legacy;

/// What a run has found and, unless it was dry, published.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The preset it began with.
    pub preset: options::Preset,
    /// The frame of the grid.
    pub frame: &'static str,
    /// All blocks; the index is the id.
    pub blocks: Vec<BlockRecord>,
    /// All rows of the input.
    pub rows: u64,
    /// Rows without a position, by reason.
    pub quarantined: Vec<(String, u64)>,
    /// How often rows were counted for splitting.
    pub rounds: u32,
}

impl Outcome {
    /// Blocks without own rows.
    pub fn empty(&self) -> u64 {
        self.blocks.iter().filter(|block| block.own_rows == 0).count() as u64
    }

    /// Blocks with more rows than asked for, which cannot be separated.
    pub fn dense(&self) -> u64 {
        self.blocks.iter().filter(|block| block.dense).count() as u64
    }

    /// Copies in margins.
    pub fn margin_rows(&self) -> u64 {
        self.blocks.iter().map(|block| block.margin_rows).sum()
    }

    /// Rows without a position.
    pub fn bad(&self) -> u64 {
        self.quarantined.iter().map(|(_, rows)| rows).sum()
    }

    /// The own rows of the fullest block.
    pub fn largest(&self) -> u64 {
        self.blocks.iter().map(|block| block.own_rows).max().unwrap_or_default()
    }
}

/// Partitions `source`; with `run`, writes and publishes, without it only counts.
///
/// # Errors
/// Columns or positions that cannot be used, an input that changes while it is read, a memory limit,
/// storage that fails: nothing is published then.
pub async fn run(
    session: &Session,
    source: &Source,
    params: &Params,
    schema: Option<&TextSchema>,
    run: Option<Run>,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let mut input = Catalogue::open(session, &source.tables_of_rows(), params, schema)?;
    if let Some(name) = input.imprecise() {
        watch.report(Event::Warning(format!(
            "column '{name}' is a 32-bit float: its positions are only accurate to a tenth of an arc \
             second"
        )));
    }
    if params.frame().is_none() {
        let (blocks, rows) = legacy::run(&input, params, run).await?;
        input.check_unchanged().await?;
        let preset = params.preset();
        let quarantined = Vec::new();
        return Ok(Outcome {
            preset,
            frame: FrameName::Legacy2017.name(),
            blocks,
            rows,
            quarantined,
            rounds: 0,
        });
    }
    let counted = count::count(&mut input, params, watch).await?;
    if params.options().unit == AngleUnit::Deg && input.may_be_radians(&counted.split).await? {
        watch.report(coordinates::may_be_radians());
    }
    if counted.bad() > 0 {
        refuse_or_warn(params, &counted, watch)?;
    }
    let planning = Event::Stage { name: "planning margins".into(), total: None, unit: Unit::Steps };
    watch.report(planning);
    let split = Arc::clone(&counted.split);
    let mut blocks = compute(move |stop| {
        let assigner = Assigner::unless(stop, split.plan.clone())?;
        Ok(BlockRecord::of(&split, &assigner))
    })
    .await?;
    watch.report(Event::Done);
    warn_of_dense(&blocks, params, watch);
    match run {
        None => {
            if params.margin() != Margin::None {
                let rows = count::margin_rows(&input, &counted.split).await?;
                blocks.iter_mut().zip(rows).for_each(|(block, rows)| block.margin_rows = rows);
            }
            input.check_unchanged().await?;
        }
        Some(run) => {
            input.drop_positions()?;
            let job = Job { catalogue: &input, params, counted: &counted, watch };
            blocks = output::publish(job, blocks, run).await?;
        }
    }
    Ok(Outcome {
        preset: params.preset(),
        frame: counted.split.plan.grid().frame().name(),
        rows: counted.rows,
        quarantined: counted.faults,
        rounds: counted.split.rounds,
        blocks,
    })
}

fn refuse_or_warn(
    params: &Params,
    counted: &count::CountResult,
    watch: &dyn Observer,
) -> Result<()> {
    let reasons: Vec<_> = counted.faults.iter().map(|(why, n)| format!("{why} {n}")).collect();
    let (bad, reasons) = (counted.bad(), reasons.join(", "));
    if params.options().bad_rows == BadRows::Error {
        return Err(Error::data(format!(
            "{bad} of {} rows have no position ({reasons}): filter them or pass --bad-rows \
             quarantine",
            counted.rows
        )));
    }
    watch.report(Event::Warning(format!(
        "{bad} of {} rows have no position ({reasons}): they are in the table quarantine",
        counted.rows
    )));
    Ok(())
}

fn warn_of_dense(blocks: &[BlockRecord], params: &Params, watch: &dyn Observer) {
    let dense = || blocks.iter().filter(|block| block.dense);
    if let (Some(first), Some(max_rows)) = (dense().next(), params.max_rows()) {
        watch.report(Event::Warning(format!(
            "{} blocks hold more than {max_rows} rows that cannot be separated; the first is \
             block {} with {}",
            dense().count(),
            first.block,
            first.own_rows
        )));
    }
}
