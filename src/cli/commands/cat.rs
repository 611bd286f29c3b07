//! `pleiad cat`: the bytes of objects.

use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::cli::context::Context;
use crate::objects::copy;

/// Print the content of objects, one after the other
///
/// The bytes go to standard output as they are stored. You can pipe them to a program that stops early,
/// such as `head`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad cat people/properties
  pleiad cat people/_SUCCESS people/properties")]
pub(crate) struct Cat {
    /// Objects or files to print
    #[arg(value_name = "LOCATION", required = true)]
    locations: Vec<String>,
}

impl Cat {
    /// Prints.
    ///
    /// # Errors
    /// See [`copy::read`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut objects = Vec::new();
        for text in &self.locations {
            let location = context.stores.parse_existing(text)?;
            objects.extend(copy::named(&context.stores, &location).await?);
        }
        let pieces = stream::iter(objects).then(|object| {
            let stores = &context.stores;
            async move { copy::read(stores, &object).await }
        });
        context.print_bytes(pieces.try_flatten()).await
    }
}
