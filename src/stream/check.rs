//! What a standing query may be: refused before its first batch, with the reason and what works.
//!
//! | query | append | update | complete |
//! |---|---|---|---|
//! | without an aggregate | yes | yes, as append | yes: all rows so far |
//! | with an aggregate, plain above it | no | yes: the groups that a batch touched | yes |
//! | ORDER BY, LIMIT, a join or another aggregate above it | no | no | yes |

use datafusion::common::JoinType;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::options::OutputMode;
use super::slot::{Plan, SlotExec, is_live};
use crate::error::{Error, Result};

/// What stands between a stream and its aggregate, or its answer, and works batch by batch.
const ROW_BY_ROW: &[&str] = &[
    "SlotExec",
    "FilterExec",
    "ProjectionExec",
    "UnnestExec",
    "UnionExec",
    "CrossJoinExec",
    "HashJoinExec",
    "NestedLoopJoinExec",
    "RepartitionExec",
    "CoalescePartitionsExec",
    "CoalesceBatchesExec",
    "CooperativeExec",
];

/// What stands above an aggregate and works on each group alone.
const GROUP_BY_GROUP: &[&str] = &[
    "SlotExec",
    "AggregateExec",
    "FilterExec",
    "ProjectionExec",
    "RepartitionExec",
    "CoalescePartitionsExec",
    "CoalesceBatchesExec",
    "CooperativeExec",
];

/// Checks a query without an aggregate.
pub(super) fn rows_alone(plan: &Plan) -> Result<()> {
    if !is_live(plan) {
        return Ok(()); // WHERE false
    }
    row_by_row(plan, false)
}

/// Checks what feeds an aggregate.
pub(super) fn below_an_aggregate(plan: &Plan) -> Result<()> {
    row_by_row(plan, true)
}

fn row_by_row(plan: &Plan, may_sort: bool) -> Result<()> {
    let name = plan.name();
    let sorts = may_sort && plan.is::<SortExec>();
    if plan.fetch().is_some() || name.contains("Limit") {
        return Err(refused("LIMIT", "has no end to count from on a stream"));
    }
    if name.contains("Sort") && !sorts {
        return Err(refused("ORDER BY", "needs all rows, which a stream never has"));
    }
    if name.contains("Window") {
        return Err(refused("OVER (…)", "needs rows of other batches"));
    }
    if !sorts && !ROW_BY_ROW.contains(&name) {
        return Err(Error::usage(format!("{name} does not work on a stream, batch by batch")));
    }
    let live: Vec<_> = plan.children().into_iter().filter(|child| is_live(child)).collect();
    if name.contains("Join") {
        join(plan, live.len())?;
    }
    live.into_iter().try_for_each(|child| row_by_row(child, may_sort))
}

fn refused(what: &str, why: &str) -> Error {
    Error::usage(format!(
        "{what} {why}: use it above an aggregate, or select from a materialized view"
    ))
}

/// A join with a table that does not change, of which the stream is the side whose rows are kept.
fn join(plan: &Plan, streams: usize) -> Result<()> {
    if streams > 1 {
        return Err(Error::usage(
            "a join of two streams is not supported: join a stream with a table that has an end",
        ));
    }
    let kind =
        match (plan.downcast_ref::<HashJoinExec>(), plan.downcast_ref::<NestedLoopJoinExec>()) {
            (Some(join), _) => *join.join_type(),
            (_, Some(join)) => *join.join_type(),
            _ => return Ok(()), // a cross join
        };
    let on_the_left = plan.children().first().is_some_and(|left| is_live(left));
    let works = match kind {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            on_the_left
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            !on_the_left
        }
        JoinType::Full => false,
    };
    match works {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{kind} JOIN keeps rows of the table that match nothing in the stream, which is known when the \
             stream has ended: put the stream on the side whose rows are kept, or use JOIN"
        ))),
    }
}

/// Checks that a query can be shown in `mode`, by what it does above the state of its aggregates.
pub(super) fn mode(above: &Plan, aggregates: usize, mode: OutputMode) -> Result<()> {
    match mode {
        _ if aggregates == 0 => Ok(()),
        OutputMode::Complete => Ok(()),
        OutputMode::Append => Err(Error::usage(
            "mode append shows a row once and for good, but a group changes with each row that comes: use \
             'mode' 'complete', or 'update' for the groups that a batch touched",
        )),
        OutputMode::Update if aggregates > 1 => Err(Error::usage(
            "mode update is for one aggregate, and this query has several: use 'mode' 'complete'",
        )),
        OutputMode::Update => group_by_group(above, true),
    }
}

fn group_by_group(plan: &Plan, is_above: bool) -> Result<()> {
    let name = plan.name();
    let is_final = name == "AggregateExec" && is_directly_over_state(plan);
    if !GROUP_BY_GROUP.contains(&name) || (name == "AggregateExec" && !is_final && is_above) {
        return Err(Error::usage(
            "mode update shows the groups that a batch touched, but ORDER BY, LIMIT, a join or a second \
             aggregate above them can change others: use 'mode' 'complete'",
        ));
    }
    plan.children().into_iter().try_for_each(|child| group_by_group(child, !is_final))
}

/// Whether only plumbing is between an aggregate and the state.
fn is_directly_over_state(plan: &Plan) -> bool {
    plan.children().into_iter().all(|child| {
        child.is::<SlotExec>()
            || (!["AggregateExec", "FilterExec", "ProjectionExec"].contains(&child.name())
                && is_directly_over_state(child))
    })
}
