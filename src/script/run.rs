//! One statement: parsed, planned, and run by the engine or by us.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{
    DdlStatement, Expr, FetchType, LogicalPlan, SkipType, Statement as PlanStatement, WriteOp,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast;
use futures::stream::{self, StreamExt};
use tokio::time::{Instant, interval_at};

use super::dialect::{
    self, Form, folders_by_location, form_of, in_the_case_of_its_column, named_columns, with_select,
};
use super::interrupt::{Interruptible, guarded, in_a_task};
use super::procedure::{NamedTable, Procedures};
use super::standing_queries::ListStanding;
use super::statements::Statement;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::session::Session;
use crate::stream::{Console, Follower, StandingQueries};
use crate::table::{ExternalTables, FormatKind, Guesses, Keep, Mode, format};

/// The query of `SHOW TABLES`.
const SHOW_TABLES: &str = include_str!("../../sql/steps/show_tables.sql");

/// The query of `SHOW FUNCTIONS`.
const SHOW_FUNCTIONS: &str = include_str!("../../sql/steps/show_functions.sql");

/// Bytes of rows that a query holds back until it is known that what it guessed is right.
const HELD_BYTES: usize = 8 << 20;

/// How often a query reports how far it is; also how long it may take before its first report.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What runs statements, one after the other, and keeps what they make known.
pub struct Script {
    pub(super) session: Session,
    pub(super) procedures: Arc<dyn Procedures>,
    pub(super) mode: Mode,
    pub(super) keep: Keep,
    pub(super) arguments: Vec<(String, String)>,
    pub(super) watch: Arc<dyn Observer>,
    interruptible: Arc<Interruptible>,
    pub(super) standing: Arc<StandingQueries>,
    pub(super) console: Option<Arc<dyn Console>>,
    pub(super) follower: Option<Arc<dyn Follower>>,
    pub(super) is_batch: bool,
    pub(super) is_replay: bool,
}

/// What a statement answers.
pub enum StatementResult {
    /// Nothing to see.
    Nothing,
    /// Rows, while they come; an error among them has no line and column yet: see [`Statement::failed`].
    Rows(SendableRecordBatchStream),
    /// The tables of a procedure or a write.
    Tables(Vec<NamedTable>),
    /// A query to run again and again.
    Watch(Watch),
}

/// A query to run again and again.
#[derive(Debug)]
pub struct Watch {
    /// The query.
    pub query: Statement,
    /// How long after its answer it runs again.
    pub every: Duration,
    /// How often it runs.
    pub times: u64,
}

impl Script {
    /// A script over `session` and what it knows. Writes have `mode` where they say nothing else, and
    /// record `arguments`, which hold no secrets.
    pub fn new(
        session: &Session,
        procedures: Arc<dyn Procedures>,
        mode: Mode,
        arguments: Vec<(String, String)>,
        watch: Arc<dyn Observer>,
    ) -> Self {
        let interruptible = Arc::new(Interruptible::default());
        let session = session.scripting().with_last_rule(Arc::clone(&interruptible) as _);
        dialect::teach(&session);
        let standing = Arc::new(StandingQueries::default());
        let listed = Arc::new(ListStanding::new(&standing));
        session.context().register_udtf("standing_queries", listed);
        let (keep, console, follower) = (Keep::Nothing, None, None);
        let (is_batch, is_replay) = (false, false);
        Self {
            session,
            procedures,
            mode,
            keep,
            arguments,
            watch,
            interruptible,
            standing,
            console,
            follower,
            is_batch,
            is_replay,
        }
    }

    /// The same script, whose standing queries show their batches on `console`.
    #[must_use]
    pub fn showing(self, console: Arc<dyn Console>) -> Self {
        Self { console: Some(console), ..self }
    }

    /// The same script; `follower` is told of each batch of its standing queries.
    #[must_use]
    pub fn followed(self, follower: Option<Arc<dyn Follower>>) -> Self {
        Self { follower, ..self }
    }

    /// The same script; in a batch, tables without an end are read once as they are.
    #[must_use]
    pub fn in_batch(self, is_batch: bool) -> Self {
        Self { is_batch, ..self }
    }

    /// The same script; in a replay, rows for files are compared with those that are there.
    #[must_use]
    pub fn in_replay(self, is_replay: bool) -> Self {
        Self { is_replay, ..self }
    }

