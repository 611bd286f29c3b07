//! The end of a decided run that no one can finish, because bytes of it are gone: it is revoked.
//!
//! The record of that is a version of its own, which holds what the version before it holds and names the
//! run ([`Manifest::revokes`]). One number is given out once, so either the run is published or it is
//! revoked, whoever else is finishing it at the same time.

use super::place::DatasetRoot;
use super::publish::put;
use super::record;
use super::versions::{Fate, current, fate_of};
use crate::error::{Error, Kind, Result};
use crate::table::manifest::{FORMAT, Manifest, Mode};

/// How often a newer version may come first.
const TRIES: usize = 10;

/// Revokes `run`, which started from version `base`, unless it is published or revoked already.
pub(super) async fn revoke(place: &DatasetRoot, run: &str, base: u64) -> Result<Fate> {
    for _ in 0..TRIES {
        if let Some(fate) = fate_of(place, run, base).await? {
            return Ok(fate);
        }
        let revocation = revocation(place, current(place).await?, run);
        if put(place, &revocation).await?.is_none() {
            return Ok(Fate::Revoked(revocation));
        }
    }
    Err(Error::new(
        Kind::Retry,
        format!(
            "too many writers publish to '{}' at the same time: try again later",
            place.location
        ),
    ))
}

/// The version that says it: `newest` once more, or nothing if there is none.
fn revocation(place: &DatasetRoot, newest: Option<Manifest>, run: &str) -> Manifest {
    let before = newest.unwrap_or_else(|| Manifest {
        format: FORMAT,
        version: 0,
        run: String::new(),
        base: 0,
        mode: Mode::Append,
        location: place.location.to_string(),
        created: String::new(),
        made_by: None,
        grows: Some(true),
        restores: None,
        revokes: None,
        arguments: Vec::new(),
        inputs: Vec::new(),
        tables: Vec::new(),
        files: Vec::new(),
        properties: Default::default(),
        blocks: Vec::new(),
    });
    Manifest {
        version: before.version + 1,
        run: uuid::Uuid::now_v7().simple().to_string(),
        base: before.version,
        mode: Mode::Append,
        created: record::now(),
        restores: Some(before.version).filter(|version| *version > 0),
        revokes: Some(run.to_owned()),
        ..before
    }
}
