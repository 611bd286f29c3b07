//! What a command works with: its flags, stores, session and output.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use futures::Stream;

use super::answer::Answer;
use super::live::LiveLines;
use super::output::{Output, OutputFlags};
use super::progress::Progress;
use super::results::Results;
use super::resume_offer::ResumeOffer;
use super::secrets::{HIDDEN, Secrets, names_secret, recorded_sql};
use super::settings::{self, Master};
use super::terminal::{ProgressMode, Terminal, TerminalFlags};
use super::{exit, process};
use crate::report::Picture;
use crate::session::{Session, SessionOptions};
use crate::sizes;
use crate::storage::{Location, ShownSetting, StorageOptions, Stores};
use crate::table::{
    Begin, Keep, Mode, OwnInput, Run, RunOptions, Source, SourceOptions, finish_decided,
};

/// The arguments whose values may hold secrets: variables, secret variables, and SQL.
pub(super) const VARIABLES: &str = "set";
pub(super) const SECRETS: &str = "set-secret";
pub(super) const STATEMENTS: &str = "sql";

/// What a command did.
#[derive(Debug, Default)]
pub struct Done {
    /// What is printed.
    pub answers: Vec<Answer>,
    /// All that was found, as tables, if nothing was published.
    pub tables: Vec<Answer>,
    /// The dataset that was published, or kept.
    pub published: Option<Location>,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Flags {
    /// What is printed, and where.
    #[command(flatten)]
    pub output: OutputFlags,

    /// What is shown besides.
    #[command(flatten)]
    pub terminal: TerminalFlags,

    /// What to do if the output already exists
    #[arg(long, value_name = "MODE", default_value = "error")]
    pub mode: Mode,

    /// How long an overwrite keeps the files it replaces, such as 30m or 0, for those who read them
    /// [default: 1h on local disks, 0 on object stores]
    #[arg(long, value_name = "TIME", value_parser = settings::duration, hide_short_help = true)]
    pub keep_old: Option<Duration>,

    /// Memory for the whole process, such as 512MiB, 10g or 256MB [default: all of the machine's]
    #[arg(short, long = "memory-limit", value_name = "SIZE", value_parser = sizes::parse)]
    pub memory_limit_bytes: Option<u64>,

    /// Disk space for temporary files when memory is not enough, such as 100g [default: 100 GB]
    #[arg(short, long = "disk-limit", value_name = "SIZE", value_parser = sizes::parse)]
    #[arg(hide_short_help = true)]
    pub disk_limit_bytes: Option<u64>,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// The number of threads as Spark writes it: `local[N]`, or `local[*]` for one per core
    #[arg(long, value_name = "MASTER", conflicts_with = "threads", hide_short_help = true)]
    pub master: Option<Master>,

    /// A setting of the SQL engine, such as datafusion.execution.batch_size=1024; may be repeated
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = settings::parse)]
    #[arg(hide_short_help = true)]
    pub settings: Vec<(String, String)>,

    /// A name for this run; `pleiad show OUT --history` shows it
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    pub name: Option<String>,

    /// How storage is reached; last, since it opens a heading of its own.
    #[command(flatten)]
    pub storage: StorageOptions,
}

impl Flags {
    /// What an overwrite does with the files it replaces.
    pub fn keep(&self) -> Keep {
        self.keep_old.map_or(Keep::Usual, Keep::For)
    }

    /// The number of worker threads.
    pub fn threads(&self) -> NonZeroUsize {
        let asked = self.master.map_or(self.threads, |Master(threads)| threads);
        asked.unwrap_or_else(process::cores)
    }
}

