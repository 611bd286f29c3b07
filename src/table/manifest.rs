//! What is published: `_manifest/00000001.json`, the only truth about a dataset.
//!
//! It lists every table and every file with size, rows, SHA-256 and bounds, the arguments of the
//! run that wrote it, and the dataset's properties. Paths are relative to the dataset, so a copy
//! made by another tool stays readable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commit::names;
use super::format::FormatKind;
use crate::error::{Error, Result};

/// The format this program writes and reads.
pub const FORMAT: u32 = 1;

/// How the file ends.
const END: &[u8] = b"\n}\n";

/// What comes before the checksum of the file.
const CHECKSUM: &[u8] = b",\n  \"checksum\": \"";

/// The bytes from there on.
const END_BYTES: usize = CHECKSUM.len() + 64 + 1 + END.len();

fn checksum(begin: &[u8], end: &[u8]) -> String {
    let sha = Sha256::new().chain_update(begin).chain_update(end).finalize();
    sha.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What to do when the output already holds a version. The names are Spark's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuse.
    #[default]
    Error,
    /// Publish a version of the new files only and delete the old ones.
    Overwrite,
    /// Publish a version of the old files and the new ones; schemas and keys must agree.
    Append,
    /// Keep what is there and write nothing.
    Ignore,
}

/// An input a run has read, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Where it is.
    pub location: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag, where the store has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
}

/// One published version of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of this file.
    pub format: u32,
    /// The version, from 1; the highest is current.
    pub version: u64,
    /// The run that published it.
    pub run: String,
    /// The version it was made from; 0 for none.
    pub base: u64,
    /// How it treats its base.
    pub mode: Mode,
    /// Where it was written. A copy elsewhere has other entity tags.
    pub location: String,
    /// When it was prepared, RFC 3339.
    pub created: String,
    /// The driver that made it as a whole, as [`Self::made_by`] gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_by: Option<String>,
    /// Whether rows may be added, as [`Self::grows`] gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grows: Option<bool>,
    /// The version whose content this one has again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The run that will never be published, because bytes of it were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revokes: Option<String>,
    /// The arguments of the run, secrets removed.
    pub arguments: Vec<(String, String)>,
    /// What the run read.
    #[serde(default)]
    pub inputs: Vec<InputRecord>,
    /// The tables, sorted by name.
    pub tables: Vec<TableRecord>,
    /// The files of all tables.
    pub files: Vec<FileRecord>,
    /// What `properties` renders.
    pub properties: BTreeMap<String, String>,
    /// The blocks of a sky or plane, if it is cut into some: the lines of `blocks.csv`, the names
    /// of its columns first.
    #[serde(default)]
    pub blocks: Vec<Vec<String>>,
}

/// One table of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Its path in the dataset; empty for the root table.
    pub name: String,
    /// The columns of its files, in order.
    pub schema: Vec<ColumnRecord>,
    /// Its Hive keys with their types, outermost first.
    pub keys: Vec<ColumnRecord>,
    /// The columns that rows of a file are sorted by.
    #[serde(default)]
    pub order: Vec<String>,
    /// Whether it is aside ([`TableSpec::aside`](crate::table::TableSpec::aside)); older versions do not
    /// say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aside: Option<bool>,
}

/// A column: its name and type. Types are written as Arrow prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type", with = "type_as_text")]
    pub data_type: DataType,
    /// Whether it may hold NULL.
    pub nullable: bool,
}

/// One data file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path, relative to the dataset.
    pub path: String,
    /// The table it belongs to.
    pub table: String,
    /// Its key values as text, in the order of the table's keys. A file of an empty keyed table
    /// has none: it holds no rows, only the schema.
    pub partition: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// Its entity tag on an object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// The least value of a column as text, where it is known. NaN does not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub min: BTreeMap<String, String>,
    /// The greatest value of a column as text, where it is known. NaN does not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max: BTreeMap<String, String>,
    /// How many NULLs a column has, where that is known and not 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nulls: BTreeMap<String, u64>,
}

