//! `pleiad presign`: links to objects.

use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::settings;
use crate::storage::LinkTo;

/// Print links to objects on S3 that work without keys
///
/// Anyone who has the link can read the object, or with --put replace it, until the link expires. It expires
/// earlier if your keys do, as those of a data lab. The link is made here: no request is sent, and it is not
/// checked whether the object exists.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad presign s3://bucket/table.parquet --expires 1d
  pleiad presign s3://bucket/upload.csv --put")]
pub(crate) struct Presign {
    /// Objects to link to
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,

    /// How long the links work, at most 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = settings::duration)]
    expires: Duration,

    /// Make links to write the objects, for PUT requests such as those of `curl -T FILE LINK`
    #[arg(long)]
    put: bool,
}

impl Presign {
    /// Makes the links and prints one a line.
    ///
    /// # Errors
    /// See [`Stores::link`](crate::storage::Stores::link).
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let to = if self.put { LinkTo::Write } else { LinkTo::Read };
        let mut links = String::new();
        for text in &self.locations {
            let location = context.stores.parse(text)?;
            links += &context.stores.link(&location, to, self.expires).await?;
            links.push('\n');
        }
        context.print_text(&links)
    }
}
