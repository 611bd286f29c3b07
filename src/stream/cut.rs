//! The incremental aggregate: `state' = PartialReduce(state ∪ Partial(batch))`, and what is shown is `Final(state)`
//! with all that stands above it. So every aggregate works that the engine can compute in two stages.
//!
//! A query is planned once and its plan is kept. The plan is cut at each lowest aggregate over a stream: what is
//! below runs over the rows of a batch, what is above over the state. A query without an aggregate has no cut
//! and answers each batch alone.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::collect;
use datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, ReplaceChildrenOptions, reset_plan_states,
};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::check;
use super::slot::{Plan, Slot, SlotExec, is_live};
use crate::error::{Error, Result};

/// The state of each cut: rows of partial aggregates, a key perhaps more than once.
pub(super) type State = Vec<Vec<RecordBatch>>;

/// After so many runs joins build their tables anew, since they also keep the metrics of each run.
const KEPT_RUNS: u64 = 1000;

/// A kept plan and its state.
pub(super) struct Incremental {
    above: Arc<Above>,
    cuts: Vec<Cut>,
    /// For plans whose state is accounted for by `memory`.
    unaccounted: Arc<TaskContext>,
    memory: MemoryReservation,
    /// The plan of a query without an aggregate.
    alone: Plan,
    runs: u64,
}

struct Cut {
    partial: Plan,
    reduce: Plan,
    reduced: Arc<Slot>,
    keys: usize,
    old: Vec<RecordBatch>,
    young: Vec<RecordBatch>,
}

/// What stands above the cuts.
pub(super) struct Above {
    pub(super) plan: Plan,
    states: Vec<Arc<Slot>>,
    context: Arc<TaskContext>,
}

impl Incremental {
    /// Cuts `plan`.
    pub(super) fn new(
        plan: Plan,
        context: Arc<TaskContext>,
        unaccounted: Arc<TaskContext>,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let (mut cuts, mut states) = (Vec::new(), Vec::new());
        let plan = plan.transform_down(|plan| {
            let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(plan));
            };
            if !is_live(&plan) || has_live_aggregate(aggregate.input()) {
                return Ok(Transformed::no(plan));
            }
            let (cut, state, leaf) = cut(&plan, aggregate)?;
            cuts.push(cut);
            states.push(state);
            Ok(Transformed::new(leaf, true, TreeNodeRecursion::Jump))
        })?;
        let plan = plan.data;
        match cuts.is_empty() {
            true => check::rows_alone(&plan)?,
            false if is_live(&plan) => {
                return Err(Error::usage(
                    "the query reads a stream both through an aggregate and without one: split it into \
                     two standing queries",
                ));
            }
            false => {}
        }
        let alone = Arc::clone(&plan);
        let above = Arc::new(Above { plan, states, context });
        Ok(Self { above, cuts, unaccounted, memory, alone, runs: 0 })
    }

    /// What stands above the cuts; of a query without an aggregate all of it.
    pub(super) fn above(&self) -> &Arc<Above> {
        &self.above
    }

    /// Whether the query has an aggregate.
    pub(super) fn is_aggregate(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Whether no row can change the answer, as with `WHERE false`.
    pub(super) fn is_constant(&self) -> bool {
        !self.is_aggregate() && !is_live(&self.above.plan)
    }

    /// The state as it is now.
    pub(super) fn state(&self) -> State {
        let runs = |cut: &Cut| cut.old.iter().chain(&cut.young).cloned().collect();
        self.cuts.iter().map(runs).collect()
    }

    /// Takes in the rows that the slots of the input hold; the state of the keys that they touched, which is
    /// asked of queries with one aggregate only.
    pub(super) async fn fold(&mut self, touched: bool) -> Result<State> {
        self.forget_sometimes()?;
        let mut found = Vec::new();
        for cut in &mut self.cuts {
            let partial = again(&cut.partial)?;
            let delta = collect(partial, Arc::clone(&self.above.context)).await?;
            let delta: Vec<_> = delta.into_iter().filter(|rows| rows.num_rows() > 0).collect();
            cut.young.extend(delta.iter().cloned());
            if bytes(&cut.young)? * 2 > bytes(&cut.old)? {
                let all = cut.old.iter().chain(&cut.young).cloned().collect();
                cut.reduced.set(all);
                let reduce = reset_plan_states(Arc::clone(&cut.reduce))?;
                cut.old = collect(reduce, Arc::clone(&self.unaccounted)).await?;
                cut.young.clear();
                cut.reduced.set(Vec::new());
            }
            if touched {
                found.push(of_keys(&delta, cut)?);
            }
        }
        let mut held = 0;
        for cut in &self.cuts {
            held += bytes(&cut.old)? + bytes(&cut.young)?;
        }
        self.hold(held)?;
        Ok(found)
    }

    /// Lets the plans go of what they keep, once in a while.
    fn forget_sometimes(&mut self) -> Result<()> {
        self.runs += 1;
        if self.runs.is_multiple_of(KEPT_RUNS) {
            let plans = self.cuts.iter_mut().map(|cut| &mut cut.partial).chain([&mut self.alone]);
            for plan in plans {
                *plan = reset_plan_states(Arc::clone(plan))?;
            }
        }
        Ok(())
    }

    /// The answer to the rows of a batch alone.
    pub(super) async fn rows(&mut self) -> Result<Vec<RecordBatch>> {
        self.forget_sometimes()?;
        let plan = again(&self.alone)?;
        Ok(collect(plan, Arc::clone(&self.above.context)).await?)
    }

    /// Accounts for `bytes` that the query keeps.
    pub(super) fn hold(&self, bytes: usize) -> Result<()> {
        self.memory.try_resize(bytes).map_err(|cause| {
            let name = self.memory.consumer().name().to_owned();
            Error::new(
                crate::error::Kind::Limit,
                format!(
                    "'{name}' has to keep {bytes} bytes, more than there is memory for: group by fewer keys, \
                     select fewer rows, or raise --memory-limit"
                ),
            )
            .caused_by(cause)
        })
    }
}

