//! `pleiad head`: the first rows of tables.

use clap::Args;

use super::source_flags::SourceFlags;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::head;

/// Show the first rows of tables
///
/// LOCATION is a CSV, JSON lines or Parquet file, a directory of such files, a dataset or a part of one.
/// Prints each table of a dataset as a table of its own. An empty value in a text file is NULL.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad head people/table1
  pleiad head people/table1 -n 3 --json")]
pub(crate) struct Head {
    /// A file, a directory, a dataset or one of its tables
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Rows to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,

    #[command(flatten)]
    flags: SourceFlags,
}

impl Head {
    /// Reads and prints.
    ///
    /// # Errors
    /// See [`head::head`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let options = self.flags.options();
        let heads = head::head(&context.session()?, &self.location, &options, self.rows).await?;
        let answers = heads.into_iter().map(|h| Answer::rows(h.table, h.schema, h.rows));
        context.print(&answers.collect::<Vec<_>>())
    }
}
