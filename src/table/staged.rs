//! Bytes that have no name yet: a local file under `_runs/<run>/stage/`, or a multipart upload
//! that is not completed. Size and SHA-256 are taken on the way.
//!
//! `complete` makes the bytes durable and stops there. Only the commit gives them their name.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use datafusion::common::runtime::{JoinSet, SpawnedTask};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::commit::place::{Created, Place, blocking};
use super::commit::record::{self, Stage, UploadRecord};
use crate::error::{Error, Result};
use crate::storage::NewFile;

/// Parts of equal size but the last: R2 asks for it.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The most parts of an upload on S3.
const MOST_PARTS: usize = 10_000;

/// Parts of one file on their way at a time.
const PARTS_IN_FLIGHT: usize = 4;

/// Writes of local files on their way at a time: enough to keep a disk busy. Each has a buffer that
/// nobody accounts for.
static WRITES: Semaphore = Semaphore::const_new(4);

/// A file in the making.
pub(crate) enum Staged {
    Local(LocalPart),
    Upload(Box<Upload>),
}

/// What is known of staged bytes once they are complete.
pub(crate) struct StagedBytes {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) stage: Stage,
}

impl Staged {
    /// Starts a file of `run` that shall be called `path`.
    pub(crate) async fn create(place: &Place, run: &str, path: &str) -> Result<Self> {
        match place.store.uploads() {
            Some(uploads) => {
                Ok(Self::Upload(Box::new(Upload::create(place, uploads, run, path).await?)))
            }
            None => Ok(Self::Local(LocalPart::create(place, run, path).await?)),
        }
    }

    /// A gauge of the bytes held in memory.
    pub(crate) fn held(&self) -> Arc<AtomicUsize> {
        match self {
            Self::Local(_) => Arc::default(),
            Self::Upload(upload) => Arc::clone(&upload.held),
        }
    }

    /// What was staged; call it after `complete`.
    pub(crate) fn finished(self) -> Result<StagedBytes> {
        match self {
            Self::Local(part) => part.finished(),
            Self::Upload(upload) => Ok(upload.finished()),
        }
    }
}

impl AsyncFileWriter for Staged {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let written = match self {
                Self::Local(part) => part.write(bytes).await,
                Self::Upload(upload) => upload.write(bytes).await,
            };
            written.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let completed = match self {
                Self::Local(part) => part.complete().await,
                Self::Upload(upload) => upload.complete().await,
            };
            completed.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}

/// A local file without its name. Hashing and writing run beside the encoding of what follows.
pub(crate) struct LocalPart {
    /// Relative to the dataset.
    part: String,
    state: LocalState,
}

enum LocalState {
    Idle(Box<Written>),
    Busy(SpawnedTask<Result<Box<Written>>>),
    /// A write failed.
    Broken,
}

struct Written {
    file: NewFile,
    sha: Sha256,
}

impl LocalPart {
    async fn create(place: &Place, run: &str, path: &str) -> Result<Self> {
        let part = record::part_path(run, path);
        let (files, at) =
            place.local(&part).ok_or_else(|| Error::internal("a local part needs local files"))?;
        let file = blocking(move || NewFile::create(&files, &at)).await?;
        let state = LocalState::Idle(Box::new(Written { file, sha: Sha256::new() }));
        Ok(Self { part, state })
    }

