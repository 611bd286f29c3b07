//! Where a command's answer goes: standard output or `-o FILE`, in one of the formats.
//!
//! An answer is one or more named tables. On a terminal the format is `table`, elsewhere `csv`, or
//! what the ending of FILE says; `--format` wins. The formats themselves are in `cli/formats`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use clap::Args;
use futures::{Stream, TryStreamExt};

use super::answer::Answer;
use super::formats::{self, OutputFormat};
use super::sink::Sink;
use super::terminal::{Terminal, TerminalEnv, columns};
use super::visible::Visible;
use crate::error::{Error, Result};
use crate::report::Picture;

/// How to print the answer of a command.
///
/// A command may answer with several tables, as k-means does with `models` and `partitions`.
/// `table` and `markdown` print them below their titles; `json` is one object with an array a
/// table; each line of `ndjson` begins with the key `table`; `csv`, `tsv` and `arrow` hold one
/// table, the first or that of `--show`.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputFlags {
    /// Write the output to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Output format [default: table on a terminal, else csv, or what the ending of FILE says]
    ///
    /// Some commands answer with several tables. `table` and `markdown` print each below its title,
    /// `json` prints one object with an array for each, and each line of `ndjson` begins with the key
    /// `table`. `csv`, `tsv` and `arrow` hold one table: the first, or the one that --show names. NULL is
    /// empty in csv and tsv. NaN and infinite values are null in json and ndjson.
    #[arg(long, value_name = "FORMAT", value_parser = formats::parser())]
    pub(super) format: Option<OutputFormat>,

    /// Short for --format ndjson
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    /// Rows to show in the format `table`: a number, or `inf` for all
    #[arg(long, value_name = "N", default_value = "40", hide_short_help = true)]
    pub maxrows: MaxRows,

    /// Print only this table of the output
    #[arg(long, value_name = "TABLE", hide_short_help = true)]
    pub show: Option<String>,
}

/// How many rows `table` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRows(pub usize);

impl Default for MaxRows {
    fn default() -> Self {
        Self(40)
    }
}

impl FromStr for MaxRows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "inf" => Ok(Self(usize::MAX)),
            _ => text.parse().map(Self).map_err(|cause| format!("{cause}; or `inf` for all")),
        }
    }
}

/// What a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// Tables, each with a name.
    Tables,
    /// What the statements of a script answer, one after the other.
    Statements,
    /// A picture.
    Picture,
    /// No tables, and what it is instead.
    Raw(&'static str),
}

/// Where the answer goes, decided before any work begins.
#[derive(Debug, Clone)]
pub struct Output {
    answers: AnswerKind,
    pub(super) format: OutputFormat,
    file: Option<PathBuf>,
    pub(super) max_rows: usize,
    pub(super) show: Option<String>,
    pub(super) on_terminal: bool,
    pub(super) terminal: Terminal,
}

impl Output {
    /// Settles the format.
    ///
    /// # Errors
    /// Flags that say nothing about such an answer, a FILE that is a URL or has an ending that no format has,
    /// or bytes of Arrow for a terminal.
    pub fn new(
        flags: &OutputFlags,
        around: TerminalEnv,
        terminal: &Terminal,
        answers: AnswerKind,
    ) -> Result<Self> {
        match answers {
            AnswerKind::Raw(raw)
                if flags.format.is_some() || flags.json || flags.show.is_some() =>
            {
                return Err(Error::usage(format!("{raw}: leave out --format, --json and --show")));
            }
            AnswerKind::Picture if flags.format.is_some() || flags.json || flags.show.is_some() => {
                return Err(Error::usage(
                    "this command prints a picture as SVG: leave out --format, --json and --show",
                ));
            }
            AnswerKind::Statements if flags.show.is_some() => {
                return Err(Error::usage(
                    "--show is for commands that print several tables: in SQL leave it out, keep the tables \
                     of CALL with into => 'm' and select from one",
                ));
            }
            _ => {}
        }
        let file = flags.output.clone().filter(|path| path.as_os_str() != "-");
        if let Some(path) = file.as_deref().filter(|path| path.to_string_lossy().contains("://")) {
            return Err(Error::usage(format!(
                "cannot write the output to '{}': -o takes a local file",
                path.display()
            )));
        }
        if let (AnswerKind::Picture, Some(path)) = (answers, &file) {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            if !["svg", "txt"].contains(&ending.as_deref().unwrap_or_default()) && !is_special(path)
            {
                return Err(Error::usage(format!(
                    "cannot draw into '{}': expected a name that ends in .svg, or in .txt for a picture \
                     of letters",
                    path.display()
                )));
            }
        }
        let on_terminal = file.is_none() && around.stdout_is_terminal;
        let format = match (flags.format, flags.json, &file) {
            (Some(format), _, _) => format,
            (None, true, _) => formats::NDJSON,
            (None, false, Some(path))
                if !matches!(answers, AnswerKind::Raw(_) | AnswerKind::Picture) =>
            {
                formats::of_file(path).ok_or_else(|| {
                    Error::usage(format!(
                        "the ending of '{}' is not that of a format: pass --format",
                        path.display()
                    ))
                })?
            }
            (None, false, None) if on_terminal => formats::TABLE,
            (None, false, _) => formats::CSV,
        };
        let format = if on_terminal { formats::for_terminal(format) } else { format };
        if format.is_binary() && on_terminal {
            return Err(Error::usage(format!(
                "format '{}' is binary and this is a terminal: pass -o FILE or use a pipe",
                format.name()
            )));
        }
        let max_rows = flags.maxrows.0;
        let show = flags.show.clone();
        let terminal = terminal.clone();
        Ok(Self { answers, format, file, max_rows, show, on_terminal, terminal })
    }

