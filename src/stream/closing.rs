//! When a group of an aggregate is complete: by a key that follows from the time of the rows.
//!
//! Such a key is the time itself, the start or the end of a window of it (`TUMBLE`, `HOP`, `date_bin`, `date_trunc`),
//! or one of these with an interval added. Each is found in the plan by its shape. A group is complete as soon as
//! no row can come to it that is not late: when the watermark is not before its value and [`Closes::after`] more.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, Scalar};
use arrow::compute::kernels::boolean::or;
use arrow::compute::kernels::cmp::lt_eq;
use arrow::compute::{cast, max, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::common::{JoinSide, JoinType, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, build_join_schema};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;

use super::event_time::{in_units, unit_of};
use super::slot::{Plan, SlotExec};
use super::watermark::{END, Nanos};
use crate::error::Result;

const DAY: Nanos = 86_400_000_000_000;

/// A column whose values follow from the time of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closes {
    /// A value is complete when the watermark has come so far behind it.
    pub(super) after: Nanos,
    /// All values are multiples of this.
    grid: Nanos,
}

/// A key of an aggregate, by its column.
pub(super) type Key = (usize, Closes);

/// What is known of each column that `plan` gives.
pub(super) fn of_columns(plan: &Plan) -> Vec<Option<Closes>> {
    let schema = plan.schema();
    let none = || vec![None; schema.fields().len()];
    if let Some(leaf) = plan.downcast_ref::<SlotExec>() {
        let mut columns = none();
        if let Some(time) = leaf.time()
            && let Some(unit) = unit_of(schema.field(time).data_type())
        {
            columns[time] = Some(Closes { after: unit, grid: unit });
        }
        return columns;
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let (input, types) = (of_columns(projection.input()), projection.input().schema());
        let columns = projection.expr().iter();
        return columns.map(|column| of_expression(&column.expr, &input, &types)).collect();
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return projected(of_columns(filter.input()), filter.projection().as_deref());
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let all = joined(join.left(), join.right(), *join.join_type());
        return projected(all, join.projection.as_deref());
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let all = joined(join.left(), join.right(), *join.join_type());
        return projected(all, join.projection().as_deref());
    }
    if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
        return joined(join.left(), join.right(), JoinType::Inner);
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        return union.inputs().iter().map(of_columns).reduce(both).unwrap_or_else(none);
    }
    match &plan.children()[..] {
        // Rows go through these as they are; a list that is unnested keeps its place.
        [input]
            if plan.is::<UnnestExec>()
                || [
                    "RepartitionExec",
                    "CoalescePartitionsExec",
                    "CoalesceBatchesExec",
                    "CooperativeExec",
                    "SortExec",
                ]
                .contains(&plan.name()) =>
        {
            let input = of_columns(input);
            if input.len() == schema.fields().len() { input } else { none() }
        }
        _ => none(),
    }
}

fn projected(all: Vec<Option<Closes>>, columns: Option<&[usize]>) -> Vec<Option<Closes>> {
    match columns {
        None => all,
        Some(columns) => columns.iter().map(|column| all[*column]).collect(),
    }
}

fn joined(left: &Plan, right: &Plan, kind: JoinType) -> Vec<Option<Closes>> {
    let (_, columns) = build_join_schema(&left.schema(), &right.schema(), &kind);
    let (left, right) = (of_columns(left), of_columns(right));
    let side = |column: &ColumnIndex| match column.side {
        JoinSide::Left => left[column.index],
        JoinSide::Right => right[column.index],
        JoinSide::None => None,
    };
    columns.iter().map(side).collect()
}

fn both(one: Vec<Option<Closes>>, other: Vec<Option<Closes>>) -> Vec<Option<Closes>> {
    let pairs = one.into_iter().zip(other);
    let later = |(one, other): (Option<Closes>, Option<Closes>)| {
        let (one, other) = (one?, other?);
        let (after, grid) = (one.after.max(other.after), divisor(one.grid, other.grid));
        Some(Closes { after, grid })
    };
    pairs.map(later).collect()
}

