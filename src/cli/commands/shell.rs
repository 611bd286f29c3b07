//! The prompt of `pleiad sql`: lines with history, completion and statements of several lines.
//!
//! Ctrl-C stops the statement and keeps the prompt; Ctrl-D or `exit` leaves. An error is shown and
//! the prompt returns. A line that is a command (`help`, `\\dt`) is obeyed at once, and is never taken for
//! a part of a statement. The history is `$XDG_STATE_HOME/pleiad/history`, else in
//! `~/.local/state`, without statements that may hold a secret.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper};
use tokio::signal::unix::{SignalKind, signal};

use super::run::{Ran, ScriptFlags, read, run_one, start};
use super::shell_commands::{HELP, ShellCommand};
use crate::cli::context::Context;
use crate::cli::exit::{StdoutClosed, redacted};
use crate::cli::results::Results;
use crate::cli::trust::state_directory;
use crate::cli::visible::visible_line;
use crate::error::Error;
use crate::script::{self, Script, Statement, Variables};
use crate::session::quote_identifier;
use crate::storage::LocalFiles;

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
    "SUMMARIZE",
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
    let script = start(context, flags, None)?; // lines of their own would break the prompt
    let variables = flags.variables()?;
    let mut results = context.results()?;
    results.page(Some(true));
    if let Some((origin, text)) = init {
        for statement in script::split(&origin, &text, &variables)? {
            run_one(&script, &statement, &mut results, None).await?;
            results.show_at_once()?;
        }
    }
    let config = Config::builder()
        .auto_add_history(false)
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(cannot_ask)?;
    let history = history_file(context);
    if let Some(file) = &history {
        editor.load_history(file).ok(); // none yet
    }
    context.note("Ctrl-C stops a statement, Ctrl-D leaves. help lists commands; try SHOW TABLES;");
    let mut shell = Shell { context, script, variables, results, is_timed: true };
    let mut last = String::new();
    loop {
        editor.set_helper(Some(Words::of(&shell.script).await));
        let mut text = match input(&mut editor)? {
            Input::Text(text) => text,
            Input::Nothing => continue,
            Input::End => break,
        };
        match ShellCommand::parse(&text) {
            Some(ShellCommand::Quit) => break,
            Some(ShellCommand::Edit) => match edited(context, &last) {
                Ok(changed) => {
                    context.note(changed.trim_end());
                    text = changed;
                }
                Err(error) => {
                    context.report(error.into());
                    continue;
                }
            },
            Some(command) => {
                shell.obey(command).await?;
                continue;
            }
            None => {}
        }
        if !may_hold_secret(&text) {
            editor.add_history_entry(text.trim())?;
            if let Some(file) = &history {
                editor.save_history(file).ok(); // a history that is lost is no reason to stop
            }
        }
        last.clone_from(&text);
        shell.run("line", &text).await?;
    }
    shell.results.finish()?;
    // Each query ends behind the batch that it is at.
    if let Err(error) = shell.script.standing().finish(Some(Duration::ZERO)).await {
        context.report(error.into());
    }
    Ok(())
}

/// What the user has typed.
enum Input {
    /// A command, or statements that are complete.
    Text(String),
    /// Ctrl-C: what was typed is forgotten.
    Nothing,
    /// Ctrl-D.
    End,
}

/// Asks until statements are complete: the lines of one are typed, and changed, together.
fn input(editor: &mut Editor<Words, FileHistory>) -> Result<Input, Error> {
    match editor.readline("pleiad> ") {
        Ok(text) => Ok(Input::Text(text)),
        Err(ReadlineError::Interrupted) => Ok(Input::Nothing),
        Err(ReadlineError::Eof) => Ok(Input::End),
        Err(cause) => Err(cannot_ask(cause)),
    }
}

/// A prompt at work.
struct Shell<'a> {
    context: &'a Context,
    script: Script,
    variables: Variables,
    results: Results<'a>,
    is_timed: bool,
}

