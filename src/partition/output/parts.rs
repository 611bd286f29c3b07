//! The layout `parts`: a text file a block, as users of the programs of 2017 expect.
//!
//! `part-00012` holds the own lines of block 12 and then its margin lines; a block without any has an
//! empty file. A line is a row of the input with its values as they were written (quoted where they
//! must be), or of Parquet as CSV with the word `NULL`. `properties/part-00000` is the text of 2017.
//!
//! Rows come from the engine in the order of their place, which spills where memory is short.

use std::fmt::Write as _;

use arrow::array::{AsArray, RecordBatch};
use arrow::csv::WriterBuilder;
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use futures::{TryStreamExt, stream};

use super::job::Job;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::grid::{Bounds, GridShape};
use crate::partition::block_record::BlockRecord;
use crate::partition::catalogue::Catalogue;
use crate::partition::count::bound_plan;
use crate::table::{Format, Run, input_changed};

const PARTS: &str = include_str!("../../../sql/steps/partition_parts.sql");

/// Writes a text file for each block and the properties of 2017, and completes the records of the
/// blocks.
///
/// # Errors
/// An input that changed since it was counted; the engine's; storage that fails.
pub async fn write(
    job: Job<'_>,
    mut blocks: Vec<BlockRecord>,
    run: &Run,
) -> Result<Vec<BlockRecord>> {
    let plan = &job.counted.split.plan;
    let bound = bound_plan(&job.counted.split).await?;
    let rows = job.catalogue.plan(PARTS, &[], vec![bound]).await?;
    let names: Vec<u32> = blocks.iter().map(|block| block.block).collect();
    let written = write_files(job.catalogue, rows, &names, run).await?;
    for (block, lines) in blocks.iter_mut().zip(written) {
        if lines.own != block.own_rows {
            return Err(input_changed(&format!("block {} has other rows", block.block)));
        }
        (block.margin_rows, block.bytes) = (lines.margin, lines.bytes);
    }
    let shape = plan.grid().shape();
    let bounds: Vec<_> = blocks.iter().map(|block| (block.block, block.bounds)).collect();
    let lines = blocks.iter().map(|block| (block.block, block.own_rows + block.margin_rows));
    let lines: Vec<_> = lines.collect();
    let text = compute(move |_| Ok(properties(shape, &bounds, &lines))).await?;
    write_properties(run, text).await?;
    Ok(blocks)
}

/// Lines in the files of some blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    /// Lines of rows that the block owns.
    pub own: u64,
    /// Lines of copies.
    pub margin: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes the file of each of `blocks` blocks from rows in the order of their place; `names` are the
/// numbers that files are called by.
///
/// # Errors
/// The engine's; storage that fails; rows of a block that is none of these.
pub(super) async fn write_files(
    input: &Catalogue,
    plan: LogicalPlan,
    names: &[u32],
    run: &Run,
) -> Result<Vec<Lines>> {
    let frame = input.session().context().execute_logical_plan(plan).await?;
    let delimiter = match &input.table().format {
        Format::Csv(format) => format.delimiter,
        Format::Parquet | Format::Json => b',',
    };
    let null = if input.table().format == Format::Parquet { "NULL" } else { "" };
    let mut cursor = Cursor { rows: frame.execute_stream().await?, batch: None, delimiter, null };
    let mut written = Vec::with_capacity(names.len());
    for (block, name) in (0..).zip(names) {
        let mut lines = Lines::default();
        let chunks = stream::try_unfold((&mut cursor, &mut lines), |(cursor, lines)| async {
            let Some((is_margin, bytes, rows)) = cursor.next(block).await? else {
                return Ok(None);
            };
            *(if is_margin { &mut lines.margin } else { &mut lines.own }) += rows;
            lines.bytes += bytes.len() as u64;
            Ok(Some(((bytes, rows), (cursor, lines))))
        });
        run.write_text(&format!("part-{name:05}"), chunks).await?;
        written.push(lines);
    }
    match cursor.next_place().await? {
        None => Ok(written),
        Some(place) => Err(Error::internal(format!("a row has the place {place}"))),
    }
}

/// Rows in the order of their place.
struct Cursor {
    rows: SendableRecordBatchStream,
    /// What is left of the batch.
    batch: Option<RecordBatch>,
    delimiter: u8,
    null: &'static str,
}

impl Cursor {
    /// The place of the next row.
    async fn next_place(&mut self) -> Result<Option<i32>> {
        while self.batch.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match self.rows.try_next().await? {
                Some(batch) => self.batch = Some(batch),
                None => return Ok(None),
            }
        }
        let batch = self.batch.as_ref().expect("just read");
        Ok(Some(places(batch)[0]))
    }

    /// The next rows of one place of `block`: whether they are margin rows, their text, how many.
    async fn next(&mut self, block: i32) -> Result<Option<(bool, Bytes, u64)>> {
        let place = self.next_place().await?.filter(|place| place / 2 == block);
        let Some(place) = place else { return Ok(None) };
        let Some(batch) = self.batch.take() else { return Ok(None) };
        let count = places(&batch).partition_point(|next| *next <= place);
        let columns: Vec<usize> = (0..batch.num_columns() - 1).collect();
        let rows = batch.slice(0, count).project(&columns)?;
        self.batch = Some(batch.slice(count, batch.num_rows() - count));
        let (delimiter, null) = (self.delimiter, self.null.to_owned());
        let text = compute(move |_| {
            let mut text = Vec::new();
            let writer = WriterBuilder::new().with_header(false).with_delimiter(delimiter);
            writer.with_null(null).build(&mut text).write(&rows)?;
            Ok(text)
        });
        Ok(Some((place % 2 == 1, Bytes::from(text.await?), count as u64)))
    }
}

fn places(batch: &RecordBatch) -> &[i32] {
    batch.column(batch.num_columns() - 1).as_primitive::<Int32Type>().values()
}

/// The properties of 2017: the map, the bounds of its blocks, the lines of those that have any.
pub(super) fn properties(
    shape: GridShape,
    blocks: &[(u32, Bounds)],
    lines: &[(u32, u64)],
) -> String {
    let mut text = format!(
        "Size Of Map, {}\nNumber of rows,{}\nNumber of Cols,{}\n\
         Coordinates of Blocks :\nblock number, min_ra,max_ra,min_decl,max_decl\n",
        shape.blocks(),
        shape.rows(),
        shape.columns()
    );
    for (id, bounds) in blocks {
        let Bounds { lon_min, lon_max, lat_min, lat_max } = bounds;
        writeln!(text, "{id},{lon_min},{lon_max},{lat_min},{lat_max}").expect("a String grows");
    }
    text += "block number,nbLines\n";
    for (id, count) in lines.iter().filter(|(_, count)| *count > 0) {
        writeln!(text, "{id},{count}").expect("a String grows");
    }
    text
}

/// Writes them to `properties/part-00000`.
///
/// # Errors
/// Storage that fails.
pub(super) async fn write_properties(run: &Run, text: String) -> Result<()> {
    let lines = text.lines().count() as u64;
    let chunks = stream::iter([Ok((Bytes::from(text), lines))]);
    run.write_text("properties/part-00000", chunks).await?;
    Ok(())
}
