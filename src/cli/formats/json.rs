//! `json`, one document, and `ndjson`, a document a line; NaN and the infinities become null.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, Writer, WriterBuilder};

use super::{Answer, Format, OutputFormat, RowWriter};

pub(in crate::cli) const JSON: OutputFormat = &Json;
pub(in crate::cli) const NDJSON: OutputFormat = &Ndjson;

#[derive(Debug)]
struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn help(&self) -> &'static str {
        "One JSON document: an array of objects"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn loses_values(&self, batch: &RecordBatch) -> bool {
        batch.columns().iter().any(|column| has_not_finite(column.as_ref()))
    }

    fn begin<'a>(
        &self,
        _schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out);
        Ok(Box::new(Rows { writer, end: b"\n" }))
    }

    fn write_several(
        &self,
        answers: &[Answer],
        _max_rows: usize,
        out: &mut dyn Write,
    ) -> Result<usize, ArrowError> {
        json_object(answers, out)?;
        Ok(0)
    }
}

#[derive(Debug)]
struct Ndjson;

impl Format for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn help(&self) -> &'static str {
        "One JSON object per line"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["ndjson", "jsonl"]
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn loses_values(&self, batch: &RecordBatch) -> bool {
        batch.columns().iter().any(|column| has_not_finite(column.as_ref()))
    }

    fn begin<'a>(
        &self,
        _schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(out);
        Ok(Box::new(Rows { writer, end: b"" }))
    }

    fn write_several(
        &self,
        answers: &[Answer],
        _max_rows: usize,
        out: &mut dyn Write,
    ) -> Result<usize, ArrowError> {
        for answer in answers {
            json::<LineDelimited>(&named_rows(answer)?, out)?;
        }
        Ok(0)
    }
}

struct Rows<'a, F: JsonFormat> {
    writer: Writer<&'a mut dyn Write, F>,
    end: &'static [u8],
}

impl<F: JsonFormat> RowWriter for Rows<'_, F> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.writer.write(batch)
    }

    fn end(mut self: Box<Self>) -> Result<usize, ArrowError> {
        self.writer.finish()?;
        self.writer.into_inner().write_all(self.end)?;
        Ok(0)
    }
}

fn json<F: JsonFormat>(batches: &[RecordBatch], out: &mut dyn Write) -> Result<(), ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(out);
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
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
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
