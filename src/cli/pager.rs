//! The program that shows a text which is longer than the terminal.

use std::io::{Error, Result, Write};
use std::process::{Command, Stdio};

use super::terminal::variable;

/// Shows short texts at once, colours as they are, and leaves what it has shown on the screen.
const USUAL: &str = "less -FRX";

/// The command line of the program: `$PAGER`, or `less`.
pub(super) fn command() -> String {
    variable("PAGER").unwrap_or_else(|| USUAL.to_owned())
}

/// Shows `text` by the program `command` until the user leaves it.
///
/// # Errors
/// If the program cannot be run, or says that it has failed.
pub(super) fn show(command: &str, text: &[u8]) -> Result<()> {
    let mut shell = Command::new("sh");
    let mut pager = shell.arg("-c").arg(command).stdin(Stdio::piped()).spawn()?;
    if let Some(mut keys) = pager.stdin.take() {
        keys.write_all(text).ok(); // the user may leave before the end
    }
    match pager.wait()? {
        status if status.success() => Ok(()),
        status => Err(Error::other(format!("'{command}' ended with {status}"))),
    }
}
