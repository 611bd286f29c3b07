//! The plan node that writes: `BlockWriteExec`, put on top of a plan by `TableProvider::insert_into`.
//!
//! The optimizer does what the layout asks for: `Clustered` requires rows hashed by key and sorted
//! (both spill); `Spread` requires nothing, or the order inside a file. Each stream then writes its
//! own files and answers with one row: JSON of [`StreamFacts`]. Nothing it writes is visible; the
//! driver of the write checks the facts and commits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as EngineResult, internal_err, not_impl_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{EmissionType, EvaluationType, SchedulingType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties, ReplaceChildrenOptions,
    execute_stream_partitioned,
};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::encode::Target;
use super::fanout::{Splitter, Taken};
use super::sort_pool;
use super::spec::KeyLayout;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::table::commit::record::StagedFile;

/// What one stream has written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct StreamFacts {
    pub(crate) files: Vec<StagedFile>,
    /// Rows that came in; as often as its list has items where a key is a list.
    pub(crate) rows: u64,
    /// Rows with a NULL in a key, key by key.
    pub(crate) null_keys: Vec<u64>,
    /// The stream met more keys than `Spread` keeps open and gave up.
    pub(crate) too_many_keys: bool,
}

/// Runs `plan` into files of `target` and returns what all streams wrote.
pub(crate) async fn run(
    state: &SessionState,
    plan: LogicalPlan,
    target: &Arc<Target>,
    layout: KeyLayout,
    watch: &dyn Observer,
) -> Result<Vec<StreamFacts>> {
    let plan = physical(state, plan, target, layout).await?;
    let mut streams = JoinSet::new();
    for stream in execute_stream_partitioned(Arc::clone(&plan), state.task_ctx())? {
        streams.spawn(stream.try_collect::<Vec<_>>());
    }
    let mut facts = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = streams.join_next() => match ended {
                None => break,
                Some(Ok(batches)) => read_facts(&batches?, &mut facts)?,
                Some(Err(cause)) => return Err(stream_died(cause)),
            },
            _ = ticks.tick() => watch.report(Event::Progress { done: rows_so_far(&plan) }),
        }
    }
    watch.report(Event::Progress { done: rows_so_far(&plan) });
    Ok(facts)
}

/// `plan` with the writing node on top, optimized.
async fn physical(
    state: &SessionState,
    plan: LogicalPlan,
    target: &Arc<Target>,
    layout: KeyLayout,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::clone(plan.schema().inner());
    let sink = SinkTable { target: Arc::clone(target), layout, schema };
    let source = provider_as_source(Arc::new(sink));
    let name = match &target.tables[0] {
        name if name.is_empty() => "output",
        name => name,
    };
    let plan = LogicalPlanBuilder::insert_into(plan, name, source, InsertOp::Append)?.build()?;
    Ok(state.create_physical_plan(&plan).await?)
}

fn stream_died(cause: tokio::task::JoinError) -> Error {
    Error::internal(format!("a stream of the query died: {cause}")).caused_by(cause)
}

fn rows_so_far(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let rows = plan.metrics().and_then(|metrics| metrics.sum_by_name(ROWS));
    rows.map_or(0, |rows| rows.as_usize() as u64)
}

fn read_facts(batches: &[RecordBatch], facts: &mut Vec<StreamFacts>) -> Result<()> {
    for batch in batches {
        let column = batch.column(0).as_any().downcast_ref::<StringArray>();
        for json in column.into_iter().flatten().flatten() {
            facts.push(serde_json::from_str(json).map_err(|cause| {
                Error::internal(format!(
                    "a stream answered with something that is not a fact: {cause}"
                ))
            })?);
        }
    }
    Ok(())
}

/// The metric that counts rows, batch by batch.
const ROWS: &str = "rows_written";

/// A table that can only be written to.
#[derive(Debug)]
struct SinkTable {
    target: Arc<Target>,
    layout: KeyLayout,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for SinkTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        not_impl_err!("a table that is being written cannot be read")
    }

    async fn insert_into(
        &self,
        _: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        _: InsertOp,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(BlockWriteExec::new(input, Arc::clone(&self.target), self.layout)?))
    }
}