impl Manifest {
    /// Reads a manifest; `place` names it in errors.
    ///
    /// # Errors
    /// If it is not a manifest, or one of a format this program does not know.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct OnlyFormat {
            format: u32,
        }
        let broken = |cause| {
            Error::data(format!("'{place}' is not a manifest of a dataset: {cause}"))
                .caused_by(cause)
        };
        let OnlyFormat { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if format != FORMAT {
            return Err(Error::data(format!(
                "'{place}' has format {format}, expected {FORMAT}: read it with a newer pleiad"
            )));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// The bytes of the file. Its last member is the SHA-256 of the file without that member.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest has only text keys");
        bytes.push(b'\n');
        let checksum = checksum(&bytes, &[]);
        bytes.truncate(bytes.len() - END.len());
        bytes.extend([CHECKSUM, checksum.as_bytes(), b"\"", END].concat());
        bytes
    }

    /// Whether the file holds what was written; `None` if it has no checksum, as those of version 0.1.0.
    pub fn is_as_written(bytes: &[u8]) -> Option<bool> {
        let (before, rest) = bytes.split_at_checked(bytes.len().checked_sub(END_BYTES)?)?;
        let (written, after) = rest.strip_prefix(CHECKSUM)?.split_at_checked(64)?;
        Some(after == [b"\"", END].concat() && checksum(before, END).as_bytes() == written)
    }

    /// The driver that made this version as a whole: `partition`, `kmeans` or `dbscan`.
    pub fn made_by(&self) -> Option<&str> {
        let property = || self.properties.get("driver").map(String::as_str);
        self.made_by.as_deref().or_else(property) // older versions have the property only
    }

    /// Whether rows may be added to it by mode `append` or INSERT. What a driver made as a whole does
    /// not grow: its blocks and counts are those of all rows.
    pub fn grows(&self) -> bool {
        // Older versions do not say it.
        self.grows.unwrap_or_else(|| self.made_by().is_none() && self.blocks.is_empty())
    }

    /// Whether the table `name` holds no rows of the dataset's own: copies, refused rows, or figures.
    pub fn is_aside(&self, name: &str) -> bool {
        let said = self.table(name).and_then(|table| table.aside);
        said.unwrap_or_else(|| match self.made_by() {
            Some("partition") => ["margins", "quarantine"].contains(&name),
            Some("dbscan") => name == "clusters",
            Some("kmeans") => name != "assignments",
            _ => false,
        })
    }

    /// Whether it says only that a run is revoked that would have been the first.
    pub fn holds_nothing(&self) -> bool {
        self.revokes.is_some() && self.files.is_empty()
    }

    /// Refuses a table at the root beside others: who reads the root would get the rows of all of them as
    /// one.
    ///
    /// # Errors
    /// A usage error that names the others.
    pub fn check_places(&self, tables: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
        let mut all: BTreeSet<String> =
            self.tables.iter().map(|table| table.name.clone()).collect();
        all.extend(tables.into_iter().map(|name| name.as_ref().to_owned()));
        if all.len() < 2 || !all.contains("") {
            return Ok(());
        }
        let named: Vec<&String> = self.tables.iter().map(|table| &table.name).collect();
        Err(Error::usage(match &named[..] {
            [root] if root.is_empty() => format!(
                "'{}' is one table, and a table in it would be read as a part of it: write to another \
                 location",
                self.location
            ),
            _ => format!(
                "'{}' holds the tables {}, and rows beside them would be of no table: add rows with \
                 INSERT INTO '{}/{}', or write to another location",
                self.location,
                named.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
                self.location,
                named.iter().find(|name| !name.is_empty()).map_or("", |name| name.as_str())
            ),
        }))
    }

    /// Refuses files of another kind than those that it holds: who reads it would see one kind only.
    pub(crate) fn check_kind(&self, kind: FormatKind) -> Result<()> {
        let is_other = |file: &&FileRecord| FormatKind::of_path(&file.path) != Some(kind);
        match self.files.iter().find(is_other) {
            None => Ok(()),
            Some(other) => Err(Error::usage(format!(
                "'{}' holds '{}', and no one would read it beside files of {}: write to another location",
                self.location,
                other.path,
                kind.word()
            ))),
        }
    }

    /// Whether a table at the root is beside others.
    pub fn is_mixed(&self) -> bool {
        self.tables.len() > 1 && self.table("").is_some()
    }

    /// The table `name`.
    pub fn table(&self, name: &str) -> Option<&TableRecord> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The files of table `name`.
    pub fn files_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a FileRecord> {
        self.files.iter().filter(move |file| file.table == name)
    }

    /// Rows in all tables.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The path of version `version`, relative to the dataset.
    pub(crate) fn path(version: u64) -> String {
        format!("{}/{version:08}.json", names::MANIFESTS)
    }
}