    /// Where the answer goes.
    ///
    /// # Errors
    /// A FILE that cannot be written.
    pub(super) fn sink(&self) -> Result<Sink> {
        match &self.file {
            Some(path) => Sink::file(path),
            None => Ok(Sink::stdout()),
        }
    }

    /// Prints a batch of a standing query on standard output, under a heading if a person reads it.
    ///
    /// # Errors
    /// A type that the format cannot hold, a failed write, an answer that goes to a FILE; and
    /// [`StdoutClosed`](super::exit::StdoutClosed) when no one reads standard output.
    pub fn print_batch(&self, number: u64, rows: Answer) -> anyhow::Result<()> {
        if self.file.is_some() || self.format.is_binary() {
            return Err(Error::usage(
                "a console writes batches to standard output as text: leave out -o, or use a materialized \
                 view and select from it",
            )
            .into());
        }
        let mut text = Vec::new();
        if self.format.is_for_people() {
            const RULER: &str = "-------------------------------------------";
            writeln!(text, "{RULER}\nBatch: {number}\n{RULER}")?;
        }
        let left_out = {
            let mut out: Box<dyn Write> = match self.on_terminal {
                true => Box::new(Visible::new(&mut text)),
                false => Box::new(&mut text),
            };
            formats::write(self.format, &[rows], false, self.max_rows, &mut *out)?
        };
        if left_out.rows > 0 {
            writeln!(text, "only showing {} rows", self.max_rows)?;
        }
        if self.format.is_for_people() {
            writeln!(text)?;
        }
        send(Sink::stdout(), &text)
    }

    /// Prints a picture: with text on a terminal, else as SVG.
    ///
    /// # Errors
    /// A failed write; and [`StdoutClosed`](super::exit::StdoutClosed) when no one reads standard output.
    pub fn print_picture(&self, picture: &Picture) -> anyhow::Result<()> {
        let is_text = match &self.file {
            Some(path) => path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt")),
            None => self.on_terminal,
        };
        match is_text {
            true => self.print_text(&picture.text(columns())),
            false => self.print_text(&picture.svg()),
        }
    }

    /// Prints a text that is not a table.
    ///
    /// # Errors
    /// A failed write; and [`StdoutClosed`](super::exit::StdoutClosed) when no one reads standard output.
    pub fn print_text(&self, text: &str) -> anyhow::Result<()> {
        match &self.file {
            Some(path) => write_text(path, text),
            None if self.on_terminal => {
                let mut seen = Vec::new();
                Visible::new(&mut seen).write_all(text.as_bytes())?;
                send(Sink::stdout(), &seen)
            }
            None => send(Sink::stdout(), text.as_bytes()),
        }
    }

    /// Prints bytes as they come.
    ///
    /// # Errors
    /// As [`Self::print_text`], and the first error of `pieces`.
    pub async fn print_bytes(
        &self,
        pieces: impl Stream<Item = Result<Bytes>>,
    ) -> anyhow::Result<()> {
        let mut pieces = std::pin::pin!(pieces);
        let mut sink = self.sink()?;
        while let Some(piece) = pieces.try_next().await? {
            let written = sink.writer().write_all(&piece);
            sink.settle(written.map_err(|cause| Error::io("cannot write the bytes", cause)))?;
        }
        sink.finish()
    }

