//! The dataset's location with the few operations a commit is made of, for local files and object
//! stores alike. Paths are relative to the dataset.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::names;
use crate::error::{Error, Kind, Result};
use crate::storage::{LocalFiles, Location, Store, Stores, blocking};

/// How often a deletion is tried.
const DELETIONS: u32 = 3;

/// A dataset's location, opened.
#[derive(Clone, Debug)]
pub(crate) struct DatasetRoot {
    pub(crate) location: Location,
    pub(crate) store: Store,
}

impl DatasetRoot {
    /// Opens a location to read.
    pub(crate) fn at(stores: &Arc<Stores>, location: &Location) -> Result<Self> {
        Ok(Self { location: location.clone(), store: stores.open(location)? })
    }

    /// Opens a location to write.
    pub(crate) fn open(stores: &Arc<Stores>, location: &Location) -> Result<Self> {
        if location.glob().is_some() {
            return Err(Error::usage(format!(
                "output '{location}' is a pattern, expected one location"
            )));
        }
        let place = Self::at(stores, location)?;
        if place.store.files().is_none() && place.store.uploads().is_none() {
            return Err(Error::usage(format!(
                "output '{location}' is in a store without multipart uploads"
            )));
        }
        Ok(place)
    }

    /// The key of `relative` in the store.
    pub(crate) fn key(&self, relative: &str) -> Path {
        self.location.join(relative).path().clone()
    }

    /// The local file calls and the path of `relative`, if this is the local file system.
    pub(crate) fn local(&self, relative: &str) -> Option<(LocalFiles, PathBuf)> {
        let files = self.store.files()?.clone();
        Some((files, self.location.join(relative).local_path()?.to_owned()))
    }

    /// Whether all who can write here are on this machine, so that a lock is seen by all of them.
    pub(super) async fn is_of_one_machine(&self) -> Result<bool> {
        match self.local("") {
            Some((files, root)) => blocking(move || Ok(files.is_of_one_machine(&root))).await,
            None => Ok(false),
        }
    }

    /// Puts a small file, whatever was there.
    pub(crate) async fn replace(&self, relative: &str, bytes: Vec<u8>) -> Result<()> {
        if let Some((files, path)) = self.local(relative) {
            return blocking(move || files.replace(&path, &bytes)).await;
        }
        self.store.objects().put(&self.key(relative), bytes.into()).await?;
        Ok(())
    }

    /// Reads a small file; `None` if it is not there.
    pub(crate) async fn read(&self, relative: &str) -> Result<Option<Bytes>> {
        match self.store.objects().get(&self.key(relative)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Size and entity tag of a file; `None` if it is not there.
    pub(crate) async fn head(&self, relative: &str) -> Result<Option<ObjectMeta>> {
        match self.store.objects().head(&self.key(relative)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The server's time of a file, in seconds.
    pub(super) async fn time_of(&self, path: &str) -> Result<Option<i64>> {
        Ok(self.head(path).await?.map(|meta| meta.last_modified.timestamp()))
    }

    /// Whether this is one local file: some file systems fail to list below it.
    pub(crate) async fn is_local_file(&self) -> Result<bool> {
        match self.location.local_path().map(ToOwned::to_owned) {
            Some(path) => blocking(move || Ok(path.is_file())).await,
            None => Ok(false),
        }
    }

    /// The relative paths of everything under `prefix`, sorted. In a local file there is nothing.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if self.is_local_file().await? {
            return Ok(Vec::new());
        }
        let listed = self.store.objects().list(Some(&self.key(prefix)));
        let mut paths: Vec<_> =
            listed.map_ok(|meta| self.relative(&meta.location)).try_collect().await?;
        paths.sort_unstable();
        Ok(paths)
    }

    /// All files of the location with their sizes.
    pub(crate) async fn sizes(&self) -> Result<BTreeMap<String, u64>> {
        if self.is_local_file().await? {
            return Ok(BTreeMap::new());
        }
        let listed = self.store.objects().list(Some(self.location.path()));
        Ok(listed.map_ok(|meta| (self.relative(&meta.location), meta.size)).try_collect().await?)
    }

    /// Everything under `prefix`, by its relative path.
    pub(super) async fn listed(&self, prefix: &str) -> Result<BTreeMap<String, ObjectMeta>> {
        if self.is_local_file().await? {
            return Ok(BTreeMap::new());
        }
        let listed = self.store.objects().list(Some(&self.key(prefix)));
        Ok(listed.map_ok(|meta| (self.relative(&meta.location), meta)).try_collect().await?)
    }

    /// The first file of the location, in listing order, that `matches`.
    pub(crate) async fn find(&self, matches: impl Fn(&str) -> bool) -> Result<Option<String>> {
        let mut listed = self.store.objects().list(Some(self.location.path()));
        while let Some(meta) = listed.try_next().await? {
            let relative = self.relative(&meta.location);
            if matches(&relative) {
                return Ok(Some(relative));
            }
        }
        Ok(None)
    }

    /// Deletes files; that one is gone already is fine. The first other error is returned after all have
    /// been tried, and tried again: the client does not repeat a deletion whose answer was lost.
    pub(crate) async fn delete(&self, relative: impl IntoIterator<Item = String>) -> Result<()> {
        let keys: Vec<_> = relative.into_iter().map(|path| self.key(&path)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            let all = futures::stream::iter(keys.clone()).map(Ok).boxed();
            let mut deleted = self.store.objects().delete_stream(all);
            let mut first_error: Option<Error> = None;
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => first_error = first_error.or(Some(error.into())),
                }
            }
            attempt += 1;
            match first_error {
                None => return Ok(()),
                Some(error) if attempt == DELETIONS || is_final(&error) => return Err(error),
                Some(_) => self.store.pause(backoff(attempt)).await,
            }
        }
    }

