//! `pleiad ls`: objects of a bucket and files of this machine alike.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray, TimestampSecondArray, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::UInt64Type;
use clap::Args;
use indicatif::HumanBytes;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::objects::{self, Entry};

/// List objects and folders: size, time of the last change, name
///
/// LOCATION is a folder, a bucket, an object, or a pattern in quotes. `s3://` or an alias of `mc` alone
/// lists the buckets of that server. Without LOCATION, lists the bucket that AWS_BUCKET_NAME names, else
/// the current directory. Folders end in `/` and have no size.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_long_help = "\
Examples:
  pleiad ls people
  pleiad ls people/table1 --recursive --json"
)]
pub(crate) struct Ls {
    /// What to list: a path, s3://bucket/prefix or alias/bucket/prefix
    #[arg(value_name = "LOCATION")]
    location: Option<String>,

    /// List all objects below, at any depth, without folders
    #[arg(short, long)]
    recursive: bool,

    /// Print sizes as people read them, such as 3.77 MiB
    #[arg(short = 'h', long)]
    human: bool,

    /// Size and time, too: they are always shown
    #[arg(short, long, hide = true)]
    long: bool,

    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

impl Ls {
    /// Lists and prints.
    ///
    /// # Errors
    /// See [`objects::list`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let server = self.location.as_deref().and_then(|text| context.stores.server(text));
        if let Some(server) = server {
            let buckets = objects::buckets(&context.stores, &server).await?;
            return context.print(&[listing(&buckets)]);
        }
        let location = match &self.location {
            Some(location) => context.stores.parse(location)?,
            None => match context.flags.storage.default_location()? {
                Some(bucket) => bucket,
                None => context.stores.parse("./")?,
            },
        };
        let entries = objects::list(&context.stores, &location, self.recursive).await?;
        let answer = listing(&entries);
        context.print(&[if self.human { sizes_for_people(&answer)? } else { answer }])
    }
}

/// The same table with sizes as people read them.
pub(super) fn sizes_for_people(answer: &Answer) -> crate::error::Result<Answer> {
    let whole = concat_batches(answer.schema(), answer.batches())?;
    let mut shown = Answer::build(answer.name());
    for (field, column) in whole.schema().fields().iter().zip(whole.columns()) {
        shown = match column.as_primitive_opt::<UInt64Type>() {
            Some(sizes) if ["size", "bytes"].contains(&field.name().as_str()) => {
                let texts = sizes.iter().map(|size| size.map(|size| HumanBytes(size).to_string()));
                shown.column(field.name(), texts.collect::<StringArray>())
            }
            _ => shown.column(field.name(), Arc::clone(column)),
        };
    }
    Ok(shown.done())
}

/// Entries as a table.
pub(super) fn listing(entries: &[Entry]) -> Answer {
    let objects = || entries.iter().map(|entry| entry.object.as_ref());
    let names = entries.iter().map(|entry| entry.name.as_str());
    Answer::build("objects")
        .column("size", objects().map(|object| object.map(|o| o.size)).collect::<UInt64Array>())
        .column("modified", times(objects().map(|object| object.map(|o| o.modified))))
        .column("name", StringArray::from_iter_values(names))
        .done()
}

/// Seconds since 1970 as times of day in UTC.
pub(super) fn times(seconds: impl Iterator<Item = Option<i64>>) -> TimestampSecondArray {
    seconds.collect::<TimestampSecondArray>().with_timezone("+00:00")
}
