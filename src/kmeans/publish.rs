//! The tables of a result, written and committed as one version.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;

use super::assign::Assigner;
use super::input::Input;
use super::params::Params;
use super::result::Outcome;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Silent, Unit};
use crate::session::Session;
use crate::table::{Run, TableSpec};

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
        let model = outcome.models.iter().find(|model| model.best);
        let model = model.ok_or_else(|| Error::internal("a run without a model"))?;
        let assigner = Assigner {
            model: model.placed_bytes.clone(),
            columns: input.coordinates(params.columns().len()).to_vec(),
            distance_factor: outcome.distance_factor,
        };
        let (plan, keys) = assigner.rows(&session, input.tables()).await?;
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
    for (column, place) in params.columns().iter().zip(&outcome.places) {
        if !place.is_plain() {
            properties.push((format!("place.{column}"), place.to_text()));
        }
    }
    if let Some(factor) = outcome.distance_factor {
        properties.push(("distance_factor".to_owned(), format!("{factor:?}")));
    }
    for model in outcome.models.iter().filter(|model| model.best) {
        let figures = &model.figures;
        properties.push((format!("cost.k{}", model.k()), figures.cost.to_string()));
        let mean = figures.mean_distance.to_string();
        properties.push((format!("mean_distance.k{}", model.k()), mean));
    }
    properties
}