    /// The relative paths of small local files that died on the way to their name, sorted.
    pub(crate) async fn leftovers(&self) -> Result<Vec<String>> {
        let Some((files, root)) = self.local("") else { return Ok(Vec::new()) };
        blocking(move || {
            if !root.is_dir() {
                return Ok(Vec::new());
            }
            let mut found = files.leftovers(&root, false)?;
            for records in [names::MANIFESTS, names::RUNS] {
                found.extend(files.leftovers(&root.join(records), true)?);
            }
            let relative = found.iter().filter_map(|path| path.strip_prefix(&root).ok()?.to_str());
            Ok(relative.map(str::to_owned).collect())
        })
        .await
    }

    /// Removes such files.
    pub(crate) async fn remove_leftovers(&self, relative: Vec<String>) -> Result<()> {
        let Some((files, root)) = self.local("") else { return Ok(()) };
        blocking(move || {
            relative.iter().try_for_each(|path| files.remove(&root.join(path)).map(drop))
        })
        .await
    }

    /// The file of a key in the store, as a location.
    pub(crate) fn show(&self, key: &Path) -> String {
        match key.prefix_matches(self.location.path()) {
            true => self.location.join(&self.relative(key)).to_string(),
            false if self.store.is_local() => format!("/{key}"),
            false => format!("{}/{key}", self.location.store_url()),
        }
    }

    /// The path of a key, relative to the dataset.
    pub(crate) fn relative(&self, key: &Path) -> String {
        let rest = key.as_ref().strip_prefix(self.location.path().as_ref()).unwrap_or(key.as_ref());
        rest.trim_start_matches('/').to_owned()
    }
}

/// How long at most to wait after try number `attempt`.
pub(super) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt)
}

/// Errors that another try cannot change.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(error.kind(), Kind::Denied | Kind::Configuration | Kind::InputMissing | Kind::Usage)
}

/// Manifests and records of more bytes take longer than a millisecond to read or write.
const LONG_BYTES: usize = 128 * 1024;
/// And so do lists of more files.
const LONG_FILES: usize = 256;

/// Reads a manifest or record of `bytes`; a long one on a thread that may block.
pub(crate) async fn parsing<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes > LONG_BYTES { blocking(work).await } else { work() }
}

/// Goes through a list of `files`; a long one on a thread that may block.
pub(crate) async fn listing<T: Send + 'static>(
    files: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if files > LONG_FILES { blocking(work).await } else { work() }
}
