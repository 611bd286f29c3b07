//! The last four steps: prepare (the decision), reveal, publish, finish. Each can be repeated, by
//! the run itself or by whoever finds it unfinished, and ends the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::Error as StoreError;
use object_store::multipart::PartId;

use super::alive::{self, Holder};
use super::claims::{self, Claimed};
use super::place::{Created, Place, backoff, blocking};
use super::record::{self, Decision, Outcome, Prepared, Report, Stage, StagedFile, UploadRecord};
use super::versions::{self, current, published_by};
use super::{begin, probe};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, LocalFiles};
use crate::table::Mode;
use crate::table::manifest::{Manifest, TableRecord};
use crate::table::properties;

/// Uploads completed, and other small calls made, at a time.
const AT_ONCE: usize = 16;

/// How often an append starts from a newer version before it gives up.
const REBASES: usize = 10;

/// How often an upload is told to end.
const ABORTS: u32 = 3;

/// How many records of ended runs are kept.
const KEPT_RECORDS: usize = 20;

/// How a run ended.
pub(super) enum Settled {
    /// This is published, by this run.
    Published(Manifest),
    /// Another run published this version first; this run's files are removed.
    Lost(Manifest),
    /// What others published meanwhile cannot be appended to; this run's files are removed.
    Refused(Error),
}

/// Step 5: the decision, taken once. From here on the run is finished, not undone.
pub(super) async fn prepare(place: &Place, prepared: Prepared) -> Result<Prepared> {
    let run = prepared.manifest.run.clone();
    let decision = Decision::Publish(Box::new(prepared));
    let bytes = record::to_bytes(&decision);
    match (place.create(&record::path(&run, "prepared.json"), bytes).await?, decision) {
        (Created::Ours, Decision::Publish(prepared)) => Ok(*prepared),
        _ => Err(Error::new(
            Kind::Retry,
            format!(
                "run '{run}' was declared dead by another writer of '{}': run it again",
                place.location
            ),
        )),
    }
}

/// Steps 6 to 8. A run whose end is known already reveals nothing.
pub(super) async fn settle(place: &Place, mut prepared: Prepared) -> Result<Settled> {
    let settled = match verdict(place, &prepared).await? {
        Some(settled) => settled,
        None => match reveal_and_publish(place, &mut prepared).await {
            Ok(settled) => settled,
            // Another may have finished this run meanwhile, and a third replaced its files.
            Err(error) => verdict(place, &prepared).await?.ok_or(error)?,
        },
    };
    if !matches!(settled, Settled::Published(_)) {
        remove_files(place, &prepared).await?;
    }
    if let Err(error) = finish(place, &prepared, &settled).await {
        tracing::warn!(
            "run '{}' of '{}' has ended, but cleaning up failed; the next run repeats it: {error}",
            prepared.manifest.run,
            place.location
        );
    }
    Ok(settled)
}

async fn reveal_and_publish(place: &Place, prepared: &mut Prepared) -> Result<Settled> {
    if prepared.manifest.base > 0 {
        // Readers that only list trust a listing beside this file.
        place.delete(["_SUCCESS".to_owned()]).await?;
    }
    reveal(place, prepared).await?;
    publish(place, prepared).await
}

/// How the run ends, if the versions after its base tell it already.
async fn verdict(place: &Place, prepared: &Prepared) -> Result<Option<Settled>> {
    let manifest = &prepared.manifest;
    let Some(newest) = current(place).await?.filter(|newest| newest.version > manifest.base) else {
        return Ok(None);
    };
    if let Some(ours) = published_by(place, manifest).await? {
        return Ok(Some(Settled::Published(ours)));
    }
    Ok(match manifest.mode {
        Mode::Append => rebase(manifest, &prepared.staged, &newest).err().map(Settled::Refused),
        Mode::Error | Mode::Overwrite | Mode::Ignore => Some(Settled::Lost(newest)),
    })
}

