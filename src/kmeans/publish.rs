//! The tables of a result, written and committed as one version.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::scalar::ScalarValue;

use super::input::Input;
use super::params::Params;
use super::result::Outcome;
use super::steps::ASSIGN;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Silent, Unit};
use crate::session::Session;
use crate::table::{Run, SourceTable, TableSpec};

/// Writes all tables and commits them; returns what was written.
pub(super) async fn publish(
    session: &Session,
    input: &Input,
    params: &Params,
    outcome: Outcome,
    run: Run,
    watch: &dyn Observer,
) -> Result<Outcome> {
    let session = session.child(|_| {});
    let (outcome, tables) =
        compute(move |_| outcome.tables().map(|tables| (outcome, tables))).await?;
    for (name, batch) in tables {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        let source = provider_as_source(Arc::new(table));
        let plan = LogicalPlanBuilder::scan(name, source, None)?.build()?;
        let spec = TableSpec { name: name.to_owned(), aside: true, ..TableSpec::default() };
        run.write(&session.state(), plan, spec, &Silent).await?;
    }
    if params.assign() {
        let (plan, keys) = assignments(&session, input, params, &outcome).await?;
        let spec = TableSpec { name: "assignments".to_owned(), keys, ..TableSpec::default() };
        let name = "writing assignments".into();
        watch.report(Event::Stage { name, total: None, unit: Unit::Rows });
        run.write(&session.state(), plan, spec, watch).await?;
        watch.report(Event::Done);
    }
    input.check_unchanged().await?;
    run.made_by("kmeans").commit(properties(params, &outcome).into_iter().collect()).await?;
    Ok(outcome)
}

/// What `properties` says of the run.
fn properties(params: &Params, outcome: &Outcome) -> Vec<(String, String)> {
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
    properties
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
    let model = ScalarValue::BinaryView(Some(model.placed_bytes.clone()));
    let tables = input.tables();
    let keys = |table: &SourceTable| -> Vec<String> {
        table.keys.iter().map(|key| key.name().clone()).collect()
    };
    let first = &tables[0];
    let columns = input.coordinates(params.columns().len()).join(", ");
    let unit = outcome.distance_factor.map(|factor| format!(" * CAST('{factor:?}' AS DOUBLE)"));
    let unit = unit.unwrap_or_default();
    let table_key = if tables.len() > 1 { "$table AS \"table\"," } else { "" };
    let mut whole: Option<LogicalPlanBuilder> = None;
    for (number, table) in tables.iter().enumerate() {
        if keys(table) != keys(first) || table.schema.fields() != first.schema.fields() {
            return Err(Error::data(format!(
                "'{}' and '{}' have different columns: assign them one by one",
                first.name, table.name
            )));
        }
        let source = format!("source_{number}");
        session.register(&source, table.provider())?;
        let parts =
            [("keys", table_key), ("columns", &columns), ("unit", &unit), ("source", &source)];
        let mut values = vec![("model", model.clone())];
        if tables.len() > 1 {
            values.push(("table", ScalarValue::Utf8(Some(table.name.clone()))));
        }
        let plan = session.plan(ASSIGN, &parts, values).await?;
        whole = Some(match whole {
            Some(before) => before.union(plan)?,
            None => LogicalPlanBuilder::from(plan),
        });
    }
    let whole = whole.ok_or_else(|| Error::internal("a run without a table"))?.build()?;
    let table = (tables.len() > 1).then(|| "table".to_owned());
    Ok((whole, table.into_iter().chain(keys(first)).collect()))
}
