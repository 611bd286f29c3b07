//! Tables on storage: one sink, one commit, one way to read.
//!
//! A [`Run`] writes tables into a dataset and publishes all of them at once, or nothing; a
//! [`Source`] is what a reader of any location gets, resolved once and pinned. In reading order:

pub mod manifest; // what is published: tables, files, their facts
mod value; // key values and bounds as text
pub mod properties; // Java properties, for people and other tools
mod nan; // NaN, which bounds leave out
mod statistics; // min, max and NULL counts between footers, manifest and engine
pub mod format; // the formats of tables: the only list
pub mod hive; // Hive paths and file names
mod types; // types as people say them
pub mod read; // what a location names: its tables, pinned
mod text; // files of text: format, types, decoding
pub mod write; // rows to files, nothing of them visible
pub mod commit; // a run: preflight, intent, prepare, reveal, publish, finish

pub use commit::{
    Begin, DeadRun, Keep, OwnInput, Premises, ReadFrom, Run, RunOptions, finish_decided,
};
pub use format::{FileFormat, Format, FormatKind};
pub use manifest::{InputRecord, Manifest, Mode};
pub use read::external::{ExternalTable, ExternalTables, option_name};
pub use read::folder::{Folder, FolderFile};
pub use read::footers::footer_of as footer;
pub use read::options::{SAMPLE_BYTES, SourceOptions};
pub use read::source::{Source, Within, current_manifest, dataset_around};
pub use read::table::{SourceFile, SourceTable, Unlike, input_changed};
pub(crate) use text::bytes::open as open_text;
pub use text::format::{Compression, CsvFormat, Encoding};
pub use text::guesses::Guesses;
pub(crate) use text::options::{DELIMITER, delimiter};
pub use text::options::{Decimal, Header, MAX_LINE_BYTES, Mark, TextOptions, Types};
pub use text::preamble::Finding;
pub use types::{TEXT_TYPES, type_name, type_named};
pub use write::single::write_file;
pub use write::spec::{KeyLayout, TableFacts, TableSpec};
