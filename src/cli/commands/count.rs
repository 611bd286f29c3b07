//! `pleiad count`: the rows of tables.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::summary;
use crate::table::{SourceOptions, TextOptions};

/// Count the rows of tables
///
/// Datasets and Parquet files are counted without reading their rows; text files are read to the end.
/// Prints one row per table.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad count people
  pleiad count 'people/table*' --json")]
pub(crate) struct Count {
    /// A file, a directory, a dataset, a part of one, or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    #[command(flatten)]
    text: TextOptions,
}

impl Count {
    /// Counts and prints.
    ///
    /// # Errors
    /// See [`summary::count`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let found = summary::count(
            &context.session()?,
            &self.location,
            &SourceOptions { text: self.text.clone(), ..SourceOptions::default() },
        )
        .await?;
        let count = |count: fn(&summary::Counted) -> u64| {
            UInt64Array::from_iter_values(found.iter().map(count))
        };
        let tables = found.iter().map(|table| table.table.as_str());
        let answer = Answer::build("tables")
            .column("table", StringArray::from_iter_values(tables))
            .column("rows", count(|table| table.rows))
            .column("files", count(|table| table.files))
            .column("bytes", count(|table| table.bytes))
            .done();
        context.print(&[answer])
    }
}
