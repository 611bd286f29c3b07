//! One table of a location: its columns, keys and pinned files; several as one; and whether its files
//! are still what they were.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStoreExt};

use super::footers::in_order;
use super::widen::Widened;
use crate::error::{Error, Kind, Result};
use crate::storage::Location;
use crate::table::commit::ReadFrom;
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::format::Format;
use crate::table::manifest::{FileRecord, InputRecord, Manifest, TableRecord};
use crate::table::statistics::{self, SharedStatistics};
use crate::table::text::format::TextFile;
use crate::table::text::join;
use crate::table::text::preamble::Finding;
use crate::table::{hive, value};

/// Files looked at at the same time.
const AT_ONCE: usize = 16;

/// What differs if columns or their types do.
const COLUMNS: &str = "columns or types";

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
    /// What was found in its text files, each with the file.
    pub findings: Arc<Vec<(String, Finding)>>,
    pub(super) file_schema: SchemaRef,
    /// The dataset, the directory or the file.
    pub(super) place: DatasetRoot,
    pub(super) version: Option<u64>,
    /// The dataset and version that files without a table of their own belong to.
    pub(super) within: Option<(Location, u64)>,
    /// Its version was asked for by its number.
    pub(super) is_past: bool,
}

/// One file of a table.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Key in the store, size, entity tag and time of the last change.
    pub meta: ObjectMeta,
    /// Its key values.
    pub partition: Vec<ScalarValue>,
    /// What is known of its columns.
    pub statistics: Arc<Statistics>,
    /// How it is read, if it is text.
    pub(crate) text: Option<Arc<TextFile>>,
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
            "'{first}' and '{other}' have different {what}: {do_what} them one by one"
        ))
    }
}

