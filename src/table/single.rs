//! One file of rows for other programs: written whole or not at all, and no dataset.
//!
//! Local bytes are staged beside the file and renamed; on an object store the upload is completed at the
//! end, and aborted when the rows fail. Text is UTF-8 with a header and empty for NULL; in JSON lines a
//! NULL is written, NaN and the infinities are null.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use object_store::{ObjectStoreExt, WriteMultipart};
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::ParquetError;

use super::commit::place::Place;
use super::encode;
use super::{Mode, TableFacts};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer};
use crate::storage::{Location, Stores};

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
    let mut file = Encoder::new(Upload::begin(&place).await?, format, &schema).await?;
    let mut facts = TableFacts { files: 1, ..TableFacts::default() };
    while let Some(batch) = rows.try_next().await? {
        file.push(&encode::plain_batch(&batch, &schema)?).await?;
        facts.rows += batch.num_rows() as u64;
        watch.report(Event::Progress { done: facts.rows });
    }
    facts.bytes = file.finish().await?;
    Ok(Some(facts))
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
        Mode::Error => Err(Error::new(
            Kind::OutputExists,
            format!("output '{location}' exists: pass --mode overwrite to replace it"),
        )),
        Mode::Append => Err(Error::usage(format!(
            "mode 'append' is not for the single file '{location}': write a directory"
        ))),
    }
}

/// The columns in types that other readers know.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| encode::plain_field(field));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows into bytes.
enum Encoder {
    Parquet(Box<AsyncArrowWriter<Upload>>),
    Text(Upload, FileFormat),
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
        Ok(Self::Text(upload, format))
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

    /// Gives the file its name; answers with its size in bytes.
    async fn finish(self) -> Result<u64> {
        match self {
            Self::Parquet(mut writer) => {
                writer.finish().await?;
                Ok(writer.into_inner().size)
            }
            Self::Text(mut upload, _) => {
                upload.publish().await?;
                Ok(upload.size)
            }
        }
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
    writer: Option<WriteMultipart>,
    size: u64,
}

impl Upload {
    async fn begin(place: &Place) -> Result<Self> {
        let upload = place.store.objects().put_multipart(place.location.path()).await?;
        let writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(Self { writer: Some(writer), size: 0 })
    }

    async fn put_bytes(&mut self, bytes: Bytes) -> object_store::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.wait_for_capacity(PARTS_IN_FLIGHT).await?;
            self.size += bytes.len() as u64;
            writer.put(bytes);
        }
        Ok(())
    }

    async fn publish(&mut self) -> object_store::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish().await.map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(writer), Ok(runtime)) =
            (self.writer.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        drop(runtime.spawn(async move {
            if let Err(error) = writer.abort().await {
                tracing::warn!("an upload that failed may be left open: {error}");
            }
        }));
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
