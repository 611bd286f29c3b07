//! The console of standing queries: each batch on standard output, whole.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::call::ours;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::error::Result;
use crate::stream::Console;

/// Prints batches as the answers of a script are printed.
pub(super) struct Batches {
    pub(super) context: Context,
}

impl Console for Batches {
    fn show(
        &self,
        name: &str,
        batch: u64,
        schema: SchemaRef,
        rows: Vec<RecordBatch>,
    ) -> Result<()> {
        let answer = Answer::rows(name, schema, rows);
        self.context.print_batch(batch, answer).map_err(ours)
    }
}
