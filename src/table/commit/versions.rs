//! Which versions of a dataset there are: the names under `_manifest/`.

use std::collections::BTreeMap;

use super::names;
use super::place::{DatasetRoot, parsing};
use crate::error::{Error, Result};
use crate::table::manifest::Manifest;

/// The current version of the dataset at `place`; `None` if there is no manifest.
pub(crate) async fn current(place: &DatasetRoot) -> Result<Option<Manifest>> {
    match names(place).await?.pop_last() {
        Some((_, name)) => read(place, &name).await.map(Some),
        None => Ok(None),
    }
}

/// The number of the current version.
pub(crate) async fn current_version(place: &DatasetRoot) -> Result<Option<u64>> {
    Ok(names(place).await?.pop_last().map(|(version, _)| version))
}

/// One version; `None` if it is not there.
pub(super) async fn version(place: &DatasetRoot, version: u64) -> Result<Option<Manifest>> {
    match names(place).await?.remove(&version) {
        Some(name) => read(place, &name).await.map(Some),
        None => Ok(None),
    }
}

/// One version.
///
/// # Errors
/// Of kind [`Kind::InputMissing`](crate::error::Kind::InputMissing) if there is none; it names those there
/// are.
pub(crate) async fn existing(place: &DatasetRoot, number: u64) -> Result<Manifest> {
    let mut names = names(place).await?;
    let name = match names.remove(&number) {
        Some(name) => name,
        None => {
            let ends = names.first_key_value().zip(names.last_key_value());
            let known =
                ends.map(|((first, _), (last, _))| format!(", which has {first} to {last}"));
            return Err(Error::missing(format!(
                "version {number} not found in dataset '{}'{}",
                place.location,
                known.unwrap_or_default()
            )));
        }
    };
    read(place, &name).await
}

/// How a decided run ended, as the versions after its base say.
pub(super) enum Fate {
    /// It is published as this.
    Published(Manifest),
    /// It is revoked by this.
    Revoked(Manifest),
}

/// How the run that started from version `base` ended, if it has.
pub(super) async fn fate_of(place: &DatasetRoot, run: &str, base: u64) -> Result<Option<Fate>> {
    for (_, name) in names(place).await?.range(base + 1..) {
        let manifest = read(place, name).await?;
        if manifest.run == run {
            return Ok(Some(Fate::Published(manifest)));
        }
        if manifest.revokes.as_deref() == Some(run) {
            return Ok(Some(Fate::Revoked(manifest)));
        }
    }
    Ok(None)
}

/// The manifests by version.
///
/// # Errors
/// If one version has two: the store takes any put, and a living writer was declared dead.
pub(super) async fn names(place: &DatasetRoot) -> Result<BTreeMap<u64, String>> {
    let mut names = BTreeMap::new();
    for (version, mut found) in all_names(place).await? {
        if let [first, second, ..] = found.as_slice() {
            return Err(Error::data(format!(
                "dataset '{}' has two manifests of version {version}, '{first}' and '{second}': \
                 decide with pleiad recover --keep RUN",
                place.location
            )));
        }
        names.extend(found.pop().map(|name| (version, name)));
    }
    Ok(names)
}

/// All names under `_manifest/` by version, whether or not they can be.
pub(super) async fn all_names(place: &DatasetRoot) -> Result<BTreeMap<u64, Vec<String>>> {
    let mut all: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for path in place.list(names::MANIFESTS).await? {
        let name = path.trim_start_matches(names::MANIFESTS).trim_start_matches('/');
        let number = name.strip_suffix(".json").and_then(|stem| stem.split('-').next());
        if let Some(version) = number.and_then(|number| number.parse().ok()) {
            all.entry(version).or_default().push(name.to_owned());
        }
    }
    Ok(all)
}

/// The manifest of a listed name.
pub(super) async fn read(place: &DatasetRoot, name: &str) -> Result<Manifest> {
    let path = names::manifest(name);
    let shown = place.location.join(&path).to_string();
    let bytes = place.read(&path).await?;
    let bytes = bytes.ok_or_else(|| Error::data(format!("'{shown}' is listed but not there")))?;
    parsing(bytes.len(), move || Manifest::parse(&bytes, &shown)).await
}
