//! `pleiad tree`: the folders below a location, drawn.

use arrow::array::{StringArray, UInt64Array};
use clap::Args;

use super::du::sizes;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::objects::folders::{self, Files, Folder};

/// Draw the folders below a location with their rows and bytes
///
/// For a dataset, shows the tables and partitions of its current version with their rows, as its
/// manifest has them. For any other location, shows the folders and objects that are there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad tree people
  pleiad tree people --depth 1 --json")]
pub(crate) struct Tree {
    /// A dataset, a part of one, or a folder
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Levels of folders to show [default: all]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,

    /// Show the files of a dataset, too
    #[arg(short, long)]
    files: bool,
}

impl Tree {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`folders::tree`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let depth = self.depth.unwrap_or(usize::MAX);
        let files = if self.files { Files::Always } else { Files::Plain };
        let found = folders::tree(&context.stores, &location, depth, files).await?;
        let rows = found.iter().map(|folder| folder.rows).collect::<UInt64Array>();
        let paths = found.iter().map(|folder| folder.path.as_str());
        let tree = StringArray::from(drawn(location.name(), &found));
        let answer = Answer::build("folders").column("tree", tree).column("rows", rows);
        let answer =
            sizes(answer, &found).column("path", StringArray::from_iter_values(paths.clone()));
        context.print(&[answer.done()])
    }
}

/// The names of folders, which come parents first, with lines that lead to them.
fn drawn(root: &str, folders: &[Folder]) -> Vec<String> {
    let mut lines = vec![String::new(); folders.len()];
    // From below: at each depth, whether a line goes on.
    let mut goes_on: Vec<bool> = Vec::new();
    for (index, folder) in folders.iter().enumerate().rev() {
        let depth = folder.depth();
        goes_on.resize(depth.max(1), false);
        let name = folder.path.rsplit('/').next().filter(|name| !name.is_empty());
        let mut line = String::new();
        for level in 1..depth {
            line.push_str(if goes_on[level - 1] { "│  " } else { "   " });
        }
        if depth > 0 {
            line.push_str(if goes_on[depth - 1] { "├─ " } else { "└─ " });
            goes_on[depth - 1] = true;
        }
        line.push_str(name.unwrap_or(root));
        lines[index] = line;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_from_parents_to_children() {
        let paths = ["", "a", "a/k=1", "a/k=2", "b", "b/c", "b/c/d"];
        let folder = |path: &str| Folder { path: path.to_owned(), files: 1, bytes: 1, rows: None };
        let folders: Vec<_> = paths.into_iter().map(folder).collect();
        let expected = ["out", "├─ a", "│  ├─ k=1", "│  └─ k=2", "└─ b", "   └─ c", "      └─ d"];
        assert_eq!(drawn("out", &folders), expected);
    }
}
