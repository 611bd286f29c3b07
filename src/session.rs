//! The only place that builds a query session: stores, functions, memory pool and settings.
//!
//! A [`Session`] is cheap to clone. A driver works in a [child](Session::child): the same runtime
//! (memory, disk, stores, caches) and functions, but a catalog and settings of its own, so that the
//! text of a step can always say `FROM points`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, DynamicFileCatalog, MemoryCatalogProvider,
    MemoryCatalogProviderList, MemorySchemaProvider, TableProvider,
};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::config::{ConfigOptions, SpillCompression};
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryPool, TrackConsumersPool, UnboundedMemoryPool,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder, TaskContext};
use datafusion::functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion::functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::cancel::CancelFlag;
use crate::error::{Error, Kind, Result};
use crate::functions::{self, FunctionContext};
use crate::storage::Stores;
use crate::table::{ExternalTables, format};

/// Share of the memory limit that operators may reserve; the rest is for what the engine does not
/// account: decoding of pages, footers, the allocator's slack.
const POOL_SHARE: f64 = 0.65;
/// Below this much memory a stream spends its time spilling: fewer streams do the same work sooner.
const BYTES_PER_STREAM: u64 = 32 << 20;
/// Batches of the engine that make one batch of a driver's scan.
const BATCHES_IN_ONE: usize = 8;
/// Rules that make one stage of two, two aggregates of one, a number of a batch a literal, or a join under
/// `DISTINCT` one that finds the first match only.
const FUSING_RULES: [&str; 4] = [
    "CombinePartialFinalAggregate",
    "aggregate_statistics",
    "single_distinct_aggregation_to_group_by",
    "eliminate_join",
];
/// Memory if the system does not say.
const MEMORY_IF_UNKNOWN: u64 = 4 << 30;
/// Parquet footers kept between the steps of a driver, and their share of a small pool.
const FOOTER_CACHE_BYTES: usize = 64 << 20;
const FOOTER_CACHE_SHARE: usize = 8;

/// What a user may set about the engine.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Streams that run at once; default: the cores.
    pub threads: Option<NonZeroUsize>,
    /// Memory for the whole process in bytes; default: what the machine or the container has.
    pub memory_limit: Option<u64>,
    /// Spill files in bytes; default: 100 GB.
    pub disk_limit: Option<u64>,
    /// Settings of the engine, `datafusion.…`, applied last.
    pub settings: Vec<(String, String)>,
}

/// A session of the engine with our stores, functions and settings.
#[derive(Clone)]
pub struct Session {
    stores: Arc<Stores>,
    context: SessionContext,
    functions: FunctionContext,
    pool_bytes: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("pool_bytes", &self.pool_bytes).finish_non_exhaustive()
    }
}

impl Session {
    /// Builds a session.
    ///
    /// # Errors
    /// A setting that the engine does not know or refuses is a configuration error.
    pub fn new(stores: Arc<Stores>, options: &SessionOptions) -> Result<Self> {
        let limit = options.memory_limit.unwrap_or_else(memory_of_machine);
        let pool_bytes = share(limit);
        let pool_size = usize::try_from(pool_bytes).unwrap_or(usize::MAX);
        let pool = FairSpillPool::new(pool_size);
        let pool = TrackConsumersPool::new(pool, NonZeroUsize::new(5).expect("five is not zero"));
        let mut runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_object_store_registry(Arc::clone(&stores) as _)
            .with_metadata_cache_limit(FOOTER_CACHE_BYTES.min(pool_size / FOOTER_CACHE_SHARE))
            // Its entries never expire: a commit by another process would stay unseen.
            .with_object_list_cache_limit(0);
        if let Some(bytes) = options.disk_limit {
            runtime = runtime.with_max_temp_directory_size(bytes);
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = options.threads.map_or(cores, NonZeroUsize::get);
        let streams = usize::try_from(pool_bytes / BYTES_PER_STREAM).unwrap_or(usize::MAX);
        let config = settings(streams.clamp(1, threads), &options.settings)?;
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.build_arc()?)
            .with_default_features()
            .build();
        let functions = FunctionContext::new(&state.runtime_env().memory_pool);
        register_functions(&mut state, &functions)?;
        // EXTRACT, and SUBSTRING and POSITION as the standard writes them.
        state.register_expr_planner(Arc::new(DatetimeFunctionPlanner))?;
        state.register_expr_planner(Arc::new(UnicodeFunctionPlanner))?;
        state.register_relation_planner(Arc::new(functions::WindowRelations))?;
        Ok(Self { stores, context: context(state), functions, pool_bytes })
    }

    /// A session with the same runtime and functions but an empty catalog and its own settings.
    #[must_use]
    pub fn child(&self, change: impl FnOnce(&mut ConfigOptions)) -> Self {
        let mut state = SessionStateBuilder::new_from_existing(self.context.state())
            .with_catalog_list(empty_catalog());
        if let Some(config) = state.config() {
            change(config.options_mut());
        }
        self.with_state(state.build())
    }

