//! The models a run begins with: every k with every start, and those that diagnosis compares to.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::scalar::ScalarValue;
use ndarray::Array2;

use super::iterate::Loop;
use super::model::{ModelState, Role};
use super::options::{Params, Start};
use super::start::{self, Chance, Draw, WeightedRows};
use super::steps::SAMPLE;
use crate::centroids::sample::RowSample;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::functions::{model_literal, read_sample_rows};
use crate::session::{Session, quote_identifier};
use crate::table::{Source, SourceOptions, SourceTable};

/// The number of clusters when nobody names one.
const DEFAULT_K: usize = 7;
/// Rows of the sample: 256 for each cluster of the largest k, within these bounds.
const SAMPLE_ROWS: std::ops::RangeInclusive<usize> = 20_000..=100_000;
/// Diagnosis runs a model a partition; beyond this many it would cost more than it tells.
const MAX_DIAGNOSED_PARTITIONS: usize = 16;

/// First models, in the order (k, start), then those of the diagnosis.
///
/// # Errors
/// Given centroids that do not fit; the engine's.
pub async fn first_models(work: &Loop<'_>, session: &Session) -> Result<Vec<ModelState>> {
    let params = work.params;
    let mut models = match params.start {
        Start::Given => vec![ModelState::at(Role::Global, 0, given(session, params).await?)],
        Start::PlusPlus => drawn(work, Draw::PlusPlus).await?,
        Start::Random => drawn(work, Draw::Random).await?,
    };
    if params.diagnose {
        let partitions = work.input.partitions.len();
        if partitions > MAX_DIAGNOSED_PARTITIONS {
            return Err(Error::usage(format!(
                "diagnose compares up to {MAX_DIAGNOSED_PARTITIONS} partitions, the input has {partitions}"
            )));
        }
        let roles = (0..partitions).map(|partition| Role::Local { partition });
        let roles: Vec<Role> = roles.chain([Role::Unweighted]).collect();
        let first: Vec<ModelState> =
            models.iter().filter(|model| model.start == 0).cloned().collect();
        models.extend(
            first
                .iter()
                .flat_map(|model| roles.iter().map(|&role| ModelState { role, ..model.clone() })),
        );
    }
    Ok(models)
}

async fn drawn(work: &Loop<'_>, draw: Draw) -> Result<Vec<ModelState>> {
    let params = work.params;
    let counts = params.k().map_or(vec![DEFAULT_K], |counts| counts.as_slice().to_vec());
    let largest = counts.last().copied().unwrap_or(DEFAULT_K);
    let sample = sampled(work, largest).await?;
    let distinct = sample.weights.len();
    if distinct < largest {
        work.watch.report(Event::Warning(format!(
            "the input has {distinct} distinct rows: of {largest} clusters {} stay empty",
            largest - distinct
        )));
    }
    let mut models = Vec::new();
    for &k in &counts {
        for start in 0..params.starts() {
            let chance = Chance { seed: params.seed, start: start.into() };
            let seeds = start::seeds(&sample, k, draw, chance, work.space.factors());
            models.push(ModelState::at(Role::Global, start, seeds));
        }
    }
    Ok(models)
}

/// A sample of distinct rows that depends on their values only.
async fn sampled(work: &Loop<'_>, largest_k: usize) -> Result<WeightedRows> {
    let limit = (256 * largest_k).clamp(*SAMPLE_ROWS.start(), *SAMPLE_ROWS.end());
    let set = work.space.set([])?;
    let values = [
        ("model", model_literal(&set)),
        ("seed", ScalarValue::Int64(Some(work.params.seed.cast_signed()))),
        ("limit", ScalarValue::Int64(i64::try_from(limit).ok())),
    ];
    let read = |array: &dyn Array, row| read_sample_rows(limit, set.columns(), array, row);
    let mut whole = RowSample::new(limit, set.columns());
    for part in work.input.step(SAMPLE, &values, read).await?.values() {
        whole.merge(part)?;
    }
    let rows = whole.rows();
    let flat = rows.iter().flat_map(|row| row.values.iter().copied()).collect();
    Ok(WeightedRows {
        rows: Array2::from_shape_vec((rows.len(), set.columns()), flat)
            .map_err(|cause| Error::internal("a sample of uneven rows").caused_by(cause))?,
        weights: rows.iter().map(|row| set.weight_scale().to_float(row.weight)).collect(),
    })
}

