//! `pleiad schema`: the columns of tables.

use arrow::array::{BooleanArray, StringArray};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::columns;
use crate::table::{SourceOptions, TextOptions};

/// Show the columns of tables, their types, and where the types come from
///
/// `sql` is the name as you write it in SQL, in quotes where it needs them. `source` says where the type
/// comes from: declared (by a dataset), footer (of Parquet), sniffed (from all values of a text file) or
/// path (keys of Hive directories, which are text). A column of a text file is text if any value would
/// be changed by another type, such as 07.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad schema people
  pleiad schema people/table1 --json")]
pub(crate) struct Schema {
    /// A file, a directory, a dataset or one of its tables
    #[arg(value_name = "LOCATION")]
    location: String,

    #[command(flatten)]
    text: TextOptions,
}

impl Schema {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`columns::columns`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let found = columns::columns(
            &context.stores,
            &self.location,
            &SourceOptions { text: self.text.clone(), explain: true, ..SourceOptions::default() },
        )
        .await?;
        let text = |text: fn(&columns::Column) -> &str| {
            StringArray::from_iter_values(found.iter().map(text))
        };
        let nullable: Vec<_> = found.iter().map(|column| column.nullable).collect();
        let answer = Answer::build("columns")
            .column("table", text(|column| &column.table))
            .column("column", text(|column| &column.name))
            .column("type", text(|column| &column.data_type))
            .column("nullable", BooleanArray::from(nullable))
            .column("sql", text(|column| &column.sql))
            .column("source", text(|column| column.origin.name()))
            .done();
        context.print(&[answer])
    }
}
