//! How a file of text is read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use pleiad_core::records::Dialect;

use super::guess::Guess;
use super::shape::Shape;
use super::values::Seen;

/// What the files of a CSV table have in common, after the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// What separates values.
    pub delimiter: u8,
    /// Whether the first line names the columns.
    pub header: bool,
}

/// How characters of a text file are stored as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Latin-1, as browsers read it: Windows-1252.
    Latin1,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

/// How a text file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
}

/// How the bytes of a file become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoding {
    pub(crate) compression: Compression,
    pub(crate) encoding: Encoding,
}

impl Decoding {
    /// Whether the bytes are the text.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::default()
    }
}

/// How one file of text is read: what a look at it found, and what was given.
#[derive(Clone, Debug)]
pub(crate) struct TextFile {
    pub(crate) decoding: Decoding,
    pub(crate) lines: Lines,
    /// The longest line, in bytes.
    pub(crate) max_line: usize,
}

/// What the lines of a file are.
#[derive(Clone, Debug)]
pub(crate) enum Lines {
    Csv(CsvLines),
    /// An object a line.
    Json(JsonLines),
}

/// The lines of a file of JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonLines {
    pub(crate) shape: Shape,
}

impl TextFile {
    /// The same file with columns under other names.
    pub(crate) fn renamed(&self, names: &HashMap<&str, &str>) -> Self {
        let Lines::Csv(lines) = &self.lines else { return self.clone() };
        let renamed = lines.columns.iter().map(|column| {
            let name = names.get(column.name.as_str()).copied().unwrap_or(&column.name);
            TextColumn { name: name.to_owned(), ..column.clone() }
        });
        let lines = CsvLines { columns: renamed.collect(), ..lines.clone() };
        Self { lines: Lines::Csv(lines), ..self.clone() }
    }

    /// Whether several streams can read it, a range each.
    pub(crate) fn is_splittable(&self) -> bool {
        let newlines = match &self.lines {
            Lines::Csv(lines) => lines.newlines_in_values && lines.splits.len() < 2,
            Lines::Json(_) => false,
        };
        self.decoding.is_plain() && !newlines
    }
}

/// The lines of a CSV file.
#[derive(Clone, Debug)]
pub(crate) struct CsvLines {
    pub(crate) dialect: Dialect,
    /// Where the first row begins in the text, and the number of its line.
    pub(crate) begin: u64,
    pub(crate) begin_line: u64,
    pub(crate) header: bool,
    /// Whether a value holds a line end; streams of such a file begin at `splits` only.
    pub(crate) newlines_in_values: bool,
    /// Records where a stream may begin, in order.
    pub(crate) splits: Arc<[Split]>,
    /// The decimal mark.
    pub(crate) decimal: u8,
    /// Words for NULL in all columns.
    pub(crate) nulls: Arc<[String]>,
    /// The columns, in the order of a line.
    pub(crate) columns: Arc<[TextColumn]>,
    /// If only the first bytes were looked at: what checks the rows.
    pub(crate) guess: Option<Arc<Guess>>,
}

/// Where a record begins in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) byte: u64,
    pub(crate) line: u64,
}

/// A column of a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextColumn {
    pub(crate) name: String,
    /// What its values look like.
    pub(crate) seen: Seen,
    /// Its type if the user or the file says it.
    pub(crate) declared: Option<DataType>,
}

impl TextColumn {
    /// Its type; `Null` without values.
    pub(crate) fn data_type(&self) -> DataType {
        self.declared.clone().unwrap_or_else(|| self.seen.data_type())
    }

    /// As a column of a table: without values it is text.
    pub(crate) fn field(&self) -> Field {
        let data_type = match self.data_type() {
            DataType::Null => DataType::Utf8,
            known => known,
        };
        Field::new(&self.name, data_type, true)
    }
}
