//! The command line: one file a command; the only part of the library that prints.
//!
//! Data goes to standard output and nothing else does; progress, warnings, logs and errors go to
//! standard error. A command is a struct of its arguments, whose documentation is its `--help` and
//! ends with two worked examples, and a `run` that opens, calls a driver and prints. A new command
//! is a file, a variant of [`Command`] and an arm of its `run`.

pub mod check; // `pleiad check`
pub mod calls; // commands as procedures of SQL
pub mod config; // settings from files and variables
pub mod config_show; // `pleiad config show`
pub mod dbscan; // `pleiad dbscan`
pub mod demo; // `pleiad demo`
pub mod exit; // exit codes, the error chain, panics
pub mod folders; // `pleiad du`, `pleiad tree`
pub mod formats; // table, csv, json, …: tables to bytes
pub mod generate; // `pleiad generate`
pub mod kdistance; // `pleiad kdistance`
pub mod kmeans; // `pleiad kmeans`
pub mod logging; // log lines
pub mod manual; // `pleiad completions`, `pleiad man`
pub mod objects; // `pleiad ls`, `cat`, `cp`, `rm`, `stat`
pub mod output; // where the answer of a command goes
pub mod partition; // `pleiad partition`
pub mod plot; // `pleiad plot`
pub mod process; // threads and signals
pub mod progress; // bars and lines from events
pub mod shell; // the prompt of `pleiad sql`
mod sink; // standard output, or a file
pub mod sql; // `pleiad sql`
pub mod run; // `pleiad run`
pub mod settings; // `--conf`, and habits of spark-submit
pub mod show; // `pleiad show`
pub mod tables; // `pleiad head`, `schema`, `meta`, `count`, `summary`
pub mod terminal; // who reads standard error
pub mod upkeep; // `pleiad recover`, `pleiad gc`, `pleiad unlock`

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Kind};
use crate::session::{Session, SessionOptions};
use crate::sizes;
use crate::storage::{Location, StorageOptions, Stores, Told};
use crate::table::{Begin, InputRecord, Mode, Run, RunOptions};
use output::{Answer, Answers, Output};
use progress::Progress;
use settings::Master;
use terminal::{Color, Surroundings, Terminal};

/// Partitions, clusters and streams tables kept as Parquet on S3-compatible storage
///
/// Data goes to standard output, everything else to standard error.
///
/// --threads, --memory-limit, --disk-limit, --no-progress, --endpoint-url, --region, --profile and
/// --virtual-host may be set for all commands: as a variable (PLEIAD_MEMORY_LIMIT), in ./pleiad.toml
/// or in ~/.config/pleiad/config.toml (memory-limit = "10g"). The flag wins, then the variable.
#[derive(Debug, Parser)]
#[command(name = "pleiad", version, max_term_width = 100, after_long_help = exit::help())]
pub struct Cli {
    /// What all commands understand.
    #[command(flatten)]
    pub flags: Flags,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, each with the documentation of its arguments.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "what is written here would hide what `--help` shows")]
pub enum Command {
    Generate(generate::Generate),
    Kmeans(Box<kmeans::Kmeans>),
    Dbscan(Box<dbscan::Dbscan>),
    Kdistance(kdistance::Kdistance),
    Partition(Box<partition::Partition>),
    Run(run::Run),
    Sql(sql::Sql),
    Plot(plot::Plot),
    Demo(demo::Demo),
    Ls(objects::Ls),
    Cat(objects::Cat),
    Cp(objects::Cp),
    Rm(objects::Rm),
    Stat(objects::Stat),
    Du(folders::Du),
    Tree(folders::Tree),
    Head(tables::Head),
    Schema(tables::Schema),
    Meta(tables::Meta),
    Count(tables::Count),
    Summary(tables::Summary),
    Show(show::Show),
    Check(check::Check),
    Recover(upkeep::Recover),
    Gc(upkeep::Gc),
    Unlock(upkeep::Unlock),
    Config(config_show::Config),
    Completions(manual::Completions),
    Man(manual::Man),
}

impl Command {
    fn answers(&self) -> Answers {
        match self {
            Self::Plot(_) => Answers::Raw("a picture is SVG"),
            Self::Cat(_) => Answers::Raw("bytes are printed as they are"),
            Self::Completions(_) | Self::Man(_) => Answers::Raw("this is text for another program"),
            Self::Run(_) | Self::Sql(_) => Answers::Statements,
            _ => Answers::Tables,
        }
    }

