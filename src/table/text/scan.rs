//! Files of text as a source of rows for the engine: a stock file scan, whose files this opens.
//!
//! A plain file is read in ranges by several streams: a line belongs to the range that it begins in. Where
//! values hold line ends only the look at the file knows where records begin: each stream goes from one such
//! place to another. A file that is compressed or not UTF-8 is read by one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json;
use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::apply_expression_roots;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use pleiad_core::records::{Records, Step};

use super::batches::{BATCH_BYTES, Batches};
use super::bytes::{self, TextStream};
use super::csv::refused;
use super::format::{Lines, Split, TextFile};
use super::guess::{END, Guess, Passed};
use super::json::{A_LINE, MARK};
use super::shape::as_text;
use crate::error::{Error, Result};
use crate::table::commit::place::DatasetRoot;

/// Text files as the engine scans them.
#[derive(Clone)]
pub(crate) struct TextSource {
    store: Arc<dyn ObjectStore>,
    place: DatasetRoot,
    pool: Arc<dyn MemoryPool>,
    _list: Option<Arc<MemoryReservation>>,
    schema: TableSchema,
    projection: SplitProjection,
    is_splittable: bool,
    batch_rows: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl TextSource {
    /// Files of `store`, each of which carries its [`TextFile`]; `place` names them in errors. Lines that are
    /// held are accounted to the pool, as the list of files is.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        place: DatasetRoot,
        (pool, list): (Arc<dyn MemoryPool>, Option<Arc<MemoryReservation>>),
        schema: TableSchema,
        is_splittable: bool,
    ) -> Self {
        let projection = SplitProjection::unprojected(&schema);
        let metrics = ExecutionPlanMetricsSet::new();
        let (batch_rows, _list) = (8192, list);
        Self { store, place, pool, _list, schema, projection, is_splittable, batch_rows, metrics }
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> EngineResult<Arc<dyn FileOpener>> {
        let file_schema = self.schema.file_schema();
        let opener = TextOpener {
            store: Arc::clone(&self.store),
            place: self.place.clone(),
            pool: Arc::clone(&self.pool),
            schema: Arc::new(file_schema.project(&self.projection.file_indices)?),
            batch_rows: self.batch_rows,
        };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), file_schema)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_rows: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> EngineResult<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "text"
    }

    fn supports_repartitioning(&self) -> bool {
        self.is_splittable
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

/// Opens one file, or a range of it.
struct TextOpener {
    store: Arc<dyn ObjectStore>,
    place: DatasetRoot,
    pool: Arc<dyn MemoryPool>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> EngineResult<FileOpenFuture> {
        let text = file.extensions.get::<TextFile>().cloned();
        let text = text.ok_or_else(|| Error::internal("a file of text was not looked at"))?;
        let (store, path) = (Arc::clone(&self.store), file.object_meta.location.clone());
        let shown = self.place.show(&path);
        let size = file.object_meta.size;
        let range = file.range.as_ref().map_or(0..size, |range| {
            let place = |at: i64| u64::try_from(at).unwrap_or(0);
            place(range.start)..place(range.end)
        });
        let (schema, batch_rows) = (Arc::clone(&self.schema), self.batch_rows);
        let held = MemoryConsumer::new("lines of text").register(&self.pool);
        Ok(Box::pin(async move {
            let (start, text_stream) =
                Start::open(store, (&path, size), &shown, &text, range.clone()).await?;
            let guess = match &text.lines {
                Lines::Csv(lines) => lines.guess.clone().map(|guess| (guess, range)),
                Lines::Json(_) => None,
            };
            let rows = Rows::new(schema, &text, batch_rows, (shown, start.knows_lines))?;
            let reader = Reader::new((start, text_stream), &text, rows, (held, guess));
            Ok(batches(reader).map_err(Into::into).boxed())
        }))
    }
}

/// Where the reading of a range begins and ends.
struct Start {
    /// The byte of the text that the stream begins with, and the number of its line.
    byte: u64,
    line: u64,
    /// Bytes of the stream that are before the first line.
    skip: u64,
    /// Whether the stream begins in a line that belongs to the range before.
    in_line: bool,
    /// Lines that begin here or later belong to another range.
    end: u64,
    knows_lines: bool,
    /// Whether no line can begin in the range.
    is_empty: bool,
}

impl Start {
    async fn open(
        store: Arc<dyn ObjectStore>,
        (path, size): (&Path, u64),
        shown: &str,
        file: &TextFile,
        range: Range<u64>,
    ) -> Result<(Self, TextStream)> {
        let (begin, line) = match &file.lines {
            Lines::Csv(lines) => (lines.begin, lines.begin_line),
            Lines::Json(_) => (0, 1),
        };
        let splits = match &file.lines {
            Lines::Csv(lines) if lines.newlines_in_values => &lines.splits[..],
            _ => &[],
        };
        let whole = Self {
            byte: begin,
            line,
            skip: begin,
            in_line: false,
            end: u64::MAX,
            knows_lines: true,
            is_empty: false,
        };
        if !file.decoding.is_plain() {
            let text = bytes::text(store.as_ref(), path, shown, file.decoding, None).await?;
            return Ok((whole, text));
        }
        if !splits.is_empty() {
            let at_or_behind = |byte: u64| splits.iter().find(|split| split.byte >= byte);
            let end = at_or_behind(range.end).map_or(size, |split| split.byte);
            let Some(first) = at_or_behind(range.start).filter(|first| first.byte < end) else {
                return Ok((whole, stream::empty().boxed()));
            };
            let Split { byte, line } = *first;
            let start = Self { byte, line, skip: 0, ..whole };
            let text = bytes::text(store.as_ref(), path, shown, file.decoding, Some(byte..end));
            return Ok((start, text.await?));
        }
        let is_first = range.start <= begin;
        // The byte before the range says whether a line begins with it.
        let from = if is_first { begin } else { range.start - 1 };
        if range.end <= from || from >= size {
            let nothing = Self { is_empty: true, ..whole };
            return Ok((nothing, stream::empty().boxed()));
        }
        let start = Self {
            byte: from,
            skip: 0,
            in_line: !is_first,
            end: range.end,
            knows_lines: is_first,
            ..whole
        };
        let text =
            bytes::text(store.as_ref(), path, shown, file.decoding, Some(from..range.end)).await?;
        if range.end >= size {
            return Ok((start, text));
        }
        // The last line ends in what follows, which is asked for only then.
        let (path, shown, decoding) = (path.clone(), shown.to_owned(), file.decoding);
        let rest = async move {
            bytes::text(store.as_ref(), &path, &shown, decoding, Some(range.end..size)).await
        };
        Ok((start, text.chain(stream::once(rest).try_flatten()).boxed()))
    }
}

/// What checks a file, and the range of it that is read.
type Checked = (Arc<Guess>, Range<u64>);

/// The batches of a text.
fn batches(reader: Reader) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    stream::try_unfold(Some(reader), |reader| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        match reader.next().await? {
            Some(batch) => Ok(Some((batch, Some(reader)))),
            None => Ok(None),
        }
    })
}

