//! The first two steps: preflight (which version is current, may this mode write, what did dead
//! runs leave) and intent.

use std::collections::BTreeMap;

use super::place::{Created, Place};
use super::record::{self, Decision, Intent};
use super::settle;
use crate::error::{Error, Kind, Result};
use crate::storage::Lock;
use crate::table::manifest::Manifest;
use crate::table::{Mode, RunOptions};

/// What preflight finds.
pub(super) enum Preflight {
    /// The run starts from this version.
    From(Option<Manifest>),
    /// Mode `ignore`, and there is a version.
    Kept(Manifest),
}

/// The current version of the dataset at `place`; `None` if there is no manifest.
pub(crate) async fn current(place: &Place) -> Result<Option<Manifest>> {
    let Some(version) = current_version(place).await? else { return Ok(None) };
    let path = Manifest::path(version);
    let shown = place.location.join(&path).to_string();
    let bytes = place.read(&path).await?;
    let bytes =
        bytes.ok_or_else(|| Error::data(format!("'{shown}' is listed and is not there")))?;
    Ok(Some(Manifest::parse(&bytes, &shown)?))
}

/// The number of the current version.
pub(crate) async fn current_version(place: &Place) -> Result<Option<u64>> {
    let mut versions = BTreeMap::new();
    for path in place.list("_manifest").await? {
        let name = path.trim_start_matches("_manifest/");
        let Some(stem) = name.strip_suffix(".json") else { continue };
        let number = stem.split('-').next().unwrap_or(stem);
        let Ok(version) = number.parse::<u64>() else { continue };
        if let Some(other) = versions.insert(version, name.to_owned()) {
            return Err(Error::data(format!(
                "dataset '{}' has two manifests of version {version}, '{other}' and '{name}': \
                 remove the one whose run is not wanted",
                place.location
            )));
        }
    }
    Ok(versions.pop_last().map(|(version, _)| version))
}

/// Step 1. Decided runs that were not finished are finished; dead ones that were not decided are
/// cleaned up where that can be told (locally, by their lock).
pub(super) async fn preflight(place: &Place, mode: Mode, by: &str) -> Result<Preflight> {
    for (run, files) in runs(place).await? {
        let has = |name: &str| files.iter().any(|file| file == name);
        if has("report.json") {
            continue;
        }
        if has("prepared.json") {
            settle::roll_forward(place, &run).await?;
        } else if let Some(_lock) = dead(place, &run).await? {
            settle::void(place, &run, &files, by).await?;
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

/// The lock of a run of this machine whose process is dead. `None` if it lives, or if that cannot
/// be told: on an object store, or for a run of another host.
pub(super) async fn dead(place: &Place, run: &str) -> Result<Option<Lock>> {
    let Some((files, path)) = place.local(&record::path(run, "lock")) else { return Ok(None) };
    let lock = super::place::blocking(move || files.lock(&path)).await?;
    let intent: Option<Intent> = read(place, run, "intent.json").await?;
    // Without an intent the process died before it had one.
    let is_here = intent.is_none_or(|intent| intent.host == record::host());
    Ok(lock.filter(|_| is_here))
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
