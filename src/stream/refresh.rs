//! Tables with an end that a standing query looks at again: those with the option `refresh`.

use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionState;
use datafusion::physical_plan::collect;
use tokio::time::Instant;

use super::slot::Slot;
use super::state::bytes;
use crate::error::Result;

/// A table whose rows are kept, and read again some time.
pub(super) struct Refreshed {
    table: Arc<dyn TableProvider>,
    /// Its rows, for the plans of the query.
    slot: Arc<Slot>,
    every: Duration,
    read: Option<Instant>,
    bytes: usize,
}

impl Refreshed {
    /// Not read yet.
    pub(super) fn new(table: Arc<dyn TableProvider>, slot: Arc<Slot>, every: Duration) -> Self {
        Self { table, slot, every, read: None, bytes: 0 }
    }

    /// Bytes of its rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads the table, unless that was done not long ago; whether it did.
    pub(super) async fn read(&mut self, state: &SessionState) -> Result<bool> {
        if self.read.is_some_and(|read| read.elapsed() < self.every) {
            return Ok(false);
        }
        let began = Instant::now();
        let plan = self.table.scan(state, None, &[], None).await?;
        let rows = collect(plan, state.task_ctx()).await?;
        self.bytes = bytes(&rows)?;
        self.slot.set(rows);
        self.read = Some(began);
        Ok(true)
    }
}
