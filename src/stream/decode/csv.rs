//! Lines of values with something between them (RFC 4180), columns by their order.
//!
//! A row is a line, so no value holds a line end. An empty value that is not quoted is NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use pleiad_core::records::{Dialect, Fault, Records, Step};

use super::rows::Rows;
use crate::error::{Error, Result};

/// How values are separated and quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CsvOptions {
    /// The delimiter, the quote and the escape.
    pub(crate) dialect: Dialect,
    /// Whether the first line of the stream names the columns.
    pub(crate) has_header: bool,
    /// Words for NULL.
    pub(crate) nulls: Vec<String>,
}

/// Rows of which the values are text until they are all there.
pub(super) struct CsvRows {
    schema: SchemaRef,
    options: CsvOptions,
    columns: Vec<StringBuilder>,
    rows: usize,
}

impl CsvRows {
    pub(super) fn new(schema: &SchemaRef, options: &CsvOptions) -> Result<Self> {
        let fields = schema.fields();
        if let Some(field) =
            fields.iter().find(|field| !can_cast_types(&DataType::Utf8, field.data_type()))
        {
            return Err(Error::usage(format!(
                "column '{}' has the type {}, which no value of a CSV line has: declare it as VARCHAR",
                field.name(),
                field.data_type()
            )));
        }
        let columns = fields.iter().map(|_| StringBuilder::new()).collect();
        Ok(Self { schema: Arc::clone(schema), options: options.clone(), columns, rows: 0 })
    }
}

impl Rows for CsvRows {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let mut records = Records::new(self.options.dialect, line.len(), 0, 1);
        records.push(line.as_bytes());
        records.end();
        if records.step().map_err(|fault| reason(&fault))? != Step::Record {
            return Err("it holds no values".to_owned()); // a comment
        }
        let record = records.record().map_err(|fault| reason(&fault))?;
        if record.text().len() < line.len() {
            return Err("a CR is inside of it".to_owned());
        }
        let (found, expected) = (record.width(), self.columns.len());
        if found != expected {
            return Err(format!("it has {found} values, expected {expected}"));
        }
        for (at, (value, column)) in record.values().zip(&mut self.columns).enumerate() {
            let is_null = !record.is_quoted(at)
                && (value.is_empty() || self.options.nulls.iter().any(|null| *null == value));
            column.append_option((!is_null).then_some(value));
        }
        self.rows += 1;
        Ok(())
    }

    fn add_nulls(&mut self) -> Result<()> {
        self.columns.iter_mut().for_each(StringBuilder::append_null);
        self.rows += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(RecordBatch, u64)> {
        let internal =
            |error| Error::internal("values of CSV lines do not become columns").caused_by(error);
        let typed = CastOptions { safe: true, ..CastOptions::default() };
        let columns = self.columns.iter_mut().zip(self.schema.fields()).map(|(column, field)| {
            let text: ArrayRef = Arc::new(column.finish());
            cast_with_options(&text, field.data_type(), &typed)
        });
        let columns = columns.collect::<Result<_, _>>().map_err(internal)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema, columns, &options);
        Ok((batch.map_err(internal)?, 0))
    }
}

fn reason(fault: &Fault) -> String {
    match fault {
        Fault::TooLong { .. } => "it is too long".to_owned(),
        Fault::Unterminated { .. } => "a quote does not end".to_owned(),
        Fault::AfterQuote { .. } => "text follows a quote that ends".to_owned(),
        Fault::NotUtf8 { .. } => "it is not UTF-8".to_owned(),
    }
}
