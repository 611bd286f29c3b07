//! The standing queries of a session: started, listed, waited for and stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, Volatility};
use tokio::sync::watch;
use tokio::time::timeout;

use super::check;
use super::cut::{Above, Incremental};
use super::options::{OutputMode, QueryOptions};
use super::query::{Console, Input, Query, Sink, Status};
use super::slot::{Slot, SlotTable};
use super::table::StreamTable;
use super::view::{Snapshot, StandingView};
use crate::error::{Error, Result};
use crate::event::Observer;
use crate::session::Session;

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
    is_told: AtomicBool,
    /// Ends with it.
    _task: SpawnedTask<()>,
}

impl Known {
    async fn ended(&self) -> Result<()> {
        let mut status = self.status.clone();
        // The sender lives as long as the query.
        status.wait_for(|status| status.end.is_some()).await.map(drop).ok();
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
        match &self.status.borrow().end {
            Some(Err(cause)) if !self.is_told.swap(true, Ordering::Relaxed) => {
                Err(Error::new(cause.kind(), format!("standing query '{}' has ended", self.name))
                    .caused_by(Error::clone(cause)))
            }
            _ => Ok(()),
        }
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
}

/// Checks that an answer can be shown in `mode`.
fn check_mode(above: &Above, mode: OutputMode) -> Result<()> {
    check::mode(&above.plan, above.aggregates(), mode)
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
        let planned = planned(&start).await?;
        if let Some(mode) = start.options.mode {
            check_mode(planned.plan.above(), mode)?;
        }
        let schema = planned.plan.above().plan.schema();
        let (newest, seen) = watch::channel(Arc::new(Snapshot::Rows(Vec::new())));
        self.begin(start, planned, OutputMode::Complete, Sink::View(newest), "view");
        Ok(Arc::new(StandingView { schema, newest: seen }))
    }

    /// Starts a query whose answers a console shows.
    ///
    /// # Errors
    /// A query that cannot stand, or cannot be shown in that mode.
    pub async fn console(&self, start: Start<'_>, console: Arc<dyn Console>) -> Result<()> {
        let planned = planned(&start).await?;
        let mode = start.options.mode.unwrap_or(OutputMode::Append);
        check_mode(planned.plan.above(), mode)?;
        self.begin(start, planned, mode, Sink::Console(console), "console");
        Ok(())
    }

    fn begin(
        &self,
        start: Start<'_>,
        planned: Planned,
        mode: OutputMode,
        sink: Sink,
        kind: &'static str,
    ) {
        let (status, seen) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(false);
        let query = Query {
            name: start.name.to_owned(),
            inputs: planned.inputs,
            plan: planned.plan,
            mode,
            trigger: start.options.trigger,
            sink,
            status,
            stop: stopped,
            observer: start.observer,
            kept: Vec::new(),
        };
        let task = SpawnedTask::spawn(query.run());
        let (name, is_told) = (start.name.to_owned(), AtomicBool::new(false));
        let known = Known { name, sink: kind, status: seen, stop, is_told, _task: task };
        self.all().push(Arc::new(known));
    }

    /// Stops the queries of a view or sink, each behind its batch; whether there were any.
    ///
    /// # Errors
    /// That of a query which had ended.
    pub async fn stop(&self, name: &str) -> Result<bool> {
        let (stopped, others): (Vec<_>, Vec<_>) =
            self.all().drain(..).partition(|known| known.name == name);
        self.all().extend(others);
        for known in &stopped {
            known.stop.send_replace(true);
        }
        for known in &stopped {
            known.ended().await?;
        }
        Ok(!stopped.is_empty())
    }

    /// Waits until each query has processed all that is at its sources.
    ///
    /// # Errors
    /// That of a query which has ended.
    pub async fn drained(&self) -> Result<()> {
        let all = self.all().clone();
        for known in all {
            known.drained().await?;
        }
        Ok(())
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
        for known in all {
            known.ended().await?;
        }
        Ok(())
    }

    /// The queries as a table.
    ///
    /// # Errors
    /// The engine's.
    pub fn rows(&self) -> Result<RecordBatch> {
        let all = self.all().clone();
        let statuses: Vec<Status> = all.iter().map(|known| known.status.borrow().clone()).collect();
        let state = statuses.iter().map(|status| match &status.end {
            None => "running".to_owned(),
            Some(Ok(())) => "ended".to_owned(),
            Some(Err(cause)) => format!("failed: {cause}"),
        });
        let counts = |count: fn(&Status) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(statuses.iter().map(count)))
        };
        let names = all.iter().map(|known| known.name.as_str());
        let sinks = all.iter().map(|known| known.sink);
        let columns: [(&str, ArrayRef); 7] = [
            ("name", Arc::new(StringArray::from_iter_values(names))),
            ("sink", Arc::new(StringArray::from_iter_values(sinks))),
            ("state", Arc::new(StringArray::from_iter_values(state))),
            ("batches", counts(|status| status.batches)),
            ("rows", counts(|status| status.rows)),
            ("bad_lines", counts(|status| status.bad)),
            ("inexact_integers", counts(|status| status.inexact)),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

/// A query that can begin.
struct Planned {
    plan: Incremental,
    inputs: Vec<Input>,
}

async fn planned(start: &Start<'_>) -> Result<Planned> {
    let state = start.session.standing();
    let unaccounted = start.session.unaccounted(&state)?;
    refuse_changing(&start.plan)?;
    let (plan, tables) = with_slots(start.plan.clone())?;
    if tables.is_empty() {
        return Err(Error::usage(
            "the query reads no table without an end, so it stands for nothing: use CREATE VIEW, or CREATE \
             TABLE … AS",
        ));
    }
    let plan = physical(&state, &plan).await?;
    let pool = &state.runtime_env().memory_pool;
    let memory = MemoryConsumer::new(start.name).register(pool);
    let plan = Incremental::new(plan, state.task_ctx(), unaccounted, memory)?;
    let inputs = tables.into_iter().map(|(table, slot)| {
        let stream = table.downcast_ref::<StreamTable>();
        let stream = stream.ok_or_else(|| Error::internal("a stream is not one"))?;
        Ok(Input { slot, cursor: stream.cursor()?, max_files: stream.max_files() })
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Planned { plan, inputs })
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

/// The plan with a slot for each stream that it reads.
fn with_slots(plan: LogicalPlan) -> Result<(LogicalPlan, Streams)> {
    let mut streams: Streams = Vec::new();
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
        let table = SlotTable { slot, schema: table.schema() };
        let source = provider_as_source(Arc::new(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
    })?;
    Ok((plan.data, streams))
}
