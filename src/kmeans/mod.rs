//! k-means over partitions: Lloyd's algorithm (IEEE Trans. Inf. Theory 28, 1982) by SQL aggregates
//! under a driver loop.
//!
//! 1. Measure the range of the columns: it fixes the scales of the fixed-point sums.
//! 2. Draw first centroids from a sample of distinct rows ([`start`]), or take given ones.
//! 3. Step: `centroid_sums` answers, for each partition, the exact sums of the rows nearest to each
//!    centroid; the driver adds them and takes the means ([`model`]). No row leaves its partition.
//! 4. Repeat until the centroids are still, move less than the tolerance, or the steps are used up.
//!    An empty cluster moves to the farthest row.
//! 5. One more scan measures the returned centroids ([`evaluate`](mod@evaluate)).
//!
//! Exact: all rows count in every step, and every sum is an integer, so the result has the same bits
//! for any number of streams, batch sizes, files and partitions. Means and distances are rounded as
//! IEEE 754 says. All models (several k, several starts) advance in the same scans.
//!
//! Memory: the used columns if they fit half of the pool, otherwise nothing but a batch a stream;
//! beside it 16 bytes · (columns + 3) for each cluster of each model in each partition.

mod bits; // floats as text, exactly
pub mod evaluate; // the last scan
pub mod figures; // cost, silhouettes, indices
pub mod input; // partitions, scans, memory or streaming
pub mod iterate; // the loop
pub mod model; // merge, means, stop
pub mod options; // as the user wrote them, and checked
pub mod record; // steps kept for resuming
pub mod result; // what was found, as tables
pub mod seeds; // the models a run begins with
pub mod space; // range and factors
pub mod start; // first centroids
mod steps; // the SQL of the steps

pub use options::{Options, Params};
pub use result::Outcome;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;

use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::session::{Session, quote_identifier};
use crate::storage::Location;
use crate::table::{Run, Source, SourceTable, TableSpec};
use input::Input;
use iterate::Loop;
use model::Model;
use options::Start;
use record::{ModelRecord, StepRecord};
use result::ModelResult;
use space::FeatureSpace;

/// Clusters the tables of `source`; with `run`, keeps every step and publishes the tables of
/// [`result`](mod@result) as one dataset. `resumed` is the last step of a run that died.
///
/// # Errors
/// Columns that are missing or hold no numbers, values that have no place, an input that changes
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
    let inputs = source.input_records();
    let input = Input::open(session, source.tables, params, params.cache, watch).await?;
    let space = FeatureSpace::measure(&input, params).await?;
    let work = Loop { input: &input, space: &space, params, watch, overall: OnceLock::new() };
    let mut models = match &resumed {
        Some(record) => {
            record.check(params, &inputs)?;
            record.models.iter().map(ModelRecord::model).collect::<Result<_>>()?
        }
        None => seeds::first_models(&work, session).await?,
    };
    let keep = async |step: u64, models: &[ModelState]| {
        let Some(run) = &run else { return Ok(()) };
        let record = StepRecord::new(step, params, &inputs, models);
        run.keep(&format!("steps/{step:05}.json"), Bytes::from(record.to_bytes()?)).await
    };
    work.run(&mut models, keep).await?;
    let results = evaluate::evaluate(&work, &models).await?;
    warn_of_empty(&results, params, watch);
    if params.recheck {
        recheck(&work, session, &models).await?;
    }
    input.check_unchanged().await?;
    let outcome = Outcome {
        columns: params.columns.clone(),
        partitions: input.partitions.clone(),
        models: results,
        seed: params.seed,
        scans: input.scans_run(),
        in_memory: input.in_memory(),
        seconds: begun.elapsed().as_secs_f64(),
        min_rows: params.min_rows,
    };
    if let Some(run) = run {
        publish(session, &input, params, &outcome, run, watch).await?;
    }
    Ok(outcome)
}

/// The last step of the newest run on `out` that died before its decision, if one did.
///
/// # Errors
/// Storage that fails; a kept step that cannot be read.
pub async fn last_step(session: &Session, out: &Location) -> Result<Option<StepRecord>> {
    let dead = Run::kept(session.stores(), out).await?;
    let last = dead.iter().rev().find_map(|run| {
        let step = run.files.iter().rfind(|name| name.starts_with("steps/"));
        step.map(|step| (run, step))
    });
    match last {
        Some((run, step)) => StepRecord::parse(&run.read(step).await?).map(Some),
        None => Ok(None),
    }
}