impl TableRecord {
    /// The record of a table with these columns in its files and these keys.
    ///
    /// # Errors
    /// If a type has no text that reads back as the same type.
    pub(crate) fn new(
        name: &str,
        file_schema: &Schema,
        keys: &[Field],
        order: &[String],
        aside: bool,
    ) -> Result<Self> {
        let columns = |fields: &mut dyn Iterator<Item = &Field>| {
            fields.map(ColumnRecord::new).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            name: name.to_owned(),
            schema: columns(&mut file_schema.fields().iter().map(AsRef::as_ref))?,
            keys: columns(&mut keys.iter())?,
            order: order.to_vec(),
            aside: Some(aside),
        })
    }

    /// The schema of the table's files.
    pub fn file_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.schema.iter().map(ColumnRecord::field).collect::<Vec<_>>()))
    }

    /// The table's keys.
    pub fn key_fields(&self) -> Vec<Field> {
        self.keys.iter().map(ColumnRecord::field).collect()
    }

    /// This table with the rows of `other` added: the same columns and keys, in the same order.
    ///
    /// # Errors
    /// If columns or keys differ; the message names the first that does.
    pub(crate) fn appended(&self, other: &Self) -> Result<Self> {
        let merged = |what: &str, old: &[ColumnRecord], new: &[ColumnRecord]| {
            let described = |column: Option<&ColumnRecord>| match column {
                Some(column) => format!("{what} '{}' of type {}", column.name, column.data_type),
                None => format!("no other {what}"),
            };
            (0..old.len().max(new.len()))
                .map(|index| match (old.get(index), new.get(index)) {
                    (Some(old), Some(new))
                        if old.name == new.name && old.data_type == new.data_type =>
                    {
                        let nullable = old.nullable || new.nullable;
                        Ok(ColumnRecord { nullable, ..old.clone() })
                    }
                    (old, new) => Err(Error::data(format!(
                        "cannot append to table '{}': found {}, expected {}",
                        self.name,
                        described(new),
                        described(old)
                    ))),
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            name: self.name.clone(),
            schema: merged("column", &self.schema, &other.schema)?,
            keys: merged("key", &self.keys, &other.keys)?,
            order: if self.order == other.order { self.order.clone() } else { Vec::new() },
            aside: self.aside,
        })
    }
}

impl ColumnRecord {
    fn new(field: &Field) -> Result<Self> {
        let data_type = field.data_type().clone();
        if data_type.to_string().parse::<DataType>().ok().as_ref() != Some(&data_type) {
            return Err(Error::data(format!(
                "column '{}' has type {data_type}, which a dataset cannot hold: cast it first",
                field.name()
            )));
        }
        Ok(Self { name: field.name().clone(), data_type, nullable: field.is_nullable() })
    }

    fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }
}

