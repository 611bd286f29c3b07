//! Rows as text: UTF-8, with a header and empty for NULL; in JSON lines a NULL is written, NaN and the
//! infinities are null.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use bytes::Bytes;

use super::encode::plain_field;
use crate::error::Result;
use crate::table::format::FileFormat;

/// The columns in types that other readers know.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| plain_field(field));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What a file of such rows begins with.
pub(crate) fn header_of(schema: &SchemaRef, format: FileFormat) -> Result<Bytes> {
    match format {
        FileFormat::Csv { delimiter, header: true } => {
            csv(&RecordBatch::new_empty(Arc::clone(schema)), delimiter, true)
        }
        _ => Ok(Bytes::new()),
    }
}

/// The lines of rows.
pub(crate) fn text_of(batch: &RecordBatch, format: FileFormat) -> Result<Bytes> {
    match format {
        FileFormat::Csv { delimiter, .. } => csv(batch, delimiter, false),
        FileFormat::Ndjson | FileFormat::Parquet => {
            let builder = JsonBuilder::new().with_explicit_nulls(true);
            let mut text = Vec::new();
            let mut writer = builder.build::<_, LineDelimited>(&mut text);
            writer.write(batch)?;
            writer.finish()?;
            Ok(Bytes::from(text))
        }
    }
}

fn csv(batch: &RecordBatch, delimiter: u8, header: bool) -> Result<Bytes> {
    let mut text = Vec::new();
    let builder = CsvBuilder::new().with_delimiter(delimiter).with_header(header);
    builder.build(&mut text).write(batch)?;
    Ok(Bytes::from(text))
}
