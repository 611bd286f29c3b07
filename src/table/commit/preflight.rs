//! The first two steps: preflight (which version is current, may this mode write, what did dead
//! runs leave) and intent.

use std::sync::Arc;

use super::create::Created;
use super::kept::Keep;
use super::liveness::{self, Holder};
use super::place::DatasetRoot;
use super::reads::{OwnInput, ReadFrom};
use super::record::{self, Intent};
use super::revive::revive;
use super::versions::current;
use super::{finalize, names, probe, process};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, Location, Lock, Stores, blocking};
use crate::table::manifest::{InputRecord, Manifest, Mode};

/// How a run treats its output, and what it says about itself.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// What to do if there is a version.
    pub mode: Mode,
    /// Its arguments; secrets must have been removed.
    pub arguments: Vec<(String, String)>,
    /// The files it reads, for its record.
    pub inputs: Vec<InputRecord>,
    /// What it reads, as far as it was known before the run.
    pub reads: Vec<ReadFrom>,
    /// What it does with what it reads of its output.
    pub own_input: OwnInput,
    /// How long the files are kept that it replaces.
    pub keep: Keep,
}

/// What preflight finds.
pub(super) enum Preflight {
    /// The run starts from this version.
    From(Option<Manifest>),
    /// Mode `ignore`, and there is a version.
    AlreadyThere(Manifest),
}

/// Finishes the runs on `out` that were decided and stopped. A command that reads its output calls it
/// before it reads: their rows are part of what it has to see.
///
/// # Errors
/// If storage fails.
pub async fn finish_decided(stores: &Arc<Stores>, out: &Location) -> Result<()> {
    finish_stopped(&DatasetRoot::open(stores, out)?).await
}

async fn finish_stopped(place: &DatasetRoot) -> Result<()> {
    for (run, names) in record::runs(place).await? {
        if record::is_decided(&names) {
            finalize::roll_forward(place, &run).await?;
        }
    }
    Ok(())
}

/// Step 1. Decided runs that were not finished are finished.
pub(super) async fn preflight(place: &DatasetRoot, mode: Mode) -> Result<Preflight> {
    finish_stopped(place).await?;
    let base = match current(place).await? {
        None => revive(place, 0).await?,
        found => found,
    };
    match (mode, base) {
        // It counts its versions from there, but there is nothing to keep or to replace.
        (_, Some(nothing)) if nothing.holds_nothing() => Ok(Preflight::From(Some(nothing))),
        (Mode::Ignore, Some(manifest)) => Ok(Preflight::AlreadyThere(manifest)),
        (Mode::Error, Some(manifest)) => Err(Error::new(
            Kind::OutputExists,
            format!(
                "output '{}' already holds version {}: pass --mode overwrite to replace it",
                place.location, manifest.version
            ),
        )),
        (_, None) => {
            refuse_unmanaged(place).await?;
            Ok(Preflight::From(None))
        }
        (Mode::Append, Some(base)) => {
            finalize::refuse_to_grow(&base)?;
            Ok(Preflight::From(Some(base)))
        }
        (_, base) => Ok(Preflight::From(base)),
    }
}

/// A place that holds something but no manifest is not ours, in every mode.
async fn refuse_unmanaged(place: &DatasetRoot) -> Result<()> {
    if place.is_local_file().await? {
        return Err(Error::new(
            Kind::OutputExists,
            format!("output '{}' is a file, expected a directory or nothing", place.location),
        ));
    }
    // Files of a run whose decision was removed are undone with the run.
    let runs = record::runs(place).await?;
    let is_undone = |path: &str| {
        let record = names::run_of_data(path).and_then(|run| runs.get(run));
        record.is_some_and(|names| record::is_open(names))
    };
    match place.find(|path| !names::is_of_commits(path) && !is_undone(path)).await? {
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

/// Step 2. On local files the run's lock is taken first.
pub(super) async fn intent(
    place: &DatasetRoot,
    run: &str,
    base: u64,
    options: &RunOptions,
) -> Result<Option<Lock>> {
    let lock = match place.local(&names::of_run(run, names::LOCK)) {
        Some((files, path)) => {
            let lock = blocking(move || files.lock(&path)).await?;
            Some(lock.ok_or_else(|| {
                Error::new(
                    Kind::Retry,
                    format!("run '{run}' was declared dead as it began: run it again"),
                )
            })?)
        }
        None => None,
    };
    liveness::begin(place, run).await?;
    let intent = Intent {
        run: run.to_owned(),
        mode: options.mode,
        base,
        location: place.location.to_string(),
        arguments: options.arguments.clone(),
        inputs: options.inputs.clone(),
        host: process::host(),
        pid: std::process::id(),
        started: record::now(),
    };
    match place.create(&names::of_run(run, names::INTENT), record::to_bytes(&intent)).await? {
        Created::Ours => Ok(lock),
        Created::Theirs(_) => Err(Error::internal(format!("run id '{run}' was given out twice"))),
    }
}

/// The rest of step 1, once the run `by` has an intent, whose time shows how old others are: dead
/// runs that were not decided are undone. On a store that takes any put no run may decide for
/// another.
pub(super) async fn sweep(place: &DatasetRoot, by: &str) -> Result<()> {
    let mut others = record::runs(place).await?;
    others.retain(|run, names| run != by && record::is_open(names));
    if others.is_empty() || probe::create_only(place).await? != CreateOnly::Enforced {
        return Ok(());
    }
    let now = place.time_of(&names::of_run(by, names::INTENT)).await?;
    for (run, names) in others {
        if let Holder::Dead(_lock) = liveness::holder(place, &run, now).await? {
            finalize::void(place, &run, &names, by).await?;
        }
    }
    Ok(())
}
