//! Points as Arrow record batches: `id` from 1, `x`, `y`, and `truth` where there is one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result as EngineResult;

use super::provider::{Generator, StreamProvider};
use super::shapes::{ShapePoint, Shapes};

/// The slice's points, as a table to scan.
pub type ShapeSource = StreamProvider<ShapeRows>;

/// Points by their numbers.
#[derive(Debug)]
pub struct ShapeRows {
    shapes: Arc<Shapes>,
    schema: SchemaRef,
}

impl ShapeSource {
    /// The rows that `shapes` names with [`Shapes::slice_rows`].
    pub fn new(shapes: Arc<Shapes>) -> Self {
        let mut fields = vec![
            Field::new("id", DataType::Int64, false),
            Field::new("x", DataType::Float64, false),
            Field::new("y", DataType::Float64, false),
        ];
        if shapes.shape().has_truth() {
            fields.push(Field::new("truth", DataType::Int32, false));
        }
        Self::of(ShapeRows { shapes, schema: Arc::new(Schema::new(fields)) })
    }
}

impl Generator for ShapeRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn rows(&self) -> Range<u64> {
        self.shapes.slice_rows()
    }

    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch> {
        let points: Vec<ShapePoint> = rows.clone().map(|row| self.shapes.point(row)).collect();
        let ids = rows.map(|row| row.cast_signed() + 1);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(Float64Array::from_iter_values(points.iter().map(|point| point.x))),
            Arc::new(Float64Array::from_iter_values(points.iter().map(|point| point.y))),
        ];
        if self.shapes.shape().has_truth() {
            let truth = points.iter().map(|point| point.truth);
            columns.push(Arc::new(Int32Array::from_iter_values(truth)));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
