//! What a location names: its tables, their files and keys, resolved once and pinned.
//!
//! A location is a dataset (it has a manifest), a table of one or a part of such a table, a
//! directory without a manifest, one file of Parquet, CSV or JSON lines, or a pattern of any of these. With
//! `@3` at its end it names version 3 of a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use futures::stream::TryStreamExt;

use super::lakes::{self, parent};
use super::options::SourceOptions;
use super::table::SourceTable;
use super::unmanaged;
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::commit::names;
use crate::table::commit::place::{DatasetRoot, listing};
use crate::table::commit::{ReadFrom, current, existing};
use crate::table::hive::{self, is_hidden};
use crate::table::manifest::{FileRecord, InputRecord, Manifest};
use crate::table::text::preamble::Finding;

/// How far up a dataset is looked for, from `OUT/table/key=1/key=2/file` at most.
const LEVELS_UP: usize = 5;

/// What a location names.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its tables, sorted by name; one at least.
    pub tables: Vec<SourceTable>,
    /// The dataset version they belong to, if it is one.
    pub manifest: Option<Arc<Manifest>>,
    /// What names them all: opened again, it gives the same tables.
    pub location: Location,
}

impl Source {
    /// What the run that reads this source records of it.
    pub fn input_records(&self) -> Vec<InputRecord> {
        self.tables.iter().flat_map(SourceTable::input_records).collect()
    }

    /// Whether a table of it has a column `name`.
    pub fn has_column(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.schema.field_with_name(name).is_ok())
    }

    /// The tables that hold its rows: all but those aside ([`Manifest::is_aside`]), where it names any
    /// other.
    pub fn tables_of_rows(&self) -> Vec<SourceTable> {
        let is_aside = |table: &&SourceTable| {
            self.manifest.as_ref().is_some_and(|manifest| manifest.is_aside(&table.name))
        };
        let rows: Vec<_> = self.tables.iter().filter(|table| !is_aside(table)).cloned().collect();
        if rows.is_empty() { self.tables.clone() } else { rows }
    }

    /// What a run that reads this source reads, as far as its output is concerned.
    pub fn reads(&self) -> Vec<ReadFrom> {
        self.tables.iter().map(SourceTable::reads).collect()
    }

    /// Resolves `text`.
    ///
    /// # Errors
    /// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is nothing, of kind
    /// [`Data`](crate::error::Kind::Data) if there is what cannot be read as tables or looks
    /// unfinished; or if storage fails.
    pub async fn open(stores: &Arc<Stores>, text: &str, options: &SourceOptions) -> Result<Self> {
        if let Some(past) = open_version(stores, text).await? {
            return Ok(past);
        }
        let location = stores.parse_existing(text)?;
        let alone =
            |table| Self { tables: vec![table], manifest: None, location: location.clone() };
        let mut source = match dataset_above(stores, &location).await? {
            // It holds text only; what is published is whole.
            Some((place, manifest)) if is_text_of(&place, &manifest, &location) => {
                let options = SourceOptions { allow_incomplete: true, ..options.clone() };
                let text = unmanaged::open(DatasetRoot::at(stores, &location)?, &options).await?;
                alone(SourceTable { within: Some((place.location, manifest.version)), ..text })
            }
            Some((place, manifest)) => {
                let location = location.clone();
                let files = manifest.files.len();
                listing(files, move || Self::of_dataset(&place, manifest, &location)).await?
            }
            None if location.glob().is_some() => {
                lakes::check_no_lake(stores, &location, options).await?;
                open_pattern(stores, &location, options).await?
            }
            None => {
                lakes::check_no_lake(stores, &location, options).await?;
                alone(unmanaged::open(DatasetRoot::at(stores, &location)?, options).await?)
            }
        };
        source.tables.sort_by(|a, b| a.name.cmp(&b.name));
        source.tell(stores, options.explain);
        Ok(source)
    }

    /// Says what was guessed in text files, or all that was found: once for the first file, with the number
    /// of the others.
    fn tell(&self, stores: &Stores, all: bool) {
        let mut told: Vec<(&str, &Finding, usize)> = Vec::new();
        let findings = self.tables.iter().flat_map(|table| table.findings.iter());
        for (file, finding) in findings.filter(|(_, finding)| all || finding.is_guess) {
            match told.iter_mut().find(|(_, known, _)| *known == finding) {
                Some((_, _, others)) => *others += 1,
                None => told.push((file, finding, 0)),
            }
        }
        for (file, Finding { what, value, why, .. }, others) in told {
            let others = match others {
                0 => String::new(),
                1 => " and one more file".to_owned(),
                others => format!(" and {others} more files"),
            };
            stores.note(format!("'{file}'{others}: {what}: {value}, since {why}"));
        }
    }

    /// The tables of the version `manifest` of the dataset at `location`.
    ///
    /// # Errors
    /// If the manifest makes no sense.
    pub fn of_version(
        stores: &Arc<Stores>,
        location: &Location,
        manifest: Manifest,
    ) -> Result<Self> {
        let place = DatasetRoot::at(stores, location)?;
        Self::of_dataset(&place, manifest, &place.location)
    }

    /// The tables of a dataset that `location`, in it or above a part of it, names.
    fn of_dataset(place: &DatasetRoot, manifest: Manifest, location: &Location) -> Result<Self> {
        let manifest = Arc::new(manifest);
        let rest = place.relative(location.path());
        let place_of = |path: &str| place.location.join(path);
        let mut tables = Vec::new();
        for record in &manifest.tables {
            let is_named = match location.glob() {
                Some(pattern) => pattern.matches(place_of(&record.name).path()),
                None => rest.is_empty() || is_at_or_under(&record.name, &rest),
            };
            let in_part = |file: &FileRecord| is_named || is_at_or_under(&file.path, &rest);
            let is_part = location.glob().is_none() && is_at_or_under(&rest, &record.name);
            if is_named || is_part {
                let files = manifest.files_of(&record.name).filter(|file| in_part(file));
                let table = SourceTable::of_record(place, &manifest, record, files)?;
                if is_named || !table.files.is_empty() {
                    tables.push(table);
                }
            }
        }
        if tables.is_empty() {
            let names: Vec<_> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
            return Err(Error::missing(format!(
                "input '{location}' not found in dataset '{}', which has tables {}",
                place.location,
                names.join(", ")
            )));
        }
        Ok(Self { tables, manifest: Some(manifest), location: location.clone() })
    }
}