    /// A child for SQL of users: a catalog that takes a location for a table, and tables that stand
    /// for one; errors know their place in the text.
    #[must_use]
    pub fn scripting(&self) -> Self {
        let tables = Arc::new(ExternalTables::new(Arc::clone(&self.stores)));
        let catalogs = DynamicFileCatalog::new(empty_catalog(), Arc::clone(&tables) as _);
        let mut state = SessionStateBuilder::new_from_existing(self.context.state())
            .with_catalog_list(Arc::new(catalogs));
        for word in format::words() {
            state = state.with_table_factory(word.to_owned(), Arc::clone(&tables) as _);
        }
        if let Some(config) = state.config() {
            config.options_mut().sql_parser.collect_spans = true;
        }
        self.with_state(state.build())
    }

    /// The same session, whose plans pass one more rule at last.
    #[must_use]
    pub fn with_last_rule(&self, rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>) -> Self {
        let state = SessionStateBuilder::new_from_existing(self.context.state());
        self.with_state(state.with_physical_optimizer_rule(rule).build())
    }

    /// A child for the scans of a driver: larger batches, so that what a batch costs does not show.
    #[must_use]
    pub fn scanning(&self) -> Self {
        let rows = self.context.state_ref().read().config().batch_size() * BATCHES_IN_ONE;
        self.child(|options| set_batch_size(options, rows))
    }

    /// A child whose functions end once `flag` is set: dropping a stream alone ends no loop inside.
    ///
    /// # Errors
    /// The engine's, if it refuses a function.
    pub fn cancelled_by(&self, flag: &CancelFlag) -> Result<Self> {
        let mut child = self.child(|_| {});
        child.functions = self.functions.cancelled_by(flag);
        let mut state = child.state();
        register_functions(&mut state, &child.functions)?;
        child.context = context(state);
        Ok(child)
    }

    /// The state in which standing queries are planned, with one stream: each aggregate stays in two
    /// stages, and nothing that depends on the rows of one batch becomes a part of the plan.
    pub fn standing(&self) -> SessionState {
        let physical = PhysicalOptimizer::new().rules.into_iter();
        let physical = physical.filter(|rule| !FUSING_RULES.contains(&rule.name()));
        let logical = Optimizer::new().rules.into_iter();
        let logical = logical.filter(|rule| !FUSING_RULES.contains(&rule.name()));
        let mut state = SessionStateBuilder::new_from_existing(self.context.state())
            .with_optimizer_rules(logical.collect())
            .with_physical_optimizer_rules(physical.collect());
        if let Some(config) = state.config() {
            let options = config.options_mut();
            options.execution.target_partitions = 1;
            // Each for itself: the first only says so where options are set by name.
            options.optimizer.enable_dynamic_filter_pushdown = false;
            options.optimizer.enable_topk_dynamic_filter_pushdown = false;
            options.optimizer.enable_join_dynamic_filter_pushdown = false;
            options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
            options.optimizer.enable_topk_aggregation = false;
            options.optimizer.filter_null_join_keys = true; // a join of two streams would keep them
            options.optimizer.enable_distinct_aggregation_soft_limit = false;
            options.optimizer.enable_window_topn = false;
            options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        }
        state.build()
    }

    /// A context for plans whose memory someone else accounts for.
    ///
    /// # Errors
    /// The engine's.
    pub fn unaccounted(&self, state: &SessionState) -> Result<Arc<TaskContext>> {
        let pool = Arc::new(UnboundedMemoryPool::default());
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
        let context = TaskContext::default().with_session_config(state.config().clone());
        Ok(Arc::new(context.with_runtime(runtime)))
    }

    fn with_state(&self, state: SessionState) -> Self {
        Self {
            context: context(state),
            stores: Arc::clone(&self.stores),
            functions: self.functions.clone(),
            pool_bytes: self.pool_bytes,
        }
    }

    /// A child with one stream and batches of `rows`.
    #[must_use]
    pub fn in_order(&self, rows: NonZeroUsize) -> Self {
        self.child(|options| {
            options.execution.target_partitions = 1;
            set_batch_size(options, rows.get());
        })
    }

    /// The stores of this session.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// The engine's context.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The engine's state, as it is now.
    pub fn state(&self) -> SessionState {
        self.context.state()
    }

    /// Streams that a plan runs at once.
    pub fn streams(&self) -> usize {
        self.context.state_ref().read().config().target_partitions()
    }

