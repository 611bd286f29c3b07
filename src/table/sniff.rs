//! What a location holds, from a few bytes: format and columns, for a preview.
//!
//! Footers of Parquet are read whole. Of a text file the first [`SAMPLE_BYTES`] are looked at, in one
//! request: a type may turn out too narrow further down, so what computes opens a [`Source`], which
//! looks at every value.

use std::sync::Arc;

use super::scan::{Source, SourceOptions};
use super::source_table::{Format, SourceTable};
use crate::error::Result;
use crate::storage::{Location, Stores};

/// Bytes of a text file that a preview looks at.
pub const SAMPLE_BYTES: u64 = 256 * 1024;

/// What a location holds.
#[derive(Clone, Debug)]
pub struct Sniffed {
    /// Its tables, each with columns, format and files; the first rows can be read through them.
    pub tables: Vec<SourceTable>,
    /// Whether the types are sure: declared by a manifest or a footer, or of a text file looked at whole.
    pub is_sure: bool,
}

/// Looks at `location`, at the first bytes of its text files only.
///
/// # Errors
/// As [`Source::open`].
pub async fn sniff(stores: &Arc<Stores>, location: &Location) -> Result<Sniffed> {
    let options = SourceOptions { sample: Some(SAMPLE_BYTES), ..SourceOptions::default() };
    let source = Source::open(stores, &location.to_string(), &options).await?;
    let is_sure = |table: &SourceTable| match table.format {
        Format::Parquet => true,
        Format::Csv(_) | Format::Json { .. } => table.rows().is_some(),
    };
    let is_sure = source.tables.iter().all(is_sure);
    Ok(Sniffed { tables: source.tables, is_sure })
}
