//! What a run leaves under `_runs/<run>/`, so that the next run can finish or undo it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names;
use super::place::{DatasetRoot, parsing};
use crate::error::{Error, Result};
use crate::table::manifest::{FileRecord, InputRecord, Manifest, Mode};

/// `intent.json`: put create-only before anything else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) run: String,
    pub(crate) mode: Mode,
    /// The version the run starts from; 0 for none.
    pub(crate) base: u64,
    pub(crate) location: String,
    pub(crate) arguments: Vec<(String, String)>,
    pub(crate) inputs: Vec<InputRecord>,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) started: String,
}

/// `prepared.json`: the decision. It is put create-only, so it is taken once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Decision {
    /// These files become visible and this version is published, by the run or by another.
    Publish(Box<Prepared>),
    /// The run is over: another found its process dead.
    Void { void_by: String },
}

/// Everything needed to publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// What is published; entity tags and, in mode append, the version are settled later.
    pub(crate) manifest: Manifest,
    /// The run's own files.
    pub(crate) staged: Vec<StagedFile>,
    /// The run has read its base: it can follow no other version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reads_base: bool,
    /// How long the files of its base are kept that it replaces.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) keep_seconds: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Prepared {
    /// Whether it may be published after a version that is not its base.
    pub(crate) fn can_follow_another(&self) -> bool {
        self.manifest.mode == Mode::Append && !self.reads_base
    }
}

/// A data file that is written but not visible.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    pub(crate) file: FileRecord,
    pub(crate) stage: Stage,
}

/// Where the bytes of a staged file are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// In a local file; its path relative to the dataset.
    Part(String),
    /// In a file of an old version, that is here; its path relative to the dataset.
    Kept(String),
    /// In a multipart upload that is not completed; part ids are as the store gave them.
    Upload { id: String, parts: Vec<String> },
}

/// `uploads-<number>.json`: put before the first part of a file; the only way back to an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) path: String,
    pub(crate) id: String,
}

/// `report.json`: the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) run: String,
    pub(crate) outcome: Outcome,
    /// The version it made or, if it lost, met.
    pub(crate) version: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Requests to its bucket that were sent again, by the process that wrote this.
    #[serde(default)]
    pub(crate) retries: u64,
    pub(crate) ended: String,
}

/// How a decided run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Its version is published.
    Published,
    /// Another run published first; its files are removed.
    Lost,
    /// What others published first cannot be appended to; its files are removed.
    Refused,
    /// Bytes of it were lost before it was published; its files are removed.
    Revoked,
}

/// All runs with a record, and the names in it, oldest first.
pub(crate) async fn runs(place: &DatasetRoot) -> Result<BTreeMap<String, Vec<String>>> {
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in place.list(names::RUNS).await? {
        let mut segments = path.splitn(3, '/').skip(1);
        if let (Some(run), Some(name)) = (segments.next(), segments.next()) {
            runs.entry(run.to_owned()).or_default().push(name.to_owned());
        }
    }
    Ok(runs)
}

/// Reads a record of a run; `None` if it is not there.
pub(crate) async fn read<T: serde::de::DeserializeOwned + Send + 'static>(
    place: &DatasetRoot,
    run: &str,
    name: &str,
) -> Result<Option<T>> {
    let path = names::of_run(run, name);
    let Some(bytes) = place.read(&path).await? else { return Ok(None) };
    let shown = place.location.join(&path);
    let parsed = parsing(bytes.len(), move || {
        serde_json::from_slice(&bytes).map_err(|cause| {
            Error::data(format!("'{shown}' is not a record of a run: {cause}")).caused_by(cause)
        })
    });
    parsed.await.map(Some)
}

/// The decision of a run.
pub(crate) async fn decision(place: &DatasetRoot, run: &str) -> Result<Option<Decision>> {
    read(place, run, names::DECISION).await
}

/// Whether a run with these records is decided and not finished. A decision alone is what stays of a run
/// that is void.
pub(crate) fn is_decided(names: &[String]) -> bool {
    has(names, names::DECISION) && names.len() > 1 && !has(names, names::REPORT)
}

/// Whether a run with these records is not decided.
pub(crate) fn is_open(names: &[String]) -> bool {
    !has(names, names::DECISION) && !has(names, names::REPORT)
}

/// Whether nothing will come of a run with these records: it has a report, or only the decision of
/// another that it is void, kept so that its process cannot decide if it lives after all.
pub(crate) fn is_over(names: &[String]) -> bool {
    !is_open(names) && !is_decided(names)
}

/// Whether `name` is one of `names`.
pub(crate) fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|found| found == name)
}

/// JSON bytes of a record.
pub(crate) fn to_bytes(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(record).expect("records have only text keys");
    bytes.push(b'\n');
    bytes
}

/// Now, RFC 3339, to the microsecond.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Microsecond).unwrap_or(now).to_string()
}
