//! An answer of several results, each printed when it is known: those of a script, and of the prompt, where
//! results can go to a file for a while, and long ones to a pager.

use std::io::Write;
use std::path::Path;

use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use indicatif::HumanCount;

use super::answer::Answer;
use super::formats::{self, OutputFormat};
use super::output::{MaxRows, Output};
use super::pager;
use super::sink::Sink;
use super::terminal::lines;
use super::visible::Visible;
use crate::error::{Error, Result};

/// Results on their way out.
#[derive(Debug)]
pub struct Results<'a> {
    output: &'a Output,
    usual: Place,
    redirected: Option<Place>,
    max_rows: usize,
    not_finite: bool,
    has_pager: bool,
    waiting: Option<Waiting>,
}

/// Where results go, and what they look like there.
#[derive(Debug)]
struct Place {
    sink: Sink,
    format: OutputFormat,
    on_terminal: bool,
    printed: usize,
}

/// A result that is longer than the terminal.
#[derive(Debug)]
struct Waiting {
    text: Vec<u8>,
    left_out: usize,
}

impl<'a> Results<'a> {
    /// Begins an answer of several results, one after the other.
    ///
    /// # Errors
    /// A FILE that cannot be written.
    pub fn open(output: &'a Output) -> Result<Self> {
        let sink = output.sink()?;
        let (format, on_terminal) = (output.format, output.on_terminal);
        let usual = Place { sink, format, on_terminal, printed: 0 };
        let (redirected, waiting) = (None, None);
        let (max_rows, has_pager) = (output.max_rows, false);
        Ok(Self { output, usual, redirected, max_rows, not_finite: false, has_pager, waiting })
    }

    /// Prints the answer of a command, which is all of it.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::tables`].
    pub fn print(output: &'a Output, answers: &[Answer]) -> anyhow::Result<()> {
        let mut results = Self::open(output)?;
        results.tables(answers)?;
        results.finish()
    }

    /// Prints the tables of one result.
    ///
    /// # Errors
    /// A `--show` that names no table, a type that the format cannot hold, a failed write; and
    /// [`StdoutClosed`](super::exit::StdoutClosed) when no one reads standard output.
    pub fn tables(&mut self, answers: &[Answer]) -> anyhow::Result<()> {
        let (max_rows, waits) = (self.max_rows, self.waits());
        let place = self.redirected.as_mut().unwrap_or(&mut self.usual);
        let format = place.format;
        let several = answers.len() > 1 && self.output.show.is_none() && format.holds_several();
        let answers = self.output.chosen(answers, format)?;
        place.begin()?;
        let mut text = Vec::new();
        let mut out = if waits { place.held(&mut text) } else { place.writer() };
        let written = formats::write(format, answers, several, max_rows, &mut *out);
        drop(out);
        let left_out = place.sink.settle(written)?;
        self.not_finite |= left_out.not_finite;
        self.end(text, left_out.rows)
    }

    /// Prints rows while they come; answers with their number.
    ///
    /// # Errors
    /// As [`Self::tables`]; the error of the rows is one of the engine.
    pub async fn rows(&mut self, mut rows: SendableRecordBatchStream) -> anyhow::Result<u64> {
        let (max_rows, waits) = (self.max_rows, self.waits());
        let place = self.redirected.as_mut().unwrap_or(&mut self.usual);
        let format = place.format;
        place.begin()?;
        let mut count = 0;
        let cannot = |cause| anyhow::Error::from(formats::cannot(format, cause));
        let (not_finite, mut text) = (&mut self.not_finite, Vec::new());
        let written = async {
            let schema = rows.schema();
            let mut out = if waits { place.held(&mut text) } else { place.writer() };
            let mut writer = format.begin(schema, max_rows, &mut *out).map_err(cannot)?;
            while let Some(batch) = rows.try_next().await? {
                *not_finite |= format.loses_values(&batch);
                count += batch.num_rows() as u64;
                writer.push(&batch).map_err(cannot)?;
            }
            writer.end().map_err(cannot)
        };
        let written = written.await;
        let left_out = place.sink.settle(written)?;
        self.end(text, left_out)?;
        Ok(count)
    }

