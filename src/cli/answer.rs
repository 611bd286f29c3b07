//! The tables that a command answers with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};

/// One named table of an answer, in batches.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) name: String,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Answer {
    /// The rows of a query.
    pub fn rows(name: impl Into<String>, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { name: name.into(), schema, batches }
    }

    /// A small table, made column by column.
    ///
    /// ```
    /// use arrow::array::{StringArray, UInt64Array};
    /// use pleiad::cli::answer::Answer;
    ///
    /// let written = Answer::build("tables")
    ///     .column("table", StringArray::from(vec!["table1", "table2"]))
    ///     .column("rows", UInt64Array::from(vec![100_000, 100_000]))
    ///     .done();
    /// assert_eq!(written.name(), "tables");
    /// ```
    pub fn build(name: impl Into<String>) -> AnswerBuilder {
        AnswerBuilder { name: name.into(), fields: Vec::new(), arrays: Vec::new() }
    }

    /// One column of texts.
    pub(super) fn lines(name: &str, lines: Vec<String>) -> Self {
        Self::build(name).column(name, StringArray::from(lines)).done()
    }

    /// What the table is called in `--show` and in the output.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Its rows.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }
}

/// The columns of an [`Answer`] in the making.
#[derive(Debug)]
pub struct AnswerBuilder {
    name: String,
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl AnswerBuilder {
    /// Adds a column; all have the same number of rows.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, values: impl Array + 'static) -> Self {
        self.fields.push(Field::new(name, values.data_type().clone(), true));
        self.arrays.push(Arc::new(values));
        self
    }

    /// The finished table.
    pub fn done(self) -> Answer {
        let schema = Arc::new(Schema::new(self.fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), self.arrays)
            .expect("the columns of an answer have one length");
        Answer { name: self.name, schema, batches: vec![batch] }
    }
}
