//! What a user can do about what [`check`](mod@super::check) finds: finish, remove, unlock. Each answers
//! with a sentence for each thing it did, or would do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::finalize::Ended;
use super::findings::command;
use super::kept::Which;
use super::liveness::{self, Holder};
use super::place::DatasetRoot;
use super::record::{self, Decision};
use super::revive::revive;
use super::{claims, cleanup, finalize, kept, names, probe, process, versions};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, Location, Stores, blocking};
use crate::table::manifest::Manifest;

/// What a person decides about an output.
#[derive(Clone, Copy, Debug, Default)]
pub enum Settle<'a> {
    /// Nothing.
    #[default]
    Nothing,
    /// Of two manifests of one version, the one of this run stays.
    Keep(&'a str),
    /// This run was decided, and shall not be published.
    Revoke(&'a str),
}

/// Finishes what was decided, or revokes it if bytes of it are lost, puts a manifest again that was
/// removed, and repeats the last step of the current version.
///
/// # Errors
/// If one version has two manifests and `settle` names none of their runs; if it names a run to revoke
/// that is not decided; or if storage fails.
pub async fn recover(
    stores: &Arc<Stores>,
    out: &Location,
    settle: Settle<'_>,
) -> Result<Vec<String>> {
    let place = DatasetRoot::open(stores, out)?;
    let (keep, revoked) = match settle {
        Settle::Nothing => (None, None),
        Settle::Keep(run) => (Some(run), None),
        Settle::Revoke(run) => (None, Some(run)),
    };
    let mut done = Vec::new();
    for (version, names) in versions::all_names(&place).await? {
        if names.len() > 1 {
            done.push(settle_twins(&place, version, names, keep).await?);
        }
    }
    let mut decided = record::runs(&place).await?;
    decided.retain(|_, names| record::is_decided(names));
    if let Some(run) = revoked.filter(|run| !decided.contains_key(*run)) {
        return Err(Error::usage(format!(
            "no run '{run}' of '{}' is decided and unfinished: see pleiad show '{}' --history",
            place.location, place.location
        )));
    }
    for run in decided.keys() {
        let ended = match revoked == Some(run.as_str()) {
            true => finalize::revoke_decided(&place, run).await?,
            false => finalize::roll_forward(&place, run).await?,
        };
        done.push(match ended {
            Ended::Finished => format!("finished run {run}"),
            Ended::Void => format!("removed what run {run} left"),
            Ended::Revoked(lost) if lost.is_empty() => format!("revoked run {run}"),
            Ended::Revoked(lost) => {
                format!("revoked run {run}, of which '{}' is lost", lost.join("', '"))
            }
        });
    }
    let version = versions::current_version(&place).await?.unwrap_or(0);
    if let Some(manifest) = revive(&place, version).await? {
        done.push(format!("put the manifest of version {} again", manifest.version));
    }
    match versions::current(&place).await?.filter(|manifest| !manifest.holds_nothing()) {
        Some(manifest) => {
            finalize::refinish(&place, &manifest).await?;
            done.push(format!(
                "version {} of '{}' is current and its listing is complete",
                manifest.version, place.location
            ));
        }
        None => done.push(format!("no version of '{}' is published", place.location)),
    }
    Ok(done)
}

/// Leaves one of the manifests of a version, and removes the files that only the others name.
async fn settle_twins(
    place: &DatasetRoot,
    version: u64,
    names: Vec<String>,
    keep: Option<&str>,
) -> Result<String> {
    let mut kept = None;
    let mut others = Vec::new();
    for name in names {
        let manifest = versions::read(place, &name).await?;
        match keep == Some(manifest.run.as_str()) {
            true => kept = Some(manifest),
            false => others.push((name, manifest)),
        }
    }
    let Some(kept) = kept else {
        let runs: Vec<_> = others.iter().map(|(_, manifest)| manifest.run.as_str()).collect();
        return Err(Error::data(format!(
            "version {version} of '{}' has a manifest of each of the runs {}: name the one to keep \
             with --keep",
            place.location,
            runs.join(" and ")
        )));
    };
    let named: BTreeSet<_> = kept.files.iter().map(|file| &file.path).collect();
    for (name, other) in others {
        place.delete([names::manifest(&name)]).await?;
        let files = other.files.iter().map(|file| &file.path);
        let gone: Vec<_> = files.filter(|path| !named.contains(path)).cloned().collect();
        place.delete(gone).await?;
    }
    Ok(format!("kept the manifest of run {} for version {version}", kept.run))
}

/// Removes what dead runs and old versions left, by the names in their records, never by a prefix.
/// With `dry_run` it only says what it would remove. Files of replaced versions are kept as long as those
/// who replaced them said, or `keep`.
///
/// # Errors
/// If storage fails.
pub async fn gc(
    stores: &Arc<Stores>,
    out: &Location,
    dry_run: bool,
    keep: Option<Duration>,
) -> Result<Vec<String>> {
    let place = DatasetRoot::open(stores, out)?;
    let mut found = Vec::new();
    // Files get their names while their runs have records, so they are listed first.
    let listed = place.sizes().await?;
    let runs = record::runs(&place).await?;
    let is_over = |run: &str| runs.get(run).is_none_or(|names| record::is_over(names));
    let orphans = cleanup::unnamed(&place, listed.into_keys(), is_over).await?;
    let leftovers = place.leftovers().await?;
    found.extend(leftovers.iter().map(|path| format!("'{path}', left by a writer that died")));
    if !dry_run {
        place.remove_leftovers(leftovers.clone()).await?;
        cleanup::remove_empty_dirs(&place, leftovers).await?;
    }
    found.extend(end_uploads(&place, dry_run).await?);
    let current = versions::current(&place).await?;
    let runs = record::runs(&place).await?;
    // Nothing is put below a location that may be an object.
    let are_open = runs.values().any(|names| record::is_open(names));
    let enforced = are_open && probe::create_only(&place).await? == CreateOnly::Enforced;
    let now = liveness::now(&place, &runs).await?;
    for (run, names) in runs {
        if record::is_over(&names) {
            if names
                .iter()
                .any(|name| names::is_staged(name) || names::checkpoint_of(name).is_some())
            {
                found.push(format!("staged bytes and checkpoints of run {run}"));
                if !dry_run {
                    cleanup::remove_rest(&place, &run, &[]).await?;
                }
            }
        } else if record::is_decided(&names) {
            let decision = record::decision(&place, &run).await;
            if matches!(decision, Ok(Some(Decision::Void { .. }))) {
                found.push(format!("the record of ended run {run}"));
                if !dry_run {
                    cleanup::remove_void(&place, &run).await?;
                }
            }
        } else if record::is_open(&names) && enforced {
            let Holder::Dead(_lock) = liveness::holder(&place, &run, now).await? else { continue };
            let keeps = names.iter().any(|name| names::checkpoint_of(name).is_some());
            let kept = if keeps { ", with its checkpoints" } else { "" };
            found.push(format!("the record of dead run {run}{kept}"));
            if !dry_run {
                finalize::void(&place, &run, &[], "gc").await?;
            }
        }
    }
    found.extend(orphans.iter().map(|path| format!("'{path}', of no version")));
    if !dry_run {
        cleanup::delete_files(&place, orphans).await?;
    }
    let keep = keep.map(|keep| keep.as_secs());
    for over in kept::kept(&place, Which::Over(keep)).await? {
        found.extend(over.files.keys().map(|path| format!("'{path}', kept of an old version")));
        if !dry_run {
            kept::remove(&place, over).await?;
        }
    }
    if let Some(current) = &current {
        let gone = replaced(&place, current).await?;
        found.extend(gone.iter().map(|path| format!("'{path}', of an old version")));
        if !dry_run {
            cleanup::delete_files(&place, gone).await?;
        }
    }
    Ok(found)
}

/// Ends the uploads of single files whose processes died, of the location and below it.
async fn end_uploads(place: &DatasetRoot, dry_run: bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for upload in liveness::dead_uploads(place).await? {
        let object = place.show(&upload.object);
        found.push(format!("the upload of '{object}', left by a process that died"));
        if !dry_run {
            upload.end(&place.store).await?;
        }
    }
    Ok(found)
}

/// Files of old versions that are there and not in the current one.
async fn replaced(place: &DatasetRoot, current: &Manifest) -> Result<Vec<String>> {
    let listed = place.sizes().await?;
    let kept: BTreeSet<_> = current.files.iter().map(|file| file.path.clone()).collect();
    let mut gone = BTreeSet::new();
    for (version, name) in versions::names(place).await? {
        if version < current.version {
            let old = versions::read(place, &name).await?;
            gone.extend(old.files.into_iter().map(|file| file.path));
        }
    }
    gone.retain(|path| !kept.contains(path) && listed.contains_key(path));
    Ok(gone.into_iter().collect())
}

/// Removes the claims of versions and undoes the runs that were not decided, for when those who made
/// them are dead: on a store that takes any put this is for a person to say. A run that gave a sign of
/// life within a quarter of an hour is left alone.
///
/// # Errors
/// Of kind [`Kind::Retry`] if a claim is of a process that lives on this machine; or if storage
/// fails.
pub async fn unlock(stores: &Arc<Stores>, out: &Location) -> Result<Vec<String>> {
    let place = DatasetRoot::open(stores, out)?;
    let mut done = Vec::new();
    let mut paths = place.list(names::CLAIMS).await?;
    for path in &paths {
        let Some(claim) = claims::read(&place, path).await? else { continue };
        let claims::Claim { run, host, pid, started } = claim;
        let who = format!("run {run} of process {pid} on '{host}', begun {started}");
        let may_live = process::is_here(&host) && pid != std::process::id();
        if may_live && blocking(move || Ok(process::is_alive(pid))).await? {
            return Err(Error::new(
                Kind::Retry,
                format!("{who}, claims the version and is running: wait for it or end it"),
            ));
        }
        done.push(format!("removed the claim of {who}"));
    }
    let local = place.list(names::MANIFESTS).await?;
    let local: Vec<_> =
        local.into_iter().filter(|path| path.ends_with(names::CLAIM_ENDING)).collect();
    done.extend(local.iter().map(|path| format!("removed '{path}'")));
    paths.extend(local);
    place.delete(paths).await?;
    if probe::create_only(&place).await? != CreateOnly::Enforced {
        let runs = record::runs(&place).await?;
        let now = liveness::now(&place, &runs).await?;
        for (run, names) in runs {
            if !record::is_open(&names) {
                continue;
            }
            if let Holder::Dead(_lock) = liveness::holder(&place, &run, now).await? {
                finalize::void(&place, &run, &[], "unlock").await?;
                done.push(format!("removed the record of dead run {run}"));
            }
        }
    }
    if done.is_empty() {
        done.push(format!("'{}' is not claimed", place.location));
    } else {
        done.push(format!("then finish what was decided: {}", command("recover", &place, "")));
    }
    Ok(done)
}
