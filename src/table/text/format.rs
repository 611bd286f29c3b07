//! How a file of text is read.

/// How a CSV file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// What separates values.
    pub delimiter: u8,
    /// Whether a quoted value holds a line end; such a file is read by one stream.
    pub newlines_in_values: bool,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Whether the files are compressed by gzip; each is then read by one stream.
    pub gzip: bool,
    /// How characters are stored as bytes; what is not UTF-8 is read by one stream a file.
    pub encoding: Encoding,
}

/// How characters of a text file are stored as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Latin-1, as browsers read it: Windows-1252.
    Latin1,
}

impl CsvFormat {
    /// Whether bytes have to be decoded before they are UTF-8.
    pub(crate) fn is_decoded(self) -> bool {
        self.gzip || self.encoding != Encoding::Utf8
    }
}