    /// The standing queries that statements have started.
    pub fn standing(&self) -> &StandingQueries {
        &self.standing
    }

    /// The same script, whose overwrites keep the files that they replace.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// The session in which statements run.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs one statement, of a query up to its first rows. Dropped, with its rows, it ends within a batch.
    ///
    /// # Errors
    /// What is wrong, below the place and first line of the statement.
    pub async fn run(&self, statement: &Statement) -> Result<StatementResult> {
        let guard = self.interruptible.begin();
        Ok(match self.run_one(statement).await? {
            StatementResult::Rows(rows) => StatementResult::Rows(guarded(rows, guard)),
            other => other,
        })
    }

    async fn run_one(&self, statement: &Statement) -> Result<StatementResult> {
        let _ended = Ended(self.watch.as_ref());
        if let Some(query) = statement.summarized() {
            let sums = self.summarize(&query).await;
            return sums.map_err(|cause| self.explained(statement, cause));
        }
        let parsed = self.parse(statement).map_err(|cause| statement.failed(cause))?;
        let parsed = match form_of(parsed).map_err(|cause| statement.refused(cause))? {
            Form::Runs(parsed) => parsed,
            Form::Transaction => {
                self.watch.report(Event::Warning(
                    "there are no transactions: BEGIN and COMMIT do nothing, and each statement is \
                     final when it has run"
                        .to_owned(),
                ));
                return Ok(StatementResult::Nothing);
            }
        };
        match parsed {
            Parsed::Statement(parsed) => match *parsed {
                ast::Statement::Call(call) => {
                    self.call(&call).await.map_err(|cause| statement.refused(cause))
                }
                // The engine lists tables of its own, too.
                ast::Statement::ShowTables { show_options, .. }
                    if show_options.filter_position.is_none() && show_options.show_in.is_none() =>
                {
                    let plan = self.session.plan(SHOW_TABLES, &[], Vec::new()).await;
                    let plan = plan.map_err(|cause| self.explained(statement, cause))?;
                    let ran = self.run_plan(plan).await;
                    ran.map_err(|cause| self.explained(statement, cause))
                }
                ast::Statement::CreateView(view) if view.materialized => {
                    let created = self.create_view(view).await;
                    created.map_err(|cause| self.explained(statement, cause))
                }
                ast::Statement::Drop {
                    object_type: ast::ObjectType::MaterializedView,
                    if_exists,
                    names,
                    ..
                } => {
                    let dropped = self.drop_views(&names, if_exists).await;
                    dropped.map_err(|cause| statement.refused(cause))
                }
                ast::Statement::Insert(insert) if self.is_sink(&insert).await => {
                    let started = Box::pin(self.insert_into_sink(insert)).await;
                    started.map_err(|cause| self.explained(statement, cause))
                }
                ast::Statement::ShowFunctions { filter } => {
                    let pattern = pattern(filter).map_err(|cause| statement.refused(cause))?;
                    let values = vec![("pattern", ScalarValue::from(pattern))];
                    let plan = self.session.plan(SHOW_FUNCTIONS, &[], values).await;
                    let plan = plan.map_err(|cause| self.explained(statement, cause))?;
                    let ran = self.run_plan(plan).await;
                    ran.map_err(|cause| self.explained(statement, cause))
                }
                other => {
                    let parsed = Parsed::Statement(Box::new(other));
                    Box::pin(self.plan_and_run(statement, parsed)).await
                }
            },
            Parsed::CopyTo(copy) => {
                let copied = Box::pin(self.copy(copy)).await;
                copied.map_err(|cause| self.explained(statement, cause))
            }
            other => Box::pin(self.plan_and_run(statement, other)).await,
        }
    }

    pub(super) fn parse(&self, statement: &Statement) -> Result<Parsed, DataFusionError> {
        let limit = self.session.state().config().options().sql_parser.recursion_limit.get();
        let tokens = with_select(&statement.tokens);
        let parser = DFParserBuilder::new(tokens).with_recursion_limit(limit);
        let mut parsed = parser.build()?.parse_statements()?;
        match (parsed.pop_front(), parsed.is_empty()) {
            (Some(parsed), true) => Ok(parsed),
            _ => Err(Error::internal("a statement is not one statement").into()),
        }
    }

