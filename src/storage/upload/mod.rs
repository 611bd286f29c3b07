//! The one writer of a new object: bytes come piece by piece, and the object has its name when all of
//! them are there, or never.
//!
//! - A local file is written beside its place and linked or renamed when it is durable.
//! - On an object store up to 8 MiB are put at once, create-only if it must not replace. More are a
//!   multipart upload, which becomes visible when it is completed; whether it would replace something
//!   is looked up right before that, so another writer may still come between. A note beside the object
//!   leads to the upload as long as it is open.
//! - A hidden object is durable when it is finished and has no name: a local file lies where its
//!   caller keeps such files, an upload stays open. Its caller notes where it is *before* it writes,
//!   so that a later run can remove it.
//!
//! Dropped before it is finished an object leaves nothing, but a hidden one is left to those notes: a
//! process that is killed drops nothing, so they have to be followed anyway.

mod create; // how an object gets its name
mod local; // a new local file
mod multipart; // an upload in parts
mod naming; // how an object gets its name, and what an error left
mod note; // where an upload in parts is found if its process dies
mod noted; // uploads with a note, and their end
mod parts; // how large the parts of an upload are
mod pending_file; // a local file beside its place
mod remote; // a new object in a store
mod sha; // SHA-256 of what is sent

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::errors::ParquetError;
use futures::FutureExt;
use futures::future::BoxFuture;

pub use create::{Create, Finished, HiddenObject};
pub(crate) use note::{BEAT, SILENCE, is_upload_note};
pub use noted::NotedUpload;
pub(crate) use noted::abort_upload;
pub use pending_file::PendingFile;

use self::local::LocalUpload;
use self::remote::RemoteUpload;
use super::location::Location;
use super::store::Store;
use crate::error::Result;

/// A new object in the making.
pub struct Upload(Target);

enum Target {
    Local(LocalUpload),
    Remote(Box<RemoteUpload>),
}

impl Upload {
    /// Begins the object at `location`, of `size` bytes if that is known. Missing directories are made.
    ///
    /// # Errors
    /// If `size` is more than an object of the store can have; if the store has no multipart uploads;
    /// if a call fails.
    pub async fn create(
        store: &Store,
        location: &Location,
        how: Create,
        size: Option<u64>,
    ) -> Result<Self> {
        Ok(Self(match store.files().zip(location.local_path()) {
            Some((files, path)) => {
                Target::Local(LocalUpload::create(files.clone(), path, how).await?)
            }
            None => {
                Target::Remote(Box::new(RemoteUpload::create(store, location, how, size).await?))
            }
        }))
    }

    /// Adds bytes. They may be on their way when this returns; a failure is then that of a later call.
    ///
    /// # Errors
    /// If storage fails, or there are more bytes than an object can have.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.0 {
            Target::Local(upload) => upload.write(bytes).await,
            Target::Remote(upload) => upload.write(bytes).await,
        }
    }

    /// Makes the bytes durable and, unless it is hidden, gives the object its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn finish(self) -> Result<Finished> {
        match self.0 {
            Target::Local(upload) => upload.finish().await,
            Target::Remote(upload) => upload.finish().await,
        }
    }

    /// The bytes so far.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Target::Local(upload) => upload.size(),
            Target::Remote(upload) => upload.size(),
        }
    }

    /// A gauge of the bytes held in memory. A local file holds none but its last write.
    pub fn held(&self) -> Arc<AtomicUsize> {
        match &self.0 {
            Target::Local(_) => Arc::default(),
            Target::Remote(upload) => upload.held(),
        }
    }

    /// The id of the multipart upload of a hidden object; a local file has none.
    pub fn id(&self) -> Option<&str> {
        match &self.0 {
            Target::Local(_) => None,
            Target::Remote(upload) => upload.id(),
        }
    }
}

/// For the encoder of Parquet. Its end is not that of the object, which is [`Upload::finish`].
impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        let written = Self::write(self, bytes);
        written.map(|done| done.map_err(|error| ParquetError::External(Box::new(error)))).boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        futures::future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests;
