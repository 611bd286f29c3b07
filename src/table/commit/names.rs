//! Every name in a dataset that is not a table's: directories of the commit, files of a run's
//! record, renderings for other tools. Nothing else spells them.

use crate::storage::is_upload_note;

/// The manifests: `_manifest/00000001.json`.
pub(crate) const MANIFESTS: &str = "_manifest";
/// The records of runs: `_runs/<run>/…`.
pub(crate) const RUNS: &str = "_runs";
/// Claims of versions, where a store ignores create-only puts.
pub(crate) const CLAIMS: &str = "_claims";
/// What a probe of the store puts and deletes.
pub(crate) const PROBES: &str = "_probe";

/// Files of replaced versions: `_kept/<path>.kept`.
pub(crate) const KEPT: &str = "_kept";
/// How the names of such files end, so that no pattern of a reader finds them.
const KEPT_ENDING: &str = ".kept";

/// The manifest's properties, for people and other tools.
pub(crate) const PROPERTIES: &str = "properties";
/// The manifest's blocks, one line a block.
pub(crate) const BLOCKS: &str = "blocks.csv";
/// What readers that only list trust: put last.
pub(crate) const SUCCESS: &str = "_SUCCESS";
/// Files in a dataset beside its tables.
pub(crate) const RENDERINGS: [&str; 3] = [PROPERTIES, BLOCKS, SUCCESS];

/// In a run's record: what it is about to do.
pub(crate) const INTENT: &str = "intent.json";
/// The decision.
pub(crate) const DECISION: &str = "prepared.json";
/// The end.
pub(crate) const REPORT: &str = "report.json";
/// Locked while the run's process lives, on local files.
pub(crate) const LOCK: &str = "lock";
/// Put again every minute while the run lives, on an object store.
pub(crate) const ALIVE: &str = "alive";
/// Room on a local disk for what follows the decision.
pub(crate) const RESERVE: &str = "reserve";
/// Local bytes that have no name yet.
const STAGE: &str = "stage/";
/// The journal of uploads, one file each.
const UPLOADS: &str = "uploads-";
/// Files kept for a later run to go on from.
const CHECKPOINTS: &str = "kept/";

/// How the file ends that claims a name where there are no hard links.
pub(crate) const CLAIM_ENDING: &str = ".claim";

/// How the names of data files end.
pub(crate) const DATA_ENDING: &str = ".parquet";

/// How the names of the data files of `run` begin; those of text are named by their readers.
pub(crate) fn data_of(run: &str) -> String {
    format!("part-{run}-")
}

/// The run of a data file by its path; `None` for other files.
pub(crate) fn run_of_data(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_suffix(DATA_ENDING)?;
    let (run, numbers) = name.strip_prefix("part-")?.split_once('-')?;
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // The part of a table written by several calls, then the number of the file.
    let are_numbers = numbers.split('-').all(|number| is_hex(number, 8));
    let is_ours = is_hex(run, 32) && are_numbers && numbers.len() <= 17;
    (is_ours && !path.starts_with('_')).then_some(run)
}

/// Whether a path of the dataset belongs to commits that may not have published anything.
pub(crate) fn is_of_commits(path: &str) -> bool {
    [RUNS, PROBES, CLAIMS, KEPT].iter().any(|ours| is_in(path, ours)) || is_upload_note(path)
}

/// Whether a path of the dataset is in a run's record.
pub(crate) fn is_of_runs(path: &str) -> bool {
    is_in(path, RUNS)
}

fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// The path of a manifest, relative to the dataset.
pub(crate) fn manifest(name: &str) -> String {
    format!("{MANIFESTS}/{name}")
}

/// The path of `name` in the record of `run`, relative to the dataset.
pub(crate) fn of_run(run: &str, name: &str) -> String {
    format!("{RUNS}/{run}/{name}")
}

/// Where a data file is kept once its version is replaced.
pub(crate) fn kept(path: &str) -> String {
    format!("{KEPT}/{path}{KEPT_ENDING}")
}

/// The name that says that the files which `version` has replaced are kept for `seconds`.
pub(crate) fn notice(version: u64, seconds: u64) -> String {
    format!("{KEPT}/{version:08}-{seconds}.json")
}

/// What such a name says.
pub(crate) fn of_notice(path: &str) -> Option<(u64, u64)> {
    let name = path.strip_prefix(KEPT)?.strip_prefix('/')?.strip_suffix(".json")?;
    let (version, seconds) = name.split_once('-')?;
    Some((version.parse().ok()?, seconds.parse().ok()?))
}

/// The directory with the claims of a version.
pub(crate) fn claims(version: u64) -> String {
    format!("{CLAIMS}/{version:08}")
}

/// A name that no other probe has.
pub(crate) fn probe() -> String {
    format!("{PROBES}/{}", uuid::Uuid::now_v7().simple())
}

/// Where the journal of `run` has the upload of the data file `file`.
pub(crate) fn upload(run: &str, file: &str) -> String {
    format!("{}{}.json", uploads(run), stem(file))
}

/// How the names in the journal of `run` begin.
pub(crate) fn uploads(run: &str) -> String {
    of_run(run, UPLOADS)
}

/// Where `run` stages the local bytes of the data file `file`. The name does not end in
/// `.parquet`, so no pattern of a reader finds it.
pub(crate) fn part(run: &str, file: &str) -> String {
    format!("{}{}.part", parts(run), stem(file))
}

/// The directory where `run` stages local bytes.
pub(crate) fn parts(run: &str) -> String {
    of_run(run, STAGE)
}

/// What is unique of a path: names of Parquet files are, alone; text files are named by their path.
fn stem(path: &str) -> String {
    match path.strip_suffix(DATA_ENDING) {
        Some(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
        None => path.replace('/', "+"),
    }
}

/// Where `run` keeps the small file `name` for a later run.
pub(crate) fn checkpoint(run: &str, name: &str) -> String {
    of_run(run, &format!("{CHECKPOINTS}{name}"))
}

/// The name that a file of a run's record was kept under, if it was.
pub(crate) fn checkpoint_of(name: &str) -> Option<&str> {
    name.strip_prefix(CHECKPOINTS)
}

/// Whether `name`, in the record of a run, is of what it staged.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with(STAGE) || name.starts_with(UPLOADS)
}
