//! Writing: a plan's rows to files, nothing of them visible before the commit; and one file for
//! other programs.

pub mod spec; // what is written where
pub(crate) mod exec; // the plan node that writes
pub(crate) mod sort_pool; // the sort under a write
pub(crate) mod fanout; // one stream of rows to one file a key
pub(crate) mod encode; // one Parquet file: settings, chunks, facts
pub(crate) mod staged; // bytes that have no name yet
mod row_groups; // a file whose row groups are encoded on all cores
pub(crate) mod rows_as_text; // rows as lines of CSV and JSON
pub mod single; // one file for other programs
