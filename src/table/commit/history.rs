//! Every run that left a trace: its record under `_runs/`, or the version it published.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::liveness::{self, Holder};
use super::place::DatasetRoot;
use super::record::{self, Decision, Intent, Outcome, Report};
use super::{names, versions};
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Stores};
use crate::table::manifest::{FileRecord, Manifest, Mode};

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its version was published.
    Published,
    /// Another run published first.
    Lost,
    /// What others published first could not be appended to.
    Refused,
    /// Bytes of it were lost before it was published.
    Revoked,
    /// It decided to publish and is not finished.
    Decided,
    /// Its process was dead, and another run ended it.
    Ended,
    /// Its process is dead, and no other run has ended it.
    Dead,
    /// It is running, or that cannot be known.
    Open,
}

impl Fate {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Decided => "decided",
            Self::Ended => "ended",
            Self::Dead => "dead",
            Self::Open => "open",
        }
    }
}

/// A run, as far as it is known.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// Its id; ids grow with time.
    pub run: String,
    /// What became of it.
    pub fate: Fate,
    /// The version it made or, if it lost, met.
    pub version: Option<u64>,
    /// How it treats the version before.
    pub mode: Option<Mode>,
    /// When it began, RFC 3339.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// Rows it wrote.
    pub rows: Option<u64>,
    /// Bytes it wrote.
    pub bytes: Option<u64>,
    /// Its machine and process.
    pub process: Option<(String, u32)>,
    /// Whether its version can be read: all files of it are there, or kept.
    pub readable: Option<bool>,
    /// Its arguments.
    pub arguments: Vec<(String, String)>,
}

/// The runs of the dataset at `location`, oldest first. Records of old runs are removed in time;
/// what they published is known from the manifests that are there.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is no trace of any; or if storage fails.
pub async fn history(stores: &Arc<Stores>, location: &Location) -> Result<Vec<PastRun>> {
    let place = DatasetRoot::at(stores, location)?;
    let mut runs = BTreeMap::new();
    for (run, names) in record::runs(&place).await? {
        let past = of_record(&place, &run, &names).await?;
        runs.insert(run, past);
    }
    let sizes = place.sizes().await?;
    for names in versions::all_names(&place).await?.into_values() {
        for name in names {
            let manifest = versions::read(&place, &name).await?;
            let known = runs.remove(&manifest.run);
            runs.insert(manifest.run.clone(), of_manifest(&manifest, known, &sizes));
        }
    }
    if runs.is_empty() {
        return Err(Error::missing(format!("'{location}' is not a pleiad dataset")));
    }
    Ok(runs.into_values().collect())
}

/// A run by the names and contents of its record.
async fn of_record(place: &DatasetRoot, run: &str, names: &[String]) -> Result<PastRun> {
    let intent: Option<Intent> = record::read(place, run, names::INTENT).await?;
    let report: Option<Report> = match record::has(names, names::REPORT) {
        true => record::read(place, run, names::REPORT).await?,
        false => None,
    };
    let fate = match &report {
        Some(report) => match report.outcome {
            Outcome::Published => Fate::Published,
            Outcome::Lost => Fate::Lost,
            Outcome::Refused => Fate::Refused,
            Outcome::Revoked => Fate::Revoked,
        },
        None => fate_of_open(place, run, names).await?,
    };
    let reported = |count: fn(&Report) -> u64| report.as_ref().map(count);
    Ok(PastRun {
        run: run.to_owned(),
        fate,
        version: reported(|report| report.version),
        mode: intent.as_ref().map(|intent| intent.mode),
        started: intent.as_ref().map(|intent| intent.started.clone()),
        ended: report.as_ref().map(|report| report.ended.clone()),
        rows: reported(|report| report.rows),
        bytes: reported(|report| report.bytes),
        process: intent.as_ref().map(|intent| (intent.host.clone(), intent.pid)),
        readable: None,
        arguments: intent.map(|intent| intent.arguments).unwrap_or_default(),
    })
}

/// The fate of a run without a report. On object stores a dead run is not distinguished from a running
/// one: that would need the server's time, and with it a write.
async fn fate_of_open(place: &DatasetRoot, run: &str, names: &[String]) -> Result<Fate> {
    if record::has(names, names::DECISION) {
        return Ok(match record::decision(place, run).await? {
            Some(Decision::Void { .. }) => Fate::Ended,
            _ => Fate::Decided,
        });
    }
    match liveness::holder(place, run, None).await {
        Ok(Holder::Dead(_)) => Ok(Fate::Dead),
        // A directory that may not be written to has no locks to ask for.
        Ok(Holder::Alive) => Ok(Fate::Open),
        Err(error) if error.kind() == Kind::Io => Ok(Fate::Open),
        Err(error) => Err(error),
    }
}

/// What a published version adds to what its run's record says.
fn of_manifest(
    manifest: &Manifest,
    known: Option<PastRun>,
    sizes: &BTreeMap<String, u64>,
) -> PastRun {
    let is_there = |file: &FileRecord| {
        let mut places = [file.path.clone(), names::kept(&file.path)].into_iter();
        places.any(|path| sizes.get(&path) == Some(&file.size))
    };
    let readable = Some(manifest.files.iter().all(is_there));
    let version = Some(manifest.version);
    match known {
        Some(known) => PastRun { fate: Fate::Published, version, readable, ..known },
        None => PastRun {
            run: manifest.run.clone(),
            fate: Fate::Published,
            version,
            mode: Some(manifest.mode),
            started: None,
            ended: Some(manifest.created.clone()),
            rows: None,
            bytes: None,
            process: None,
            readable,
            arguments: manifest.arguments.clone(),
        },
    }
}
