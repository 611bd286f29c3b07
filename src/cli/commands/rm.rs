//! `pleiad rm`: removes objects and files.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::objects::remove::{self, Allowed};

/// Remove objects and files
///
/// To remove one object, its name is enough. A folder, a bucket or a pattern needs --yes. A dataset, or
/// anything in one, needs --yes and --dataset. Links are removed, never followed; a pattern that leads
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
    #[arg(long)]
    yes: bool,

    /// Remove a dataset or a part of one
    #[arg(long)]
    dataset: bool,

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
}
