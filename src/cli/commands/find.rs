//! `pleiad find`: objects by name, size and age.

use std::time::Duration;

use clap::Args;

use super::ls::{listing, sizes_for_people};
use crate::cli::context::Context;
use crate::cli::settings;
use crate::objects::{self, Entry, filter::Filter};
use crate::sizes;

/// Find objects below a location by name, size or age
///
/// Without a condition, lists all of them. Several conditions must all hold.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad find people --name '*.parquet'
  pleiad find people --larger 1KiB --json")]
pub(crate) struct Find {
    /// Where to look: a folder, a bucket or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Pattern of the name, such as '*.csv'; with a `/` the whole path counts. May be repeated: one has to match
    #[arg(long, value_name = "PATTERN")]
    name: Vec<String>,

    /// Objects of this size or more, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    larger: Option<u64>,

    /// Objects below this size
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    smaller: Option<u64>,

    /// Objects written within this time, such as 2d or 3h
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    newer_than: Option<Duration>,

    /// Objects written before this time
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    older_than: Option<Duration>,

    /// Print sizes as people read them
    #[arg(long)]
    human: bool,
}

impl Find {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`objects::list`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let mut entries = objects::list(&context.stores, &location, true).await?;
        let now = jiff::Timestamp::now().as_second();
        let filter = Filter::new(&self.name, &[])?;
        entries.retain(|entry| self.is_meant(entry, &filter, now));
        if location.glob().is_none() {
            for entry in &mut entries {
                entry.name = match location.name() == entry.name {
                    true => location.to_string(),
                    false => location.join(&entry.name).to_string(),
                };
            }
        }
        let answer = listing(&entries);
        context.print(&[if self.human { sizes_for_people(&answer)? } else { answer }])
    }

    fn is_meant(&self, entry: &Entry, filter: &Filter, now: i64) -> bool {
        let Some(object) = &entry.object else { return false };
        let age = now.saturating_sub(object.modified);
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        filter.takes(&entry.name)
            && self.larger.is_none_or(|size| object.size >= size)
            && self.smaller.is_none_or(|size| object.size < size)
            && self.newer_than.is_none_or(|time| age <= seconds(time))
            && self.older_than.is_none_or(|time| age > seconds(time))
    }
}
