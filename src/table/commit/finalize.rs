//! The last four steps: prepare (the decision), reveal, publish, finish. Each can be repeated, by
//! the run itself or by another that finds it unfinished, and ends the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::PartId;

use super::claims::Claimed;
use super::create::Created;
use super::place::{DatasetRoot, listing};
use super::record::{self, Decision, Outcome, Prepared, Report, Stage, StagedFile};
use super::versions::{current, published_by};
use super::{claims, cleanup, names, probe, renderings, reserve};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, LocalFiles, blocking};
use crate::table::manifest::{Manifest, Mode, TableRecord};

/// Uploads completed, and other small calls made, at the same time.
const AT_ONCE: usize = 16;

/// How often an append starts from a newer version before it gives up.
const REBASES: usize = 10;

/// How a run ended.
pub(super) enum Settled {
    /// This is published, by this run.
    Published(Manifest),
    /// Another run published this version first; this run's files are removed.
    Lost(Manifest),
    /// What others published meanwhile cannot be appended to; this run's files are removed.
    Refused(Error),
}

/// What became of the decision.
pub(super) enum Decided {
    /// It is taken: from here on the run is finished, not undone.
    Publish(Box<Prepared>),
    /// Another has taken it: the run is void.
    Void(Error),
    /// It is not taken, for sure: the run can be undone.
    Not(Error),
}

/// Step 5: the decision, taken once.
///
/// # Errors
/// If it may be taken or not.
pub(super) async fn prepare(place: &DatasetRoot, prepared: Prepared) -> Result<Decided> {
    let run = prepared.manifest.run.clone();
    let files = prepared.manifest.files.len();
    let decision = Decision::Publish(Box::new(prepared));
    let encoding = listing(files, move || Ok((record::to_bytes(&decision), decision)));
    let (bytes, decision) = encoding.await?;
    let path = names::of_run(&run, names::DECISION);
    if let Err(error) = reserve::set_aside(place, &run, bytes.len(), files).await {
        return Ok(Decided::Not(error));
    }
    let mut is_in_doubt = false;
    let in_doubt = |cause: Error| {
        is_in_doubt = true;
        let message = format!(
            "outcome unknown: '{}' was put and cannot be read back ({cause}); run the command again, \
             which finishes or removes this run",
            place.location.join(&path)
        );
        Error::new(Kind::Io, message).caused_by(cause)
    };
    match (place.create_or(&path, bytes, in_doubt).await, decision) {
        (Ok(Created::Ours), Decision::Publish(prepared)) => Ok(Decided::Publish(prepared)),
        (Ok(_), _) => Ok(Decided::Void(Error::new(
            Kind::Retry,
            format!(
                "run '{run}' was declared dead by another writer of '{}': run it again",
                place.location
            ),
        ))),
        // A put that a store has not answered may still be done.
        (Err(error), _) if place.store.is_local() && !is_in_doubt => {
            if let Err(cause) = reserve::give_back(place, &run).await {
                tracing::debug!("room that was set aside is not given back: {cause}");
            }
            Ok(Decided::Not(error))
        }
        (Err(error), _) => Err(error),
    }
}

