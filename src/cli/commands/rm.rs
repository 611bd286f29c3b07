//! `pleiad rm`: removes objects and files.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::remove::{self, Allowed};

/// Remove objects and files
///
/// One object needs no more than its name. A folder, a bucket or a pattern needs --yes, and a
/// dataset or anything in one needs --dataset too. Links are removed, never followed: a pattern that
/// leads through one is refused. The answer has one line a LOCATION. What may not be removed is found
/// before anything is.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad rm people --yes --dataset --dry-run
  pleiad rm people --yes --dataset")]
pub(crate) struct Rm {
    /// What to remove
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,

    /// Remove all objects of a folder, or that match a pattern
    #[arg(long)]
    yes: bool,

    /// Remove a dataset, or a part of one
    #[arg(long)]
    dataset: bool,

    /// Say what would be removed, and remove nothing
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
        let mut doomed = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse(text)?;
            doomed.push(remove::look(&context.stores, &location, allowed).await?);
        }
        let locations = doomed.iter().map(|doomed| doomed.location.to_string());
        let answer = Answer::build(if self.dry_run { "would_remove" } else { "removed" })
            .column("files", UInt64Array::from_iter_values(doomed.iter().map(|d| d.files)))
            .column("bytes", UInt64Array::from_iter_values(doomed.iter().map(|d| d.bytes)))
            .column("location", StringArray::from_iter_values(locations))
            .done();
        if self.dry_run {
            context.note("nothing is removed (--dry-run)");
        } else {
            for doomed in doomed {
                remove::remove(&context.stores, doomed).await?;
            }
        }
        context.print(&[answer])
    }
}
