//! `expanded`: a line for each value, for rows that are wider than the screen.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::text::texts;
use super::{Format, OutputFormat, RowWriter};
use crate::cli::visible::visible;

pub(in crate::cli) const EXPANDED: OutputFormat = &ExpandedFormat;

#[derive(Debug)]
struct ExpandedFormat;

impl Format for ExpandedFormat {
    fn name(&self) -> &'static str {
        "expanded"
    }

    fn help(&self) -> &'static str {
        "A line for each value, as \\x of psql"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn is_for_people(&self) -> bool {
        true
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        Ok(Box::new(Rows { schema, out, row: 0, left: max_rows, left_out: 0 }))
    }
}

struct Rows<'a> {
    schema: SchemaRef,
    out: &'a mut dyn Write,
    row: usize,
    left: usize,
    left_out: usize,
}

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = batch.num_rows().min(self.left);
        self.left -= rows;
        self.left_out += batch.num_rows() - rows;
        let names: Vec<_> =
            self.schema.fields().iter().map(|field| visible(field.name()).into_owned()).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for row in texts(&batch.slice(0, rows))? {
            self.row += 1;
            writeln!(self.out, "-[ row {} ]", self.row)?;
            for (name, text) in names.iter().zip(row) {
                let gap = " ".repeat(width - name.chars().count());
                writeln!(self.out, "{name}{gap} | {}", visible(&text))?;
            }
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<usize, ArrowError> {
        Ok(self.left_out)
    }
}
