//! k-means over partitions: Lloyd's algorithm (IEEE Trans. Inf. Theory 28, 1982) by SQL aggregates
//! under a driver loop.
//!
//! 1. Measure the range of the columns: it fixes the scales of the fixed-point sums.
//! 2. Draw first centroids from a sample of distinct rows (`start`), or take given ones.
//! 3. Step: `centroid_sums` answers, for each partition, the exact sums of the rows nearest to each
//!    centroid; the driver adds them and takes the means (`model`). No row leaves its partition.
//! 4. Repeat until the centroids are still, move no more than the tolerance, or the steps are used up.
//!    An empty cluster moves to the farthest row.
//! 5. One more scan measures the returned centroids (`evaluate`).
//!
//! Exact: all rows count in every step, and every sum is an integer, so the result has the same bits
//! for any number of streams, batch sizes, files and partitions. Means and distances are rounded as
//! IEEE 754 says. All models (several k, several starts) advance in the same scans.
//!
//! Memory: the used columns if they fit half of the pool, otherwise nothing but a batch a stream;
//! beside it 16 bytes · (columns + 3) for each cluster of each model in each partition.

mod assign; // rows with their clusters
mod bits; // floats as text, exactly
mod coordinates; // the numbers that are summed
mod evaluate; // the last scan
mod figures; // cost, silhouettes, indices
mod given; // centroids that a user gives
mod input; // partitions, scans, memory or streaming
mod iterate; // the loop
mod model; // merge, means, stop
mod options; // as the user writes them
mod params; // options, checked
mod publish; // the tables of a result as one dataset
mod predict; // rows of another table
mod record; // steps kept for resuming
mod result; // what was found, as tables
mod seeds; // the models a run begins with
mod space; // range and factors
mod start; // first centroids
mod stored; // a model of a published result
mod steps; // the SQL of the steps

pub use figures::{ClusterFigures, ModelFigures};
pub use input::InputPartition;
pub use model::{StepFacts, StopReason};
pub use options::{Cache, ClusterCounts, Empty, Nulls, Options, Scaling, Start};
pub use params::Params;
pub use predict::predict;
pub use record::StepRecord;
pub use result::{Diagnosis, ModelResult, Outcome, PartitionFigures};
pub use stored::{Choice, Features, StoredModel};

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;

use crate::cancel::CancelOnDrop;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::session::Session;
use crate::storage::Location;
use crate::table::{Run, Source};
use input::Input;
use iterate::{BoundModels, Loop};
use model::ModelState;
use space::FeatureSpace;

/// Clusters the tables of `source`; with `run`, keeps every step and publishes the tables of the
/// result as one dataset. `resumed` is the last step of a run that died.
///
/// Dropped before its end, it publishes nothing, and all its work ends within a second.
///
/// # Errors
/// Columns that are missing or hold no numbers, values that are not numbers, an input that changes
/// while it is read, a memory limit, storage that fails: nothing is published then.
pub async fn run(
    session: &Session,
    source: Source,
    params: &Params,
    run: Option<Run>,
    resumed: Option<StepRecord>,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let begun = Instant::now();
    let guard = CancelOnDrop::default();
    let cancelled = guard.flag();
    let session = &session.cancelled_by(&cancelled)?;
    let params = &Arc::new(params.clone());
    let inputs = source.input_records();
    let how = (params.cache(), &cancelled);
    let read = (&**params, unit_of(&source, params));
    let mut input = Input::open(session, source.tables_of_rows(), read, how, watch).await?;
    let space = Arc::new(FeatureSpace::measure(&mut input, params).await?);
    let input = input;
    let (params, overall) = (Arc::clone(params), OnceLock::new());
    let work = Loop { input: &input, space, params, watch, cancelled, overall };
    let models = match resumed {
        Some(record) => {
            record.check(&work.params, &inputs)?;
            compute(move |_| record.models()).await?
        }
        None => seeds::first_models(&work, session).await?,
    };
    let inputs = Arc::new(inputs);
    let keep = async |step: u64, models: &Arc<Vec<ModelState>>| {
        let Some(run) = &run else { return Ok(()) };
        let (params, inputs) = (Arc::clone(&work.params), Arc::clone(&inputs));
        let models = Arc::clone(models);
        let record =
            compute(move |_| StepRecord::new(step, &params, &inputs, &models).to_bytes()).await?;
        run.checkpoint(&format!("steps/{step:05}.json"), Bytes::from(record)).await
    };
    let models = work.run(Arc::new(models), keep).await?;
    let results = evaluate::evaluate(&work, &models).await?;
    let params = &work.params;
    warn_of_empty(&results, params, watch);
    if params.recheck() {
        recheck(&work, session, &models).await?;
    }
    input.check_unchanged().await?;
    let outcome = Outcome {
        columns: params.columns().to_vec(),
        sky: params.sky().map(|names| names.map(Clone::clone)),
        partitions: input.partitions.clone(),
        models: results,
        distance_factor: work.space.coordinates().distance_factor(),
        places: work.space.coordinates().places().to_vec(),
        seed: params.seed(),
        scans: input.scans_run(),
        in_memory: input.in_memory(),
        seconds: begun.elapsed().as_secs_f64(),
        min_rows: params.min_rows(),
    };
    match run {
        Some(run) => Box::pin(publish::publish(session, &input, params, outcome, run, watch)).await,
        None => Ok(outcome),
    }
}

