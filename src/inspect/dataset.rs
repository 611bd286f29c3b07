//! What a dataset says of itself: its current version, its tables, files, blocks and properties.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::objects::{ObjectOrFolder, copy, look};
use crate::storage::{Location, Stores};
use crate::table::{Manifest, dataset_around, properties};

/// The dataset that `location` is; `None` if it is something else, or nothing.
///
/// # Errors
/// If its manifest cannot be read.
pub async fn dataset(stores: &Arc<Stores>, location: &Location) -> Result<Option<Manifest>> {
    if location.glob().is_some() {
        return Err(Error::usage(format!("'{location}' is a pattern, expected one dataset")));
    }
    let within = dataset_around(stores, location).await?;
    Ok(within.filter(|within| within.path.is_empty()).map(|within| within.manifest))
}

/// A table of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name; empty for the root table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its partitions, 1 if it has no keys.
    pub partitions: u64,
    /// Its keys, outermost first.
    pub keys: Vec<String>,
    /// Its columns without the keys.
    pub columns: u64,
}

/// The tables of a version.
pub fn tables(manifest: &Manifest) -> Vec<Table> {
    let tables = manifest.tables.iter().map(|record| {
        let files: Vec<_> = manifest.files_of(&record.name).collect();
        let partitions: BTreeSet<_> =
            files.iter().filter(|file| file.rows > 0).map(|file| &file.partition).collect();
        Table {
            name: record.name.clone(),
            rows: files.iter().map(|file| file.rows).sum(),
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.size).sum(),
            partitions: partitions.len() as u64,
            keys: record.keys.iter().map(|key| key.name.clone()).collect(),
            columns: record.schema.len() as u64,
        }
    });
    tables.collect()
}

/// The properties of a file in Java's form: the one at `location`, or `properties` in that folder.
///
/// # Errors
/// If there is none, or it is not of that form.
pub async fn properties_at(
    stores: &Arc<Stores>,
    location: &Location,
) -> Result<BTreeMap<String, String>> {
    let file = match look(stores, location).await? {
        ObjectOrFolder::Object(_) => location.clone(),
        ObjectOrFolder::Folder => location.join("properties"),
    };
    let bytes: Vec<_> = copy::read(stores, &file).await?.try_collect().await?;
    let text = String::from_utf8(bytes.concat()).map_err(|cause| {
        Error::data(format!("file '{file}' is not UTF-8, expected key=value lines"))
            .caused_by(cause)
    })?;
    properties::parse(&text).map_err(|cause| Error::data(format!("file '{file}': {cause}")))
}
