//! Lines that are values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;

use super::rows::Rows;
use crate::error::{Error, Result};

/// Rows of one column of text.
pub(super) struct TextRows {
    schema: SchemaRef,
    values: StringBuilder,
}

impl TextRows {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        match schema.fields().as_ref() {
            [field] if field.data_type().is_string() => {
                Ok(Self { schema: Arc::clone(schema), values: StringBuilder::new() })
            }
            _ => Err(Error::usage(
                "a table STORED AS TEXT has one column of type VARCHAR: declare it as (value VARCHAR)",
            )),
        }
    }
}

impl Rows for TextRows {
    fn add(&mut self, line: &str) -> Result<(), String> {
        self.values.append_value(line);
        Ok(())
    }

    fn add_nulls(&mut self) -> Result<()> {
        self.values.append_null();
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(RecordBatch, u64)> {
        let values: ArrayRef = Arc::new(self.values.finish());
        let internal =
            |error| Error::internal("lines do not become a column of text").caused_by(error);
        let values = cast(&values, self.schema.field(0).data_type()).map_err(internal)?;
        Ok((RecordBatch::try_new(self.schema, vec![values]).map_err(internal)?, 0))
    }
}