/// What a command works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The program, as it was called: `pleiad`, `target/debug/pleiad`.
    pub program: String,
    /// The flags of every command, as given.
    pub flags: Flags,
    /// The whole command line for the record of a run: the names and values of the command's
    /// arguments with their defaults, and of the global flags that were given. No secrets.
    pub arguments: Vec<(String, String)>,
    /// What files and variables say of settings of this program.
    pub configured: Vec<ShownSetting>,
    /// Every store that the command opens.
    pub stores: Arc<Stores>,
    /// Whom a driver reports to.
    pub watch: Arc<Progress>,
    terminal: Terminal,
    output: Output,
    session: OnceLock<Session>,
}

impl Context {
    /// What a command with these flags works with.
    pub(super) fn new(
        program: String,
        flags: Flags,
        arguments: Vec<(String, String)>,
        configured: Vec<ShownSetting>,
        terminal: &Terminal,
        output: Output,
    ) -> Self {
        let watch = Arc::new(Progress::new(terminal.clone()));
        let stores = Stores::new(flags.storage.clone());
        stores.listen(Arc::clone(&watch) as _);
        Self {
            program,
            arguments,
            configured,
            watch,
            session: OnceLock::new(),
            terminal: terminal.clone(),
            output,
            stores,
            flags,
        }
    }

    /// The session of the engine with these flags: one, so that all share its memory.
    ///
    /// # Errors
    /// A setting that the engine refuses.
    pub fn session(&self) -> crate::error::Result<Session> {
        if let Some(session) = self.session.get() {
            return Ok(session.clone());
        }
        let options = SessionOptions {
            threads: Some(self.flags.threads()),
            memory_limit: self.flags.memory_limit_bytes,
            disk_limit: self.flags.disk_limit_bytes,
            settings: self.flags.settings.clone(),
        };
        let session = Session::new(Arc::clone(&self.stores), &options)?;
        Ok(self.session.get_or_init(|| session).clone())
    }

    /// Opens what a run on `out` reads; without `out` nothing is written.
    ///
    /// # Errors
    /// See [`finish_decided`] and [`Source::open`].
    pub(super) async fn open(
        &self,
        input: &str,
        options: &SourceOptions,
        out: Option<&Location>,
    ) -> crate::error::Result<Source> {
        if let Some(out) = out {
            finish_decided(&self.stores, out).await?;
        }
        Source::open(&self.stores, input, options).await
    }

    /// Begins a run on `out` that reads `source`; says so if the version that is there stays.
    ///
    /// # Errors
    /// See [`Run::begin`].
    pub(super) async fn begin(
        &self,
        out: &Location,
        source: Option<&Source>,
    ) -> crate::error::Result<Begin> {
        let options = RunOptions {
            mode: self.flags.mode,
            arguments: self.arguments.clone(),
            inputs: source.map(Source::input_records).unwrap_or_default(),
            reads: source.map(Source::reads).unwrap_or_default(),
            own_input: OwnInput::Kept,
            keep: self.flags.keep(),
        };
        let begun = Run::begin(&self.stores, out, options).await?;
        if let Begin::AlreadyThere(manifest) = &begun {
            let version = manifest.version;
            self.note(&format!("'{out}' is unchanged, version {version} (--mode ignore)"));
        }
        Ok(begun)
    }

    /// What is hidden in messages, logs and records.
    pub(super) fn secrets(&self) -> &Secrets {
        self.terminal.secrets()
    }

    /// Offers to go on with `run`, should it be stopped.
    pub(super) fn resume_offer(&self, run: Option<&Run>) -> ResumeOffer {
        ResumeOffer::of(run, &self.terminal)
    }

    /// Writes a line on standard error, unless quiet.
    pub fn note(&self, message: &str) {
        self.terminal.note(message);
    }

    /// Says what listings left out.
    pub(super) fn warn_of_skipped(&self) {
        let Some((count, example)) = self.stores.skipped() else { return };
        let (names, are) = if count == 1 { ("name", "is") } else { ("names", "are") };
        self.terminal.warning(&format!(
            "{count} {names} {are} left out of listings, such as '{example}': an empty segment, '.', \
             '..', a control character or bytes that are not UTF-8"
        ));
    }

