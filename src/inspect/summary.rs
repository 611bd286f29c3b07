//! How many rows there are, and what their columns hold: one pass over the rows of a table.
//!
//! NULL counts for `nulls` only, NaN for `nans` only: neither is the least or the greatest value, and
//! the mean is that of the others. Distinct values are estimated by HyperLogLog (Flajolet et al. 2007,
//! DMTCS AH, 127), within about 2 %. Columns of lists, structs and bytes are counted, no more.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;

use super::columns::type_name;
use crate::error::{Error, Result};
use crate::session::{Session, quote_identifier};
use crate::table::{Source, SourceOptions, SourceTable};

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts the rows of the tables at a location: from manifest and footers where they tell.
///
/// # Errors
/// As [`Source::open`]; or if rows cannot be read.
pub async fn count(session: &Session, text: &str, options: &SourceOptions) -> Result<Vec<Counted>> {
    // No type of a column is asked for.
    let options = SourceOptions { needed: Some(Arc::default()), ..options.clone() };
    let source = Source::open(session.stores(), text, &options).await?;
    let mut counted = Vec::with_capacity(source.tables.len());
    for table in &source.tables {
        let rows = match table.rows() {
            Some(rows) => rows,
            None => count_rows(session, table).await?,
        };
        counted.push(Counted {
            table: table.name.clone(),
            rows,
            files: table.files.len() as u64,
            bytes: table.files.iter().map(|file| file.meta.size).sum(),
        });
    }
    Ok(counted)
}

async fn count_rows(session: &Session, table: &SourceTable) -> Result<u64> {
    let session = session.child(|_| ());
    session.register("t", table.provider())?;
    let answer = answer(&session, "SELECT count(*) FROM t").await?;
    let rows = answer.column(0).as_primitive::<Int64Type>().value(0);
    u64::try_from(rows).map_err(|_negative| Error::internal("a count is negative"))
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Its type.
    pub data_type: String,
    /// Rows of the table.
    pub rows: u64,
    /// NULLs.
    pub nulls: u64,
    /// NaNs; `None` if it holds no floats.
    pub nans: Option<u64>,
    /// Least value.
    pub min: Option<String>,
    /// Greatest value.
    pub max: Option<String>,
    /// Mean of numbers.
    pub mean: Option<f64>,
    /// Distinct values, about.
    pub approx_distinct: Option<u64>,
}

/// Sums up each column of the tables at a location, or those of `columns` only.
///
/// # Errors
/// As [`Source::open`]; a column that is in no table; or if rows cannot be read.
pub async fn summary(
    session: &Session,
    text: &str,
    options: &SourceOptions,
    columns: &[String],
) -> Result<Vec<Summary>> {
    let source = Source::open(session.stores(), text, options).await?;
    let has = |name: &String| source.tables.iter().any(|t| t.schema.index_of(name).is_ok());
    if let Some(unknown) = columns.iter().find(|name| !has(name)) {
        let fields = source.tables.iter().flat_map(|table| table.schema.fields());
        let mut known: Vec<_> = fields.map(|field| field.name().as_str()).collect();
        known.dedup();
        return Err(Error::data(format!(
            "column '{unknown}' not found in '{text}', which has {}",
            known.join(", ")
        )));
    }
    let mut found = Vec::new();
    for table in &source.tables {
        found.extend(of_table(session, table, columns).await?);
    }
    Ok(found)
}

