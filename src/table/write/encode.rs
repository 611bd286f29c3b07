//! One Parquet file: how it is written and what is known of it afterwards.
//!
//! Rows reach the encoder in chunks of [`CHUNK_ROWS`], counted from the file's first row, because
//! page bounds follow the batches they were written from, and those follow the streams. So equal
//! rows in equal order give equal bytes (unless a memory limit ends a row group early).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{BatchCoalescer, cast};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::staged::Staged;
use crate::error::{Error, Result};
use crate::table::commit::place::DatasetRoot;
use crate::table::commit::record::StagedFile;
use crate::table::hive;
use crate::table::manifest::FileRecord;
use crate::table::nan::WithoutNan;
use crate::table::statistics::Bounds;

/// Rows the encoder gets in one batch.
const CHUNK_ROWS: usize = 4096;

/// Rows of a row group: what other readers expect to read in one go.
pub(super) const ROW_GROUP_ROWS: usize = 100_000;

/// Bytes of a row group, for wide rows.
pub(super) const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Rows of a page. Where numbers hardly repeat and rows have no order, bounds of pages exclude
/// nothing, and a column is one page a row group.
const PAGE_ROWS: usize = 20_000;

/// Bytes of a column's dictionary in a row group. A column with more distinct values (16,000 numbers)
/// is written plain: with the usual 1 MiB every column of unique values would pay for a dictionary
/// of all its values, since a row group ends before that is full.
const DICTIONARY_BYTES: usize = 128 * 1024;

/// Where the files of a table go and what they look like.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: DatasetRoot,
    pub(crate) run: String,
    /// One table, or several that rows are routed to ([`TableSpec::beside`]).
    ///
    /// [`TableSpec::beside`]: super::spec::TableSpec::beside
    pub(crate) tables: Vec<String>,
    pub(crate) keys: Vec<String>,
    /// The columns of a file: those of the plan without the keys, in plain types.
    pub(crate) file_schema: SchemaRef,
    pub(crate) order: Vec<String>,
    /// Numbers hardly repeat.
    pub(crate) high_cardinality: bool,
    /// The part of the table that is written.
    pub(crate) part: Option<u32>,
}

impl Target {
    /// Its tables, as messages name them.
    pub(crate) fn shown(&self) -> String {
        self.tables.join("' and '")
    }

    /// The table that holds rows of these key values, and their key values there.
    pub(crate) fn home(&self, mut partition: Vec<String>) -> Result<(&str, Vec<String>)> {
        if let [table] = &self.tables[..] {
            return Ok((table, partition));
        }
        let route = partition.first().and_then(|route| route.parse::<usize>().ok());
        let Some(route) = route else {
            return Err(Error::internal("the route to several tables is not a whole number"));
        };
        partition[0] = (route / self.tables.len()).to_string();
        Ok((&self.tables[route % self.tables.len()], partition))
    }
}

