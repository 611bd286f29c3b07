//! `pleiad recover`: finishes what a dead run had decided.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::table::commit::{self, Settle};

/// Finish a run that died while it was publishing
///
/// If a run dies while it publishes its result, the next command that writes to OUT completes it. This
/// command does the same without writing anything of its own. It also removes what an overwrite replaced
/// and writes `properties` and `_SUCCESS` again. If bytes of the run are lost, so that no one can complete
/// it, the run is revoked: the version before it stays. Prints one row for each thing done.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad recover people
  pleiad recover people --json")]
pub(crate) struct Recover {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,

    /// If two manifests have the same version, keep the one of this run and remove the files of the other
    #[arg(long, value_name = "RUN")]
    keep: Option<String>,

    /// Give up a run that was publishing and cannot be finished: nothing of it will be published
    #[arg(long, value_name = "RUN", conflicts_with = "keep")]
    revoke: Option<String>,
}

impl Recover {
    /// Finishes and prints.
    ///
    /// # Errors
    /// See [`commit::recover`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        let settle = match (&self.keep, &self.revoke) {
            (Some(run), _) => Settle::Keep(run),
            (None, Some(run)) => Settle::Revoke(run),
            (None, None) => Settle::Nothing,
        };
        let done = commit::recover(&context.stores, &out, settle).await?;
        context.print(&[Answer::lines("done", done)])
    }
}