/// The centroids of `--centroids`: a table with the columns, or the `model` table of a result.
async fn given(session: &Session, params: &Params) -> Result<Array2<f64>> {
    let text = params.centroids.as_deref().unwrap_or_default();
    let options = SourceOptions::default();
    let source = Source::open(session.stores(), text, &options).await?;
    let table = match source.tables.as_slice() {
        [one] => one,
        several => several.iter().find(|table| table.name == "model").ok_or_else(|| {
            Error::data(format!("'{text}' has several tables and none is named 'model'"))
        })?,
    };
    let is_model = table.schema.column_with_name("cluster").is_some();
    let batches = read_all(session, table, params, is_model).await?;
    let d = params.columns.len();
    let mut models: Vec<(i64, f64, Vec<f64>)> = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let number = |column: usize| {
                let column = batch.column(column).as_primitive::<Float64Type>();
                if column.is_null(row) { f64::NAN } else { column.value(row) }
            };
            #[expect(clippy::cast_possible_truncation, reason = "a small model number")]
            let model = number(0) as i64;
            if models.last().is_none_or(|(known, ..)| *known != model) {
                models.push((model, 0.0, Vec::new()));
            }
            let (_, cost, values) = models.last_mut().expect("pushed above");
            *cost += number(1);
            values.extend((0..d).map(|column| number(2 + column)));
        }
    }
    if let Some(counts) = params.k() {
        models.retain(|(.., values)| counts.as_slice().contains(&(values.len() / d)));
    }
    let best = models.into_iter().reduce(|best, next| if next.1 < best.1 { next } else { best });
    let Some((.., values)) = best.filter(|(.., values)| !values.is_empty()) else {
        return Err(Error::data(match params.k() {
            Some(k) => format!("'{text}' has no model with k = {k}"),
            None => format!("'{text}' has no rows, expected a centroid in each"),
        }));
    };
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::data(format!(
            "'{text}' has no finite number in column '{}' of row {}",
            params.columns[place % d],
            place / d + 1
        )));
    }
    Array2::from_shape_vec((values.len() / d, d), values)
        .map_err(|cause| Error::internal("given centroids are uneven").caused_by(cause))
}

/// Model number, cost and coordinates of each centroid, as floats, in order.
async fn read_all(
    session: &Session,
    table: &SourceTable,
    params: &Params,
    is_model: bool,
) -> Result<Vec<RecordBatch>> {
    let mut parts = vec!["0.0".to_owned(), "0.0".to_owned()];
    if is_model {
        parts = vec!["CAST(model AS DOUBLE)".to_owned(), "CAST(cost AS DOUBLE)".to_owned()];
    }
    for column in &params.columns {
        let name = if is_model { format!("c_{column}") } else { column.clone() };
        let field = table.schema.field_with_name(&name).ok();
        if field.is_none_or(|field| !is_number(field.data_type())) {
            let names: Vec<&str> =
                table.schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::data(format!(
                "numeric column '{name}' not found in '{}', which has {}",
                table.location(),
                names.join(", ")
            )));
        }
        parts.push(format!("TRY_CAST({} AS DOUBLE)", quote_identifier(&name)));
    }
    let session = session.child(|options| options.execution.target_partitions = 1);
    session.register("given", table.provider())?;
    let order = if is_model { " ORDER BY model, cluster" } else { "" };
    let named = parts.iter().enumerate().map(|(place, part)| format!("{part} AS part{place}"));
    let text = format!("SELECT {} FROM given{order}", named.collect::<Vec<_>>().join(", "));
    let plan = session.plan(&text, &[], Vec::new()).await?;
    session.collect(plan).await
}

/// Text too: a CSV column that mixes notations of numbers is read as text.
fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_string()
}
