//! The seven formats of an answer, each a function from tables to bytes.
//!
//! | format | NULL | NaN, ±inf | nested values |
//! | --- | --- | --- | --- |
//! | `table`, `markdown` | `NULL` | as they are | as text |
//! | `csv`, `tsv` | empty | as they are | as text |
//! | `json`, `ndjson` | `null` | `null`, reported in [`LeftOut`] | nested |
//! | `arrow` | null | as they are | nested |
//!
//! Floats have the fewest digits that read back as the same value. Integers beyond 2^53 stay
//! numbers in JSON.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::csv::{Writer as CsvWriter, WriterBuilder as CsvBuilder};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{
    JsonArray, JsonFormat, LineDelimited, Writer as JsonWriter, WriterBuilder as JsonBuilder,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, Table};

use super::output::{Answer, Format};
use crate::error::{Error, Kind, Result};

/// What of the answer is not in the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Rows beyond the limit of the format `table`.
    pub rows: usize,
    /// A float that JSON cannot hold became null.
    pub not_finite: bool,
}

/// Writes `answers`, of which there is one unless `several`: then each carries its name.
///
/// # Errors
/// A column that the format cannot hold, or a failed write.
pub fn write(
    format: Format,
    answers: &[Answer],
    several: bool,
    max_rows: usize,
    out: &mut dyn Write,
) -> Result<LeftOut> {
    let mut batches = answers.iter().flat_map(Answer::batches);
    let not_finite = batches.any(|batch| loses_values(format, batch));
    let mut left_out = LeftOut { not_finite, rows: 0 };
    if format == Format::Json && several {
        return json_object(answers, out).map(|()| left_out).map_err(|cause| cannot(format, cause));
    }
    for (index, answer) in answers.iter().enumerate() {
        let written = match several {
            true => heading(format, index, answer.name(), out),
            false => Ok(()),
        };
        left_out.rows += written
            .and_then(|()| write_one(format, answer, several, max_rows, out))
            .map_err(|cause| cannot(format, cause))?;
    }
    Ok(left_out)
}

pub(super) fn cannot(format: Format, cause: ArrowError) -> Error {
    let name = format!("{format:?}").to_lowercase();
    Error::new(Kind::Other, format!("cannot write the answer as '{name}'")).caused_by(cause)
}

/// The name of a table above it, in the formats for people.
fn heading(
    format: Format,
    index: usize,
    name: &str,
    out: &mut dyn Write,
) -> Result<(), ArrowError> {
    let gap = if index > 0 { "\n" } else { "" };
    match format {
        Format::Table => writeln!(out, "{gap}{name}")?,
        Format::Markdown => writeln!(out, "{gap}## {name}\n")?,
        Format::Csv | Format::Tsv | Format::Json | Format::Ndjson | Format::Arrow => {}
    }
    Ok(())
}

/// Writes one table; answers with the number of rows it left out.
fn write_one(
    format: Format,
    answer: &Answer,
    several: bool,
    max_rows: usize,
    out: &mut dyn Write,
) -> Result<usize, ArrowError> {
    if several && format == Format::Ndjson {
        json::<LineDelimited>(&named_rows(answer)?, out)?;
        return Ok(0);
    }
    let mut rows = RowWriter::new(format, Arc::clone(answer.schema()), max_rows, out)?;
    answer.batches().iter().try_for_each(|batch| rows.push(batch))?;
    rows.end()
}

/// The rows of one table on their way to bytes: batch by batch, so that an answer need not fit into
/// memory. `table` alone keeps the rows that it shows.
pub(super) struct RowWriter<'a> {
    schema: SchemaRef,
    form: Form<'a>,
}

