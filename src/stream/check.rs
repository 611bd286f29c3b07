//! What a standing query may be: refused before its first batch, with the reason and what works.
//!
//! | query | append | update | complete |
//! |---|---|---|---|
//! | without an aggregate | yes | yes, as append | yes: all rows so far |
//! | JOIN of two streams | yes | yes, as append | yes: all rows so far |
//! | DISTINCT, or GROUP BY without a function | yes: groups that were not there | yes | yes |
//! | with an aggregate, plain above it | no | yes: the groups that a batch touched | yes |
//! | the same over a window of a stream with a watermark | yes: each group when it is complete | yes | yes |
//! | ORDER BY, LIMIT, OVER (…), a join or another aggregate above it | no | no | yes |

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

/// Checks one side of a join of two streams.
pub(super) fn side_of_a_join(plan: &Plan) -> Result<()> {
    row_by_row(plan, false)
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
        join(plan)?;
    }
    if name == "UnionExec" && live.len() < plan.children().len() {
        return Err(Error::usage(
            "UNION ALL of a stream and a table that has an end would show the rows of the table in each batch: \
             insert them once, or use two standing queries",
        ));
    }
    live.into_iter().try_for_each(|child| row_by_row(child, may_sort))
}

fn refused(what: &str, why: &str) -> Error {
    Error::usage(format!(
        "{what} {why}: use it above an aggregate, or select from a materialized view"
    ))
}

/// A join with a table that does not change, of which the stream is the side whose rows are kept.
fn join(plan: &Plan) -> Result<()> {
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

/// Checks that files can take what is shown in `mode`.
pub(super) fn mode_of_files(mode: OutputMode) -> Result<()> {
    let shows = match mode {
        OutputMode::Append => return Ok(()),
        OutputMode::Update => "mode update shows a group again when it changes",
        OutputMode::Complete => "mode complete shows all rows again with each batch",
    };
    Err(Error::usage(format!(
        "{shows}, but rows of files stay as they are: use 'mode' 'append', or create a materialized view and \
         COPY from it"
    )))
}

/// What the groups of a query are.
pub(super) struct Grouped {
    /// How many aggregates stand over streams.
    pub(super) aggregates: usize,
    /// Whether a group is more than its key.
    pub(super) has_functions: bool,
    /// Whether a group is complete some time, by the time of its rows.
    pub(super) closes: bool,
    /// Whether the rows are those of a join of two streams, which may be of any time.
    pub(super) joins_streams: bool,
}

/// Checks that a query can be shown in `mode`, by what it does above the state of its aggregates; `unmarked` is
/// a stream of it without a watermark.
pub(super) fn mode(
    above: &Plan,
    grouped: &Grouped,
    unmarked: Option<&str>,
    mode: OutputMode,
) -> Result<()> {
    let (word, shows) = match mode {
        _ if grouped.aggregates == 0 => return Ok(()),
        OutputMode::Complete => return Ok(()),
        OutputMode::Append => ("append", "a row once and for good"),
        OutputMode::Update => ("update", "the groups that a batch touched"),
    };
    if grouped.aggregates > 1 {
        return Err(Error::usage(format!(
            "mode {word} is for one aggregate, and this query has several: use 'mode' 'complete'"
        )));
    }
    if mode == OutputMode::Append && grouped.has_functions {
        let others = "or use 'mode' 'complete', or 'update' for the groups that a batch touched";
        match unmarked {
            _ if grouped.joins_streams => {
                return Err(Error::usage(
                    "mode append shows a row once and for good, but a row that comes may match rows of any window \
                     that came before: use 'mode' 'complete', or 'update' for the groups that a batch touched",
                ));
            }
            _ if !grouped.closes => {
                return Err(Error::usage(format!(
                    "mode append shows a row once and for good, but a group changes with each row that comes: \
                     group by a window of the event time of a stream with 'watermark', {others}"
                )));
            }
            Some(stream) => {
                return Err(Error::usage(format!(
                    "mode append shows a row once and for good, but nothing says when the last row of a \
                     window has come: give the table '{stream}' the option 'watermark', {others}"
                )));
            }
            None => {}
        }
    }
    match is_group_by_group(above, true) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "mode {word} shows {shows}, but ORDER BY, LIMIT, OVER (…), a join or a second aggregate above \
             them can change others: use 'mode' 'complete'"
        ))),
    }
}

fn is_group_by_group(plan: &Plan, is_above: bool) -> bool {
    let name = plan.name();
    let is_final = name == "AggregateExec" && is_directly_over_state(plan);
    let works =
        GROUP_BY_GROUP.contains(&name) && (name != "AggregateExec" || is_final || !is_above);
    works && plan.children().into_iter().all(|child| is_group_by_group(child, !is_final))
}

/// Whether only plumbing is between an aggregate and the state.
fn is_directly_over_state(plan: &Plan) -> bool {
    plan.children().into_iter().all(|child| {
        child.is::<SlotExec>()
            || (!["AggregateExec", "FilterExec", "ProjectionExec"].contains(&child.name())
                && is_directly_over_state(child))
    })
}
