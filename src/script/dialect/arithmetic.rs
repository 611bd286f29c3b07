//! `+`, `-`, `*`, `<<` and `>>` of integers, with an error where the result does not fit its type. The engine's
//! wrap around.

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use crate::error::Error;

/// The function for an operator; `None` for those that cannot overflow, or fail by themselves.
pub(super) fn checked(operator: Operator) -> Option<ScalarUDF> {
    let (name, kernel): (_, Kernel) = match operator {
        Operator::Plus => ("+", add),
        Operator::Minus => ("-", sub),
        Operator::Multiply => ("*", mul),
        Operator::BitwiseShiftLeft => ("<<", shift_left),
        Operator::BitwiseShiftRight => (">>", shift_right),
        _ => return None,
    };
    let signature = Signature::any(2, Volatility::Immutable);
    Some(ScalarUDF::new_from_impl(Checked { name, kernel, signature }))
}

fn shift_left(number: &dyn Datum, by: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    shifted(number, by, "<<", |number, by| number.checked_mul(1_i128.checked_shl(by)?))
}

fn shift_right(number: &dyn Datum, by: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    shifted(number, by, ">>", |number, by| Some(number >> by))
}

/// Integers moved by 0 to 63 bits, as long as they fit their type.
fn shifted(
    number: &dyn Datum,
    by: &dyn Datum,
    sign: &str,
    shift: fn(i128, u32) -> Option<i128>,
) -> Result<ArrayRef, ArrowError> {
    const WIDE: DataType = DataType::Decimal128(38, 0);
    let ((number, one), (by, one_shift)) = (number.get(), by.get());
    let data_type = number.data_type();
    let (wide, bits) = (cast(number, &WIDE)?, cast(by, &WIDE)?);
    let (wide, bits) =
        (wide.as_primitive::<Decimal128Type>(), bits.as_primitive::<Decimal128Type>());
    let rows = if one { bits.len() } else { wide.len() };
    let at = |row| (if one { 0 } else { row }, if one_shift { 0 } else { row });
    let shifted = (0..rows).map(at).map(|(row, by)| {
        if wide.is_null(row) || bits.is_null(by) {
            return Ok(None);
        }
        let (number, by) = (wide.value(row), bits.value(by));
        let found = u32::try_from(by).ok().filter(|by| *by < 64).and_then(|by| shift(number, by));
        let fits = |found: &i128| match data_type {
            DataType::UInt64 => u64::try_from(*found).is_ok(),
            _ => i64::try_from(*found).is_ok(),
        };
        let found = found.filter(fits);
        let what = || {
            ArrowError::ArithmeticOverflow(format!("Overflow happened on: {number} {sign} {by}"))
        };
        found.map(Some).ok_or_else(what)
    });
    let shifted = shifted.collect::<Result<Decimal128Array, ArrowError>>()?;
    let shifted = shifted.with_precision_and_scale(38, 0)?;
    cast_with_options(&shifted, data_type, &CastOptions { safe: false, ..CastOptions::default() })
}

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

#[derive(Debug)]
struct Checked {
    name: &'static str,
    kernel: Kernel,
    signature: Signature,
}

/// A name means one function.
impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Checked {}

impl std::hash::Hash for Checked {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    /// As the engine names what it computes itself.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => {
                Ok(format!("{} {} {}", left.schema_name(), self.name, right.schema_name()))
            }
            _ => internal_err!("{} needs two operands", self.name),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Both operands have one type, which the engine has found before.
    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] if left == right => Ok(left.clone()),
            _ => internal_err!("{} of {types:?}", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else {
            return internal_err!("{} needs two operands", self.name);
        };
        apply(left, right, self.kernel).map_err(|cause| {
            let of_type = super::said::type_name(args.return_field.data_type());
            let what = cause.find_root().message().into_owned();
            let what = what.rsplit_once("on: ").map_or(&*what, |(_, what)| what);
            let wider = super::said::wider_type(args.return_field.data_type());
            let remedy = match self.name {
                "<<" | ">>" => ": bits are moved by 0 to 63 places".to_owned(),
                _ => format!(
                    ": write CAST(… AS {wider}) around a number, or DOUBLE if it may be rounded"
                ),
            };
            Error::data(format!("{what} does not fit {of_type}{remedy}")).into()
        })
    }
}
