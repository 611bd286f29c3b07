//! `pleiad stat`: what is known of an object or folder.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use super::ls::times;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::error::Error;
use crate::objects;

/// Show size, time and kind of objects and folders
///
/// Prints one row per LOCATION: its kind (object, folder or dataset), and for an object its size, the
/// time of its last change and its entity tag.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad stat people people/properties
  pleiad stat people/properties --json")]
pub(crate) struct Stat {
    /// Objects, folders or datasets
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,
}

impl Stat {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`objects::look`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse_existing(text)?;
            if location.glob().is_some() {
                let list = "use pleiad ls to list what matches";
                return Err(Error::usage(format!("'{location}' is a pattern: {list}")).into());
            }
            rows.push((location.to_string(), objects::stat(&context.stores, &location).await?));
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
