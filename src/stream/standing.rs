//! The standing queries of a session: started, listed, waited for and stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, Volatility};
use futures::future::{join_all, try_join_all};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::check;
use super::cut::{Incremental, Wanted};
use super::files::{FileSink, FileTarget};
use super::kept::Kept;
use super::late::{Late, input_with_keys};
use super::options::{OutputMode, QueryOptions};
use super::progress::Follower;
use super::query::{Console, Input, Query, Sink, Status};
use super::refresh::Refreshed;
use super::slot::{Slot, SlotTable};
use super::table::StreamTable;
use super::view::{Snapshot, StandingView};
use super::watermark::{Lateness, Watermark};
use crate::cleanup;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::session::Session;
use crate::table::ExternalTable;

/// The standing queries of a session.
#[derive(Default)]
pub struct StandingQueries {
    queries: Mutex<Vec<Arc<Known>>>,
}

/// A query that was started.
struct Known {
    name: String,
    sink: &'static str,
    status: watch::Receiver<Status>,
    stop: watch::Sender<bool>,
    late: Option<Arc<dyn TableProvider>>,
    is_told: AtomicBool,
    /// Ends with it.
    _task: SpawnedTask<()>,
}

impl Known {
    async fn ended(&self) -> Result<()> {
        let mut status = self.status.clone();
        status.wait_for(|status| status.end.is_some()).await.map(drop).ok(); // or it has died
        self.told()
    }

    async fn drained(&self) -> Result<()> {
        let mut status = self.status.clone();
        let drained = status.wait_for(|status| status.is_drained || status.end.is_some()).await;
        drained.map(drop).ok();
        self.told()
    }

    /// Its error, the first time that someone asks.
    fn told(&self) -> Result<()> {
        match self.end() {
            Some(Err(cause)) if !self.is_told.swap(true, Ordering::Relaxed) => {
                let what = format!("standing query '{}' has ended", self.name);
                Err(Error::new(cause.kind(), what).caused_by(cause))
            }
            _ => Ok(()),
        }
    }

    /// How it ended, if it did.
    fn end(&self) -> Option<Result<()>> {
        let end = self.status.borrow().end.clone();
        // The sender lives as long as the query.
        let has_died = end.is_none() && self.status.has_changed().is_err();
        if has_died { Some(Err(Error::internal("it has died"))) } else { end }
    }
}

/// What a query is started with.
pub struct Start<'a> {
    /// The name of its view or sink.
    pub name: &'a str,
    /// The session in which it was planned.
    pub session: &'a Session,
    /// Its plan, as planned.
    pub plan: LogicalPlan,
    /// How it runs.
    pub options: QueryOptions,
    /// Who hears of warnings.
    pub observer: Arc<dyn Observer>,
    /// Who is told of batches.
    pub follower: Option<Arc<dyn Follower>>,
}

impl StandingQueries {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Known>>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a query whose answer is a view, and gives the view.
    ///
    /// # Errors
    /// A query that cannot stand.
    pub async fn view(&self, start: Start<'_>) -> Result<Arc<dyn TableProvider>> {
        let planned = planned(&start, OutputMode::Complete).await?;
        let schema = planned.plan.above().plan.schema();
        let (newest, seen) = watch::channel(Arc::new(Snapshot::Rows(Vec::new())));
        self.begin(start, planned, Sink::View(newest))?;
        Ok(Arc::new(StandingView { schema, newest: seen }))
    }

    /// Starts a query whose answers a console shows.
    ///
    /// # Errors
    /// A query that cannot stand, or cannot be shown in that mode.
    pub async fn console(&self, start: Start<'_>, console: Arc<dyn Console>) -> Result<()> {
        let planned = planned(&start, OutputMode::Append).await?;
        self.begin(start, planned, Sink::Console(console))
    }

    /// The rows that came too late for the windows of the query `name`, if it closes windows.
    pub fn late(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.all().iter().rfind(|known| known.name == name)?.late.clone()
    }

    /// The same, without any, of a query that runs in a batch.
    pub async fn late_in_batch(start: &Start<'_>) -> Option<Arc<dyn TableProvider>> {
        match planned(start, OutputMode::Complete).await {
            Ok(planned) => planned.late.map(|late| Arc::clone(late.rows()) as _),
            // It need not stand.
            Err(_cannot_stand) => None,
        }
    }

