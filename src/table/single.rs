//! One file of rows for other programs: written whole or not at all, and no dataset.
//!
//! Local bytes are staged beside the file as `name#<number>`, which readers pass over, and renamed; what a
//! killed process left there is removed by the next that writes the file. On an object store the upload is
//! completed at the end, and aborted when the rows fail. Whether there is a file is looked at before the
//! rows and again before it gets its name: on local files that is one step, on an object store somebody
//! may still come between. Text is UTF-8 with a header and empty for NULL; in JSON lines a
//! NULL is written, NaN and the infinities are null.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use object_store::{ObjectStoreExt, WriteMultipart};
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::ParquetError;
use tokio::sync::mpsc::{Sender, channel};

use super::commit::place::Place;
use super::encode;
use super::{Mode, TableFacts};
use crate::cleanup;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer};
use crate::storage::{LocalFiles, Location, Stores};

/// Parts of equal size but the last: R2 asks for it.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts on their way at a time.
const PARTS_IN_FLIGHT: usize = 4;

/// The format of a single file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Apache Parquet, zstd.
    Parquet,
    /// Text: what separates values, and whether a first line names the columns.
    Csv {
        /// The character between values.
        delimiter: u8,
        /// A first line with the names.
        header: bool,
    },
    /// One JSON object a line.
    Ndjson,
}

