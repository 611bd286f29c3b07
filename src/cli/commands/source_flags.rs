//! The flags of commands that only read tables.

use clap::Args;

use crate::table::{SourceOptions, TextOptions};

#[derive(Debug, Args)]
pub(super) struct SourceFlags {
    /// Read a directory even if it looks like the output of an unfinished job, a table that lists its own
    /// files, or a dataset without its manifest
    #[arg(long, visible_alias = "as-files", hide_short_help = true)]
    allow_incomplete: bool,

    #[command(flatten)]
    text: TextOptions,
}

impl SourceFlags {
    pub(super) fn options(&self) -> SourceOptions {
        SourceOptions {
            allow_incomplete: self.allow_incomplete,
            text: self.text.clone(),
            ..SourceOptions::default()
        }
    }
}
