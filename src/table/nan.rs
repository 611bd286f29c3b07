//! NaN is the greatest value of a comparison, and the bounds in a Parquet file leave it out. So the bounds of
//! a column of floats are used only where the file says that no value of it is NaN; else rows would be
//! found or not as row groups happen to be cut.
//!
//! Files that we write say so in their footer, under [`KEY`]. Of other files the bounds of floats are not
//! looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use parquet::basic::{LogicalType, Type};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

/// The key of a footer whose value lists the columns of floats without NaN, as JSON.
const KEY: &str = "pleiad.without_nan";

/// The columns of floats that have shown no NaN.
#[derive(Debug)]
pub(super) struct WithoutNan {
    columns: Vec<usize>,
}

impl WithoutNan {
    /// Of a file with these columns, before its first row.
    pub(super) fn new(schema: &Schema) -> Self {
        let is_float =
            |data_type: &DataType| matches!(data_type, DataType::Float32 | DataType::Float64);
        let fields = schema.fields().iter().enumerate();
        Self {
            columns: fields.filter(|(_, f)| is_float(f.data_type())).map(|(at, _)| at).collect(),
        }
    }

    /// Looks at rows.
    pub(super) fn look_at(&mut self, batch: &RecordBatch) {
        self.columns.retain(|at| {
            let column = batch.column(*at);
            let has_nan = match column.data_type() {
                DataType::Float32 => {
                    column.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan)
                }
                _ => column.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
            };
            !has_nan
        });
    }

    /// What the footer says of them.
    pub(super) fn entry(&self, schema: &Schema) -> KeyValue {
        let names: Vec<&str> =
            self.columns.iter().map(|at| schema.field(*at).name().as_str()).collect();
        KeyValue::new(KEY.to_owned(), serde_json::to_string(&names).ok())
    }
}

/// The columns that a footer says to be without NaN.
fn without_nan(footer: &ParquetMetaData) -> BTreeSet<String> {
    let entries = footer.file_metadata().key_value_metadata();
    let entry = entries.into_iter().flatten().find(|entry| entry.key == KEY);
    let names = entry.and_then(|entry| entry.value.as_deref());
    names.and_then(|names| serde_json::from_str(names).ok()).unwrap_or_default()
}

/// A footer as it may be used for leaving out rows: without the bounds of floats that may be NaN.
pub(super) fn with_safe_bounds(footer: Arc<ParquetMetaData>) -> Result<Arc<ParquetMetaData>> {
    let known = without_nan(&footer);
    let schema = footer.file_metadata().schema_descr_ptr();
    let is_unsafe: Vec<bool> = schema
        .columns()
        .iter()
        .map(|column| is_float(column) && !known.contains(&column.path().string()))
        .collect();
    if !is_unsafe.contains(&true) {
        return Ok(footer);
    }
    let mut safe = ParquetMetaData::clone(&footer).into_builder();
    let groups = safe.take_row_groups().into_iter().map(|group| {
        let mut group = group.into_builder();
        let chunks = group.take_columns().into_iter().zip(&is_unsafe);
        let chunks = chunks.map(|(chunk, is_unsafe)| match is_unsafe {
            true => without_bounds(chunk),
            false => Ok(chunk),
        });
        group.set_column_metadata(chunks.collect::<Result<_>>()?).build()
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let pages = safe.take_column_index().map(|groups| {
        let of_group = |group: Vec<ColumnIndexMetaData>| {
            let pages = group.into_iter().zip(&is_unsafe);
            pages
                .map(
                    |(pages, is_unsafe)| if *is_unsafe { ColumnIndexMetaData::NONE } else { pages },
                )
                .collect()
        };
        groups.into_iter().map(of_group).collect()
    });
    Ok(Arc::new(safe.set_row_groups(groups).set_column_index(pages).build()))
}

fn is_float(column: &ColumnDescriptor) -> bool {
    matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE)
        || column.logical_type_ref() == Some(&LogicalType::Float16)
}

/// The chunk without its least and greatest value.
fn without_bounds(chunk: ColumnChunkMetaData) -> Result<ColumnChunkMetaData> {
    let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
    let counts = match chunk.column_type() {
        Type::FLOAT => Some(Statistics::float(None, None, None, nulls, false)),
        Type::DOUBLE => Some(Statistics::double(None, None, None, nulls, false)),
        _ => None,
    };
    // The bounds of pages may be read later.
    let chunk = chunk.into_builder().clear_statistics();
    let chunk = chunk.set_column_index_offset(None).set_column_index_length(None);
    match counts {
        Some(counts) => chunk.set_statistics(counts).build(),
        None => chunk.build(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int64Array};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_column_is_without_nan_until_one_is_seen() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("a", DataType::Float64, true),
            Field::new("b", DataType::Float32, true),
        ]));
        let rows = |a: f64, b: f32| {
            let columns: Vec<arrow::array::ArrayRef> = vec![
                Arc::new(Int64Array::from(vec![Some(1), None])),
                Arc::new(Float64Array::from(vec![Some(a), None])),
                Arc::new(Float32Array::from(vec![Some(b), None])),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        };
        let mut without = WithoutNan::new(&schema);
        let said = |without: &WithoutNan| without.entry(&schema).value.unwrap();
        without.look_at(&rows(f64::INFINITY, 1.0));
        assert_eq!(said(&without), r#"["a","b"]"#);
        without.look_at(&rows(1.0, f32::NAN));
        without.look_at(&rows(1.0, 1.0));
        assert_eq!(said(&without), r#"["a"]"#);
    }
}
