//! `table`: drawn for people, numbers to the right.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use comfy_table::{Cell, CellAlignment, Table};

use super::text::texts;
use super::{Format, OutputFormat, RowWriter};
use crate::cli::visible::visible;

pub(in crate::cli) const TABLE: OutputFormat = &TableFormat;

#[derive(Debug)]
struct TableFormat;

impl Format for TableFormat {
    fn name(&self) -> &'static str {
        "table"
    }

    fn help(&self) -> &'static str {
        "A table drawn with lines, numbers to the right"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["txt"]
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
        Ok(Box::new(Rows { schema, out, shown: Vec::new(), left: max_rows, left_out: 0 }))
    }
}

struct Rows<'a> {
    schema: SchemaRef,
    out: &'a mut dyn Write,
    shown: Vec<RecordBatch>,
    left: usize,
    left_out: usize,
}

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = batch.num_rows().min(self.left);
        self.left -= rows;
        self.left_out += batch.num_rows() - rows;
        if rows > 0 {
            self.shown.push(batch.slice(0, rows));
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<usize, ArrowError> {
        draw(&self.schema, &self.shown, self.out)?;
        Ok(self.left_out)
    }
}

fn draw(schema: &Schema, batches: &[RecordBatch], out: &mut dyn Write) -> Result<(), ArrowError> {
    let fields = schema.fields();
    // What is written out takes its place in the line.
    let cell = |field: &Field, text: &str| {
        let is_number = field.data_type().is_numeric();
        let side = if is_number { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(visible(text)).set_alignment(side)
    };
    let mut table = Table::new();
    table.load_preset("||--+-++|    ++++++");
    table.set_header(fields.iter().map(|field| cell(field, field.name())));
    for batch in batches {
        for row in texts(batch)? {
            let cells = fields.iter().zip(row);
            table.add_row(cells.map(|(field, text)| cell(field, &text)));
        }
    }
    Ok(writeln!(out, "{table}")?)
}