/// Splits `place@3`, which names version 3 of a dataset.
pub(super) fn with_version(text: &str) -> Option<(&str, u64)> {
    let (place, number) = text.rsplit_once('@')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number && !place.is_empty())?;
    Some((place, number))
}

/// What `text` names if it ends in `@` and a number, and what is before that is of a dataset.
async fn open_version(stores: &Arc<Stores>, text: &str) -> Result<Option<Source>> {
    let Some((text, number)) = with_version(text) else { return Ok(None) };
    let location = stores.parse(text)?;
    let Some((place, _)) = dataset_above(stores, &location).await? else { return Ok(None) };
    let manifest = existing(&place, number).await?;
    if manifest.tables.is_empty() {
        return Err(Error::data(format!(
            "version {number} of '{}' holds text only, of which the current version is kept",
            place.location
        )));
    }
    let files = manifest.files.len();
    let open = move || Source::of_dataset(&place, manifest, &location);
    let mut source = listing(files, open).await?;
    source.tables.iter_mut().for_each(|table| table.is_past = true);
    source.tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(source))
}

/// The current version of the dataset at `location`.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is none; or if storage fails.
pub async fn current_manifest(stores: &Arc<Stores>, location: &Location) -> Result<Manifest> {
    let manifest = current(&DatasetRoot::at(stores, location)?).await?;
    let manifest = manifest.filter(|manifest| !manifest.holds_nothing());
    manifest.ok_or_else(|| Error::missing(format!("'{location}' is not a pleiad dataset")))
}

/// A dataset, and a place in it.
#[derive(Clone, Debug)]
pub struct Within {
    /// Where the dataset is.
    pub dataset: Location,
    /// Its current version.
    pub manifest: Manifest,
    /// The place, relative to the dataset; empty for the dataset itself.
    pub path: String,
}

/// The dataset that `location` is, or is in; `None` if there is none.
///
/// # Errors
/// If its manifest cannot be read.
pub async fn dataset_around(stores: &Arc<Stores>, location: &Location) -> Result<Option<Within>> {
    let found = dataset_above(stores, location).await?;
    Ok(found.map(|(place, manifest)| {
        let path = place.relative(location.path());
        Within { dataset: place.location, manifest, path }
    }))
}

