//! What a run leaves under `_runs/<run>/`, so that whoever comes next can finish or undo it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::table::manifest::{FileRecord, Manifest};
use crate::table::{InputRecord, Mode};

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
}

/// The path of `name` in the record of `run`, relative to the dataset.
pub(crate) fn path(run: &str, name: &str) -> String {
    format!("_runs/{run}/{name}")
}

/// Where the journal of `run` has the upload of the data file `file`.
pub(crate) fn upload_path(run: &str, file: &str) -> String {
    path(run, &format!("uploads-{}.json", stem(file)))
}

/// Where `run` stages the local bytes of the data file `file`. The name does not end in
/// `.parquet`, so no pattern of a reader finds it.
pub(crate) fn part_path(run: &str, file: &str) -> String {
    path(run, &format!("stage/{}.part", stem(file)))
}

/// What is unique of a path: names of Parquet files are, alone; text files are named by their path.
fn stem(path: &str) -> String {
    match path.strip_suffix(".parquet") {
        Some(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
        None => path.replace('/', "+"),
    }
}

/// Where `run` keeps the small file `name` for a later run.
pub(crate) fn kept_path(run: &str, name: &str) -> String {
    path(run, &format!("kept/{name}"))
}

/// Whether `name`, in the record of a run, is a file kept for a later run.
pub(crate) fn is_kept(name: &str) -> bool {
    name.starts_with("kept/")
}

/// Whether a run with these records is decided and not finished.
pub(crate) fn is_decided(names: &[String]) -> bool {
    has(names, "prepared.json") && has(names, "intent.json") && !has(names, "report.json")
}

/// Whether a run with these records is not decided.
pub(crate) fn is_open(names: &[String]) -> bool {
    !has(names, "prepared.json") && !has(names, "report.json")
}

/// Whether nothing will come of a run with these records: it has a report, or only the decision of
/// another that it is void, kept so that its process cannot decide if it lives after all.
pub(crate) fn is_over(names: &[String]) -> bool {
    !is_open(names) && !is_decided(names)
}

/// Whether `name`, in the record of a run, is of what it staged.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with("stage/") || name.starts_with("uploads-")
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

/// This machine's name, as far as the system tells it in a file.
pub(crate) fn host() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(Path::new(file)).ok());
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
