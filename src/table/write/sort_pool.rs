//! The sort under a write, in a pool of its own that is cut out of the common one.
//!
//! A merge of spilled runs takes as much memory as it finds, and the merge of the next stream would
//! find none. What is below the sort stays in the common pool. Where memory is little, batches are
//! short, those of the sort and those below: a sort takes a batch as a whole, and a merge holds some
//! of every run.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as EngineResult, internal_err};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};
use datafusion::prelude::SessionConfig;

/// The part of the pool that the sorts of all streams get; the rest is for what is below them, for
/// rows that are being encoded and for what a sort holds beyond what it accounts.
const SORTING_PERCENT: usize = 40;
/// A sort that would get less than this many times what it sets aside for its merge has no own pool.
const LEAST_RESERVES: usize = 3;
/// Batches that a stream's part of the pool has room for at least.
const BATCHES_IN_POOL: usize = 80;
/// Bytes of a value, for a guess at those of a row.
const VALUE_BYTES: usize = 8;

/// How many of its consumers a full pool names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");

/// Runs a stream of `plan`. If that sorts, the reservation is the sort's pool.
pub(super) fn execute(
    plan: &Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
) -> EngineResult<(SendableRecordBatchStream, Option<MemoryReservation>)> {
    let Some((sort, bytes)) = sort_of(plan).zip(limit(context.memory_pool())) else {
        return Ok((plan.execute(partition, context)?, None));
    };
    let bytes = bytes / plan.output_partitioning().partition_count();
    let config = in_short_batches(context.session_config(), bytes, sort.schema().fields().len());
    let context = renewed(&context, config, context.runtime_env());
    let reserve = context.session_config().options().execution.sort_spill_reservation_bytes;
    let bytes = bytes / 100 * SORTING_PERCENT;
    if bytes < LEAST_RESERVES * reserve {
        return Ok((plan.execute(partition, context)?, None));
    }
    let share = MemoryConsumer::new("sort by key").register(context.memory_pool());
    share.try_grow(bytes)?;
    let own = in_pool(&context, bytes)?;
    let plan = Arc::clone(plan).transform_down(|node| {
        if !node.is::<SortExec>() {
            return Ok(Transformed::no(node));
        }
        let below = |child: &Arc<dyn ExecutionPlan>| InContext::of(Arc::clone(child), &context);
        let children = node.children().into_iter().map(below).collect();
        let sort = node.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )?;
        Ok(Transformed::new(InContext::of(sort, &own), true, TreeNodeRecursion::Stop))
    });
    Ok((plan?.data.execute(partition, context)?, Some(share)))
}

/// The sort that `plan` ends with, whatever columns are left out after it.
fn sort_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    if plan.is::<ProjectionExec>() {
        return plan.children().into_iter().next().and_then(sort_of);
    }
    plan.is::<SortExec>().then_some(plan)
}

fn limit(pool: &Arc<dyn MemoryPool>) -> Option<usize> {
    match pool.memory_limit() {
        MemoryLimit::Finite(bytes) => Some(bytes),
        _ => None,
    }
}

/// The same settings with batches that are small beside `bytes`.
fn in_short_batches(config: &SessionConfig, bytes: usize, columns: usize) -> SessionConfig {
    let rows = bytes / BATCHES_IN_POOL / VALUE_BYTES / columns.max(1);
    config.clone().with_batch_size(rows.clamp(1, config.batch_size()))
}

/// The same context with a pool of `bytes`.
fn in_pool(context: &TaskContext, bytes: usize) -> EngineResult<Arc<TaskContext>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS_NAMED);
    let runtime = RuntimeEnvBuilder::from_runtime_env(&context.runtime_env())
        .with_memory_pool(Arc::new(pool))
        .build_arc()?;
    Ok(renewed(context, context.session_config().clone(), runtime))
}

/// The same context with other settings and another runtime.
fn renewed(
    context: &TaskContext,
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        runtime,
    ))
}

/// Runs its child in another context than it is given.
struct InContext {
    child: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

impl InContext {
    fn of(child: Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { child, context: Arc::clone(context) })
    }
}

impl fmt::Debug for InContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InContext({:?})", self.child)
    }
}

impl DisplayAs for InContext {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InContext")
    }
}

impl ExecutionPlan for InContext {
    fn name(&self) -> &'static str {
        "InContext"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.child.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.child]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(child), true) => Ok(Arc::new(Self { child, context: Arc::clone(&self.context) })),
            _ => internal_err!("InContext has one child"),
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
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        _: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        self.child.execute(partition, Arc::clone(&self.context))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::SchemaRef;
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use futures::TryStreamExt;
    use rstest::rstest;

    use super::*;

    /// Rows 3, 1, 2; keeps the size of the pool and the batches they are asked for in.
    #[derive(Debug)]
    struct Below {
        rows: RecordBatch,
        schema: SchemaRef,
        asked: Arc<Mutex<Option<(usize, usize)>>>,
    }

    impl PartitionStream for Below {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
            if let MemoryLimit::Finite(bytes) = context.memory_pool().memory_limit() {
                *self.asked.lock().unwrap() = Some((bytes, context.session_config().batch_size()));
            }
            let rows = futures::stream::iter([Ok(self.rows.clone())]);
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
        }
    }

    #[rstest]
    #[case(250 << 20, 100 << 20, 65_536)]
    #[case(40 << 20, 0, 65_536)]
    #[case(20 << 20, 0, 32_768)]
    #[tokio::test]
    async fn a_sort_has_a_pool_of_its_own_and_what_is_below_it_has_not(
        #[case] pool: usize,
        #[case] own: usize,
        #[case] batch_rows: usize,
        #[values(false, true)] is_projected: bool,
    ) {
        let column = Arc::new(Int64Array::from(vec![3, 1, 2]));
        let rows = RecordBatch::try_from_iter([("id", column as _)]).unwrap();
        let (schema, asked) = (rows.schema(), Arc::new(Mutex::new(None)));
        let below = Below { rows, schema: Arc::clone(&schema), asked: Arc::clone(&asked) };
        let below: Arc<dyn PartitionStream> = Arc::new(below);
        let below =
            StreamingTableExec::try_new(Arc::clone(&schema), vec![below], None, [], false, None);
        let order = PhysicalSortExpr::new_default(col("id", &schema).unwrap());
        let mut plan: Arc<dyn ExecutionPlan> =
            Arc::new(SortExec::new([order].into(), Arc::new(below.unwrap())));
        if is_projected {
            let id = (col("id", &schema).unwrap(), "renamed".to_owned());
            plan = Arc::new(ProjectionExec::try_new([id], plan).unwrap());
        }
        let config = SessionConfig::new().with_batch_size(65_536);
        let context = TaskContext::default().with_session_config(config);
        let context = in_pool(&context, pool).unwrap();
        let (stream, share) = execute(&plan, 0, Arc::clone(&context)).unwrap();
        assert_eq!(share.as_ref().map_or(0, MemoryReservation::size), own);
        let sorted: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let expected = Int64Array::from(vec![1, 2, 3]);
        assert_eq!(sorted[0].column(0).as_ref(), &expected as &dyn arrow::array::Array);
        assert_eq!(*asked.lock().unwrap(), Some((pool, batch_rows)));
        drop((sorted, share));
        assert_eq!(context.memory_pool().reserved(), 0);
    }
}
