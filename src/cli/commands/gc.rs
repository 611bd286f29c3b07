//! `pleiad gc`: removes what dead runs and old versions left.

use std::time::Duration;

use arrow::array::StringArray;
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::settings::duration;
use crate::error::Error;
use crate::storage::{Location, UnfinishedUpload};
use crate::table::commit;

/// Remove files that dead runs and old versions left behind
///
/// Removes only files that the records of runs and old manifests name, never whole folders, and ends
/// the uploads of single files whose processes died. Files that an overwrite replaced stay for their time
/// (`--keep-old` of that command), or for --keep. Prints one row for each thing removed.
///
/// --uploads lists every unfinished upload below a place on S3, those of other programs too. It ends
/// only those that you name with --end.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad gc people --dry-run
  pleiad gc people --json")]
pub(crate) struct Gc {
    /// The dataset, a folder, or a file on S3
    #[arg(value_name = "OUT")]
    out: String,

    /// List all unfinished uploads below OUT, and remove nothing else
    #[arg(long)]
    uploads: bool,

    /// End the upload with this id; may be repeated
    #[arg(long, value_name = "ID", requires = "uploads")]
    end: Vec<String>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// How long replaced files stay, such as 7d or 0 [default: as the overwrite said, by --keep-old]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    keep: Option<Duration>,
}

impl Gc {
    /// Removes and prints.
    ///
    /// # Errors
    /// See [`commit::gc`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        if self.uploads {
            return self.uploads(context, &out).await;
        }
        let found = commit::gc(&context.stores, &out, self.dry_run, self.keep).await?;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let mut lines: Vec<_> = found.iter().map(|what| format!("{verb} {what}")).collect();
        if lines.is_empty() {
            lines.push(format!("nothing to remove at '{out}'"));
        }
        context.print(&[Answer::lines("done", lines)])
    }

    /// Ends the uploads that are asked for, and lists all.
    async fn uploads(&self, context: &Context, out: &Location) -> anyhow::Result<()> {
        let found = context.stores.unfinished_uploads(out).await?;
        if let Some(id) = self.end.iter().find(|id| found.iter().all(|upload| upload.id != **id)) {
            return Err(Error::missing(format!("no unfinished upload '{id}' below '{out}'")).into());
        }
        let is_meant = |upload: &UnfinishedUpload| self.end.contains(&upload.id);
        if !self.dry_run {
            for upload in found.iter().filter(|upload| is_meant(upload)) {
                context.stores.end_upload(out, upload).await?;
            }
        }
        let text = |text: fn(&UnfinishedUpload) -> &str| {
            StringArray::from_iter_values(found.iter().map(text))
        };
        let done = found.iter().map(|upload| match (is_meant(upload), self.dry_run) {
            (true, true) => "would be ended",
            (true, false) => "ended",
            (false, _) => "unfinished",
        });
        let answer = Answer::build("uploads")
            .column("key", text(|upload| &upload.key))
            .column("upload", text(|upload| &upload.id))
            .column("begun", text(|upload| &upload.begun))
            .column("state", StringArray::from_iter_values(done))
            .done();
        context.print(&[answer])
    }
}
