//! The formats of an answer: one list, a file each, behind the trait [`Format`].
//!
//! | format | NULL | NaN, ±inf | nested values |
//! | --- | --- | --- | --- |
//! | `table`, `expanded`, `markdown` | `NULL` | as they are | as text |
//! | `csv`, `tsv` | empty | as they are | as text |
//! | `json`, `ndjson` | `null` | `null`, reported in [`LeftOut`] | nested |
//! | `arrow` | null | as they are | nested |
//!
//! Floats have the fewest digits that read back as the same value. Integers beyond 2^53 stay
//! numbers in JSON.

mod arrow_stream; // arrow
mod expanded; // expanded
mod fitted; // table, on a terminal
mod json; // json, ndjson
mod markdown; // markdown
mod separated; // csv, tsv
mod table; // table
mod text; // values as people read them

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::answer::Answer;
use crate::error::{Error, Kind, Result};
pub(super) use arrow_stream::ARROW;
pub(super) use expanded::EXPANDED;
pub(super) use fitted::FITTED;
pub(super) use json::{JSON, NDJSON};
pub(super) use markdown::MARKDOWN;
pub(super) use separated::{CSV, TSV};
pub(super) use table::TABLE;

/// Every format, in the order of `--help`.
const ALL: [OutputFormat; 8] = [TABLE, CSV, TSV, JSON, NDJSON, ARROW, MARKDOWN, EXPANDED];

/// One of the formats.
pub(super) type OutputFormat = &'static dyn Format;

/// How an answer is written down.
pub(super) trait Format: fmt::Debug + Sync {
    /// What `--format` calls it.
    fn name(&self) -> &'static str;

    /// What `--help` says of it.
    fn help(&self) -> &'static str;

    /// The endings of its files; `--format` takes them for its name.
    fn endings(&self) -> &'static [&'static str];

    /// Whether its bytes are not for a terminal, and end with one result.
    fn is_binary(&self) -> bool {
        false
    }

    /// Whether people read it: results are apart by an empty line.
    fn is_for_people(&self) -> bool {
        false
    }

    /// Whether one output can hold several tables of an answer.
    fn holds_several(&self) -> bool {
        false
    }

    /// Whether the format holds less than `batch`, whose other values become null.
    fn loses_values(&self, _batch: &RecordBatch) -> bool {
        false
    }

    /// Begins a table with these columns.
    fn begin<'a>(
        &self,
        schema: SchemaRef,
        max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError>;

    /// Writes several tables, each with its name; answers with the number of rows left out.
    fn write_several(
        &self,
        answers: &[Answer],
        max_rows: usize,
        out: &mut dyn Write,
    ) -> Result<usize, ArrowError> {
        let mut left_out = 0;
        for (index, answer) in answers.iter().enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            write!(out, "{gap}{}", self.title(answer.name()))?;
            left_out += self.write_one(answer, max_rows, out)?;
        }
        Ok(left_out)
    }

    /// The lines above a table among others.
    fn title(&self, name: &str) -> String {
        format!("{name}\n")
    }

    /// Writes one table; answers with the number of rows left out.
    fn write_one(
        &self,
        answer: &Answer,
        max_rows: usize,
        out: &mut dyn Write,
    ) -> Result<usize, ArrowError> {
        let mut rows = self.begin(Arc::clone(answer.schema()), max_rows, out)?;
        answer.batches().iter().try_for_each(|batch| rows.push(batch))?;
        rows.end()
    }
}

/// The rows of one table on their way to bytes: batch by batch, so that an answer need not fit into
/// memory. `table` alone keeps the rows that it shows.
pub(super) trait RowWriter {
    /// Adds rows.
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError>;

    /// Ends the table; answers with the number of rows that were left out.
    fn end(self: Box<Self>) -> Result<usize, ArrowError>;
}

/// What of the answer is not in the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Rows beyond the limit of the format `table`.
    pub(super) rows: usize,
    /// A float that JSON cannot hold became null.
    pub(super) not_finite: bool,
}

/// The value of `--format`.
pub(super) fn parser() -> impl TypedValueParser<Value = OutputFormat> {
    let values = ALL.map(|format| {
        let aliases = format.endings().iter().filter(|ending| **ending != format.name());
        PossibleValue::new(format.name()).help(format.help()).aliases(aliases)
    });
    PossibleValuesParser::new(values).map(|name| named(&name).expect("a possible value"))
}

/// The format as a terminal shows it: a table is as wide as that.
pub(super) fn for_terminal(format: OutputFormat) -> OutputFormat {
    if format.name() == TABLE.name() { FITTED } else { format }
}

fn named(name: &str) -> Option<OutputFormat> {
    ALL.into_iter().find(|format| format.name() == name || format.endings().contains(&name))
}

/// The format of a file with this name; `None` for an ending that no format has.
pub(super) fn of_file(path: &Path) -> Option<OutputFormat> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let ending = ending.to_ascii_lowercase();
    ALL.into_iter().find(|format| format.endings().contains(&ending.as_str()))
}

/// The endings of files, as people list them.
pub(super) fn endings() -> String {
    let all: Vec<_> = ALL.iter().flat_map(|format| format.endings()).copied().collect();
    format!(".{}", all.join(", ."))
}

/// Writes `answers`, of which there is one unless `several`: then each carries its name.
///
/// # Errors
/// A column that the format cannot hold, or a failed write.
pub(super) fn write(
    format: OutputFormat,
    answers: &[Answer],
    several: bool,
    max_rows: usize,
    out: &mut dyn Write,
) -> Result<LeftOut> {
    let mut batches = answers.iter().flat_map(Answer::batches);
    let not_finite = batches.any(|batch| format.loses_values(batch));
    let rows = match (several, answers) {
        (false, [answer]) => format.write_one(answer, max_rows, out),
        _ => format.write_several(answers, max_rows, out),
    };
    let rows = rows.map_err(|cause| cannot(format, cause))?;
    Ok(LeftOut { rows, not_finite })
}

pub(super) fn cannot(format: OutputFormat, cause: ArrowError) -> Error {
    let message = format!("cannot write the output as '{}'", format.name());
    Error::new(Kind::Other, message).caused_by(cause)
}

#[cfg(test)]
mod tests;
