//! The sort under a write, in a pool of its own that is cut out of the common one.
//!
//! A merge of spilled runs takes as much memory as it finds, and the merge of the next stream would
//! find none. What is below the sort stays in the common pool.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as EngineResult, internal_err};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};

/// The part of the pool that the sorts of all streams get; the rest is for what is below them, for rows
/// that are being encoded and for what a sort holds beyond what it accounts.
const SORTING_PERCENT: usize = 40;
/// A sort that would get less than this many times what it sets aside for its merge has no own pool.
const LEAST_RESERVES: usize = 3;

/// How many of its consumers a full pool names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");

/// Runs a stream of `plan`. If it is a sort, the reservation is its pool's.
pub(super) fn execute(
    plan: &Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
) -> EngineResult<(SendableRecordBatchStream, Option<MemoryReservation>)> {
    let streams = plan.output_partitioning().partition_count();
    let reserve = context.session_config().options().execution.sort_spill_reservation_bytes;
    let bytes = match context.memory_pool().memory_limit() {
        MemoryLimit::Finite(bytes) if plan.is::<SortExec>() => {
            bytes / 100 * SORTING_PERCENT / streams
        }
        _ => 0,
    };
    if bytes < LEAST_RESERVES * reserve {
        return Ok((plan.execute(partition, context)?, None));
    }
    let share = MemoryConsumer::new("sort by key").register(context.memory_pool());
    share.try_grow(bytes)?;
    let own = in_pool(&context, bytes)?;
    let below = |child: &Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
        Arc::new(InContext { child: Arc::clone(child), context: Arc::clone(&context) })
    };
    let children = plan.children().into_iter().map(below).collect();
    let sort = Arc::clone(plan).replace_children(
        children,
        ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
    )?;
    Ok((sort.execute(partition, own)?, Some(share)))
}

/// The same context with a pool of so many bytes.
fn in_pool(context: &TaskContext, bytes: usize) -> EngineResult<Arc<TaskContext>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS_NAMED);
    let runtime = RuntimeEnvBuilder::from_runtime_env(&context.runtime_env())
        .with_memory_pool(Arc::new(pool))
        .build_arc()?;
    Ok(Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone(),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        runtime,
    )))
}

/// Runs its child in another context than it is given.
struct InContext {
    child: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
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

    /// Rows 3, 1, 2; keeps the size of the pool they are asked for in.
    #[derive(Debug)]
    struct Below {
        rows: RecordBatch,
        schema: SchemaRef,
        pool: Arc<Mutex<Option<usize>>>,
    }

    impl PartitionStream for Below {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
            if let MemoryLimit::Finite(bytes) = context.memory_pool().memory_limit() {
                *self.pool.lock().unwrap() = Some(bytes);
            }
            let rows = futures::stream::iter([Ok(self.rows.clone())]);
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
        }
    }

    #[rstest]
    #[case(250 << 20, 100 << 20)]
    #[case(40 << 20, 0)]
    #[tokio::test]
    async fn a_sort_has_a_pool_of_its_own_and_what_is_below_it_has_not(
        #[case] pool: usize,
        #[case] own: usize,
    ) {
        let column = Arc::new(Int64Array::from(vec![3, 1, 2]));
        let rows = RecordBatch::try_from_iter([("id", column as _)]).unwrap();
        let (schema, seen) = (rows.schema(), Arc::new(Mutex::new(None)));
        let below = Below { rows, schema: Arc::clone(&schema), pool: Arc::clone(&seen) };
        let below: Arc<dyn PartitionStream> = Arc::new(below);
        let below =
            StreamingTableExec::try_new(Arc::clone(&schema), vec![below], None, [], false, None);
        let order = PhysicalSortExpr::new_default(col("id", &schema).unwrap());
        let sort: Arc<dyn ExecutionPlan> =
            Arc::new(SortExec::new([order].into(), Arc::new(below.unwrap())));
        let context = in_pool(&TaskContext::default(), pool).unwrap();
        let (stream, share) = execute(&sort, 0, Arc::clone(&context)).unwrap();
        assert_eq!(share.as_ref().map_or(0, MemoryReservation::size), own);
        let sorted: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let expected = Int64Array::from(vec![1, 2, 3]);
        assert_eq!(sorted[0].column(0).as_ref(), &expected as &dyn arrow::array::Array);
        assert_eq!(*seen.lock().unwrap(), Some(pool));
        drop((sorted, share));
        assert_eq!(context.memory_pool().reserved(), 0);
    }
}
