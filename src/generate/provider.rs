//! Generated rows as a table that the engine can scan.
//!
//! A scan has `target_partitions` streams; each makes one contiguous range of the rows, a batch at
//! a time, so memory is a few batches however many rows there are. Read in the order of the streams,
//! the rows are in row order. Neither the number of streams nor the batch size changes a value.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::slice::Slice;

/// Batches that are made before they are asked for.
const BATCHES_AHEAD: usize = 2;

/// Rows by their numbers.
pub trait Generator: fmt::Debug + Send + Sync + 'static {
    /// The columns.
    fn schema(&self) -> &SchemaRef;

    /// The numbers of the rows of a scan.
    fn rows(&self) -> Range<u64>;

    /// The rows of these numbers.
    ///
    /// # Errors
    /// Never for columns that agree with the schema.
    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch>;
}

/// The rows of a generator as a table.
#[derive(Debug, Clone)]
pub struct StreamProvider<G> {
    generator: Arc<G>,
}

impl<G: Generator> StreamProvider<G> {
    pub(super) fn of(generator: G) -> Self {
        Self { generator: Arc::new(generator) }
    }
}

#[async_trait]
impl<G: Generator> TableProvider for StreamProvider<G> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.generator.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// One contiguous part of the rows a stream.
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let streams = state.config().target_partitions() as u64;
        let partitions = (1..=streams).map(|index| -> Arc<dyn PartitionStream> {
            let part = Slice::new(index, streams).expect("an index from 1 to the count");
            let rows = part.of(self.generator.rows());
            Arc::new(Part { generator: Arc::clone(&self.generator), rows })
        });
        let plan = StreamingTableExec::try_new(
            self.schema(),
            partitions.collect(),
            projection,
            [], // no ordering is promised
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

/// A contiguous range of rows, numbered from 0 in the whole table.
#[derive(Debug)]
struct Part<G> {
    generator: Arc<G>,
    rows: Range<u64>,
}

impl<G: Generator> PartitionStream for Part<G> {
    fn schema(&self) -> &SchemaRef {
        self.generator.schema()
    }

    /// Batches are made on a thread of their own, up to two ahead of the reader; it ends with the
    /// reader.
    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch_rows = context.session_config().batch_size();
        let schema = Arc::clone(self.generator.schema());
        let mut builder = RecordBatchReceiverStreamBuilder::new(schema, BATCHES_AHEAD);
        let (generator, rows, batches) =
            (Arc::clone(&self.generator), self.rows.clone(), builder.tx());
        builder.spawn_blocking(move || {
            for start in rows.clone().step_by(batch_rows) {
                let batch = generator.batch(start..rows.end.min(start + batch_rows as u64));
                if batches.blocking_send(batch).is_err() {
                    break; // no one reads on
                }
            }
            Ok(())
        });
        builder.build()
    }
}
