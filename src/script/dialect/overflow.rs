//! A rule for plans of scripts: arithmetic of integers is checked, SIMILAR TO has the meaning of the standard,
//! and instants are compared in their own unit. It comes after the types are known, and keeps the names of columns.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::checked;
use super::instants::without_nanoseconds;
use super::similar_to::regular_expression;
use crate::error::Error;

/// The rule.
#[derive(Debug)]
pub(super) struct Checked;

impl AnalyzerRule for Checked {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(node).map(|plan| plan.data)
    }

    fn name(&self) -> &'static str {
        "checked_arithmetic"
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let source = scan.source.schema();
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &source)?);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|whole| {
        let name = names.save(&whole);
        let changed = whole.transform_up(|part| expression(part, &schema))?;
        Ok(match changed.transformed {
            true => changed.update_data(|whole| name.restore(whole)),
            false => changed,
        })
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn expression(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Some(comparison) = without_nanoseconds(&part, schema) {
        return Ok(Transformed::yes(comparison));
    }
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_integer = |side: &Expr| side.get_type(schema).is_ok_and(|t| t.is_integer());
            match checked(op).filter(|_| is_integer(&left) && is_integer(&right)) {
                Some(function) => Ok(Transformed::yes(call(function, *left, *right))),
                None => Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            }
        }
        Expr::Negative(inner) => match inner.get_type(schema) {
            Ok(of_type) if of_type.is_signed_integer() && !matches!(*inner, Expr::Literal(..)) => {
                let zero = lit(ScalarValue::new_zero(&of_type)?);
                let minus = checked(Operator::Minus).map(|minus| call(minus, zero, *inner.clone()));
                Ok(Transformed::yes(minus.unwrap_or(Expr::Negative(inner))))
            }
            _ => Ok(Transformed::no(Expr::Negative(inner))),
        },
        Expr::SimilarTo(like) => similar(like).map(Transformed::yes),
        Expr::InList(list) if is_of_rows(&list) => Ok(Transformed::yes(one_by_one(list))),
        other => Ok(Transformed::no(other)),
    }
}

fn call(function: datafusion::logical_expr::ScalarUDF, left: Expr, right: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![left, right]))
}

/// Whether the values of a list differ from row to row: the engine takes some such lists for constant.
fn is_of_rows(InList { expr, list, .. }: &InList) -> bool {
    !expr.is_volatile() && list.iter().any(Expr::any_column_refs)
}

/// A list as comparisons with each of its values.
fn one_by_one(InList { expr, list, negated }: InList) -> Expr {
    let equal = list.into_iter().map(|one| binary_expr((*expr).clone(), Operator::Eq, one));
    let any = equal.reduce(|one, other| binary_expr(one, Operator::Or, other));
    let any = any.unwrap_or_else(|| lit(false));
    if negated { Expr::Not(Box::new(any)) } else { any }
}

/// `SIMILAR TO` as a match with a regular expression.
fn similar(like: Like) -> Result<Expr> {
    let pattern = match *like.pattern {
        Expr::Literal(value, _) if value.is_null() => return Ok(lit(ScalarValue::Boolean(None))),
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    let pattern = pattern.ok_or_else(|| {
        Error::usage("the pattern of SIMILAR TO is not a constant: write it as a string")
    })?;
    let operator = match like.negated {
        false => Operator::RegexMatch,
        true => Operator::RegexNotMatch,
    };
    let pattern = regular_expression(&pattern, like.escape_char)?;
    Ok(binary_expr(*like.expr, operator, lit(pattern)))
}