/// Steps 6 to 8. A run whose end is known already reveals nothing.
pub(super) async fn settle(place: &DatasetRoot, mut prepared: Prepared) -> Result<Settled> {
    let settled = match verdict(place, &prepared).await? {
        Some(settled) => settled,
        None => match reveal_and_publish(place, &mut prepared).await {
            Ok(settled) => settled,
            // Another may have finished this run meanwhile, and a third replaced its files.
            Err(error) => verdict(place, &prepared).await?.ok_or(error)?,
        },
    };
    if !matches!(settled, Settled::Published(_)) {
        cleanup::remove_files(place, &prepared).await?;
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

async fn reveal_and_publish(place: &DatasetRoot, prepared: &mut Prepared) -> Result<Settled> {
    reserve::give_back(place, &prepared.manifest.run).await?;
    if prepared.manifest.base > 0 {
        // Readers that only list trust a listing beside this file.
        place.delete([names::SUCCESS.to_owned()]).await?;
    }
    reveal(place, prepared).await?;
    publish(place, prepared).await
}

/// How the run ends, if the versions after its base already show it.
async fn verdict(place: &DatasetRoot, prepared: &Prepared) -> Result<Option<Settled>> {
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
pub(super) async fn reveal(place: &DatasetRoot, prepared: &mut Prepared) -> Result<()> {
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

async fn reveal_file(place: &DatasetRoot, staged: &StagedFile) -> Result<Option<String>> {
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
    place: &DatasetRoot,
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

/// Step 7: puts the manifest, create-only. Whatever the store answered, the run id in the file counts.
pub(super) async fn publish(place: &DatasetRoot, prepared: &mut Prepared) -> Result<Settled> {
    for _ in 0..=REBASES {
        let manifest = &prepared.manifest;
        let Some(theirs) = put(place, manifest).await? else {
            return Ok(Settled::Published(manifest.clone()));
        };
        if theirs.run == manifest.run {
            return Ok(Settled::Published(theirs));
        }
        let newer = current(place).await?.filter(|newer| newer.version >= theirs.version);
        // Another that found this run unfinished may have published it meanwhile. Asked after the newest
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
        format!(
            "too many writers append to '{}' at the same time: run it again later",
            place.location
        ),
    ))
}

/// Puts a manifest under its version; answers with the one that is there already, if there is one.
async fn put(place: &DatasetRoot, manifest: &Manifest) -> Result<Option<Manifest>> {
    if probe::create_only(place).await? == CreateOnly::Enforced {
        let path = Manifest::path(manifest.version);
        let bytes = encoded(manifest).await?;
        return match place.create(&path, bytes).await? {
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

async fn encoded(manifest: &Manifest) -> Result<Vec<u8>> {
    let manifest = manifest.clone();
    listing(manifest.files.len(), move || Ok(manifest.to_bytes())).await
}

/// The error of a run whose place in the order was taken.
pub(super) fn lost(place: &DatasetRoot, version: u64) -> Error {
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

/// Refuses to add rows to a version that does not grow.
pub(super) fn refuse_to_grow(base: &Manifest) -> Result<()> {
    if base.grows() {
        return Ok(());
    }
    let maker = base.made_by().unwrap_or("partition"); // others record their name
    Err(Error::usage(format!(
        "'{}' was made by pleiad {maker}, whose counts would be wrong with more rows: run it again",
        base.location
    )))
}

/// Step 8: what is left to do once the end is known. All of it can be repeated.
pub(super) async fn finish(
    place: &DatasetRoot,
    prepared: &Prepared,
    settled: &Settled,
) -> Result<()> {
    let run = &prepared.manifest.run;
    // What an ended upload leaves is its journal; without a publication no upload is wanted.
    let (outcome, version, completed) = match settled {
        Settled::Published(manifest) => {
            if manifest.mode == Mode::Overwrite {
                cleanup::delete_replaced(place, manifest).await?;
            }
            (Outcome::Published, manifest.version, prepared.staged.as_slice())
        }
        Settled::Lost(theirs) => (Outcome::Lost, theirs.version, [].as_slice()),
        Settled::Refused(_) => (Outcome::Refused, prepared.manifest.base, [].as_slice()),
    };
    renderings::put(place).await?;
    cleanup::remove_rest(place, run, completed).await?;
    let report = Report {
        run: run.clone(),
        outcome,
        version,
        rows: prepared.staged.iter().map(|staged| staged.file.rows).sum(),
        bytes: prepared.staged.iter().map(|staged| staged.file.size).sum(),
        retries: place.store.retries(),
        ended: record::now(),
    };
    place.replace(&names::of_run(run, names::REPORT), record::to_bytes(&report)).await?;
    cleanup::forget_old_runs(place, run).await
}

/// Step 8 again, for a version whose run is over.
pub(super) async fn refinish(place: &DatasetRoot, manifest: &Manifest) -> Result<()> {
    if manifest.mode == Mode::Overwrite {
        cleanup::delete_replaced(place, manifest).await?;
    }
    renderings::put(place).await
}

/// Ends a run that is not decided, in the name of run `by`: what it staged is removed, and its
/// record unless it keeps files for a later run.
pub(super) async fn void(place: &DatasetRoot, run: &str, names: &[String], by: &str) -> Result<()> {
    if names.iter().any(|name| names::checkpoint_of(name).is_some()) {
        return cleanup::remove_stage(place, run, &[]).await;
    }
    let path = names::of_run(run, names::DECISION);
    let decision = record::to_bytes(&Decision::Void { void_by: by.to_owned() });
    match place.create(&path, decision).await? {
        Created::Ours => cleanup::remove_void(place, run).await,
        // It was decided between the two looks at it.
        Created::Theirs(_) => roll_forward(place, run).await,
    }
}

/// Finishes a run that was decided and stopped: the same steps, from the record.
pub(super) async fn roll_forward(place: &DatasetRoot, run: &str) -> Result<()> {
    let prepared = match record::decision(place, run).await? {
        Some(Decision::Publish(prepared)) => *prepared,
        Some(Decision::Void { .. }) => return cleanup::remove_void(place, run).await,
        None => return Ok(()),
    };
    tracing::info!("finishing run '{run}' of '{}', which was stopped", place.location);
    match settle(place, prepared).await {
        Ok(_) => Ok(()),
        Err(cause) => Err(unfinished(place, run, cause)),
    }
}

/// An error after the decision: repeating the command would do its work twice.
pub(super) fn unfinished(place: &DatasetRoot, run: &str, cause: Error) -> Error {
    let message = format!(
        "run '{run}' is decided but not finished ({cause}): the next command that writes to '{}' \
         finishes it, do not repeat it",
        place.location
    );
    Error::new(cause.kind(), message).caused_by(cause)
}
