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
//! Memory: what a phase keeps of each row is in memory while a sixth of the pool holds it and on
//! disk from then on ([`shelf`]); a block in work is reserved, and blocks wait for each other's room.
//! A table of all clusters is held beside the pool: about 150 bytes a cluster.

mod advise; // red flags; pure
mod blocks; // local clustering, a block at a time on each core
mod count; // rows and cost of boxes of cells; pure
mod divide; // counting, and rows to blocks
pub mod distances; // the k-distance curve
mod found; // what a block found, as words
mod ground; // whose row is a margin row
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
pub mod sample; // rows of a result for a picture
pub mod shelf; // lists of words, in memory or on disk
mod sizes; // what is told of a cluster
mod tree; // the k-th nearest row; pure
mod stored; // blocks and margins of a dataset
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
use divide::Piles;
use ground::Ground;
use input::{Held, Input};
use join::Ranges;
use merge::Numbers;
use options::Verify;
use plan::Limits;
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
    let margins = stored::margins(source, params, session, watch);
    let job = Job { input: &input, margins, params, watch };
    match params.dimensions() {
        2 => job.run::<2>(run, killed).await,
        _ => job.run::<3>(run, killed).await,
    }
}

/// What the phases of a run work with.
#[derive(Clone, Copy)]
struct Job<'a> {
    input: &'a Input,
    /// The margins of stored blocks that are used as they are.
    margins: Option<&'a SourceTable>,
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
}

/// What is remembered of the rows once they are shared out.
struct Facts {
    rows: u64,
    /// The largest magnitude of a coordinate.
    largest: f64,
}

/// Blocks with their rows; without, in a dry run.
struct Shared<const D: usize> {
    blocks: Vec<BlockFacts>,
    rows: Option<(Ground<D>, Piles<D>)>,
}

impl Job<'_> {
    /// [`run`] in two or three dimensions.
    async fn run<const D: usize>(
        &self,
        run: Option<Run>,
        killed: Option<Killed>,
    ) -> Result<Outcome> {
        let (input, params) = (self.input, self.params);
        let held = input.read::<D>(self.watch).await?;
        let (rows, skipped) = (held.rows, held.skipped);
        let (limits, kept) = self.begin(&held, killed)?;
        let (held, shared) = self.share_out(held, limits, &kept, run.is_none()).await?;
        let (Some(run), Some((ground, piles))) = (run, shared.rows) else {
            let (blocks, counts) = (shared.blocks, Counts::default());
            return Ok(Outcome { rows, skipped, counts, clusters: None, blocks });
        };
        if ground.blocks() > 1 {
            let inputs = input.table.input_records();
            resume::keep_plan(&run, self.record(), &inputs, limits).await?;
        }
        let found = self.cluster(held, ground, piles, kept, Some(&run)).await?;
        let ranges = Arc::new(found.ranges);
        if let Some(verify) = params.options.verify {
            self.verify::<D>(&ranges, verify, limits).await?;
        }
        let largest = found.sizes.iter().map(|size| size.rows).max().unwrap_or_default();
        let clusters =
            labels::clusters(params, &found.sizes, found.numbers.first_rows(), found.scale)?;
        drop((found.sizes, found.numbers));
        labels::write(input, params, &ranges, &run, self.watch).await?;
        labels::write_clusters(input.session(), clusters.clone(), &run).await?;
        input.check_unchanged().await?;
        let (counts, blocks) = (found.counts, shared.blocks);
        let outcome = Outcome { rows, skipped, counts, clusters: Some(clusters), blocks };
        self.warn(advise::after(&outcome, largest, params, self.margins.is_some()));
        run.made_by("dbscan").commit(record::properties(input, params, &outcome)).await?;
        Ok(outcome)
    }

    /// The limits of the run, and the blocks that a killed one had done.
    fn begin<const D: usize>(
        &self,
        held: &Held<D>,
        killed: Option<Killed>,
    ) -> Result<(Limits, Kept)> {
        let Some(killed) = killed else {
            let max_rows = self.params.options.max_rows.map(NonZeroU64::get);
            let limits = divide::limits::<D>(self.input.session(), held.usable(), max_rows);
            return Ok((limits, Kept::default()));
        };
        let limits = killed.limits(&self.record(), &self.input.table.input_records())?;
        Ok((limits, killed.into_kept()))
    }

    /// What decides the labels and the blocks.
    fn record(&self) -> Vec<(String, String)> {
        let mut record = self.params.record();
        let blocks = if self.margins.is_some() { "stored" } else { "planned" };
        record.push(("blocks".to_owned(), blocks.to_owned()));
        record
    }

    fn warn(&self, flags: Vec<String>) {
        flags.into_iter().for_each(|flag| self.watch.report(Event::Warning(flag)));
    }

    /// Sends rows to their blocks, stored or planned; says what looks hopeless. In a dry run rows of
    /// planned blocks stay where they are.
    async fn share_out<const D: usize>(
        &self,
        held: Held<D>,
        limits: Limits,
        kept: &Kept,
        is_dry: bool,
    ) -> Result<(Facts, Shared<D>)> {
        let session = self.input.session();
        let facts = Facts { rows: held.rows, largest: held.largest() };
        if let Some(margins) = self.margins {
            let margins = self.input.margins_of(margins);
            let (stored, piles) =
                stored::read(self.input, held, &margins, kept, self.watch).await?;
            let blocks = record::stored(&piles);
            let rows = (!is_dry).then_some((Ground::Stored(stored), piles));
            return Ok((facts, Shared { blocks, rows }));
        }
        let held = Arc::new(held);
        let (plan, flags) = divide::plan(&held, self.params, limits, session.streams()).await?;
        self.warn(flags);
        if is_dry {
            return Ok((facts, Shared { blocks: record::planned(&plan), rows: None }));
        }
        let (held, plan) = (Arc::into_inner(held).expect("no phase is running"), Arc::new(plan));
        let done = kept.done(plan.blocks().len())?;
        let piles = divide::scatter(held, &plan, session, done).await?;
        let blocks = record::scattered(&plan, &piles);
        let ground = Ground::Planned(plan, self.params.density.eps());
        Ok((facts, Shared { blocks, rows: Some((ground, piles)) }))
    }

    /// Clusters block by block, joins the blocks and labels every row.
    async fn cluster<const D: usize>(
        &self,
        facts: Facts,
        ground: Ground<D>,
        piles: Piles<D>,
        kept: Kept,
        run: Option<&Run>,
    ) -> Result<Clustered<D>> {
        let (session, border) = (self.input.session(), self.params.options.border);
        let scale = Scale::new(facts.largest);
        let work = Work::new(ground, self.params, scale);
        let findings = blocks::cluster_all(work, piles, kept, run, session, self.watch).await?;
        let numbers = Arc::new(join::number::<D>(&findings, self.params.options.id.as_deref())?);
        let sizes = join::sizes::<D>(&findings, &numbers, border, scale)?;
        let labelled = join::label(findings, Arc::clone(&numbers), border, facts.rows, session);
        let (ranges, counts) = labelled.await?;
        Ok(Clustered { ranges, counts, sizes, numbers, scale })
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
        let other = Job { margins: None, watch: &Silent, ..*self };
        let (facts, shared) = other.share_out(held, smaller, &Kept::default(), false).await?;
        let (ground, piles) = shared.rows.expect("rows are shared out");
        let again = other.cluster(facts, ground, piles, Kept::default(), None).await?.ranges;
        for range in 0..ranges.len() as u64 {
            if ranges.range(range)? != again.range(range)? {
                return Err(Error::internal("the labels of other blocks are not the same"));
            }
        }
        Ok(())
    }
}
