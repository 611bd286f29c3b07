//! The sky partitioner: a catalogue of sources into blocks of bounded size, neighbours included.
//!
//! 1. Read the positions once, in the frame of the grid, and measure their extent ([`input`]).
//! 2. Lay a grid of as many blocks as the input's bytes ask for, and count the rows of each
//!    ([`count`](mod@count)); rows without a position are set aside by reason.
//! 3. Split what holds too many rows, on counts alone, until nothing does or rows cannot be told
//!    apart.
//! 4. Read everything once more and send each row to the block that owns it, and copies of it to
//!    the blocks whose margin holds it ([`write`](mod@write)).
//! 5. Compare rows written with rows counted, and publish all tables and `blocks.csv` at once.
//!
//! Exact: own rows and quarantined rows together are the rows of the input; no row has two owners;
//! margins are complete within the radius that each block states, at the poles and across 0/360
//! ([`grid`](crate::grid)). Nothing depends on streams, batches or the order of files.
//!
//! Memory: positions (16 bytes a row) if they fit a quarter of the pool, counts of at most 2^20 cells
//! a stream, some 200 bytes a block, and what the sink accounts to the pool.

pub mod count; // extent, grid, counts, splitting
pub mod input; // columns, coordinates, positions
pub mod legacy; // as in 2017
pub mod nearby; // margins by brute force
pub mod options; // as the user wrote them, and checked
pub mod parts; // text files a block
pub mod record; // what is told of blocks
pub mod schema; // CREATE TABLE for text without header
pub mod verify; // what was stored, against the plan
pub mod write; // the full read

pub use options::{Options, Params};
pub use record::BlockRecord;
pub use schema::Schema;

use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::grid::{Assigner, GridShape, Margin, Plan};
use crate::session::Session;
use crate::table::{Run, Source};
use input::Input;
use options::{BadRows, Layout};

/// The name of the frame of 2017.
const LEGACY: &str = "legacy2017";

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

    /// Blocks with more rows than asked for, which cannot be told apart.
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
    schema: Option<&Schema>,
    run: Option<Run>,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let mut input = Input::open(session, &source.tables, params, schema)?;
    if let Some(name) = input.imprecise() {
        watch.report(Event::Warning(format!(
            "column '{name}' is a 32-bit float: positions are good to a tenth of an arc second"
        )));
    }
    if params.frame.is_none() {
        let (blocks, rows) = legacy::run(&input, params, run).await?;
        input.check_unchanged().await?;
        let preset = params.options.preset;
        let quarantined = Vec::new();
        return Ok(Outcome { preset, frame: LEGACY, blocks, rows, quarantined, rounds: 0 });
    }
    let counted = count::count(&mut input, params, watch).await?;
    let filled = counted.split.plan.blocks().iter().zip(&counted.split.own_rows);
    let filled = filled.filter(|(_, rows)| **rows > 0).map(|(block, _)| &block.bounds);
    if params.options.unit == options::Unit::Deg && input.may_be_radians(filled).await? {
        watch.report(Event::Warning(
            "all positions are within 6.2832 of 0: if they are radians, pass --unit rad".into(),
        ));
    }
    if counted.bad() > 0 {
        refuse_or_warn(params, &counted, watch)?;
    }
    let places = Assigner::new(counted.split.plan.clone())?;
    let mut blocks = BlockRecord::of(&counted, &places);
    drop(places);
    warn_of_dense(&blocks, params, watch);
    match &run {
        None if params.margin == Margin::None => {}
        None => {
            let rows = count::places(&input, &counted.split.plan).await?;
            blocks.iter_mut().zip(rows.chunks(2)).for_each(|(block, rows)| {
                block.margin_rows = rows[1];
            });
        }
        Some(run) if params.options.layout == Layout::Parts => {
            input.drop_positions()?;
            write_parts(&input, &counted.split.plan, &mut blocks, run).await?;
            write::quarantine(&input, &counted, run, watch).await?;
        }
        Some(run) => {
            input.drop_positions()?;
            write::write(&input, params, &counted, &mut blocks, run, watch).await?;
        }
    }
    input.check_unchanged().await?;
    if let Some(run) = run {
        let properties = record::properties(&input, params, &counted, &blocks)?;
        match params.options.layout {
            Layout::Blocks => {
                run.commit_blocks(properties, record::lines(&blocks)).await?;
            }
            Layout::Parts => {
                let text = properties_of_2017(&counted.split.plan, &blocks)?;
                parts::publish(run, text, properties, &blocks).await?;
            }
        }
    }
    Ok(Outcome {
        preset: params.options.preset,
        frame: counted.split.plan.grid().frame().name(),
        rows: counted.rows,
        quarantined: counted.faults,
        rounds: counted.split.rounds,
        blocks,
    })
}

fn refuse_or_warn(params: &Params, counted: &count::Counted, watch: &dyn Observer) -> Result<()> {
    let reasons: Vec<_> = counted.faults.iter().map(|(why, n)| format!("{why} {n}")).collect();
    let (bad, reasons) = (counted.bad(), reasons.join(", "));
    if params.options.bad_rows == BadRows::Error {
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
    if let (Some(first), Some(max_rows)) = (dense().next(), params.max_rows) {
        watch.report(Event::Warning(format!(
            "{} blocks hold more than {max_rows} rows that cannot be told apart; the first is \
             block {} with {}",
            dense().count(),
            first.block,
            first.own_rows
        )));
    }
}

/// Writes a text file a block.
async fn write_parts(
    input: &Input,
    plan: &Plan,
    blocks: &mut [BlockRecord],
    run: &Run,
) -> Result<()> {
    let names: Vec<u32> = blocks.iter().map(|block| block.block).collect();
    let written = parts::write(input, parts::plan(input, plan).await?, &names, run).await?;
    for (block, lines) in blocks.iter_mut().zip(written) {
        if lines.own != block.own_rows {
            return Err(input::changed(&format!("block {} has other rows", block.block)));
        }
        (block.margin_rows, block.bytes) = (lines.margin, lines.bytes);
    }
    Ok(())
}

fn properties_of_2017(plan: &Plan, blocks: &[BlockRecord]) -> Result<String> {
    let shape = GridShape::new(plan.grid().columns().cells(), plan.grid().rows().cells())?;
    let bounds: Vec<_> = blocks.iter().map(|block| (block.block, block.bounds)).collect();
    let lines = blocks.iter().map(|block| (block.block, block.own_rows + block.margin_rows));
    let lines: Vec<_> = lines.collect();
    Ok(parts::properties(plan.grid().base_blocks(), shape, &bounds, &lines))
}
