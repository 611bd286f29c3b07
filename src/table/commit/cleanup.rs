//! What runs and old versions leave, removed: never by a prefix, only by the names in records, journals
//! and manifests.

use std::collections::BTreeSet;

use super::liveness::{self, Holder};
use super::names;
use super::place::DatasetRoot;
use super::record::{self, Prepared, StagedFile, UploadRecord};
use super::versions;
use crate::error::{Error, Result};
use crate::storage::{self, blocking};
use crate::table::manifest::Manifest;

/// How many records of ended runs are kept.
const KEPT_RECORDS: usize = 20;

/// Deletes the files of a run that is not published, but for those of text, whose names belong to the
/// current version too.
pub(super) async fn remove_files(place: &DatasetRoot, prepared: &Prepared) -> Result<()> {
    let current = versions::current(place).await?;
    let kept: BTreeSet<_> =
        current.iter().flat_map(|current| &current.files).map(|file| &file.path).collect();
    let own = prepared.staged.iter().map(|staged| &staged.file.path);
    let gone: Vec<_> = own.filter(|path| !kept.contains(path)).cloned().collect();
    place.delete(gone.clone()).await?;
    remove_empty_dirs(place, gone).await
}

/// Exactly the files that the base names and the new version does not. No later version names them: what is
/// published again gets new names.
pub(super) async fn replaced(place: &DatasetRoot, manifest: &Manifest) -> Result<Vec<String>> {
    let Some(base) = versions::version(place, manifest.base).await? else {
        return Ok(Vec::new());
    };
    let kept: BTreeSet<_> = manifest.files.iter().map(|file| &file.path).collect();
    let paths = base.files.iter().map(|file| &file.path);
    Ok(paths.filter(|path| !kept.contains(path)).cloned().collect())
}

/// Those of `paths` that are data files of runs which `is_of` accepts, and that no version names.
pub(super) async fn unnamed(
    place: &DatasetRoot,
    paths: impl Iterator<Item = String>,
    is_of: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let of_run = |path: &String| names::run_of_data(path).is_some_and(&is_of);
    let mut paths: BTreeSet<_> = paths.filter(of_run).collect();
    if !paths.is_empty() {
        for name in versions::names(place).await?.into_values() {
            for file in versions::read(place, &name).await?.files {
                paths.remove(&file.path);
            }
        }
    }
    Ok(paths.into_iter().collect())
}

/// Refuses data files that a symbolic link under the dataset would lead elsewhere.
pub(super) async fn refuse_links(place: &DatasetRoot, paths: Vec<String>) -> Result<()> {
    let Some((_, root)) = place.local("") else { return Ok(()) };
    blocking(move || {
        for path in paths {
            let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
            let mut parts = ends.map(|end| root.join(&path[..end]));
            if let Some(link) = parts.find(|part| part.is_symlink()) {
                return Err(Error::data(format!(
                    "'{}' is a symbolic link inside a dataset: replace it by a directory",
                    link.display()
                )));
            }
        }
        Ok(())
    })
    .await
}

/// Deletes data files, and the local directories this leaves empty.
pub(super) async fn delete_files(place: &DatasetRoot, gone: Vec<String>) -> Result<()> {
    refuse_links(place, gone.clone()).await?;
    let emptied = gone.clone();
    place.delete(gone).await?;
    remove_empty_dirs(place, emptied).await
}

/// Removes what a run staged: local parts, its journal, and the uploads in it that `staged` does
/// not name (an attempt that failed); those that it names are completed.
pub(super) async fn remove_stage(
    place: &DatasetRoot,
    run: &str,
    staged: &[StagedFile],
) -> Result<()> {
    let named: BTreeSet<_> =
        staged.iter().map(|staged| names::upload(run, &staged.file.path)).collect();
    let uploads = names::uploads(run);
    let parts = names::parts(run);
    let mut leftovers = place.list(&names::of_run(run, "")).await?;
    leftovers.retain(|path| path.starts_with(&uploads) || path.starts_with(&parts));
    let mut over = Vec::with_capacity(leftovers.len());
    for path in leftovers {
        let is_upload = path.starts_with(&uploads) && !named.contains(&path);
        if !is_upload || abort_upload(place, &path).await? {
            over.push(path);
        }
    }
    place.delete(over).await?;
    remove_empty_dirs(place, [parts]).await
}

