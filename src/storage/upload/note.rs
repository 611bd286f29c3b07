//! A note beside an object that is uploaded in parts, so that the upload is found if its process dies: its
//! parts take space, no listing shows them, and many servers do not list open uploads.
//!
//! The note is put before the first part and removed with the upload: `dir/_uploads/x.csv-<number>.json`
//! for `dir/x.csv`. Readers of tables skip such folders. Its process lives while it holds the lock of a
//! file in the temporary directory of its machine, which the note names by a number, and elsewhere while the
//! note is put again every minute, by the clock of the server.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::storage::local::{LocalFiles, blocking};
use crate::storage::locked::Locked;
use crate::storage::store::Store;

/// How often a process says that it lives, at most, where a lock does not.
pub(crate) const BEAT: Duration = Duration::from_secs(60);

/// How long one that says so may be silent, in seconds.
pub(crate) const SILENCE: i64 = 15 * 60;

/// The folder of notes.
const FOLDER: &str = "_uploads";

/// Characters of an object's name in that of its note.
const NAME_CHARACTERS: usize = 100;

/// What a note says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UploadNote {
    /// The key of the object.
    pub(super) path: String,
    /// The id of the upload.
    pub(super) id: String,
    /// The number of the lock, if there is one: a UUID.
    pub(super) lock: Option<String>,
}

/// The folder with the notes of an object.
pub(super) fn folder(object: &Path) -> Path {
    let mut parts: Vec<_> = object.parts().collect();
    parts.pop();
    Path::from_iter(parts).join(FOLDER)
}

/// Whether a key, or a path, is that of a note.
pub(crate) fn is_upload_note(path: &str) -> bool {
    let folder = path.rsplit_once('/').map(|(folder, _)| folder);
    folder.is_some_and(|folder| folder.rsplit('/').next() == Some(FOLDER))
}

/// The note of an upload of this process.
#[derive(Debug)]
pub(super) struct OpenNote {
    store: Store,
    path: Path,
    lock: Option<LockFile>,
    _beat: SpawnedTask<()>,
}

impl OpenNote {
    /// Puts the note; `None` if that failed, which is said: the upload may go on.
    pub(super) async fn put(store: &Store, object: &Path, id: &str) -> Option<Self> {
        let lock = blocking(|| Ok(LockFile::create())).await.ok().flatten();
        let number = lock.as_ref().map(|lock| lock.number.simple().to_string());
        let note = UploadNote { path: object.to_string(), id: id.to_owned(), lock: number };
        let text = serde_json::to_vec(&note).expect("a note has only text");
        let name: String =
            object.filename().unwrap_or_default().chars().take(NAME_CHARACTERS).collect();
        let path = folder(object).join(format!("{name}-{}.json", Uuid::now_v7().simple()));
        if let Err(error) = store.objects().put(&path, text.clone().into()).await {
            tracing::warn!(
                "the upload of '{object}' has no note: if this process is killed, its parts stay until \
                 pleiad gc --uploads or a rule of the bucket ends it: {error}"
            );
            return None;
        }
        let (beating, beat_path) = (store.clone(), path.clone());
        let beat = SpawnedTask::spawn(async move {
            loop {
                beating.pause(BEAT).await;
                if let Err(error) = beating.objects().put(&beat_path, text.clone().into()).await {
                    tracing::debug!("'{beat_path}' was not put again: {error}");
                }
            }
        });
        Some(Self { store: store.clone(), path, lock, _beat: beat })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the note when its upload is over.
    pub(super) async fn remove(self) {
        drop(self._beat);
        if let Err(error) = self.store.objects().delete(&self.path).await {
            tracing::debug!("'{}' was not removed: {error}", self.path);
        }
        if let Some(lock) = self.lock {
            let remove = move || {
                remove_lock(lock.number);
                Ok(())
            };
            blocking(remove).await.ok();
        }
    }
}

/// A file whose lock this process holds.
#[derive(Debug)]
struct LockFile {
    number: Uuid,
    _file: Locked,
}

impl LockFile {
    /// `None` where there is no place for it, or none for locks that all who could ask see.
    fn create() -> Option<Self> {
        let number = Uuid::now_v7();
        let path = lock_path(number);
        if !LocalFiles::default().is_of_one_machine(&path) {
            return None;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { number, _file: Locked(file) })
    }
}

/// Whether the process that held a lock is dead; `None` if it was not on this machine.
pub(super) fn is_lock_free(number: Uuid) -> Option<bool> {
    let file = File::open(lock_path(number)).ok()?;
    Some(file.try_lock().is_ok())
}

/// Removes the file of a lock.
pub(super) fn remove_lock(number: Uuid) {
    fs::remove_file(lock_path(number)).ok(); // one that stays in a temporary directory does no harm
}

fn lock_path(number: Uuid) -> PathBuf {
    std::env::temp_dir().join(format!("pleiad-upload-{}.lock", number.simple()))
}
