//! Lists of rows in Arrow, `LIST(STRUCT(…, values LIST, …))`: what `farthest_rows` and `sample_rows`
//! answer. Nothing in them is NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type};

/// The type of an answer whose rows have these fields.
pub(super) fn data_type(row: Fields) -> DataType {
    DataType::new_list(DataType::Struct(row), false)
}

/// The field with the coordinates of a row.
pub(super) fn values_field() -> Field {
    Field::new("values", DataType::new_list(DataType::Float64, false), false)
}

/// The coordinates of all rows.
pub(super) fn values<'a>(rows: impl Iterator<Item = &'a [f64]> + Clone) -> ArrayRef {
    list_array(
        DataType::Float64,
        rows.clone().map(<[f64]>::len),
        Arc::new(Float64Array::from_iter_values(rows.flatten().copied())),
    )
}

/// An answer: one list of each of these lengths, over the columns of all rows.
pub(super) fn answer(
    row: Fields,
    columns: Vec<ArrayRef>,
    lengths: impl Iterator<Item = usize>,
) -> ArrayRef {
    let rows = StructArray::new(row.clone(), columns, None);
    list_array(DataType::Struct(row), lengths, Arc::new(rows))
}

fn list_array(item: DataType, lengths: impl Iterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(item, false));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}

/// The rows of one list; `None` if `array` is not such an answer.
pub(super) fn rows_of(row: Fields, array: &dyn Array, at: usize) -> Option<StructArray> {
    let is_answer = *array.data_type() == data_type(row) && at < array.len() && array.is_valid(at);
    is_answer.then(|| array.as_list::<i32>().value(at).as_struct().clone())
}

/// The coordinates of row `at`, from the column that [`values`] made.
pub(super) fn values_of(column: &ArrayRef, at: usize) -> Float64Array {
    column.as_list::<i32>().value(at).as_primitive::<Float64Type>().clone()
}
