//! The inner join of two streams: a batch adds `ΔL ⋈ (R ∪ ΔR) ∪ L ⋈ ΔR`, with `L` and `R` the rows of the
//! batches before, which are kept.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, ReplaceChildrenOptions, reset_plan_states,
};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode,
};

use super::check;
use super::kept::Kept;
use super::slot::{Plan, Slot, SlotExec, again, has_live_aggregate, is_live};
use crate::error::{Error, Result};

/// One side of a join of two streams.
struct Side {
    /// What the side has of a batch.
    plan: Plan,
    kept: Kept,
    /// The rows of the batches before and those of this one, and what the plans of the join read of them.
    old: Arc<Slot>,
    new: Arc<Slot>,
    all: Arc<Slot>,
}

/// A join of two streams and the rows of both that it keeps.
pub(super) struct StreamJoin {
    left: Side,
    right: Side,
    /// `ΔL ⋈ (R ∪ ΔR)`.
    of_left: Plan,
    /// `L ⋈ ΔR`.
    of_right: Plan,
    /// What a batch adds, for the plan above.
    added: Arc<Slot>,
}

impl Side {
    fn new(plan: &Plan) -> Result<Self> {
        check::side_of_a_join(plan)?;
        let (old, new, all) = Default::default();
        Ok(Self { plan: Arc::clone(plan), kept: Kept::default(), old, new, all })
    }

    fn reads(&self, slot: &Arc<Slot>) -> Plan {
        Arc::new(SlotExec::new(slot, self.plan.schema(), false))
    }

    /// Computes what the side has of a batch.
    async fn take(&mut self, context: &Arc<TaskContext>) -> Result<()> {
        let new = collect(again(&self.plan)?, Arc::clone(context)).await?;
        let new: Vec<_> = new.into_iter().filter(|rows| rows.num_rows() > 0).collect();
        self.old.set(self.kept.batches().to_vec());
        for rows in &new {
            self.kept.push(rows)?;
        }
        self.all.set(self.kept.batches().to_vec());
        self.new.set(new);
        Ok(())
    }

    fn forget_batch(&self) {
        for slot in [&self.old, &self.new, &self.all] {
            slot.set(Vec::new());
        }
    }
}

impl StreamJoin {
    /// Adds what the rows of a batch match.
    pub(super) async fn take(&mut self, context: &Arc<TaskContext>) -> Result<()> {
        self.left.take(context).await?;
        self.right.take(context).await?;
        let mut added = Vec::new();
        for plan in [&self.of_left, &self.of_right] {
            let plan = reset_plan_states(Arc::clone(plan))?;
            added.extend(collect(plan, Arc::clone(context)).await?);
        }
        self.added.set(added);
        self.left.forget_batch();
        self.right.forget_batch();
        Ok(())
    }

    /// Bytes of the rows that are kept, and how many there are.
    pub(super) fn size(&self) -> (usize, usize) {
        let (left, right) = (&self.left.kept, &self.right.kept);
        (left.bytes() + right.bytes(), left.rows() + right.rows())
    }

    /// Lets the plans of both sides go of what they keep.
    pub(super) fn forget(&mut self) -> Result<()> {
        for side in [&mut self.left, &mut self.right] {
            side.plan = reset_plan_states(Arc::clone(&side.plan))?;
        }
        Ok(())
    }
}

/// Takes the joins of two streams out of `plan`, inner ones first. What is left reads what they add.
pub(super) fn take_joins(plan: Plan) -> Result<(Plan, Vec<StreamJoin>)> {
    let mut joins = Vec::new();
    let plan = plan.transform_up(|plan| {
        let [left, right] = plan.children()[..] else { return Ok(Transformed::no(plan)) };
        let is_stream = |side: &Plan| is_live(side) && !has_live_aggregate(side);
        if !plan.name().contains("Join") || !is_stream(left) || !is_stream(right) {
            return Ok(Transformed::no(plan));
        }
        let (join, leaf) = stream_join(&plan, left, right)?;
        joins.push(join);
        Ok(Transformed::yes(leaf))
    })?;
    Ok((plan.data, joins))
}

fn stream_join(plan: &Plan, left: &Plan, right: &Plan) -> Result<(StreamJoin, Plan)> {
    let (left, right) = (Side::new(left)?, Side::new(right)?);
    let over = |left, right| {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Arc::clone(plan).replace_children(vec![left, right], recompute)
    };
    let of_left = over(left.reads(&left.new), right.reads(&right.all))?;
    let of_right = from_the_right(&over(left.reads(&left.old), right.reads(&right.new))?)?;
    let added = Arc::new(Slot::default());
    let leaf = SlotExec::new(&added, plan.schema(), true);
    Ok((StreamJoin { left, right, of_left, of_right, added }, Arc::new(leaf)))
}

/// The same join, which looks up the rows of its left side in a table of its right.
fn from_the_right(plan: &Plan) -> Result<Plan> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        inner(*join.join_type())?;
        return Ok(join.swap_inputs(PartitionMode::CollectLeft)?);
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        inner(*join.join_type())?;
        return Ok(join.swap_inputs()?);
    }
    match plan.downcast_ref::<CrossJoinExec>() {
        Some(join) => Ok(join.swap_inputs()?),
        None => Err(Error::usage(format!("{} of two streams is not supported", plan.name()))),
    }
}

fn inner(kind: JoinType) -> Result<()> {
    let what = match kind {
        JoinType::Inner => return Ok(()),
        JoinType::Left | JoinType::Right | JoinType::Full => "an outer JOIN",
        _ => "IN or EXISTS",
    };
    Err(Error::usage(format!(
        "{what} of two streams is not supported, for a row that has no match yet may have one later: use JOIN"
    )))
}
