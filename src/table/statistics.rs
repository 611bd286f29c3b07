//! Bounds and NULL counts on their way from a Parquet footer to the manifest and to the engine.
//!
//! Bounds are kept for columns with a plain order. For floats they bound the numbers only: a
//! footer leaves NaN out, while the engine's MAX takes it as the greatest value, so float bounds
//! are never given as exact.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use parquet::file::metadata::ParquetMetaData;

use super::manifest::FileRecord;
use super::value;
use crate::error::Result;

/// Longer texts are not kept as bounds of a column; in bytes.
const MAX_BOUND_BYTES: usize = 64;

/// Bounds and NULL counts of a file, as text by column.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) min: BTreeMap<String, String>,
    pub(crate) max: BTreeMap<String, String>,
    pub(crate) nulls: BTreeMap<String, u64>,
}

impl Bounds {
    /// What the footer of a file with columns `schema` says.
    pub(crate) fn of(footer: &ParquetMetaData, schema: &SchemaRef) -> Result<Self> {
        let statistics = DFParquetMetadata::statistics_from_parquet_metadata(footer, schema)?;
        let mut bounds = Self::default();
        for (field, column) in schema.fields().iter().zip(&statistics.column_statistics) {
            if !is_bounded(field.data_type()) {
                continue;
            }
            let name = field.name();
            let text = |bound: &Precision<ScalarValue>| match bound {
                Precision::Exact(found) if !found.is_null() => {
                    value::to_text(found).ok().filter(|text| text.len() <= MAX_BOUND_BYTES)
                }
                _ => None,
            };
            if let (Some(min), Some(max)) = (text(&column.min_value), text(&column.max_value)) {
                bounds.min.insert(name.clone(), min);
                bounds.max.insert(name.clone(), max);
            }
            if let Some(nulls) = column.null_count.get_value().filter(|nulls| **nulls > 0) {
                bounds.nulls.insert(name.clone(), *nulls as u64);
            }
        }
        Ok(bounds)
    }
}

/// Whether a column of this type has bounds and a NULL count in the manifest.
fn is_bounded(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(_, _)
        | DataType::Decimal128(_, _) => true,
        other => other.is_integer() || matches!(other, DataType::Float32 | DataType::Float64),
    }
}

/// What the engine may know of a file of the manifest; `schema` is that of its columns.
pub(crate) fn of_record(file: &FileRecord, schema: &Schema) -> Statistics {
    let columns = schema.fields().iter().map(|field| {
        if !is_bounded(field.data_type()) {
            return ColumnStatistics::new_unknown();
        }
        let bound = |bounds: &BTreeMap<String, String>| {
            let found = bounds.get(field.name());
            match found.and_then(|text| value::from_text(text, field.data_type()).ok()) {
                Some(bound) => Precision::Exact(bound),
                None => Precision::Absent,
            }
        };
        let nulls = file.nulls.get(field.name()).copied().unwrap_or(0);
        ColumnStatistics::new_unknown()
            .with_null_count(Precision::Exact(to_usize(nulls)))
            .with_min_value(bound(&file.min))
            .with_max_value(bound(&file.max))
    });
    floats_inexact(Statistics {
        num_rows: Precision::Exact(to_usize(file.rows)),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    })
}

/// What is made of the statistics of files, once for all files that share them.
#[derive(Default)]
pub(crate) struct SharedStatistics {
    made: HashMap<(*const Statistics, Vec<ScalarValue>), Arc<Statistics>>,
}

impl SharedStatistics {
    /// What `make` makes of `statistics` for a file with these key values.
    pub(crate) fn of(
        &mut self,
        statistics: &Arc<Statistics>,
        keys: &[ScalarValue],
        make: impl FnOnce(&Statistics) -> Statistics,
    ) -> Arc<Statistics> {
        let made = self.made.entry((Arc::as_ptr(statistics), keys.to_vec()));
        Arc::clone(made.or_insert_with(|| Arc::new(make(statistics))))
    }
}

/// `statistics` with the bounds of floats given as estimates.
pub(crate) fn floats_inexact(mut statistics: Statistics) -> Statistics {
    for column in &mut statistics.column_statistics {
        let is_float = |bound: &Precision<ScalarValue>| {
            bound.get_value().is_some_and(|bound| bound.data_type().is_floating())
        };
        if is_float(&column.min_value) || is_float(&column.max_value) {
            column.min_value = column.min_value.clone().to_inexact();
            column.max_value = column.max_value.clone().to_inexact();
        }
    }
    statistics
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
