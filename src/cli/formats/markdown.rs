//! `markdown`: a table for a document.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::text::texts;
use super::{Format, OutputFormat, RowWriter};

pub(in crate::cli) const MARKDOWN: OutputFormat = &Markdown;

#[derive(Debug)]
struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn help(&self) -> &'static str {
        "A table for a document"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["md"]
    }

    fn is_for_people(&self) -> bool {
        true
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn title(&self, name: &str) -> String {
        format!("## {}\n\n", escaped(name))
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        head(&schema, out)?;
        Ok(Box::new(Rows { out }))
    }
}

struct Rows<'a> {
    out: &'a mut dyn Write,
}

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        texts(batch)?.try_for_each(|row| line(row.iter().map(|text| escaped(text)), self.out))
    }

    fn end(self: Box<Self>) -> Result<usize, ArrowError> {
        Ok(0)
    }
}

fn head(schema: &Schema, out: &mut dyn Write) -> Result<(), ArrowError> {
    let fields = schema.fields();
    let side = |field: &Field| if field.data_type().is_numeric() { "---:" } else { "---" };
    line(fields.iter().map(|field| escaped(field.name())), out)?;
    line(fields.iter().map(|field| side(field).to_owned()), out)
}

fn line(cells: impl Iterator<Item = String>, out: &mut dyn Write) -> Result<(), ArrowError> {
    out.write_all(b"|")?;
    for cell in cells {
        write!(out, " {cell} |")?;
    }
    Ok(out.write_all(b"\n")?)
}

/// Text inside a cell of Markdown.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('|', "\\|");
    text.replace("\r\n", "<br>").replace(['\n', '\r'], "<br>")
}
