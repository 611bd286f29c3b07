//! What a location names: its tables, their files and keys, resolved once and pinned.
//!
//! A location is a dataset (it has a manifest), a table of one or a part of such a table, a
//! directory without a manifest, one file of Parquet, CSV or JSON lines, or a pattern of any of these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::commit::current;
use super::commit::place::Place;
use super::csv::Look;
pub use super::csv::{CsvFormat, Encoding};
use super::manifest::{FileRecord, Manifest, TableRecord};
use super::pinned::PinnedStore;
use super::provider::DatasetTable;
use super::{InputRecord, foreign, statistics, value};
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Stores};

/// Files looked at at a time.
pub(super) const AT_ONCE: usize = 16;

/// The one rendering of a manifest that is a table.
const BLOCKS: &str = "blocks.csv";

/// How far up a dataset is looked for, from `OUT/table/key=1/key=2/file` at most.
const LEVELS_UP: usize = 5;

/// How a source may be read.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Read a directory even if it looks like the output of a job that has not ended.
    pub allow_incomplete: bool,
    /// The columns of CSV files, which then have no header.
    pub columns: Option<Vec<String>>,
    /// Take every column of CSV files as text, each value as it is written.
    pub text: bool,
    /// The types of these columns of CSV files, whatever their values look like.
    pub types: Vec<(String, DataType)>,
    /// What separates values in CSV files, if it is known.
    pub delimiter: Option<u8>,
    /// Whether the first line of CSV files names the columns, if that is known.
    pub header: Option<bool>,
    /// How characters of CSV files stand as bytes.
    pub encoding: Encoding,
    /// For a preview: look at about so many bytes of each CSV file only.
    pub sample: Option<u64>,
}

impl SourceOptions {
    pub(super) fn look(&self) -> Look<'_> {
        Look {
            names: self.columns.as_deref(),
            delimiter: self.delimiter,
            header: self.header,
            encoding: self.encoding,
            sample: self.sample,
        }
    }
}

/// What a location names.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its tables, sorted by name; one at least.
    pub tables: Vec<SourceTable>,
    /// The dataset version they belong to, if it is one.
    pub manifest: Option<Arc<Manifest>>,
    /// What names them all: opened once more, it gives the same tables.
    pub location: Location,
}

/// One table: what is read of it, and nothing that comes later.
#[derive(Clone, Debug)]
pub struct SourceTable {
    /// Its name: that of a dataset's table, or the last segment of its location.
    pub name: String,
    /// Its columns, the keys last.
    pub schema: SchemaRef,
    /// Its Hive keys, outermost first. Those of a directory without a manifest are text.
    pub keys: Vec<Field>,
    /// Its files, sorted by path.
    pub files: Vec<SourceFile>,
    /// How its files are read.
    pub format: Format,
    pub(super) file_schema: SchemaRef,
    /// The dataset, the directory or the file.
    pub(super) place: Place,
    pub(super) version: Option<u64>,
}

/// Two tables that one scan cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlike {
    /// The name of the first.
    pub first: String,
    /// The name of the other.
    pub other: String,
    /// What differs.
    pub what: &'static str,
}

impl Unlike {
    /// The error of a driver that would `do_what` with all tables as one.
    pub fn refused(self, do_what: &str) -> Error {
        let Self { first, other, what } = self;
        Error::data(format!(
            "'{first}' and '{other}' are of different {what}: {do_what} them one by one"
        ))
    }
}

/// What differs if columns or their types do.
const COLUMNS: &str = "columns or types";

/// One file of a table.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Key in the store, size, entity tag and time of the last change.
    pub meta: ObjectMeta,
    /// Its key values.
    pub partition: Vec<ScalarValue>,
    /// What is known of its columns.
    pub statistics: Arc<Statistics>,
}

/// A file format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Text.
    Csv(CsvFormat),
    /// An object a line.
    Json {
        /// Whether the files are compressed by gzip; each is then read by one stream.
        gzip: bool,
    },
}

impl Source {
    /// What the run that reads this source records of it.
    pub fn input_records(&self) -> Vec<InputRecord> {
        self.tables.iter().flat_map(SourceTable::input_records).collect()
    }