    async fn idle(&mut self) -> Result<Box<Written>> {
        match mem::replace(&mut self.state, LocalState::Broken) {
            LocalState::Idle(written) => Ok(written),
            LocalState::Busy(task) => task
                .await
                .map_err(|cause| Error::internal("a write did not finish").caused_by(cause))?,
            LocalState::Broken => Err(Error::internal("a write follows one that failed")),
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut written = self.idle().await?;
        let turn = WRITES.acquire().await.expect("it is never closed");
        self.state = LocalState::Busy(SpawnedTask::spawn_blocking(move || {
            written.file.append(&bytes)?;
            drop(turn);
            written.sha.update(&bytes);
            Ok(written)
        }));
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let mut written = self.idle().await?;
        let completed = blocking(move || {
            written.file.complete()?;
            Ok(written)
        });
        self.state = LocalState::Idle(completed.await?);
        Ok(())
    }

    fn finished(self) -> Result<StagedBytes> {
        match self.state {
            LocalState::Idle(written) => Ok(StagedBytes {
                size: written.file.size(),
                sha256: hex(written.sha),
                stage: Stage::Part(self.part),
            }),
            _ => Err(Error::internal("a part was not completed")),
        }
    }
}

/// A multipart upload. Its id is journalled before its first part, since stores need not list open
/// uploads.
pub(crate) struct Upload {
    uploads: Arc<dyn MultipartStore>,
    key: Path,
    id: String,
    buffer: BytesMut,
    /// Bytes in the buffer and on their way.
    held: Arc<AtomicUsize>,
    size: u64,
    sha: Sha256,
    in_flight: JoinSet<Result<(usize, PartId)>>,
    most_in_flight: usize,
    sent: usize,
    parts: Vec<Option<PartId>>,
}

impl Upload {
    async fn create(
        place: &Place,
        uploads: &Arc<dyn MultipartStore>,
        run: &str,
        path: &str,
    ) -> Result<Self> {
        let key = place.key(path);
        let id = uploads.create_multipart(&key).await?;
        let entry = UploadRecord { path: path.to_owned(), id: id.clone() };
        let journal = record::upload_path(run, path);
        if let Created::Theirs(_) = place.create(&journal, record::to_bytes(&entry)).await? {
            return Err(Error::internal(format!("file name '{path}' was given out twice")));
        }
        // The store in memory panics on parts out of order.
        let is_memory = place.location.url().scheme() == "memory";
        Ok(Self {
            uploads: Arc::clone(uploads),
            key,
            id,
            buffer: BytesMut::new(),
            held: Arc::default(),
            size: 0,
            sha: Sha256::new(),
            in_flight: JoinSet::new(),
            most_in_flight: if is_memory { 1 } else { PARTS_IN_FLIGHT },
            sent: 0,
            parts: Vec::new(),
        })
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.sha.update(&bytes);
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        while self.buffer.len() >= PART_BYTES {
            let part = self.buffer.split_to(PART_BYTES).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<()> {
        while self.in_flight.len() >= self.most_in_flight {
            self.receive().await?;
        }
        let number = self.sent;
        if number == MOST_PARTS {
            return Err(Error::data(format!(
                "file '{}' is larger than {MOST_PARTS} parts of {PART_BYTES} bytes: use more keys",
                self.key
            )));
        }
        self.sent += 1;
        let (uploads, key, id) = (Arc::clone(&self.uploads), self.key.clone(), self.id.clone());
        let held = Arc::clone(&self.held);
        self.in_flight.spawn(async move {
            let size = bytes.len();
            let part = uploads.put_part(&key, &id, number, bytes.into()).await?;
            held.fetch_sub(size, Ordering::Relaxed);
            Ok((number, part))
        });
        Ok(())
    }

    async fn receive(&mut self) -> Result<()> {
        if let Some(done) = self.in_flight.join_next().await {
            let (number, part) = done
                .map_err(|cause| Error::internal("an upload did not finish").caused_by(cause))??;
            self.parts.resize(self.parts.len().max(number + 1), None);
            self.parts[number] = Some(part);
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let rest = mem::take(&mut self.buffer).freeze();
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while !self.in_flight.is_empty() {
            self.receive().await?;
        }
        Ok(())
    }

    fn finished(self) -> StagedBytes {
        let parts = self.parts.into_iter().flatten().map(|part| part.content_id).collect();
        StagedBytes {
            size: self.size,
            sha256: hex(self.sha),
            stage: Stage::Upload { id: self.id, parts },
        }
    }
}

fn hex(sha: Sha256) -> String {
    format!("{:x}", sha.finalize())
}
