//! `pleiad man`: pages for `man`.

use clap::Args;
use clap_mangen::Man as Page;

use crate::cli::context::Context;
use crate::error::{Error, Result};

/// Print a manual page
///
/// Prints the page of pleiad itself, with its exit codes, or the page of one command. To read it:
/// `pleiad man | man -l -`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad man -o pleiad.1
  pleiad man generate people -o pleiad-generate-people.1")]
pub(crate) struct Man {
    /// The command, such as kmeans or generate people
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Man {
    /// Prints.
    ///
    /// # Errors
    /// An unknown command; a failed write.
    pub(crate) fn run(&self, context: &Context, parser: clap::Command) -> anyhow::Result<()> {
        context.print_text(&page(parser, &self.command)?)
    }
}

/// The page of the command that these words call.
fn page(mut parser: clap::Command, words: &[String]) -> Result<String> {
    parser.build();
    let mut name = "pleiad".to_owned();
    for word in words {
        let inner = parser.find_subcommand(word).cloned();
        parser = inner.ok_or_else(|| {
            Error::usage(format!("'{word}' is not a command of '{name}': see {name} --help"))
        })?;
        name = format!("{name} {word}");
    }
    let mut page = Vec::new();
    let parser = parser.version(env!("CARGO_PKG_VERSION"));
    let rendered = Page::new(parser).manual("Pleiad").render(&mut page);
    rendered
        .map_err(|cause| Error::internal("a manual page cannot be written").caused_by(cause))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn every_command_has_a_page() {
        fn walk(parser: &clap::Command, words: &[String]) {
            let text = page(command(), words).expect("a page");
            assert!(text.contains(".SH NAME"), "{words:?}");
            for inner in parser.get_subcommands() {
                walk(inner, &[words, &[inner.get_name().to_owned()]].concat());
            }
        }
        walk(&command(), &[]);
        assert!(page(command(), &[]).expect("a page").contains("Exit codes"));
        let error = page(command(), &["kmean".to_owned()]).expect_err("no such command");
        assert_eq!(error.to_string(), "'kmean' is not a command of 'pleiad': see pleiad --help");
    }
}
