//! The command line: the only part of the library that prints.
//!
//! Data goes to standard output and nothing else does; progress, warnings, logs and errors go to
//! standard error. A command is a struct of its arguments, whose documentation is its `--help`, with
//! two worked examples, and a `run` that opens, calls a driver and prints. A new command
//! is a file in `commands/`, a variant of `Command` and an arm of its `run`; one that SQL can call
//! too is a variant of `Procedure`.

pub mod answer; // the tables that a command answers with
mod commands; // one file a command
pub mod config; // settings from files and variables
pub mod context; // what a command works with
pub mod exit; // exit codes, the error chain, panics
mod formats; // table, csv, json, …: tables to bytes
mod help; // what -h and --help print
pub mod logging; // log lines
pub mod output; // where the answer of a command goes
mod pager; // a program that shows long texts
pub mod process; // threads and signals
mod live; // a line a standing query
pub mod progress; // bars and lines from events
pub mod results; // an answer of several results
mod resume_offer; // what Ctrl-C leaves to go on from
pub mod settings; // `--conf`, and habits of spark-submit
pub mod secrets; // what is hidden in messages and records
mod sink; // standard output, or a file
mod stages; // stages as tests see them
pub mod terminal; // who reads standard error
mod trust; // which project files may say how storage is reached
mod visible; // text that steers no terminal

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::Kind;
use crate::storage::ShownSetting;
use commands::procedure::Procedure;
use commands::{
    cat, check, completions, config as config_command, count, cp, demo, du, feed, find, gc, head,
    ls, man, mb, meta, mirror, mv, plot, presign, recover, rm, rollback, run, schema, show, sql,
    stat, summary, tree, unlock,
};
use context::{Context, Flags, recorded};
use exit::after;
use output::{AnswerKind, Output};
use secrets::Secrets;
use terminal::{Color, Terminal, TerminalEnv};
use visible::{Visible, visible_line};

/// Partition and cluster tables kept as Parquet on S3-compatible storage or local disks
///
/// New here? Run `pleiad demo`. It needs no input and takes less than a minute.
///
/// If `aws` or `mc` already works in your shell, pleiad needs no configuration. A location is a path,
/// s3://bucket/prefix, or alias/bucket/prefix with an alias of `mc`.
///
/// Results go to standard output, everything else to standard error.
///
/// You can set --threads, --memory-limit, --disk-limit, --timeout, --no-progress, --endpoint-url,
/// --region, --profile and --virtual-host once for all commands: as a variable
/// (PLEIAD_MEMORY_LIMIT=10g), in ./pleiad.toml, or in ~/.config/pleiad/config.toml
/// (memory-limit = "10g"). Flags win over variables, variables over files. `pleiad config show --origin`
/// shows which value is used. The last four count in ./pleiad.toml only after `pleiad config trust`.
#[derive(Debug, Parser)]
#[command(name = "pleiad", version, max_term_width = 100, after_long_help = exit::help())]
struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub flags: Flags,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

// A comment of documentation would hide what `--help` shows, here and on each variant.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Procedure(Procedure),
    Run(run::Run),
    Sql(sql::Sql),
    Plot(plot::Plot),
    Demo(demo::Demo),
    Feed(feed::FeedArgs),
    Ls(ls::Ls),
    Cat(cat::Cat),
    Cp(cp::Cp),
    Mv(mv::Mv),
    Mirror(mirror::Mirror),
    Find(find::Find),
    Rm(rm::Rm),
    Mb(mb::Mb),
    Presign(presign::Presign),
    Stat(stat::Stat),
    Du(du::Du),
    Tree(tree::Tree),
    Head(head::Head),
    Schema(schema::Schema),
    Meta(meta::Meta),
    Count(count::Count),
    Summary(summary::Summary),
    Show(show::Show),
    Check(check::Check),
    Recover(recover::Recover),
    Rollback(rollback::Rollback),
    Gc(gc::Gc),
    Unlock(unlock::Unlock),
    Config(config_command::Config),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    fn answer(&self) -> AnswerKind {
        match self {
            Self::Plot(_) => AnswerKind::Picture,
            Self::Cat(_) => AnswerKind::Raw("this command prints bytes as they are stored"),
            Self::Presign(_) => AnswerKind::Raw("this command prints links as text"),
            Self::Feed(_) => AnswerKind::Raw("this command prints lines as they are sent"),
            Self::Completions(_) | Self::Man(_) => {
                AnswerKind::Raw("this command prints text for another program")
            }
            Self::Run(_) | Self::Sql(_) => AnswerKind::Statements,
            _ => AnswerKind::Tables,
        }
    }

    fn secrets(&self) -> Secrets {
        match self {
            Self::Run(command) => command.script.secrets(),
            Self::Sql(command) => command.script.secrets(),
            _ => Secrets::default(),
        }
    }

    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Procedure(procedure) => {
                let done = procedure.work(context).await?;
                if done.answers.is_empty() {
                    return Ok(());
                }
                let printed = context.print(&done.answers);
                match done.published {
                    Some(out) => printed.map_err(|e| after(&format!("'{out}' is published"), e)),
                    None => printed,
                }
            }
            Self::Run(command) => command.run(context).await,
            Self::Sql(command) => command.run(context).await,
            Self::Plot(command) => command.run(context).await,
            Self::Demo(command) => Box::pin(command.run(context)).await,
            Self::Feed(command) => command.run(context).await,
            Self::Ls(command) => command.run(context).await,
            Self::Cat(command) => command.run(context).await,
            Self::Cp(command) => command.run(context).await,
            Self::Mv(command) => command.run(context).await,
            Self::Mirror(command) => command.run(context).await,
            Self::Find(command) => command.run(context).await,
            Self::Rm(command) => command.run(context).await,
            Self::Mb(command) => command.run(context).await,
            Self::Presign(command) => command.run(context).await,
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
            Self::Rollback(command) => command.run(context).await,
            Self::Gc(command) => command.run(context).await,
            Self::Unlock(command) => command.run(context).await,
            Self::Config(command) => command.run(context),
            Self::Completions(command) => command.run(context, self::command()),
            Self::Man(command) => command.run(context, self::command()),
        }
    }
}

