//! A new object in a store: one put, or a multipart upload.
//!
//! In memory are the part that is gathered and the parts on their way: of those four, or as many as
//! have 32 MiB together, but at least one.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use object_store::PutPayload;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::create::{Create, Finished, HiddenObject};
use super::multipart::{MAX_PARTS_IN_FLIGHT, OpenUpload, Part};
use super::naming::{Unnamed, Whole};
use super::note::OpenNote;
use super::noted;
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
    /// Whether parts stay when this process is killed.
    leaves_parts: bool,
    size: u64,
    part: Part,
    /// Bytes gathered and on their way.
    held: Arc<AtomicUsize>,
    /// `None` as long as one put may be enough.
    multipart: Option<OpenUpload>,
    /// Of the parts that were sent.
    sha: Hash,
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
            leaves_parts: location.scheme() != Scheme::Memory,
            size: 0,
            part: Part::default(),
            held: Arc::default(),
            multipart: None,
            sha: Hash::Idle(Sha256::new()),
        };
        if how == Create::Hidden {
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
        self.sha.update(&part).await?;
        let (held, max) = (Arc::clone(&self.held), self.max_in_flight);
        self.open().await?.send(part, held, max).await
    }

    /// The multipart upload, which is opened if need be.
    async fn open(&mut self) -> Result<&mut OpenUpload> {
        let opened = match self.multipart.take() {
            Some(opened) => opened,
            None => {
                let id = self.uploads.create_multipart(&self.path).await?;
                let is_ours = self.how != Create::Hidden;
                let note = match is_ours && self.leaves_parts {
                    true => OpenNote::put(&self.store, &self.path, &id).await,
                    false => None,
                };
                if let Some(note) = &note {
                    noted::end_others(&self.store, &self.path, note.path()).await;
                }
                let uploads = Arc::clone(&self.uploads);
                OpenUpload::new(uploads, self.path.clone(), id, is_ours, note)
            }
        };
        Ok(self.multipart.insert(opened))
    }

    pub(super) async fn finish(mut self) -> Result<Finished> {
        if self.multipart.is_some() && self.part.bytes > 0 {
            self.send().await?;
        }
        let whole = match self.multipart {
            None => Whole::Here(PutPayload::from_iter(self.part.chunks)),
            Some(mut upload) => {
                let parts = upload.sent().await?;
                let sha256 = hex(self.sha.idle().await?);
                if self.how == Create::Hidden {
                    let parts = parts.into_iter().map(|part| part.content_id).collect();
                    return Ok(Finished::Hidden(HiddenObject { sha256, parts }));
                }
                Whole::Sent { upload: Box::new(upload), parts, sha256 }
            }
        };
        let unnamed = Unnamed {
            store: &self.store,
            path: &self.path,
            shown: &self.shown,
            replaces: self.how == Create::Replace,
            size: self.size,
        };
        unnamed.name(whole).await
    }
}
