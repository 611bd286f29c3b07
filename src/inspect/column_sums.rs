//! What the columns of a table hold, by one statement over all its rows.
//!
//! NULL counts for `nulls` only, NaN for `nans` only: neither is the least or the greatest value, and
//! the mean is that of the others. Distinct values are estimated by HyperLogLog (Flajolet et al. 2007,
//! DMTCS AH, 127), within about 2 %, quartiles by a t-digest (Dunning 2021, Software Impacts 7).
//! Columns of lists, structs and bytes are counted, no more.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use datafusion::common::ScalarValue;

use super::columns::type_name;
use crate::error::Result;
use crate::session::quote_identifier;

/// Columns to sum up.
#[derive(Debug)]
pub struct ColumnSums {
    /// Their names and types.
    pub columns: Vec<(String, DataType)>,
    /// Whether the standard deviation and the quartiles are asked for, too.
    pub with_spread: bool,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSum {
    /// Its name.
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
    /// Standard deviation of numbers, as of a sample.
    pub deviation: Option<f64>,
    /// Quartiles of numbers, about.
    pub quartiles: [Option<f64>; 3],
    /// Distinct values, about.
    pub approx_distinct: Option<u64>,
}

impl ColumnSums {
    /// The table that the statement reads.
    pub const TABLE: &str = "t";

    /// The statement; `values3` and the like of its one row belong to the fourth column.
    pub fn statement(&self) -> String {
        let (mut outer, mut inner) = (vec!["count(*) AS rows".to_owned()], Vec::new());
        for (index, (name, data_type)) in self.columns.iter().enumerate() {
            let name = quote_identifier(name);
            let (name, data_type) = match data_type {
                DataType::Dictionary(_, value) => {
                    (format!("arrow_cast({name}, '{value}')"), &**value)
                }
                other => (name, other),
            };
            inner.push(format!("{name} AS v{index}"));
            outer.push(format!("count(v{index}) AS values{index}"));
            if !is_ordered(data_type) {
                continue;
            }
            let mut value = format!("v{index}");
            if data_type.is_floating() {
                // The engine has NaN beyond the infinities, on either side.
                inner.push(format!(
                    "CASE WHEN {name} > CAST('Infinity' AS DOUBLE) OR \
                     {name} < CAST('-Infinity' AS DOUBLE) THEN NULL ELSE {name} END AS n{index}"
                ));
                outer.push(format!("count(n{index}) AS numbers{index}"));
                value = format!("n{index}");
            }
            outer.push(format!("CAST(min({value}) AS VARCHAR) AS min{index}"));
            outer.push(format!("CAST(max({value}) AS VARCHAR) AS max{index}"));
            let hashed = match data_type.is_floating() || is_decimal(data_type) {
                true => format!("CAST({value} AS VARCHAR)"),
                false => value.clone(),
            };
            outer.push(format!("approx_distinct({hashed}) AS distinct{index}"));
            if data_type.is_numeric() {
                outer.extend(self.of_numbers(index, &format!("CAST({value} AS DOUBLE)")));
            }
        }
        let (outer, inner) = (outer.join(", "), inner.join(", "));
        format!("SELECT {outer} FROM (SELECT {inner} FROM {})", Self::TABLE)
    }

    /// What is asked of numbers only.
    fn of_numbers(&self, index: usize, number: &str) -> Vec<String> {
        let mut asked = vec![format!("avg({number}) AS mean{index}")];
        if self.with_spread {
            asked.push(format!("stddev_samp({number}) AS deviation{index}"));
            asked.extend((1..=3).map(|quarter| {
                let share = f64::from(quarter) / 4.;
                format!("approx_percentile_cont({number}, {share}) AS quartile{quarter}_{index}")
            }));
        }
        asked
    }

    /// What the one row of the statement says, a sum a column.
    ///
    /// # Errors
    /// The engine's, if it is not that row.
    pub fn read(&self, answer: &RecordBatch) -> Result<Vec<ColumnSum>> {
        let rows = count(answer, "rows")?.unwrap_or(0);
        let sums = self.columns.iter().enumerate().map(|(index, (column, data_type))| {
            let count = |name: &str| count(answer, &format!("{name}{index}"));
            let number = |name: &str| number(answer, &format!("{name}{index}"));
            let values = count("values")?.unwrap_or(0);
            Ok(ColumnSum {
                column: column.clone(),
                data_type: type_name(data_type),
                rows,
                nulls: rows - values,
                nans: count("numbers")?.map(|numbers| values - numbers),
                min: text_of(answer, &format!("min{index}"))?,
                max: text_of(answer, &format!("max{index}"))?,
                mean: number("mean"),
                deviation: number("deviation"),
                quartiles: ["quartile1_", "quartile2_", "quartile3_"].map(number),
                approx_distinct: count("distinct")?,
            })
        });
        sums.collect()
    }
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

/// A count of the answer; `None` if it was not asked for.
fn count(answer: &RecordBatch, name: &str) -> Result<Option<u64>> {
    let Some(column) = answer.column_by_name(name) else { return Ok(None) };
    let column = arrow::compute::cast(column, &DataType::UInt64)?;
    Ok(Some(column.as_primitive::<UInt64Type>().value(0)))
}

/// A float of the answer; `None` if it was not asked for, or there is none.
fn number(answer: &RecordBatch, name: &str) -> Option<f64> {
    let column = answer.column_by_name(name)?.as_primitive::<Float64Type>();
    column.is_valid(0).then(|| column.value(0))
}

fn text_of(answer: &RecordBatch, name: &str) -> Result<Option<String>> {
    let Some(column) = answer.column_by_name(name) else { return Ok(None) };
    let value = ScalarValue::try_from_array(column, 0)?;
    Ok(value.try_as_str().flatten().map(str::to_owned))
}
