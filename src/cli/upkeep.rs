//! `pleiad recover`, `pleiad gc`, `pleiad unlock`: what to do about what `pleiad check` finds.

use arrow::array::StringArray;
use clap::Args;

use super::Context;
use super::output::Answer;
use crate::table::commit;

/// Finish what a dead run had decided
///
/// A run that dies after its decision is finished by the next command that writes to OUT; this
/// command does it without writing anything else. It also removes what an overwrite replaced and
/// writes `properties` and `_SUCCESS` anew. The answer has one line for each thing done.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad recover people
  pleiad recover people --json")]
pub struct Recover {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,

    /// Of two manifests of one version keep the one of this run, and remove the other's files
    #[arg(long, value_name = "RUN")]
    keep: Option<String>,
}

impl Recover {
    /// Finishes and prints.
    ///
    /// # Errors
    /// See [`commit::recover`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        print(context, commit::recover(&context.stores, &out, self.keep.as_deref()).await?)
    }
}

/// Remove what dead runs and old versions left
///
/// Only names in the records of runs and in old manifests are removed, never a prefix. The answer
/// has one line for each thing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad gc people --dry-run
  pleiad gc people --json")]
pub struct Gc {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Gc {
    /// Removes and prints.
    ///
    /// # Errors
    /// See [`commit::gc`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        let found = commit::gc(&context.stores, &out, self.dry_run).await?;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let mut lines: Vec<_> = found.iter().map(|what| format!("{verb} {what}")).collect();
        if lines.is_empty() {
            lines.push(format!("nothing to remove at '{out}'"));
        }
        print(context, lines)
    }
}

/// Remove the claims of dead writers, on a store that cannot keep two apart
///
/// Only on a store that ignores or refuses create-only puts does a writer claim a version before it
/// publishes; if it dies between the two, its claim stays and others stop with exit code 75. Make
/// sure that it is dead: two manifests of one version would stop all readers.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad unlock people
  pleiad unlock people --json")]
pub struct Unlock {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,
}

impl Unlock {
    /// Unlocks and prints.
    ///
    /// # Errors
    /// See [`commit::unlock`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        print(context, commit::unlock(&context.stores, &out).await?)
    }
}

fn print(context: &Context, lines: Vec<String>) -> anyhow::Result<()> {
    context.print(&[Answer::build("done").column("done", StringArray::from(lines)).done()])
}