struct Reader {
    records: Records<'static>,
    start: Start,
    text: TextStream,
    rows: Rows,
    held: MemoryReservation,
    has_ended: bool,
    /// What is told of the range that was read.
    guess: Option<Checked>,
    /// Where the first record begins.
    first: Option<u64>,
    /// Rows so far.
    count: u64,
    /// Whether all rows of the range are read.
    is_done: bool,
}

impl Reader {
    fn new(
        (start, text): (Start, TextStream),
        file: &TextFile,
        rows: Rows,
        (held, guess): (MemoryReservation, Option<Checked>),
    ) -> Self {
        let dialect = match &file.lines {
            Lines::Csv(lines) => lines.dialect,
            Lines::Json(_) => A_LINE,
        };
        let records = Records::new(dialect, file.max_line, start.byte, start.line);
        let (has_ended, first, count, is_done) = (false, None, 0, false);
        Self { records, start, text, rows, held, has_ended, guess, first, count, is_done }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.is_done {
            match self.records.step().map_err(|fault| refused(&fault, &self.rows.shown))? {
                Step::Record => {
                    let begin = self.records.offset();
                    let first = *self.first.get_or_insert(begin);
                    if begin >= self.start.end {
                        self.done((first, begin));
                        continue;
                    }
                    self.count += 1;
                    if self.rows.push(&self.records)? {
                        break;
                    }
                }
                Step::End => self.done((self.first.unwrap_or(END), END)),
                Step::More => self.more().await?,
            }
        }
        self.rows.finish()
    }

    /// The rows of the range are read; `records` are where its first begins, and the first behind it.
    fn done(&mut self, records: (u64, u64)) {
        self.is_done = true;
        if let (Some((guess, range)), Kind::Csv(batches)) = (&self.guess, &self.rows.kind) {
            let passed = Passed {
                records: Some(records).filter(|_| !self.start.is_empty),
                rows: self.count,
                seen: batches.seen(),
                comments: self.records.comments(),
                has_newlines: self.records.has_newlines(),
            };
            guess.pass(range, passed);
        }
    }

