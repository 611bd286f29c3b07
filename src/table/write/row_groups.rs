//! A Parquet file whose row groups are encoded on all cores, and written in the order of the rows.
//!
//! As many row groups are encoded at the same time as the memory pool has room for; one always is.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;
use tokio::runtime::Handle;

use super::encode::{self, ROW_GROUP_BYTES, ROW_GROUP_ROWS};
use crate::cancel::CancelFlag;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::storage::Upload;
use crate::table::nan::WithoutNan;

/// A file in the making.
pub(super) struct RowGroups {
    upload: Upload,
    file: SerializedFileWriter<Vec<u8>>,
    columns: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    without_nan: WithoutNan,
    open: Rows,
    /// Row groups that were given to encoders.
    begun: usize,
    encoding: FuturesOrdered<SpawnedTask<Result<Encoded>>>,
    at_once: usize,
    held: MemoryReservation,
}

/// Rows that will be a row group.
#[derive(Default)]
struct Rows {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// A row group, and the memory that was accounted for it.
struct Encoded {
    columns: Vec<ArrowColumnChunk>,
    held: usize,
}

impl RowGroups {
    pub(super) fn new(
        upload: Upload,
        schema: &SchemaRef,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        let settings = encode::settings(schema, &[], false);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(settings))?;
        let (file, columns) = writer.into_serialized_writer()?;
        Ok(Self {
            upload,
            file,
            columns: Arc::new(columns),
            schema: Arc::clone(schema),
            without_nan: WithoutNan::new(schema),
            open: Rows::default(),
            begun: 0,
            encoding: FuturesOrdered::new(),
            at_once: Handle::current().metrics().num_workers(),
            held: MemoryConsumer::new("row groups").register(pool),
        })
    }

    /// Adds rows.
    pub(super) async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.without_nan.look_at(batch);
        let (mut from, rows) = (0, batch.num_rows());
        let row_bytes = batch.get_array_memory_size() / rows.max(1);
        while from < rows {
            let length = (rows - from).min(ROW_GROUP_ROWS - self.open.rows);
            self.open.batches.push(batch.slice(from, length));
            self.open.rows += length;
            self.open.bytes += length * row_bytes;
            from += length;
            if self.open.rows >= ROW_GROUP_ROWS || self.open.bytes >= ROW_GROUP_BYTES {
                self.begin_group().await?;
            }
        }
        Ok(())
    }

    /// Gives the open rows to an encoder.
    async fn begin_group(&mut self) -> Result<()> {
        let Rows { batches, bytes, .. } = std::mem::take(&mut self.open);
        // The rows, and at most as much again for their pages.
        let mut held = bytes.saturating_mul(2);
        while self.encoding.len() >= self.at_once || self.held.try_grow(held).is_err() {
            if self.encoding.is_empty() {
                held = 0;
                break;
            }
            self.end_group().await?;
        }
        let (columns, schema, group) =
            (Arc::clone(&self.columns), Arc::clone(&self.schema), self.begun);
        self.begun += 1;
        self.encoding.push_back(SpawnedTask::spawn(compute(move |stop| {
            let columns = encoded(&columns, group, &schema, &batches, stop)?;
            Ok(Encoded { columns, held })
        })));
        Ok(())
    }

    /// Writes the row group that comes next.
    async fn end_group(&mut self) -> Result<()> {
        let Some(encoded) = self.encoding.next().await else { return Ok(()) };
        let encoded = encoded
            .map_err(|cause| Error::internal("a row group was not encoded").caused_by(cause))?;
        let Encoded { columns, held } = encoded?;
        let mut group = self.file.next_row_group()?;
        for column in columns {
            column.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.write().await?;
        self.held.shrink(held);
        Ok(())
    }

    /// Writes the bytes that are there.
    async fn write(&mut self) -> Result<()> {
        let bytes = std::mem::take(self.file.inner_mut());
        self.upload.write(Bytes::from(bytes)).await
    }

    /// The upload, which has all bytes.
    pub(super) async fn end(mut self) -> Result<Upload> {
        if self.open.rows > 0 {
            self.begin_group().await?;
        }
        while !self.encoding.is_empty() {
            self.end_group().await?;
        }
        self.file.append_key_value_metadata(self.without_nan.entry(&self.schema));
        self.file.finish()?;
        self.write().await?;
        Ok(self.upload)
    }
}

/// The columns of a row group.
fn encoded(
    columns: &ArrowRowGroupWriterFactory,
    group: usize,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    stop: &CancelFlag,
) -> Result<Vec<ArrowColumnChunk>> {
    let mut writers = columns.create_column_writers(group)?;
    for batch in batches {
        let mut leaves = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            stop.check()?;
            for leaf in compute_leaves(field, column)? {
                let writer = leaves.next();
                writer.ok_or_else(|| Error::internal("a column has no writer"))?.write(&leaf)?;
            }
        }
    }
    let closed = writers.into_iter().map(|writer| Ok(writer.close()?));
    closed.collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
    use object_store::ObjectStoreExt;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::storage::{Create, StorageOptions, Stores};

    const ROWS: usize = 2 * ROW_GROUP_ROWS + 12_345;

    fn batches() -> Vec<RecordBatch> {
        let firsts = (0..ROWS).step_by(7777);
        let batch = |first: usize| {
            let ids: Vec<_> = (first..ROWS.min(first + 7777)).map(|id| id as i64).collect();
            let names = StringArray::from_iter_values(ids.iter().map(|id| format!("row {id}")));
            let ids: ArrayRef = Arc::new(Int64Array::from(ids));
            RecordBatch::try_from_iter([("id", ids), ("name", Arc::new(names) as _)]).unwrap()
        };
        firsts.map(batch).collect()
    }

    /// The file of these rows.
    async fn file(rows: &[RecordBatch], pool: Arc<dyn MemoryPool>) -> Bytes {
        let stores = Stores::new(StorageOptions::default());
        let location = stores.parse("memory://x/rows.parquet").unwrap();
        let store = stores.open(&location).unwrap();
        let upload = Upload::create(&store, &location, Create::New, None).await.unwrap();
        let mut groups = RowGroups::new(upload, &rows[0].schema(), &pool).unwrap();
        for batch in rows {
            groups.push(batch).await.unwrap();
        }
        groups.end().await.unwrap().finish().await.unwrap();
        assert_eq!(pool.reserved(), 0);
        store.objects().get(location.path()).await.unwrap().bytes().await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn row_groups_are_in_order_whatever_the_memory() {
        let rows = batches();
        let much = file(&rows, Arc::new(UnboundedMemoryPool::default())).await;
        let little = file(&rows, Arc::new(GreedyMemoryPool::new(1))).await;
        assert!(much == little);
        let reader = ParquetRecordBatchReaderBuilder::try_new(much).unwrap();
        let sizes = reader.metadata().row_groups().iter().map(|group| group.num_rows());
        let whole = i64::try_from(ROW_GROUP_ROWS).unwrap();
        assert_eq!(sizes.collect::<Vec<_>>(), [whole, whole, 12_345]);
        let mut next = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let (ids, names) = (batch.column(0), batch.column(1).as_string::<i32>());
            for (id, name) in ids.as_primitive::<Int64Type>().values().iter().zip(names) {
                assert_eq!((*id, name), (next, Some(format!("row {next}").as_str())));
                next += 1;
            }
        }
        assert_eq!(usize::try_from(next).unwrap(), ROWS);
    }
}
