//! The last four steps: prepare (the decision), reveal, publish, finish. Each can be repeated, by
//! the run itself or by another that finds it unfinished, and ends the same.

use std::collections::{BTreeMap, BTreeSet};

use super::create::Created;
use super::place::{DatasetRoot, listing};
use super::publish::put;
use super::record::{self, Decision, Intent, Outcome, Prepared, Report, StagedFile};
use super::reveal::{Finisher, lost_files, reveal};
use super::revoke::revoke;
use super::versions::{Fate, current, fate_of};
use super::{cleanup, kept, names, renderings, reserve};
use crate::error::{Error, Kind, Result};
use crate::table::manifest::{Manifest, Mode, TableRecord};

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
    /// These files of this run are lost, so it is revoked; its other files are removed. The names are
    /// unknown if another found that out.
    Revoked(Manifest, Vec<String>),
}

/// How a run ended that another found decided.
pub(super) enum Ended {
    /// As it would have by itself.
    Finished,
    /// It was void.
    Void,
    /// It cannot be finished, since these files are lost: it is revoked.
    Revoked(Vec<String>),
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
        // With new keys the command ends this by itself: the kind that asks for them is kept.
        let kind = if cause.kind() == Kind::Denied { Kind::Denied } else { Kind::Io };
        Error::new(kind, message).caused_by(cause)
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
pub(super) async fn settle(
    place: &DatasetRoot,
    mut prepared: Prepared,
    finisher: Finisher,
) -> Result<Settled> {
    let settled = match verdict(place, &prepared).await? {
        Some(settled) => settled,
        None => match reveal_and_publish(place, &mut prepared, finisher).await {
            Ok(settled) => settled,
            // Another may have finished this run meanwhile, and a third replaced its files.
            Err(error) => verdict(place, &prepared).await?.ok_or(error)?,
        },
    };
    end(place, &prepared, &settled).await?;
    Ok(settled)
}

/// What follows once the end is known.
async fn end(place: &DatasetRoot, prepared: &Prepared, settled: &Settled) -> Result<()> {
    if !matches!(settled, Settled::Published(_)) {
        cleanup::remove_files(place, prepared).await?;
    }
    if let Err(error) = finish(place, prepared, settled).await {
        tracing::warn!(
            "run '{}' of '{}' has ended, but cleaning up failed; the next run repeats it: {error}",
            prepared.manifest.run,
            place.location
        );
    }
    Ok(())
}

async fn reveal_and_publish(
    place: &DatasetRoot,
    prepared: &mut Prepared,
    finisher: Finisher,
) -> Result<Settled> {
    reserve::give_back(place, &prepared.manifest.run).await?;
    // Of its own uploads a run has every part confirmed; local parts cost nothing to look at.
    if finisher == Finisher::Another || place.store.is_local() {
        let lost = lost_files(place, &prepared.staged).await?;
        if !lost.is_empty() {
            return give_up(place, prepared, lost).await;
        }
    }
    if prepared.manifest.base > 0 {
        // Readers that only list trust a listing beside this file.
        place.delete([names::SUCCESS.to_owned()]).await?;
    }
    let lost = reveal(place, prepared).await?;
    match lost.is_empty() {
        true => publish(place, prepared).await,
        false => give_up(place, prepared, lost).await,
    }
}

/// Revokes a run whose files `lost` are gone, unless another has brought it to an end.
async fn give_up(place: &DatasetRoot, prepared: &Prepared, lost: Vec<String>) -> Result<Settled> {
    if let Some(settled) = verdict(place, prepared).await? {
        return Ok(settled);
    }
    let Manifest { run, base, .. } = &prepared.manifest;
    Ok(match revoke(place, run, *base).await? {
        Fate::Published(ours) => Settled::Published(ours),
        Fate::Revoked(theirs) => Settled::Revoked(theirs, lost),
    })
}

impl From<Fate> for Settled {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Published(ours) => Self::Published(ours),
            Fate::Revoked(theirs) => Self::Revoked(theirs, Vec::new()),
        }
    }
}