    /// Reads on.
    async fn more(&mut self) -> Result<()> {
        if self.has_ended {
            self.records.end();
            return Ok(());
        }
        let Some(mut piece) = self.text.try_next().await? else {
            self.has_ended = true;
            return Ok(());
        };
        let skipped = self.start.skip.min(piece.len() as u64);
        self.start.skip -= skipped;
        piece = piece.slice(usize::try_from(skipped).unwrap_or(piece.len())..);
        if self.start.in_line {
            let passed = match piece.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                Some(end) => {
                    self.start.in_line = false;
                    end + 1
                }
                None => piece.len(),
            };
            self.records.pass(passed as u64);
            piece = piece.slice(passed..);
        }
        self.records.push(&piece);
        Ok(self.held.try_resize(self.records.capacity())?)
    }
}

/// Rows on their way into a batch.
struct Rows {
    kind: Kind,
    shown: String,
    knows_lines: bool,
}

enum Kind {
    Csv(Batches),
    Json { decoder: Box<json::reader::Decoder>, schema: SchemaRef, as_text: bool, batch: JsonBatch },
}

/// What a batch of JSON holds so far.
#[derive(Default)]
struct JsonBatch {
    max_rows: usize,
    rows: usize,
    bytes: usize,
    first_line: u64,
    last_line: u64,
}

impl Rows {
    fn new(
        schema: SchemaRef,
        file: &TextFile,
        batch_rows: usize,
        (shown, knows_lines): (String, bool),
    ) -> Result<Self> {
        let kind = match &file.lines {
            Lines::Csv(lines) => {
                Kind::Csv(Batches::new(schema, lines, batch_rows, (shown.clone(), knows_lines)))
            }
            Lines::Json(lines) => {
                let reads = lines.shape.members().iter().all(|(name, shape)| {
                    let field = schema.field_with_name(name);
                    field.is_ok_and(|field| shape.reads_as(field.data_type()))
                        || schema.field_with_name(name).is_err()
                });
                let builder = json::ReaderBuilder::new(Arc::clone(&schema));
                let decoder = Box::new(builder.with_batch_size(batch_rows).build_decoder()?);
                let batch = JsonBatch { max_rows: batch_rows, ..JsonBatch::default() };
                Kind::Json { decoder, schema, as_text: !reads, batch }
            }
        };
        Ok(Self { kind, shown, knows_lines })
    }

    /// Adds the record that was stepped to; whether the batch is full.
    fn push(&mut self, records: &Records<'_>) -> Result<bool> {
        let record = records.record().map_err(|fault| refused(&fault, &self.shown))?;
        let (decoder, schema, mixed, batch) = match &mut self.kind {
            Kind::Csv(batches) => return batches.push(&record, records.offset()),
            Kind::Json { decoder, schema, as_text, batch } => (decoder, schema, *as_text, batch),
        };
        let line = record.text().trim_start_matches(MARK);
        if line.trim().is_empty() {
            return Ok(false);
        }
        let rewritten: String;
        let line = match mixed {
            true => {
                rewritten = as_text(line, schema.fields()).map_err(|broken| {
                    Error::data(format!("file '{}': a line has {}", self.shown, broken.what))
                })?;
                &rewritten
            }
            false => line,
        };
        if batch.rows == 0 {
            batch.first_line = record.line;
        }
        (batch.rows, batch.last_line) = (batch.rows + 1, record.line);
        batch.bytes += line.len();
        let is_full = batch.rows >= batch.max_rows || batch.bytes >= BATCH_BYTES;
        let decoded = decoder.decode(line.as_bytes()).and_then(|_| decoder.decode(b"\n"));
        match decoded {
            Ok(_) => Ok(is_full),
            Err(cause) => Err(self.refused(&cause)),
        }
    }

    /// The rows so far as a batch; `None` if there are none.
    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let (decoder, batch) = match &mut self.kind {
            Kind::Csv(batches) => return batches.finish(),
            Kind::Json { decoder, batch, .. } => (decoder, batch),
        };
        (batch.rows, batch.bytes) = (0, 0);
        match decoder.flush() {
            Ok(found) => Ok(found),
            Err(cause) => Err(self.refused(&cause)),
        }
    }

    fn refused(&self, cause: &arrow::error::ArrowError) -> Error {
        let text = cause.to_string();
        let text = text.trim_start_matches("Json error: ");
        let place = match &self.kind {
            Kind::Json { batch, .. } if self.knows_lines => {
                format!("lines {} to {}: ", batch.first_line, batch.last_line)
            }
            _ => String::new(),
        };
        Error::data(format!("file '{}' is not what it looked like: {place}{text}", self.shown))
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
