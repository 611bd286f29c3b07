//! `pleiad sql`: statements from the command line, a file, a pipe, or a prompt.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::run::{ScriptFlags, read, run_texts};
use super::shell;
use crate::cli::context::{Context, STATEMENTS};

/// Run SQL from the command line, a file or a pipe, or open a prompt
///
/// Without -c and -f you get a prompt; if standard input is a pipe, it is read to its end and run.
/// After FROM you can write the name of a table, or a location in quotes: FROM 's3://bucket/x.parquet',
/// FROM 'people/table1', FROM 'x.csv'. COPY (SELECT …) TO 'x.parquet' writes one file, TO 'x' a
/// dataset. Statements are separated by `;`. The first error stops.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad sql -c \"SELECT id_pref, count(*) FROM 'people/table1' GROUP BY id_pref\"
  pleiad sql --set k=3 -c 'CREATE VIEW t AS SELECT 1 AS a' -c 'SELECT a + ${k} FROM t'")]
pub(crate) struct Sql {
    /// SQL to run; may be repeated
    #[arg(id = STATEMENTS, short = 'c', long = "command", visible_short_alias = 'e')]
    #[arg(value_name = "SQL")]
    commands: Vec<String>,

    /// A script to run, before the SQL of -c
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// A script to run before the prompt opens
    #[arg(short, long, value_name = "FILE", conflicts_with_all = [STATEMENTS, "file"])]
    init: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) script: ScriptFlags,
}

impl Sql {
    /// Whether the user is asked: there is nothing to run, and a terminal to ask at.
    pub(crate) fn asks(&self) -> bool {
        self.commands.is_empty() && self.file.is_none() && std::io::stdin().is_terminal()
    }

    /// Runs the statements and prints their rows.
    ///
    /// # Errors
    /// A script that cannot be read, and the first statement that fails.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let init = self.init.as_deref().map(read).transpose()?;
        if self.asks() {
            return Box::pin(shell::run(context, &self.script, init)).await;
        }
        let mut texts: Vec<(String, String)> = init.into_iter().collect();
        if let Some(file) = &self.file {
            texts.push(read(file)?);
        }
        let only = self.commands.len() == 1;
        for (number, text) in (1..).zip(&self.commands) {
            let origin = if only { "-c".to_owned() } else { format!("-c {number}") };
            texts.push((origin, text.clone()));
        }
        if self.commands.is_empty() && self.file.is_none() {
            texts.push(read("-".as_ref())?);
        }
        run_texts(context, &self.script, &texts).await
    }
}
