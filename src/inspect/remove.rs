//! What may be removed, and how.
//!
//! One object is removed when it is named. A folder, or what matches a pattern, has to be allowed,
//! and so has anything of a dataset: its files belong together, and [`gc`](crate::table::commit::gc)
//! removes what is left over. A dataset loses its name first, so that no reader finds half of it.
//! Symbolic links are removed, never followed.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use object_store::path::Path;

use super::entries::{self, Found};
use crate::error::{Error, Result};
use crate::storage::{LocalFiles, Location, Stores};
use crate::table::dataset_around;

/// What else than single objects may be removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Folders and patterns.
    pub many: bool,
    /// Datasets and parts of them.
    pub datasets: bool,
}

/// What is removed with one location.
#[derive(Clone, Debug)]
pub struct Doomed {
    /// The location.
    pub location: Location,
    /// Objects.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    keys: Vec<Path>,
    is_folder: bool,
}

/// Finds what removing `location` means; nothing is removed yet.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is nothing, of kind
/// [`Usage`](crate::error::Kind::Usage) if it is more than is `allowed`; or if storage fails.
pub async fn look(stores: &Arc<Stores>, location: &Location, allowed: Allowed) -> Result<Doomed> {
    let (base, is_folder, found) = match location.glob() {
        Some(_) => {
            let base = location.join("");
            let mut found = entries::objects_below(stores, &base).await?;
            found.retain(|(name, _)| entries::matched_part(location, &base, name).is_some());
            if found.is_empty() {
                return Err(entries::no_match(location));
            }
            (base, false, found)
        }
        None => match entries::look(stores, location).await? {
            Found::Object(meta) => (location.clone(), false, vec![(String::new(), meta)]),
            Found::Folder => {
                let found = entries::objects_below(stores, location).await?;
                (location.clone(), true, found)
            }
        },
    };
    let (files, bytes) = (found.len() as u64, found.iter().map(|(_, meta)| meta.size).sum());
    if is_folder && location.local_path().is_some() && location.path().is_root() {
        return Err(Error::usage(format!("'{location}' is the root of all files")));
    }
    if !allowed.datasets {
        let names = found.iter().map(|(name, _)| name.as_str());
        refuse_datasets(stores, &base, location, names).await?;
    }
    if !allowed.many && (is_folder || location.glob().is_some()) {
        return Err(Error::usage(format!(
            "'{location}' stands for {files} files of {bytes} bytes: pass --yes to remove all of \
             them"
        )));
    }
    let keys = found.into_iter().map(|(_, meta)| meta.location).collect();
    Ok(Doomed { location: location.clone(), files, bytes, keys, is_folder })
}

/// Whether readers find a dataset by this file.
fn is_sign(path: &str) -> bool {
    path == "_SUCCESS" || path.ends_with("/_SUCCESS") || is_manifest(path)
}

fn is_manifest(path: &str) -> bool {
    let mut segments = path.rsplit('/');
    segments.next().is_some_and(|name| name.ends_with(".json"))
        && segments.next() == Some("_manifest")
}

/// Refuses a dataset, a part of one, and a folder with one in it.
async fn refuse_datasets<'a>(
    stores: &Arc<Stores>,
    base: &Location,
    location: &Location,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let refused = |dataset: &dyn std::fmt::Display, what: &str| {
        Err(Error::usage(format!(
            "'{location}' {what} the dataset '{dataset}': pass --dataset to remove it all the same"
        )))
    };
    if let Some(within) = dataset_around(stores, base).await? {
        let what = if within.path.is_empty() { "is" } else { "is in" };
        return refused(&within.dataset, what);
    }
    match names.find(|name| is_manifest(name)) {
        Some(manifest) => {
            let end = manifest.find("/_manifest/").unwrap_or(0);
            refused(&base.join(&manifest[..end]), "holds")
        }
        None => Ok(()),
    }
}

/// Removes it. That an object is gone already is fine.
///
/// # Errors
/// If storage fails; what was removed before is gone.
pub async fn remove(stores: &Stores, doomed: Doomed) -> Result<()> {
    let store = stores.open(&doomed.location)?;
    if let (Some(files), true, Some(folder)) =
        (store.files().cloned(), doomed.is_folder, doomed.location.local_path())
    {
        let folder = folder.to_owned();
        return remove_folder(files, folder).await;
    }
    // Keys of one call are removed in any order.
    let (signs, rest): (Vec<_>, Vec<_>) =
        doomed.keys.into_iter().partition(|key| is_sign(key.as_ref()));
    for keys in [signs, rest] {
        let keys = stream::iter(keys.into_iter().map(Ok)).boxed();
        let mut removed = store.objects().delete_stream(keys);
        while let Some(removed) = removed.next().await {
            match removed {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Removes a local folder, the manifests of datasets in it first.
async fn remove_folder(files: LocalFiles, folder: std::path::PathBuf) -> Result<()> {
    let work = move || {
        if folder.is_symlink() {
            return files.remove_dir(&folder).map(drop);
        }
        files.remove(&folder.join("_SUCCESS"))?;
        files.remove_dir(&folder.join("_manifest"))?;
        files.remove_dir(&folder).map(drop)
    };
    let removed = datafusion::common::runtime::SpawnedTask::spawn_blocking(work).await;
    removed.map_err(|cause| Error::internal("a folder was not removed").caused_by(cause))?
}