    /// Resolves `text`.
    ///
    /// # Errors
    /// Of kind [`Kind::InputMissing`] if there is nothing, of kind [`Kind::Data`] if there is what
    /// cannot be read as tables or looks unfinished; or if storage fails.
    pub async fn open(stores: &Arc<Stores>, text: &str, options: &SourceOptions) -> Result<Self> {
        let location = stores.parse(text)?;
        let alone =
            |table| Self { tables: vec![table], manifest: None, location: location.clone() };
        let mut source = match dataset_above(stores, &location).await? {
            // It holds text only; what is published is whole.
            Some((_, manifest)) if manifest.tables.is_empty() && location.glob().is_none() => {
                let options = SourceOptions { allow_incomplete: true, ..options.clone() };
                alone(foreign::open(Place::at(stores, &location)?, &options).await?)
            }
            Some((place, _)) if place.relative(location.path()) == BLOCKS => {
                let options = SourceOptions { allow_incomplete: true, ..options.clone() };
                alone(foreign::open(Place::at(stores, &location)?, &options).await?)
            }
            Some((place, manifest)) => Self::of_dataset(&place, manifest, &location)?,
            None if location.glob().is_some() => open_pattern(stores, &location, options).await?,
            None => alone(foreign::open(Place::at(stores, &location)?, options).await?),
        };
        source.tables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(source)
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
        let place = Place::at(stores, location)?;
        Self::of_dataset(&place, manifest, &place.location)
    }