/// Writes each stream of its input to files of a table.
#[derive(Debug)]
pub(crate) struct BlockWriteExec {
    input: Arc<dyn ExecutionPlan>,
    target: Arc<Target>,
    layout: KeyLayout,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// What the input must be sorted by.
    sorting: Option<LexOrdering>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl BlockWriteExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        target: Arc<Target>,
        layout: KeyLayout,
    ) -> EngineResult<Self> {
        let schema = input.schema();
        let columns = |names: &[String]| {
            names.iter().map(|name| col(name, &schema)).collect::<EngineResult<Vec<_>>>()
        };
        let keys = columns(&target.keys)?;
        let before = if layout == KeyLayout::Clustered { keys.clone() } else { Vec::new() };
        let ascending = SortOptions { descending: false, nulls_first: false };
        let sorting = before.into_iter().chain(columns(&target.order)?);
        let sorting = LexOrdering::new(sorting.map(|expr| PhysicalSortExpr::new(expr, ascending)));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(facts_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            input.boundedness(),
        )
        .with_scheduling_type(SchedulingType::Cooperative)
        .with_evaluation_type(EvaluationType::Eager);
        Ok(Self {
            input,
            target,
            layout,
            keys,
            sorting,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for BlockWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockWriteExec: table={:?}, layout={:?}", self.target.shown(), self.layout)?;
        if !self.target.keys.is_empty() {
            write!(f, ", keys=[{}]", self.target.keys.join(", "))?;
        }
        if !self.target.order.is_empty() {
            write!(f, ", order=[{}]", self.target.order.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for BlockWriteExec {
    fn name(&self) -> &'static str {
        "BlockWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.layout {
            KeyLayout::Fanout | KeyLayout::CountedFanout => Distribution::UnspecifiedDistribution,
            KeyLayout::Clustered if self.keys.is_empty() => Distribution::SinglePartition,
            KeyLayout::Clustered => Distribution::KeyPartitioned(self.keys.clone()),
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.sorting.clone().map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => {
                Ok(Arc::new(Self::new(input, Arc::clone(&self.target), self.layout)?))
            }
            _ => internal_err!("BlockWriteExec has one child"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        let sorting = self.sorting.iter().flatten().map(|sort| &sort.expr);
        for expr in self.keys.iter().chain(sorting) {
            if visit(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let (input, share) = sort_pool::execute(&self.input, partition, Arc::clone(&context))?;
        let reservation = MemoryConsumer::new(format!("BlockWriteExec[{partition}]"))
            .register(context.memory_pool());
        let splitter = Splitter::new(&self.target, self.layout, &input.schema(), reservation)?;
        let rows = MetricBuilder::new(&self.metrics).counter(ROWS, partition);
        let facts = futures::stream::once(async move {
            let _share = share;
            let facts = write_stream(input, splitter, rows).await?;
            facts_batch(&facts)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(facts_schema(), facts.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

async fn write_stream(
    mut input: SendableRecordBatchStream,
    mut splitter: Splitter,
    rows: Count,
) -> EngineResult<StreamFacts> {
    while let Some(batch) = input.try_next().await? {
        let batch_rows = batch.num_rows();
        match splitter.push(batch).await {
            Ok(Taken::Yes) => {}
            Ok(Taken::TooManyKeys) => {
                return Ok(StreamFacts { too_many_keys: true, ..StreamFacts::default() });
            }
            Err(error) => return Err(DataFusionError::External(Box::new(error))),
        }
        rows.add(batch_rows);
    }
    let finished = splitter.finish().await;
    let (files, rows, null_keys) =
        finished.map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(StreamFacts { files, rows, null_keys, too_many_keys: false })
}

fn facts_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("facts", DataType::Utf8, false)]))
}

fn facts_batch(facts: &StreamFacts) -> EngineResult<RecordBatch> {
    let json =
        serde_json::to_string(facts).map_err(|cause| DataFusionError::External(Box::new(cause)))?;
    let column = Arc::new(StringArray::from(vec![json]));
    Ok(RecordBatch::try_new(facts_schema(), vec![column])?)
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::storage::{Location, StorageOptions, Stores};
    use crate::table::commit::place::DatasetRoot;

    /// The nodes of the plan that writes table `t`, from the top, without their details.
    #[expect(clippy::disallowed_methods, reason = "session.rs is above this module")]
    async fn nodes(layout: KeyLayout, keys: &[&str], order: &[&str]) -> Vec<String> {
        let config = SessionConfig::new().with_target_partitions(4);
        let session = SessionContext::new_with_config(config);
        // More rows than the engine thinks worth spreading.
        let sql = "SELECT value AS id, value % 7 AS k FROM generate_series(1, 30000)";
        let rows = session.sql(sql).await.unwrap();
        let schema = Arc::clone(rows.schema().inner());
        let batches = rows.collect().await.unwrap();
        let (some, others) = batches.split_at(batches.len() / 2);
        let table = MemTable::try_new(Arc::clone(&schema), vec![some.to_vec(), others.to_vec()]);
        session.register_table("t", Arc::new(table.unwrap())).unwrap();
        let plan = session.table("t").await.unwrap().into_unoptimized_plan();
        let location = Location::parse("memory://plans/out").unwrap();
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let target = Target {
            place: DatasetRoot::at(&Stores::new(StorageOptions::default()), &location).unwrap(),
            run: "run".to_owned(),
            tables: vec!["t".to_owned()],
            keys: owned(keys),
            file_schema: schema,
            order: owned(order),
            high_cardinality: false,
            part: None,
        };
        let plan = physical(&session.state(), plan, &Arc::new(target), layout).await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        let name = |line: &str| {
            let name = line.trim().split(':').next().unwrap_or_default();
            let hash = if line.contains("partitioning=Hash([k@1]") { " by key" } else { "" };
            let kept = if line.contains("preserve_partitioning=[true]") { " a stream" } else { "" };
            format!("{name}{hash}{kept}")
        };
        shown.lines().map(name).collect()
    }

    #[tokio::test]
    async fn many_keys_are_hashed_and_sorted_by_the_optimizer() {
        let found = nodes(KeyLayout::Clustered, &["k"], &["id"]).await;
        let expected =
            ["BlockWriteExec", "SortExec a stream", "RepartitionExec by key", "DataSourceExec"];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn few_keys_are_neither_shuffled_nor_sorted() {
        let spread = nodes(KeyLayout::Fanout, &["k"], &[]).await;
        assert_eq!(spread[0], "BlockWriteExec");
        assert!(
            spread.iter().all(|node| !node.contains("by key") && !node.contains("Sort")),
            "{spread:?}"
        );
        let ordered = nodes(KeyLayout::Fanout, &["k"], &["id"]).await;
        assert_eq!(ordered[..2], ["BlockWriteExec", "SortExec a stream"]);
    }

    #[tokio::test]
    async fn a_table_without_keys_can_be_one_sorted_file() {
        let found = nodes(KeyLayout::Clustered, &[], &["id"]).await;
        assert_eq!(found[..2], ["BlockWriteExec", "SortPreservingMergeExec"]);
    }
}
