//! `pleiad head`: the first rows of tables.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::head;
use crate::table::{SourceOptions, TextOptions};

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
    text: TextOptions,
}

impl Head {
    /// Reads and prints.
    ///
    /// # Errors
    /// See [`head::head`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let options = SourceOptions { text: self.text.clone(), ..SourceOptions::default() };
        let heads = head::head(&context.session()?, &self.location, &options, self.rows).await?;
        let answers = heads.into_iter().map(|h| Answer::rows(h.table, h.schema, h.rows));
        context.print(&answers.collect::<Vec<_>>())
    }
}
