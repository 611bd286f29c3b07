//! How text files are read, as a user says it: the same options for commands, `CALL` and SQL.

use std::sync::Arc;

use arrow::datatypes::DataType;
use clap::{Args, ValueEnum};

use super::format::{Compression, Encoding};
use crate::error::{Error, Result};
use crate::sizes;
use crate::table::types::{TEXT_TYPES, type_name, type_named};

/// The longest line of text files unless another is given, in bytes.
pub const MAX_LINE_BYTES: u64 = 16 << 20;

/// How text files are read. What is not given is found in the files.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for text files")]
pub struct TextOptions {
    /// Whether the first line of CSV files names the columns
    #[arg(long, value_name = "WHEN", value_parser = header, default_value = "auto", hide_short_help = true)]
    pub header: Header,

    /// What separates values in CSV files: one character, or tab
    #[arg(long, value_name = "CHAR", value_parser = delimiter, hide_short_help = true)]
    pub delimiter: Option<u8>,

    /// What values of CSV files are quoted with: one character, or none
    #[arg(long, value_name = "CHAR", value_parser = mark, hide_short_help = true)]
    pub quote: Option<Mark>,

    /// What is written before a quote inside a quoted value, such as \; or none
    #[arg(long, value_name = "CHAR", value_parser = mark, hide_short_help = true)]
    pub escape: Option<Mark>,

    /// What begins a line that is not read, such as #; or none
    #[arg(long, value_name = "CHAR", value_parser = mark, hide_short_help = true)]
    pub comment: Option<Mark>,

    /// Lines to leave out at the begin of CSV files, before the header
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pub skip: u64,

    /// A word for NULL, also in columns of text; may be repeated
    #[arg(id = "null", long = "null", value_name = "WORD", hide_short_help = true)]
    pub nulls: Vec<String>,

    /// The decimal mark of numbers in CSV files: . or ,
    #[arg(long, value_name = "CHAR", value_parser = decimal, default_value = ".", hide_short_help = true)]
    pub decimal: Decimal,

    /// Character encoding of text files [default: UTF-8 or UTF-16, as found]
    #[arg(long, value_name = "NAME", value_parser = encoding, hide_short_help = true)]
    pub encoding: Option<Encoding>,

    /// Compression of text files [default: as found]
    #[arg(long, value_name = "NAME", value_parser = compression, hide_short_help = true)]
    pub compression: Option<Compression>,

    /// Types of CSV columns
    #[arg(long, value_name = "HOW", default_value = "sniff", hide_short_help = true)]
    pub types: Types,

    /// Type of one CSV column, such as code:text; may be repeated
    #[arg(long = "column", value_name = "NAME:TYPE", value_parser = typed_column, hide_short_help = true)]
    pub declared: Vec<(String, DataType)>,

    /// The longest line of text files [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = max_line, hide_short_help = true)]
    pub max_line: Option<u64>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            header: Header::Auto,
            delimiter: None,
            quote: None,
            escape: None,
            comment: None,
            skip: 0,
            nulls: Vec::new(),
            decimal: Decimal(b'.'),
            encoding: None,
            compression: None,
            types: Types::Sniff,
            declared: Vec::new(),
            max_line: None,
        }
    }
}

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// As it looks.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is a row.
    No,
}

/// A character with a meaning, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub Option<u8>);

/// The decimal mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal(pub u8);

/// Where the types of columns come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Types {
    /// From the values.
    #[default]
    Sniff,
    /// All are text.
    Text,
}

impl TextOptions {
    /// The longest line, in bytes.
    pub(crate) fn max_line_bytes(&self) -> usize {
        usize::try_from(self.max_line.unwrap_or(MAX_LINE_BYTES)).unwrap_or(usize::MAX)
    }

    /// The names that [`Self::set`] knows, as errors list them.
    pub(crate) const NAMES: &str = "header, has_header, delimiter, quote, escape, comment, skip, null, \
                                    decimal, encoding, compression, types, column, max_line or ";
    /// Those of them that are for JSON lines.
    pub(crate) const JSON_NAMES: &str = "encoding, compression, max_line or ";

