//! The first two steps: preflight (which version is current, may this mode write, what did dead
//! runs leave) and intent.

use std::collections::BTreeSet;

use super::create::Created;
use super::liveness::{self, Holder};
use super::place::DatasetRoot;
use super::record::{self, Intent};
use super::versions::current;
use super::{finalize, names, probe, process};
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, Lock, blocking};
use crate::table::manifest::{InputRecord, Manifest, Mode};

/// How a run treats its output, and what it says about itself.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// What to do if there is a version.
    pub mode: Mode,
    /// Its arguments; secrets must have been removed.
    pub arguments: Vec<(String, String)>,
    /// What it reads.
    pub inputs: Vec<InputRecord>,
}

/// What preflight finds.
pub(super) enum Preflight {
    /// The run starts from this version.
    From(Option<Manifest>),
    /// Mode `ignore`, and there is a version.
    AlreadyThere(Manifest),
}

/// Step 1. Decided runs that were not finished are finished.
pub(super) async fn preflight(place: &DatasetRoot, mode: Mode) -> Result<Preflight> {
    for (run, names) in record::runs(place).await? {
        if record::is_decided(&names) {
            finalize::roll_forward(place, &run).await?;
        }
    }
    let base = current(place).await?;
    match (mode, base) {
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
    match place.find(|path| !names::is_of_commits(path)).await? {
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
    place: &DatasetRoot,
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
