//! `pleiad mv`: objects to another place or name.

use std::collections::BTreeSet;

use clap::Args;

use super::cp::{Copies, copied};
use super::mirror::NameFlags;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::error::{Error, Kind};
use crate::objects::remove::{self, Allowed, Removal};

/// Move or rename objects, files and folders
///
/// Each object is copied, and what was copied is removed when all copies are complete. With --recursive, FROM may be
/// a folder or a dataset; the records of its runs go. Several FROM go into the folder TO. If a folder holds
/// something that was not copied, a link or what came in the meantime, nothing is removed.
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
        let mut removals = Vec::new();
        for location in gone {
            removals.push(remove::look(&context.stores, &location, allowed).await?);
        }
        // What came in the meantime, or is not copied at all, must not go.
        let copied_from: BTreeSet<_> = made.iter().map(|copy| copy.from.to_string()).collect();
        let other = removals
            .iter()
            .flat_map(Removal::content)
            .find(|at| !copied_from.contains(&at.to_string()));
        if let Some(other) = other {
            let message =
                format!("'{other}' was not copied, so nothing was removed: all copies are made");
            return Err(Error::new(Kind::Retry, message).into());
        }
        for removal in removals {
            remove::remove(&context.stores, removal).await?;
        }
        context.print(&[copied("moved", &made)]).map_err(|error| after("all of it is moved", error))
    }
}
