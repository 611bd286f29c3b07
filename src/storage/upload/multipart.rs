//! A multipart upload that is open: parts on their way, and its end.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use datafusion::common::runtime::JoinSet;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, PutPayload};

use super::note::OpenNote;
use super::parts::PART_BYTES;
use crate::cleanup;
use crate::error::{Error, Result};

/// Parts of one object on their way at a time.
pub(super) const MAX_PARTS_IN_FLIGHT: usize = 4;

/// Bytes of one object on their way at a time, unless one part has more.
const MAX_BYTES_IN_FLIGHT: u64 = MAX_PARTS_IN_FLIGHT as u64 * PART_BYTES;

/// A part that is gathered.
#[derive(Default)]
pub(super) struct Part {
    pub(super) chunks: Vec<Bytes>,
    pub(super) bytes: usize,
}

/// A multipart upload that is open.
pub(super) struct OpenUpload {
    uploads: Arc<dyn MultipartStore>,
    path: Path,
    pub(super) id: String,
    /// Whether it is aborted when this is dropped.
    is_ours: bool,
    note: Option<OpenNote>,
    parts: Vec<Option<PartId>>,
    in_flight: JoinSet<object_store::Result<SentPart>>,
    bytes_in_flight: u64,
}

struct SentPart {
    number: usize,
    bytes: usize,
    id: PartId,
}

impl OpenUpload {
    pub(super) fn new(
        uploads: Arc<dyn MultipartStore>,
        path: Path,
        id: String,
        is_ours: bool,
        note: Option<OpenNote>,
    ) -> Self {
        let (parts, in_flight) = (Vec::new(), JoinSet::new());
        Self { uploads, path, id, is_ours, note, parts, in_flight, bytes_in_flight: 0 }
    }

    /// Sends a part when others have made room for it.
    pub(super) async fn send(
        &mut self,
        part: Part,
        held: Arc<AtomicUsize>,
        max: usize,
    ) -> Result<()> {
        let bytes = part.bytes;
        while self.in_flight.len() >= max
            || (self.bytes_in_flight + bytes as u64 > MAX_BYTES_IN_FLIGHT
                && !self.in_flight.is_empty())
        {
            self.receive().await?;
        }
        let number = self.parts.len();
        self.parts.push(None);
        self.bytes_in_flight += bytes as u64;
        let (uploads, path, id) = (Arc::clone(&self.uploads), self.path.clone(), self.id.clone());
        self.in_flight.spawn(async move {
            let payload = PutPayload::from_iter(part.chunks);
            let id = uploads.put_part(&path, &id, number, payload).await?;
            held.fetch_sub(bytes, Ordering::Relaxed);
            Ok(SentPart { number, bytes, id })
        });
        Ok(())
    }

    /// How many parts were sent.
    pub(super) fn count(&self) -> usize {
        self.parts.len()
    }

    /// Waits for one part.
    async fn receive(&mut self) -> Result<()> {
        let Some(sent) = self.in_flight.join_next().await else { return Ok(()) };
        let sent =
            sent.map_err(|cause| Error::internal("a part was not sent").caused_by(cause))??;
        self.bytes_in_flight -= sent.bytes as u64;
        self.parts[sent.number] = Some(sent.id);
        Ok(())
    }

    /// Waits for all parts.
    pub(super) async fn sent(&mut self) -> Result<Vec<PartId>> {
        while !self.in_flight.is_empty() {
            self.receive().await?;
        }
        Ok(mem::take(&mut self.parts).into_iter().flatten().collect())
    }

    pub(super) async fn complete(&mut self, parts: Vec<PartId>) -> Result<()> {
        self.uploads.complete_multipart(&self.path, &self.id, parts).await?;
        self.forget().await;
        Ok(())
    }

    pub(super) async fn abort(&mut self) {
        self.is_ours = false;
        abort(&*self.uploads, &self.path, &self.id, self.note.take()).await;
    }

    /// There is no upload any more.
    pub(super) async fn forget(&mut self) {
        self.is_ours = false;
        if let Some(note) = self.note.take() {
            note.remove().await;
        }
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        if self.is_ours {
            let (uploads, path) = (Arc::clone(&self.uploads), self.path.clone());
            let (id, note) = (mem::take(&mut self.id), self.note.take());
            cleanup::spawn(async move { abort(&*uploads, &path, &id, note).await });
        }
    }
}

/// Aborts an upload; its note stays if that fails.
async fn abort(
    uploads: &dyn MultipartStore,
    path: &Path,
    id: &MultipartId,
    note: Option<OpenNote>,
) {
    match (uploads.abort_multipart(path, id).await, note) {
        (Ok(()), Some(note)) => note.remove().await,
        (Ok(()), None) => {}
        (Err(error), _) => {
            tracing::warn!("the unfinished upload of '{path}' was not removed: {error}");
        }
    }
}
