//! Columns of the types whose values need no more than a look: those that lines are full of.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions,
    StringBuilder, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use pleiad_core::json_line::{Kind, Value};

use crate::error::{Error, Result};

/// A value, read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// From one byte of its line to another.
    Text(usize, usize),
}

/// One column.
enum Column {
    /// Integers, and times of any unit.
    Integers(Int64Builder),
    Floats(Float64Builder),
    Booleans(BooleanBuilder),
    Texts(StringBuilder),
    Views(StringViewBuilder),
}

impl Column {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int64 | DataType::Timestamp(_, None) => Self::Integers(Int64Builder::new()),
            DataType::Float64 => Self::Floats(Float64Builder::new()),
            DataType::Boolean => Self::Booleans(BooleanBuilder::new()),
            DataType::Utf8 => Self::Texts(StringBuilder::new()),
            DataType::Utf8View => Self::Views(StringViewBuilder::new()),
            _ => return None,
        })
    }

    /// Reads a value as Arrow's reader would; `None` where that takes more than a look: another way to
    /// write it, or another type.
    fn read(&self, value: Value<'_>) -> Option<Cell> {
        match (value.kind, self) {
            (Kind::Null, _) => Some(Cell::Null),
            (Kind::Number, Self::Integers(_)) => value.written.parse().ok().map(Cell::Integer),
            (Kind::Number, Self::Floats(_)) => {
                value.written.parse().ok().filter(|float: &f64| float.is_finite()).map(Cell::Float)
            }
            (Kind::Boolean, Self::Booleans(_)) => Some(Cell::Boolean(value.written == "true")),
            (Kind::Text, Self::Texts(_) | Self::Views(_)) => {
                Some(Cell::Text(value.begin + 1, value.end - 1)) // without its quotes
            }
            _ => None,
        }
    }

    fn add(&mut self, cell: Cell, line: &str) {
        match (self, cell) {
            (Self::Integers(values), Cell::Integer(value)) => values.append_value(value),
            (Self::Floats(values), Cell::Float(value)) => values.append_value(value),
            (Self::Booleans(values), Cell::Boolean(value)) => values.append_value(value),
            (Self::Texts(values), Cell::Text(begin, end)) => values.append_value(&line[begin..end]),
            (Self::Views(values), Cell::Text(begin, end)) => values.append_value(&line[begin..end]),
            (Self::Integers(values), _) => values.append_null(),
            (Self::Floats(values), _) => values.append_null(),
            (Self::Booleans(values), _) => values.append_null(),
            (Self::Texts(values), _) => values.append_null(),
            (Self::Views(values), _) => values.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Integers(values) => Arc::new(values.finish()),
            Self::Floats(values) => Arc::new(values.finish()),
            Self::Booleans(values) => Arc::new(values.finish()),
            Self::Texts(values) => Arc::new(values.finish()),
            Self::Views(values) => Arc::new(values.finish()),
        }
    }
}

/// The columns of a schema that has such types only.
pub(super) struct Cells {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

impl Cells {
    pub(super) fn new(schema: &SchemaRef) -> Option<Self> {
        let columns = schema.fields().iter().map(|field| Column::of(field.data_type()));
        let columns = columns.collect::<Option<_>>()?;
        Some(Self { schema: Arc::clone(schema), columns, rows: 0 })
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// See [`Column::read`].
    pub(super) fn read(&self, column: usize, value: Value<'_>) -> Option<Cell> {
        self.columns[column].read(value)
    }

    /// Adds a row, whose cells are of `line`.
    pub(super) fn add(&mut self, row: &[Cell], line: &str) {
        self.columns.iter_mut().zip(row).for_each(|(column, cell)| column.add(*cell, line));
        self.rows += 1;
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let internal = |error| Error::internal("values do not become columns").caused_by(error);
        let columns = self.columns.iter_mut().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(&column.finish(), field.data_type()));
        let columns = columns.collect::<Result<_, _>>().map_err(internal)?;
        let options =
            RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        let schema = Arc::clone(&self.schema);
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(internal)
    }
}