impl FileFormat {
    /// The format that the ending of a name tells.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "parquet" | "parq" => Some(Self::Parquet),
            "csv" => Some(Self::Csv { delimiter: b',', header: true }),
            "tsv" => Some(Self::Csv { delimiter: b'\t', header: true }),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Writes all `rows` into the file at `location`. `None` if it is there and the mode says to keep it.
///
/// # Errors
/// Of kind [`Kind::OutputExists`] if the mode forbids writing there; if the rows fail or storage does.
/// Then there is no file, or still the old one.
pub async fn write_file(
    stores: &Arc<Stores>,
    location: &Location,
    format: FileFormat,
    mode: Mode,
    mut rows: SendableRecordBatchStream,
    watch: &dyn Observer,
) -> Result<Option<TableFacts>> {
    let place = Place::open(stores, location)?;
    if !may_write(&place, mode).await? {
        return Ok(None);
    }
    let schema = plain_schema(&rows.schema());
    let upload = Upload::begin(&place, mode).await?;
    let mut file = Encoder::new(upload, format, &schema).await?;
    let mut facts = TableFacts { files: 1, ..TableFacts::default() };
    while let Some(batch) = rows.try_next().await? {
        file.push(&encode::plain_batch(&batch, &schema)?).await?;
        facts.rows += batch.num_rows() as u64;
        watch.report(Event::Progress { done: facts.rows });
    }
    let (bytes, is_kept) = file.finish().await?;
    Ok((!is_kept).then_some(TableFacts { bytes, ..facts }))
}

/// Whether the mode lets us write: it may say to keep what is there.
async fn may_write(place: &Place, mode: Mode) -> Result<bool> {
    let location = &place.location;
    if location.is_directory() {
        return Err(Error::new(
            Kind::OutputExists,
            format!("output '{location}' is a directory, expected a file or nothing"),
        ));
    }
    let exists = match place.store.objects().head(location.path()).await {
        Ok(_) => true,
        Err(object_store::Error::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    match mode {
        _ if !exists => Ok(true),
        Mode::Overwrite => Ok(true),
        Mode::Ignore => Ok(false),
        Mode::Error => Err(exists_already(location)),
        Mode::Append => Err(Error::usage(format!(
            "mode 'append' is not for the single file '{location}': write a directory"
        ))),
    }
}

fn exists_already(location: &Location) -> Error {
    Error::new(
        Kind::OutputExists,
        format!("output '{location}' exists: pass --mode overwrite to replace it"),
    )
}

/// The columns in types that other readers know.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| encode::plain_field(field));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows into bytes.
enum Encoder {
    Parquet(Box<AsyncArrowWriter<Upload>>),
    Text(Box<Upload>, FileFormat),
}

impl Encoder {
    async fn new(mut upload: Upload, format: FileFormat, schema: &SchemaRef) -> Result<Self> {
        if format == FileFormat::Parquet {
            let settings = encode::settings(schema, &[], false);
            let writer = AsyncArrowWriter::try_new(upload, Arc::clone(schema), Some(settings))?;
            return Ok(Self::Parquet(Box::new(writer)));
        }
        if let FileFormat::Csv { header: true, .. } = format {
            let none = RecordBatch::new_empty(Arc::clone(schema));
            upload.put_bytes(text_of(&none, format, true)?).await?;
        }
        Ok(Self::Text(Box::new(upload), format))
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => Ok(writer.write(batch).await?),
            Self::Text(upload, format) => {
                let text = text_of(batch, *format, false)?;
                Ok(upload.put_bytes(text).await?)
            }
        }
    }

    /// Gives the file its name; answers with its size in bytes, and whether one that came meanwhile is
    /// kept instead.
    async fn finish(self) -> Result<(u64, bool)> {
        let upload = match self {
            Self::Parquet(mut writer) => {
                writer.finish().await?;
                writer.into_inner()
            }
            Self::Text(mut upload, _) => {
                upload.publish().await?;
                *upload
            }
        };
        Ok((upload.size, upload.is_kept))
    }
}

fn text_of(batch: &RecordBatch, format: FileFormat, header: bool) -> Result<Bytes> {
    let mut text = Vec::new();
    match format {
        FileFormat::Csv { delimiter, .. } => {
            let builder = CsvBuilder::new().with_delimiter(delimiter).with_header(header);
            builder.build(&mut text).write(batch)?;
        }
        FileFormat::Ndjson | FileFormat::Parquet => {
            let builder = JsonBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, LineDelimited>(&mut text);
            writer.write(batch)?;
            writer.finish()?;
        }
    }
    Ok(Bytes::from(text))
}

/// Bytes on their way. Dropped before it is published, it takes them back.
struct Upload {
    place: Place,
    mode: Mode,
    way: Option<Way>,
    size: u64,
    /// A file that came meanwhile stays as it is.
    is_kept: bool,
}

/// How bytes get to their place.
enum Way {
    /// To a thread that may block. Without a word of the end it removes what it wrote.
    Local { pieces: Sender<Option<Bytes>>, writing: SpawnedTask<Result<bool>> },
    /// In parts.
    Remote(WriteMultipart),
}

impl Upload {
    async fn begin(place: &Place, mode: Mode) -> Result<Self> {
        let path = place.location.path();
        let way = match place.store.files().zip(place.location.local_path()) {
            Some((files, path)) => local(files.clone(), path.to_owned(), mode == Mode::Overwrite),
            None => Way::Remote(WriteMultipart::new_with_chunk_size(
                place.store.objects().put_multipart(path).await?,
                PART_BYTES,
            )),
        };
        Ok(Self { place: place.clone(), mode, way: Some(way), size: 0, is_kept: false })
    }

    async fn put_bytes(&mut self, bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        match &mut self.way {
            Some(Way::Remote(writer)) => {
                writer.wait_for_capacity(PARTS_IN_FLIGHT).await?;
                writer.put(bytes);
            }
            // One that takes no more has failed: publishing tells why.
            Some(Way::Local { pieces, .. }) if pieces.send(Some(bytes)).await.is_err() => {
                self.publish().await?;
            }
            Some(Way::Local { .. }) | None => {}
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<()> {
        let is_ours = match self.way.take() {
            Some(Way::Local { pieces, writing }) => {
                pieces.send(None).await.ok();
                drop(pieces);
                let written = writing.await;
                written
                    .map_err(|cause| Error::internal("a file was not written").caused_by(cause))??
            }
            Some(Way::Remote(writer)) => match may_write(&self.place, self.mode).await {
                Ok(true) => {
                    writer.finish().await?;
                    true
                }
                other => {
                    abort(writer).await;
                    other?
                }
            },
            None => true,
        };
        match self.mode {
            _ if is_ours => Ok(()),
            Mode::Ignore => {
                self.is_kept = true;
                Ok(())
            }
            _ => Err(exists_already(&self.place.location)),
        }
    }
}

/// A thread that writes what comes into the file at `path`; it tells `false` if there is one by then and
/// it may not `replace` it.
fn local(files: LocalFiles, path: PathBuf, replace: bool) -> Way {
    let (pieces, mut incoming) = channel::<Option<Bytes>>(PARTS_IN_FLIGHT);
    let writing = SpawnedTask::spawn_blocking(move || {
        remove_leftovers(&files, &path)?;
        let next = || match incoming.blocking_recv() {
            Some(piece) => piece.map(Ok),
            None => Some(Err(Error::new(Kind::Other, "the file was given up"))),
        };
        files.receive(&path, std::iter::from_fn(next), replace)
    });
    Way::Local { pieces, writing }
}

/// Removes what processes that were killed left of the file at `path`.
fn remove_leftovers(files: &LocalFiles, path: &Path) -> Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let name = format!("{}#", name.to_string_lossy());
    let is_ours = |found: &&PathBuf| {
        found.file_name().is_some_and(|found| found.to_string_lossy().starts_with(&name))
    };
    let found = files.leftovers(folder, false)?;
    found.iter().filter(is_ours).try_for_each(|found| files.remove(found).map(drop))
}

async fn abort(writer: WriteMultipart) {
    if let Err(error) = writer.abort().await {
        tracing::warn!("an upload that failed may be left open: {error}");
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(Way::Remote(writer)) = self.way.take() {
            cleanup::spawn(abort(writer));
        }
    }
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        let put = self.put_bytes(bytes);
        async move { put.await.map_err(|error| ParquetError::External(Box::new(error))) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        let published = self.publish();
        async move { published.await.map_err(|error| ParquetError::External(Box::new(error))) }
            .boxed()
    }
}
