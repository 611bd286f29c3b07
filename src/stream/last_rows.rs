//! The last rows of something that goes on, as a table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::Result;

/// How many rows are kept.
pub(super) const KEPT: usize = 10_000;

/// The last [`KEPT`] rows.
#[derive(Debug)]
pub(super) struct LastRows {
    schema: SchemaRef,
    rows: Mutex<VecDeque<RecordBatch>>,
}

impl LastRows {
    /// None yet.
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, rows: Mutex::default() }
    }

    /// Adds rows, and forgets the first of those that are too many.
    ///
    /// # Errors
    /// The engine's.
    pub(super) fn push(&self, batch: RecordBatch) -> Result<()> {
        let batch = match batch.num_rows().checked_sub(KEPT) {
            // A slice would hold all of them.
            Some(over) if over > 0 => {
                let last = UInt64Array::from_iter_values(over as u64..batch.num_rows() as u64);
                take_record_batch(&batch, &last)?
            }
            _ if batch.num_rows() == 0 => return Ok(()),
            _ => batch,
        };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push_back(batch);
        let all: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let mut over = all.saturating_sub(KEPT);
        while over > 0
            && let Some(first) = rows.pop_front()
        {
            let forgotten = over.min(first.num_rows());
            over -= forgotten;
            if forgotten < first.num_rows() {
                rows.push_front(first.slice(forgotten, first.num_rows() - forgotten));
            }
        }
        Ok(())
    }

    fn all(&self) -> Vec<RecordBatch> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().cloned().collect()
    }
}

#[async_trait]
impl TableProvider for LastRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let (rows, schema) = ([self.all()], Arc::clone(&self.schema));
        Ok(MemorySourceConfig::try_new_exec(&rows, schema, projection.cloned())?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray};
    use arrow::datatypes::UInt64Type;

    use super::*;

    fn numbers(range: std::ops::Range<u64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(range));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn the_last_rows_stay() {
        let last = LastRows::new(numbers(0..0).schema());
        let kept = KEPT as u64;
        for batch in [0..1, 1..kept - 1, kept - 1..kept + 6, kept + 6..kept + 6] {
            last.push(numbers(batch)).unwrap();
        }
        let all = last.all();
        assert_eq!(all.iter().map(RecordBatch::num_rows).sum::<usize>(), KEPT);
        assert_eq!(all[0].column(0).as_primitive::<UInt64Type>().value(0), 6);
        last.push(numbers(0..3 * kept)).unwrap();
        assert_eq!(last.all()[0].column(0).as_primitive::<UInt64Type>().value(0), 2 * kept);
    }
}
