//! Values as people read them.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// NULL is written out.
pub(super) const TEXT: FormatOptions<'_> = FormatOptions::new().with_null("NULL");

/// The rows of a batch as people read them.
pub(super) fn texts(batch: &RecordBatch) -> Result<impl Iterator<Item = Vec<String>>, ArrowError> {
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &TEXT));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let text = |column: &ArrayFormatter<'_>, row| column.value(row).to_string();
    let rows = (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| text(column, row)).collect())
        .collect::<Vec<_>>();
    Ok(rows.into_iter())
}
