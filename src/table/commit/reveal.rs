//! Step 6: every staged file gets its name. Before the first does, all are known to be there; a file that
//! is gone for good is an answer, not an error, since no one can finish its run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::PartId;
use object_store::{Error as StoreError, ObjectStoreExt};

use super::place::DatasetRoot;
use super::record::{Prepared, Stage, StagedFile};
use crate::error::{Error, Kind, Result};
use crate::storage::{LocalFiles, blocking};

/// Uploads completed, and other small calls made, at the same time.
const AT_ONCE: usize = 16;

/// Who looks for staged files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finisher {
    /// The run itself, which has just had the answer of the store to every part.
    Itself,
    /// Another, perhaps long after.
    Another,
}

/// What became of a staged file.
enum Revealed {
    /// It has its name, and on an object store an entity tag.
    Named(Option<String>),
    /// Its bytes are nowhere.
    Lost,
}

/// The files of a decided run, as it calls them, whose bytes are gone for good. A file that has its name
/// already is there.
pub(super) async fn lost_files(place: &DatasetRoot, staged: &[StagedFile]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut lost = Vec::new();
    for staged in staged {
        let path = &staged.file.path;
        match &staged.stage {
            Stage::Kept(kept) => {
                let size = staged.file.size;
                if !has_size(place, kept, size).await? && !has_size(place, path, size).await? {
                    lost.push(path.clone());
                }
            }
            Stage::Part(part) => {
                let (Some((_, from)), Some((_, to))) = (place.local(part), place.local(path))
                else {
                    return Err(no_local_files());
                };
                files.push((from, to, staged.file.size, path.clone()));
            }
            Stage::Upload { id, parts } => {
                if !has_size(place, path, staged.file.size).await?
                    && place.store.holds_parts(&place.key(path), id, parts).await? == Some(false)
                {
                    lost.push(path.clone());
                }
            }
        }
    }
    if files.is_empty() {
        return Ok(lost);
    }
    let gone = blocking(move || {
        let has = |path: &Path, size: u64| path.metadata().is_ok_and(|meta| meta.len() == size);
        files.retain(|(from, to, size, _)| !has(from, *size) && !has(to, *size));
        Ok(files.into_iter().map(|(_, _, _, path)| path))
    });
    lost.extend(gone.await?);
    Ok(lost)
}

/// Gives every staged file its name, and the manifest its entity tag. A file that has it already is left
/// as it is. The answer is the files that are lost.
pub(super) async fn reveal(place: &DatasetRoot, prepared: &mut Prepared) -> Result<Vec<String>> {
    let revealed = stream::iter(&prepared.staged).map(|staged| reveal_file(place, staged));
    let revealed: Vec<_> = revealed.buffered(AT_ONCE).try_collect().await?;
    let mut lost = Vec::new();
    let mut e_tags: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (staged, revealed) in prepared.staged.iter().zip(revealed) {
        match revealed {
            Revealed::Named(e_tag) => drop(e_tags.insert(&staged.file.path, e_tag)),
            Revealed::Lost => lost.push(staged.file.path.clone()),
        }
    }
    for file in &mut prepared.manifest.files {
        if let Some(e_tag) = e_tags.get(file.path.as_str()) {
            file.e_tag.clone_from(e_tag);
        }
    }
    if let Some((files, root)) = place.local("") {
        let synced = stream::iter(directories(&root, &prepared.staged)).map(|dir| {
            let files = files.clone();
            blocking(move || files.sync_dir(&dir))
        });
        synced.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(lost)
}

/// The directories that got new names, up to the dataset's own.
fn directories(root: &Path, staged: &[StagedFile]) -> BTreeSet<PathBuf> {
    let parents = staged.iter().flat_map(|staged| {
        let mut parents: Vec<_> = staged.file.path.match_indices('/').map(|(end, _)| end).collect();
        parents.push(0);
        parents.into_iter().map(|end| root.join(&staged.file.path[..end]))
    });
    parents.collect()
}

async fn reveal_file(place: &DatasetRoot, staged: &StagedFile) -> Result<Revealed> {
    match &staged.stage {
        Stage::Kept(kept) => copy_kept(place, staged, kept).await,
        Stage::Part(part) => {
            let (files, from) = place.local(part).ok_or_else(no_local_files)?;
            let (_, to) = place.local(&staged.file.path).ok_or_else(no_local_files)?;
            let size = staged.file.size;
            blocking(move || rename_once(&files, &from, &to, size)).await
        }
        Stage::Upload { id, parts } => complete_upload(place, staged, id, parts).await,
    }
}

fn no_local_files() -> Error {
    Error::internal("a local part needs local files")
}

fn rename_once(files: &LocalFiles, from: &Path, to: &Path, size: u64) -> Result<Revealed> {
    let renamed = files.rename(from, to);
    // Somebody else, or this run before it was stopped, may have done it.
    match (renamed, from.try_exists(), to.metadata()) {
        (Ok(()), ..) => Ok(Revealed::Named(None)),
        (Err(_), Ok(false), Ok(meta)) if meta.len() == size => Ok(Revealed::Named(None)),
        (Err(_), Ok(false), Err(cause)) if cause.kind() == std::io::ErrorKind::NotFound => {
            Ok(Revealed::Lost)
        }
        (Err(error), ..) => Err(error),
    }
}

/// After an error HEAD decides, since the answer to a repeated completion differs by server.
async fn complete_upload(
    place: &DatasetRoot,
    staged: &StagedFile,
    id: &String,
    parts: &[String],
) -> Result<Revealed> {
    let uploads = place.store.uploads();
    let uploads = uploads.ok_or_else(|| Error::internal("an upload needs an object store"))?;
    let key = place.key(&staged.file.path);
    let mut tries = 0..2;
    loop {
        let sent = parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        let error = match uploads.complete_multipart(&key, id, sent).await {
            Ok(put) if put.e_tag.is_some() => return Ok(Revealed::Named(put.e_tag)),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        match (place.head(&staged.file.path).await?, error, tries.next()) {
            (Some(meta), _, _) if meta.size == staged.file.size => {
                return Ok(Revealed::Named(meta.e_tag));
            }
            (found, Some(error), None) => {
                let held = place.store.holds_parts(&key, id, parts).await?;
                let is_gone =
                    held.map_or(matches!(error, StoreError::NotFound { .. }), |held| !held);
                return match is_gone && found.is_none() {
                    true => Ok(Revealed::Lost),
                    false => Err(error.into()),
                };
            }
            (_, None, None) => {
                return Err(Error::new(
                    Kind::Retry,
                    format!("upload of '{}' was completed and is not there", staged.file.path),
                ));
            }
            (_, _, Some(_)) => {}
        }
    }
}

/// Whether there is an object of this size.
async fn has_size(place: &DatasetRoot, path: &str, size: u64) -> Result<bool> {
    Ok(place.head(path).await?.is_some_and(|meta| meta.size == size))
}

/// A file of an old version gets a second name, on local disks by a hard link.
async fn copy_kept(place: &DatasetRoot, staged: &StagedFile, kept: &str) -> Result<Revealed> {
    let path = &staged.file.path;
    if !has_size(place, path, staged.file.size).await? {
        match place.store.objects().copy(&place.key(kept), &place.key(path)).await {
            Err(StoreError::NotFound { .. }) => return Ok(Revealed::Lost),
            copied => copied?,
        }
    }
    Ok(Revealed::Named(match place.store.is_local() {
        true => None,
        false => place.head(path).await?.and_then(|meta| meta.e_tag),
    }))
}
