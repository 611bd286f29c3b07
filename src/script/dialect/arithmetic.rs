//! `+`, `-` and `*` of integers, with an error where the result does not fit its type. The engine's wrap
//! around.

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::DataType;
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
        _ => return None,
    };
    let signature = Signature::any(2, Volatility::Immutable);
    Some(ScalarUDF::new_from_impl(Checked { name, kernel, signature }))
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
            Error::data(format!(
                "{what} does not fit {of_type}: write CAST(… AS {}) around a number, or DOUBLE if \
                 it may be rounded",
                super::said::wider_type(args.return_field.data_type())
            ))
            .into()
        })
    }
}