    /// The tables to print, after `--show` and what the format can hold.
    pub(super) fn chosen<'a>(
        &self,
        answers: &'a [Answer],
        format: OutputFormat,
    ) -> Result<&'a [Answer]> {
        if let Some(name) = &self.show {
            let found = answers.iter().position(|answer| answer.name() == name);
            return found.map(|index| &answers[index..=index]).ok_or_else(|| {
                let names: Vec<_> = answers.iter().map(Answer::name).collect();
                Error::usage(format!(
                    "the output has no table '{name}': pass --show with one of {}",
                    names.join(", ")
                ))
            });
        }
        if answers.len() < 2 || format.holds_several() {
            return Ok(answers);
        }
        for other in &answers[1..] {
            let name = other.name();
            let remedy = match self.answers {
                AnswerKind::Statements => "pass --json".to_owned(),
                AnswerKind::Tables | AnswerKind::Raw(_) | AnswerKind::Picture => {
                    format!("pass --show {name}")
                }
            };
            self.terminal.note(&format!("table '{name}' is not printed: {remedy}"));
        }
        Ok(&answers[..1])
    }
}

/// A device or a pipe, whose name says nothing.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file())
}

/// Writes a text to a file of its own.
///
/// # Errors
/// If a call fails.
pub(super) fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    send(Sink::file(path)?, text.as_bytes())
}

fn send(mut sink: Sink, text: &[u8]) -> anyhow::Result<()> {
    let written = sink.writer().write_all(text);
    sink.settle(written.map_err(|cause| Error::io("cannot write the text", cause)))?;
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: TerminalEnv = TerminalEnv {
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        color: None,
        no_bars: false,
    };
    const TERMINAL: TerminalEnv = TerminalEnv { stdout_is_terminal: true, ..PIPE };

    fn quiet() -> Terminal {
        let flags = crate::cli::terminal::TerminalFlags { quiet: true, ..Default::default() };
        Terminal::new(&flags, PIPE)
    }

    fn output(flags: &OutputFlags, around: TerminalEnv) -> Result<Output> {
        Output::new(flags, around, &quiet(), AnswerKind::Tables)
    }

    fn to(path: impl Into<PathBuf>) -> OutputFlags {
        OutputFlags { output: Some(path.into()), ..OutputFlags::default() }
    }

    #[test]
    fn the_format_follows_the_reader_unless_it_is_given() {
        let none = OutputFlags::default();
        let json = OutputFlags { json: true, ..OutputFlags::default() };
        let markdown = OutputFlags { format: Some(formats::MARKDOWN), ..to("x.csv") };
        let cases = [
            (&none, TERMINAL, formats::TABLE),
            (&none, PIPE, formats::CSV),
            (&to("-"), TERMINAL, formats::TABLE),
            (&to("x.JSON"), TERMINAL, formats::JSON),
            (&to("x.arrows"), TERMINAL, formats::ARROW),
            (&json, TERMINAL, formats::NDJSON),
            (&markdown, PIPE, formats::MARKDOWN),
        ];
        for (flags, around, expected) in cases {
            let format = output(flags, around).expect("a format").format;
            assert_eq!(format.name(), expected.name(), "{flags:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_any_work() {
        let arrow = OutputFlags { format: Some(formats::ARROW), ..OutputFlags::default() };
        let cases = [
            (to("x.parquet"), "the ending of 'x.parquet' is not that of a format: pass --format"),
            (
                to("s3://b/x.csv"),
                "cannot write the output to 's3://b/x.csv': -o takes a local file",
            ),
            (arrow, "format 'arrow' is binary and this is a terminal: pass -o FILE or use a pipe"),
        ];
        for (flags, message) in cases {
            assert_eq!(output(&flags, TERMINAL).expect_err(message).to_string(), message);
        }
    }

    #[test]
    fn a_table_is_shown_of_commands_only() {
        let flags = OutputFlags { show: Some("models".to_owned()), ..OutputFlags::default() };
        for answers in [AnswerKind::Statements, AnswerKind::Raw("a picture is SVG")] {
            let error = Output::new(&flags, PIPE, &quiet(), answers).expect_err("no tables");
            assert_eq!(error.kind().exit_code(), 2, "{error}");
        }
        assert!(output(&flags, PIPE).is_ok());
    }
}
