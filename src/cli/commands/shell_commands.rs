//! What can be typed at the prompt besides SQL, under the names of psql and of duckdb.

use crate::cli::output::MaxRows;

/// A command of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShellCommand {
    /// Lists these commands.
    Help,
    /// Leaves.
    Quit,
    /// Lists the tables.
    Tables,
    /// Shows the columns of a table.
    Describe(String),
    /// Shows rows with a line for each value.
    Expanded(Option<bool>),
    /// Says how long statements take.
    Timing(Option<bool>),
    /// Sends results to a file, or to the terminal again.
    Output(Option<String>),
    /// Shows long results by a pager.
    Pager(Option<bool>),
    /// Shows so many rows of a result.
    MaxRows(MaxRows),
    /// Runs a script.
    Run(String),
    /// Changes the last statement in an editor.
    Edit,
    /// Something else, with what is wrong.
    Unknown(String),
}

/// What `help` prints.
pub(super) const HELP: &str = "\
help, \\?, .help          this text
exit, \\q, .quit, Ctrl-D  leave
\\dt, .tables             tables and views
\\d NAME                  columns of a table
\\x [on|off]              a line for each value, for wide rows (.mode line)
\\timing [on|off]         seconds after each statement (.timer)
\\o [FILE], .output FILE  results go to FILE (csv, json, … by its ending), or here again
\\pset pager [on|off]     show long results by $PAGER (.pager)
.maxrows N|inf           rows of a result to show
\\i FILE, .read FILE      run a script
\\e, .edit                change the last statement in $EDITOR
Statements end with ';'. Ctrl-C stops one, Ctrl-R searches the history, Tab completes.
SHOW FUNCTIONS; lists functions, SELECT * FROM 'file.parquet'; reads a file.";

impl ShellCommand {
    /// The command in the first line of an input, if it is one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim().trim_end_matches(';').trim_end();
        let word = word.trim_end_matches(';').to_lowercase();
        let is_command = word.starts_with('\\') || starts_with_a_dot(&word);
        let alone = ["help", "exit", "quit", "?"].contains(&word.as_str()) && rest.is_empty();
        if !is_command && !alone {
            return None;
        }
        let switch = |word: &str| match word.to_lowercase().as_str() {
            "" => Ok(None),
            "on" | "line" => Ok(Some(true)),
            "off" | "table" | "duckbox" => Ok(Some(false)),
            _ => Err(Self::Unknown(format!("'{line}' takes on or off"))),
        };
        let with_name = |of: fn(String) -> Self, what: &str| match rest {
            "" => Self::Unknown(format!("'{word}' needs {what}")),
            name => of(name.to_owned()),
        };
        Some(match word.as_str() {
            "help" | "\\?" | "\\h" | ".help" | "?" => Self::Help,
            "exit" | "quit" | "\\q" | ".exit" | ".quit" | ".q" => Self::Quit,
            "\\dt" | "\\dv" | ".tables" | ".table" => Self::Tables,
            "\\d" if rest.is_empty() => Self::Tables,
            "\\d" | "\\d+" | ".schema" => with_name(Self::Describe, "the name of a table"),
            "\\x" | ".mode" => switch(rest).map_or_else(|unknown| unknown, Self::Expanded),
            "\\timing" | ".timer" => switch(rest).map_or_else(|unknown| unknown, Self::Timing),
            "\\o" | "\\out" | ".output" => {
                let file = Some(rest.trim_matches('\'')).filter(|name| !name.is_empty());
                Self::Output(file.map(str::to_owned))
            }
            "\\pset" | ".pager" => {
                let rest = rest.strip_prefix("pager").unwrap_or(rest).trim_start();
                switch(rest).map_or_else(|unknown| unknown, Self::Pager)
            }
            ".maxrows" => rest.parse().map_or_else(
                |_| Self::Unknown(format!("'{line}' takes a number, or inf for all rows")),
                Self::MaxRows,
            ),
            "\\i" | "\\ir" | ".read" => with_name(Self::Run, "the name of a file"),
            "\\e" | ".edit" => Self::Edit,
            _ => Self::Unknown(format!("'{word}' is not a command: help lists them")),
        })
    }
}

/// A number such as `.5` begins with a dot, too.
fn starts_with_a_dot(word: &str) -> bool {
    word.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_names_of_psql_and_duckdb() {
        let name = |name: &str| name.to_owned();
        let cases = [
            ("help", ShellCommand::Help),
            ("HELP;", ShellCommand::Help),
            ("\\?", ShellCommand::Help),
            (" exit ", ShellCommand::Quit),
            ("QUIT;", ShellCommand::Quit),
            ("\\q", ShellCommand::Quit),
            (".tables", ShellCommand::Tables),
            ("\\d", ShellCommand::Tables),
            ("\\d people;", ShellCommand::Describe(name("people"))),
            ("\\x", ShellCommand::Expanded(None)),
            (".mode line", ShellCommand::Expanded(Some(true))),
            ("\\x off", ShellCommand::Expanded(Some(false))),
            (".timer off", ShellCommand::Timing(Some(false))),
            ("\\o a b.csv", ShellCommand::Output(Some(name("a b.csv")))),
            (".output 'x.csv';", ShellCommand::Output(Some(name("x.csv")))),
            ("\\o", ShellCommand::Output(None)),
            ("\\pset pager off", ShellCommand::Pager(Some(false))),
            (".pager", ShellCommand::Pager(None)),
            (".maxrows 7", ShellCommand::MaxRows(MaxRows(7))),
            (".maxrows inf", ShellCommand::MaxRows(MaxRows(usize::MAX))),
            ("\\i a b.sql", ShellCommand::Run(name("a b.sql"))),
            ("\\e", ShellCommand::Edit),
        ];
        for (line, command) in cases {
            assert_eq!(ShellCommand::parse(line), Some(command), "{line}");
        }
        for line in
            ["\\foo", ".timer 7", "\\i", "\\nothing at all", ".maxrows x", "\\pset border 2"]
        {
            let found = ShellCommand::parse(line);
            assert!(matches!(found, Some(ShellCommand::Unknown(_))), "{line}: {found:?}");
        }
        for line in ["SELECT 1;", "help me", ".5 + 1", "", "exit_code", "FROM 'x'"] {
            assert_eq!(ShellCommand::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.chars().count() <= 90) && HELP.lines().count() < 20);
    }
}
