//! `pleiad check`: what is stored at a location, and whether it is complete.

use arrow::array::StringArray;
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::error::Error;
use crate::partition::stored::Stored;
use crate::partition::verify;
use crate::storage::Location;
use crate::table::commit::{self, Checkup, Finding, Subject};
use crate::table::{Manifest, Source};

/// Check a dataset or a server: is it complete, can it be reached, what should you do
///
/// For a dataset, compares its files with the manifest by size; --verify reads every byte and compares
/// SHA-256. For a dataset of `pleiad partition`, --verify also reads the rows: each must lie in its
/// block, margins must hold every row within their radius, and all counts must agree.
///
/// For any location, such as a bucket, says whether its server can be reached and with which key. On an
/// object store, also tries whether it keeps two writers apart and supports multipart uploads, with small
/// files under `_probe/`.
///
/// Prints one row per finding: what it is about, what was found, and what to do. The exit code is 65 if
/// rows cannot be read or are not those that were written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad check blocks --verify
  pleiad check people --json")]
pub(crate) struct Check {
    /// A dataset, or any directory or s3://bucket/prefix
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Read every byte, and the rows of blocks
    #[arg(long)]
    verify: bool,
}

impl Check {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`commit::check`]; and damage.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let mut checkup =
            commit::check(&context.stores, &location, self.verify, &context.watch).await?;
        if self.verify {
            verify_blocks(context, &location, &mut checkup).await?;
        }
        let column = |text: fn(&Finding) -> Option<&str>| {
            StringArray::from_iter(checkup.findings.iter().map(text))
        };
        let answer = Answer::build("findings")
            .column("subject", column(|finding| Some(finding.subject.name())))
            .column("finding", column(|finding| Some(&finding.what)))
            .column("remedy", column(|finding| finding.remedy.as_deref()))
            .done();
        context.print(&[answer])?;
        let where_to_look = match checkup.damages() {
            0 => return Ok(()),
            1 => "see the finding above".to_owned(),
            damages => format!("see the {damages} findings above"),
        };
        Err(Error::data(format!("'{location}' is damaged: {where_to_look}")).into())
    }
}

/// Looks at the rows of a partitioned dataset whose files are whole.
async fn verify_blocks(
    context: &Context,
    location: &Location,
    checkup: &mut Checkup,
) -> anyhow::Result<()> {
    let is_whole = checkup.damages() == 0;
    let is_ours = |manifest: &Manifest| is_whole && Stored::is_in(manifest);
    let Some(manifest) = checkup.manifest.take().filter(is_ours) else { return Ok(()) };
    if !verify::is_of_tables(&manifest) {
        let what = "the blocks are not tables: their rows were not compared with their bounds";
        checkup.note(Subject::Block, what, None);
        return Ok(());
    }
    let source = Source::of_version(&context.stores, location, manifest)?;
    let verified = verify::verify(&context.session()?, &source, &context.watch).await?;
    if verified.faults.is_empty() {
        checkup.note(
            Subject::Block,
            format!(
                "all {} own rows are in their blocks, and all {} margin rows are near theirs and \
                 complete; {} rows near borders were compared with all others, which gave {} neighbours",
                verified.own_rows, verified.margin_rows, verified.samples, verified.pairs
            ),
            None,
        );
    }
    for fault in verified.faults {
        checkup.damage(Subject::Block, fault, Some("partition the input again".to_owned()));
    }
    Ok(())
}
