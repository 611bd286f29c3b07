//! `pleiad check`: what stands at a location.

use arrow::array::StringArray;
use clap::Args;

use super::Context;
use super::output::Answer;
use crate::error::Error;
use crate::table::commit::{self, Finding};

/// Say what stands at a location, whether it is whole, and what to do
///
/// LOCATION is a dataset, or any other place. The answer has one line a finding: what it is about, a
/// sentence, and the remedy. Files are compared with the manifest by size; --verify reads every byte
/// and compares SHA-256. On an object store it also tries whether two writers are kept apart, with a
/// small file under `_probe/`.
///
/// Exit code 65 if rows cannot be read or are not those that were written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad check people --verify
  pleiad check people --json")]
pub struct Check {
    /// What to look at: a directory, or s3://bucket/prefix
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Read every byte
    #[arg(long)]
    verify: bool,
}

impl Check {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`commit::check`]; and damage.
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let checkup =
            commit::check(&context.stores, &location, self.verify, &context.watch).await?;
        let column = |text: fn(&Finding) -> Option<&str>| {
            StringArray::from_iter(checkup.findings.iter().map(text))
        };
        let answer = Answer::build("findings")
            .column("subject", column(|finding| Some(finding.subject.name())))
            .column("finding", column(|finding| Some(&finding.what)))
            .column("remedy", column(|finding| finding.remedy.as_deref()))
            .done();
        context.print(&[answer])?;
        match checkup.damages() {
            0 => Ok(()),
            damages => Err(Error::data(format!(
                "'{location}' is damaged: see the {damages} findings on missing or wrong files"
            ))
            .into()),
        }
    }
}
