//! Room on the disk for what follows the decision: a run that has decided cannot be undone, so a disk that is
//! full has to show before.
//!
//! As much as the small files and the directories of steps 6 to 8 take is set aside before step 5 and given
//! back after it. Other programs can take it in between; then the run is finished when there is room again.

use super::names;
use super::place::DatasetRoot;
use crate::error::Result;
use crate::storage::blocking;

/// Bytes for renderings, the report, and what their directories grow by.
const SMALL_FILES: u64 = 64 << 10;

/// Bytes that a new directory takes.
const DIRECTORY: u64 = 4 << 10;

/// Sets room aside for a run whose decision has so many bytes and so many files. On an object store there
/// is nothing to be set aside.
pub(super) async fn set_aside(
    place: &DatasetRoot,
    run: &str,
    decision_bytes: usize,
    files: usize,
) -> Result<()> {
    let Some((local, path)) = place.local(&names::of_run(run, names::RESERVE)) else {
        return Ok(());
    };
    // The manifest has no more bytes than the decision, and is there twice while it gets its name.
    let bytes = SMALL_FILES + 2 * decision_bytes as u64 + DIRECTORY * files as u64;
    blocking(move || local.fill(&path, bytes)).await
}

/// Gives the room back.
pub(super) async fn give_back(place: &DatasetRoot, run: &str) -> Result<()> {
    match place.local(&names::of_run(run, names::RESERVE)) {
        Some((local, path)) => blocking(move || local.remove(&path).map(drop)).await,
        None => Ok(()),
    }
}