async fn of_table(
    session: &Session,
    table: &SourceTable,
    columns: &[String],
) -> Result<Vec<Summary>> {
    let fields = table.schema.fields().iter();
    let fields: Vec<_> =
        fields.filter(|field| columns.is_empty() || columns.contains(field.name())).collect();
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let named = fields.iter().map(|field| (field.name().as_str(), field.data_type()));
    let sql = statement(&named.collect::<Vec<_>>());
    let session = session.child(|_| ());
    session.register("t", table.provider())?;
    let answer = answer(&session, &sql).await?;
    let rows = number(&answer, "rows")?.unwrap_or(0);
    let summaries = fields.iter().enumerate().map(|(index, field)| {
        let count = |name: &str| number(&answer, &format!("{name}{index}"));
        let values = count("values")?.unwrap_or(0);
        let nans = count("numbers")?.map(|numbers| values - numbers);
        let mean = answer.column_by_name(&format!("mean{index}"));
        let mean = mean.map(|mean| mean.as_primitive::<Float64Type>());
        Ok(Summary {
            table: table.name.clone(),
            column: field.name().clone(),
            data_type: type_name(field.data_type()),
            rows,
            nulls: rows - values,
            nans,
            min: text_of(&answer, &format!("min{index}"))?,
            max: text_of(&answer, &format!("max{index}"))?,
            mean: mean.filter(|mean| mean.is_valid(0)).map(|mean| mean.value(0)),
            approx_distinct: count("distinct")?,
        })
    });
    summaries.collect()
}

/// One statement that sums up all columns; `values3` and the like belong to the fourth.
fn statement(columns: &[(&str, &DataType)]) -> String {
    let (mut outer, mut inner) = (String::from("count(*) AS rows"), Vec::new());
    for (index, (name, data_type)) in columns.iter().enumerate() {
        let name = quote_identifier(name);
        let (name, data_type) = match data_type {
            DataType::Dictionary(_, value) => (format!("arrow_cast({name}, '{value}')"), &**value),
            other => (name, *other),
        };
        inner.push(format!("{name} AS v{index}"));
        write!(outer, ", count(v{index}) AS values{index}").expect("a String takes all");
        if !is_ordered(data_type) {
            continue;
        }
        let value = match data_type.is_floating() {
            // The engine has NaN beyond the infinities, on either side.
            true => {
                inner.push(format!(
                    "CASE WHEN {name} > CAST('Infinity' AS DOUBLE) OR \
                     {name} < CAST('-Infinity' AS DOUBLE) THEN NULL ELSE {name} END AS n{index}"
                ));
                write!(outer, ", count(n{index}) AS numbers{index}").expect("a String takes all");
                format!("n{index}")
            }
            false => format!("v{index}"),
        };
        let hashed = match data_type.is_floating() || data_type.is_nested() || is_decimal(data_type)
        {
            true => format!("CAST({value} AS VARCHAR)"),
            false => value.clone(),
        };
        write!(
            outer,
            ", CAST(min({value}) AS VARCHAR) AS min{index}, CAST(max({value}) AS VARCHAR) AS \
             max{index}, approx_distinct({hashed}) AS distinct{index}"
        )
        .expect("a String takes all");
        if data_type.is_numeric() {
            write!(outer, ", avg(CAST({value} AS DOUBLE)) AS mean{index}")
                .expect("a String takes all");
        }
    }
    format!("SELECT {outer} FROM (SELECT {} FROM t)", inner.join(", "))
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// Whether values of the type have a minimum that can be shown as one word.
fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_string()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Timestamp(..)
        )
}

/// The one row that a statement answers with.
async fn answer(session: &Session, sql: &str) -> Result<RecordBatch> {
    let plan = session.plan(sql, &[], Vec::new()).await?;
    let answer = session.collect(plan).await?.into_iter().find(|batch| batch.num_rows() == 1);
    answer.ok_or_else(|| Error::internal("a sum has no row"))
}

/// A count of the answer; `None` if it was not asked for.
fn number(answer: &RecordBatch, name: &str) -> Result<Option<u64>> {
    let Some(column) = answer.column_by_name(name) else { return Ok(None) };
    let column = arrow::compute::cast(column, &DataType::UInt64)?;
    Ok(Some(column.as_primitive::<UInt64Type>().value(0)))
}

fn text_of(answer: &RecordBatch, name: &str) -> Result<Option<String>> {
    let Some(column) = answer.column_by_name(name) else { return Ok(None) };
    let value = ScalarValue::try_from_array(column, 0)?;
    Ok(value.try_as_str().flatten().map(str::to_owned))
}
