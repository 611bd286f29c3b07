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

mod advise; // red flags; pure
mod blocks; // local clustering, a block at a time on each core
mod count; // rows and cost of boxes of cells; pure
mod divide; // counting, and rows to blocks
pub mod distances; // the k-distance curve
mod found; // what a block found, as words
pub mod input; // columns, coordinates, row numbers
mod join; // merged numbers to rows
pub mod labels; // the tables of a result
pub mod local; // one block: coordinates in, labels and contacts out
pub mod merge; // contacts of all blocks in, cluster numbers out
pub mod options; // as the user wrote them, and checked
pub mod plan; // blocks from counts; pure
mod probe; // labels of some rows against the definition
mod record; // what is told of a run
pub mod resume; // the blocks of a killed run
pub mod shelf; // lists of words, in memory or on disk
mod sizes; // what is told of a cluster
mod tree; // the k-th nearest row; pure
mod threads; // work on all cores

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use join::Counts;
pub use options::{Options, Params};
pub use resume::Killed;

use crate::error::{Error, Result};
use crate::event::{Event, Observer, Silent};
use crate::session::Session;
use crate::table::{Run, Source, SourceTable};
use blocks::Work;
use input::{Held, Input};
use join::Ranges;
use merge::Numbers;
use options::Verify;
use plan::{Limits, Plan};
use resume::Kept;
use sizes::{Scale, Size};

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
    let input = Input::open(session, source, params)?;
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
    let held = input.read::<D>(watch).await?;
    let (rows, skipped) = (held.rows, held.skipped);
    let inputs = SourceTable::input_records(&input.table);
    let limits = match &killed {
        Some(killed) => killed.limits(params, &inputs)?,
        None => {
            let max_rows = params.options.max_rows.map(NonZeroU64::get);
            divide::limits::<D>(input.session(), held.usable(), max_rows)
        }
    };
    let job = Job { input, params, watch };
    let (held, plan) = job.plan(held, limits).await?;
    let Some(run) = run else {
        let (blocks, counts) = (record::planned(&plan), Counts::default());
        return Ok(Outcome { rows, skipped, counts, clusters: None, blocks });
    };
    if plan.blocks().len() > 1 {
        resume::keep_plan(&run, params, &inputs, limits).await?;
    }
    let kept = killed.map_or(Ok(Kept::default()), Killed::into_kept)?;
    let found = job.cluster(held, plan, kept, Some(&run)).await?;
    let ranges = Arc::new(found.ranges);
    if let Some(verify) = params.options.verify {
        job.verify::<D>(&ranges, verify, limits).await?;
    }
    let largest = found.sizes.iter().map(|size| size.rows).max().unwrap_or_default();
    let clusters = labels::clusters(params, &found.sizes, found.numbers.first_rows(), found.scale)?;
    drop((found.sizes, found.numbers));
    labels::write(input, params, &ranges, &run, watch).await?;
    labels::write_clusters(input.session(), clusters.clone(), &run).await?;
    input.check_unchanged().await?;
    let (counts, blocks) = (found.counts, found.blocks);
    let outcome = Outcome { rows, skipped, counts, clusters: Some(clusters), blocks };
    for flag in advise::after(&outcome, largest, params) {
        watch.report(Event::Warning(flag));
    }
    run.commit(record::properties(input, params, &outcome)).await?;
    Ok(outcome)
}

/// What the phases of a run work with.
struct Job<'a> {
    input: &'a Input,
    params: &'a Params,
    watch: &'a dyn Observer,
}

/// All rows with their labels, and all clusters.
struct Clustered<const D: usize> {
    ranges: Ranges,
    counts: Counts,
    sizes: Vec<Size<D>>,
    numbers: Arc<Numbers>,
    scale: Scale,
    blocks: Vec<BlockFacts>,
}

impl Job<'_> {
    /// Counts rows and cuts space into blocks; says what looks hopeless.
    async fn plan<const D: usize>(
        &self,
        held: Held<D>,
        limits: Limits,
    ) -> Result<(Held<D>, Plan<D>)> {
        let held = Arc::new(held);
        let threads = self.input.session().streams();
        let (plan, flags) = divide::plan(&held, self.params, limits, threads).await?;
        for flag in flags {
            self.watch.report(Event::Warning(flag));
        }
        Ok((Arc::into_inner(held).expect("no phase is running"), plan))
    }

    /// Shares rows out, clusters block by block, joins the blocks and labels every row.
    async fn cluster<const D: usize>(
        &self,
        held: Held<D>,
        plan: Plan<D>,
        kept: Kept<D>,
        run: Option<&Run>,
    ) -> Result<Clustered<D>> {
        let Self { input, params, watch } = *self;
        let (session, border) = (input.session(), params.options.border);
        let (plan, rows) = (Arc::new(plan), held.rows);
        let scale = Scale::new(held.largest());
        let done = kept.done(plan.blocks().len())?;
        let piles = divide::scatter(held, &plan, session, done).await?;
        let blocks = record::scattered(&plan, &piles);
        let work = Work::new(Arc::clone(&plan), params, scale);
        let findings = blocks::cluster_all(work, piles, kept, run, session, watch).await?;
        let numbers = Arc::new(join::number::<D>(&findings)?);
        let sizes = join::sizes::<D>(&findings, &numbers, border, scale)?;
        let labelled = join::label(findings, Arc::clone(&numbers), border, rows, session);
        let (ranges, counts) = labelled.await?;
        Ok(Clustered { ranges, counts, sizes, numbers, scale, blocks })
    }

    /// Checks the labels against the definition, and with `full` against those of other blocks.
    async fn verify<const D: usize>(
        &self,
        ranges: &Arc<Ranges>,
        verify: Verify,
        limits: Limits,
    ) -> Result<()> {
        let held = Arc::new(self.input.read::<D>(self.watch).await?);
        let threads = self.input.session().streams();
        probe::verify(&held, ranges, self.params, verify.rows(), threads).await?;
        if verify != Verify::Full {
            return Ok(());
        }
        let smaller = limits.thirds(held.usable());
        let held = Arc::into_inner(held).expect("no phase is running");
        let (held, plan) = Job { watch: &Silent, ..*self }.plan(held, smaller).await?;
        let again = self.cluster(held, plan, Kept::default(), None).await?.ranges;
        for range in 0..ranges.len() as u64 {
            if ranges.range(range)? != again.range(range)? {
                return Err(Error::internal("the labels of other blocks are not the same"));
            }
        }
        Ok(())
    }
}
