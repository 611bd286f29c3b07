//! Points as Arrow record batches: `id` from 1, `x`, `y`, and `truth` where there is one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::batches::{self, Generator};
use super::shapes::{ShapePoint, Shapes};

/// The slice's points, as a table to scan.
#[derive(Debug, Clone)]
pub struct ShapeSource {
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
        Self { shapes, schema: Arc::new(Schema::new(fields)) }
    }
}

impl Generator for ShapeSource {
    fn schema(&self) -> &SchemaRef {
        &self.schema
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

#[async_trait]
impl TableProvider for ShapeSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let generator: Arc<dyn Generator> = Arc::new(self.clone());
        batches::scan(&generator, self.shapes.slice_rows(), state, projection, limit)
    }
}
