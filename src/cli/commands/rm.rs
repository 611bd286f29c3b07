//! `pleiad rm`: removes objects and files.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use super::show;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::error::Error;
use crate::objects::remove::{self, Allowed};
use crate::table::{RunOptions, commit};

/// Remove objects and files
///
/// To remove one object, its name is enough. A folder, a bucket or a pattern needs --yes. A dataset, or
/// anything in one, needs --yes and --dataset. --table publishes a version of a dataset without one of its
/// tables; `pleiad rollback` brings it back. Links are removed, never followed; a pattern that leads
/// through a link is refused. All checks come before the first removal. Prints one row per LOCATION.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad rm people --yes --dataset --dry-run
  pleiad rm people --yes --dataset")]
pub(crate) struct Rm {
    /// Objects, folders or patterns to remove
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,

    /// Remove everything in a folder, or everything that matches a pattern
    #[arg(short = 'r', long, visible_alias = "recursive")]
    yes: bool,

    /// Remove a dataset or a part of one
    #[arg(long)]
    dataset: bool,

    /// Publish a version of the dataset LOCATION without this table; `.` is the table at its root
    #[arg(long, value_name = "NAME", conflicts_with_all = ["yes", "dataset", "dry_run"])]
    table: Option<String>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Rm {
    /// Removes and prints.
    ///
    /// # Errors
    /// See [`remove::look`] and [`remove::remove`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        if let Some(table) = &self.table {
            return self.drop_table(context, table).await;
        }
        let allowed = Allowed { many: self.yes, datasets: self.dataset };
        let mut removals = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse_existing(text)?;
            removals.push(remove::look(&context.stores, &location, allowed).await?);
        }
        let locations = removals.iter().map(|removal| removal.location.to_string());
        let answer = Answer::build(if self.dry_run { "would_remove" } else { "removed" })
            .column("files", UInt64Array::from_iter_values(removals.iter().map(|d| d.files)))
            .column("bytes", UInt64Array::from_iter_values(removals.iter().map(|d| d.bytes)))
            .column("location", StringArray::from_iter_values(locations))
            .done();
        if self.dry_run {
            context.note("nothing was removed (--dry-run)");
            return context.print(&[answer]);
        }
        for removal in removals {
            remove::remove(&context.stores, removal).await?;
        }
        context.print(&[answer]).map_err(|error| after("all of it is removed", error))
    }

    async fn drop_table(&self, context: &Context, table: &str) -> anyhow::Result<()> {
        let [dataset] = &self.locations[..] else {
            return Err(Error::usage("--table is of one dataset: name one LOCATION").into());
        };
        let out = context.stores.parse(dataset)?;
        let table = if table == "." { "" } else { table };
        let options = RunOptions {
            arguments: context.arguments.clone(),
            keep: context.flags.keep(),
            ..RunOptions::default()
        };
        let manifest = commit::drop_table(&context.stores, &out, table, options).await?;
        context.print(&[show::version(&out, &manifest)])
    }
}
