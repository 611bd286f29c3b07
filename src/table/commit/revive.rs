//! A manifest that someone removed: the record of its run still says all of it.

use super::place::DatasetRoot;
use super::publish::put;
use super::record::{self, Decision, Outcome, Report};
use super::{names, versions};
use crate::error::Result;
use crate::table::manifest::Manifest;

/// The newest version above `version` that a run has reported to be published, that has no manifest, and
/// whose files are there.
pub(super) async fn lost_manifest(place: &DatasetRoot, version: u64) -> Result<Option<Manifest>> {
    for (run, names) in record::runs(place).await?.into_iter().rev() {
        if !record::has(&names, names::REPORT) || !record::has(&names, names::DECISION) {
            continue;
        }
        let report: Option<Report> = record::read(place, &run, names::REPORT).await?;
        let Some(report) = report.filter(|report| report.outcome == Outcome::Published) else {
            continue;
        };
        let decision = record::decision(place, &run).await?;
        return Ok(match decision {
            // A run that others came before was published with files that its record does not name.
            Some(Decision::Publish(prepared))
                if report.version > version && prepared.manifest.version == report.version =>
            {
                let listed = place.sizes().await?;
                let files = &prepared.manifest.files;
                let is_whole = files.iter().all(|file| listed.get(&file.path) == Some(&file.size));
                is_whole.then_some(prepared.manifest)
            }
            _ => None,
        });
    }
    Ok(None)
}

/// Puts that manifest again. On an object store the files have no entity tags in it: their sizes are compared.
pub(super) async fn revive(place: &DatasetRoot, version: u64) -> Result<Option<Manifest>> {
    let Some(manifest) = lost_manifest(place, version).await? else { return Ok(None) };
    tracing::warn!(
        "the manifest of version {} of '{}' was removed: it is put again from the record of run '{}'",
        manifest.version,
        place.location,
        manifest.run
    );
    put(place, &manifest).await?;
    versions::current(place).await
}
