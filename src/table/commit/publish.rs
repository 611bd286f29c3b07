//! Step 7: a manifest is put under its version, unless there is one.

use super::claims::{self, Claimed};
use super::create::Created;
use super::place::{DatasetRoot, listing};
use super::probe;
use crate::error::Result;
use crate::storage::CreateOnly;
use crate::table::manifest::Manifest;

/// Puts a manifest under its version; answers with the one that is there already, if there is one.
pub(super) async fn put(place: &DatasetRoot, manifest: &Manifest) -> Result<Option<Manifest>> {
    if probe::create_only(place).await? == CreateOnly::Enforced {
        let path = Manifest::path(manifest.version);
        let bytes = encoded(manifest).await?;
        return match place.create(&path, bytes).await? {
            Created::Ours => Ok(None),
            Created::Theirs(bytes) => {
                Manifest::parse(&bytes, &place.location.join(&path).to_string()).map(Some)
            }
        };
    }
    match claims::publish(place, manifest).await? {
        Claimed::Ours => Ok(None),
        Claimed::Taken(theirs) => Ok(Some(*theirs)),
    }
}

async fn encoded(manifest: &Manifest) -> Result<Vec<u8>> {
    let manifest = manifest.clone();
    listing(manifest.files.len(), move || Ok(manifest.to_bytes())).await
}
