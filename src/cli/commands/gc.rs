//! `pleiad gc`: removes what dead runs and old versions left.

use std::time::Duration;

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::settings::duration;
use crate::table::commit;

/// Remove files that dead runs and old versions left behind
///
/// Removes only files that the records of runs and old manifests name, never whole folders. Files that an
/// overwrite replaced stay for their time (`--keep-old` of that command), or for --keep. Prints one row for
/// each thing removed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad gc people --dry-run
  pleiad gc people --json")]
pub(crate) struct Gc {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,

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
        let found = commit::gc(&context.stores, &out, self.dry_run, self.keep).await?;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let mut lines: Vec<_> = found.iter().map(|what| format!("{verb} {what}")).collect();
        if lines.is_empty() {
            lines.push(format!("nothing to remove at '{out}'"));
        }
        context.print(&[Answer::lines("done", lines)])
    }
}