impl Shell<'_> {
    /// Runs statements up to the first that fails; only a reader who left ends the prompt.
    async fn run(&mut self, origin: &str, text: &str) -> anyhow::Result<()> {
        let statements = match script::split(origin, text, &self.variables) {
            Ok(statements) => statements,
            Err(error) => {
                self.context.report(error.into());
                return Ok(());
            }
        };
        for statement in &statements {
            // Listens before the statement begins, which may keep this task busy for a while.
            let mut interrupts = signal(SignalKind::interrupt())
                .map_err(|cause| Error::io("listen to signals", cause))?;
            let begun = Instant::now();
            let ran = tokio::select! {
                biased;
                _ = interrupts.recv() => {
                    self.context.note("stopped");
                    return Ok(());
                }
                ran = run_one(&self.script, statement, &mut self.results, None) => ran,
            };
            let time = begun.elapsed();
            match ran.and_then(|ran| self.results.show().map(|()| ran)) {
                Ok(ran) => self.say(statement, ran, time),
                Err(error) if error.is::<StdoutClosed>() => return Err(error),
                Err(error) => {
                    self.context.report(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Says what a statement did: its rows, or what it made, and the seconds.
    fn say(&self, statement: &Statement, ran: Ran, time: Duration) {
        let what = match ran {
            Ran::Rows(1) => "1 row".to_owned(),
            Ran::Rows(rows) => format!("{} rows", HumanCount(rows)),
            Ran::Silent => statement.made().unwrap_or_else(|| "done".to_owned()),
            Ran::Tables => String::new(),
        };
        let time =
            if self.is_timed { format!("{:.3} s", time.as_secs_f64()) } else { String::new() };
        let both = [what, time].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        if !both.is_empty() {
            self.context.note(&format!("({})", both.join(", ")));
        }
    }

    /// Does what a command says.
    async fn obey(&mut self, command: ShellCommand) -> anyhow::Result<()> {
        let on_off = |on: bool| if on { "on" } else { "off" };
        match command {
            ShellCommand::Help => self.context.note(HELP),
            ShellCommand::Tables => self.run("\\dt", "SHOW TABLES").await?,
            ShellCommand::Describe(name) => {
                let name = name.trim_matches(['\'', '"']);
                let quoted = quote_identifier(name);
                self.run("\\d", &format!("DESCRIBE {quoted}")).await?;
            }
            ShellCommand::Expanded(on) => {
                let on = self.results.expand(on);
                self.context.note(&format!("expanded rows are {}", on_off(on)));
            }
            ShellCommand::Timing(on) => {
                self.is_timed = on.unwrap_or(!self.is_timed);
                self.context.note(&format!("timing is {}", on_off(self.is_timed)));
            }
            ShellCommand::Output(file) => {
                let redirected = self.results.redirect(file.as_deref().map(Path::new));
                match (redirected, file) {
                    (Err(error), _) => drop(self.context.report(error)),
                    (Ok(()), Some(file)) => {
                        self.context.note(&format!("results go to '{file}' until \\o"));
                    }
                    (Ok(()), None) => self.context.note("results are shown again"),
                }
            }
            ShellCommand::Pager(on) => {
                let on = self.results.page(on);
                self.context.note(&format!("the pager is {}", on_off(on)));
            }
            ShellCommand::MaxRows(rows) => self.results.limit(rows),
            ShellCommand::Run(file) => match read(file.as_ref()) {
                Ok((origin, text)) => self.run(&origin, &text).await?,
                Err(error) => drop(self.context.report(error.into())),
            },
            ShellCommand::Unknown(what) => drop(self.context.report(Error::usage(what).into())),
            ShellCommand::Quit | ShellCommand::Edit => {}
        }
        Ok(())
    }
}

/// What the user makes of `text` in an editor.
fn edited(context: &Context, text: &str) -> Result<String, Error> {
    let variables = &context.flags.storage.environment;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| variables.get(name));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let failed = |cause| Error::io(format!("edit with '{editor}'"), cause);
    let name = format!("pleiad-{}.sql", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, text).map_err(failed)?;
    // The variable may hold options, as in `code --wait`.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ended = std::process::Command::new(program).args(words).arg(&file).status();
    let changed = ended.and_then(|_status| std::fs::read_to_string(&file));
    LocalFiles::default().remove(&file).ok(); // it is in the folder of temporary files
    changed.map_err(failed)
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
    files: FilenameCompleter,
}

impl Words {
    async fn of(script: &Script) -> Self {
        let state = script.session().state();
        let mut words = script.table_names();
        words.extend(script.column_names().await);
        words.extend(state.scalar_functions().keys().cloned());
        words.extend(state.aggregate_functions().keys().cloned());
        words.extend(state.window_functions().keys().cloned());
        words.retain(|word| visible_line(word) == word.as_str());
        words.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
        Self { words, files: FilenameCompleter::new() }
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

/// Where the text in quotes begins that `position` is in: the name of a file.
fn open_quote(line: &str, position: usize) -> Option<usize> {
    let before = &line[..position];
    let is_open = before.matches('\'').count() % 2 == 1;
    before.rfind('\'').filter(|_| is_open).map(|at| at + 1)
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        if let Some(begin) = open_quote(line, position) {
            let name = &line[begin..position];
            let (from, found) = self.files.complete_path(name, name.len())?;
            return Ok((begin + from, found.into_iter().map(|pair| pair.replacement).collect()));
        }
        Ok(self.completions(line, position))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let is_open = ShellCommand::parse(text).is_none() && script::is_unfinished(text);
        Ok(if is_open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
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
        let words = Words { words, files: FilenameCompleter::new() };
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
    fn files_are_completed_in_quotes() {
        assert_eq!(open_quote("SELECT * FROM 'da", 17), Some(15));
        assert_eq!(open_quote("SELECT 'x' FROM da", 18), None);
        assert_eq!(open_quote("SELECT 'x' FROM '", 17), Some(17));
    }
}
