//! DBSCAN, exact and block by block: the labels of scikit-learn whatever the blocks.
//!
//! Ester et al. 1996. A row is core when `min_points` rows, itself included, are within eps of it;
//! clusters are the core rows that a chain of such steps connects; a row that is not core belongs to
//! the first cluster with a core row near it, or is noise.
//!
//! 1. Read the coordinates of all rows once ([`input`]).
//! 2. Count them by cell and cut space into blocks that fit the memory ([`plan`]); send each row to
//!    the block that owns it, and a copy to every block within eps of it.
//! 3. Cluster the blocks one by one on all cores ([`local`]), and keep what each found.
//! 4. Join the clusters that blocks share, number them by their first core rows ([`merge`]).
//! 5. Write labels in the order of the input, and a line for each cluster ([`labels`]).
//!
//! Exact: the labels are those of `sklearn.cluster.DBSCAN(algorithm="kd_tree")` on the rows in their
//! order, for any blocks, threads, batches and memory limit; on the sphere for pairs that are not
//! within 1e-9 of eps.
//!
//! Memory: what a phase keeps of each row is in memory while a quarter of the pool holds it and on
//! disk from then on ([`shelf`]); a block in work is reserved, and blocks wait for each other's room.
//! A table of all clusters is held: 100 bytes a cluster.

mod blocks; // local clustering, a block at a time on each core
mod count; // rows and cost of boxes of cells; pure
mod divide; // counting, and rows to blocks
mod found; // what a block found, as words
pub mod input; // columns, coordinates, row numbers
mod join; // merged numbers to rows
pub mod labels; // the tables of a result
pub mod local; // one block: coordinates in, labels and contacts out
pub mod merge; // contacts of all blocks in, cluster numbers out
pub mod options; // as the user wrote them, and checked
pub mod plan; // blocks from counts; pure
mod record; // what is told of a run
pub mod resume; // the blocks of a killed run
pub mod shelf; // lists of words, in memory or on disk
mod sizes; // what is told of a cluster
mod threads; // work on all cores

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use join::Counts;
pub use options::{Options, Params};
pub use resume::Killed;

use crate::error::Result;
use crate::event::Observer;
use crate::session::Session;
use crate::table::{Run, Source, SourceTable};
use blocks::Work;
use input::Input;
use resume::Kept;
use sizes::Scale;

/// What a run has found and, unless it was dry, published.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// All rows of the input.
    pub rows: u64,
    /// Rows without a place.
    pub skipped: u64,
    /// How many rows are what; nothing in a dry run.
    pub counts: Counts,
    /// The table `clusters`; none in a dry run.
    pub clusters: Option<RecordBatch>,
    /// The blocks.
    pub blocks: Vec<BlockFacts>,
}

/// What is told of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockFacts {
    /// Its number.
    pub block: u32,
    /// Its lower corner.
    pub lo: Vec<f64>,
    /// Its upper corner, which is outside.
    pub hi: Vec<f64>,
    /// Rows that it owns.
    pub own_rows: u64,
    /// Rows of others within eps of it; in a dry run as far as counts tell.
    pub margin_rows: u64,
    /// What it may take to cluster it, as a part of all.
    pub cost_share: f64,
    /// What it needs of memory while it is clustered.
    pub bytes: u64,
}

impl Outcome {
    /// The number of clusters.
    pub fn clusters(&self) -> u64 {
        self.clusters.as_ref().map_or(0, |clusters| clusters.num_rows() as u64)
    }

    /// Copies in margins.
    pub fn margin_rows(&self) -> u64 {
        self.blocks.iter().map(|block| block.margin_rows).sum()
    }
}

/// Clusters `source`; with `run`, publishes the tables of [`labels`]; without it, only counts.
/// `killed` is what a run left that died.
///
/// # Errors
/// Columns that are missing or hold no numbers, ids that are not unique, an input that changes while
/// it is read, a memory or disk limit, storage that fails: nothing is published then.
pub async fn run(
    session: &Session,
    source: &Source,
    params: &Params,
    run: Option<Run>,
    killed: Option<Killed>,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let input = Input::open(session, &source.tables, params)?;
    match params.dimensions() {
        2 => run_in::<2>(&input, params, run, killed, watch).await,
        _ => run_in::<3>(&input, params, run, killed, watch).await,
    }
}

/// [`run`] in two or three dimensions.
async fn run_in<const D: usize>(
    input: &Input,
    params: &Params,
    run: Option<Run>,
    killed: Option<Killed>,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let session = input.session();
    let inputs = SourceTable::input_records(&input.table);
    let held = Arc::new(input.read::<D>(watch).await?);
    let (rows, skipped) = (held.rows, held.skipped);
    let limits = match &killed {
        Some(killed) => killed.limits(params, &inputs)?,
        None => {
            let max_rows = params.options.max_rows.map(NonZeroU64::get);
            divide::limits::<D>(session, held.usable(), max_rows)
        }
    };
    let plan = divide::plan(&held, &params.density, limits, session.streams()).await?;
    let Some(run) = run else {
        let blocks = record::planned(&plan);
        let counts = Counts::default();
        return Ok(Outcome { rows, skipped, counts, clusters: None, blocks });
    };
    if plan.blocks().len() > 1 {
        resume::keep_plan(&run, params, &inputs, limits).await?;
    }
    let plan = Arc::new(plan);
    let kept: Kept<D> = killed.map_or(Ok(Kept { blocks: Vec::new() }), Killed::into_kept)?;
    let scale =
        Scale::new((0..D).map(|k| held.lo[k].abs().max(held.hi[k].abs())).fold(0.0, f64::max));
    let held = Arc::into_inner(held).expect("no phase is running");
    let piles = divide::scatter(held, &plan, session, kept.done(plan.blocks().len())?).await?;
    let blocks = record::scattered(&plan, &piles);
    let work = Work::new(Arc::clone(&plan), params, scale);
    let findings = blocks::cluster_all(work, piles, kept, Some(&run), session, watch).await?;
    let border = params.options.border;
    let numbers = Arc::new(join::number::<D>(&findings)?);
    let sizes = join::sizes::<D>(&findings, &numbers, border, scale)?;
    let clusters = labels::clusters(params, &sizes, numbers.first_rows(), scale)?;
    drop(sizes);
    let (ranges, counts) = join::label(findings, numbers, border, rows, session).await?;
    labels::write(input, params, ranges, &run, watch).await?;
    labels::write_clusters(session, clusters.clone(), &run).await?;
    input.check_unchanged().await?;
    let outcome = Outcome { rows, skipped, counts, clusters: Some(clusters), blocks };
    run.commit(record::properties(input, params, &outcome)).await?;
    Ok(outcome)
}
