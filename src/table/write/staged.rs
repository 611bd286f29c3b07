//! Bytes that have no name yet: a local file under `_runs/<run>/stage/`, or a multipart upload
//! that is not completed. Only the commit gives them their name.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use futures::future::BoxFuture;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::ParquetError;

use crate::error::{Error, Result};
use crate::storage::{Create, Finished, Upload};
use crate::table::commit::create::Created;
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::commit::record::{self, Stage, UploadRecord};

/// A file in the making.
pub(crate) struct Staged {
    upload: Upload,
    /// Of a local file, its path relative to the dataset.
    part: Option<String>,
}

/// What is known of staged bytes once they are complete.
pub(crate) struct StagedBytes {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) stage: Stage,
}

impl Staged {
    /// Starts a file of `run` that shall be called `path`. The id of an upload is journalled before its
    /// first part, since stores need not list open uploads.
    pub(crate) async fn create(root: &DatasetRoot, run: &str, path: &str) -> Result<Self> {
        let part = root.store.is_local().then(|| names::part(run, path));
        let location = root.location.join(part.as_deref().unwrap_or(path));
        let upload = Upload::create(&root.store, &location, Create::Hidden, None).await?;
        if let Some(id) = upload.id() {
            let entry = UploadRecord { path: path.to_owned(), id: id.to_owned() };
            let journal = names::upload(run, path);
            if let Created::Theirs(_) = root.create(&journal, record::to_bytes(&entry)).await? {
                return Err(Error::internal(format!("file name '{path}' was given out twice")));
            }
        }
        Ok(Self { upload, part })
    }

    /// A gauge of the bytes held in memory.
    pub(crate) fn held(&self) -> Arc<AtomicUsize> {
        self.upload.held()
    }

    /// Makes the bytes durable.
    pub(crate) async fn finish(self) -> Result<StagedBytes> {
        let (size, id) = (self.upload.size(), self.upload.id().map(str::to_owned));
        let Finished::Hidden(hidden) = self.upload.finish().await? else {
            return Err(Error::internal("a staged file got a name"));
        };
        let stage = match (self.part, id) {
            (Some(part), _) => Stage::Part(part),
            (None, Some(id)) => Stage::Upload { id, parts: hidden.parts },
            (None, None) => return Err(Error::internal("a staged file is nowhere")),
        };
        Ok(StagedBytes { size, sha256: hidden.sha256, stage })
    }
}

impl AsyncFileWriter for Staged {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        AsyncFileWriter::write(&mut self.upload, bytes)
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        self.upload.complete()
    }
}
