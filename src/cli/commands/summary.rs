//! `pleiad summary`: bounds, means and distinct values of columns.

use arrow::array::{Float64Array, StringArray, UInt64Array};
use clap::Args;

use super::source_flags::SourceFlags;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::column_sums::ColumnSum;
use crate::inspect::summary;

/// Summarise the columns of tables: NULLs, minimum, maximum, mean, distinct values
///
/// Reads the rows once. The number of distinct values is estimated, to within about 2 %. NaN is counted
/// in `nans` and left out of minimum, maximum and mean.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad summary people/table1
  pleiad summary people --columns age,weight --json")]
pub(crate) struct Summary {
    /// A file, a directory, a dataset, a part of one, or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Columns to summarise [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    #[command(flatten)]
    flags: SourceFlags,
}

impl Summary {
    /// Summarises and prints.
    ///
    /// # Errors
    /// See [`summary::summary`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let session = context.session()?;
        let found =
            summary::summary(&session, &self.location, &self.flags.options(), &self.columns)
                .await?;
        let sums = || found.iter().map(|column| &column.sum);
        let count =
            |count: fn(&ColumnSum) -> Option<u64>| sums().map(count).collect::<UInt64Array>();
        let text = |text: fn(&ColumnSum) -> Option<&str>| StringArray::from_iter(sums().map(text));
        let tables = found.iter().map(|column| column.table.as_str());
        let means = sums().map(|column| column.mean).collect::<Float64Array>();
        let answer = Answer::build("columns")
            .column("table", StringArray::from_iter_values(tables))
            .column("column", text(|column| Some(&column.column)))
            .column("type", text(|column| Some(&column.data_type)))
            .column("rows", count(|column| Some(column.rows)))
            .column("nulls", count(|column| Some(column.nulls)))
            .column("nans", count(|column| column.nans))
            .column("min", text(|column| column.min.as_deref()))
            .column("max", text(|column| column.max.as_deref()))
            .column("mean", means)
            .column("approx_distinct", count(|column| column.approx_distinct))
            .done();
        context.print(&[answer])
    }
}