    async fn plan_and_run(&self, statement: &Statement, parsed: Parsed) -> Result<StatementResult> {
        if let Parsed::Statement(inner) = &parsed
            && let ast::Statement::Insert(insert) = inner.as_ref()
        {
            let finished = self.before_insert(insert).await;
            finished.map_err(|cause| self.explained(statement, cause))?;
        }
        let needed = named_columns(&parsed, &statement.tokens).map(Arc::new);
        let plan_by = |guesses| {
            let planning = self.plan(parsed.clone());
            ExternalTables::looking_at(needed.clone(), guesses, planning)
        };
        let guesses = Arc::new(Guesses::default());
        let may_guess = matches!(&parsed, Parsed::Statement(inner)
            if matches!(inner.as_ref(), ast::Statement::Query(_)));
        let mut planned = plan_by(may_guess.then(|| Arc::clone(&guesses))).await;
        if !guesses.is_empty() {
            if let Ok(plan) = planned
                && let Some(rows) = self.confirmed(plan, &guesses).await
            {
                return Ok(StatementResult::Rows(rows));
            }
            planned = plan_by(None).await;
        }
        let plan = planned.map_err(|cause| self.explained(statement, cause))?;
        let ran = self.run_plan(plan).await;
        ran.map_err(|cause| self.explained(statement, cause))
    }

    /// The plan of a statement; a column that is found in other letters only is taken.
    pub(super) async fn plan(&self, mut parsed: Parsed) -> Result<LogicalPlan, DataFusionError> {
        let known = self.table_names();
        let mut folders = folders_by_location(&mut parsed, &|_name| false);
        folders.retain(|name| !known.contains(name));
        for name in folders {
            let Ok(location) = self.session.stores().parse(&format!("./{name}")) else { continue };
            if location.is_directory().await {
                folders_by_location(&mut parsed, &|other| other == name);
            }
        }
        loop {
            match self.session.state().statement_to_plan(parsed.clone()).await {
                Ok(plan) => return Ok(plan),
                // Each turn puts one name in quotes, so there is a last one.
                Err(cause) => match in_the_case_of_its_column(&parsed, &cause) {
                    Some(changed) => parsed = changed,
                    None => return Err(cause),
                },
            }
        }
    }

