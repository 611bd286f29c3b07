//! Reading: what a location names, as tables whose files are pinned.

pub mod source; // a location: a dataset, a part of one, a directory, a file, a pattern
pub mod options; // how it may be read
mod lakes; // tables that list their own files
mod widen; // one type for a column whose files have several
pub(super) mod footers; // columns, rows and bounds of Parquet files
pub mod table; // one table: its columns, keys and files
pub(crate) mod unmanaged; // directories and files that have no manifest
pub(crate) mod pinned; // a store that answers only for known files, as they were
mod many_files; // a scan of so many files that what is counted of each would fill memory
pub(crate) mod provider; // a table as the engine sees it
pub mod external; // tables by location, for SQL
pub mod folder; // files that are read once each