impl SourceTable {
    /// A table of the version `manifest` of a dataset, with some of its files.
    pub(super) fn of_record<'a>(
        place: &DatasetRoot,
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
                        Error::data(format!("a manifest has an invalid creation time: {cause}"))
                    })?,
                    size: file.size,
                    // Another tool's copy has other tags.
                    e_tag: file.e_tag.clone().filter(|_| is_home),
                    version: None,
                },
                partition: partition.collect::<Result<_>>()?,
                statistics: Arc::new(statistics::of_record(file, &file_schema)),
                text: None,
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
        (place, version): (DatasetRoot, Option<u64>),
    ) -> Self {
        let mut fields = file_schema.fields().to_vec();
        fields.extend(keys.iter().cloned().map(Arc::new));
        files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        let schema = Arc::new(Schema::new(fields));
        Self {
            name,
            schema,
            keys,
            files,
            format,
            findings: Arc::default(),
            file_schema,
            place,
            version,
            within: None,
            is_past: false,
        }
    }

    /// Where the table is: its dataset, directory or file.
    pub fn location(&self) -> &Location {
        &self.place.location
    }

    /// The rows of each file, if all are known.
    pub fn rows_by_file(&self) -> Option<Vec<u64>> {
        self.files.iter().map(rows_of).collect()
    }

    /// The rows, if those of all files are known.
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

    /// All tables as one, read by one scan. Text files have their columns by name, of types that hold the
    /// values of all.
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
        if first.format != Format::Parquet {
            return Self::joined(tables);
        }
        let columns = first.file_columns();
        if first.version.is_none()
            && rest.iter().any(|other| other.file_schema != first.file_schema)
        {
            return Self::widened(tables);
        }
        for other in rest {
            let has_more = other.file_schema.fields().len() != columns.len();
            let what = first.difference(other, &columns).or(has_more.then_some(COLUMNS));
            if let Some(what) = what {
                return Err(Unlike { first: first.name.clone(), other: other.name.clone(), what });
            }
        }
        Ok(Self::union(tables, &columns))
    }

    /// Tables of Parquet files without a manifest as one: columns by name, of types that hold all values.
    fn widened(tables: &[Self]) -> Result<Self, Unlike> {
        let first = tables.first().expect("there is a table to read");
        let mut columns = Widened::default();
        for other in tables {
            let unlike =
                |what| Unlike { first: first.name.clone(), other: other.name.clone(), what };
            if let Some(what) = first.difference(other, &[]) {
                return Err(unlike(what));
            }
            for file in &other.files {
                let fields = other.file_schema.fields();
                let added = columns.add(&other.show(file), fields, &file.statistics);
                added.map_err(|_unlike| unlike(COLUMNS))?;
            }
        }
        let unlike = || Unlike {
            first: first.name.clone(),
            other: tables.last().unwrap_or(first).name.clone(),
            what: COLUMNS,
        };
        let schema = Arc::new(Schema::new(columns.fields().map_err(|_large| unlike())?));
        let files = tables.iter().flat_map(|table| {
            let known = |file: &SourceFile| in_order(&schema, &table.file_schema, &file.statistics);
            let files = table.files.iter();
            files.map(move |file| SourceFile { statistics: Arc::new(known(file)), ..file.clone() })
        });
        Ok(Self::new(
            first.name.clone(),
            first.keys.clone(),
            Arc::clone(&schema),
            files.collect(),
            Format::Parquet,
            (first.place.clone(), None),
        ))
    }

    /// Tables of text files as one.
    fn joined(tables: &[Self]) -> Result<Self, Unlike> {
        let first = tables.first().expect("there is a table to read");
        for other in tables {
            if let Some(what) = first.difference(other, &[]) {
                return Err(Unlike { first: first.name.clone(), other: other.name.clone(), what });
            }
        }
        let files = || tables.iter().flat_map(|table| &table.files);
        let fields = join::fields(files().filter_map(|file| file.text.as_deref()));
        let schema = Arc::new(Schema::new(fields));
        let mut shared = SharedStatistics::default();
        let mut file = |file: &SourceFile| {
            let statistics = shared.of(&file.statistics, &[], |known| Statistics {
                num_rows: known.num_rows,
                ..Statistics::new_unknown(&schema)
            });
            SourceFile { statistics, ..file.clone() }
        };
        let (keys, name) = (first.keys.clone(), first.name.clone());
        let mut joined = Self::new(
            name,
            keys,
            Arc::clone(&schema),
            files().map(&mut file).collect(),
            first.format.clone(),
            (first.place.clone(), first.version),
        );
        let findings = tables.iter().flat_map(|table| table.findings.iter().cloned());
        joined.findings = Arc::new(findings.collect());
        Ok(joined)
    }

    /// The names of the columns in its files.
    pub(super) fn file_columns(&self) -> Vec<String> {
        self.file_schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The same files under one key: the number of rows before each file, as BIGINT.
    ///
    /// Files whose rows are not known count as empty: see [`Self::rows`].
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

    /// The same files under a new key, whose value each file gets from its own key values, and then those
    /// of its keys that `kept` names. The other keys are not columns of it.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn rekeyed(
        &self,
        key: Field,
        kept: &[String],
        value: impl Fn(&[ScalarValue]) -> Result<ScalarValue>,
    ) -> Result<Self> {
        let is_kept = |key: &&Field| kept.contains(key.name());
        let rekey = |file: &SourceFile| -> Result<SourceFile> {
            let values = self.keys.iter().zip(&file.partition);
            let values = values.filter(|(key, _)| is_kept(key)).map(|(_, value)| value.clone());
            let partition = std::iter::once(value(&file.partition)?).chain(values).collect();
            Ok(SourceFile { partition, ..file.clone() })
        };
        Ok(Self::new(
            self.name.clone(),
            std::iter::once(key).chain(self.keys.iter().filter(is_kept).cloned()).collect(),
            Arc::clone(&self.file_schema),
            self.files.iter().map(rekey).collect::<Result<_>>()?,
            self.format.clone(),
            (self.place.clone(), self.version),
        ))
    }

    /// Whether one scan can read `columns` of this table and of `other`: same store, version, format
    /// and keys, and the same types.
    pub fn unites_with(&self, other: &Self, columns: &[String]) -> bool {
        self.difference(other, columns).is_none()
    }

    /// The same files under the keys that `path` names as well, outside of its own.
    ///
    /// # Errors
    /// A value that is not of the type of its key.
    pub(super) fn under(self, keys: &[Field], path: &str) -> Result<Self> {
        let is_own = |key: &Field| self.schema.field_with_name(key.name()).is_ok();
        if keys.is_empty() || keys.iter().any(is_own) {
            return Ok(self);
        }
        let values = keys.iter().map(|key| {
            let text = hive::text_in(path, key.name()).unwrap_or_default();
            Ok(hive::key_value(text).cast_to(key.data_type())?)
        });
        let values: Vec<_> = values.collect::<Result<_>>()?;
        let files = self.files.into_iter().map(|file| SourceFile {
            partition: values.iter().cloned().chain(file.partition).collect(),
            ..file
        });
        let keys = keys.iter().cloned().chain(self.keys).collect();
        let at = (self.place, self.version);
        let under = Self::new(self.name, keys, self.file_schema, files.collect(), self.format, at);
        Ok(Self { findings: self.findings, ..under })
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
        let differences = [
            (place(self) != place(other), "datasets"),
            (self.format.kind() != other.format.kind(), "formats"),
            (self.keys != other.keys, "keys"),
            (columns.iter().any(is_other), COLUMNS),
        ];
        differences.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }

    /// The rows of tables that [unite](Self::unites_with), with their keys and, of the columns of their
    /// files, those of `columns` only.
    ///
    /// # Panics
    /// Without tables, or with a column that is neither in the files of all nor a key.
    pub fn union(tables: &[Self], columns: &[String]) -> Self {
        let first = tables.first().expect("there is a table to read");
        let is_key = |column: &&String| first.keys.iter().any(|key| key.name() == *column);
        let columns: Vec<String> =
            columns.iter().filter(|column| !is_key(column)).cloned().collect();
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
            let mut shared = SharedStatistics::default();
            let narrow = |file: &SourceFile| {
                let statistics = shared.of(&file.statistics, &[], |known| {
                    let of = |&place: &usize| known.column_statistics[place].clone();
                    Statistics {
                        num_rows: known.num_rows,
                        total_byte_size: known.total_byte_size,
                        column_statistics: places.iter().map(of).collect(),
                    }
                });
                SourceFile { statistics, ..file.clone() }
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

    /// Checks that the files are as they were when the table was opened.
    ///
    /// # Errors
    /// Of kind [`Kind::Retry`] if one is gone or has changed; or if storage fails.
    pub async fn check_unchanged(&self) -> Result<()> {
        match self.changed().await? {
            None => Ok(()),
            Some(change) => Err(input_changed(&change)),
        }
    }

    /// The column `name`.
    ///
    /// # Errors
    /// Of kind [`Kind::Data`] if there is none; it names the columns there are.
    pub fn column(&self, name: &str) -> Result<&Field> {
        let found = self.schema.field_with_name(name);
        found.map_err(|_unknown| self.missing(&format!("column '{name}'")))
    }

    /// The error that there is nothing to work on.
    pub fn no_rows(&self) -> Error {
        Error::data(format!("'{}' has no rows", self.name))
    }

    /// The error that `what` is not among its columns.
    pub fn missing(&self, what: &str) -> Error {
        let names: Vec<_> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        Error::data(format!("{what} not found in '{}', which has {}", self.name, names.join(", ")))
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
                let kept = names::kept(&self.place.relative(&then.location));
                return match self.place.head(&kept).await?.filter(|_| self.version.is_some()) {
                    Some(kept) if kept.size == then.size => Ok(None),
                    _ => Ok(Some(format!("file '{shown}' is gone"))),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let other_tag = match (&now.e_tag, &then.e_tag) {
            (Some(now), Some(then)) => now != then,
            _ => false,
        };
        Ok((other_tag || now.size != then.size)
            .then(|| format!("file '{shown}' is not the file it was")))
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

    /// What a run that reads this table reads, as far as its output is concerned.
    pub fn reads(&self) -> ReadFrom {
        match (self.version, &self.within) {
            (Some(version), _) if self.is_past => {
                ReadFrom::Past(self.place.location.clone(), version)
            }
            (Some(version), _) => ReadFrom::Version(self.place.location.clone(), version),
            (None, Some((dataset, version))) => ReadFrom::Version(dataset.clone(), *version),
            (None, None) => {
                ReadFrom::Files(self.files.iter().map(|file| self.show(file)).collect())
            }
        }
    }

    /// A file as errors name it.
    pub(super) fn show(&self, file: &SourceFile) -> String {
        self.place.show(&file.meta.location)
    }
}

/// The error of an input that changed while a run read it; `what` is the change.
pub fn input_changed(what: &str) -> Error {
    Error::new(Kind::Retry, format!("the input changed during the run: {what}; run it again"))
}

fn rows_of(file: &SourceFile) -> Option<u64> {
    match file.statistics.num_rows {
        Precision::Exact(rows) => Some(rows as u64),
        _ => None,
    }
}
