//! Rows of another table to the clusters of a stored model.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::LogicalPlan;

use super::assign::Assigner;
use super::input::{check_columns, holds_unsigned, placed, written};
use super::options::Options;
use super::params::Params;
use super::stored::{Features, StoredModel};
use super::unit_of;
use crate::error::Result;
use crate::event::{Event, Observer, Unit};
use crate::session::Session;
use crate::table::{Run, Source, SourceTable, TableSpec};

/// Rows of each cluster, of what was predicted.
const PREDICTED: &str = include_str!("../../sql/steps/kmeans_predicted.sql");

/// Gives each row of `source` the cluster of the nearest centroid of `model`: the same, to the bit, that
/// k-means gives the rows it has clustered. With `run`, publishes them as the table `assignments`. Answers with
/// the rows of each cluster; NULL for rows without a usable number.
///
/// # Errors
/// Columns that are missing or hold no numbers, an input that changes while it is read, storage that
/// fails: nothing is published then.
pub async fn predict(
    session: &Session,
    model: &StoredModel,
    source: &Source,
    run: Option<Run>,
    watch: &dyn Observer,
) -> Result<Vec<RecordBatch>> {
    let session = session.child(|_| {});
    let params = params(model)?;
    let used: Vec<String> = params.used_columns().cloned().collect();
    let tables = source.tables_of_rows();
    tables.iter().try_for_each(|table| check_columns(table, &used))?;
    let columns = written(&params, unit_of(source, &params));
    let names = params.columns().iter().zip(&model.places);
    let columns = columns
        .iter()
        .zip(names)
        .map(|(written, (name, place))| placed(written, *place, holds_unsigned(&tables, name)));
    let assigner = Assigner {
        model: model.bytes.clone(),
        columns: columns.collect(),
        distance_factor: model.distance_factor,
    };
    let (plan, keys) = assigner.rows(&session, &tables).await?;
    let name = if run.is_some() { "writing assignments" } else { "assigning" };
    watch.report(Event::Stage { name: name.into(), total: None, unit: Unit::Rows });
    let Some(run) = run else {
        let counted = counted(&session, plan).await?;
        check_unchanged(&tables).await?;
        return Ok(counted);
    };
    let spec = TableSpec { name: "assignments".to_owned(), keys, ..TableSpec::default() };
    run.write(&session.state(), plan, spec, watch).await?;
    check_unchanged(&tables).await?;
    let properties = BTreeMap::from([
        ("driver".to_owned(), "predict".to_owned()),
        ("k".to_owned(), model.k.to_string()),
        ("model".to_owned(), model.number.to_string()),
    ]);
    let location = run.location().clone();
    let manifest = run.made_by("predict").commit(properties).await?;
    let written = Source::of_version(session.stores(), &location, manifest)?;
    let session = session.child(|_| {});
    session.register("written", written.tables[0].provider())?;
    let written = session.context().table("written").await?;
    counted(&session, written.into_unoptimized_plan()).await
}

async fn counted(session: &Session, rows: LogicalPlan) -> Result<Vec<RecordBatch>> {
    let rows = Arc::new(ViewTable::new(rows, None));
    session.register("predicted", rows)?;
    let plan = session.plan(PREDICTED, &[], Vec::new()).await?;
    session.collect(plan).await
}

async fn check_unchanged(tables: &[SourceTable]) -> Result<()> {
    for table in tables {
        table.check_unchanged().await?;
    }
    Ok(())
}

/// The options that name what a model clusters by.
fn params(model: &StoredModel) -> Result<Params> {
    Params::new(match &model.features {
        Features::Columns(columns) => Options { columns: columns.clone(), ..Options::default() },
        Features::Sky([ra, dec]) => {
            Options { ra: Some(ra.clone()), dec: Some(dec.clone()), ..Options::default() }
        }
    })
}
