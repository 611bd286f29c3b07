//! `pleiad unlock`: removes the claims of dead writers.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::table::commit;

/// Remove the locks of dead writers, on stores that cannot create objects exclusively
///
/// Most stores do not need this. On a store that ignores or refuses conditional writes, a writer places
/// a lock before it publishes. If it dies in between, the lock stays and other writers stop with exit
/// code 75. Make sure that the writer is dead: two writers at once would make the dataset unreadable.
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