    /// Shows what comes with a line for each value, or as before; answers whether it does.
    pub fn expand(&mut self, on: Option<bool>) -> bool {
        let is_on = self.usual.format.name() == formats::EXPANDED.name();
        let on = on.unwrap_or(!is_on);
        let usual = match self.output.format.name() == formats::EXPANDED.name() {
            true => formats::for_terminal(formats::TABLE),
            false => self.output.format,
        };
        self.usual.format = if on { formats::EXPANDED } else { usual };
        on
    }

    /// Sends what comes to `file`, or to where it usually goes. The file gets its name when that ends.
    ///
    /// # Errors
    /// An ending that no format has, a file that cannot be written.
    pub fn redirect(&mut self, file: Option<&Path>) -> anyhow::Result<()> {
        if let Some(place) = self.redirected.take() {
            place.sink.finish()?;
        }
        let Some(file) = file else { return Ok(()) };
        let format = formats::of_file(file).ok_or_else(|| {
            Error::usage(format!(
                "cannot write results to '{}': expected a name that ends in {}; COPY (SELECT …) TO \
                 'x.parquet' writes Parquet",
                file.display(),
                formats::endings()
            ))
        })?;
        let sink = Sink::file(file)?;
        self.redirected = Some(Place { sink, format, on_terminal: false, printed: 0 });
        Ok(())
    }

    /// Shows so many rows of a result that people read.
    pub fn limit(&mut self, rows: MaxRows) {
        self.max_rows = rows.0;
    }

    /// Results that are longer than the terminal wait for [`Self::show`], or do so no longer; without
    /// `on` it is the other way round. Answers whether they wait.
    pub fn page(&mut self, on: Option<bool>) -> bool {
        self.has_pager = on.unwrap_or(!self.has_pager);
        self.has_pager
    }

    /// Shows the result that waits by a pager, until the user leaves it.
    ///
    /// # Errors
    /// A failed write.
    pub fn show(&mut self) -> anyhow::Result<()> {
        let Some(Waiting { text, left_out }) = self.waiting.take() else { return Ok(()) };
        let command = pager::command();
        match pager::show(&command, &text) {
            Ok(()) => self.note_rest(left_out),
            Err(cause) => {
                self.write(&text, left_out)?;
                let terminal = &self.output.terminal;
                terminal.warning(&format!("cannot show this by the pager '{command}': {cause}"));
            }
        }
        Ok(())
    }

    /// Prints the result that waits.
    ///
    /// # Errors
    /// A failed write.
    pub fn show_at_once(&mut self) -> anyhow::Result<()> {
        match self.waiting.take() {
            Some(Waiting { text, left_out }) => self.write(&text, left_out),
            None => Ok(()),
        }
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// A failed write.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.redirect(None)?;
        self.usual.sink.finish()?;
        if self.not_finite {
            self.output
                .terminal
                .warning("NaN and infinite values are written as null: JSON has no others");
        }
        Ok(())
    }

    /// Whether a result is gathered, for it may be longer than the terminal.
    fn waits(&self) -> bool {
        let is_seen = self.redirected.is_none() && self.usual.on_terminal;
        self.has_pager && is_seen && self.usual.format.is_for_people()
    }

    /// A result is complete: `text` of it is not written yet.
    fn end(&mut self, text: Vec<u8>, left_out: usize) -> anyhow::Result<()> {
        // The prompt and the line that says what a statement did need room, too.
        let is_long = text.iter().filter(|byte| **byte == b'\n').count() + 2 > lines();
        if self.waits() && is_long {
            self.waiting = Some(Waiting { text, left_out });
            return Ok(());
        }
        self.write(&text, left_out)
    }

