//! Tables of Delta, Hudi and Iceberg list their own files: some of those that lie there are old.

use std::sync::Arc;

use futures::stream::TryStreamExt;

use super::options::SourceOptions;
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::commit::place::DatasetRoot;

/// What tables that list their own files keep beside them.
pub(super) const DELTA: &str = "_delta_log";
pub(super) const HUDI: &str = ".hoodie";
pub(super) const ICEBERG: &str = ".metadata.json";
/// How far up such a table is looked for, from a file in its directory of keys.
const LEVELS_UP: usize = 4;

/// Refuses files of a table that lists its own files: some of those that lie there are old versions of rows.
///
/// # Errors
/// Of kind [`Data`](crate::error::Kind::Data) if `location` is such a table or lies in one.
pub(super) async fn check_no_lake(
    stores: &Arc<Stores>,
    location: &Location,
    options: &SourceOptions,
) -> Result<()> {
    let itself = location.join("");
    // The files of a directory that is named are looked at one by one.
    let mut next = match location.glob() {
        Some(_) => Some(itself),
        None => parent(stores, &itself)?,
    };
    for _ in 0..LEVELS_UP {
        let Some(at) = next.filter(|_| !options.allow_incomplete) else { return Ok(()) };
        let place = DatasetRoot::at(stores, &at)?;
        // Who may read the files need not be allowed to list what is above them.
        let has = async |path: &str, ending: &str| {
            let prefix = place.key(path);
            let mut listed = place.store.objects().list(Some(&prefix));
            while let Ok(Some(meta)) = listed.try_next().await {
                if meta.location.as_ref().ends_with(ending) {
                    return true;
                }
            }
            false
        };
        let (delta, hudi, iceberg) =
            futures::join!(has(DELTA, ".json"), has(HUDI, ""), has("metadata", ICEBERG));
        let found = [(delta, "Delta"), (hudi, "Hudi"), (iceberg, "Iceberg")];
        if let Some((_, kind)) = found.into_iter().find(|(is_there, _)| *is_there) {
            return Err(Error::data(format!(
                "'{location}' looks like part of the {kind} table '{at}', which lists its own files: some of \
                 those that lie there may be old; pass --as-files to read them all"
            )));
        }
        next = parent(stores, &at)?;
    }
    Ok(())
}

/// The location one segment up.
pub(super) fn parent(stores: &Arc<Stores>, location: &Location) -> Result<Option<Location>> {
    let text = location.to_string();
    match text.rsplit_once('/') {
        Some((parent, _)) if location.path().parts().count() > 1 => {
            stores.parse_existing(parent).map(Some)
        }
        _ => Ok(None),
    }
}
