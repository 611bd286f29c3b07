//! The first rows of what is stored. Of text files no more than a sample is read for types.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Kind, Result};
use crate::session::Session;
use crate::table::{SAMPLE_BYTES, Source, SourceOptions, TextOptions, Types};

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;

/// The first rows of a table.
#[derive(Clone, Debug)]
pub struct Head {
    /// The table.
    pub table: String,
    /// Its columns, the keys last.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: Vec<RecordBatch>,
}

/// The first `rows` of each table at a location, in the order of its files.
///
/// # Errors
/// As [`Source::open`]; or if rows cannot be read.
pub async fn head(
    session: &Session,
    text: &str,
    options: &SourceOptions,
    rows: usize,
) -> Result<Vec<Head>> {
    let sample = SourceOptions { sample: Some(SAMPLE_BYTES), ..options.clone() };
    match first_rows(session, text, &sample, rows).await {
        // Behind the sample a value may be of another type than those in it.
        Err(error) if error.kind() == Kind::Data && options.text.types != Types::Text => {
            let as_text = TextOptions { types: Types::Text, ..sample.text.clone() };
            let as_text = SourceOptions { text: as_text, ..sample };
            first_rows(session, text, &as_text, rows).await
        }
        found => found,
    }
}

async fn first_rows(
    session: &Session,
    text: &str,
    options: &SourceOptions,
    rows: usize,
) -> Result<Vec<Head>> {
    let source = Source::open(session.stores(), text, options).await?;
    let batch_rows = NonZeroUsize::new(rows.clamp(1, BATCH_ROWS)).expect("one at least");
    let session = session.in_order(batch_rows);
    let mut heads = Vec::with_capacity(source.tables.len());
    for table in &source.tables {
        let frame = session.context().read_table(table.provider())?.limit(0, Some(rows))?;
        let rows = frame.collect().await?;
        heads.push(Head { table: table.name.clone(), schema: Arc::clone(&table.schema), rows });
    }
    Ok(heads)
}
