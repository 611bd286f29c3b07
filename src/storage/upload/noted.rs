//! Uploads that are noted beside their objects: those of processes that died are found and ended.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt};
use uuid::Uuid;

use super::note::{self, SILENCE, UploadNote, is_upload_note};
use crate::error::{Error, Result};
use crate::storage::local::blocking;
use crate::storage::location::Location;
use crate::storage::store::Store;

/// How often an abort of an upload is tried.
const ABORTS: u32 = 3;

/// An upload with a note.
#[derive(Clone, Debug)]
pub struct NotedUpload {
    /// The object it shall become.
    pub object: Path,
    /// The id of the upload.
    pub id: String,
    note: ObjectMeta,
    lock: Option<Uuid>,
}

impl NotedUpload {
    /// Those below `location`, and of the object at `location`, sorted by object.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn all(store: &Store, location: &Location) -> Result<Vec<Self>> {
        let mut found = Self::in_folder(store, location.path(), |_| true).await?;
        let object = location.path();
        if object.filename().is_some() {
            let is_of_it = |upload: &Self| upload.object == *object;
            found.extend(Self::in_folder(store, &note::folder(object), is_of_it).await?);
        }
        found.sort_by(|one, other| one.object.cmp(&other.object));
        Ok(found)
    }

    /// Those of one object.
    pub(super) async fn of(store: &Store, object: &Path) -> Result<Vec<Self>> {
        Self::in_folder(store, &note::folder(object), |upload| upload.object == *object).await
    }

    async fn in_folder(
        store: &Store,
        folder: &Path,
        is_wanted: impl Fn(&Self) -> bool,
    ) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut listed = store.objects().list(Some(folder));
        while let Some(meta) = listed.try_next().await? {
            if is_upload_note(meta.location.as_ref()) {
                found.extend(Self::read(store, meta).await?.filter(&is_wanted));
            }
        }
        Ok(found)
    }

    /// The upload of a note; `None` if the note is gone or says something else.
    async fn read(store: &Store, meta: ObjectMeta) -> Result<Option<Self>> {
        let bytes = match store.objects().get(&meta.location).await {
            Ok(found) => found.bytes().await?,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(said) = serde_json::from_slice::<UploadNote>(&bytes) else { return Ok(None) };
        let Ok(object) = Path::parse(&said.path) else { return Ok(None) };
        // A note may say anything: no other name than that of a lock is made of it.
        let lock = said.lock.and_then(|number| Uuid::parse_str(&number).ok());
        Ok(Some(Self { object, id: said.id, note: meta, lock }))
    }

    /// The server's time in seconds, by a file put beside the note: below a place that may be an object
    /// some servers take nothing.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn server_time(&self, store: &Store) -> Result<i64> {
        let name = format!("time-{}", Uuid::now_v7().simple());
        let path = note::folder(&self.object).join(name);
        store.objects().put(&path, "time".into()).await?;
        let time = store.objects().head(&path).await?.last_modified.timestamp();
        store.objects().delete(&path).await?;
        Ok(time)
    }

    /// Whether its process is dead, at the server's time `now` in seconds, where it was asked.
    pub async fn is_dead(&self, now: Option<i64>) -> bool {
        if let Some(lock) = self.lock
            && let Ok(Some(is_free)) = blocking(move || Ok(note::is_lock_free(lock))).await
        {
            return is_free;
        }
        now.is_some_and(|now| now - self.note.last_modified.timestamp() > SILENCE)
    }

    /// Ends it and removes its note, which stays if that fails.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn end(self, store: &Store) -> Result<()> {
        abort_upload(store, &self.object, &self.id).await?;
        match store.objects().delete(&self.note.location).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(lock) = self.lock {
            let remove = move || {
                note::remove_lock(lock);
                Ok(())
            };
            blocking(remove).await?;
        }
        Ok(())
    }
}

/// Ends what dead processes left of the object, now that a note of our own shows the server's time.
/// What cannot be ended is said, and stays for the next.
pub(super) async fn end_others(store: &Store, object: &Path, ours: &Path) {
    let ended = async {
        let mut others = NotedUpload::of(store, object).await?;
        others.retain(|upload| upload.note.location != *ours);
        if others.is_empty() {
            return Ok(());
        }
        let now = store.objects().head(ours).await?.last_modified.timestamp();
        for upload in others {
            if upload.is_dead(Some(now)).await {
                tracing::info!("ending an upload of '{object}' whose process died");
                upload.end(store).await?;
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = ended.await {
        tracing::debug!("earlier uploads of '{object}' were not looked for: {error}");
    }
}

/// Ends an upload. One that is gone already is fine: servers then answer "not found", or that it may not
/// be aborted.
///
/// # Errors
/// If it may still be there.
pub(crate) async fn abort_upload(store: &Store, object: &Path, id: &String) -> Result<()> {
    let Some(uploads) = store.uploads() else { return Ok(()) };
    let mut attempt = 0;
    loop {
        match uploads.abort_multipart(object, id).await {
            Ok(())
            | Err(
                StoreError::NotFound { .. }
                | StoreError::PermissionDenied { .. }
                | StoreError::Unauthenticated { .. },
            ) => return Ok(()),
            Err(error) if attempt + 1 == ABORTS => return Err(error.into()),
            Err(error) => tracing::debug!("upload of '{object}' was not aborted: {error}"),
        }
        store.pause(std::time::Duration::from_millis(100 << attempt)).await;
        attempt += 1;
    }
}