/// Chunks that wait for the end of their row group.
#[derive(Default)]
struct Waiting {
    chunks: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Waiting {
    fn push(&mut self, chunk: RecordBatch) {
        self.rows += chunk.num_rows();
        self.bytes += chunk.get_array_memory_size();
        self.chunks.push(chunk);
    }
}

/// A file in the making.
pub(crate) struct FileWriter {
    writer: AsyncArrowWriter<Staged>,
    schema: SchemaRef,
    /// Rows short of a chunk.
    chunks: BatchCoalescer,
    /// Whole chunks that wait for their row group, if they are to: encoders of hundreds of open files
    /// would need more memory than the rows.
    waiting: Option<Waiting>,
    /// Bytes of parts waiting and on their way.
    held: Arc<AtomicUsize>,
    without_nan: WithoutNan,
    record: FileRecord,
}

impl FileWriter {
    /// Starts the file of these key values; with no key values at all in a keyed table, the file
    /// that holds the schema of an empty one.
    pub(crate) async fn create(
        target: &Target,
        table: &str,
        partition: Vec<String>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let pairs: Vec<_> =
            target.keys.iter().map(String::as_str).zip(partition.iter().cloned()).collect();
        let path = hive::file_path(table, &pairs, &target.run, target.part)?;
        let staged = Staged::create(&target.place, &target.run, &path).await?;
        let held = staged.held();
        let settings = settings(&schema, &target.order, target.high_cardinality);
        let writer = AsyncArrowWriter::try_new(staged, Arc::clone(&schema), Some(settings))?;
        let record = FileRecord {
            path,
            table: table.to_owned(),
            partition,
            size: 0,
            rows: 0,
            sha256: String::new(),
            e_tag: None,
            min: Default::default(),
            max: Default::default(),
            nulls: Default::default(),
        };
        let chunks = BatchCoalescer::new(Arc::clone(&schema), CHUNK_ROWS);
        let without_nan = WithoutNan::new(&schema);
        Ok(Self { writer, schema, chunks, waiting: None, held, without_nan, record })
    }

    /// The same file, encoded one row group after the other.
    pub(crate) fn waiting(mut self) -> Self {
        self.waiting = Some(Waiting::default());
        self
    }

    /// Adds rows, which have the columns of the file and their types.
    pub(crate) async fn push(&mut self, mut batch: RecordBatch) -> Result<()> {
        self.record.rows += batch.num_rows() as u64;
        self.without_nan.look_at(&batch);
        // Whole chunks need no copy while nothing waits before them.
        while self.waiting.is_none()
            && self.chunks.get_buffered_rows() == 0
            && batch.num_rows() >= CHUNK_ROWS
        {
            self.writer.write(&batch.slice(0, CHUNK_ROWS)).await?;
            batch = batch.slice(CHUNK_ROWS, batch.num_rows() - CHUNK_ROWS);
        }
        self.chunks.push_batch(batch)?;
        self.write_chunks().await
    }

    async fn write_chunks(&mut self) -> Result<()> {
        while let Some(chunk) = self.chunks.next_completed_batch() {
            match &mut self.waiting {
                Some(waiting) => waiting.push(chunk),
                None => self.writer.write(&chunk).await?,
            }
        }
        if self.waiting.as_ref().is_some_and(|all| all.rows + CHUNK_ROWS > ROW_GROUP_ROWS) {
            self.end_row_group().await?;
        }
        Ok(())
    }

    /// Bytes of memory held: encoded pages, waiting rows, parts on their way.
    pub(crate) fn memory(&self) -> usize {
        let held = self.held.load(Ordering::Relaxed);
        self.writer.memory_size() + self.chunks.size() + self.waiting_bytes() + held
    }

    /// Bytes of the rows that wait for the end of their row group.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Whether ending the row group would free memory.
    pub(crate) fn open_rows(&self) -> usize {
        self.writer.in_progress_rows() + self.waiting.as_ref().map_or(0, |waiting| waiting.rows)
    }

    /// Ends the row group, to free its memory.
    pub(crate) async fn end_row_group(&mut self) -> Result<()> {
        if let Some(waiting) = &mut self.waiting {
            for chunk in std::mem::take(waiting).chunks {
                self.writer.write(&chunk).await?;
            }
        }
        Ok(self.writer.flush().await?)
    }

