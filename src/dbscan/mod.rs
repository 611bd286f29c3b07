//! DBSCAN, exact and block by block: the labels of scikit-learn whatever the blocks.
//!
//! Ester et al. 1996. A row is core when `min_points` rows, itself included, are within eps of it;
//! clusters are the core rows that a chain of such steps connects; a row that is not core belongs to
//! the first cluster with a core row near it, or is noise.
//!
//! 1. Read the coordinates of all rows once (`input`).
//! 2. Count them by cell and cut space into blocks that fit the memory (`plan`); send each row to
//!    the block that owns it, and a copy to every block within eps of it.
//! 3. Cluster the blocks one by one on all cores ([`local`]), and keep what each found.
//! 4. Join the clusters that blocks share, number them by their first core rows ([`merge`]).
//! 5. Write labels in the order of the input, and a line for each cluster (`result`).
//!
//! Exact: the labels are those of `sklearn.cluster.DBSCAN(algorithm="kd_tree")` on the rows in their
//! order, for any blocks, threads, batches and memory limit; on the sphere for pairs that are not
//! within 1e-9 of eps.
//!
//! Memory: what a phase keeps of each row is in memory while a sixth of the pool holds it and on
//! disk from then on (`spill_store`); a block in work is reserved, and blocks wait for each other's room.
//! A table of all clusters is held beside the pool: about 150 bytes a cluster.

mod blocks; // local clustering, a block at a time on each core
mod check; // red flags, the k-distance curve, `--verify`
mod input; // columns, and reading them
pub mod merge; // contacts of all blocks in, cluster numbers out
mod options; // as the user wrote them, and checked
mod outcome; // what a run has found
mod plan; // blocks, planned or stored, and their rows
mod points; // the rows of the input
mod result; // what a run publishes
mod spill_store; // lists of words, in memory or on disk
mod threads; // work on all cores

pub use pleiad_core::dbscan as local; // one block: coordinates in, labels and contacts out; pure

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use check::distances;
pub use options::{Border, Options, Params, Space, Verify};
pub use outcome::{BlockSummary, LabelCounts, Outcome};
pub use plan::resume::{self, Killed};
pub use result::sample;

use crate::error::Result;
use crate::event::{Event, Observer, Silent, Unit};
use crate::session::Session;
use crate::table::{Run, Source, SourceTable};
use blocks::Work;
use check::{advise, probe};
use input::{Input, in_unit_of};
use merge::row_labels::RowLabels;
use merge::sizes::{ClusterSize, Scale};
use merge::{Numbers, join};
use plan::block_rows::{self, RowsByBlock};
use plan::margin_owners::MarginOwners;
use plan::planner::Limits;
use plan::resume::Checkpoint;
use plan::{divide, stored};
use points::Points;
use result::{clusters, labels, record};

/// The stage in which rows get to their blocks.
const SENDING: &str = "sending rows to blocks";

/// Clusters `source`; with `run`, publishes its tables; without it, only counts.
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
    let params = &in_unit_of(source, params)?;
    let input = Input::open(session, source, params)?;
    let margins = stored::margins(source, params, session, watch);
    let job = Job { input: &input, margins, params, watch };
    match params.dimensions() {
        2 => Box::pin(job.run::<2>(run, killed)).await,
        _ => Box::pin(job.run::<3>(run, killed)).await,
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
    labels: Arc<RowLabels>,
    counts: LabelCounts,
    sizes: Vec<ClusterSize<D>>,
    numbers: Arc<Numbers>,
    scale: Scale,
}

/// What is remembered of the rows once they are in their blocks.
struct Totals {
    rows: u64,
    /// The largest magnitude of a coordinate.
    largest: f64,
}

/// Blocks with their rows; without, in a dry run.
struct Divided<const D: usize> {
    totals: Totals,
    blocks: Vec<BlockSummary>,
    rows: Option<(MarginOwners<D>, RowsByBlock<D>)>,
}

