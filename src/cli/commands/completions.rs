//! `pleiad completions`: what a shell needs to complete commands and options.

use clap::Args;
use clap_complete::Shell;

use crate::cli::context::Context;

/// Print a script that makes your shell complete commands and options
///
/// For bash: `pleiad completions bash > ~/.local/share/bash-completion/completions/pleiad`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad completions bash
  pleiad completions zsh -o _pleiad")]
pub(crate) struct Completions {
    /// Your shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints.
    ///
    /// # Errors
    /// A failed write.
    pub(crate) fn run(&self, context: &Context, mut parser: clap::Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut parser, "pleiad", &mut script);
        context.print_text(&String::from_utf8_lossy(&script))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