/// Step 6: gives every staged file its name. A file that has it already is left as it is.
pub(super) async fn reveal(place: &Place, prepared: &mut Prepared) -> Result<()> {
    let revealed = stream::iter(&prepared.staged).map(|staged| reveal_file(place, staged));
    let e_tags: Vec<Option<String>> = revealed.buffered(AT_ONCE).try_collect().await?;
    let e_tags: BTreeMap<_, _> =
        prepared.staged.iter().map(|staged| staged.file.path.clone()).zip(e_tags).collect();
    for file in &mut prepared.manifest.files {
        if let Some(e_tag) = e_tags.get(&file.path) {
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
    Ok(())
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

async fn reveal_file(place: &Place, staged: &StagedFile) -> Result<Option<String>> {
    let path = &staged.file.path;
    match &staged.stage {
        Stage::Part(part) => {
            let missing = || Error::internal("a local part needs local files");
            let (files, from) = place.local(part).ok_or_else(missing)?;
            let (_, to) = place.local(path).ok_or_else(missing)?;
            let size = staged.file.size;
            blocking(move || rename_once(&files, &from, &to, size)).await?;
            Ok(None)
        }
        Stage::Upload { id, parts } => complete_upload(place, staged, id, parts).await,
    }
}

fn rename_once(files: &LocalFiles, from: &Path, to: &Path, size: u64) -> Result<()> {
    match files.rename(from, to) {
        Ok(()) => Ok(()),
        // Somebody else, or this run before it was stopped, has done it.
        Err(_) if !from.exists() && to.metadata().is_ok_and(|meta| meta.len() == size) => Ok(()),
        Err(error) => Err(error),
    }
}

/// After an error HEAD decides, since the answer to a repeated completion differs by server.
async fn complete_upload(
    place: &Place,
    staged: &StagedFile,
    id: &String,
    parts: &[String],
) -> Result<Option<String>> {
    let uploads = place.store.uploads();
    let uploads = uploads.ok_or_else(|| Error::internal("an upload needs an object store"))?;
    let key = place.key(&staged.file.path);
    let mut tries = 0..2;
    loop {
        let parts = parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        let error = match uploads.complete_multipart(&key, id, parts).await {
            Ok(put) if put.e_tag.is_some() => return Ok(put.e_tag),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        match (place.head(&staged.file.path).await?, error, tries.next()) {
            (Some(meta), _, _) if meta.size == staged.file.size => return Ok(meta.e_tag),
            (_, Some(error), None) => return Err(error.into()),
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

/// Step 7: puts the manifest, create-only. Whatever was answered, whose run id stands there counts.
pub(super) async fn publish(place: &Place, prepared: &mut Prepared) -> Result<Settled> {
    for _ in 0..=REBASES {
        let manifest = &prepared.manifest;
        let Some(theirs) = put(place, manifest).await? else {
            return Ok(Settled::Published(manifest.clone()));
        };
        if theirs.run == manifest.run {
            return Ok(Settled::Published(theirs));
        }
        let newer = current(place).await?.filter(|newer| newer.version >= theirs.version);
        // Whoever found this run unfinished may have published it meanwhile. Asked after the newest
        // version is known: it must not be one that holds this run's files.
        if let Some(ours) = published_by(place, manifest).await? {
            return Ok(Settled::Published(ours));
        }
        if manifest.mode != Mode::Append {
            return Ok(Settled::Lost(theirs));
        }
        let newer = newer.unwrap_or(theirs);
        match rebase(manifest, &prepared.staged, &newer) {
            Ok(rebased) => prepared.manifest = rebased,
            Err(error) => return Ok(Settled::Refused(error)),
        }
    }
    Err(Error::new(
        Kind::Retry,
        format!("'{}' has so many writers that this append found no turn", place.location),
    ))
}

/// Puts a manifest under its version; the manifest that stands in its way, if one does.
async fn put(place: &Place, manifest: &Manifest) -> Result<Option<Manifest>> {
    if probe::create_only(place).await? == CreateOnly::Enforced {
        let path = Manifest::path(manifest.version);
        return match place.create(&path, manifest.to_bytes()).await? {
            Created::Ours => Ok(None),
            Created::Theirs(bytes) => {
                Manifest::parse(&bytes, &place.location.join(&path).to_string()).map(Some)
            }
        };
    }
    match claims::publish(place, manifest).await? {
        Claimed::Ours => Ok(None),
        Claimed::Taken(theirs) => Ok(Some(*theirs)),
    }
}

/// The error of a run whose place in the order was taken.
pub(super) fn lost(place: &Place, version: u64) -> Error {
    Error::new(
        Kind::Retry,
        format!(
            "another run published version {version} of '{}' while this one wrote: nothing of it \
             was published, run it again",
            place.location
        ),
    )
}

/// The manifest of an append, on top of `base`.
pub(super) fn rebase(
    manifest: &Manifest,
    staged: &[StagedFile],
    base: &Manifest,
) -> Result<Manifest> {
    refuse_to_grow(base)?;
    let mut tables: BTreeMap<&str, TableRecord> =
        base.tables.iter().map(|table| (table.name.as_str(), table.clone())).collect();
    for table in &manifest.tables {
        let old = tables.get(table.name.as_str());
        // A table only the base had is here by an earlier rebase.
        let merged = old.map_or_else(|| Ok(table.clone()), |old| old.appended(table))?;
        tables.insert(&table.name, merged);
    }
    let own: BTreeSet<&str> = staged.iter().map(|staged| staged.file.path.as_str()).collect();
    let new_files = manifest.files.iter().filter(|file| own.contains(file.path.as_str()));
    let mut properties = base.properties.clone();
    properties.extend(manifest.properties.clone());
    Ok(Manifest {
        version: base.version + 1,
        base: base.version,
        tables: tables.into_values().collect(),
        files: base.files.iter().chain(new_files).cloned().collect(),
        properties,
        ..manifest.clone()
    })
}

/// Refuses to add rows to what a driver made: its blocks and counts are those of all rows.
pub(super) fn refuse_to_grow(base: &Manifest) -> Result<()> {
    let of_blocks = (!base.blocks.is_empty()).then_some("partition");
    match base.properties.get("driver").map(String::as_str).or(of_blocks) {
        Some(driver) => Err(Error::usage(format!(
            "'{}' was made by pleiad {driver}, whose counts would not hold with more rows: run it anew",
            base.location
        ))),
        None => Ok(()),
    }
}

async fn remove_files(place: &Place, prepared: &Prepared) -> Result<()> {
    place.delete(prepared.staged.iter().map(|staged| staged.file.path.clone())).await
}

/// Step 8: what is left to do once the end is known. All of it can be repeated.
pub(super) async fn finish(place: &Place, prepared: &Prepared, settled: &Settled) -> Result<()> {
    let run = &prepared.manifest.run;
    // What an ended upload leaves is its journal; without a publication no upload is wanted.
    let (outcome, version, completed) = match settled {
        Settled::Published(manifest) => {
            if manifest.mode == Mode::Overwrite {
                delete_replaced(place, manifest).await?;
            }
            (Outcome::Published, manifest.version, prepared.staged.as_slice())
        }
        Settled::Lost(theirs) => (Outcome::Lost, theirs.version, [].as_slice()),
        Settled::Refused(_) => (Outcome::Refused, prepared.manifest.base, [].as_slice()),
    };
    render(place).await?;
    remove_rest(place, run, completed).await?;
    let report = Report {
        run: run.clone(),
        outcome,
        version,
        rows: prepared.staged.iter().map(|staged| staged.file.rows).sum(),
        bytes: prepared.staged.iter().map(|staged| staged.file.size).sum(),
        retries: place.store.retries(),
        ended: record::now(),
    };
    place.replace(&record::path(run, "report.json"), record::to_bytes(&report)).await?;
    forget_old_runs(place, run).await
}

/// Deletes exactly the files the base names and the new version does not.
async fn delete_replaced(place: &Place, manifest: &Manifest) -> Result<()> {
    let Some(base) = versions::version(place, manifest.base).await? else { return Ok(()) };
    let kept: BTreeSet<_> = manifest.files.iter().map(|file| &file.path).collect();
    let gone: Vec<_> = base
        .files
        .iter()
        .map(|file| &file.path)
        .filter(|path| !kept.contains(path))
        .cloned()
        .collect();
    delete_files(place, gone).await
}

/// Refuses data files that a symbolic link under the dataset would lead elsewhere.
pub(super) async fn refuse_links(place: &Place, paths: Vec<String>) -> Result<()> {
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
pub(super) async fn delete_files(place: &Place, gone: Vec<String>) -> Result<()> {
    refuse_links(place, gone.clone()).await?;
    let emptied = gone.clone();
    place.delete(gone).await?;
    remove_empty_dirs(place, emptied).await
}

/// Step 8 once more, for a version whose run is over.
pub(super) async fn refinish(place: &Place, manifest: &Manifest) -> Result<()> {
    if manifest.mode == Mode::Overwrite {
        delete_replaced(place, manifest).await?;
    }
    render(place).await
}

/// Writes what other tools and people read of the current version, `_SUCCESS` last.
async fn render(place: &Place) -> Result<()> {
    let Some(manifest) = current(place).await? else { return Ok(()) };
    if manifest.blocks.is_empty() && manifest.base > 0 {
        place.delete(["blocks.csv".to_owned()]).await?;
    }
    for (path, text) in renderings(&manifest) {
        place.replace(path, text.into_bytes()).await?;
    }
    Ok(())
}

/// What other tools and people read of a version: files and their texts.
pub(super) fn renderings(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut texts = Vec::new();
    // One layout has a directory of that name.
    if !manifest.files.iter().any(|file| file.path.starts_with("properties/")) {
        texts.push(("properties", properties::render(&manifest.properties)));
    }
    if !manifest.blocks.is_empty() {
        let lines: Vec<_> = manifest.blocks.iter().map(|line| line.join(",") + "\n").collect();
        texts.push(("blocks.csv", lines.concat()));
    }
    let success = BTreeMap::from([
        ("version".to_owned(), manifest.version.to_string()),
        ("run".to_owned(), manifest.run.clone()),
        ("files".to_owned(), manifest.files.len().to_string()),
        ("rows".to_owned(), manifest.rows().to_string()),
        ("bytes".to_owned(), manifest.bytes().to_string()),
    ]);
    texts.push(("_SUCCESS", properties::render(&success)));
    texts
}

/// Removes what a run staged: local parts, its journal, and the uploads in it that `staged` does
/// not name (an attempt that failed); those that it names are completed.
pub(super) async fn remove_stage(place: &Place, run: &str, staged: &[StagedFile]) -> Result<()> {
    let named: BTreeSet<_> =
        staged.iter().map(|staged| record::upload_path(run, &staged.file.path)).collect();
    let uploads = record::path(run, "uploads-");
    let parts = record::path(run, "stage/");
    let mut leftovers = place.list(&record::path(run, "")).await?;
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
pub(super) async fn remove_rest(place: &Place, run: &str, staged: &[StagedFile]) -> Result<()> {
    remove_stage(place, run, staged).await?;
    let kept = place.list(&record::path(run, "kept")).await?;
    place.delete(kept.clone()).await?;
    remove_empty_dirs(place, kept).await
}

/// Aborts the upload of a journal entry; false if it may still be there, so that the entry has to
/// stay for the next who cleans. One that is gone already is fine: servers then answer "not found",
/// or that nobody may abort it.
async fn abort_upload(place: &Place, path: &str) -> Result<bool> {
    let (Some(uploads), Some(bytes)) = (place.store.uploads(), place.read(path).await?) else {
        return Ok(true);
    };
    let Ok(upload) = serde_json::from_slice::<UploadRecord>(&bytes) else { return Ok(true) };
    for attempt in 0..ABORTS {
        match uploads.abort_multipart(&place.key(&upload.path), &upload.id).await {
            Ok(())
            | Err(
                StoreError::NotFound { .. }
                | StoreError::PermissionDenied { .. }
                | StoreError::Unauthenticated { .. },
            ) => return Ok(true),
            Err(error) => {
                tracing::debug!("upload of '{}' was not aborted: {error}", upload.path);
                place.store.pause(backoff(attempt)).await;
            }
        }
    }
    Ok(false)
}

/// Ends a run that is not decided, in the name of run `by`: what it staged is removed, and its
/// record unless it keeps files for a later run.
pub(super) async fn void(place: &Place, run: &str, names: &[String], by: &str) -> Result<()> {
    if names.iter().any(|name| record::is_kept(name)) {
        return remove_stage(place, run, &[]).await;
    }
    let path = record::path(run, "prepared.json");
    let decision = record::to_bytes(&Decision::Void { void_by: by.to_owned() });
    match place.create(&path, decision).await? {
        Created::Ours => remove_void(place, run).await,
        // It was decided between the two looks at it.
        Created::Theirs(_) => roll_forward(place, run).await,
    }
}

/// Removes what a void run left. On an object store its process may live after all: the decision
/// stays there, or it could take another.
pub(super) async fn remove_void(place: &Place, run: &str) -> Result<()> {
    if place.store.is_local() {
        return remove_run(place, run).await;
    }
    remove_stage(place, run, &[]).await?;
    let names = place.list(&record::path(run, "")).await?;
    let uploads = record::path(run, "uploads-");
    let over = |name: &String| !name.ends_with("/prepared.json") && !name.starts_with(&uploads);
    place.delete(names.into_iter().filter(over)).await
}

/// Removes all that a run left which publishes nothing. Its record stays while an upload may.
pub(super) async fn remove_run(place: &Place, run: &str) -> Result<()> {
    remove_stage(place, run, &[]).await?;
    let uploads = record::path(run, "uploads-");
    let names = place.list(&record::path(run, "")).await?;
    match names.iter().any(|name| name.starts_with(&uploads)) {
        true => Ok(()),
        false => remove_record(place, run).await,
    }
}

/// Removes the record of a run that is over, and the directories it leaves empty.
pub(super) async fn remove_record(place: &Place, run: &str) -> Result<()> {
    let names = place.list(&format!("_runs/{run}")).await?;
    // The decision goes last, so that a half-removed record is never taken for an open run.
    let (last, first): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|name| name.ends_with("/prepared.json") || name.ends_with("/report.json"));
    let mut emptied = first.clone();
    emptied.extend(last.clone());
    place.delete(first).await?;
    place.delete(last).await?;
    remove_empty_dirs(place, emptied).await
}

/// Removes all but the newest records of ended runs, and what dead runs before `run` kept: nobody
/// goes on from there when a newer version is published.
async fn forget_old_runs(place: &Place, run: &str) -> Result<()> {
    let mut over = Vec::new();
    for (other, names) in begin::runs(place).await? {
        if record::is_over(&names) {
            over.push(other);
        } else if other.as_str() < run
            && record::is_open(&names)
            && matches!(alive::holder(place, &other, None).await?, Holder::Dead(_))
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
    place: &Place,
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

/// Finishes a run that was decided and stopped: the same steps, from the record.
pub(super) async fn roll_forward(place: &Place, run: &str) -> Result<()> {
    let prepared = match begin::decision(place, run).await? {
        Some(Decision::Publish(prepared)) => *prepared,
        Some(Decision::Void { .. }) => return remove_void(place, run).await,
        None => return Ok(()),
    };
    tracing::info!("finishing run '{run}' of '{}', which was stopped", place.location);
    match settle(place, prepared).await {
        Ok(_) => Ok(()),
        Err(cause) => Err(unfinished(place, run, cause)),
    }
}

/// An error after the decision: repeating the command would do its work twice.
pub(super) fn unfinished(place: &Place, run: &str, cause: Error) -> Error {
    let message = format!(
        "run '{run}' is decided but not finished ({cause}): the next command that writes to '{}' \
         finishes it, do not repeat it",
        place.location
    );
    Error::new(cause.kind(), message).caused_by(cause)
}