/// Whether `location` names text of a dataset, which is in no table: all of a dataset that holds nothing
/// else, or its list of blocks. What is published is whole.
fn is_text_of(place: &DatasetRoot, manifest: &Manifest, location: &Location) -> bool {
    let is_text_only = manifest.tables.is_empty() && location.glob().is_none();
    is_text_only || place.relative(location.path()) == names::BLOCKS
}

/// Whether `path` is `root` or something in it; everything is in the root ''.
fn is_at_or_under(path: &str, root: &str) -> bool {
    match path.strip_prefix(root) {
        Some(rest) => root.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// The dataset that `location` is, or is in. Of a pattern its fixed part is looked at.
async fn dataset_above(
    stores: &Arc<Stores>,
    location: &Location,
) -> Result<Option<(DatasetRoot, Manifest)>> {
    let mut next = Some(DatasetRoot::at(stores, &location.join(""))?.location);
    for _ in 0..LEVELS_UP {
        let Some(location) = next else { break };
        let place = DatasetRoot::at(stores, &location)?;
        if let Some(manifest) = current(&place).await?.filter(|found| !found.holds_nothing()) {
            return Ok(Some((place, manifest)));
        }
        next = parent(stores, &location)?;
    }
    Ok(None)
}

/// The keys in the paths of all matches of a pattern, if they are the same, with types that hold their values.
fn keys_of_all(roots: &BTreeSet<String>) -> Vec<Field> {
    let pairs = |root: &String| -> Vec<(String, String)> {
        root.split('/').filter_map(hive::decode).collect()
    };
    let names =
        |root: &String| -> Vec<String> { pairs(root).into_iter().map(|(key, _)| key).collect() };
    let first = roots.first().map(names).unwrap_or_default();
    if roots.iter().any(|root| names(root) != first) {
        return Vec::new();
    }
    let keys = first.into_iter().enumerate().map(|(place, key)| {
        let values = roots.iter().map(|root| hive::key_value(pairs(root).swap_remove(place).1));
        let values: Vec<_> = values.collect();
        let has_null = values.iter().any(ScalarValue::is_null);
        Field::new(key, hive::type_of(values.iter()), has_null)
    });
    keys.collect()
}

/// One table for each match of a pattern: a directory, a file, or the tables of a dataset.
async fn open_pattern(
    stores: &Arc<Stores>,
    location: &Location,
    options: &SourceOptions,
) -> Result<Source> {
    let pattern = location.glob().ok_or_else(|| Error::internal("a location without a pattern"))?;
    // The types of each file are not those of all.
    let options = &SourceOptions { guesses: None, ..options.clone() };
    let base = DatasetRoot::at(stores, &location.join(""))?;
    let mut roots = BTreeSet::new();
    let mut listed = base.store.objects().list(Some(base.location.path()));
    while let Some(meta) = listed.try_next().await? {
        let relative = base.relative(&meta.location);
        let ends = relative.match_indices('/').map(|(end, _)| end).chain([relative.len()]);
        let root = ends
            .map(|end| &relative[..end])
            .take_while(|path| !is_hidden(path.rsplit('/').next().unwrap_or(path)))
            .find(|path| pattern.matches(base.location.join(path).path()));
        roots.extend(root.map(str::to_owned));
    }
    let keys = keys_of_all(&roots);
    let mut tables: BTreeMap<String, SourceTable> = BTreeMap::new();
    for root in &roots {
        let place = DatasetRoot::at(stores, &base.location.join(root))?;
        let found = match current(&place).await?.filter(|found| !found.holds_nothing()) {
            Some(manifest) => Source::of_dataset(&place, manifest, &place.location)?.tables,
            None => vec![unmanaged::open(place, options).await?.under(&keys, root)?],
        };
        let is_alone = found.len() == 1;
        for mut table in found {
            // Two matches may end in the same segment: then the whole path distinguishes them.
            let name = if is_alone { table.name.clone() } else { format!("{root}/{}", table.name) };
            table.name = if tables.contains_key(&name) { root.clone() } else { name };
            tables.insert(table.name.clone(), table);
        }
    }
    if tables.is_empty() {
        return Err(Error::missing(format!("no file or directory matches '{location}'")));
    }
    let tables = tables.into_values().collect();
    Ok(Source { tables, manifest: None, location: location.clone() })
}
