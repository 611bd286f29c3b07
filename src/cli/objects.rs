//! `pleiad ls`, `cat`, `cp`, `rm` and `stat`: objects of a bucket and files of this machine alike.

use arrow::array::{StringArray, TimestampSecondArray, UInt64Array};
use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::Context;
use super::output::Answer;
use crate::error::Error;
use crate::inspect::copy::{self, CopyOptions};
use crate::inspect::remove::{self, Allowed};
use crate::inspect::{self, Entry};

/// List objects and folders: size, time of the last change, name
///
/// LOCATION is a folder, a bucket, an object or a pattern in quotes; `s3://` or an alias alone is a
/// server, of which the buckets are listed. Without it the bucket of
/// AWS_BUCKET_NAME is listed, else the current directory. Folders end in `/` and have no size.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad ls people
  pleiad ls people/table1 --recursive --json")]
pub struct Ls {
    /// What to list: a path, s3://bucket/prefix or alias/bucket/prefix
    #[arg(value_name = "LOCATION")]
    location: Option<String>,

    /// List everything below, or below what matches, without folders
    #[arg(short, long)]
    recursive: bool,
}

impl Ls {
    /// Lists and prints.
    ///
    /// # Errors
    /// See [`inspect::list`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let server = self.location.as_deref().and_then(|text| context.stores.server(text));
        if let Some(server) = server {
            let buckets = inspect::buckets(&context.stores, &server).await?;
            return context.print(&[listing(&buckets)]);
        }
        let location = match &self.location {
            Some(location) => context.stores.parse(location)?,
            None => match context.flags.storage.default_location()? {
                Some(bucket) => bucket,
                None => context.stores.parse("./")?,
            },
        };
        let entries = inspect::list(&context.stores, &location, self.recursive).await?;
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
fn times(seconds: impl Iterator<Item = Option<i64>>) -> TimestampSecondArray {
    seconds.collect::<TimestampSecondArray>().with_timezone("+00:00")
}

/// Say what is known of an object or folder
///
/// The answer has one line a LOCATION: its kind (object, folder or dataset), and of an object its
/// size, the time of its last change and its entity tag.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad stat people people/properties
  pleiad stat people/properties --json")]
pub struct Stat {
    /// What to look at
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,
}

impl Stat {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`inspect::look`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse(text)?;
            if location.glob().is_some() {
                let list = "list what matches with pleiad ls";
                return Err(Error::usage(format!("'{location}' is a pattern: {list}")).into());
            }
            rows.push((location.to_string(), inspect::stat(&context.stores, &location).await?));
        }
        let objects = || rows.iter().map(|(_, (_, object))| object.as_ref());
        let answer = Answer::build("objects")
            .column("location", StringArray::from_iter_values(rows.iter().map(|row| &row.0)))
            .column("kind", StringArray::from_iter_values(rows.iter().map(|row| row.1.0)))
            .column("size", objects().map(|o| o.map(|o| o.size)).collect::<UInt64Array>())
            .column("modified", times(objects().map(|o| o.map(|o| o.modified))))
            .column("e_tag", StringArray::from_iter(objects().map(|o| o?.e_tag.as_deref())))
            .done();
        context.print(&[answer])
    }
}

/// Print the bytes of objects, one after the other
///
/// Bytes go to standard output as they are stored, while they come. A reader that leaves early
/// (`| head`) is content.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad cat people/properties
  pleiad cat people/_SUCCESS people/properties")]
pub struct Cat {
    /// What to print: objects or files
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,
}

impl Cat {
    /// Prints.
    ///
    /// # Errors
    /// See [`copy::read`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut objects = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse(text)?;
            objects.extend(copy::named(&context.stores, &location).await?);
        }
        let pieces = stream::iter(objects).then(|object| {
            let stores = &context.stores;
            async move { copy::read(stores, &object).await }
        });
        context.output.print_bytes(pieces.try_flatten()).await
    }
}

/// Copy objects and files, from or to S3
///
/// FROM is an object, a pattern in quotes, or with --recursive a folder, whose content goes below
/// TO. TO is the name of the copy, or a folder if it is one or ends in `/`. A copy appears when it is
/// whole; what is there already is not replaced without --force, and looked for before anything is
/// copied. Of each dataset all but the records of its runs is copied, its manifest at the end; it never
/// goes into another one.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad cp people/properties copied.properties
  pleiad cp people copy --recursive")]
pub struct Cp {
    /// What to copy
    #[arg(value_name = "FROM")]
    from: String,

    /// Where to
    #[arg(value_name = "TO")]
    to: String,

    /// Copy a folder and all that is in it
    #[arg(short, long)]
    recursive: bool,

    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Cp {
    /// Copies and prints.
    ///
    /// # Errors
    /// See [`copy::copy`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (from, to) = (context.stores.parse(&self.from)?, context.stores.parse(&self.to)?);
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
        context.print(&[answer])
    }
}

/// Remove objects and files
///
/// One object needs no more than its name. A folder, a bucket or a pattern needs --yes, and a
/// dataset or anything in one needs --dataset too. Links are removed, never followed: a pattern that
/// leads through one is refused. The answer has one line a LOCATION. What may not be removed is found
/// before anything is.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad rm people --yes --dataset --dry-run
  pleiad rm people --yes --dataset")]
pub struct Rm {
    /// What to remove
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,

    /// Remove all objects of a folder, or that match a pattern
    #[arg(long)]
    yes: bool,

    /// Remove a dataset, or a part of one
    #[arg(long)]
    dataset: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Rm {
    /// Removes and prints.
    ///
    /// # Errors
    /// See [`remove::look`] and [`remove::remove`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let allowed = Allowed { many: self.yes, datasets: self.dataset };
        let mut doomed = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse(text)?;
            doomed.push(remove::look(&context.stores, &location, allowed).await?);
        }
        let locations = doomed.iter().map(|doomed| doomed.location.to_string());
        let answer = Answer::build(if self.dry_run { "would_remove" } else { "removed" })
            .column("files", UInt64Array::from_iter_values(doomed.iter().map(|d| d.files)))
            .column("bytes", UInt64Array::from_iter_values(doomed.iter().map(|d| d.bytes)))
            .column("location", StringArray::from_iter_values(locations))
            .done();
        if self.dry_run {
            context.note("nothing is removed (--dry-run)");
        } else {
            for doomed in doomed {
                remove::remove(&context.stores, doomed).await?;
            }
        }
        context.print(&[answer])
    }
}
