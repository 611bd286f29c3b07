//! How many rows there are, and what their columns hold: one pass over the rows of a table.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::column_sums::{ColumnSum, ColumnSums};
use crate::error::{Error, Result};
use crate::session::Session;
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

/// What a column of a table holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The table.
    pub table: String,
    /// What its column holds.
    pub sum: ColumnSum,
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
    let fields = fields.filter(|field| columns.is_empty() || columns.contains(field.name()));
    let columns: Vec<_> =
        fields.map(|field| (field.name().clone(), field.data_type().clone())).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let sums = ColumnSums { columns, with_spread: false };
    let session = session.child(|_| ());
    session.register(ColumnSums::TABLE, table.provider())?;
    let found = sums.read(&answer(&session, &sums.statement()).await?)?;
    Ok(found.into_iter().map(|sum| Summary { table: table.name.clone(), sum }).collect())
}

/// The one row that a statement answers with.
async fn answer(session: &Session, sql: &str) -> Result<RecordBatch> {
    let plan = session.plan(sql, &[], Vec::new()).await?;
    let answer = session.collect(plan).await?.into_iter().find(|batch| batch.num_rows() == 1);
    answer.ok_or_else(|| Error::internal("a sum has no row"))
}
