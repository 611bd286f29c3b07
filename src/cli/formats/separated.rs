//! `csv` and `tsv`: a header, quoted as in RFC 4180, NULL empty.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::ArrayFormatter;

use super::text::TEXT;
use super::{Format, OutputFormat, RowWriter};

pub(in crate::cli) const CSV: OutputFormat = &Csv;
pub(in crate::cli) const TSV: OutputFormat = &Tsv;

#[derive(Debug)]
struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn help(&self) -> &'static str {
        "Comma-separated with a header, quoted as in RFC 4180, NULL empty"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        Ok(Rows::boxed(schema, b',', out))
    }
}

#[derive(Debug)]
struct Tsv;

impl Format for Tsv {
    fn name(&self) -> &'static str {
        "tsv"
    }

    fn help(&self) -> &'static str {
        "The same with tabs"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["tsv"]
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        Ok(Rows::boxed(schema, b'\t', out))
    }
}

struct Rows<'a> {
    schema: SchemaRef,
    writer: Writer<&'a mut dyn Write>,
    is_empty: bool,
}

impl<'a> Rows<'a> {
    fn boxed(schema: SchemaRef, delimiter: u8, out: &'a mut dyn Write) -> Box<dyn RowWriter + 'a> {
        let builder = WriterBuilder::new().with_header(true).with_delimiter(delimiter);
        Box::new(Self { schema, writer: builder.build(out), is_empty: true })
    }
}

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.is_empty = false;
        self.writer.write(&without_nesting(batch)?)
    }

    fn end(mut self: Box<Self>) -> Result<usize, ArrowError> {
        if self.is_empty {
            let none = RecordBatch::new_empty(Arc::clone(&self.schema));
            self.writer.write(&without_nesting(&none)?)?; // the header
        }
        Ok(0)
    }
}

/// Lists, structs and maps as text: a field of a CSV line has no inner structure.
fn without_nesting(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let flat = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
        if !column.data_type().is_nested() {
            return Ok(Arc::clone(column));
        }
        let text = ArrayFormatter::try_new(column, &TEXT)?;
        let texts =
            (0..column.len()).map(|row| column.is_valid(row).then(|| text.value(row).to_string()));
        Ok(Arc::new(texts.collect::<StringArray>()))
    };
    let columns = batch.columns().iter().map(flat).collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let fields = schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}