    /// What `run` prints, for those that SQL can call too.
    async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        match self {
            Self::Generate(command) => command.work(context).await,
            Self::Kmeans(command) => command.work(context).await,
            Self::Dbscan(command) => command.work(context).await,
            Self::Kdistance(command) => command.work(context).await,
            Self::Partition(command) => command.work(context).await,
            _ => Err(Error::internal("this command is no procedure").into()),
        }
    }

    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Generate(_)
            | Self::Kmeans(_)
            | Self::Dbscan(_)
            | Self::Kdistance(_)
            | Self::Partition(_) => {
                let done = self.work(context).await?;
                if done.answers.is_empty() { Ok(()) } else { context.print(&done.answers) }
            }
            Self::Run(command) => command.run(context).await,
            Self::Sql(command) => command.run(context).await,
            Self::Plot(command) => command.run(context).await,
            Self::Demo(command) => command.run(context).await,
            Self::Ls(command) => command.run(context).await,
            Self::Cat(command) => command.run(context).await,
            Self::Cp(command) => command.run(context).await,
            Self::Rm(command) => command.run(context).await,
            Self::Stat(command) => command.run(context).await,
            Self::Du(command) => command.run(context).await,
            Self::Tree(command) => command.run(context).await,
            Self::Head(command) => command.run(context).await,
            Self::Schema(command) => command.run(context).await,
            Self::Meta(command) => command.run(context).await,
            Self::Count(command) => command.run(context).await,
            Self::Summary(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Check(command) => command.run(context).await,
            Self::Recover(command) => command.run(context).await,
            Self::Gc(command) => command.run(context).await,
            Self::Unlock(command) => command.run(context).await,
            Self::Config(command) => command.run(context),
            Self::Completions(command) => command.run(context),
            Self::Man(command) => command.run(context),
        }
    }
}

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
    pub output: output::OutputFlags,

    /// What is told besides.
    #[command(flatten)]
    pub terminal: terminal::TerminalFlags,

    /// What to do if the output already holds a version
    #[arg(long, value_name = "MODE", default_value = "error")]
    pub mode: Mode,

    /// Memory for the whole process, such as 512MiB, 10g or 256MB [default: the machine's]
    #[arg(short, long = "memory-limit", value_name = "SIZE", value_parser = sizes::parse)]
    pub memory_limit_bytes: Option<u64>,

    /// Disk for what does not fit into memory
    #[arg(short, long = "disk-limit", value_name = "SIZE", value_parser = sizes::parse)]
    #[arg(hide_short_help = true)]
    pub disk_limit_bytes: Option<u64>,

    /// Worker threads [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// The same in the words of Spark: `local[N]`, `local[*]`
    #[arg(long, value_name = "MASTER", conflicts_with = "threads", hide_short_help = true)]
    pub master: Option<Master>,

    /// A setting of the engine, `datafusion.…=value`; may be repeated
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = settings::parse)]
    #[arg(hide_short_help = true)]
    pub settings: Vec<(String, String)>,

    /// A name for the record of this run
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    pub name: Option<String>,

    /// How storage is reached; last, since it opens a heading of its own.
    #[command(flatten)]
    pub storage: StorageOptions,
}

impl Flags {
    /// The number of worker threads.
    pub fn threads(&self) -> NonZeroUsize {
        let asked = self.master.map_or(self.threads, |Master(threads)| threads);
        asked.unwrap_or_else(process::cores)
    }
}

/// What a command works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The flags of every command, as given.
    pub flags: Flags,
    /// The whole command line for the record of a run: the names and values of the command's
    /// arguments with their defaults, and of the global flags that were given. No secrets.
    pub arguments: Vec<(String, String)>,
    /// What files and variables say of settings of this program.
    pub configured: Vec<Told>,
    /// Every store that the command opens.
    pub stores: Arc<Stores>,
    /// Whom a driver reports to.
    pub watch: Arc<Progress>,
    terminal: Terminal,
    output: Output,
    session: OnceLock<Session>,
}

impl Context {
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

    /// Begins a run on `out`; tells if a version that is there is kept.
    ///
    /// # Errors
    /// See [`Run::begin`].
    async fn begin(&self, out: &Location, inputs: Vec<InputRecord>) -> crate::error::Result<Begin> {
        let options =
            RunOptions { mode: self.flags.mode, arguments: self.arguments.clone(), inputs };
        let begun = Run::begin(&self.stores, out, options).await?;
        if let Begin::Kept(manifest) = &begun {
            let version = manifest.version;
            self.note(&format!("kept '{out}' as it is, version {version} (--mode ignore)"));
        }
        Ok(begun)
    }

    /// Tells a line on standard error, unless quiet.
    pub fn note(&self, message: &str) {
        self.terminal.note(message);
    }

    /// Prints the answer of the command: once, at its end.
    ///
    /// # Errors
    /// See [`Output::print`].
    pub fn print(&self, answers: &[Answer]) -> anyhow::Result<()> {
        self.output.print(answers)
    }

    /// Tells an error that does not end the command; the exit code that it means.
    pub fn tell(&self, error: anyhow::Error) -> u8 {
        exit::tell(error, &self.terminal)
    }