/// What is known of an expression over columns.
pub(super) fn of_expression(
    expression: &Arc<dyn PhysicalExpr>,
    columns: &[Option<Closes>],
    schema: &Schema,
) -> Option<Closes> {
    let known = |input: &Arc<dyn PhysicalExpr>| of_expression(input, columns, schema);
    if let Some(column) = expression.downcast_ref::<Column>() {
        return columns.get(column.index()).copied().flatten();
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        let from = unit_of(&cast.expr().data_type(schema).ok()?)?;
        return in_other_units(known(cast.expr())?, from, unit_of(cast.cast_type())?);
    }
    if let Some(sum) = expression.downcast_ref::<BinaryExpr>() {
        let added = match sum.op() {
            Operator::Plus => interval(constant(sum.right())?)?,
            Operator::Minus => -interval(constant(sum.right())?)?,
            _ => return None,
        };
        let value = known(sum.left())?;
        let (after, grid) = (value.after - added, divisor(value.grid, added));
        return Some(Closes { after, grid });
    }
    let call = expression.downcast_ref::<ScalarFunctionExpr>()?;
    let unit = |input: &Arc<dyn PhysicalExpr>| of_utc(&input.data_type(schema).ok()?);
    match (call.name(), call.args()) {
        ("date_bin", [width, time]) => {
            binned(known(time)?, interval(constant(width)?)?, 0, unit(time)?)
        }
        ("date_bin", [width, time, origin]) => {
            let origin = instant(constant(origin)?)?;
            binned(known(time)?, interval(constant(width)?)?, origin, unit(time)?)
        }
        ("date_trunc", [word, time]) => {
            let word = match constant(word)? {
                ScalarValue::Utf8(Some(word)) | ScalarValue::Utf8View(Some(word)) => word,
                _ => return None,
            };
            binned(known(time)?, longest(word)?, 1, unit(time)?)
        }
        ("hop_starts", [time, slide, size]) => {
            let (slide, size) = (interval(constant(slide)?)?, interval(constant(size)?)?);
            let after = known(time)?.after + size - unit(time)?;
            Some(Closes { after, grid: slide })
        }
        _ => None,
    }
}

/// The unit of a time that is cut without regard to a time zone.
fn of_utc(time: &DataType) -> Option<Nanos> {
    match time {
        DataType::Timestamp(_, Some(zone)) if !["UTC", "+00:00"].contains(&&**zone) => None,
        _ => unit_of(time),
    }
}

/// The start of the one of equal windows that holds a value in units of `unit`.
fn binned(value: Closes, width: Nanos, origin: Nanos, unit: Nanos) -> Option<Closes> {
    (width > 0).then(|| Closes { after: value.after + width - unit, grid: divisor(width, origin) })
}

/// The same in units of `to`: what is cut off goes towards 1970.
fn in_other_units(value: Closes, from: Nanos, to: Nanos) -> Option<Closes> {
    if value.grid % to == 0 {
        return Some(value);
    }
    Some(Closes { after: value.after + to - from, grid: to })
}

/// How long the longest span is that `date_trunc` makes one value.
fn longest(word: &str) -> Option<Nanos> {
    Some(match word.to_lowercase().as_str() {
        "microsecond" => 1_000,
        "millisecond" => 1_000_000,
        "second" => 1_000_000_000,
        "minute" => 60_000_000_000,
        "hour" => 3_600_000_000_000,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 31 * DAY,
        "quarter" => 92 * DAY,
        "year" => 366 * DAY,
        _ => return None,
    })
}

fn constant(expression: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    expression.downcast_ref::<Literal>().map(Literal::value)
}

/// Nanoseconds of an interval without months.
fn interval(value: &ScalarValue) -> Option<Nanos> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            Some(Nanos::from(interval.days) * DAY + Nanos::from(interval.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Some(Nanos::from(interval.days) * DAY + Nanos::from(interval.milliseconds) * 1_000_000)
        }
        _ => None,
    }
}

fn instant(value: &ScalarValue) -> Option<Nanos> {
    let unit = unit_of(&value.data_type())?;
    match value.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(units)) => Some(Nanos::from(units) * unit),
        _ => None,
    }
}

fn divisor(one: Nanos, other: Nanos) -> Nanos {
    let (mut one, mut other) = (one.abs(), other.abs());
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

/// Which rows belong to groups that are complete at `watermark`: any of their keys says so. A key that is NULL
/// says nothing before the end.
pub(super) fn closed(rows: &RecordBatch, keys: &[Key], watermark: Nanos) -> Result<BooleanArray> {
    let all = |value| BooleanArray::from(vec![value; rows.num_rows()]);
    if watermark == END {
        return Ok(all(true));
    }
    let mut closed = all(false);
    for (column, closes) in keys {
        let column = rows.column(*column);
        let Some(unit) = unit_of(column.data_type()) else { continue };
        let last = in_units(watermark.saturating_sub(closes.after), unit);
        let values = cast(column, &DataType::Int64)?;
        let is_before = lt_eq(&values, &Scalar::new(Int64Array::from(vec![last])))?;
        closed = or(&closed, &without_nulls(&is_before))?;
    }
    Ok(closed)
}

/// NULL as false.
fn without_nulls(mask: &BooleanArray) -> BooleanArray {
    match mask.null_count() {
        0 => mask.clone(),
        _ => prep_null_mask_filter(mask),
    }
}

/// The watermark at which all groups of `rows` are complete whose keys are not NULL.
pub(super) fn open_until(rows: &RecordBatch, keys: &[Key]) -> Result<Option<Nanos>> {
    let mut until = None;
    for (column, closes) in keys {
        let column = rows.column(*column);
        let Some(unit) = unit_of(column.data_type()) else { continue };
        let values = cast(column, &DataType::Int64)?;
        let newest = max(values.as_primitive::<Int64Type>());
        let newest = newest.map(|newest| Nanos::from(newest) * unit + closes.after);
        until = match (until, newest) {
            (Some(until), Some(newest)) => Some(newest.min(until)),
            (until, newest) => newest.or(until),
        };
    }
    Ok(until)
}
