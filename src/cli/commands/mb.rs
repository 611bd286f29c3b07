//! `pleiad mb`: makes buckets.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::error::{Error, Kind};
use crate::table::Mode;

/// Make buckets on an S3 server
///
/// The region is that of --region. A bucket that exists is an error, unless it is yours and you pass --mode ignore.
/// Folders need no command: they are there when something is in them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad mb s3://results
  pleiad mb s3://results s3://archive --mode ignore")]
pub(crate) struct Mb {
    /// Buckets to make, such as s3://results, or alias/results
    #[arg(value_name = "BUCKET", required = true)]
    buckets: Vec<String>,
}

impl Mb {
    /// Makes the buckets and prints those that are new.
    ///
    /// # Errors
    /// What names no bucket, a bucket that exists, a server that refuses.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let locations = self.buckets.iter().map(|text| context.stores.parse(text));
        let locations = locations.collect::<Result<Vec<_>, _>>()?;
        let mut made = Vec::new();
        for location in &locations {
            if context.stores.make_bucket(location).await? {
                made.push(location.to_string());
            } else if context.flags.mode != Mode::Ignore {
                let message = format!(
                    "bucket '{location}' exists already, and is yours: use it, or pass --mode ignore"
                );
                return Err(Error::new(Kind::OutputExists, message).into());
            }
        }
        let answer = Answer::lines("bucket", made);
        context.print(&[answer]).map_err(|error| after("the buckets are made", error))
    }
}
