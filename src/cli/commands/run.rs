//! `pleiad run`: a script of SQL.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use datafusion::error::DataFusionError;
use secrecy::{ExposeSecret, SecretString};

use super::batch_log::{All, BatchLog};
use super::batches::Batches;
use super::call::Calls;
use crate::cli::answer::Answer;
use crate::cli::context::{Context, SECRETS, VARIABLES};
use crate::cli::exit::{AlreadyReported, StdoutClosed, after};
use crate::cli::live::LiveLines;
use crate::cli::results::Results;
use crate::cli::secrets::Secrets;
use crate::cli::terminal;
use crate::error::{Error, Result};
use crate::intervals;
use crate::script::{self, Script, Statement, StatementResult, Variables};
use crate::stream::Follower;

/// Run a SQL script
///
/// Runs the statements in order and prints the rows of each. The first error stops the script; the
/// message names file, line and column. `${name}` is replaced by the value of a variable (--set): by a
/// string or a number, or by plain text where it is inside quotes.
///
/// After FROM you can write the name of a table, or a location in quotes: FROM 's3://bucket/x.parquet'.
/// CALL runs generate, partition, kmeans, predict, dbscan or kdistance: CALL kmeans(input => 'people',
/// columns => 'age,weight', k => 7, into => 'm') makes the tables m_model, m_figures and so on. CALL wait,
/// watch and stop are for standing queries.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad run people.sql --set out=demo --set rows=500
  pleiad run people.sql --set out=demo --set rows=500 --mode overwrite --json")]
pub(crate) struct Run {
    /// The script; `-` reads standard input
    #[arg(value_name = "FILE.sql")]
    file: PathBuf,

    #[command(flatten)]
    pub(crate) script: ScriptFlags,
}

/// What all scripts understand.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ScriptFlags {
    /// Set a variable of the script, which is written ${NAME} there; may be repeated
    #[arg(id = VARIABLES, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,

    /// Set a variable whose value is shown in no message, log or record; may be repeated
    ///
    /// NAME alone takes the value of the environment variable NAME, so that it is not in the list of
    /// processes. Values of --set are kept out of records, too, if NAME contains `password`, `token`,
    /// `secret`, `key` or `credential`.
    #[arg(id = SECRETS, long, value_name = "NAME[=VALUE]", hide_short_help = true)]
    pub secrets: Vec<SecretString>,

    /// Continue after a statement that fails; the exit code is that of the first failure
    #[arg(long)]
    pub keep_going: bool,

    /// Read tables without an end once as they are now, and run each query over them to its end
    #[arg(long, hide_short_help = true)]
    pub batch: bool,

    /// With --batch: compare what standing queries have put into files with the answer of the batch
    #[arg(long, requires = "batch", hide_short_help = true)]
    pub replay: bool,

    /// Add a line of JSON for each batch of standing queries to this file
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub progress_file: Option<PathBuf>,

    /// Stop standing queries this long after the last statement; default: when their sources end
    #[arg(long, value_name = "TIME", value_parser = time, hide_short_help = true)]
    pub run_for: Option<Duration>,
}

/// Takes a time such as `10s` or `2 minutes`.
fn time(text: &str) -> Result<Duration, String> {
    intervals::parse(text).ok_or_else(|| "expected a time such as 10s or '2 minutes'".to_owned())
}

/// Takes `NAME=VALUE` apart.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if script::is_name(name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) => Err(format!("'{name}' is not a name: use letters, digits and '_'")),
        None => Err("expected NAME=VALUE".to_owned()),
    }
}

impl ScriptFlags {
    /// All variables.
    ///
    /// # Errors
    /// A secret one that has no name, or no value.
    pub(super) fn variables(&self) -> Result<Variables> {
        let mut variables: Variables = self.variables.iter().cloned().collect();
        for given in &self.secrets {
            let given = given.expose_secret();
            let name = given.split_once('=').map_or(given, |(name, _)| name);
            if !script::is_name(name) {
                return Err(Error::usage(
                    "--set-secret has something that is not a name before '=': use letters, digits \
                     and '_'",
                ));
            }
            let value = secret_value(given).ok_or_else(|| {
                Error::usage(format!(
                    "--set-secret {name} takes its value from the variable {name} of the \
                     environment, which is not set: set it, or pass --set-secret {name}=VALUE"
                ))
            })?;
            variables.insert(name.to_owned(), value);
        }
        Ok(variables)
    }

    /// The values that are shown to no one.
    pub(crate) fn secrets(&self) -> Secrets {
        let given = self.secrets.iter().filter_map(|given| secret_value(given.expose_secret()));
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Secrets::of(given.map(SecretString::from), variables)
    }
}

/// The value of `NAME=VALUE`, or that of the environment variable `NAME`.
fn secret_value(given: &str) -> Option<String> {
    match given.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => terminal::variable(given),
    }
}

