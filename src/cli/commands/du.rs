//! `pleiad du`: how much is stored, folder by folder.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use super::ls::sizes_for_people;
use crate::cli::answer::{Answer, AnswerBuilder};
use crate::cli::context::Context;
use crate::objects::folders::{self, Folder};

/// Add up the sizes of all objects below a location
///
/// Counts everything that is stored, including the records of runs and files of old versions. Prints one
/// row for LOCATION and, with --depth, one for each folder down to that level.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_long_help = "\
Examples:
  pleiad du people
  pleiad du people --depth 1 --json"
)]
pub(crate) struct Du {
    /// A folder, an object, or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Levels of folders to show
    #[arg(long, value_name = "N", default_value_t = 0)]
    depth: usize,

    /// Print sizes as people read them, such as 3.77 MiB
    #[arg(short = 'h', long)]
    human: bool,

    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

impl Du {
    /// Adds up and prints.
    ///
    /// # Errors
    /// See [`folders::usage`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let found = folders::usage(&context.stores, &location, self.depth).await?;
        let locations = found.iter().map(|folder| location.join(&folder.path).to_string());
        let answer = sizes(Answer::build("folders"), &found)
            .column("location", StringArray::from_iter_values(locations));
        let answer = answer.done();
        context.print(&[if self.human { sizes_for_people(&answer)? } else { answer }])
    }
}

pub(super) fn sizes(answer: AnswerBuilder, folders: &[Folder]) -> AnswerBuilder {
    answer
        .column("files", UInt64Array::from_iter_values(folders.iter().map(|folder| folder.files)))
        .column("bytes", UInt64Array::from_iter_values(folders.iter().map(|folder| folder.bytes)))
}
