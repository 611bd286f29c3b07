//! The leaf of a kept plan: a slot of batches, read anew by each run of the plan. And how such a plan is run again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, reset_plan_states,
};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A plan of the engine.
pub(super) type Plan = Arc<dyn ExecutionPlan>;

/// Rows that a stream is said to have, so that a join builds its table from the other side.
const MANY: usize = 1_000_000_000_000;

/// What a leaf reads.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Vec<RecordBatch>>);

impl Slot {
    /// With these batches.
    pub(super) fn of(batches: Vec<RecordBatch>) -> Self {
        Self(Mutex::new(batches))
    }

    /// Puts `batches` in place of those before.
    pub(super) fn set(&self, batches: Vec<RecordBatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = batches;
    }

    fn rows(&self) -> usize {
        self.get().iter().map(RecordBatch::num_rows).sum()
    }

    fn get(&self) -> Vec<RecordBatch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads a slot.
#[derive(Clone, Debug)]
pub(super) struct SlotExec {
    slot: Arc<Slot>,
    projection: Option<Vec<usize>>,
    is_input: bool,
    /// The column that is the time of a row.
    time: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl SlotExec {
    /// Reads `slot`, the next rows of a stream or kept rows.
    pub(super) fn new(slot: &Arc<Slot>, schema: SchemaRef, is_input: bool) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties);
        Self { slot: Arc::clone(slot), projection: None, is_input, time: None, properties }
    }

    fn of_table(table: &SlotTable, projection: Option<&Vec<usize>>) -> Result<Self> {
        let (schema, time) = match projection {
            None => (Arc::clone(&table.schema), table.time),
            Some(columns) => {
                let is_time = |column: &usize| Some(*column) == table.time;
                (Arc::new(table.schema.project(columns)?), columns.iter().position(is_time))
            }
        };
        let projection = projection.cloned();
        Ok(Self { projection, time, ..Self::new(&table.slot, schema, table.is_input) })
    }

    /// The column that is the time of a row.
    pub(super) fn time(&self) -> Option<usize> {
        self.time
    }

    /// Whether it reads `slot`.
    pub(super) fn reads(&self, slot: &Arc<Slot>) -> bool {
        Arc::ptr_eq(&self.slot, slot)
    }
}

/// Whether a plan reads the next rows of a stream.
pub(super) fn is_live(plan: &Plan) -> bool {
    let leaf = plan.downcast_ref::<SlotExec>();
    leaf.is_some_and(|leaf| leaf.is_input) || plan.children().into_iter().any(is_live)
}

/// `plan` as it is run once more. A join keeps the table that it has built of a side without a stream.
pub(super) fn again(plan: &Plan) -> Result<Plan> {
    if !is_live(plan) {
        return reset_plan_states(Arc::clone(plan));
    }
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && keeps_its_table(join)
    {
        let sides = vec![Arc::clone(join.left()), again(join.right())?];
        return Arc::clone(plan).replace_children(sides, keep);
    }
    let children = plan.children().into_iter().map(again).collect::<Result<_>>()?;
    Arc::clone(plan).reset_state()?.replace_children(children, keep)
}

/// Whether the table that a join builds is without a stream, one for all tasks, and not marked by the rows
/// that are looked up in it.
fn keeps_its_table(join: &HashJoinExec) -> bool {
    use JoinType::{Inner, Right, RightAnti, RightMark, RightSemi};
    *join.partition_mode() == PartitionMode::CollectLeft
        && !is_live(join.left())
        && matches!(join.join_type(), Inner | Right | RightAnti | RightMark | RightSemi)
}

/// Whether an aggregate over a stream is in a plan.
pub(super) fn has_live_aggregate(plan: &Plan) -> bool {
    plan.is::<AggregateExec>() && is_live(plan)
        || plan.children().into_iter().any(has_live_aggregate)
}

impl DisplayAs for SlotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlotExec")
    }
}

impl ExecutionPlan for SlotExec {
    fn name(&self) -> &'static str {
        "SlotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        Vec::new()
    }

    fn replace_children(self: Arc<Self>, _: Vec<Plan>, _: ReplaceChildrenOptions) -> Result<Plan> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Plan>) -> Result<Plan> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if self.is_input {
            statistics.num_rows = Precision::Inexact(MANY);
            statistics.total_byte_size = Precision::Inexact(MANY);
        } else {
            statistics.num_rows = Precision::Inexact(self.slot.rows());
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = match &self.projection {
            None => self.slot.get(),
            Some(columns) => {
                let batches = self.slot.get().into_iter().map(|batch| batch.project(columns));
                batches.collect::<std::result::Result<_, _>>()?
            }
        };
        Ok(Box::pin(MemoryStream::try_new(batches, self.schema(), None)?))
    }
}

/// A slot as a table of a kept plan.
#[derive(Debug)]
pub(super) struct SlotTable {
    pub(super) slot: Arc<Slot>,
    pub(super) schema: SchemaRef,
    /// Whether it has the next rows of a stream.
    pub(super) is_input: bool,
    /// The column that is the time of a row.
    pub(super) time: Option<usize>,
}

#[async_trait]
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Plan> {
        Ok(Arc::new(SlotExec::of_table(self, projection)?))
    }
}