    /// Prints the answer of the command: once, at its end.
    ///
    /// # Errors
    /// See [`Results::tables`].
    pub fn print(&self, answers: &[Answer]) -> anyhow::Result<()> {
        Results::print(&self.output, answers)
    }

    /// Shows an error that does not end the command; the exit code that it means.
    pub fn report(&self, error: anyhow::Error) -> u8 {
        exit::report(error, &self.terminal)
    }

    /// Begins an answer of several results.
    ///
    /// # Errors
    /// A FILE that cannot be written.
    pub fn results(&self) -> crate::error::Result<Results<'_>> {
        Results::open(&self.output)
    }

    /// Lines on the terminal that follow standing queries, if it shows progress.
    pub(super) fn live_lines(&self) -> Option<Arc<LiveLines>> {
        let is_shown = self.terminal.progress() == ProgressMode::Bars;
        is_shown.then(|| Arc::new(LiveLines::new(self.terminal.clone())))
    }

    /// Prints a batch of a standing query.
    ///
    /// # Errors
    /// See [`Output::print_batch`].
    pub fn print_batch(&self, number: u64, rows: Answer) -> anyhow::Result<()> {
        match self.terminal.progress() {
            ProgressMode::Bars => {
                self.terminal.bars().suspend(|| self.output.print_batch(number, rows))
            }
            // No one may be kept from saying something by a pipe that is full.
            ProgressMode::Lines | ProgressMode::Nothing => self.output.print_batch(number, rows),
        }
    }

    /// Prints bytes as they come, in the place of an answer.
    ///
    /// # Errors
    /// See [`Output::print_bytes`].
    pub async fn print_bytes(
        &self,
        pieces: impl Stream<Item = crate::error::Result<Bytes>>,
    ) -> anyhow::Result<()> {
        self.output.print_bytes(pieces).await
    }

    /// Prints a picture, in the place of an answer.
    ///
    /// # Errors
    /// See [`Output::print_picture`].
    pub fn print_picture(&self, picture: &Picture) -> anyhow::Result<()> {
        self.output.print_picture(picture)
    }

    /// Prints a text, in the place of an answer.
    ///
    /// # Errors
    /// See [`Output::print_text`].
    pub fn print_text(&self, text: &str) -> anyhow::Result<()> {
        self.output.print_text(text)
    }
}

/// The command line as names and values; see [`Context::arguments`].
pub(super) fn recorded(
    root: &clap::Command,
    matches: &ArgMatches,
    secrets: &Secrets,
) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let mut values = Vec::new();
    let (mut parser, mut matches) = (root, matches);
    loop {
        for argument in parser.get_arguments() {
            let name = argument.get_long().unwrap_or(argument.get_id().as_str());
            let id = argument.get_id().as_str();
            let given = matches.value_source(id) == Some(ValueSource::CommandLine);
            if !given && words.is_empty() {
                continue; // a global flag at its default says nothing about the run
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                let value = recorded_value(id, &value.to_string_lossy());
                values.push((name.to_owned(), secrets.hide(&value).into_owned()));
            }
        }
        let Some((word, inner)) = matches.subcommand() else { break };
        let Some(next) = parser.find_subcommand(word) else { break };
        words.push(word);
        (parser, matches) = (next, inner);
    }
    values.insert(0, ("command".to_owned(), words.join(" ")));
    values
}

/// The value of the argument `id` without what is secret.
fn recorded_value(id: &str, value: &str) -> String {
    let value = match (id, value.split_once('=')) {
        (SECRETS, variable) => {
            let name = variable.map_or(value, |(name, _)| name);
            format!("{name}={HIDDEN}")
        }
        (VARIABLES, Some((name, _))) if names_secret(name) => format!("{name}={HIDDEN}"),
        (STATEMENTS, _) => recorded_sql(value),
        _ => value.to_owned(),
    };
    exit::redacted(&value)
}
