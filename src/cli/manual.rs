//! `pleiad completions` and `pleiad man`: what shells and `man` want to know, from the parser itself.

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::Context;
use crate::error::{Error, Result};

/// Print the completions of a shell
///
/// For bash: `pleiad completions bash > ~/.local/share/bash-completion/completions/pleiad`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad completions bash
  pleiad completions zsh -o _pleiad")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints.
    ///
    /// # Errors
    /// A failed write.
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "pleiad", &mut script);
        context.print_text(&String::from_utf8_lossy(&script))
    }
}

/// Print a page for `man`
///
/// The page of pleiad itself, with its exit codes, or that of one command. `pleiad man | man -l -`
/// shows it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad man -o pleiad.1
  pleiad man generate people -o pleiad-generate-people.1")]
pub struct Man {
    /// The command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Man {
    /// Prints.
    ///
    /// # Errors
    /// An unknown command; a failed write.
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        context.print_text(&page(&self.command)?)
    }
}

/// The page of the command that these words call.
fn page(words: &[String]) -> Result<String> {
    let mut parser = super::command();
    parser.build();
    let mut name = "pleiad".to_owned();
    for word in words {
        let inner = parser.find_subcommand(word).cloned();
        parser = inner.ok_or_else(|| {
            Error::usage(format!("'{word}' is no command of '{name}': see {name} --help"))
        })?;
        name = format!("{name} {word}");
    }
    let mut page = Vec::new();
    let parser = parser.version(env!("CARGO_PKG_VERSION"));
    let rendered = Page::new(parser).manual("Pleiad").render(&mut page);
    rendered.map_err(|cause| Error::internal("a page cannot be drawn").caused_by(cause))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        fn walk(command: &clap::Command, words: &[String]) {
            let text = page(words).expect("a page");
            assert!(text.contains(".SH NAME"), "{words:?}");
            for inner in command.get_subcommands() {
                walk(inner, &[words, &[inner.get_name().to_owned()]].concat());
            }
        }
        walk(&crate::cli::command(), &[]);
        assert!(page(&[]).expect("a page").contains("Exit codes"));
        let error = page(&["kmean".to_owned()]).expect_err("no such command");
        assert_eq!(error.to_string(), "'kmean' is no command of 'pleiad': see pleiad --help");
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in <Shell as clap::ValueEnum>::value_variants() {
            let mut script = Vec::new();
            let mut parser = crate::cli::command();
            clap_complete::generate(*shell, &mut parser, "pleiad", &mut script);
            assert!(String::from_utf8_lossy(&script).contains("kmeans"), "{shell}");
        }
    }
}
