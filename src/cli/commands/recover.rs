//! `pleiad recover`: finishes what a dead run had decided.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
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
pub(crate) struct Recover {
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
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        let done = commit::recover(&context.stores, &out, self.keep.as_deref()).await?;
        context.print(&[Answer::lines("done", done)])
    }
}
