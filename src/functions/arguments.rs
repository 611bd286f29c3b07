//! Reading the arguments of our functions: constants, coordinates, weights.
//!
//! The constant arguments of an aggregate come first and are read once, from the plan: the engine
//! makes an array of every argument, and that of a constant is never looked at.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::context::{FunctionContext, Ready};
use crate::cancel::CancelFlag;
use crate::centroids::block::{ColumnSlice, RowBlock, Span, Take};
use crate::centroids::kernel::BLOCK;
use crate::centroids::model::{ModelSet, Weight};
use crate::error::Error;
use crate::isa::Isa;

/// An error of ours on its way through the engine.
pub(super) fn failed(error: impl Into<Error>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

/// A user's mistake in a call of `function`.
pub(super) fn misused<T>(function: &str, what: impl std::fmt::Display) -> Result<T> {
    Err(failed(Error::usage(format!("{function}: {what}"))))
}

/// A model as the value of a driver's parameter. The engine makes an array of it for every batch:
/// run-end encoded, that is one value however many the rows. Of no rows it cannot make such an array,
/// so this is not for plans that may have empty batches.
pub fn model_literal(models: &ModelSet) -> ScalarValue {
    let ends = Field::new("run_ends", DataType::Int64, false);
    let values = Field::new("values", DataType::BinaryView, true);
    let model = ScalarValue::BinaryView(Some(models.encode()));
    ScalarValue::RunEndEncoded(Arc::new(ends), Arc::new(values), Box::new(model))
}

/// The bytes of a constant model, whichever way it is encoded.
pub(super) fn model_bytes(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::BinaryView(Some(bytes)) => Some(bytes),
        ScalarValue::RunEndEncoded(_, _, value) => model_bytes(value),
        _ => None,
    }
}

/// The types that arguments of a k-means aggregate are cast to: `constants`, then numbers, at least
/// one. FunctionContext that are run-end encoded stay so. Integers and floats stay as they are, and so the
/// engine copies no column.
pub(super) fn coerce(
    function: &str,
    types: &[DataType],
    constants: &[DataType],
) -> Result<Vec<DataType>> {
    if types.len() <= constants.len() {
        return misused(
            function,
            format_args!(
                "found {} arguments, expected {} and at least one column",
                types.len(),
                constants.len()
            ),
        );
    }
    let columns = types.iter().enumerate().skip(constants.len());
    let columns = columns.map(|(i, found)| {
        coerce_number(found).map_or_else(
            || misused(function, format_args!("argument {} is {found}, expected a number", i + 1)),
            Ok,
        )
    });
    let constants = constants.iter().zip(types).map(|(wanted, found)| match found {
        DataType::RunEndEncoded(_, values) if values.data_type() == wanted => Ok(found.clone()),
        _ => Ok(wanted.clone()),
    });
    constants.chain(columns).collect()
}

/// The type a coordinate is read as; `None` where it is not a number. An unbound placeholder is Null.
pub(super) fn coerce_number(found: &DataType) -> Option<DataType> {
    match found {
        DataType::Dictionary(_, values) => coerce_number(values).map(|_| DataType::Float64),
        DataType::Null | DataType::Float16 => Some(DataType::Float64),
        found if found.is_decimal() => Some(DataType::Float64),
        found if found.is_integer() || matches!(found, DataType::Float32 | DataType::Float64) => {
            Some(found.clone())
        }
        _ => None,
    }
}

/// The constant at argument `index`, which an error calls `what`.
pub(super) fn constant(
    function: &str,
    what: &str,
    args: &AccumulatorArgs<'_>,
    index: usize,
) -> Result<ScalarValue> {
    let expr = &args.exprs[index];
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    // A column fails on an empty schema, anything computed from constants gives a scalar.
    match expr.evaluate(&nothing) {
        Ok(ColumnarValue::Scalar(value)) if !value.is_null() => Ok(value),
        Err(error) if Error::find_in(&error).is_some() => Err(error),
        _ => misused(
            function,
            format_args!("the {what} must be a constant, found {expr}; bind it as a parameter"),
        ),
    }
}

/// The constant model at argument `index`.
pub(super) fn model(
    function: &str,
    context: &FunctionContext,
    args: &AccumulatorArgs<'_>,
    index: usize,
) -> Result<Ready<ModelSet>> {
    let model = constant(function, "model", args, index)?;
    match model_bytes(&model) {
        Some(bytes) => context.models(bytes).map_err(failed),
        None => internal_err!("a model was not coerced: {}", model.data_type()),
    }
}

