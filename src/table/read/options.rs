//! How a source may be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::table::format::FormatKind;
use crate::table::text::csv::Look;
use crate::table::text::guesses::Guesses;
use crate::table::text::options::TextOptions;

/// Bytes of a text file that a preview looks at.
pub const SAMPLE_BYTES: u64 = 256 * 1024;

/// How a source may be read.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Read a directory even if it looks like the output of a job that has not ended.
    pub allow_incomplete: bool,
    /// The format that `STORED AS` says: it counts where a name does not say it.
    pub kind: Option<FormatKind>,
    /// The columns of CSV files, whose first line need not name them.
    pub columns: Option<Vec<String>>,
    /// How text files are read.
    pub text: TextOptions,
    /// The columns of CSV files whose types matter, in small letters; the others are text. Not given: all.
    pub needed: Option<Arc<BTreeSet<String>>>,
    /// For a query that can begin again: where is kept which file it guesses the types of.
    pub guesses: Option<Arc<Guesses>>,
    /// Say all that was found in text files, not only what was guessed.
    pub explain: bool,
    /// For a preview: look only at about this many bytes of each text file.
    pub sample: Option<u64>,
}

impl SourceOptions {
    pub(crate) fn look(&self) -> Look<'_> {
        Look {
            names: self.columns.as_deref(),
            options: &self.text,
            needed: self.needed.as_deref(),
            sample: self.sample,
        }
    }
}