    /// Sets one option by its name in SQL; whether there is one of this name.
    ///
    /// # Errors
    /// A value that is not one of the option's.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        let set = match name {
            "header" | "has_header" => header(value).map(|found| self.header = found),
            "delimiter" => delimiter(value).map(|found| self.delimiter = Some(found)),
            "quote" => mark(value).map(|found| self.quote = Some(found)),
            "escape" => mark(value).map(|found| self.escape = Some(found)),
            "comment" => mark(value).map(|found| self.comment = Some(found)),
            "skip" => match value.parse() {
                Ok(lines) => {
                    self.skip = lines;
                    Ok(())
                }
                Err(_) => Err("expected a number of lines".to_owned()),
            },
            "null" => {
                self.nulls.push(value.to_owned());
                Ok(())
            }
            "decimal" => decimal(value).map(|found| self.decimal = found),
            "encoding" => encoding(value).map(|found| self.encoding = Some(found)),
            "compression" => compression(value).map(|found| self.compression = Some(found)),
            "types" if value == "text" => {
                self.types = Types::Text;
                Ok(())
            }
            "types" => Err("expected text; leave it out to have types found".to_owned()),
            "column" => typed_column(value).map(|found| self.declared.push(found)),
            "max_line" => max_line(value).map(|found| self.max_line = Some(found)),
            _ => return Ok(false),
        };
        match set {
            Ok(()) => Ok(true),
            Err(expected) => Err(Error::usage(format!("option '{name}' is '{value}', {expected}"))),
        }
    }

    /// The words for NULL in all columns.
    pub(crate) fn null_words(&self) -> Arc<[String]> {
        Arc::from(self.nulls.as_slice())
    }
}

fn header(text: &str) -> Result<Header, String> {
    match text.to_lowercase().as_str() {
        "auto" => Ok(Header::Auto),
        "yes" | "true" => Ok(Header::Yes),
        "no" | "false" => Ok(Header::No),
        _ => Err("expected true, false or auto".to_owned()),
    }
}

/// What [`delimiter`] takes, as errors say it.
pub(crate) const DELIMITER: &str = "one character of ASCII but '\"' and line ends, or tab";

/// The delimiter that an option names; an error if files with it could not be read.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(format!("expected {DELIMITER}")),
    }
}

fn mark(text: &str) -> Result<Mark, String> {
    match text.as_bytes() {
        b"none" | b"" => Ok(Mark(None)),
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(Mark(Some(*byte))),
        _ => Err("expected one character of ASCII, or none".to_owned()),
    }
}

fn decimal(text: &str) -> Result<Decimal, String> {
    match text {
        "." | "," => Ok(Decimal(text.as_bytes()[0])),
        _ => Err("expected . or ,".to_owned()),
    }
}

fn encoding(text: &str) -> Result<Encoding, String> {
    match text.to_lowercase().as_str() {
        "utf-8" | "utf8" => Ok(Encoding::Utf8),
        "latin1" | "latin-1" | "iso-8859-1" | "windows-1252" => Ok(Encoding::Latin1),
        "utf-16" | "utf16" | "utf-16le" => Ok(Encoding::Utf16Le),
        "utf-16be" => Ok(Encoding::Utf16Be),
        _ => Err("expected utf-8, latin1, utf-16 or utf-16be".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    match text.to_lowercase().as_str() {
        "none" => Ok(Compression::None),
        "gzip" | "gz" => Ok(Compression::Gzip),
        "zstd" | "zst" => Ok(Compression::Zstd),
        "bzip2" | "bz2" => Ok(Compression::Bzip2),
        _ => Err("expected none, gzip, zstd or bzip2".to_owned()),
    }
}

/// Reads `name:TYPE`.
fn typed_column(text: &str) -> Result<(String, DataType), String> {
    let known = TEXT_TYPES.map(|data_type| type_name(&data_type)).join(", ");
    let (name, data_type) =
        text.rsplit_once(':').ok_or_else(|| format!("expected NAME:TYPE with one of {known}"))?;
    let found = type_named(data_type);
    let found = found.ok_or_else(|| format!("no type '{data_type}', expected one of {known}"))?;
    Ok((name.to_owned(), found))
}

/// The longest line is held as a whole.
const MAX_MAX_LINE: u64 = 1 << 30;

fn max_line(text: &str) -> Result<u64, String> {
    match sizes::parse(text)? {
        bytes @ ..=MAX_MAX_LINE => Ok(bytes),
        _ => Err("expected at most 1GiB".to_owned()),
    }
}