impl Job<'_> {
    /// [`run`] in two or three dimensions.
    async fn run<const D: usize>(
        &self,
        run: Option<Run>,
        killed: Option<Killed>,
    ) -> Result<Outcome> {
        let (input, params) = (self.input, self.params);
        let points = input.read::<D>(self.watch).await?;
        let (rows, skipped) = (points.rows, points.skipped);
        let (limits, checkpoint) = self.begin(&points, killed)?;
        let divided = self.divide(points, limits, &checkpoint, run.is_none()).await?;
        let Divided { totals, blocks, rows: by_block } = divided;
        let (Some(run), Some((owners, by_block))) = (run, by_block) else {
            let counts = LabelCounts::default();
            return Ok(Outcome { rows, skipped, counts, clusters: None, blocks });
        };
        if owners.blocks() > 1 {
            let inputs = input.table.input_records();
            resume::keep_plan(&run, self.record(), &inputs, limits).await?;
        }
        let clustered = self.cluster(totals, owners, by_block, checkpoint, Some(&run)).await?;
        let (labels, counts) = (Arc::clone(&clustered.labels), clustered.counts);
        if let Some(verify) = params.options().verify {
            self.verify::<D>(&labels, verify, limits).await?;
        }
        let (clusters, largest) = clustered.table(params).await?;
        labels::write(input, params, &labels, &run, self.watch).await?;
        clusters::write(input.session(), clusters.clone(), &run).await?;
        input.check_unchanged().await?;
        let outcome = Outcome { rows, skipped, counts, clusters: Some(clusters), blocks };
        self.warn(advise::after(&outcome, largest, params, self.margins.is_some()));
        let properties = record::properties(input, params, &outcome);
        run.made_by(record::OWN_DRIVER).commit(properties).await?;
        Ok(outcome)
    }

    /// The limits of the run, and the blocks that a killed one had done.
    fn begin<const D: usize>(
        &self,
        points: &Points<D>,
        killed: Option<Killed>,
    ) -> Result<(Limits, Checkpoint)> {
        let Some(killed) = killed else {
            let max_rows = self.params.options().max_rows.map(NonZeroU64::get);
            let limits = divide::limits::<D>(self.input.session(), points.usable(), max_rows);
            return Ok((limits, Checkpoint::default()));
        };
        let limits = killed.limits(&self.record(), &self.input.table.input_records())?;
        Ok((limits, killed.into_checkpoint()))
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

    /// Reports `work` as a stage whose length is not known.
    async fn stage<T>(&self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (name, total, unit) = (name.to_owned(), None, Unit::Rows);
        self.watch.report(Event::Stage { name, total, unit });
        let answer = work.await?;
        self.watch.report(Event::Done);
        Ok(answer)
    }

    /// Sends rows to their blocks, stored or planned; warns of parameters that look wrong. In a dry
    /// run rows of planned blocks stay where they are.
    async fn divide<const D: usize>(
        &self,
        points: Points<D>,
        limits: Limits,
        checkpoint: &Checkpoint,
        is_dry: bool,
    ) -> Result<Divided<D>> {
        let session = self.input.session();
        let totals = Totals { rows: points.rows, largest: points.largest() };
        if let Some(margins) = self.margins {
            let margins = self.input.margins_of(margins);
            let copies = margins.read::<D>(self.watch).await?;
            let sorted = stored::sort_rows(self.input, points, &margins, copies, checkpoint);
            let (owners, by_block) = self.stage(SENDING, sorted).await?;
            let blocks = record::stored(&by_block);
            let rows = (!is_dry).then_some((MarginOwners::Stored(owners), by_block));
            return Ok(Divided { totals, blocks, rows });
        }
        let points = Arc::new(points);
        let planned = divide::plan(&points, self.params, limits, session.streams());
        let (plan, flags) = self.stage("planning blocks", planned).await?;
        self.warn(flags);
        if is_dry {
            return Ok(Divided { totals, blocks: record::planned(&plan), rows: None });
        }
        let points = Arc::into_inner(points).expect("no phase is running");
        let done = checkpoint.done(plan.blocks().len())?;
        let plan = Arc::new(plan);
        let scattered = block_rows::scatter(points, &plan, session, done);
        let by_block = self.stage(SENDING, scattered).await?;
        let blocks = record::scattered(&plan, &by_block);
        let owners = MarginOwners::Planned(plan, self.params.density().eps());
        Ok(Divided { totals, blocks, rows: Some((owners, by_block)) })
    }

    /// Clusters block by block, joins the blocks and labels every row.
    async fn cluster<const D: usize>(
        &self,
        totals: Totals,
        owners: MarginOwners<D>,
        by_block: RowsByBlock<D>,
        checkpoint: Checkpoint,
        run: Option<&Run>,
    ) -> Result<Clustered<D>> {
        let (session, border) = (self.input.session(), self.params.options().border);
        let scale = Scale::new(totals.largest);
        let work = Work::new(owners, self.params, scale);
        let results =
            blocks::cluster_all(work, by_block, checkpoint, run, session, self.watch).await?;
        self.stage("merging blocks", async {
            let id = self.params.options().id.clone();
            let merged = join::merge::<D>(results, id, border, scale).await?;
            let join::Merged { results, numbers, sizes } = merged;
            let (labels, counts) =
                join::label(results, Arc::clone(&numbers), border, totals.rows, session).await?;
            Ok(Clustered { labels: Arc::new(labels), counts, sizes, numbers, scale })
        })
        .await
    }

    /// Checks the labels against the definition, and with `full` against those of other blocks.
    async fn verify<const D: usize>(
        &self,
        labels: &Arc<RowLabels>,
        verify: Verify,
        limits: Limits,
    ) -> Result<()> {
        let points = Arc::new(self.input.read::<D>(self.watch).await?);
        let threads = self.input.session().streams();
        let checked = probe::verify(&points, labels, self.params, verify.rows(), threads);
        self.stage("checking labels", checked).await?;
        if verify != Verify::Full {
            return Ok(());
        }
        let smaller = limits.thirds(points.usable());
        let points = Arc::into_inner(points).expect("no phase is running");
        let other = Job { margins: None, watch: &Silent, ..*self };
        self.stage("clustering by other blocks", async {
            let none = Checkpoint::default();
            let Divided { totals, rows, .. } = other.divide(points, smaller, &none, false).await?;
            let (owners, by_block) = rows.expect("rows are in their blocks");
            let again = other.cluster(totals, owners, by_block, none, None).await?;
            probe::compare(labels, &again.labels).await
        })
        .await
    }
}

impl<const D: usize> Clustered<D> {
    /// The table of clusters, and the rows of the largest one.
    async fn table(self, params: &Params) -> Result<(RecordBatch, u64)> {
        let params = params.clone();
        threads::run(move |thread| {
            let largest = self.sizes.iter().map(|size| size.rows).max().unwrap_or_default();
            let first_rows = self.numbers.first_rows();
            let table = clusters::table(&params, &self.sizes, first_rows, self.scale, thread)?;
            Ok((table, largest))
        })
        .await
    }
}
