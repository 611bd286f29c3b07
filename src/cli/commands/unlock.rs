//! `pleiad unlock`: removes the claims of dead writers.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::table::commit;

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
pub(crate) struct Unlock {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,
}

impl Unlock {
    /// Unlocks and prints.
    ///
    /// # Errors
    /// See [`commit::unlock`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        let done = commit::unlock(&context.stores, &out).await?;
        context.print(&[Answer::lines("done", done)])
    }
}
