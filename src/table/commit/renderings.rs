//! What other tools and people read of the current version: renderings of the manifest.

use std::collections::BTreeMap;

use super::names;
use super::place::DatasetRoot;
use super::versions::current;
use crate::error::Result;
use crate::table::manifest::Manifest;
use crate::table::properties;

/// Writes what other tools and people read of the current version, `_SUCCESS` last.
pub(super) async fn put(place: &DatasetRoot) -> Result<()> {
    let Some(manifest) = current(place).await? else { return Ok(()) };
    if manifest.holds_nothing() {
        return place.delete(names::RENDERINGS.map(str::to_owned)).await;
    }
    if manifest.blocks.is_empty() && manifest.base > 0 {
        place.delete([names::BLOCKS.to_owned()]).await?;
    }
    for (path, text) in of(&manifest) {
        place.replace(path, text.into_bytes()).await?;
    }
    Ok(())
}

/// What other tools and people read of a version: files and their texts.
pub(super) fn of(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut texts = Vec::new();
    // One layout has a directory of that name.
    if !manifest.files.iter().any(|file| file.path.split('/').next() == Some(names::PROPERTIES)) {
        texts.push((names::PROPERTIES, properties::render(&manifest.properties)));
    }
    if !manifest.blocks.is_empty() {
        let lines: Vec<_> = manifest.blocks.iter().map(|line| line.join(",") + "\n").collect();
        texts.push((names::BLOCKS, lines.concat()));
    }
    let success = BTreeMap::from([
        ("version".to_owned(), manifest.version.to_string()),
        ("run".to_owned(), manifest.run.clone()),
        ("files".to_owned(), manifest.files.len().to_string()),
        ("rows".to_owned(), manifest.rows().to_string()),
        ("bytes".to_owned(), manifest.bytes().to_string()),
    ]);
    texts.push((names::SUCCESS, properties::render(&success)));
    texts
}