    /// Starts a query whose batches are added to files. Their versions record `arguments`, which hold no
    /// secrets.
    ///
    /// # Errors
    /// A query that cannot stand, or whose rows the files cannot take.
    pub async fn files(
        &self,
        start: Start<'_>,
        target: FileTarget,
        arguments: Vec<(String, String)>,
    ) -> Result<()> {
        check::mode_of_files(start.options.mode.unwrap_or(OutputMode::Append))?;
        let planned = planned(&start, OutputMode::Append).await?;
        for (table, _) in &planned.streams {
            if of_stream(table)?.reads(&target.location) {
                return Err(Error::usage(format!(
                    "the query would read what it writes to '{}': insert into another folder",
                    target.location
                )));
            }
        }
        let schema = planned.plan.above().plan.schema();
        let sink = FileSink::new(start.session, target, arguments, &schema).await?;
        self.begin(start, planned, Sink::Files(Box::new(sink)))
    }

    fn begin(&self, start: Start<'_>, planned: Planned, sink: Sink) -> Result<()> {
        let Planned { plan, mode, late, streams, tables, state } = planned;
        warn_of_growth(&start, &plan, mode, late.is_some());
        let is_view = matches!(sink, Sink::View(_));
        let wanted = match mode {
            OutputMode::Append if plan.is_aggregate() && !plan.grouped().has_functions => {
                Wanted::New
            }
            OutputMode::Update if plan.is_aggregate() && !is_view => Wanted::Touched,
            _ => Wanted::Nothing,
        };
        let sources: Option<Vec<Lateness>> =
            streams.iter().map(|(table, _)| of_stream(table).ok()?.lateness()).collect();
        let inputs = streams.iter().map(|(table, slot)| {
            let (stream, slot) = (of_stream(table)?, Arc::clone(slot));
            let (limits, is_live) = (stream.limits(), stream.is_live());
            Ok(Input {
                name: stream.name().to_owned(),
                slot,
                cursor: stream.cursor()?,
                limits,
                is_live,
            })
        });
        let has_times = streams
            .iter()
            .any(|(table, _)| of_stream(table).is_ok_and(|table| table.time().is_some()));
        let kind = sink.word();
        let (status, seen) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(false);
        let rows = late.as_ref().map(|late| Arc::clone(late.rows()) as Arc<dyn TableProvider>);
        let query = Query {
            name: start.name.to_owned(),
            inputs: inputs.collect::<Result<Vec<_>>>()?,
            plan,
            mode,
            trigger: start.options.trigger,
            sink,
            status,
            stop: stopped,
            observer: start.observer,
            wanted,
            watermark: sources.map(|sources| Watermark::new(&sources, start.options.policy)),
            late,
            tables,
            state,
            kept: Kept::default(),
            has_times,
            follower: start.follower,
            run_id: uuid::Uuid::now_v7().to_string(),
            last_began: None,
            has_warned: false,
            began: Instant::now(),
        };
        let task = SpawnedTask::spawn(query.run());
        let (name, is_told) = (start.name.to_owned(), AtomicBool::new(false));
        let known =
            Known { name, sink: kind, status: seen, stop, late: rows, is_told, _task: task };
        self.all().push(Arc::new(known));
        Ok(())
    }

    /// Stops the queries of a view or sink, each behind its batch; whether there were any.
    ///
    /// # Errors
    /// That of a query which had ended.
    pub async fn stop(&self, name: &str) -> Result<bool> {
        let stopped: Vec<_> =
            self.all().iter().filter(|known| known.name == name).cloned().collect();
        for known in &stopped {
            known.stop.send_replace(true);
        }
        let ends = join_all(stopped.iter().map(|known| known.ended())).await;
        // Until then they are known: whoever does not wait for the end leaves them to it.
        self.all().retain(|known| !stopped.iter().any(|other| Arc::ptr_eq(known, other)));
        ends.into_iter().collect::<Result<()>>()?;
        Ok(!stopped.is_empty())
    }

    /// Waits until each query has processed all that is at its sources.
    ///
    /// # Errors
    /// That of a query which has ended.
    pub async fn drained(&self) -> Result<()> {
        let all = self.all().clone();
        try_join_all(all.iter().map(|known| known.drained())).await.map(drop)
    }

    /// Waits for `time`, or until no query runs any more.
    ///
    /// # Errors
    /// That of a query which has ended.
    pub async fn wait(&self, time: Duration) -> Result<()> {
        match timeout(time, self.ended()).await {
            Ok(ended) => ended,
            Err(_elapsed) => Ok(()),
        }
    }

