//! `pleiad ls`: objects of a bucket and files of this machine alike.

use arrow::array::{StringArray, TimestampSecondArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::objects::{self, Entry};

/// List objects and folders: size, time of the last change, name
///
/// LOCATION is a folder, a bucket, an object, or a pattern in quotes. `s3://` or an alias of `mc` alone
/// lists the buckets of that server. Without LOCATION, lists the bucket that AWS_BUCKET_NAME names, else
/// the current directory. Folders end in `/` and have no size.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad ls people
  pleiad ls people/table1 --recursive --json")]
pub(crate) struct Ls {
    /// What to list: a path, s3://bucket/prefix or alias/bucket/prefix
    #[arg(value_name = "LOCATION")]
    location: Option<String>,

    /// List all objects below, at any depth, without folders
    #[arg(short, long)]
    recursive: bool,
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
        context.print(&[listing(&entries)])
    }
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
