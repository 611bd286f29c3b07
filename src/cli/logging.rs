//! Log lines on standard error: warnings, more with `-v`, or what `PLEIAD_LOG` selects.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::terminal::{LogFormat, Terminal, TerminalFlags, variable};
use crate::error::{Error, Kind, Result};

/// The variable with the filter, in the words of `tracing-subscriber`: `pleiad=debug,info`.
const FILTER: &str = "PLEIAD_LOG";

/// Starts logging for the whole process.
///
/// # Errors
/// A filter in the environment that cannot be read.
pub fn start(flags: &TerminalFlags, terminal: &Terminal) -> Result<()> {
    let filter = match variable(FILTER) {
        Some(text) => EnvFilter::try_new(&text).map_err(|cause| {
            let message = format!("{FILTER} is '{text}', expected a filter such as pleiad=debug");
            Error::new(Kind::Configuration, message).caused_by(cause)
        })?,
        None => EnvFilter::new(default_filter(flags)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Stderr(terminal.clone()));
    let started = match flags.log_format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().finish().try_init(),
    };
    started.map_err(|cause| Error::internal(format!("logging cannot start: {cause}")))
}

/// Without `PLEIAD_LOG`: the libraries below the HTTP client never log more than `info`.
fn default_filter(flags: &TerminalFlags) -> &'static str {
    match (flags.quiet, flags.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug,h2=info,hyper=info,hyper_util=info,rustls=info",
    }
}

/// Writes each log line in one piece, so that it tears no progress bar.
struct Stderr(Terminal);

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine { terminal: &self.0 }
    }
}

struct LogLine<'a> {
    terminal: &'a Terminal,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The subscriber formats a whole line before it writes.
        self.terminal.log(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
