//! The incremental aggregate: `state' = PartialReduce(state ∪ Partial(batch))`, and what is shown is `Final(state)`
//! with all that stands above it. So every aggregate works that the engine can compute in two stages.
//!
//! A query is planned once and its plan is kept. The plan is cut at each lowest aggregate over a stream: what is
//! below runs over the rows of a batch, what is above over the state. A query without an aggregate has no cut
//! and answers each batch alone. Joins of two streams are computed first: what they add are rows of the batch.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::collect;
use datafusion::physical_plan::execution_plan::reset_plan_states;

use super::check::{self, Grouped};
use super::closing::{Key, of_columns, of_expression};
use super::join::{StreamJoin, take_joins};
use super::slot::{Plan, Slot, SlotExec, again, has_live_aggregate, is_live};
use super::state::{Groups, split};
use super::watermark::Nanos;
use crate::error::{Error, Kind, Result};

/// The state of each cut: rows of partial aggregates, a key perhaps more than once.
pub(super) type State = Vec<Vec<RecordBatch>>;

/// After so many runs joins build their tables anew, since they also keep the metrics of each run.
const KEPT_RUNS: u64 = 1000;

/// A kept plan and its state.
pub(super) struct Incremental {
    above: Arc<Above>,
    /// Those whose rows others read come first.
    joins: Vec<StreamJoin>,
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
    groups: Groups,
    /// The aggregates that keep all values that they have seen.
    growing: Option<String>,
    /// Whether a group is more than its key.
    has_functions: bool,
}

/// What is asked of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// The groups that it touched.
    Touched,
    /// The groups that were not there before.
    New,
}