enum Form<'a> {
    Table { out: &'a mut dyn Write, shown: Vec<RecordBatch>, left: usize, left_out: usize },
    Markdown { out: &'a mut dyn Write },
    Separated { writer: Box<CsvWriter<&'a mut dyn Write>>, is_empty: bool },
    Json(JsonWriter<&'a mut dyn Write, JsonArray>),
    Ndjson(JsonWriter<&'a mut dyn Write, LineDelimited>),
    Arrow(StreamWriter<&'a mut dyn Write>),
}

impl<'a> RowWriter<'a> {
    /// Begins a table with these columns.
    pub(super) fn new(
        format: Format,
        schema: SchemaRef,
        max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Self, ArrowError> {
        let separated = |out, delimiter| {
            let builder = CsvBuilder::new().with_header(true).with_delimiter(delimiter);
            Form::Separated { writer: Box::new(builder.build(out)), is_empty: true }
        };
        let json = JsonBuilder::new().with_explicit_nulls(true);
        let form = match format {
            Format::Table => Form::Table { out, shown: Vec::new(), left: max_rows, left_out: 0 },
            Format::Markdown => {
                markdown_head(&schema, out)?;
                Form::Markdown { out }
            }
            Format::Csv => separated(out, b','),
            Format::Tsv => separated(out, b'\t'),
            Format::Json => Form::Json(json.build(out)),
            Format::Ndjson => Form::Ndjson(json.build(out)),
            Format::Arrow => Form::Arrow(StreamWriter::try_new(out, &schema)?),
        };
        Ok(Self { schema, form })
    }

    /// Adds rows.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match &mut self.form {
            Form::Table { shown, left, left_out, .. } => {
                let rows = batch.num_rows().min(*left);
                *left -= rows;
                *left_out += batch.num_rows() - rows;
                if rows > 0 {
                    shown.push(batch.slice(0, rows));
                }
                Ok(())
            }
            Form::Markdown { out } => markdown_rows(batch, out),
            Form::Separated { writer, is_empty } => {
                *is_empty = false;
                writer.write(&without_nesting(batch)?)
            }
            Form::Json(writer) => writer.write(batch),
            Form::Ndjson(writer) => writer.write(batch),
            Form::Arrow(writer) => writer.write(batch),
        }
    }

    /// Ends the table; answers with the number of rows that were left out.
    pub(super) fn end(self) -> Result<usize, ArrowError> {
        match self.form {
            Form::Table { out, shown, left_out, .. } => {
                table(&self.schema, &shown, out)?;
                return Ok(left_out);
            }
            Form::Markdown { .. } => {}
            Form::Separated { mut writer, is_empty } => {
                if is_empty {
                    writer.write(&without_nesting(&RecordBatch::new_empty(self.schema))?)?;
                }
            }
            Form::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner().write_all(b"\n")?;
            }
            Form::Ndjson(mut writer) => writer.finish()?,
            Form::Arrow(mut writer) => writer.finish()?,
        }
        Ok(0)
    }
}

/// Whether JSON holds less than `batch`: a float in it is NaN or infinite.
pub(super) fn loses_values(format: Format, batch: &RecordBatch) -> bool {
    matches!(format, Format::Json | Format::Ndjson)
        && batch.columns().iter().any(|column| has_not_finite(column.as_ref()))
}

const TEXT: FormatOptions<'_> = FormatOptions::new().with_null("NULL");

fn table(schema: &Schema, batches: &[RecordBatch], out: &mut dyn Write) -> Result<(), ArrowError> {
    let fields = schema.fields();
    let cell = |field: &Field, text: String| {
        let is_number = field.data_type().is_numeric();
        let side = if is_number { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(side)
    };
    let mut table = Table::new();
    table.load_preset("||--+-++|    ++++++");
    table.set_header(fields.iter().map(|field| cell(field, field.name().clone())));
    for batch in batches {
        for row in texts(batch)? {
            let cells = fields.iter().zip(row);
            table.add_row(cells.map(|(field, text)| cell(field, harmless(&text))));
        }
    }
    Ok(writeln!(out, "{table}")?)
}

/// Text without the control characters that would steer the terminal of its reader.
fn harmless(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n';
    if !text.contains(steers) {
        return text.to_owned();
    }
    let escape = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

fn markdown_head(schema: &Schema, out: &mut dyn Write) -> Result<(), ArrowError> {
    let fields = schema.fields();
    let side = |field: &Field| if field.data_type().is_numeric() { "---:" } else { "---" };
    markdown_line(fields.iter().map(|field| escaped(field.name())), out)?;
    markdown_line(fields.iter().map(|field| side(field).to_owned()), out)
}

fn markdown_rows(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ArrowError> {
    for row in texts(batch)? {
        markdown_line(row.iter().map(|text| escaped(text)), out)?;
    }
    Ok(())
}

fn markdown_line(
    cells: impl Iterator<Item = String>,
    out: &mut dyn Write,
) -> Result<(), ArrowError> {
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

/// The rows of a batch as people read them.
fn texts(batch: &RecordBatch) -> Result<impl Iterator<Item = Vec<String>>, ArrowError> {
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &TEXT));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let text = |column: &ArrayFormatter<'_>, row| column.value(row).to_string();
    let rows = (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| text(column, row)).collect())
        .collect::<Vec<_>>();
    Ok(rows.into_iter())
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
    with_columns(fields.collect(), columns, batch.num_rows())
}

fn with_columns(
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn json<F: JsonFormat>(batches: &[RecordBatch], out: &mut dyn Write) -> Result<(), ArrowError> {
    let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, F>(out);
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

/// `{"models": […], "partitions": […]}`
fn json_object(answers: &[Answer], out: &mut dyn Write) -> Result<(), ArrowError> {
    for (index, answer) in answers.iter().enumerate() {
        let before = if index == 0 { "{" } else { ",\n" };
        let name = serde_json::Value::from(answer.name());
        write!(out, "{before}{name}:")?;
        json::<JsonArray>(answer.batches(), out)?;
    }
    Ok(out.write_all(b"}\n")?)
}

/// The rows behind a first column `table` with the answer's name; a column that has this name
/// itself becomes `table_`.
fn named_rows(answer: &Answer) -> Result<Vec<RecordBatch>, ArrowError> {
    let label = |batch: &RecordBatch| {
        let rows = batch.num_rows();
        let names = StringArray::from_iter_values(std::iter::repeat_n(answer.name(), rows));
        let mut fields = vec![Field::new("table", DataType::Utf8, false)];
        fields.extend(batch.schema().fields().iter().map(|field| {
            let field = field.as_ref().clone();
            if field.name() == "table" { field.with_name("table_") } else { field }
        }));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
        columns.extend(batch.columns().iter().map(Arc::clone));
        with_columns(fields, columns, rows)
    };
    answer.batches().iter().map(label).collect()
}

/// Whether a valid float anywhere in `array`, nested ones included, is NaN or infinite.
fn has_not_finite(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Float64 => {
            array.as_primitive::<Float64Type>().iter().flatten().any(|value| !value.is_finite())
        }
        DataType::Float32 => {
            array.as_primitive::<Float32Type>().iter().flatten().any(|value| !value.is_finite())
        }
        DataType::Float16 => {
            array.as_primitive::<Float16Type>().iter().flatten().any(|value| !value.is_finite())
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().any(|column| has_not_finite(column.as_ref()))
        }
        DataType::List(_) => any_not_finite(array.as_list::<i32>().iter()),
        DataType::LargeList(_) => any_not_finite(array.as_list::<i64>().iter()),
        DataType::FixedSizeList(..) => any_not_finite(array.as_fixed_size_list().iter()),
        DataType::Map(..) => has_not_finite(array.as_map().entries()),
        _ => false,
    }
}

fn any_not_finite(lists: impl Iterator<Item = Option<ArrayRef>>) -> bool {
    lists.flatten().any(|list| has_not_finite(list.as_ref()))
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
