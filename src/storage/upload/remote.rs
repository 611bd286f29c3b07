//! A new object in a store: one put, or a multipart upload.
//!
//! In memory are the part that is gathered and the parts on their way: of those four, or as many as
//! have 32 MiB together, but at least one.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};

use super::create::{Create, Finished, HiddenObject};
use super::multipart::{MAX_PARTS_IN_FLIGHT, OpenUpload, Part};
use super::parts::{PartSizes, check_size};
use super::sha::{Hash, hex};
use crate::error::{Error, Result};
use crate::storage::location::Location;
use crate::storage::schemes::Scheme;
use crate::storage::store::Store;

/// An object in the making.
pub(super) struct RemoteUpload {
    store: Store,
    uploads: Arc<dyn MultipartStore>,
    path: Path,
    /// What errors call it.
    shown: String,
    how: Create,
    sizes: PartSizes,
    max_in_flight: usize,
    size: u64,
    part: Part,
    /// Bytes gathered and on their way.
    held: Arc<AtomicUsize>,
    /// `None` as long as one put may be enough.
    multipart: Option<OpenUpload>,
    sha: Option<Hash>,
}

impl RemoteUpload {
    pub(super) async fn create(
        store: &Store,
        location: &Location,
        how: Create,
        size: Option<u64>,
    ) -> Result<Self> {
        let shown = location.to_string();
        let Some(uploads) = store.uploads() else {
            return Err(Error::usage(format!("'{shown}' is in a store without multipart uploads")));
        };
        let mut upload = Self {
            store: store.clone(),
            uploads: Arc::clone(uploads),
            path: location.path().clone(),
            sizes: PartSizes::of(size, &shown)?,
            shown,
            how,
            // The store in memory panics on parts out of order.
            max_in_flight: match location.scheme() {
                Scheme::Memory => 1,
                Scheme::S3 | Scheme::File => MAX_PARTS_IN_FLIGHT,
            },
            size: 0,
            part: Part::default(),
            held: Arc::default(),
            multipart: None,
            sha: None,
        };
        if how == Create::Hidden {
            upload.sha = Some(Hash::Idle(Sha256::new()));
            upload.open().await?;
        }
        Ok(upload)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn held(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.held)
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.multipart.as_ref().map(|upload| upload.id.as_str())
    }

    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        check_size(self.size, &self.shown)?;
        self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        while !bytes.is_empty() {
            let sent = self.multipart.as_ref().map_or(0, OpenUpload::count);
            let wanted = usize::try_from(self.sizes.bytes(sent)).unwrap_or(usize::MAX);
            if self.part.bytes >= wanted {
                self.send().await?;
                continue;
            }
            let chunk = bytes.split_to(bytes.len().min(wanted - self.part.bytes));
            self.part.bytes += chunk.len();
            self.part.chunks.push(chunk);
        }
        Ok(())
    }

    /// Sends the part that is gathered.
    async fn send(&mut self) -> Result<()> {
        let part = mem::take(&mut self.part);
        if let Some(sha) = &mut self.sha {
            sha.update(&part).await?;
        }
        let (held, max) = (Arc::clone(&self.held), self.max_in_flight);
        self.open().await?.send(part, held, max).await
    }

    /// The multipart upload, which is opened if need be.
    async fn open(&mut self) -> Result<&mut OpenUpload> {
        let opened = match self.multipart.take() {
            Some(opened) => opened,
            None => {
                let id = self.uploads.create_multipart(&self.path).await?;
                let uploads = Arc::clone(&self.uploads);
                OpenUpload::new(uploads, self.path.clone(), id, self.how != Create::Hidden)
            }
        };
        Ok(self.multipart.insert(opened))
    }

    pub(super) async fn finish(mut self) -> Result<Finished> {
        if self.multipart.is_none() {
            return self.put().await;
        }
        if self.part.bytes > 0 {
            self.send().await?;
        }
        let mut opened = self.multipart.take().expect("there is one, see above");
        let parts = opened.sent().await?;
        if let Some(sha) = self.sha {
            let sha256 = hex(sha.idle().await?);
            let parts = parts.into_iter().map(|part| part.content_id).collect();
            return Ok(Finished::Hidden(HiddenObject { sha256, parts }));
        }
        if self.how == Create::New && is_there(&self.store, &self.path).await? {
            opened.abort().await;
            return Ok(Finished::Taken);
        }
        opened.complete(parts).await?;
        Ok(Finished::Named)
    }

    /// Puts a small object at once.
    async fn put(self) -> Result<Finished> {
        let objects = self.store.objects();
        let bytes = PutPayload::from_iter(self.part.chunks);
        let put =
            |mode: PutMode| objects.put_opts(&self.path, bytes.clone(), PutOptions::from(mode));
        if self.how == Create::New {
            match put(PutMode::Create).await {
                Ok(_) => return Ok(Finished::Named),
                // A put that was sent again meets its own success.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    let found = objects.get(&self.path).await?.bytes().await?;
                    let is_ours = found == Bytes::from(bytes);
                    return Ok(if is_ours { Finished::Named } else { Finished::Taken });
                }
                // There is no better on such a store than to look.
                Err(object_store::Error::NotSupported { .. }) => {
                    if is_there(&self.store, &self.path).await? {
                        return Ok(Finished::Taken);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        put(PutMode::Overwrite).await?;
        Ok(Finished::Named)
    }
}

async fn is_there(store: &Store, path: &Path) -> Result<bool> {
    match store.objects().head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
