//! Numbers of columns for a picture: of some rows, or how often they occur.

use std::num::NonZeroUsize;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::session::{Session, quote_identifier};
use crate::table::SourceTable;

/// The query of the columns.
const NUMBERS: &str = include_str!("../../sql/steps/numbers.sql");
/// Rows of a batch.
const BATCH: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberSample {
    /// The numbers of each row, in the order of the columns; none where there is no finite number.
    pub rows: Vec<Vec<Option<f64>>>,
    /// Rows of the table.
    pub of: u64,
}

/// The numbers of `columns` in about `wanted` rows of `table`: every n-th row.
///
/// # Errors
/// A column that is missing or holds no numbers; or if rows cannot be read.
pub async fn sample(
    session: &Session,
    table: &SourceTable,
    columns: &[&str],
    wanted: u64,
) -> Result<NumberSample> {
    let all = match table.rows() {
        Some(rows) => rows,
        None => {
            let mut counted = 0;
            let mut rows = numbers(session, table, columns).await?;
            while let Some(batch) = rows.try_next().await? {
                counted += batch.num_rows() as u64;
            }
            counted
        }
    };
    let step = all.div_ceil(wanted.max(1)).max(1);
    let (mut sampled, mut number) = (Vec::new(), 0_u64);
    let mut rows = numbers(session, table, columns).await?;
    while let Some(batch) = rows.try_next().await? {
        let arrays: Vec<&Float64Array> =
            batch.columns().iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        for row in 0..batch.num_rows() {
            if number.is_multiple_of(step) {
                sampled.push(arrays.iter().map(|array| finite(array, row)).collect());
            }
            number += 1;
        }
    }
    Ok(NumberSample { rows: sampled, of: number })
}

/// How often the values of a column occur.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The least and the greatest value.
    pub range: (f64, f64),
    /// Rows in boxes of equal width, the upper end of the last included.
    pub rows: Vec<u64>,
    /// Rows without a finite value.
    pub left_out: u64,
}

/// Counts the values of `column` of `tables` in `boxes` boxes.
///
/// # Errors
/// As [`sample`]; no finite value at all.
pub async fn histogram(
    session: &Session,
    tables: &[SourceTable],
    column: &str,
    boxes: usize,
) -> Result<Histogram> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for table in tables {
        let mut rows = numbers(session, table, &[column]).await?;
        while let Some(batch) = rows.try_next().await? {
            let array = batch.column(0).as_primitive::<Float64Type>();
            for value in (0..array.len()).filter_map(|row| finite(array, row)) {
                (low, high) = (low.min(value), high.max(value));
            }
        }
    }
    if low > high {
        return Err(Error::data(format!("column '{column}' has no finite value")));
    }
    let mut found = Histogram { range: (low, high), rows: vec![0; boxes.max(1)], left_out: 0 };
    for table in tables {
        let mut rows = numbers(session, table, &[column]).await?;
        while let Some(batch) = rows.try_next().await? {
            let array = batch.column(0).as_primitive::<Float64Type>();
            for row in 0..array.len() {
                match finite(array, row) {
                    Some(value) => {
                        let place = place(value, found.range, found.rows.len());
                        found.rows[place] += 1;
                    }
                    None => found.left_out += 1,
                }
            }
        }
    }
    Ok(found)
}

/// The box of a value.
fn place(value: f64, (low, high): (f64, f64), boxes: usize) -> usize {
    let part = if high > low { (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to boxes")]
    let place = (part * boxes as f64) as usize;
    place.min(boxes - 1)
}

fn finite(array: &Float64Array, row: usize) -> Option<f64> {
    array.is_valid(row).then(|| array.value(row)).filter(|value| value.is_finite())
}

async fn numbers(
    session: &Session,
    table: &SourceTable,
    columns: &[&str],
) -> Result<SendableRecordBatchStream> {
    for column in columns {
        let found = table.column(column)?.data_type();
        let is_number = |found: &DataType| found.is_numeric() || *found == DataType::Boolean;
        let inner = match found {
            DataType::Dictionary(_, value) => value,
            other => other,
        };
        if !is_number(inner) && table.rows() != Some(0) {
            return Err(Error::data(format!(
                "column '{column}' of '{}' is {}, expected a number",
                table.name,
                super::columns::type_name(found)
            )));
        }
    }
    let session = session.in_order(BATCH);
    session.register("points", table.provider())?;
    let columns = columns.iter().enumerate().map(|(number, column)| {
        format!("CAST({} AS DOUBLE) AS c{number}", quote_identifier(column))
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let plan = session.plan(NUMBERS, &[("columns", &columns)], Vec::new()).await?;
    let frame = session.context().execute_logical_plan(plan).await?;
    Ok(frame.execute_stream().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_boxes() {
        let found = |value| place(value, (0.0, 10.0), 5);
        assert_eq!([0.0, 1.9, 2.0, 9.9, 10.0].map(found), [0, 0, 1, 4, 4]);
        assert_eq!(place(7.0, (7.0, 7.0), 3), 1);
        assert_eq!(place(f64::MAX, (f64::MIN, f64::MAX), 4), 3);
    }
}
