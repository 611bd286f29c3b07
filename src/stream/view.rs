//! A materialized view: the answer of a standing query after a whole batch, readable at any moment.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{OnceCell, watch};

use super::cut::{Above, State};
use crate::error::Result;

/// What a query had answered after a batch.
pub(super) enum Snapshot {
    /// All its rows.
    Rows(Vec<RecordBatch>),
    /// Rows that stay as they are, and what the others follow from, computed when someone reads them.
    State(Vec<RecordBatch>, Arc<Above>, State, OnceCell<Vec<RecordBatch>>),
}

impl Snapshot {
    async fn rows(&self) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Rows(rows) => Ok(rows.clone()),
            Self::State(kept, above, state, answer) => {
                let rows = answer.get_or_try_init(|| above.answer(state.clone())).await?;
                Ok(kept.iter().chain(rows).cloned().collect())
            }
        }
    }
}

/// A view of the newest snapshot.
pub struct StandingView {
    pub(super) schema: SchemaRef,
    pub(super) newest: watch::Receiver<Arc<Snapshot>>,
}

impl std::fmt::Debug for StandingView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandingView")
    }
}

#[async_trait]
impl TableProvider for StandingView {
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
        let snapshot = Arc::clone(&self.newest.borrow());
        let rows = snapshot.rows().await.map_err(DataFusionError::from)?;
        let (rows, schema) = ([rows], Arc::clone(&self.schema));
        Ok(MemorySourceConfig::try_new_exec(&rows, schema, projection.cloned())?)
    }
}