/// Given centroids may be more than there are distinct rows, which nobody has counted.
fn warn_of_empty(results: &[ModelResult], params: &Params, watch: &dyn Observer) {
    for model in results.iter().filter(|_| params.start == Start::Given) {
        let (k, empty) = (model.k(), model.k() - model.figures.clusters_used);
        if empty > 0 {
            watch.report(Event::Warning(format!("of {k} given centroids {empty} have no rows")));
        }
    }
}

/// Reads all rows once more, in one stream and odd batches, and compares every integer.
async fn recheck(work: &Loop<'_>, session: &Session, models: &[ModelState]) -> Result<()> {
    let again = work.input.in_another_order(session, work.params).await?;
    let set = work.space.set(models.iter().map(|model| &model.centroids))?;
    let other = Loop { input: &again, space: work.space, overall: OnceLock::new(), ..*work };
    if work.sums(&set).await? == other.sums(&set).await? {
        return Ok(());
    }
    Err(Error::internal("the sums of another order of the rows are not the same"))
}

/// Writes all tables and commits them as one version.
async fn publish(
    session: &Session,
    input: &Input,
    params: &Params,
    outcome: &Outcome,
    run: Run,
    watch: &dyn Observer,
) -> Result<()> {
    let session = session.child(|_| {});
    for (name, batch) in outcome.tables()? {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        session.register(name, Arc::new(table))?;
        let text = format!("SELECT * FROM {}", quote_identifier(name));
        let plan = session.plan(&text, &[], Vec::new()).await?;
        let spec = TableSpec { name: name.to_owned(), ..TableSpec::default() };
        run.write(&session.state(), plan, spec, &crate::event::Silent).await?;
    }
    if params.assign {
        let (plan, keys) = assignments(&session, input, params, outcome).await?;
        let spec = TableSpec { name: "assignments".to_owned(), keys, ..TableSpec::default() };
        let unit = crate::event::Unit::Rows;
        watch.report(Event::Stage { name: "writing assignments".into(), total: None, unit });
        run.write(&session.state(), plan, spec, watch).await?;
        watch.report(Event::Done);
    }
    let mut properties = params.record();
    properties.extend([
        ("driver".to_owned(), "kmeans".to_owned()),
        ("models".to_owned(), outcome.models.len().to_string()),
        ("scans".to_owned(), outcome.scans.to_string()),
    ]);
    for model in outcome.models.iter().filter(|model| model.best) {
        let figures = &model.figures;
        properties.push((format!("cost.k{}", model.k()), figures.cost.to_string()));
        let mean = figures.mean_distance.to_string();
        properties.push((format!("mean_distance.k{}", model.k()), mean));
    }
    input.check_unchanged().await?;
    run.commit(properties.into_iter().collect()).await?;
    Ok(())
}

/// Every row of the input with its cluster and distance under the best model, and the keys it is
/// filed by: those of its table, and the table where there are several.
async fn assignments(
    session: &Session,
    input: &Input,
    params: &Params,
    outcome: &Outcome,
) -> Result<(LogicalPlan, Vec<String>)> {
    let model = outcome.models.iter().find(|model| model.best);
    let model = model.ok_or_else(|| Error::internal("a run without a model"))?;
    let tables = input.tables();
    let keys = |table: &SourceTable| -> Vec<String> {
        table.keys.iter().map(|key| key.name().clone()).collect()
    };
    let first = &tables[0];
    let mut texts = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        if keys(table) != keys(first) || table.schema.fields() != first.schema.fields() {
            return Err(Error::data(format!(
                "'{}' and '{}' have different columns: assign them one by one",
                first.name, table.name
            )));
        }
        let name = format!("source_{number}");
        session.register(&name, table.provider())?;
        let columns: Vec<_> =
            params.columns.iter().map(|column| quote_identifier(column)).collect();
        let columns = columns.join(", ");
        let of_table = match tables.len() {
            1 => String::new(),
            _ => format!("'{}' AS \"table\", ", table.name.replace('\'', "''")),
        };
        texts.push(format!(
            "SELECT {of_table}*, nearest_centroid($model, {columns}) AS cluster, \
             nearest_centroid_distance($model, {columns}) AS distance FROM {name}"
        ));
    }
    let value = ScalarValue::BinaryView(Some(model.bytes.clone()));
    let plan = session.plan(&texts.join(" UNION ALL "), &[], vec![("model", value)]).await?;
    let table = (tables.len() > 1).then(|| "table".to_owned());
    Ok((plan, table.into_iter().chain(keys(first)).collect()))
}