/// Parses `arguments`, runs the command, reports what went wrong, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let around = TerminalEnv::look();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map_or_else(String::new, |name| name.display().to_string());
    let parser = command().color(around.clap_color(color_asked_for(&arguments)));
    let matches = match parser.try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let color = around.clap_color(color_asked_for(&arguments));
            help::print(command(), &error, &arguments, &around, color);
            return ExitCode::SUCCESS;
        }
        Err(error) => return usage(&error, &arguments),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    let configured = config::fill(&mut cli.flags);
    let secrets = cli.command.secrets();
    let terminal = Terminal::new(&cli.flags.terminal, around).hiding(secrets);
    let work = || {
        configured
            .and_then(|configured| start(program, cli, configured, &matches, around, &terminal))
    };
    let code = exit::code_of(&terminal, work);
    ExitCode::from(code)
}

/// Checks the flags, then runs the command on its threads.
fn start(
    program: String,
    cli: Cli,
    configured: Vec<ShownSetting>,
    matches: &ArgMatches,
    around: TerminalEnv,
    terminal: &Terminal,
) -> crate::error::Result<process::End<anyhow::Result<()>>> {
    logging::start(&cli.flags.terminal, terminal)?;
    settings::check(&cli.flags.settings)?;
    let threads = cli.flags.threads();
    let output = Output::new(&cli.flags.output, around, terminal, cli.command.answer())?;
    let arguments = recorded(&command(), matches, terminal.secrets());
    let context = Context::new(program, cli.flags, arguments, configured, terminal, output);
    let interrupts = match &cli.command {
        Command::Sql(sql) if sql.asks() => process::Interrupts::Stay,
        _ => process::Interrupts::End,
    };
    let work = async move {
        let ran = Box::pin(cli.command.run(&context)).await;
        context.warn_of_skipped();
        ran
    };
    process::run(threads, terminal, interrupts, Box::pin(work))
}

/// The parser, with every flag of the program understood before and behind the command's name.
pub fn command() -> clap::Command {
    let flags = Cli::command().mut_args(|flag| {
        let is_common = help::is_common(&flag);
        flag.global(true).hide_short_help(!is_common)
    });
    help::with_help_flag(flags).mut_subcommands(help::with_examples_first)
}

/// Wrong usage, or the text of `--version`; a reader who left early is not an error.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    // A message repeats arguments, which may be names that a shell found; in colour both look alike.
    let is_plain = |word: &OsString| word.to_str().is_some_and(|text| visible_line(text) == text);
    if error.use_stderr() && !arguments.iter().all(is_plain) {
        let message = error.render().to_string();
        Visible::new(std::io::stderr()).write_all(message.as_bytes()).ok();
    } else {
        error.print().ok();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_has_its_flag() {
        let flags = command();
        for name in config::names() {
            let known = flags.get_arguments().any(|flag| flag.get_long() == Some(name));
            assert!(known, "{name}");
        }
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
        assert_eq!(recorded(&command(), &matches, &Secrets::default()), expected);
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
