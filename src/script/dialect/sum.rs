//! `sum` of integers, with an error where it does not fit its type. The engine's wraps around. The sum on
//! the way is one of 128 bits, so whether it fits does not depend on the order of rows. Sums of other types
//! are the engine's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, Signature,
};

use super::said::type_name;
use crate::error::Error;

/// What integers are summed as.
const WIDE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// The function.
pub(super) fn checked_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(CheckedSum { engines: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    engines: Arc<AggregateUDF>,
}

/// The same arguments for a sum of [`WIDE`].
fn widened<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    let return_field = Arc::new(Field::new(args.return_field.name(), WIDE, true));
    AccumulatorArgs { return_field, ..*args }
}

fn is_checked(of_type: &DataType) -> bool {
    matches!(of_type, DataType::Int64 | DataType::UInt64)
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn signature(&self) -> &Signature {
        self.engines.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.engines.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_checked(args.return_type()) {
            return self.engines.state_fields(args);
        }
        let return_field = Arc::new(Field::new(args.return_field.name(), WIDE, true));
        self.engines.state_fields(StateFieldsArgs { return_field, ..args })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let to = Target::of(&args);
        match to {
            None => self.engines.accumulator(args),
            Some(to) => {
                Ok(Box::new(Checked { wide: self.engines.accumulator(widened(&args))?, to }))
            }
        }
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        match Target::of(&args).filter(|_| !args.is_distinct) {
            None => self.engines.create_sliding_accumulator(args),
            Some(to) => {
                let wide = self.engines.create_sliding_accumulator(widened(&args))?;
                Ok(Box::new(Checked { wide, to }))
            }
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.engines.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match Target::of(&args) {
            None => self.engines.create_groups_accumulator(args),
            Some(to) => {
                let wide = self.engines.create_groups_accumulator(widened(&args))?;
                Ok(Box::new(Checked { wide, to }))
            }
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engines.order_sensitivity()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engines.documentation()
    }
}

/// What a sum has to fit, and what it is called.
#[derive(Debug)]
struct Target {
    data_type: DataType,
    name: String,
}

impl Target {
    fn of(args: &AccumulatorArgs<'_>) -> Option<Self> {
        let data_type = args.return_field.data_type().clone();
        is_checked(&data_type).then(|| Self { data_type, name: args.name.to_owned() })
    }

    fn narrow(&self, sums: &dyn Array) -> Result<ArrayRef> {
        let failing = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(sums, &self.data_type, &failing)
            .map_err(|_too_large| self.too_large(sums))
    }

    /// Names the first sum that does not fit.
    fn too_large(&self, sums: &dyn Array) -> DataFusionError {
        let fits = |sum: i128| match self.data_type {
            DataType::Int64 => i64::try_from(sum).is_ok(),
            _ => u64::try_from(sum).is_ok(),
        };
        let sums = sums.as_primitive::<Decimal128Type>();
        let sum = sums.iter().flatten().find(|sum| !fits(*sum)).unwrap_or_default();
        let (name, of_type) = (&self.name, type_name(&self.data_type));
        Error::data(format!(
            "{name} is {sum}, which does not fit {of_type}: write sum(CAST(… AS DECIMAL(38, 0)))"
        ))
        .into()
    }
}

/// Integers as [`WIDE`].
fn wide(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let [values] = values else { return datafusion::common::internal_err!("sum of one column") };
    let wide = match values.data_type() {
        DataType::Int64 => {
            values.as_primitive::<Int64Type>().unary::<_, Decimal128Type>(i128::from)
        }
        _ => values.as_primitive::<UInt64Type>().unary::<_, Decimal128Type>(i128::from),
    };
    Ok(vec![Arc::new(wide.with_data_type(WIDE))])
}

/// A sum of [`WIDE`] that has to fit in the end.
#[derive(Debug)]
struct Checked<A> {
    wide: A,
    to: Target,
}

impl Accumulator for Checked<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.wide.update_batch(&wide(values)?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.wide.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.wide.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.wide.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&self.to.narrow(&sum)?, 0)
    }

    fn size(&self) -> usize {
        self.wide.size()
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.wide.retract_batch(&wide(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.wide.supports_retract_batch()
    }
}

impl GroupsAccumulator for Checked<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.wide.update_batch(&wide(values)?, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.wide.merge_batch(states, groups, total)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.wide.state(emit)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let sums = self.wide.evaluate(emit)?;
        self.to.narrow(&sums)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.wide.convert_to_state(&wide(values)?, filter)
    }

    fn size(&self) -> usize {
        self.wide.size()
    }
}