/// The unit of positions in a dataset of blocks that was cut by the same columns.
fn unit_of<'a>(source: &'a Source, params: &Params) -> Option<&'a str> {
    let stored = &source.manifest.as_ref()?.properties;
    let [ra, dec] = params.sky()?;
    let is_same = stored.get("columns.ra") == Some(ra) && stored.get("columns.dec") == Some(dec);
    stored.get("columns.unit").filter(|_| is_same).map(String::as_str)
}

/// The last step of the newest run on `out` that died before its decision, if one did.
///
/// # Errors
/// Storage that fails; a kept step that cannot be read.
pub async fn last_step(session: &Session, out: &Location) -> Result<Option<StepRecord>> {
    let dead = Run::resumable(session.stores(), out).await?;
    let last = dead.iter().rev().find_map(|run| {
        let step = run.files.iter().rfind(|name| name.starts_with("steps/"));
        step.map(|step| (run, step))
    });
    let Some((run, step)) = last else { return Ok(None) };
    let bytes = run.read(step).await?;
    compute(move |_| StepRecord::parse(&bytes).map(Some)).await
}

/// Given centroids may be more than there are distinct rows, which are not counted.
fn warn_of_empty(results: &[ModelResult], params: &Params, watch: &dyn Observer) {
    for model in results.iter().filter(|_| params.start() == Start::Given) {
        let (k, empty) = (model.k(), model.k() - model.figures.clusters_used);
        if empty > 0 {
            watch.report(Event::Warning(format!("{empty} of {k} given centroids have no rows")));
        }
    }
}

/// Reads all rows again, in one stream and odd batches, and compares every integer.
async fn recheck(work: &Loop<'_>, session: &Session, models: &Arc<Vec<ModelState>>) -> Result<()> {
    let again = work.input.in_another_order(session, &work.params).await?;
    let (space, models) = (Arc::clone(&work.space), Arc::clone(models));
    let bound = compute(move |_| {
        space.set(models.iter().map(|model| &model.centroids)).map(BoundModels::new)
    });
    let bound = bound.await?;
    let other = Loop {
        input: &again,
        space: Arc::clone(&work.space),
        params: Arc::clone(&work.params),
        cancelled: work.cancelled.clone(),
        overall: OnceLock::new(),
        watch: work.watch,
    };
    let (one, two) = (work.sums(&bound).await?, other.sums(&bound).await?);
    if compute(move |_| Ok(one == two)).await? {
        return Ok(());
    }
    Err(Error::internal("the sums of another order of the rows are not the same"))
}