impl Run {
    /// Runs the script and prints its rows.
    ///
    /// # Errors
    /// A script that cannot be read, and the first statement that fails.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (origin, text) = read(&self.file)?;
        run_texts(context, &self.script, &[(origin, text)]).await
    }
}

/// A script and what it is called.
pub(super) fn read(file: &Path) -> Result<(String, String)> {
    let shown = file.display().to_string();
    let cannot = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::missing(format!("script '{shown}' not found")),
        std::io::ErrorKind::InvalidData => Error::data(format!("script '{shown}' is not UTF-8")),
        _ => Error::io(format!("cannot read the script '{shown}'"), cause),
    };
    if shown == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return match read {
            Ok(_) => Ok(("standard input".to_owned(), text)),
            Err(cause) => Err(Error::io("cannot read standard input", cause)),
        };
    }
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    Ok((shown, text))
}

/// Runs texts, each with what it is called, and prints the rows of their statements.
pub(super) async fn run_texts(
    context: &Context,
    flags: &ScriptFlags,
    texts: &[(String, String)],
) -> anyhow::Result<()> {
    let variables = flags.variables()?;
    let mut statements = Vec::new();
    for (origin, text) in texts {
        statements.extend(script::split(origin, text, &variables)?);
    }
    let live = context.live_lines();
    let script = start(context, flags, live.clone().map(|live| live as _))?;
    let mut results = context.results()?;
    let mut first = None;
    for statement in &statements {
        let ran = run_one(&script, statement, &mut results, live.as_deref()).await;
        let Err(error) = ran else { continue };
        if !flags.keep_going || error.is::<StdoutClosed>() {
            return Err(error);
        }
        let code = context.report(error);
        first.get_or_insert(AlreadyReported(code));
    }
    results.finish()?;
    shown(live.as_deref(), script.standing().finish(flags.run_for)).await?;
    first.map_or(Ok(()), |first| Err(first.into()))
}

/// A script with the flags of the command line; `live` follows its standing queries.
pub(super) fn start(
    context: &Context,
    flags: &ScriptFlags,
    live: Option<Arc<dyn Follower>>,
) -> Result<Script> {
    let session = context.session()?;
    let procedures = Arc::new(Calls::new(context));
    let (mode, arguments) = (context.flags.mode, context.arguments.clone());
    let watch = Arc::clone(&context.watch);
    let script = Script::new(&session, procedures, mode, arguments, watch);
    let console = Arc::new(Batches { context: context.clone() });
    let mut followers: Vec<Arc<dyn Follower>> = live.into_iter().collect();
    if let Some(path) = &flags.progress_file {
        followers.push(Arc::new(BatchLog::open(path)?));
    }
    let follower = (!followers.is_empty()).then(|| Arc::new(All(followers)) as _);
    let script = script.keeping(context.flags.keep()).showing(console).followed(follower);
    Ok(script.in_batch(flags.batch).in_replay(flags.replay))
}

/// Does `work` while the lines of standing queries are shown.
async fn shown<T>(live: Option<&LiveLines>, work: impl Future<Output = T>) -> T {
    live.inspect(|live| live.show());
    let done = work.await;
    live.inspect(|live| live.hide());
    done
}

/// What a statement has printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// Rows of a query.
    Rows(u64),
    /// Tables of a procedure or a write.
    Tables,
    /// Nothing.
    Silent,
}

/// Runs one statement and prints what it answers.
pub(super) async fn run_one(
    script: &Script,
    statement: &Statement,
    results: &mut Results<'_>,
    live: Option<&LiveLines>,
) -> anyhow::Result<Ran> {
    match shown(live, Box::pin(script.run(statement))).await? {
        StatementResult::Nothing => Ok(Ran::Silent),
        StatementResult::Watch(watch) => {
            let mut ran = Ran::Silent;
            for time in 0..watch.times {
                if time > 0 {
                    tokio::time::sleep(watch.every).await;
                }
                script.standing().well()?;
                ran = Box::pin(run_one(script, &watch.query, results, None)).await?;
                results.show_at_once()?;
            }
            Ok(ran)
        }
        StatementResult::Tables(tables) if tables.is_empty() => Ok(Ran::Silent),
        StatementResult::Tables(tables) => {
            let tables = tables.into_iter();
            let tables: Vec<Answer> = tables
                .map(|table| Answer::rows(table.name, table.rows.schema(), vec![table.rows]))
                .collect();
            let printed = results.tables(&tables);
            printed.map_err(|e| after("the statement has done its work", e))?;
            Ok(Ran::Tables)
        }
        StatementResult::Rows(rows) => {
            let printed = results.rows(rows).await;
            printed.map(Ran::Rows).map_err(|error| match error.downcast::<DataFusionError>() {
                Ok(engines) => statement.failed(engines).into(),
                Err(other) => other,
            })
        }
    }
}