/// Removes what a run that is over still holds: what it staged, and what it kept to go on from.
pub(super) async fn remove_rest(
    place: &DatasetRoot,
    run: &str,
    staged: &[StagedFile],
) -> Result<()> {
    remove_stage(place, run, staged).await?;
    let kept = place.list(&names::checkpoint(run, "")).await?;
    place.delete(kept.clone()).await?;
    remove_empty_dirs(place, kept).await
}

/// Aborts the upload of a journal entry; false if it may still be there, so that the entry has to
/// stay for the next who cleans.
async fn abort_upload(place: &DatasetRoot, path: &str) -> Result<bool> {
    let Some(bytes) = place.read(path).await? else { return Ok(true) };
    let Ok(upload) = serde_json::from_slice::<UploadRecord>(&bytes) else { return Ok(true) };
    let aborted = storage::abort_upload(&place.store, &place.key(&upload.path), &upload.id).await;
    if let Err(error) = &aborted {
        tracing::debug!("upload of '{}' was not aborted: {error}", upload.path);
    }
    Ok(aborted.is_ok())
}

/// Removes what a void run left. Where no lock proves that its process is dead, that may live after all:
/// the decision stays there, or it could take another.
pub(super) async fn remove_void(place: &DatasetRoot, run: &str) -> Result<()> {
    if place.is_of_one_machine().await? {
        return remove_run(place, run).await;
    }
    remove_stage(place, run, &[]).await?;
    let names = place.list(&names::of_run(run, "")).await?;
    let uploads = names::uploads(run);
    let decision = names::of_run(run, names::DECISION);
    let over = |name: &String| *name != decision && !name.starts_with(&uploads);
    place.delete(names.into_iter().filter(over)).await
}

/// Removes all that a run left which publishes nothing. Its record stays while an upload may.
pub(super) async fn remove_run(place: &DatasetRoot, run: &str) -> Result<()> {
    remove_stage(place, run, &[]).await?;
    let uploads = names::uploads(run);
    let names = place.list(&names::of_run(run, "")).await?;
    match names.iter().any(|name| name.starts_with(&uploads)) {
        true => Ok(()),
        false => remove_record(place, run).await,
    }
}

/// Removes the record of a run that is over, and the directories it leaves empty.
pub(super) async fn remove_record(place: &DatasetRoot, run: &str) -> Result<()> {
    let names = place.list(&names::of_run(run, "")).await?;
    // The decision goes last, so that a half-removed record is never taken for an open run.
    let ends = [names::DECISION, names::REPORT].map(|name| names::of_run(run, name));
    let (last, first): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| ends.contains(name));
    let mut emptied = first.clone();
    emptied.extend(last.clone());
    place.delete(first).await?;
    place.delete(last).await?;
    remove_empty_dirs(place, emptied).await
}

/// Removes all but the newest records of ended runs, and what dead runs before `run` kept: no
/// run goes on from there when a newer version is published.
pub(super) async fn forget_old_runs(place: &DatasetRoot, run: &str) -> Result<()> {
    let mut over = Vec::new();
    for (other, names) in record::runs(place).await? {
        if record::is_over(&names) {
            over.push(other);
        } else if other.as_str() < run
            && record::is_open(&names)
            && matches!(liveness::holder(place, &other, None).await?, Holder::Dead(_))
        {
            remove_record(place, &other).await?;
        }
    }
    for old in &over[..over.len().saturating_sub(KEPT_RECORDS)] {
        remove_record(place, old).await?;
    }
    Ok(())
}

/// Removes the local directories of `paths`, innermost first, as far as they are empty.
pub(super) async fn remove_empty_dirs(
    place: &DatasetRoot,
    paths: impl IntoIterator<Item = String>,
) -> Result<()> {
    let Some((files, root)) = place.local("") else { return Ok(()) };
    let paths: Vec<_> = paths.into_iter().collect();
    blocking(move || {
        let dirs: BTreeSet<_> = paths
            .iter()
            .flat_map(|path| path.match_indices('/').map(|(end, _)| root.join(&path[..end])))
            .collect();
        // A longer path sorts after its parent.
        dirs.iter().rev().try_for_each(|dir| files.remove_empty_dir(dir).map(drop))
    })
    .await
}
