//! The centroids that a user gives: a table of rows, or the model of an earlier result.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use ndarray::Array2;

use super::params::Params;
use super::steps::{GIVEN, GIVEN_MODELS};
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::session::{Session, quote_identifier};
use crate::table::{Source, SourceOptions, SourceTable};

/// The centroids of `--centroids`: a table with the columns, or the `model` table of a result.
pub(super) async fn given(session: &Session, params: &Arc<Params>) -> Result<Array2<f64>> {
    let text = params.centroids().unwrap_or_default().to_owned();
    let options = SourceOptions::default();
    let source = Source::open(session.stores(), &text, &options).await?;
    let table = match source.tables.as_slice() {
        [one] => one,
        several => several.iter().find(|table| table.name == "model").ok_or_else(|| {
            Error::data(format!("'{text}' has several tables and none is named 'model'"))
        })?,
    };
    let is_model = table.schema.column_with_name("cluster").is_some();
    let batches = read_all(session, table, params, is_model).await?;
    let params = Arc::clone(params);
    compute(move |_| best_of(&text, &batches, &params, is_model)).await
}

/// The centroids in `batches`; of several models that of lowest cost.
fn best_of(
    text: &str,
    batches: &[RecordBatch],
    params: &Params,
    is_model: bool,
) -> Result<Array2<f64>> {
    let d = params.columns().len();
    let mut models: Vec<(i64, f64, Vec<f64>)> = Vec::new();
    for batch in batches {
        let (heads, columns) = batch.columns().split_at(if is_model { 2 } else { 0 });
        // Text that is not a number becomes NULL.
        let columns: Vec<ArrayRef> = columns
            .iter()
            .map(|column| cast(column, &DataType::Float64))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let (model, cost) = match heads {
                [model, cost] => (integer(model, row), float(cost, row)),
                _ => (0, 0.0),
            };
            if models.last().is_none_or(|(known, ..)| *known != model) {
                models.push((model, 0.0, Vec::new()));
            }
            let (_, sum, values) = models.last_mut().expect("pushed above");
            *sum += cost;
            values.extend(columns.iter().map(|column| float(column, row)));
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
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::data(format!(
            "'{text}' has no finite number in column '{}' of row {}",
            params.columns()[index % d],
            index / d + 1
        )));
    }
    Array2::from_shape_vec((values.len() / d, d), values)
        .map_err(|cause| Error::internal("given centroids are uneven").caused_by(cause))
}

/// The value of a row; NaN where there is none.
fn float(column: &ArrayRef, row: usize) -> f64 {
    let column = column.as_primitive::<Float64Type>();
    if column.is_null(row) { f64::NAN } else { column.value(row) }
}

fn integer(column: &ArrayRef, row: usize) -> i64 {
    let column = column.as_primitive::<Int64Type>();
    if column.is_null(row) { 0 } else { column.value(row) }
}

/// The coordinates of each centroid in order, of a model after its number and cost.
async fn read_all(
    session: &Session,
    table: &SourceTable,
    params: &Params,
    is_model: bool,
) -> Result<Vec<RecordBatch>> {
    let mut names = Vec::new();
    if let Some(sky) = params.sky().filter(|_| !is_model) {
        for column in sky {
            let field = table.schema.field_with_name(column).ok();
            if field.is_none_or(|field| !field.data_type().is_numeric()) {
                return Err(table.missing(&format!("numeric column '{column}'")));
            }
        }
        let [ra, dec] = sky.map(|column| quote_identifier(column));
        names = params
            .columns()
            .iter()
            .map(|part| format!("sky_vector({ra}, {dec})['{part}']"))
            .collect();
    }
    for column in params.columns().iter().filter(|_| is_model || params.sky().is_none()) {
        let name = if is_model { format!("c_{column}") } else { column.clone() };
        let field = table.schema.field_with_name(&name).ok();
        if field.is_none_or(|field| !is_number(field.data_type())) {
            return Err(table.missing(&format!("numeric column '{name}'")));
        }
        names.push(quote_identifier(&name));
    }
    let session = session.child(|options| options.execution.target_partitions = 1);
    session.register("given", table.provider())?;
    let text = if is_model { GIVEN_MODELS } else { GIVEN };
    let plan = session.plan(text, &[("columns", &names.join(", "))], Vec::new()).await?;
    session.collect(plan).await
}

/// Text too: a CSV column that mixes notations of numbers is read as text.
fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_string()
}