/// How the run ends, if the versions after its base already show it.
async fn verdict(place: &DatasetRoot, prepared: &Prepared) -> Result<Option<Settled>> {
    let manifest = &prepared.manifest;
    let Some(newest) = current(place).await?.filter(|newest| newest.version > manifest.base) else {
        return Ok(None);
    };
    if let Some(fate) = fate_of(place, &manifest.run, manifest.base).await? {
        return Ok(Some(fate.into()));
    }
    Ok(match prepared.can_follow_another() {
        true => rebase(manifest, &prepared.staged, &newest).err().map(Settled::Refused),
        false => Some(Settled::Lost(newest)),
    })
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
        // Another that found this run unfinished may have published or revoked it meanwhile. Asked after
        // the newest version is known: it must not be one that holds this run's files.
        if let Some(fate) = fate_of(place, &manifest.run, manifest.base).await? {
            return Ok(fate.into());
        }
        if !prepared.can_follow_another() {
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

/// The error of a run whose place in the order was taken.
pub(super) fn lost(place: &DatasetRoot, base: u64, version: u64) -> Error {
    let began = match base {
        0 => "began when there was none".to_owned(),
        base => format!("began from version {base}"),
    };
    Error::new(
        Kind::Retry,
        format!(
            "another run published version {version} of '{}' while this one wrote, which {began}: \
             nothing of it was published, run it again",
            place.location
        ),
    )
}

/// The error of a run whose staged bytes were removed by someone else.
pub(super) fn revoked(place: &DatasetRoot, lost: &[String]) -> Error {
    let shown = lost.first().map_or("bytes of it", String::as_str);
    Error::new(
        Kind::Retry,
        format!(
            "'{shown}' was removed from '{}' before it was published: nothing of this run was \
             published, run it again",
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
    let own = staged.iter().map(|staged| &staged.file);
    base.check_places(
        own.filter(|file| file.path.ends_with(names::DATA_ENDING)).map(|file| &file.table),
    )?;
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
                kept::replace(place, manifest, prepared.keep_seconds).await?;
            }
            (Outcome::Published, manifest.version, prepared.staged.as_slice())
        }
        Settled::Lost(theirs) => (Outcome::Lost, theirs.version, [].as_slice()),
        Settled::Refused(_) => (Outcome::Refused, prepared.manifest.base, [].as_slice()),
        Settled::Revoked(theirs, _) => (Outcome::Revoked, theirs.version, [].as_slice()),
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
        kept::replace_again(place, manifest).await?;
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
        Created::Ours => {
            // It has named files only if someone has removed its decision.
            let listed = place.sizes().await?.into_keys();
            let named = cleanup::unnamed(place, listed, |other| other == run).await?;
            cleanup::delete_files(place, named).await?;
            cleanup::remove_void(place, run).await
        }
        // It was decided between the two looks at it.
        Created::Theirs(_) => roll_forward(place, run).await.map(drop),
    }
}

/// Finishes a run that was decided and stopped: the same steps, from the record. If bytes of it are gone
/// for good, it is revoked.
pub(super) async fn roll_forward(place: &DatasetRoot, run: &str) -> Result<Ended> {
    let prepared = match record::decision(place, run).await {
        Ok(Some(Decision::Publish(prepared))) => *prepared,
        Ok(Some(Decision::Void { .. })) => {
            return cleanup::remove_void(place, run).await.map(|()| Ended::Void);
        }
        Ok(None) => return Ok(Ended::Finished),
        // No one can ever know what it says.
        Err(error) if error.kind() == Kind::Data => return revoke_unknown(place, run).await,
        Err(error) => return Err(error),
    };
    tracing::info!("finishing run '{run}' of '{}', which was stopped", place.location);
    match settle(place, prepared, Finisher::Another).await {
        Ok(Settled::Revoked(version, lost)) => {
            let shown = if lost.is_empty() { "its files".to_owned() } else { lost.join("', '") };
            tracing::warn!(
                "run '{run}' of '{}' was stopped after its decision and '{shown}' of it are lost: it is \
                 revoked, nothing of it is published, and version {} holds what was there before",
                place.location,
                version.version
            );
            Ok(Ended::Revoked(lost))
        }
        Ok(_) => Ok(Ended::Finished),
        Err(cause) => Err(stuck(place, run, cause)),
    }
}

/// Gives up a run that was decided, whatever may still be there of it.
pub(super) async fn revoke_decided(place: &DatasetRoot, run: &str) -> Result<Ended> {
    let prepared = match record::decision(place, run).await {
        Ok(Some(Decision::Publish(prepared))) => *prepared,
        Ok(_) => return roll_forward(place, run).await,
        Err(_) => return revoke_unknown(place, run).await,
    };
    let settled = match verdict(place, &prepared).await? {
        Some(settled) => settled,
        None => revoke(place, run, prepared.manifest.base).await?.into(),
    };
    end(place, &prepared, &settled).await?;
    Ok(match settled {
        Settled::Revoked(..) => Ended::Revoked(Vec::new()),
        _ => Ended::Finished,
    })
}

/// Revokes a run whose decision cannot be read. Its files are known by their names.
async fn revoke_unknown(place: &DatasetRoot, run: &str) -> Result<Ended> {
    let intent = record::read::<Intent>(place, run, names::INTENT).await.unwrap_or_default();
    let base = match intent {
        Some(intent) => intent.base,
        None => 0,
    };
    let fate = revoke(place, run, base).await?;
    if let Fate::Revoked(_) = fate {
        let named = names::data_of(run);
        let files = place.sizes().await?.into_keys();
        cleanup::delete_files(place, files.filter(|path| path.contains(&named)).collect()).await?;
    }
    renderings::put(place).await?;
    cleanup::remove_run(place, run).await?;
    Ok(match fate {
        Fate::Published(_) => Ended::Finished,
        Fate::Revoked(_) => Ended::Revoked(vec![names::of_run(run, names::DECISION)]),
    })
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

/// An error of one that tried to finish another's run.
fn stuck(place: &DatasetRoot, run: &str, cause: Error) -> Error {
    let message = format!(
        "run '{run}' was decided and stopped, and cannot be finished now ({cause}): try again, or \
         give it up with pleiad recover '{}' --revoke {run}",
        place.location
    );
    Error::new(cause.kind(), message).caused_by(cause)
}
