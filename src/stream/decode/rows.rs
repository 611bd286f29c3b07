//! Rows that lines are added to.

use arrow::array::RecordBatch;

use crate::error::Result;

/// Rows of one schema, in order.
pub(super) trait Rows {
    /// Adds the row of a line.
    ///
    /// # Errors
    /// What is wrong with the line; no row is added then.
    fn add(&mut self, line: &str) -> Result<(), String>;

    /// Adds a row of NULLs.
    fn add_nulls(&mut self) -> Result<()>;

    /// The rows, and how many integers of them may not be exact.
    fn finish(self: Box<Self>) -> Result<(RecordBatch, u64)>;
}
