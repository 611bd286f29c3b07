//! Lines that are written like the one before them are read in place; the others, and those with values
//! that take more than a look, are read by Arrow's reader, which also judges what is bad.

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use pleiad_core::json_led::Led;

use super::cells::{Cell, Cells};
use super::json::JsonRows;
use super::rows::Rows;
use crate::error::{Error, Result};

/// Rows of columns that all have types of [`Cells`].
pub(super) struct LedRows {
    cells: Cells,
    others: JsonRows,
    led: Option<Led>,
    /// The cells of the line that is read.
    row: Vec<Cell>,
    /// Whether the last line was written in another way.
    has_missed: bool,
    /// For each row whether it is one of the others.
    is_other: Vec<bool>,
}

impl LedRows {
    pub(super) fn new(cells: Cells, others: JsonRows) -> Self {
        let row = vec![Cell::Null; cells.width()];
        Self { cells, others, led: None, row, has_missed: true, is_other: Vec::new() }
    }

    /// Adds the row if the line is written like one before it.
    fn read(&mut self, line: &str) -> bool {
        let Some(led) = &self.led else { return false };
        self.row.fill(Cell::Null);
        let mut is_plain = true;
        let is_led = led.read(line, |column, value| match self.cells.read(column, value) {
            Some(cell) => self.row[column] = cell,
            None => is_plain = false,
        });
        self.has_missed |= !is_led;
        if is_led && is_plain {
            self.cells.add(&self.row, line);
            self.is_other.push(false);
            self.has_missed = false;
        }
        is_led && is_plain
    }
}

impl Rows for LedRows {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let has_missed = self.has_missed;
        if self.read(line) {
            return Ok(());
        }
        // Two lines in another way are a new way; one may be odd.
        if has_missed && let Some(led) = self.others.learn(line) {
            self.led = Some(led);
            self.has_missed = false;
            if self.read(line) {
                return Ok(());
            }
        }
        self.others.add(line)?;
        self.is_other.push(true);
        Ok(())
    }

    fn add_nulls(&mut self) -> Result<()> {
        self.row.fill(Cell::Null);
        self.cells.add(&self.row, "");
        self.is_other.push(false);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(RecordBatch, u64)> {
        let all = self.cells.rows();
        let cells = self.cells.finish()?;
        if all == self.is_other.len() {
            return Ok((cells, 0));
        }
        let (others, inexact) = Box::new(self.others).finish()?;
        if all == 0 {
            return Ok((others, inexact));
        }
        let mut next = [0; 2];
        let places = self.is_other.iter().map(|is_other| {
            let batch = usize::from(*is_other);
            next[batch] += 1;
            (batch, next[batch] - 1)
        });
        let places: Vec<_> = places.collect();
        let batch = interleave_record_batch(&[&cells, &others], &places);
        let internal = |error| Error::internal("rows cannot be put in order").caused_by(error);
        Ok((batch.map_err(internal)?, inexact))
    }
}
