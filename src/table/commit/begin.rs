//! The first two steps: preflight (which version is current, may this mode write, what did dead
//! runs leave) and intent.

use std::collections::{BTreeMap, BTreeSet};

use super::alive::{self, Holder};
use super::place::{Created, Place};
use super::record::{self, Decision, Intent};
use super::versions::current;
use super::{probe, settle};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, Lock};
use crate::table::manifest::Manifest;
use crate::table::{InputRecord, Mode, RunOptions};

/// What preflight finds.
pub(super) enum Preflight {
    /// The run starts from this version.
    From(Option<Manifest>),
    /// Mode `ignore`, and there is a version.
    Kept(Manifest),
}

/// Step 1. Decided runs that were not finished are finished.
pub(super) async fn preflight(place: &Place, mode: Mode) -> Result<Preflight> {
    for (run, names) in runs(place).await? {
        if record::is_decided(&names) {
            settle::roll_forward(place, &run).await?;
        }
    }
    let base = current(place).await?;
    match (mode, base) {
        (Mode::Ignore, Some(manifest)) => Ok(Preflight::Kept(manifest)),
        (Mode::Error, Some(manifest)) => Err(Error::new(
            Kind::OutputExists,
            format!(
                "output '{}' already holds version {}: pass --mode overwrite to replace it",
                place.location, manifest.version
            ),
        )),
        (_, None) => {
            refuse_foreign(place).await?;
            Ok(Preflight::From(None))
        }
        (Mode::Append, Some(base)) => {
            settle::refuse_to_grow(&base)?;
            Ok(Preflight::From(Some(base)))
        }
        (_, base) => Ok(Preflight::From(base)),
    }
}

/// A place that holds something but no manifest is not ours, in every mode.
async fn refuse_foreign(place: &Place) -> Result<()> {
    if place.is_local_file() {
        return Err(Error::new(
            Kind::OutputExists,
            format!("output '{}' is a file, expected a directory or nothing", place.location),
        ));
    }
    let ours =
        |path: &str| ["_runs/", "_probe/", "_claims/"].iter().any(|ours| path.starts_with(ours));
    match place.find(|path| !ours(path)).await? {
        None => Ok(()),
        Some(path) => Err(Error::new(
            Kind::OutputExists,
            format!(
                "output '{}' holds '{path}' but no manifest, so it is not a dataset: choose a \
                 location that is new or empty",
                place.location
            ),
        )),
    }
}

/// A run that replaces `base` must not read it: the rows would be gone with the old version.
pub(super) fn refuse_own_input(
    place: &Place,
    base: &Manifest,
    inputs: &[InputRecord],
) -> Result<()> {
    let own: BTreeSet<_> =
        base.files.iter().map(|file| place.location.join(&file.path).to_string()).collect();
    match inputs.iter().any(|input| own.contains(&input.location)) {
        false => Ok(()),
        true => Err(Error::usage(format!(
            "output '{}' is also the input, whose rows would be gone with the version that is \
             replaced: choose another output",
            place.location
        ))),
    }
}

/// Step 2. Where processes can be told apart the run's lock is taken first.
pub(super) async fn intent(
    place: &Place,
    run: &str,
    base: u64,
    options: &RunOptions,
) -> Result<Option<Lock>> {
    let lock = match place.local(&record::path(run, "lock")) {
        Some((files, path)) => {
            let lock = super::place::blocking(move || files.lock(&path)).await?;
            Some(lock.ok_or_else(|| {
                Error::new(
                    Kind::Retry,
                    format!("run '{run}' was declared dead as it began: run it again"),
                )
            })?)
        }
        None => None,
    };
    let intent = Intent {
        run: run.to_owned(),
        mode: options.mode,
        base,
        location: place.location.to_string(),
        arguments: options.arguments.clone(),
        inputs: options.inputs.clone(),
        host: record::host(),
        pid: std::process::id(),
        started: record::now(),
    };
    match place.create(&record::path(run, "intent.json"), record::to_bytes(&intent)).await? {
        Created::Ours => Ok(lock),
        Created::Theirs(_) => Err(Error::internal(format!("run id '{run}' was given out twice"))),
    }
}

/// The rest of step 1, once the run `by` has an intent, whose time tells how old others are: dead
/// runs that were not decided are undone. On a store that takes any put nobody may decide for
/// another.
pub(super) async fn sweep(place: &Place, by: &str) -> Result<()> {
    let mut others = runs(place).await?;
    others.retain(|run, names| run != by && record::is_open(names));
    if others.is_empty() || probe::create_only(place).await? != CreateOnly::Enforced {
        return Ok(());
    }
    let now = alive::time_of(place, &record::path(by, "intent.json")).await?;
    for (run, names) in others {
        if let Holder::Dead(_lock) = alive::holder(place, &run, now).await? {
            settle::void(place, &run, &names, by).await?;
        }
    }
    Ok(())
}

/// All runs with a record, and the names in it, oldest first.
pub(super) async fn runs(place: &Place) -> Result<BTreeMap<String, Vec<String>>> {
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in place.list("_runs").await? {
        let mut segments = path.splitn(3, '/').skip(1);
        if let (Some(run), Some(name)) = (segments.next(), segments.next()) {
            runs.entry(run.to_owned()).or_default().push(name.to_owned());
        }
    }
    Ok(runs)
}

/// Reads a record of a run; `None` if it is not there.
pub(super) async fn read<T: serde::de::DeserializeOwned>(
    place: &Place,
    run: &str,
    name: &str,
) -> Result<Option<T>> {
    let path = record::path(run, name);
    let Some(bytes) = place.read(&path).await? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes).map_err(|cause| {
        Error::data(format!("'{}' is not a record of a run: {cause}", place.location.join(&path)))
    });
    parsed.map(Some)
}

/// The decision of a run.
pub(super) async fn decision(place: &Place, run: &str) -> Result<Option<Decision>> {
    read(place, run, "prepared.json").await
}
