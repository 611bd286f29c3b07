//! Rows of many batches that are kept, in batches that are not too small.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::state::{bytes, compact};
use crate::error::Result;

/// Rows of a batch that is not made one with others.
const FULL: usize = 8192;

/// Rows of many batches.
#[derive(Default)]
pub(super) struct Kept {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Kept {
    /// The rows, in order.
    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Adds rows, and makes one of the last batches while they are small and about of a size, so that a row is
    /// copied a few times only.
    pub(super) fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut last = compact(rows)?;
        self.bytes += bytes(std::slice::from_ref(&last))?;
        while let Some(before) = self.batches.pop_if(|before| {
            let (before, last) = (before.num_rows(), last.num_rows());
            before <= 2 * last && before + last <= FULL
        }) {
            last = concat_batches(&last.schema(), [&before, &last])?;
        }
        self.batches.push(last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn small_batches_are_made_one_and_large_ones_stay() {
        let mut kept = Kept::default();
        let rows = |count: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
            RecordBatch::try_from_iter([("a", column)]).unwrap()
        };
        for _ in 0..1000 {
            let rows = rows(3);
            kept.push(&rows).unwrap();
        }
        assert_eq!(kept.rows(), 3000);
        assert_eq!(kept.bytes, 24_000);
        assert!(kept.batches.len() <= 12, "{}", kept.batches.len());
        let large = rows(8192);
        kept.push(&large).unwrap();
        assert_eq!(kept.batches.last().unwrap().num_rows(), 8192);
    }
}