    /// Waits until no query runs any more; behind `limit` they are stopped.
    ///
    /// # Errors
    /// That of a query which has ended.
    pub async fn finish(&self, limit: Option<Duration>) -> Result<()> {
        if let Some(limit) = limit {
            self.wait(limit).await?;
            for known in self.all().iter() {
                known.stop.send_replace(true);
            }
        }
        self.ended().await
    }

    async fn ended(&self) -> Result<()> {
        let all = self.all().clone();
        try_join_all(all.iter().map(|known| known.ended())).await.map(drop)
    }

    /// Whether none has failed that no one was told of.
    ///
    /// # Errors
    /// That of a query which has ended.
    pub fn well(&self) -> Result<()> {
        self.all().iter().try_for_each(|known| known.told())
    }

    /// The queries as a table.
    ///
    /// # Errors
    /// The engine's.
    pub fn rows(&self) -> Result<RecordBatch> {
        let all = self.all().clone();
        let statuses: Vec<Status> = all.iter().map(|known| known.status.borrow().clone()).collect();
        let state = all.iter().map(|known| match known.end() {
            None => "running".to_owned(),
            Some(Ok(())) => "ended".to_owned(),
            Some(Err(cause)) => format!("failed: {cause}"),
        });
        let counts = |count: fn(&Status) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(statuses.iter().map(count)))
        };
        let names = all.iter().map(|known| known.name.as_str());
        let sinks = all.iter().map(|known| known.sink);
        let watermarks = statuses.iter().map(|status| {
            // One that has ended, or is of another age of the world, has none that can be written.
            status.watermark.and_then(|watermark| i64::try_from(watermark).ok())
        });
        let columns: [(&str, ArrayRef); 13] = [
            ("name", Arc::new(StringArray::from_iter_values(names))),
            ("sink", Arc::new(StringArray::from_iter_values(sinks))),
            ("state", Arc::new(StringArray::from_iter_values(state))),
            ("batches", counts(|status| status.batches)),
            ("rows", counts(|status| status.rows)),
            ("bad_lines", counts(|status| status.bad)),
            ("inexact_integers", counts(|status| status.inexact)),
            ("watermark", Arc::new(watermarks.collect::<TimestampNanosecondArray>())),
            ("late_rows", counts(|status| status.late)),
            ("null_event_times", counts(|status| status.times.missing)),
            ("times_ahead", counts(|status| status.times.ahead)),
            ("state_bytes", counts(|status| status.state.0 as u64)),
            ("state_rows", counts(|status| status.state.1 as u64)),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

impl Drop for StandingQueries {
    /// Each query ends behind the batch that it is at, though no one waits for it.
    fn drop(&mut self) {
        let all = std::mem::take(&mut *self.all());
        for known in &all {
            known.stop.send_replace(true);
        }
        cleanup::spawn_wanted(async move {
            for known in all {
                known.ended().await.ok(); // there is no one to tell
            }
        });
    }
}

/// Whether a plan reads a table without an end.
pub fn reads_stream(plan: &LogicalPlan) -> bool {
    let is_stream = |node: &LogicalPlan| match node {
        LogicalPlan::TableScan(scan) => {
            source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<StreamTable>())
        }
        _ => false,
    };
    let mut found = false;
    let seen = plan.apply_with_subqueries(|node| {
        found |= is_stream(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    seen.is_ok() && found
}

/// A query that can begin.
struct Planned {
    plan: Incremental,
    mode: OutputMode,
    /// If its windows close.
    late: Option<Late>,
    streams: Streams,
    tables: Vec<Refreshed>,
    state: SessionState,
}

/// Plans a query, in `mode` if none is said.
async fn planned(start: &Start<'_>, mode: OutputMode) -> Result<Planned> {
    let state = start.session.standing();
    let unaccounted = start.session.unaccounted(&state)?;
    refuse_changing(&start.plan)?;
    let Slots { plan: logical, streams, mut tables } = with_slots(start.plan.clone())?;
    if streams.is_empty() {
        return Err(Error::usage(
            "the query reads no table without an end, so it stands for nothing: use CREATE VIEW, or CREATE \
             TABLE … AS",
        ));
    }
    for table in &mut tables {
        table.read(&state).await?;
    }
    let plan = physical(&state, &logical).await?;
    let pool = &state.runtime_env().memory_pool;
    let memory = MemoryConsumer::new(start.name).register(pool);
    let plan = Incremental::new(plan, state.task_ctx(), unaccounted, memory)?;
    let mode = start.options.mode.unwrap_or(mode);
    let mut unmarked = None;
    for (table, _) in &streams {
        let stream = of_stream(table)?;
        if stream.lateness().is_none() {
            unmarked.get_or_insert(stream.name());
        }
    }
    let grouped = plan.grouped();
    check::mode(&plan.above().plan, &grouped, unmarked, mode)?;
    let closes = plan.is_aggregate() && grouped.closes && unmarked.is_none();
    let late = match input_with_keys(&logical)? {
        Some((input, columns)) if closes && mode != OutputMode::Complete => {
            let input = physical(&state, &input).await?;
            Some(Late::new(input, columns, state.task_ctx()))
        }
        _ => None,
    };
    Ok(Planned { plan, mode, late, streams, tables, state })
}

fn of_stream(table: &Arc<dyn TableProvider>) -> Result<&StreamTable> {
    table.downcast_ref().ok_or_else(|| Error::internal("a stream is not one"))
}

/// Says what will grow without an end.
fn warn_of_growth(start: &Start<'_>, plan: &Incremental, mode: OutputMode, closes: bool) {
    let name = start.name;
    if let Some(function) = plan.growing().filter(|_| !closes) {
        start.observer.report(Event::Warning(format!(
            "the state of '{name}' grows with every row, for {function} keeps the values that it has seen: group by a \
             window of a stream with 'watermark' in mode append or update, or use a function such as approx_distinct \
             or approx_median"
        )));
    }
    if plan.joins_streams() {
        start.observer.report(Event::Warning(format!(
            "'{name}' joins two streams and keeps the rows of both, for any may match one that comes: its state \
             grows with every row"
        )));
    }
    if !plan.is_aggregate() && start.options.mode == Some(mode) && mode == OutputMode::Complete {
        start.observer.report(Event::Warning(format!(
            "'{name}' shows all rows so far in each batch and keeps them in memory: mode append shows each once"
        )));
    }
}

/// The engine's plan; its planner would optimise again.
async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<super::slot::Plan> {
    let plan = state.optimize(plan)?;
    Ok(state.query_planner().create_physical_plan(&plan, state).await?)
}

/// A plan is kept, so what it computes must not change from batch to batch.
fn refuse_changing(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found.get_or_insert(call.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match found {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "{name}() in a standing query would make its answer another one than that to the same rows at \
             once: use the time of the rows"
        ))),
    }
}

type Streams = Vec<(Arc<dyn TableProvider>, Arc<Slot>)>;

/// A plan with a slot for each stream that it reads, and for each table that is looked at again.
struct Slots {
    plan: LogicalPlan,
    streams: Streams,
    tables: Vec<Refreshed>,
}

fn with_slots(plan: LogicalPlan) -> Result<Slots> {
    let (mut streams, mut tables): (Streams, _) = (Vec::new(), Vec::new());
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let provider = match source_as_provider(&scan.source) {
            Ok(provider) => provider,
            Err(_no_provider) => return Ok(Transformed::no(LogicalPlan::TableScan(scan))),
        };
        if provider.is::<StandingView>() {
            return Err(Error::usage(format!(
                "'{}' is a materialized view, and a standing query over one is not supported: write its \
                 query in the place of its name",
                scan.table_name
            ))
            .into());
        }
        if let Some(every) = ExternalTable::refresh(provider.as_ref()) {
            let (slot, schema) = (Arc::new(Slot::default()), provider.schema());
            tables.push(Refreshed::new(provider, Arc::clone(&slot), every));
            let table = SlotTable { slot, schema, is_input: false, time: None };
            let source = provider_as_source(Arc::new(table));
            return Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })));
        }
        let Some(table) = provider.downcast_ref::<StreamTable>() else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        let known = streams.iter().find(|(known, _)| Arc::ptr_eq(known, &provider));
        let slot = match known {
            Some((_, slot)) => Arc::clone(slot),
            None => {
                let slot = Arc::new(Slot::default());
                streams.push((Arc::clone(&provider), Arc::clone(&slot)));
                slot
            }
        };
        let (schema, time) = (table.schema(), table.time());
        let table = SlotTable { slot, schema, is_input: true, time };
        let source = provider_as_source(Arc::new(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
    })?;
    Ok(Slots { plan: plan.data, streams, tables })
}