    /// The tables of a dataset that `location`, in it or above a part of it, names.
    fn of_dataset(place: &Place, manifest: Manifest, location: &Location) -> Result<Self> {
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

/// The current version of the dataset at `location`.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is none; or if storage fails.
pub async fn current_manifest(stores: &Arc<Stores>, location: &Location) -> Result<Manifest> {
    let manifest = current(&Place::at(stores, location)?).await?;
    manifest.ok_or_else(|| Error::missing(format!("'{location}' is no dataset of pleiad")))
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

fn rows_of(file: &SourceFile) -> Option<u64> {
    match file.statistics.num_rows {
        Precision::Exact(rows) => Some(rows as u64),
        _ => None,
    }
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
) -> Result<Option<(Place, Manifest)>> {
    let mut next = Some(Place::at(stores, &location.join(""))?.location);
    for _ in 0..LEVELS_UP {
        let Some(location) = next else { break };
        let place = Place::at(stores, &location)?;
        if let Some(manifest) = current(&place).await? {
            return Ok(Some((place, manifest)));
        }
        next = parent(stores, &location)?;
    }
    Ok(None)
}

/// The location one segment up.
fn parent(stores: &Arc<Stores>, location: &Location) -> Result<Option<Location>> {
    let text = location.to_string();
    match text.rsplit_once('/') {
        Some((parent, _)) if location.path().parts().count() > 1 => stores.parse(parent).map(Some),
        _ => Ok(None),
    }
}

/// One table for each match of a pattern: a directory, a file, or the tables of a dataset.
async fn open_pattern(
    stores: &Arc<Stores>,
    location: &Location,
    options: &SourceOptions,
) -> Result<Source> {
    let pattern = location.glob().ok_or_else(|| Error::internal("a location without a pattern"))?;
    let base = Place::at(stores, &location.join(""))?;
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
    let mut tables: BTreeMap<String, SourceTable> = BTreeMap::new();
    for root in &roots {
        let place = Place::at(stores, &base.location.join(root))?;
        let found = match current(&place).await? {
            Some(manifest) => Source::of_dataset(&place, manifest, &place.location)?.tables,
            None => vec![foreign::open(place, options).await?],
        };
        let is_alone = found.len() == 1;
        for mut table in found {
            // Two matches may end in the same segment: then the whole path tells them apart.
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

/// Whether readers pass over files and directories of this name.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.']) && !name.contains('=')
}

impl SourceTable {
    fn of_record<'a>(
        place: &Place,
        manifest: &Manifest,
        record: &TableRecord,
        files: impl Iterator<Item = &'a FileRecord>,
    ) -> Result<Self> {
        let keys = record.key_fields();
        let file_schema = record.file_schema();
        let is_home = manifest.location == place.location.to_string();
        // A file without key values holds the schema of an empty table.
        let files = files.filter(|file| file.partition.len() == keys.len());
        let files = files.map(|file| {
            let values = file.partition.iter().zip(&keys);
            let partition = values.map(|(text, key)| value::from_text(text, key.data_type()));
            Ok(SourceFile {
                meta: ObjectMeta {
                    location: place.key(&file.path),
                    last_modified: manifest.created.parse().map_err(|cause| {
                        Error::data(format!("a manifest was created at no time: {cause}"))
                    })?,
                    size: file.size,
                    // Another tool's copy has other tags.
                    e_tag: file.e_tag.clone().filter(|_| is_home),
                    version: None,
                },
                partition: partition.collect::<Result<_>>()?,
                statistics: Arc::new(statistics::of_record(file, &file_schema)),
            })
        });
        let files = files.collect::<Result<_>>()?;
        let name = match record.name.as_str() {
            "" => place.location.name(),
            name => name,
        };
        Ok(Self::new(
            name.to_owned(),
            keys,
            file_schema,
            files,
            Format::Parquet,
            (place.clone(), Some(manifest.version)),
        ))
    }

    pub(super) fn new(
        name: String,
        keys: Vec<Field>,
        file_schema: SchemaRef,
        mut files: Vec<SourceFile>,
        format: Format,
        (place, version): (Place, Option<u64>),
    ) -> Self {
        let mut fields = file_schema.fields().to_vec();
        fields.extend(keys.iter().cloned().map(Arc::new));
        files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        let schema = Arc::new(Schema::new(fields));
        Self { name, schema, keys, files, format, file_schema, place, version }
    }

    /// The table for the engine: a stock file scan over the pinned files.
    pub fn provider(&self) -> Arc<dyn TableProvider> {
        Arc::new(DatasetTable::new(self.clone()))
    }

    /// Where the table is: its dataset, directory or file.
    pub fn location(&self) -> &Location {
        &self.place.location
    }

    /// The rows of each file, if all files tell.
    pub fn rows_by_file(&self) -> Option<Vec<u64>> {
        self.files.iter().map(rows_of).collect()
    }

    /// The rows, if all files tell.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(rows_of).sum()
    }

    /// The distinct key values, sorted; one without values for a table without keys.
    pub fn partitions(&self) -> Vec<Vec<ScalarValue>> {
        let mut partitions: Vec<_> = self.files.iter().map(|file| file.partition.clone()).collect();
        partitions.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        partitions.dedup();
        partitions
    }

    /// The same table with the files of one partition only.
    #[must_use]
    pub fn only(&self, partition: &[ScalarValue]) -> Self {
        let mut only = self.clone();
        only.files.retain(|file| file.partition == partition);
        only
    }

    /// All tables as one, read by one scan.
    ///
    /// # Errors
    /// A table that is unlike the first, with what differs.
    ///
    /// # Panics
    /// Without tables.
    pub fn united(tables: &[Self]) -> Result<Self, Unlike> {
        let (first, rest) = tables.split_first().expect("a source has a table");
        if rest.is_empty() {
            return Ok(first.clone());
        }
        let columns = first.file_columns();
        for other in rest {
            let has_more = other.file_schema.fields().len() != columns.len();
            let what = first.difference(other, &columns).or(has_more.then_some(COLUMNS));
            if let Some(what) = what {
                return Err(Unlike { first: first.name.clone(), other: other.name.clone(), what });
            }
        }
        Ok(Self::union(tables, &columns))
    }

    /// The names of the columns in its files.
    pub(super) fn file_columns(&self) -> Vec<String> {
        self.file_schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The same files under one key: the number of rows before each file, as BIGINT.
    ///
    /// Files that do not tell how many rows they have count as empty: see [`Self::rows`].
    #[must_use]
    pub fn with_first_rows(&self, name: &str) -> Self {
        let mut numbered = self.clone();
        let mut before = 0_i64;
        for file in &mut numbered.files {
            file.partition = vec![ScalarValue::Int64(Some(before))];
            before += rows_of(file).and_then(|rows| i64::try_from(rows).ok()).unwrap_or(0);
        }
        let key = Field::new(name, DataType::Int64, false);
        Self::new(
            numbered.name,
            vec![key],
            numbered.file_schema,
            numbered.files,
            numbered.format,
            (numbered.place, numbered.version),
        )
    }

    /// The same files under one key, whose value each file gets from its own key values. The keys of
    /// before are no longer columns.
    #[must_use]
    pub fn rekeyed(&self, key: Field, value: impl Fn(&[ScalarValue]) -> ScalarValue) -> Self {
        let rekey = |file: &SourceFile| SourceFile {
            partition: vec![value(&file.partition)],
            ..file.clone()
        };
        Self::new(
            self.name.clone(),
            vec![key],
            Arc::clone(&self.file_schema),
            self.files.iter().map(rekey).collect(),
            self.format.clone(),
            (self.place.clone(), self.version),
        )
    }

    /// Whether one scan can read `columns` of this table and of `other`: same store, version, format
    /// and keys, and the same types; of CSV all columns count, since they are found by their place.
    pub fn unites_with(&self, other: &Self, columns: &[String]) -> bool {
        self.difference(other, columns).is_none()
    }

    /// What keeps one scan from reading `columns` of this table and of `other`.
    fn difference(&self, other: &Self, columns: &[String]) -> Option<&'static str> {
        let place = |table: &Self| match table.version {
            Some(_) => (table.place.location.url().clone(), table.version),
            None => (table.place.location.store_url(), None),
        };
        let type_of = |table: &Self, column: &str| {
            table.schema.field_with_name(column).ok().map(|field| field.data_type().clone())
        };
        let is_other = |column: &String| type_of(self, column) != type_of(other, column);
        let by_place = matches!(self.format, Format::Csv(_));
        let differences = [
            (place(self) != place(other), "datasets"),
            (self.format != other.format, "formats"),
            (self.keys != other.keys, "keys"),
            (by_place && self.file_schema != other.file_schema, COLUMNS),
            (columns.iter().any(is_other), COLUMNS),
        ];
        differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }

    /// The rows of tables that [unite](Self::unites_with), with the columns of `columns` only; of
    /// CSV with all, since a line names none.
    ///
    /// # Panics
    /// Without tables, or with a column that is not in the files of all.
    pub fn union(tables: &[Self], columns: &[String]) -> Self {
        let first = tables.first().expect("there is a table to read");
        let all: Vec<String>;
        let columns = match first.format {
            Format::Parquet | Format::Json { .. } => columns,
            Format::Csv(_) => {
                all = first.file_columns();
                &all
            }
        };
        let places = |table: &Self| -> Vec<usize> {
            let place = |name: &String| table.file_schema.index_of(name).expect("a known column");
            columns.iter().map(place).collect()
        };
        let fields: Vec<_> = places(first)
            .into_iter()
            .map(|place| first.file_schema.field(place).clone().with_nullable(true))
            .collect();
        let narrowed = |table: &Self| -> Vec<SourceFile> {
            let places = places(table);
            let narrow = |file: &SourceFile| {
                let mut statistics = Statistics::clone(&file.statistics);
                let of = |&place: &usize| file.statistics.column_statistics[place].clone();
                statistics.column_statistics = places.iter().map(of).collect();
                SourceFile { statistics: Arc::new(statistics), ..file.clone() }
            };
            table.files.iter().map(narrow).collect()
        };
        Self::new(
            first.name.clone(),
            first.keys.clone(),
            Arc::new(Schema::new(fields)),
            tables.iter().flat_map(narrowed).collect(),
            first.format.clone(),
            (first.place.clone(), first.version),
        )
    }

    /// What is another than when the table was opened: the first file that is gone or has another
    /// size or entity tag.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn changed(&self) -> Result<Option<String>> {
        Ok(self.changes(&self.files.iter().collect::<Vec<_>>()).await?.into_iter().next())
    }

    /// Refuses files that are not what they were.
    pub(super) async fn check(&self, files: &[&SourceFile]) -> Result<()> {
        match self.changes(files).await?.into_iter().next() {
            None => Ok(()),
            Some(change) if change.ends_with("is gone") => Err(Error::data(change)),
            Some(change) => Err(Error::new(Kind::Retry, format!("{change}: run it again"))),
        }
    }

    async fn changes(&self, files: &[&SourceFile]) -> Result<Vec<String>> {
        let changes: Vec<_> = files.iter().map(|file| self.change_of(file.meta.clone())).collect();
        let changes: Vec<_> = stream::iter(changes).buffered(AT_ONCE).try_collect().await?;
        Ok(changes.into_iter().flatten().collect())
    }

    async fn change_of(&self, then: ObjectMeta) -> Result<Option<String>> {
        let shown = self.place.show(&then.location);
        let now = match self.place.store.objects().head(&then.location).await {
            Ok(now) => now,
            Err(object_store::Error::NotFound { .. }) => {
                return Ok(Some(format!("file '{shown}' is gone")));
            }
            Err(error) => return Err(error.into()),
        };
        let other_tag = match (&now.e_tag, &then.e_tag) {
            (Some(now), Some(then)) => now != then,
            _ => false,
        };
        Ok((other_tag || now.size != then.size)
            .then(|| format!("file '{shown}' is not the one it was")))
    }

    /// What the run that reads this table records of it.
    pub fn input_records(&self) -> Vec<InputRecord> {
        let record = |file: &SourceFile| InputRecord {
            location: self.place.show(&file.meta.location),
            size: file.meta.size,
            e_tag: file.meta.e_tag.clone(),
        };
        self.files.iter().map(record).collect()
    }

    /// The store of its files.
    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(self.place.store.objects())
    }

    /// A file as errors name it.
    pub(super) fn show(&self, file: &SourceFile) -> String {
        self.place.show(&file.meta.location)
    }

    pub(super) fn pinned_store(&self) -> PinnedStore {
        let files = self.files.iter().map(|file| file.meta.clone());
        PinnedStore::new(self.place.clone(), self.version, files)
    }
}
