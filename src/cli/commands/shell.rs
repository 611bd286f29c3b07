//! The prompt of `pleiad sql`: lines with history, completion and statements of several lines.
//!
//! Ctrl-C stops the statement and keeps the prompt; Ctrl-D or `exit` leaves. An error is shown and
//! the prompt returns. The history is `$XDG_STATE_HOME/pleiad/history`, else in
//! `~/.local/state`, without statements that may hold a secret.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper};
use tokio::signal::unix::{SignalKind, signal};

use super::run::{ScriptFlags, run_one, start};
use crate::cli::context::Context;
use crate::cli::exit::{StdoutClosed, redacted};
use crate::cli::trust::state_directory;
use crate::cli::visible::visible_line;
use crate::error::Error;
use crate::script::{self, Script};

/// What the prompt completes besides tables, functions and words of the user's own.
const KEYWORDS: &[&str] = &[
    "ANALYZE",
    "AND",
    "ASC",
    "BETWEEN",
    "BY",
    "CALL",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS",
    "DELIMITER",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTERNAL",
    "FROM",
    "FULL",
    "FUNCTIONS",
    "GROUP",
    "HAVING",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NOT",
    "NULL",
    "OFFSET",
    "OPTIONS",
    "ORDER",
    "OUTER",
    "OVER",
    "PARQUET",
    "PARTITION",
    "PARTITIONED",
    "REPLACE",
    "RIGHT",
    "SELECT",
    "SHOW",
    "STORED",
    "TABLE",
    "TABLES",
    "THEN",
    "UNION",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Asks for statements and runs them until the user leaves. `init` runs first.
///
/// # Errors
/// A terminal that cannot be used, an `init` that fails, a reader who left.
pub(super) async fn run(
    context: &Context,
    flags: &ScriptFlags,
    init: Option<(String, String)>,
) -> anyhow::Result<()> {
    let script = start(context)?;
    let variables = flags.variables()?;
    let mut results = context.results()?;
    if let Some((origin, text)) = init {
        for statement in script::split(&origin, &text, &variables)? {
            run_one(&script, &statement, &mut results).await?;
        }
    }
    let config = Config::builder().auto_add_history(false).history_ignore_space(true).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(cannot_ask)?;
    let history = history_file(context);
    if let Some(file) = &history {
        editor.load_history(file).ok(); // none yet
    }
    context.note("Ctrl-C stops a statement, Ctrl-D leaves. Try SHOW TABLES; or SHOW FUNCTIONS;");
    loop {
        editor.set_helper(Some(Words::of(&script)));
        let text = match editor.readline("pleiad> ") {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(cause) => return Err(cannot_ask(cause).into()),
        };
        if is_farewell(&text) {
            break;
        }
        if !may_hold_secret(&text) {
            editor.add_history_entry(text.trim())?;
            if let Some(file) = &history {
                editor.save_history(file).ok(); // a history that is lost is no reason to stop
            }
        }
        let statements = match script::split("line", &text, &variables) {
            Ok(statements) => statements,
            Err(error) => {
                context.report(error.into());
                continue;
            }
        };
        for statement in &statements {
            // Listens before the statement begins, which may keep this task busy for a while.
            let mut interrupts = signal(SignalKind::interrupt())
                .map_err(|cause| Error::io("listen to signals", cause))?;
            let ran = tokio::select! {
                biased;
                _ = interrupts.recv() => {
                    context.note("stopped");
                    break;
                }
                ran = run_one(&script, statement, &mut results) => ran,
            };
            match ran {
                Ok(()) => {}
                Err(error) if error.is::<StdoutClosed>() => return Err(error),
                Err(error) => {
                    context.report(error);
                    break;
                }
            }
        }
    }
    results.finish()
}

fn cannot_ask(cause: ReadlineError) -> Error {
    match cause {
        ReadlineError::Io(cause) => Error::io("cannot read the terminal", cause),
        other => Error::usage(format!("cannot read the terminal: {other}")),
    }
}

/// Where the history is kept; made if it is not there.
fn history_file(context: &Context) -> Option<PathBuf> {
    let folder = state_directory(&context.flags.storage.environment)?;
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

fn is_farewell(text: &str) -> bool {
    let word = text.trim().trim_end_matches(';').trim_end().to_lowercase();
    ["exit", "quit", "\\q"].contains(&word.as_str())
}

fn may_hold_secret(text: &str) -> bool {
    let small = text.to_lowercase();
    redacted(text) != text
        || ["secret", "password", "token", "access_key", "credential"]
            .iter()
            .any(|word| small.contains(word))
}

/// What the prompt knows.
struct Words {
    words: BTreeSet<String>,
}

impl Words {
    fn of(script: &Script) -> Self {
        let state = script.session().state();
        let mut words = script.table_names();
        words.extend(state.scalar_functions().keys().cloned());
        words.extend(state.aggregate_functions().keys().cloned());
        words.extend(state.window_functions().keys().cloned());
        words.retain(|word| visible_line(word) == word.as_str());
        words.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
        Self { words }
    }

    /// Where the word before `position` begins, and the words that go on from there.
    fn completions(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = &line[..position];
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let begin = before.trim_end_matches(in_word).len();
        let typed = before[begin..].to_lowercase();
        if typed.is_empty() {
            return (begin, Vec::new());
        }
        let goes_on = |word: &&String| word.to_lowercase().starts_with(&typed);
        (begin, self.words.iter().filter(goes_on).cloned().collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.completions(line, position))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        Ok(match !is_farewell(text) && script::is_unfinished(text) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_in_any_letters() {
        let words = ["SELECT", "SET", "sensors", "a_table"].map(str::to_owned).into();
        let words = Words { words };
        let found = |line: &str| words.completions(line, line.len());
        assert_eq!(found("se"), (0, ["SELECT", "SET", "sensors"].map(str::to_owned).into()));
        assert_eq!(found("SELECT * FROM (A_"), (15, vec!["a_table".to_owned()]));
        assert_eq!(found("SELECT "), (7, Vec::new()));
    }

    #[test]
    fn what_may_hold_a_secret_is_not_kept() {
        for text in ["SET x.secret = 'y'", "FROM 's3://key:word@bucket/x'", "-- Password"] {
            assert!(may_hold_secret(text), "{text}");
        }
        assert!(!may_hold_secret("SELECT 1 FROM 's3://bucket/x'"));
    }

    #[test]
    fn there_are_ways_to_leave() {
        for text in ["exit", " QUIT; ", "\\q"] {
            assert!(is_farewell(text), "{text}");
        }
        assert!(!is_farewell("SELECT 1"));
    }
}