    fn write(&mut self, text: &[u8], left_out: usize) -> anyhow::Result<()> {
        let sink = &mut self.redirected.as_mut().unwrap_or(&mut self.usual).sink;
        let written = sink.writer().write_all(text);
        sink.settle(written)?;
        self.note_rest(left_out);
        Ok(())
    }

    fn note_rest(&self, left_out: usize) {
        if left_out > 0 {
            let rows = if left_out == 1 { "row" } else { "rows" };
            let rest = HumanCount(left_out as u64);
            self.output.terminal.note(&format!("… {rest} more {rows}"));
        }
    }
}

impl Place {
    /// Room for the next result.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.printed += 1;
        if self.printed == 1 {
            return Ok(());
        }
        let format = self.format;
        if format.is_binary() {
            return Err(Error::usage(format!(
                "format '{}' holds one result and this is the second: ask for one result, or use \
                 another format",
                format.name()
            ))
            .into());
        }
        if !format.is_for_people() {
            return Ok(());
        }
        let gap = self.sink.writer().write_all(b"\n").map_err(anyhow::Error::from);
        self.sink.settle(gap)
    }

    /// Where bytes go: what people read steers no terminal.
    fn writer(&mut self) -> Box<dyn Write + '_> {
        match self.format.is_for_people() || self.on_terminal {
            true => Box::new(Visible::new(self.sink.writer())),
            false => Box::new(self.sink.writer()),
        }
    }

    /// The same for a text that is gathered.
    fn held<'a>(&self, text: &'a mut Vec<u8>) -> Box<dyn Write + 'a> {
        Box::new(Visible::new(text))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow::array::UInt64Array;

    use super::*;
    use crate::cli::output::{AnswerKind, OutputFlags};
    use crate::cli::terminal::{Terminal, TerminalEnv, TerminalFlags};

    fn output(flags: &OutputFlags) -> Result<Output> {
        let around = TerminalEnv::default();
        let quiet = TerminalFlags { quiet: true, ..TerminalFlags::default() };
        Output::new(flags, around, &Terminal::new(&quiet, around), AnswerKind::Tables)
    }

    fn to(path: impl Into<PathBuf>) -> OutputFlags {
        OutputFlags { output: Some(path.into()), ..OutputFlags::default() }
    }

    fn answers() -> [Answer; 2] {
        ["models", "partitions"].map(|name| {
            Answer::build(name).column("rows", UInt64Array::from(vec![name.len() as u64])).done()
        })
    }

    #[test]
    fn a_format_of_one_table_takes_the_first_or_the_one_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.csv");
        let print = |show: Option<&str>| {
            let flags = OutputFlags { show: show.map(str::to_owned), ..to(&file) };
            Results::print(&output(&flags)?, &answers())?;
            anyhow::Ok(std::fs::read_to_string(&file)?)
        };
        assert_eq!(print(None).expect("the first"), "rows\n6\n");
        assert_eq!(print(Some("partitions")).expect("the second"), "rows\n10\n");
        assert_eq!(
            print(Some("model")).expect_err("no such table").to_string(),
            "the output has no table 'model': pass --show with one of models, partitions"
        );
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no .part");
    }

    #[test]
    fn one_shown_table_looks_like_an_answer_of_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.ndjson");
        let flags = OutputFlags { show: Some("models".to_owned()), ..to(&file) };
        Results::print(&output(&flags).expect("a format"), &answers()).expect("printed");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "{\"rows\":6}\n");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_says_which() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gone").join("x.csv");
        let error = Results::print(&output(&to(&file)).expect("a format"), &answers());
        let error = error.expect_err("no such folder");
        let ours = Error::find_in(error.as_ref()).expect("our error");
        assert_eq!(ours.kind().exit_code(), 74);
        assert!(ours.to_string().starts_with(&format!("write '{}': ", file.display())));
    }
}
