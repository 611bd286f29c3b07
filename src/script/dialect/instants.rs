//! Instants compared with text, in the unit of the column. The engine would turn both into nanoseconds, which
//! end in 2262.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, lit};

/// The comparison without nanoseconds; `None` where there is nothing to change.
pub(super) fn without_nanoseconds(part: &Expr, schema: &DFSchema) -> Option<Expr> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let (left, right) = match (column(left, schema), column(right, schema)) {
                (Some((left, unit)), None) => (left, constant(right, &unit)?),
                (None, Some((right, unit))) => (constant(left, &unit)?, right),
                _ => return None,
            };
            Some(Expr::BinaryExpr(BinaryExpr {
                left: Box::new(left),
                op: *op,
                right: Box::new(right),
            }))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let (expr, unit) = column(expr, schema)?;
            let (low, high) = (constant(low, &unit)?, constant(high, &unit)?);
            Some(Expr::Between(Between::new(
                Box::new(expr),
                *negated,
                Box::new(low),
                Box::new(high),
            )))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let (expr, unit) = column(expr, schema)?;
            let list = list.iter().map(|one| constant(one, &unit)).collect::<Option<Vec<_>>>()?;
            Some(Expr::InList(InList::new(Box::new(expr), list, *negated)))
        }
        _ => None,
    }
}

/// What is cast to nanoseconds, and its type with a coarser unit.
fn column(side: &Expr, schema: &DFSchema) -> Option<(Expr, DataType)> {
    let inner = cast_to_nanoseconds(side)?;
    match inner.get_type(schema).ok()? {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
        unit @ DataType::Timestamp(..) => Some((inner.clone(), unit)),
        _ => None,
    }
}

/// A constant text as an instant of this type, if the unit holds it.
fn constant(side: &Expr, unit: &DataType) -> Option<Expr> {
    let text = cast_to_nanoseconds(side).unwrap_or(side);
    let Expr::Literal(text @ (ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_)), _) = text else {
        return None;
    };
    let instant = text.cast_to(unit).ok()?;
    let nanoseconds = match unit {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        _ => return None,
    };
    let is_exact = match (text.cast_to(&nanoseconds), instant.cast_to(&nanoseconds)) {
        (Ok(written), Ok(kept)) => written == kept,
        _ => true,
    };
    is_exact.then(|| lit(instant))
}

fn cast_to_nanoseconds(side: &Expr) -> Option<&Expr> {
    match side {
        Expr::Cast(cast)
            if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) =>
        {
            Some(&cast.expr)
        }
        _ => None,
    }
}