    /// The pool that every large buffer is accounted to.
    pub fn memory_pool(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.context.runtime_env().memory_pool)
    }

    /// Size of the pool in bytes.
    pub fn pool_bytes(&self) -> u64 {
        self.pool_bytes
    }

    /// Makes `table` known as `name`, in place of what had that name.
    ///
    /// # Errors
    /// The engine's, if it refuses the name.
    pub fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        self.context.deregister_table(name)?;
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Plans the one statement of a step: `${name}` becomes SQL from `parts`, `$name` a bound value.
    ///
    /// # Errors
    /// A part without a name, or what the planner finds.
    pub async fn plan(
        &self,
        text: &str,
        parts: &[(&str, &str)],
        values: Vec<(&str, ScalarValue)>,
    ) -> Result<LogicalPlan> {
        let sql = fill(text, parts)?;
        let frame = self.context.sql(&sql).await?;
        let frame = if values.is_empty() {
            frame
        } else {
            frame.with_param_values(ParamValues::from(values))?
        };
        Ok(frame.logical_plan().clone())
    }

    /// Runs a plan to its end and returns its rows: for the small answers of a step. It runs as a task
    /// of its own: where it has one stream, its batches would keep the caller from being dropped.
    ///
    /// # Errors
    /// What the engine reports, with our kind.
    pub async fn collect(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
        let context = self.context.clone();
        let rows = async move { context.execute_logical_plan(plan).await?.collect().await };
        let rows = SpawnedTask::spawn(rows).await;
        Ok(rows.map_err(|cause| Error::internal("a query panicked").caused_by(cause))??)
    }
}

/// A catalog with the default schema and nothing in it.
fn empty_catalog() -> Arc<MemoryCatalogProviderList> {
    let (list, catalog) = (MemoryCatalogProviderList::new(), MemoryCatalogProvider::new());
    let defaults = ConfigOptions::default().catalog;
    catalog
        .register_schema(&defaults.default_schema, Arc::new(MemorySchemaProvider::new()))
        .expect("a catalog in memory takes a schema");
    list.register_catalog(defaults.default_catalog, Arc::new(catalog));
    Arc::new(list)
}

fn set_batch_size(options: &mut ConfigOptions, rows: usize) {
    options.execution.batch_size = rows.to_string().parse().expect("a positive number");
}

/// `name` as SQL: always quoted, for the engine's own helper leaves reserved words bare.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Replaces each `${name}` of a step's text by its part, which is SQL already.
fn fill(text: &str, parts: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + length];
        let Some((_, part)) = parts.iter().find(|(known, _)| *known == name) else {
            return Err(Error::internal(format!("the text of a step has no part '{name}'")));
        };
        filled.push_str(&rest[..start]);
        filled.push_str(part);
        rest = &rest[start + length + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

#[expect(clippy::disallowed_methods, reason = "the one place that builds sessions")]
fn context(state: SessionState) -> SessionContext {
    SessionContext::new_with_state(state)
}

/// Settings that differ from the engine's own, each with its reason.
fn settings(streams: usize, given: &[(String, String)]) -> Result<SessionConfig> {
    let mut config = SessionConfig::new()
        .with_target_partitions(streams)
        // SHOW TABLES and DESCRIBE need it.
        .with_information_schema(true);
    let options = config.options_mut();
    // One set of types everywhere: other readers of our files choke on views.
    options.execution.parquet.schema_force_view_types = false;
    // Timestamps of 96 bits reach further than nanoseconds do.
    options.execution.parquet.coerce_int96 = Some("us".to_owned());
    options.sql_parser.map_string_types_to_utf8view = false;
    // A filter inside the decoder is slower for the scans we run (apache/datafusion#3463).
    options.execution.parquet.pushdown_filters = false;
    // Declares a hash that never ran; joins lose rows (apache/datafusion#23436).
    options.optimizer.preserve_file_partitions = 0;
    options.execution.spill_compression = SpillCompression::Lz4Frame;
    for (name, value) in given {
        config.options_mut().set(name, value).map_err(|cause| {
            Error::new(Kind::Configuration, format!("setting '{name}' cannot be '{value}'"))
                .caused_by(cause)
        })?;
    }
    Ok(config)
}

fn register_functions(state: &mut SessionState, context: &FunctionContext) -> Result<()> {
    for function in functions::scalars(context) {
        state.register_udf(Arc::new(function))?;
    }
    for function in functions::aggregates(context) {
        state.register_udaf(Arc::new(function))?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a memory size; the last bits do not matter"
)]
fn share(limit: u64) -> u64 {
    (limit as f64 * POOL_SHARE) as u64
}

/// Memory of the machine or, where smaller, of the container, in bytes.
fn memory_of_machine() -> u64 {
    let Ok(mut system) = sysinfo::System::new() else { return MEMORY_IF_UNKNOWN };
    system.refresh_memory();
    let machine = system.total_memory();
    system.cgroup_limits().map_or(machine, |limits| limits.total_memory.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_pasted_in_place_of_its_name() {
        let filled = fill("SELECT ${columns} FROM points", &[("columns", "\"a\", \"b\"")]);
        assert_eq!(filled.unwrap(), "SELECT \"a\", \"b\" FROM points");
    }

    #[test]
    fn a_part_without_a_name_is_our_mistake() {
        assert_eq!(fill("SELECT ${x}", &[]).unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn identifiers_are_always_quoted() {
        assert_eq!(quote_identifier("order"), "\"order\"");
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }
}
