//! `pleiad cp`: copies of objects and files, from or to S3.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::objects::copy::{self, CopyOptions};

/// Copy objects and files, from or to S3
///
/// FROM is an object, a pattern in quotes, or with --recursive a folder, whose content is copied below
/// TO. TO is the name of the copy, or a folder if it exists as one or ends in `/`. A copy appears when it
/// is complete. An existing object is not replaced without --force; this is checked before anything is
/// copied. A dataset is copied without the records of its runs and with its manifest last. It cannot be
/// copied into another dataset.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad cp people/properties copied.properties
  pleiad cp people copy --recursive")]
pub(crate) struct Cp {
    /// Object, pattern or folder to copy
    #[arg(value_name = "FROM")]
    from: String,

    /// Name of the copy, or folder to copy into
    #[arg(value_name = "TO")]
    to: String,

    /// Copy a folder and everything in it
    #[arg(short, long)]
    recursive: bool,

    /// Replace existing objects
    #[arg(long)]
    force: bool,
}

impl Cp {
    /// Copies and prints.
    ///
    /// # Errors
    /// See [`copy::copy`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let from = context.stores.parse_existing(&self.from)?;
        let to = context.stores.parse(&self.to)?;
        let options = CopyOptions {
            force: self.force,
            recursive: self.recursive,
            into_folder: self.to.ends_with('/'),
        };
        let copied = copy::copy(&context.stores, &from, &to, options, &context.watch).await?;
        let texts = |text: fn(&copy::Copied) -> String| {
            StringArray::from_iter_values(copied.iter().map(text))
        };
        let answer = Answer::build("copied")
            .column("size", UInt64Array::from_iter_values(copied.iter().map(|copy| copy.size)))
            .column("from", texts(|copy| copy.from.to_string()))
            .column("to", texts(|copy| copy.to.to_string()))
            .done();
        context.print(&[answer]).map_err(|error| after("the copy is made", error))
    }
}
