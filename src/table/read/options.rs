//! How a source may be read.

use arrow::datatypes::DataType;

use crate::table::text::csv::Look;
use crate::table::text::format::Encoding;

/// Bytes of a text file that a preview looks at.
pub const SAMPLE_BYTES: u64 = 256 * 1024;

/// How a source may be read.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Read a directory even if it looks like the output of a job that has not ended.
    pub allow_incomplete: bool,
    /// The columns of CSV files, which then have no header.
    pub columns: Option<Vec<String>>,
    /// Take every column of CSV files as text, each value as it is written.
    pub text: bool,
    /// The types of these columns of CSV files, whatever their values look like.
    pub types: Vec<(String, DataType)>,
    /// What separates values in CSV files, if it is known.
    pub delimiter: Option<u8>,
    /// Whether the first line of CSV files names the columns, if that is known.
    pub header: Option<bool>,
    /// How characters of CSV files are stored as bytes.
    pub encoding: Encoding,
    /// For a preview: look only at about this many bytes of each CSV file.
    pub sample: Option<u64>,
}

impl SourceOptions {
    pub(crate) fn look(&self) -> Look<'_> {
        Look {
            names: self.columns.as_deref(),
            delimiter: self.delimiter,
            header: self.header,
            encoding: self.encoding,
            sample: self.sample,
        }
    }
}
