//! Lines to rows: a line is a row, and what it cannot be read as is said of this line alone.
//!
//! CR before LF goes, blank lines are no rows. A line is bad if it is too long, not UTF-8 or not of the
//! format; it is a row of NULLs then, is left out, or ends the query ([`OnError`]). A value that is not of
//! its column's type is NULL in its column only.

mod cells;
mod csv;
mod json;
mod led;
mod rows;
mod text;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use memchr::memchr_iter;

use super::lines::MAX_LINE;
use crate::error::{Error, Result};
pub(crate) use csv::CsvOptions;
use rows::Rows;

/// How much of a bad line is kept, in bytes.
const KEPT: usize = 1024;

/// How lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON object a line; columns by the names of its members.
    Json,
    /// Values with something between them; columns by their order.
    Csv {
        /// What separates and quotes them.
        options: CsvOptions,
    },
    /// The line is the value of the one column.
    Text,
}

/// What becomes of a bad line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// A row of NULLs.
    Null,
    /// Nothing.
    Skip,
    /// The end of the query.
    Fail,
}

/// A line that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Its number in the stream.
    pub(crate) position: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
    /// Its begin.
    pub(crate) line: String,
}

/// The rows of a chunk.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// The rows, in order.
    pub(crate) batch: RecordBatch,
    /// The bad lines, in order.
    pub(crate) bad: Vec<BadLine>,
    /// Integers above 2^53 that were written as fractions or powers and may not be exact.
    pub(crate) inexact: u64,
    /// The lines of the chunk, blank ones too.
    pub(crate) lines: u64,
}

/// Reads lines as rows of a schema. Calls are independent of one another.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    schema: SchemaRef,
    format: Format,
    on_error: OnError,
}

impl Decoder {
    /// For rows of `schema`.
    ///
    /// # Errors
    /// If the format cannot give such rows.
    pub(crate) fn new(schema: SchemaRef, format: Format, on_error: OnError) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|field| !field.is_nullable()) {
            return Err(Error::usage(format!(
                "column '{}' of a stream is NOT NULL, but a value that cannot be read is NULL: leave NOT \
                 NULL out, and filter with IS NOT NULL",
                field.name()
            )));
        }
        let decoder = Self { schema, format, on_error };
        decoder.rows(0)?;
        Ok(decoder)
    }

    fn rows(&self, lines: usize) -> Result<Box<dyn Rows>> {
        Ok(match &self.format {
            Format::Json => {
                let others = json::JsonRows::new(&self.schema, lines)?;
                match cells::Cells::new(&self.schema) {
                    Some(cells) => Box::new(led::LedRows::new(cells, others)),
                    None => Box::new(others),
                }
            }
            Format::Csv { options } => Box::new(csv::CsvRows::new(&self.schema, options)?),
            Format::Text => Box::new(text::TextRows::new(&self.schema)?),
        })
    }

    /// Reads `chunk`: whole lines, each ended by LF but perhaps the last; `first` is the number of the
    /// first in the stream.
    ///
    /// # Errors
    /// If a line is bad and that ends the query.
    pub(crate) fn decode(&self, chunk: &[u8], first: u64) -> Result<Decoded> {
        let mut rows = self.rows(memchr_iter(b'\n', chunk).count() + 1)?;
        let mut bad = Vec::new();
        let mut lines = 0;
        let text = simdutf8::basic::from_utf8(chunk).ok();
        let ends = memchr_iter(b'\n', chunk).map(|lf| lf + 1);
        let rest = chunk.last().is_some_and(|last| *last != b'\n').then_some(chunk.len());
        let mut begin = 0;
        for end in ends.chain(rest) {
            let bytes = without_end(&chunk[begin..end]);
            let place = begin..begin + bytes.len();
            begin = end;
            let position = first + lines;
            lines += 1;
            if bytes.trim_ascii().is_empty() || self.is_header(position) {
                continue;
            }
            let line = match text {
                Some(text) => Ok(&text[place]),
                None => str::from_utf8(bytes),
            };
            let added = match line {
                _ if bytes.len() > MAX_LINE => {
                    Err(format!("it is longer than {} MiB", MAX_LINE >> 20))
                }
                Ok(line) => rows.add(line),
                Err(wrong) => Err(format!("byte {} is not UTF-8", wrong.valid_up_to() + 1)),
            };
            let Err(reason) = added else { continue };
            match self.on_error {
                OnError::Null => rows.add_nulls()?,
                OnError::Skip => {}
                OnError::Fail => {
                    return Err(Error::data(format!(
                        "line {} of the stream cannot be read: {reason}: set 'on_error' to 'null' \
                         or 'skip' to go on after such lines",
                        position + 1
                    )));
                }
            }
            let line = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]).into_owned();
            bad.push(BadLine { position, reason, line });
        }
        let (batch, inexact) = rows.finish()?;
        Ok(Decoded { batch, bad, inexact, lines })
    }

    fn is_header(&self, position: u64) -> bool {
        matches!(&self.format, Format::Csv { options } if options.has_header && position == 0)
    }
}

/// A line without LF, and without CR before it.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