/// The constant count at argument `index`, at most `max`.
pub(super) fn count(
    function: &str,
    what: &str,
    args: &AccumulatorArgs<'_>,
    index: usize,
    max: i64,
) -> Result<usize> {
    match constant(function, what, args, index)? {
        ScalarValue::Int64(Some(n)) if (1..=max).contains(&n) => {
            Ok(usize::try_from(n).expect("checked to be small"))
        }
        found => misused(function, format_args!("the {what} is {found}, expected 1 to {max}")),
    }
}

/// The columns of a call: which arguments are coordinates, and whether a weight follows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallColumns {
    first: usize,
    coordinates: usize,
    weighted: bool,
}

impl CallColumns {
    /// Compares the arguments after the constants with what the model says about the rows.
    pub(super) fn of(
        function: &str,
        models: &ModelSet,
        args: &AccumulatorArgs<'_>,
        constants: usize,
    ) -> Result<Self> {
        let found = args.exprs.len() - constants;
        let weight = models.bounds().weight;
        let weighted = weight != Weight::None;
        let coordinates = models.columns();
        if found != coordinates + usize::from(weighted) {
            let weight = if weighted { " and a weight" } else { "" };
            return misused(
                function,
                format_args!(
                    "found {found} columns, expected {coordinates}{weight}, as the model has"
                ),
            );
        }
        if weight == Weight::Integer
            && !args.expr_fields[args.exprs.len() - 1].data_type().is_integer()
        {
            return misused(function, "the weight is a float, but the model expects an integer");
        }
        Ok(Self { first: constants, coordinates, weighted })
    }

    /// Loads the rows of a batch, block by block, into the block that `block` finds in `scratch`, and
    /// has `each` use it, as long as somebody waits.
    pub(super) fn for_each_block<S>(
        &self,
        isa: Isa,
        (models, cancelled): (&ModelSet, &CancelFlag),
        (values, filter): (&[ArrayRef], Option<&BooleanArray>),
        scratch: &mut S,
        block: impl Fn(&mut S) -> &mut RowBlock,
        mut each: impl FnMut(&mut S) -> Result<()>,
    ) -> Result<()> {
        let used = &values[self.first..];
        let (coordinates, weight) = used.split_at(self.coordinates);
        let weight = if self.weighted { Some(column(&weight[0])?) } else { None };
        // Looked at once, not block by block: the type of each column and whether it has NULLs.
        let coordinates = coordinates.iter().map(column).collect::<Result<Vec<_>>>()?;
        let all = filter.is_none() && used.iter().all(|array| array.null_count() == 0);
        let take = |row: usize| {
            if filter.is_some_and(|filter| !(filter.is_valid(row) && filter.value(row))) {
                Take::Ignore
            } else if used.iter().any(|array| array.is_null(row)) {
                Take::Skip
            } else {
                Take::Use
            }
        };
        let rows = values[0].len();
        for start in (0..rows).step_by(BLOCK) {
            cancelled.check().map_err(failed)?;
            let span = Span { start, end: rows.min(start + BLOCK) };
            let columns = coordinates.iter().copied();
            block(scratch)
                .load(isa, models, columns, weight, span, (!all).then_some(take))
                .map_err(failed)?;
            each(scratch)?;
        }
        Ok(())
    }
}

/// The values of a coerced column, as they lie in memory.
pub(super) fn column(array: &ArrayRef) -> Result<ColumnSlice<'_>> {
    Ok(match array.data_type() {
        DataType::Int8 => ColumnSlice::I8(array.as_primitive::<Int8Type>().values()),
        DataType::Int16 => ColumnSlice::I16(array.as_primitive::<Int16Type>().values()),
        DataType::Int32 => ColumnSlice::I32(array.as_primitive::<Int32Type>().values()),
        DataType::Int64 => ColumnSlice::I64(array.as_primitive::<Int64Type>().values()),
        DataType::UInt8 => ColumnSlice::U8(array.as_primitive::<UInt8Type>().values()),
        DataType::UInt16 => ColumnSlice::U16(array.as_primitive::<UInt16Type>().values()),
        DataType::UInt32 => ColumnSlice::U32(array.as_primitive::<UInt32Type>().values()),
        DataType::UInt64 => ColumnSlice::U64(array.as_primitive::<UInt64Type>().values()),
        DataType::Float32 => ColumnSlice::F32(array.as_primitive::<Float32Type>().values()),
        DataType::Float64 => ColumnSlice::F64(array.as_primitive::<Float64Type>().values()),
        other => return internal_err!("a column was not coerced: {other}"),
    })
}