    /// Begins an answer of several results.
    ///
    /// # Errors
    /// See [`Output::open`].
    pub fn results(&self) -> crate::error::Result<output::Results<'_>> {
        self.output.open()
    }

    /// Prints a picture or another text, in the place of an answer.
    ///
    /// # Errors
    /// See [`Output::print_text`].
    pub fn print_text(&self, text: &str) -> anyhow::Result<()> {
        self.output.print_text(text)
    }
}

/// Parses `arguments`, runs the command, tells what went wrong, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let around = Surroundings::look();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parser = command().color(around.clap_color(color_asked_for(&arguments)));
    let matches = match parser.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let configured = config::fill(&mut cli.flags);
    let terminal = Terminal::new(&cli.flags.terminal, around);
    let work = || configured.and_then(|told| start(cli, told, &matches, around, &terminal));
    let code = exit::code_of(&terminal, work);
    ExitCode::from(code)
}

/// Checks the flags, then runs the command on its threads.
fn start(
    cli: Cli,
    configured: Vec<Told>,
    matches: &ArgMatches,
    around: Surroundings,
    terminal: &Terminal,
) -> crate::error::Result<process::End<anyhow::Result<()>>> {
    logging::start(&cli.flags.terminal, terminal)?;
    settings::check(&cli.flags.settings)?;
    let threads = cli.flags.threads();
    let context = Context {
        arguments: recorded(matches),
        configured,
        watch: Arc::new(Progress::new(terminal.clone())),
        session: OnceLock::new(),
        terminal: terminal.clone(),
        output: Output::new(&cli.flags.output, around, terminal, cli.command.answers())?,
        stores: Stores::new(cli.flags.storage.clone()),
        flags: cli.flags,
    };
    let interrupts = match &cli.command {
        Command::Sql(sql) if sql.asks() => process::Interrupts::Stay,
        _ => process::Interrupts::End,
    };
    let work = async move { cli.command.run(&context).await };
    process::run(threads, terminal, interrupts, Box::pin(work))
}

/// The parser, with every flag of the program understood before and behind the command's name.
pub fn command() -> clap::Command {
    Cli::command().mut_args(|flag| flag.global(true))
}

/// Wrong usage, or the text of `--help` and `--version`; a reader who left early is content.
fn usage(error: &clap::Error) -> ExitCode {
    error.print().ok();
    let code = u8::try_from(error.exit_code()).unwrap_or(Kind::Usage.exit_code());
    ExitCode::from(code)
}

/// `--color` as clap has to know it before it has parsed anything.
fn color_asked_for(arguments: &[OsString]) -> Color {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mut asked = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--color") {
            Some("") => asked = words.next(),
            Some(value) => asked = value.strip_prefix('='),
            None if word == "--" => break,
            None => {}
        }
    }
    asked.and_then(|value| Color::from_str(value, false).ok()).unwrap_or_default()
}

/// The command line as names and values; see [`Context::arguments`].
fn recorded(matches: &ArgMatches) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let mut values = Vec::new();
    let root = command();
    let (mut parser, mut matches) = (&root, matches);
    loop {
        for argument in parser.get_arguments() {
            let name = argument.get_long().unwrap_or(argument.get_id().as_str());
            let id = argument.get_id().as_str();
            let given = matches.value_source(id) == Some(ValueSource::CommandLine);
            if !given && words.is_empty() {
                continue; // a global flag at its default says nothing about the run
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                values.push((name.to_owned(), exit::redacted(&value.to_string_lossy())));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_color_is_known_before_parsing() {
        let asked = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            color_asked_for(&words)
        };
        assert_eq!(asked("pleiad generate --color never"), Color::Never);
        assert_eq!(asked("pleiad --color=always generate"), Color::Always);
        assert_eq!(asked("pleiad -- --color=always"), Color::Auto);
        assert_eq!(asked("pleiad --color"), Color::Auto);
        assert_eq!(asked("pleiad --color mauve"), Color::Auto);
    }

    #[test]
    fn a_run_records_its_arguments_with_defaults_and_without_secrets() {
        let line =
            "pleiad --threads 3 generate people s3://k:secret@bucket/out --seed 7 -q --name x";
        let matches = command().try_get_matches_from(line.split(' ')).expect("a valid line");
        let expected = [
            ("command", "generate people"),
            ("quiet", "true"),
            ("threads", "3"),
            ("name", "x"),
            ("out", "s3://***@bucket/out"),
            ("rows", "100000"),
            ("seed", "7"),
            ("slice", "1/1"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(recorded(&matches), expected);
    }

    #[test]
    fn a_master_counts_as_threads() {
        let threads = |line: &str| {
            let matches = command().try_get_matches_from(line.split(' ')).expect("a valid line");
            Cli::from_arg_matches(&matches).expect("a valid line").flags.threads()
        };
        assert_eq!(threads("pleiad --master local[3] generate people x").get(), 3);
        assert_eq!(threads("pleiad generate people x --threads 5").get(), 5);
        assert_eq!(threads("pleiad generate people x --master local[*]"), process::cores());
    }
}
