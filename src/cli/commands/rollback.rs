//! `pleiad rollback`: an old version of a dataset once more.

use clap::Args;

use super::show;
use crate::cli::context::Context;
use crate::table::RunOptions;
use crate::table::commit;

/// Publish an old version of a dataset again
///
/// Makes a new version that holds what VERSION held. Nothing is copied on a local disk: files that an
/// overwrite replaced are still there for a while (`--keep-old` of that command).
/// `pleiad show OUT --history` shows which versions can be read. The version before the rollback is kept in
/// the same way. Prints the table `dataset` with one row about the new version.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad rollback people 1
  pleiad rollback people 1 --json")]
pub(crate) struct Rollback {
    /// The dataset
    #[arg(value_name = "OUT")]
    out: String,

    /// The version to publish again
    #[arg(value_name = "VERSION")]
    version: u64,
}

impl Rollback {
    /// Publishes and prints.
    ///
    /// # Errors
    /// See [`commit::rollback`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let out = context.stores.parse(&self.out)?;
        let options = RunOptions {
            arguments: context.arguments.clone(),
            keep: context.flags.keep(),
            ..RunOptions::default()
        };
        let manifest = commit::rollback(&context.stores, &out, self.version, options).await?;
        context.print(&[show::version(&out, &manifest)])
    }
}
