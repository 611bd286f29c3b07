//! `pleiad mv`: objects to another place or name.

use clap::Args;

use super::cp::{Copies, copied};
use super::mirror::NameFlags;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::objects::remove::{self, Allowed};

/// Move or rename objects, files and folders
///
/// Each object is copied, and what was copied is removed when all copies are complete. With --recursive, FROM may be
/// a folder or a dataset; the records of its runs go. Several FROM go into the folder TO.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad mv people/properties renamed.properties
  pleiad mv people moved --recursive")]
pub(crate) struct Mv {
    /// Objects, patterns or folders to move
    #[arg(value_name = "FROM", required = true)]
    from: Vec<String>,

    /// The new name, or the folder to move into
    #[arg(value_name = "TO", required = true)]
    to: String,

    /// Move a folder and everything in it
    #[arg(short, long)]
    recursive: bool,

    /// Replace existing objects
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    names: NameFlags,
}

impl Mv {
    /// Moves and prints.
    ///
    /// # Errors
    /// See [`copy`](crate::objects::copy::copy) and [`remove`](crate::objects::remove::remove).
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let copies = Copies {
            from: &self.from,
            to: &self.to,
            recursive: self.recursive,
            force: self.force,
            filter: self.names.filter()?,
        };
        let whole = copies.filter.is_empty() && self.recursive;
        let made = copies.make(context).await?;
        let allowed = Allowed { many: true, datasets: true };
        let mut gone = Vec::new();
        for text in self.from.iter().filter(|_| whole) {
            gone.push(context.stores.parse_existing(text)?);
        }
        if !whole {
            gone.extend(made.iter().map(|copy| copy.from.clone()));
        }
        for location in gone {
            let removal = remove::look(&context.stores, &location, allowed).await?;
            remove::remove(&context.stores, removal).await?;
        }
        context.print(&[copied("moved", &made)]).map_err(|error| after("all of it is moved", error))
    }
}
