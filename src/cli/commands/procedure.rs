//! The commands that SQL can call: `CALL kmeans(…)`.

use clap::Subcommand;

use super::dbscan::Dbscan;
use super::generate::Generate;
use super::kdistance::Kdistance;
use super::kmeans::Kmeans;
use super::partition::Partition;
use super::predict::Predict;
use crate::cli::context::{Context, Done};

// A comment of documentation would hide what `--help` shows.
#[derive(Debug, Subcommand)]
pub(crate) enum Procedure {
    Generate(Generate),
    Kmeans(Box<Kmeans>),
    Predict(Box<Predict>),
    Dbscan(Box<Dbscan>),
    Kdistance(Kdistance),
    Partition(Box<Partition>),
}

impl Procedure {
    /// Does the work; what it answers is printed by a command and kept by a `CALL`.
    ///
    /// # Errors
    /// Those of the procedure.
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        match self {
            Self::Generate(command) => command.work(context).await,
            Self::Kmeans(command) => Box::pin(command.work(context)).await,
            Self::Predict(command) => Box::pin(command.work(context)).await,
            Self::Dbscan(command) => command.work(context).await,
            Self::Kdistance(command) => command.work(context).await,
            Self::Partition(command) => Box::pin(command.work(context)).await,
        }
    }
}