mod type_as_text {
    use arrow::datatypes::DataType;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &DataType, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DataType, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Fields, TimeUnit};

    use super::*;

    fn table(columns: &[(&str, DataType)], keys: &[(&str, DataType)]) -> TableRecord {
        let field =
            |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let keys: Vec<_> = keys.iter().map(field).collect();
        TableRecord::new("people", &schema, &keys, &[], false).unwrap()
    }

    #[test]
    fn types_read_back_as_they_were() {
        let nested = Fields::from(vec![Field::new("a b", DataType::Float32, false)]);
        let types = [
            DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Paris".into())),
            DataType::Decimal128(10, 2),
            DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))),
            DataType::FixedSizeBinary(16),
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            DataType::Struct(nested),
        ];
        for data_type in types {
            let record = table(&[("x", data_type.clone())], &[("k", DataType::Int32)]);
            let json = serde_json::to_string(&record).unwrap();
            let read: TableRecord = serde_json::from_str(&json).unwrap();
            assert_eq!(read.file_schema().field(0).data_type(), &data_type, "{json}");
        }
    }

    #[test]
    fn an_unknown_format_names_both_numbers() {
        let error =
            Manifest::parse(br#"{"format": 7, "else": 1}"#, "x/_manifest/1.json").unwrap_err();
        assert_eq!(
            error.to_string(),
            "'x/_manifest/1.json' has format 7, expected 1: read it with a newer pleiad"
        );
    }

    /// A manifest of a table, with these members besides.
    fn manifest(members: &str) -> Manifest {
        let text = format!(
            r#"{{"format": 1, "version": 1, "run": "r", "base": 0, "mode": "error",
            "location": "memory://b/out", "created": "2026-01-01T00:00:00Z", "arguments": [],
            "tables": [], "files": [], {members}}}"#
        );
        Manifest::parse(text.as_bytes(), "m").unwrap()
    }

    #[test]
    fn a_version_that_a_driver_made_does_not_grow() {
        let cases = [
            // Older versions record neither.
            (r#""properties": {}"#, None, true),
            (r#""properties": {"driver": "kmeans"}"#, Some("kmeans"), false),
            (r#""properties": {}, "blocks": [["block"], ["0"]]"#, None, false),
            (r#""properties": {}, "grows": true"#, None, true),
            (r#""properties": {}, "made_by": "dbscan", "grows": false"#, Some("dbscan"), false),
            (r#""properties": {"driver": "x"}, "made_by": "y", "grows": true"#, Some("y"), true),
        ];
        for (members, made_by, grows) in cases {
            let manifest = manifest(members);
            assert_eq!((manifest.made_by(), manifest.grows()), (made_by, grows), "{members}");
            let again = Manifest::parse(&manifest.to_bytes(), "m").unwrap();
            assert_eq!(again, manifest, "{members}");
        }
    }

    #[test]
    fn what_is_aside_is_known_of_older_versions_too() {
        let record = |name: &str, more: &str| {
            format!(r#"{{"name": "{name}", "schema": [], "keys": []{more}}}"#)
        };
        for (made_by, table, more, aside) in [
            ("partition", "blocks", "", false),
            ("partition", "margins", "", true),
            ("dbscan", "clusters", "", true),
            ("kmeans", "assignments", "", false),
            ("generate", "margins", "", false),
            ("generate", "margins", r#", "aside": true"#, true),
        ] {
            let text = format!(
                r#"{{"format": 1, "version": 1, "run": "r", "base": 0, "mode": "error",
                "location": "memory://b/out", "created": "2026-01-01T00:00:00Z", "arguments": [],
                "tables": [{}], "files": [], "properties": {{}}, "made_by": "{made_by}"}}"#,
                record(table, more)
            );
            let manifest = Manifest::parse(text.as_bytes(), "m").unwrap();
            assert_eq!(manifest.is_aside(table), aside, "{made_by} {table}{more}");
        }
    }

    #[test]
    fn every_edit_of_the_file_is_seen_and_older_files_have_no_checksum() {
        let manifest = manifest(r#""properties": {"checksum": "\",\n  \"checksum\": \"x"}"#);
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::is_as_written(&bytes), Some(true));
        assert_eq!(Manifest::parse(&bytes, "m").unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[at] ^= 1;
            assert_ne!(Manifest::is_as_written(&edited), Some(true), "byte {at}");
        }
        assert_eq!(Manifest::is_as_written(b"{}"), None);
        let mut older = serde_json::to_vec_pretty(&manifest).unwrap();
        older.push(b'\n');
        assert_eq!(Manifest::is_as_written(&older), None);
    }

    #[test]
    fn appending_needs_the_same_columns_and_keys() {
        let old = table(&[("id", DataType::Int64)], &[("k", DataType::Int32)]);
        old.appended(&old).unwrap();
        let cases = [
            (
                table(&[("id", DataType::Utf8)], &[("k", DataType::Int32)]),
                "found column 'id' of type Utf8, expected column 'id' of type Int64",
            ),
            (
                table(&[("id", DataType::Int64)], &[]),
                "found no other key, expected key 'k' of type Int32",
            ),
        ];
        for (new, expected) in cases {
            let message = old.appended(&new).unwrap_err().to_string();
            assert!(message.ends_with(expected), "{message}");
        }
    }
}