    async fn run_plan(&self, plan: LogicalPlan) -> Result<StatementResult, DataFusionError> {
        refuse_hidden_writes(&plan)?;
        match &plan {
            LogicalPlan::Dml(write) => {
                let target = source_as_provider(&write.target)?;
                if let WriteOp::Insert(how) = write.op
                    && !target.is::<MemTable>()
                {
                    let input = write.input.as_ref().clone();
                    let inserted = self.insert(&write.table_name, target.as_ref(), input, how);
                    return Ok(Box::pin(inserted).await?);
                }
            }
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) if create.unbounded => {
                return Ok(self.create_stream(create)?);
            }
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create))
                if self.makes_sink(create) =>
            {
                return Ok(self.create_sink(create)?);
            }
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create))
                if FormatKind::stored_as(&create.file_type).is_none() =>
            {
                return Err(Error::usage(format!(
                    "format '{}' is not known, expected {}",
                    create.file_type,
                    format::known_words()
                ))
                .into());
            }
            _ => {}
        }
        let has_rows = match &plan {
            LogicalPlan::Ddl(_) => false,
            LogicalPlan::Statement(inner) => matches!(inner, PlanStatement::Execute(_)),
            _ => true,
        };
        let context = self.session.context().clone();
        let frame = SpawnedTask::spawn(async move { context.execute_logical_plan(plan).await });
        let frame = frame
            .await
            .map_err(|cause| Error::internal("a statement panicked").caused_by(cause))??;
        match has_rows {
            true => Ok(StatementResult::Rows(self.rows(frame).await?)),
            false => Ok(StatementResult::Nothing),
        }
    }

    /// The rows of a query that has guessed what files hold, once it is known that it was right: all rows were read,
    /// or those that are shown were seen before. `None` if it was not, or fails, or would show rows before.
    async fn confirmed(
        &self,
        plan: LogicalPlan,
        guesses: &Guesses,
    ) -> Option<SendableRecordBatchStream> {
        let are_first = first_rows(&plan).is_some_and(|rows| guesses.have_seen(rows));
        let StatementResult::Rows(rows) = self.run_plan(plan).await.ok()? else { return None };
        let (schema, mut rows) = (rows.schema(), rows.fuse());
        let (mut held, mut bytes, mut is_right) = (Vec::new(), 0, false);
        while !is_right && bytes <= HELD_BYTES {
            let Some(batch) = rows.next().await else {
                is_right = are_first || guesses.are_confirmed();
                break;
            };
            let batch = batch.ok()?;
            bytes += batch.get_array_memory_size();
            held.push(Ok(batch));
            is_right = guesses.are_confirmed();
        }
        let all = stream::iter(held).chain(rows);
        let all: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, all));
        is_right.then_some(all)
    }

    /// The rows of a query. One that takes long reports how many it has read until its first are there.
    pub(super) async fn rows(
        &self,
        query: DataFrame,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let context = Arc::new(query.task_ctx());
        let plan = query.create_physical_plan().await?;
        let mut rows = in_a_task(execute_stream(Arc::clone(&plan), context)?);
        let mut ticks = interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
        let mut is_shown = false;
        let first = loop {
            tokio::select! {
                first = rows.next() => break first,
                _ = ticks.tick() => {
                    if !is_shown {
                        is_shown = true;
                        self.stage("reading");
                    }
                    self.watch.report(Event::Progress { done: rows_read(plan.as_ref()) });
                }
            }
        };
        let all = stream::iter(first).chain(rows);
        Ok(Box::pin(RecordBatchStreamAdapter::new(plan.schema(), all)))
    }

    /// The columns of all tables and views, sorted.
    pub async fn column_names(&self) -> BTreeSet<String> {
        let mut columns = BTreeSet::new();
        for name in self.table_names() {
            let Ok(table) = self.session.context().table_provider(name.as_str()).await else {
                continue;
            };
            columns.extend(table.schema().fields().iter().map(|field| field.name().clone()));
        }
        columns
    }

    /// The tables and views that statements have made known, sorted.
    pub fn table_names(&self) -> BTreeSet<String> {
        let state = self.session.state();
        let defaults = &state.config().options().catalog;
        let catalog = state.catalog_list().catalog(&defaults.default_catalog);
        let schema = catalog.and_then(|catalog| catalog.schema(&defaults.default_schema));
        schema.map(|schema| schema.table_names().into_iter().collect()).unwrap_or_default()
    }
}

/// How many of the first rows of one table a query asks for, if it does nothing else.
fn first_rows(plan: &LogicalPlan) -> Option<u64> {
    let LogicalPlan::Limit(limit) = plan else { return None };
    let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(Some(fetch)))) =
        (limit.get_skip_type(), limit.get_fetch_type())
    else {
        return None;
    };
    let mut input = limit.input.as_ref();
    loop {
        input = match input {
            LogicalPlan::Projection(columns)
                if columns.expr.iter().all(|column| matches!(column, Expr::Column(_))) =>
            {
                columns.input.as_ref()
            }
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::TableScan(_) => return u64::try_from(skip.checked_add(fetch)?).ok(),
            _ => return None,
        };
    }
}

/// Rows that have left the scans of a plan.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let inputs = plan.children();
    if inputs.is_empty() {
        return plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0) as u64;
    }
    inputs.into_iter().map(|input| rows_read(input.as_ref())).sum()
}

/// Reports that a stage is over, however the statement that began it ended.
struct Ended<'a>(&'a dyn Observer);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.report(Event::Done);
    }
}

/// The pattern of `SHOW FUNCTIONS`.
fn pattern(filter: Option<ast::ShowStatementFilter>) -> Result<String> {
    match filter {
        None => Ok("%".to_owned()),
        Some(ast::ShowStatementFilter::Like(pattern)) => Ok(pattern),
        Some(_) => Err(Error::usage("SHOW FUNCTIONS takes LIKE 'pattern' and no other filter")),
    }
}

/// EXPLAIN ANALYZE would run the write below it.
fn refuse_hidden_writes(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    let input = match plan {
        LogicalPlan::Analyze(analyze) => &analyze.input,
        LogicalPlan::Explain(explain) => &explain.plan,
        _ => return Ok(()),
    };
    match input.as_ref() {
        LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Ddl(_) => {
            Err(Error::usage("EXPLAIN works on queries only: explain the SELECT alone").into())
        }
        _ => Ok(()),
    }
}