impl Above {
    /// The answer to a state.
    pub(super) async fn answer(&self, state: State) -> Result<Vec<RecordBatch>> {
        let filled: Vec<_> = state.into_iter().map(|rows| Arc::new(Slot::of(rows))).collect();
        let plan = reset_plan_states(Arc::clone(&self.plan))?.transform_up(|plan| {
            let leaf = plan.downcast_ref::<SlotExec>();
            let known = leaf.and_then(|leaf| self.states.iter().position(|slot| leaf.reads(slot)));
            Ok(match known {
                None => Transformed::no(plan),
                Some(at) => {
                    let filled = SlotExec::new(&filled[at], plan.schema(), false);
                    Transformed::yes(Arc::new(filled) as Plan)
                }
            })
        })?;
        Ok(collect(plan.data, Arc::clone(&self.context)).await?)
    }

    /// How many aggregates stand over streams.
    pub(super) fn aggregates(&self) -> usize {
        self.states.len()
    }
}

/// `plan` as it is run once more. A join keeps the table that it has built of a side without a stream.
fn again(plan: &Plan) -> Result<Plan> {
    if !is_live(plan) {
        return Ok(reset_plan_states(Arc::clone(plan))?);
    }
    let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && keeps_its_table(join)
    {
        let sides = vec![Arc::clone(join.left()), again(join.right())?];
        return Ok(Arc::clone(plan).replace_children(sides, keep)?);
    }
    let children = plan.children().into_iter().map(again).collect::<Result<_>>()?;
    Ok(Arc::clone(plan).reset_state()?.replace_children(children, keep)?)
}

/// Whether the table that a join builds is without a stream, one for all tasks, and not marked by the rows
/// that are looked up in it.
fn keeps_its_table(join: &HashJoinExec) -> bool {
    use JoinType::{Inner, Right, RightAnti, RightMark, RightSemi};
    *join.partition_mode() == PartitionMode::CollectLeft
        && !is_live(join.left())
        && matches!(join.join_type(), Inner | Right | RightAnti | RightMark | RightSemi)
}

fn has_live_aggregate(plan: &Plan) -> bool {
    plan.is::<AggregateExec>() && is_live(plan)
        || plan.children().into_iter().any(has_live_aggregate)
}

/// The cut at `aggregate`, the slot of its state, and the leaf that stands for it above.
fn cut(plan: &Plan, aggregate: &AggregateExec) -> Result<(Cut, Arc<Slot>, Plan)> {
    if *aggregate.mode() != AggregateMode::Partial || aggregate.limit_options().is_some() {
        return Err(Error::internal(format!(
            "the lowest aggregate over a stream is {:?}, expected Partial without a limit",
            aggregate.mode()
        )));
    }
    check::below_an_aggregate(aggregate.input())?;
    let (reduced, state) = (Arc::new(Slot::default()), Arc::new(Slot::default()));
    let leaf: Plan = Arc::new(SlotExec::new(&reduced, plan.schema(), false));
    let group = aggregate.group_expr().as_final();
    let keys = group.expr().len();
    let reduce = AggregateExec::try_new(
        AggregateMode::PartialReduce,
        group,
        aggregate.aggr_expr().to_vec(),
        vec![None; aggregate.aggr_expr().len()],
        leaf,
        aggregate.input_schema(),
    )?;
    let (old, young) = (Vec::new(), Vec::new());
    let reduce = Arc::new(reduce);
    let stands_for = SlotExec::new(&state, plan.schema(), false);
    let cut = Cut { partial: Arc::clone(plan), reduce, reduced, keys, old, young };
    Ok((cut, state, Arc::new(stands_for)))
}

/// The rows of the state whose keys are in `delta`.
fn of_keys(delta: &[RecordBatch], cut: &Cut) -> Result<Vec<RecordBatch>> {
    let Some(first) = delta.first() else { return Ok(Vec::new()) };
    if cut.keys == 0 {
        return Ok(cut.old.iter().chain(&cut.young).cloned().collect());
    }
    let fields = first.columns()[..cut.keys].iter();
    let fields = fields.map(|key| SortField::new(key.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?;
    let mut touched = HashSet::new();
    for batch in delta {
        let keys = rows.convert_columns(&batch.columns()[..cut.keys])?;
        touched.extend(keys.iter().map(|key| key.owned()));
    }
    let mut found = Vec::new();
    for batch in cut.old.iter().chain(&cut.young) {
        let keys = rows.convert_columns(&batch.columns()[..cut.keys])?;
        let kept: BooleanArray =
            keys.iter().map(|key| Some(touched.contains(&key.owned()))).collect();
        found.push(filter_record_batch(batch, &kept)?);
    }
    Ok(found)
}

/// Bytes that rows take without what they share with others.
pub(super) fn bytes(batches: &[RecordBatch]) -> Result<usize> {
    let columns = batches.iter().flat_map(RecordBatch::columns);
    let sizes = columns.map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<std::result::Result<usize, _>>()?)
}
