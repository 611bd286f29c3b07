//! `pleiad mirror`: a folder as it is in another place.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::objects::filter::Filter;
use crate::objects::mirror;
use crate::objects::remove::{self, Allowed};

/// Copy what differs between two folders
///
/// Copies the objects below FROM that are missing below TO, have another size there, or are older. With
/// --remove, objects that are below TO only are removed. A dataset keeps whole versions: data first,
/// then its manifest; records of runs are left out. Prints one row per object.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad mirror people backup --dry-run
  pleiad mirror people backup --exclude '*.csv' --json")]
pub(crate) struct Mirror {
    /// Folder to copy: a path or s3://bucket/prefix
    #[arg(value_name = "FROM")]
    from: String,

    /// Folder that becomes like FROM
    #[arg(value_name = "TO")]
    to: String,

    /// Remove what is below TO only
    #[arg(long)]
    remove: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    names: NameFlags,
}

/// Which of the names below a folder are meant.
#[derive(Debug, Clone, Args)]
pub(super) struct NameFlags {
    /// Only names that match this pattern, such as '*.csv'; with a `/` the whole path counts. May be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,

    /// No names that match this pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl NameFlags {
    pub(super) fn filter(&self) -> crate::error::Result<Filter> {
        Filter::new(&self.include, &self.exclude)
    }
}

impl Mirror {
    /// Copies, removes and prints.
    ///
    /// # Errors
    /// See [`mirror::compare`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let stores = &context.stores;
        let (from, to) = (stores.parse_existing(&self.from)?, stores.parse(&self.to)?);
        let found = mirror::compare(stores, &from, &to, &self.names.filter()?).await?;
        let mut rows: Vec<(&str, u64, String)> = Vec::new();
        rows.extend(found.copies().map(|(_, to, size)| ("copy", size, to.to_string())));
        let surplus = found.surplus().to_vec();
        let surplus = if self.remove { surplus } else { Vec::new() };
        rows.extend(surplus.iter().map(|(location, size)| ("remove", *size, location.to_string())));
        let answer = Answer::build(if self.dry_run { "would_do" } else { "done" })
            .column("action", StringArray::from_iter_values(rows.iter().map(|row| row.0)))
            .column("size", UInt64Array::from_iter_values(rows.iter().map(|row| row.1)))
            .column("name", StringArray::from_iter_values(rows.iter().map(|row| &row.2)))
            .done();
        context.note(&format!("{} objects are the same", found.same));
        if self.dry_run {
            context.note("nothing was changed (--dry-run)");
            return context.print(&[answer]);
        }
        let left = found.surplus().len() - surplus.len();
        mirror::copy(stores, found, &context.watch).await?;
        for (location, _) in surplus {
            let allowed = Allowed { many: false, datasets: true };
            let removal = remove::look(stores, &location, allowed).await?;
            remove::remove(stores, removal).await?;
        }
        if left > 0 {
            context.note(&format!("{left} objects are in '{to}' only (--remove removes them)"));
        }
        context.print(&[answer]).map_err(|error| after("the copy is made", error))
    }
}
