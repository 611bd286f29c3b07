//! Publishing where a store ignores or refuses create-only puts: a writer first claims the version,
//! looks whether it is alone, and then puts the manifest under a name with its run id.
//!
//! Of two claims of a version one put ends first. Its owner's claim, or the manifest that replaced
//! it, is there for the other's two listings, claims first and manifests second; so two cannot both
//! find themselves alone. This needs a listing to show what was put before it, which such stores
//! give. A claim is of one process, not of one run: two that finish the same run publish the same
//! bytes under the same name and need not keep apart, but neither may take the other's claim away.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::DatasetRoot;
use super::{names, process, record, versions};
use crate::error::{Error, Kind, Result};
use crate::table::manifest::Manifest;

/// How long a claim waits for another to go, each time and in all.
const FIRST_WAIT: Duration = Duration::from_millis(400);
const MAX_WAIT: Duration = Duration::from_secs(2);
const WAITS: u32 = 45;

/// Who claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) run: String,
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) started: String,
}

/// What became of a manifest.
pub(super) enum Claimed {
    /// It is published.
    Ours,
    /// This is published, of this version or a later one.
    Taken(Box<Manifest>),
}

/// Publishes `manifest` under its version unless another run has.
///
/// # Errors
/// Of kind [`Kind::Retry`] if another claim of this version does not go away.
pub(super) async fn publish(place: &DatasetRoot, manifest: &Manifest) -> Result<Claimed> {
    let name = format!("{:08}-{}.json", manifest.version, manifest.run);
    let claim = Claim {
        run: manifest.run.clone(),
        host: process::host(),
        pid: std::process::id(),
        started: record::now(),
    };
    let nonce = uuid::Uuid::now_v7().simple().to_string();
    let ours = format!("{}/{}-{nonce}", names::claims(manifest.version), manifest.run);
    let mut others = Vec::new();
    for attempt in 0..WAITS {
        place.replace(&ours, record::to_bytes(&claim)).await?;
        let claims = place.list(&names::claims(manifest.version)).await?;
        let published = versions::names(place).await?;
        if let Some((_, newest)) = published.range(manifest.version..).next_back() {
            place.delete([ours]).await?;
            return Ok(Claimed::Taken(Box::new(versions::read(place, newest).await?)));
        }
        others = claims.into_iter().filter(|path| run_of(path) != manifest.run).collect();
        if others.is_empty() {
            place.replace(&names::manifest(&name), manifest.to_bytes()).await?;
            versions::names(place).await?; // two of one number are an error
            // Those who died finishing this run, too.
            let claims = place.list(&names::claims(manifest.version)).await?;
            place.delete(claims.into_iter().filter(|path| run_of(path) == manifest.run)).await?;
            return Ok(Claimed::Ours);
        }
        place.delete([ours.clone()]).await?;
        place.store.pause((FIRST_WAIT * (1 << attempt.min(3))).min(MAX_WAIT)).await;
    }
    let mut message = format!("version {} of '{}' is claimed", manifest.version, place.location);
    if let Some(claim) = read(place, others.first().map_or("", String::as_str)).await? {
        let Claim { run, host, pid, started } = claim;
        message += &format!(" by run {run} of process {pid} on '{host}' since {started}");
    }
    Err(Error::new(
        Kind::Retry,
        format!("{message}: if that process is dead, run pleiad unlock '{}'", place.location),
    ))
}

/// The claim at `path`; `None` if it is gone or no claim.
pub(super) async fn read(place: &DatasetRoot, path: &str) -> Result<Option<Claim>> {
    let bytes = place.read(path).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The run of a claim's path.
fn run_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('-').next().unwrap_or(name)
}