    /// Ends the file. Its bytes are durable, but it has no name yet.
    pub(crate) async fn finish(mut self) -> Result<StagedFile> {
        self.chunks.finish_buffered_batch()?;
        self.write_chunks().await?;
        for chunk in self.waiting.take().unwrap_or_default().chunks {
            self.writer.write(&chunk).await?;
        }
        self.writer.append_key_value_metadata(self.without_nan.entry(&self.schema));
        let footer = self.writer.finish().await?;
        let rows = footer.file_metadata().num_rows();
        if u64::try_from(rows).ok() != Some(self.record.rows) {
            return Err(Error::internal(format!(
                "file '{}' has {rows} rows, expected {}",
                self.record.path, self.record.rows
            )));
        }
        let bounds = Bounds::of(&footer, &self.schema)?;
        let bytes = self.writer.into_inner().finish().await?;
        let file = FileRecord {
            size: bytes.size,
            sha256: bytes.sha256,
            min: bounds.min,
            max: bounds.max,
            nulls: bounds.nulls,
            ..self.record
        };
        Ok(StagedFile { file, stage: bytes.stage })
    }
}

/// zstd, page statistics and page index; what the rows are sorted by is declared.
pub(super) fn settings(
    schema: &Schema,
    order: &[String],
    high_cardinality: bool,
) -> WriterProperties {
    let sorting = order.iter().map(|column| {
        let leaf = leaf_of(schema, column)?;
        Some(SortingColumn { column_idx: leaf, descending: false, nulls_first: false })
    });
    let sorting = sorting.collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty());
    // Numbers that hardly repeat gain nothing from a longer search.
    let level = ZstdLevel::try_new(if high_cardinality { 1 } else { 3 }).expect("between 1 and 22");
    let mut builder = WriterProperties::builder();
    let fields = schema.fields().iter().filter(|_| high_cardinality);
    for field in fields {
        let column = ColumnPath::new(vec![field.name().clone()]);
        builder = match field.data_type() {
            DataType::Float32 | DataType::Float64 => builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT),
            DataType::Int64 | DataType::UInt64 => builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            _ => builder,
        };
    }
    let page_rows = if high_cardinality && order.is_empty() { ROW_GROUP_ROWS } else { PAGE_ROWS };
    builder
        .set_created_by(concat!("pleiad ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_row_count_limit(page_rows)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(sorting)
        .build()
}

/// The number of a column among the leaves of the Parquet schema, if it is a leaf itself.
fn leaf_of(schema: &Schema, column: &str) -> Option<i32> {
    fn leaves(field: &Field) -> usize {
        match field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|field| leaves(field)).sum(),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _) => leaves(item),
            _ => 1,
        }
    }
    let (index, field) = schema.column_with_name(column)?;
    let before: usize = schema.fields()[..index].iter().map(|field| leaves(field)).sum();
    if field.data_type().is_nested() { None } else { i32::try_from(before).ok() }
}

/// `data_type` without string and binary views, which other readers refuse; inside structs, lists
/// and maps too.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    let plain = |field: &FieldRef| Arc::new(plain_field(field));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(plain(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect::<Fields>()),
        DataType::Dictionary(index, value) => {
            DataType::Dictionary(index.clone(), Box::new(plain_type(value)))
        }
        other => other.clone(),
    }
}

/// `field` in a plain type, without metadata.
pub(crate) fn plain_field(field: &Field) -> Field {
    Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
}

/// `batch` with its columns cast to the types of `schema` where they differ.
pub(crate) fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            Ok(cast(column, field.data_type())?)
        }
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_become_plain_inside_nested_types_too() {
        let view = |name: &str| Field::new(name, DataType::Utf8View, true);
        let list = DataType::List(Arc::new(view("item")));
        let nested = DataType::Struct(vec![Field::new("l", list, true), view("v")].into());
        let plain = plain_type(&nested).to_string();
        assert!(!plain.contains("View") && plain.contains("Utf8"), "{plain}");
    }

    #[test]
    fn a_sorted_column_after_a_struct_has_the_right_leaf() {
        let pair =
            vec![Field::new("x", DataType::Int8, true), Field::new("y", DataType::Int8, true)];
        let schema = Schema::new(vec![
            Field::new("pair", DataType::Struct(pair.into()), true),
            Field::new("id", DataType::Int64, true),
        ]);
        assert_eq!(leaf_of(&schema, "id"), Some(2));
        assert_eq!(leaf_of(&schema, "pair"), None);
    }
}
