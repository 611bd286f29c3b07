//! Relations of SQL that are made from another one:
//!
//! | relation | rows |
//! |---|---|
//! | `TUMBLE(t, ts, size)` | those of `t`, each with the window of `ts`: `window_start`, `window_end` |
//! | `HOP(t, ts, slide, size)` | the same, a row once for each window that holds it |
//! | `drop_nulls(t)`, `drop_nulls(t, a, b)` | those of `t` without NULL, in all columns or in these |
//!
//! Windows are those of [`hop_starts`](super::hop_starts), so they are aligned to 1970 and half open. A row without a time is
//! in no window. The engine looks up tables that are named as relations only, so a name in place of `t` is made
//! `(SELECT * FROM t)` before a statement is planned: [`table_as_query`].

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, NullHandling, Result, ScalarValue, UnnestOptions};
use datafusion::error::DataFusionError;
use datafusion::functions::datetime::expr_fn::date_bin;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ident, lit};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, ObjectName, Statement, TableFactor, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::hop_starts::{hop_starts, in_units, nanoseconds, not_a_time};
use crate::error::Error;

/// The columns of a window.
const START: &str = "window_start";
const END: &str = "window_end";

/// What a relation is called, if it is one of ours.
fn known(name: &ObjectName) -> Option<&'static str> {
    let name = name.to_string().to_lowercase();
    ["tumble", "hop", "drop_nulls"].into_iter().find(|known| *known == name)
}

/// Puts `(SELECT * FROM t)` in the place of `t` where a relation of ours is made from the table, view or
/// relation `t`.
pub fn table_as_query(relation: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(args), .. } = relation else { return };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = args.args.first_mut() else {
        return;
    };
    if known(name).is_none() {
        return;
    }
    let table = match first {
        ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_) | ast::Expr::Function(_) => {
            first.to_string()
        }
        ast::Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(location) => Ident::with_quote('"', location).to_string(),
            _ => return,
        },
        _ => return,
    };
    let parsed = Parser::parse_sql(&GenericDialect {}, &format!("SELECT * FROM {table}"));
    if let Ok([Statement::Query(query)]) = parsed.as_deref() {
        *first = ast::Expr::Subquery(query.clone());
    }
}

/// Plans `TUMBLE`, `HOP` and `drop_nulls`.
#[derive(Debug)]
pub struct WindowRelations;

impl RelationPlanner for WindowRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, args: Some(args), .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(function) = known(name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let called = match function {
            "tumble" => "TUMBLE(table, time, size)",
            "hop" => "HOP(table, time, slide, size)",
            _ => "drop_nulls(table, column, …)",
        };
        let arguments: Option<Vec<ast::Expr>> = args.args.iter().map(unnamed).collect();
        let usage = || DataFusionError::from(Error::usage(format!("write {called}")));
        let mut arguments = arguments.ok_or_else(usage)?;
        if arguments.is_empty() {
            return Err(usage());
        }
        let ast::Expr::Subquery(query) = arguments.remove(0) else {
            let what = format!("{function} is made from a table or a query: write {called}");
            return Err(Error::usage(what).into());
        };
        let input = context.plan(TableFactor::Derived {
            lateral: false,
            subquery: query,
            alias: None,
            sample: None,
        })?;
        let schema = Arc::clone(input.schema());
        let arguments =
            arguments.into_iter().map(|argument| context.sql_to_expr(argument, &schema));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let plan = match (function, &arguments[..]) {
            ("drop_nulls", columns) => without_nulls(input, columns)?,
            ("tumble", [time, size]) => tumble(input, time, size)?,
            ("hop", [time, slide, size]) => hop(input, time, slide, size)?,
            _ => return Err(usage()),
        };
        let planned = PlannedRelation::new(plan, alias.clone());
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

fn unnamed(argument: &FunctionArg) -> Option<ast::Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    }
}

fn without_nulls(input: LogicalPlan, columns: &[Expr]) -> Result<LogicalPlan> {
    let columns = match columns {
        [] => columns_of(input.schema()),
        named => named.to_vec(),
    };
    if let Some(other) = columns.iter().find(|column| !matches!(column, Expr::Column(_))) {
        let what = format!("'{other}' is not a column: drop_nulls takes a table and its columns");
        return Err(Error::usage(what).into());
    }
    match columns.into_iter().map(Expr::is_not_null).reduce(Expr::and) {
        None => Ok(input),
        Some(complete) => LogicalPlanBuilder::from(input).filter(complete)?.build(),
    }
}

fn tumble(input: LogicalPlan, time: &Expr, size: &Expr) -> Result<LogicalPlan> {
    let size = length("TUMBLE", "size", size, &input, time)?;
    let epoch = ScalarValue::TimestampNanosecond(Some(0), None);
    let start = date_bin(size.clone(), time.clone(), lit(epoch));
    let start = start.cast_to(&time.get_type(input.schema())?, input.schema())?;
    let mut columns = columns_of(input.schema());
    columns.extend([start.clone().alias(START), (start + size).alias(END)]);
    LogicalPlanBuilder::from(input).filter(time.clone().is_not_null())?.project(columns)?.build()
}

fn hop(input: LogicalPlan, time: &Expr, slide: &Expr, size: &Expr) -> Result<LogicalPlan> {
    let slide = length("HOP", "slide", slide, &input, time)?;
    let size = length("HOP", "size", size, &input, time)?;
    let mut columns = columns_of(input.schema());
    let starts = hop_starts().call(vec![time.clone(), slide, size.clone()]);
    columns.push(starts.alias(START));
    let drop = UnnestOptions { null_handling: NullHandling::Drop, ..UnnestOptions::default() };
    let a_row_a_window = LogicalPlanBuilder::from(input)
        .filter(time.clone().is_not_null())?
        .project(columns)?
        .unnest_column_with_options(Column::from_name(START), drop)?;
    let mut columns = columns_of(a_row_a_window.schema());
    columns.push((ident(START) + size).alias(END));
    a_row_a_window.project(columns)?.build()
}

fn columns_of(schema: &DFSchema) -> Vec<Expr> {
    schema.iter().map(|(table, field)| Expr::Column((table, field).into())).collect()
}

/// The constant interval `given` in nanoseconds, and what is wrong with a call.
fn length(
    function: &str,
    what: &str,
    given: &Expr,
    input: &LogicalPlan,
    time: &Expr,
) -> Result<Expr> {
    let schema = input.schema();
    if let Some((_, taken)) =
        schema.iter().find(|(_, field)| [START, END].contains(&field.name().as_str()))
    {
        return Err(Error::usage(format!(
            "the table of {function} has a column '{}' already: give it another name",
            taken.name()
        ))
        .into());
    }
    let unit = match time.get_type(schema)? {
        DataType::Timestamp(unit, _) => unit,
        other => return Err(not_a_time(function, &other).into()),
    };
    let Expr::Literal(constant, _) = given else {
        return Err(Error::usage(format!(
            "{what} of {function} is '{given}', expected a constant interval"
        ))
        .into());
    };
    let length = nanoseconds(function, what, constant)?;
    in_units(function, what, length, unit)?;
    Ok(lit(ScalarValue::new_interval_mdn(0, 0, length)))
}
