//! Tables on storage: one sink, one commit, one way to read.
//!
//! A [`Run`] writes tables into a dataset and publishes all of them at once, or nothing; a
//! [`Source`] is what a reader of any location gets, resolved once and pinned. In reading order:

pub mod commit; // a run: preflight, intent, prepare, reveal, publish, finish
pub(crate) mod csv; // delimiter and types of a CSV file
mod decoded; // text that is compressed or not UTF-8
mod encode; // one Parquet file: settings, chunks, facts
pub mod external; // tables by location, for SQL
mod json; // members of JSON lines, and their types
mod foreign; // directories and files that have no manifest
pub mod layout; // Hive paths and file names
pub mod manifest; // what is published: tables, files, their facts
mod pinned; // a store that answers only for the files it was told of
pub mod properties; // Java properties, for people and other tools
mod provider; // the table provider over pinned files
pub mod scan; // what a location names: its tables, pinned
pub mod single; // one file for other programs
pub mod sniff; // what a location holds, from a few bytes
mod sort_pool; // the sort under a write
pub mod source_table; // one table: its columns, keys and files
mod split; // one stream of rows to one file a key
mod staged; // bytes that have no name yet
mod statistics; // min, max and NULL counts between footers, manifest and engine
mod text_types; // the type that holds a column of text
mod value; // key values and bounds as text
mod write; // the plan node that writes

use serde::{Deserialize, Serialize};

pub use commit::{Begin, DeadRun, Run, RunOptions};
pub use foreign::footer_of as footer;
pub use manifest::Manifest;
pub use scan::{Encoding, Source, SourceOptions, Within, current_manifest, dataset_around};
pub use source_table::{Format, SourceFile, SourceTable};

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

/// The table a plan is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Its path in the dataset, `/` between segments; empty for the dataset's root table.
    pub name: String,
    /// Its Hive keys, outermost first: columns of the plan that become directories.
    pub keys: Vec<String>,
    /// The columns its rows are sorted by inside a file, ascending, NULLs last.
    pub order: Vec<String>,
    /// How rows find their file.
    pub layout: Layout,
    /// A second table, for rows of an odd key. The first key of the plan, a whole number, is then
    /// twice the key of a row of this table, and twice plus one that of a row of the second table,
    /// which has the same columns.
    pub odd: Option<String>,
    /// Whether numbers hardly repeat: floats and integers of 64 bits are then written without
    /// dictionary, floats byte by byte.
    pub distinct: bool,
    /// Where a table is written by several calls, which of them this is: files are read in the order
    /// of these.
    pub part: Option<u32>,
}

/// How rows find the file of their key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// For few keys: every stream keeps a writer open for each key it meets. Nothing is shuffled,
    /// nothing sorted but by `order`. A stream that meets a key beyond the 64th makes the whole
    /// write start over as [`Layout::Clustered`].
    #[default]
    Spread,
    /// For keys that were counted: every stream keeps a writer open for each, however many there
    /// are. Row groups end early where memory is short. A key that is alone may be a list here: the
    /// row is written once for each item.
    Counted,
    /// For many keys: rows are hashed by key and sorted, a stream has one writer open, and a key
    /// has one file. Without keys the table becomes one file.
    Clustered,
}

/// What a write made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Files.
    pub files: usize,
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
