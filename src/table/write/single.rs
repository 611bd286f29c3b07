//! One file of rows for other programs: written whole or not at all, and no dataset.
//!
//! The bytes are an [`Upload`]; of a local file, what a killed process left is removed by the next that
//! writes it. Whether there is a file is looked at before the rows and again before it gets its name: on
//! local files that is one step, on an object store another writer may still come between.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::row_groups::RowGroups;
use super::rows_as_text::{header_of, text_of};
use super::spec::TableFacts;
use super::{encode, rows_as_text};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer};
use crate::storage::{Create, Finished, Location, Stores, Upload, blocking};
use crate::table::commit::place::DatasetRoot;
use crate::table::format::FileFormat;
use crate::table::manifest::Mode;

/// Writes all `rows` into the file at `location`; what is held of them is accounted to `pool`. `None` if
/// the file is there and the mode says to keep it.
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
    pool: &Arc<dyn MemoryPool>,
    watch: &dyn Observer,
) -> Result<Option<TableFacts>> {
    let place = DatasetRoot::open(stores, location)?;
    if !may_write(&place, mode).await? {
        return Ok(None);
    }
    let schema = rows_as_text::plain_schema(&rows.schema());
    let how = if mode == Mode::Overwrite { Create::Replace } else { Create::New };
    remove_leftovers(&place).await?;
    let upload = Upload::create(&place.store, location, how, None).await?;
    let mut file = Encoder::new(upload, format, &schema, pool).await?;
    let mut facts = TableFacts { files: 1, ..TableFacts::default() };
    while let Some(batch) = rows.try_next().await? {
        file.push(&encode::plain_batch(&batch, &schema)?).await?;
        facts.rows += batch.num_rows() as u64;
        watch.report(Event::Progress { done: facts.rows });
        // A stream that is always ready, and buffers that take long to fill, would keep Ctrl-C waiting.
        tokio::task::yield_now().await;
    }
    let upload = file.end().await?;
    facts.bytes = upload.size();
    if !may_write(&place, mode).await? {
        return Ok(None);
    }
    match upload.finish().await? {
        Finished::Named | Finished::Hidden(_) => Ok(Some(facts)),
        Finished::Taken if mode == Mode::Ignore => Ok(None),
        Finished::Taken => Err(exists_already(location)),
    }
}

/// Removes what killed processes left of a local file.
async fn remove_leftovers(place: &DatasetRoot) -> Result<()> {
    match place.local("") {
        Some((files, path)) => blocking(move || files.remove_leftovers_of(&path)).await,
        None => Ok(()),
    }
}

/// Whether the mode lets us write: it may say to keep what is there.
async fn may_write(place: &DatasetRoot, mode: Mode) -> Result<bool> {
    let location = &place.location;
    if location.is_directory().await {
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
            "mode 'append' cannot add to the single file '{location}': write a directory"
        ))),
    }
}

fn exists_already(location: &Location) -> Error {
    Error::new(
        Kind::OutputExists,
        format!("output '{location}' exists: pass --mode overwrite to replace it"),
    )
}

/// Rows into bytes.
enum Encoder {
    Parquet(Box<RowGroups>),
    Text(Box<Upload>, FileFormat),
}

impl Encoder {
    async fn new(
        mut upload: Upload,
        format: FileFormat,
        schema: &SchemaRef,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        if format == FileFormat::Parquet {
            return Ok(Self::Parquet(Box::new(RowGroups::new(upload, schema, pool)?)));
        }
        upload.write(header_of(schema, format)?).await?;
        Ok(Self::Text(Box::new(upload), format))
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(groups) => groups.push(batch).await,
            Self::Text(upload, format) => {
                let text = text_of(batch, *format)?;
                Ok(upload.write(text).await?)
            }
        }
    }

    /// The upload, which has all bytes.
    async fn end(self) -> Result<Upload> {
        Ok(match self {
            Self::Parquet(groups) => groups.end().await?,
            Self::Text(upload, _) => *upload,
        })
    }
}