/// What a batch did to the state.
#[derive(Default)]
pub(super) struct Folded {
    /// The state of the groups that are wanted.
    pub(super) shown: State,
    /// Whether there were rows of groups that are complete.
    pub(super) has_late: bool,
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
        let (plan, joins) = take_joins(plan)?;
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
        Ok(Self { above, joins, cuts, unaccounted, memory, alone, runs: 0 })
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
        self.cuts.iter().map(|cut| cut.groups.rows()).collect()
    }

    /// Whether it joins two streams, so that it keeps their rows.
    pub(super) fn joins_streams(&self) -> bool {
        !self.joins.is_empty()
    }

    /// Bytes of the state, and its rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let groups = self.cuts.iter().map(|cut| (cut.groups.bytes(), cut.groups.len()));
        let sizes = groups.chain(self.joins.iter().map(StreamJoin::size));
        sizes.fold((0, 0), |all, size| (all.0 + size.0, all.1 + size.1))
    }

    /// What its groups are.
    pub(super) fn grouped(&self) -> Grouped {
        Grouped {
            aggregates: self.cuts.len(),
            has_functions: self.cuts.iter().any(|cut| cut.has_functions),
            closes: self.cuts.iter().all(|cut| !cut.groups.closes.is_empty()),
            joins_streams: self.joins_streams(),
        }
    }

    /// An aggregate that keeps all values which it has seen.
    pub(super) fn growing(&self) -> Option<&str> {
        self.cuts.iter().find_map(|cut| cut.growing.as_deref())
    }

    /// Takes in the rows that the slots of the input hold, but for those of groups that are complete at
    /// `late_by`.
    pub(super) async fn fold(&mut self, wanted: Wanted, late_by: Option<Nanos>) -> Result<Folded> {
        self.forget_sometimes()?;
        for join in &mut self.joins {
            join.take(&self.above.context).await?;
        }
        let mut folded = Folded::default();
        for cut in &mut self.cuts {
            let partial = again(&cut.partial)?;
            let mut delta = Vec::new();
            for rows in collect(partial, Arc::clone(&self.above.context)).await? {
                let (late, rows) = match late_by {
                    Some(late_by) => split(&rows, &cut.groups.closes, late_by)?,
                    None => (None, Some(rows)),
                };
                folded.has_late |= late.is_some();
                delta.extend(rows.filter(|rows| rows.num_rows() > 0));
            }
            if wanted == Wanted::New {
                folded.shown.push(cut.groups.new_ones(&delta)?);
            }
            cut.groups.add(&delta, &self.unaccounted).await?;
            if wanted == Wanted::Touched {
                folded.shown.push(cut.groups.touched(&delta)?);
            }
        }
        Ok(folded)
    }

    /// Takes the groups out of the state that are complete at `watermark`, if there are any.
    pub(super) fn close(&mut self, watermark: Nanos) -> Result<Option<State>> {
        let closed = self.cuts.iter_mut().map(|cut| cut.groups.close(watermark));
        let closed = closed.collect::<Result<State>>()?;
        Ok(closed.iter().any(|rows| !rows.is_empty()).then_some(closed))
    }

    /// The watermark at which all groups are complete.
    pub(super) fn open_until(&self) -> Result<Option<Nanos>> {
        let each = self.cuts.iter().map(|cut| cut.groups.open_until());
        each.collect::<Result<Vec<_>>>().map(|each| each.into_iter().max().flatten())
    }

    /// Lets the plans go of what they keep, once in a while.
    fn forget_sometimes(&mut self) -> Result<()> {
        self.runs += 1;
        if self.runs.is_multiple_of(KEPT_RUNS) {
            self.forget()?;
        }
        Ok(())
    }

    /// Lets the plans go of what they keep, as the tables that joins have built.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.joins.iter_mut().try_for_each(StreamJoin::forget)?;
        let plans = self.cuts.iter_mut().map(|cut| &mut cut.partial).chain([&mut self.alone]);
        for plan in plans {
            *plan = reset_plan_states(Arc::clone(plan))?;
        }
        Ok(())
    }

    /// The answer to the rows of a batch alone.
    pub(super) async fn rows(&mut self) -> Result<Vec<RecordBatch>> {
        self.forget_sometimes()?;
        let plan = again(&self.alone)?;
        Ok(collect(plan, Arc::clone(&self.above.context)).await?)
    }

    /// Accounts for the state, and for `kept` bytes besides.
    pub(super) async fn hold(&mut self, kept: usize) -> Result<()> {
        if self.memory.try_resize(self.size().0 + kept).is_ok() {
            return Ok(());
        }
        self.fold_all().await?;
        Ok(self.memory.try_resize(self.size().0 + kept)?)
    }

    /// Makes the state as small as it is, each group once.
    async fn fold_all(&mut self) -> Result<()> {
        for cut in &mut self.cuts {
            cut.groups.fold(&self.unaccounted).await?;
        }
        Ok(())
    }

    /// An error of too little memory in words of the query, which keeps `kept` bytes besides the state.
    pub(super) async fn explained(&mut self, cause: Error, kept: usize) -> Error {
        if cause.kind() != Kind::Limit || self.fold_all().await.is_err() {
            return cause;
        }
        let (name, (bytes, groups)) = (self.memory.consumer().name(), self.size());
        let bytes = bytes + kept;
        let (of, remedy) = match self.is_aggregate() {
            _ if self.joins_streams() => (
                " of the rows of two streams that it joins".to_owned(),
                "select fewer rows and columns of each stream below the join",
            ),
            true => (
                format!(" of {groups} groups"),
                "group by fewer keys, or in mode append or update by a window of a stream with 'watermark'",
            ),
            false => (String::new(), "select fewer rows, or insert them into a console"),
        };
        let what = format!(
            "'{name}' keeps {bytes} bytes{of}, and there is no memory for more: {remedy}, or raise --memory-limit"
        );
        Error::new(Kind::Limit, what).caused_by(cause)
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
    let stands_for = SlotExec::new(&state, plan.schema(), false);
    let cut = Cut {
        partial: Arc::clone(plan),
        groups: Groups::new(Arc::new(reduce), reduced, keys, closes(aggregate)),
        growing: growing(aggregate),
        has_functions: !aggregate.aggr_expr().is_empty(),
    };
    Ok((cut, state, Arc::new(stands_for)))
}

/// The keys by which a group is complete some time: those that each group has a value of.
fn closes(aggregate: &AggregateExec) -> Vec<Key> {
    let input = aggregate.input();
    let (columns, schema) = (of_columns(input), input.schema());
    let group: &PhysicalGroupBy = aggregate.group_expr();
    let keys = group.expr().iter().enumerate();
    let keys = keys.filter(|(key, _)| group.groups().iter().all(|is_null| !is_null[*key]));
    let closes = keys.map(|(key, (expression, _))| {
        of_expression(expression, &columns, &schema).map(|closes| (key, closes))
    });
    closes.flatten().collect()
}

/// Aggregates whose state is all values that they have seen.
const KEEPING: &[&str] = &["median", "percentile_cont", "array_agg", "string_agg"];

fn growing(aggregate: &AggregateExec) -> Option<String> {
    let mut functions = aggregate.aggr_expr().iter();
    let keeps = functions
        .find(|function| function.is_distinct() || KEEPING.contains(&function.fun().name()))?;
    let distinct = if keeps.is_distinct() { "DISTINCT " } else { "" };
    Some(format!("{}({distinct}…)", keeps.fun().name()))
}
