//! What all our aggregates have in common with each other and with the engine.
//!
//! An aggregate is a [`Fold`]: a name, types and a way to make its [`Core`]. The core starts, updates,
//! merges and evaluates states and knows neither groups nor phases; [`function`] makes a function of
//! the engine of it, with one accumulator for plain queries and windows and one for GROUP BY.
//!
//! Between streams and machines a state is one `LargeBinary`. The result of no rows is never NULL.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Column, Result, ScalarValue, assert_or_internal_err};
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator,
    Signature, Volatility, udaf_default_display_name, udaf_default_human_display,
};

use super::arguments::{misused, model_bytes};
use super::context::FunctionContext;
use crate::centroids::groups::Groups;
use crate::centroids::model::ModelSet;

/// How many rows [`GroupsAccumulator::convert_to_state`] gives a state of their own at a time.
const CONVERTED_ROWS: usize = 64;

/// An aggregate function.
pub(super) trait Fold: fmt::Debug + Send + Sync + 'static {
    /// What a call of it does.
    type Core: Core;

    /// Its name in SQL.
    const NAME: &'static str;

    /// The types its arguments are cast to.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of its result; the same for all arguments, which may still be unbound.
    fn result() -> DataType;

    /// What `SHOW FUNCTIONS` says.
    fn documentation() -> &'static Documentation;

    /// Reads the constant arguments of a call.
    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Self::Core>;
}

/// One call of an aggregate: its constant arguments, and what it does with rows and states.
pub(super) trait Core: fmt::Debug + Send + Sync + 'static {
    /// What is known about the rows of one group.
    type State: fmt::Debug + Send + Sync;

    /// Buffers that serve one batch after another.
    type Scratch: fmt::Debug + Send + Sync;

    /// The state of no rows.
    fn start(&self) -> Self::State;

    /// New buffers.
    fn scratch(&self) -> Self::Scratch;

    /// Folds the rows that `filter` leaves into the states of their groups; by how many bytes the
    /// states grew; they never shrink.
    fn update(
        &self,
        scratch: &mut Self::Scratch,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        into: Groups<'_, Self::State>,
    ) -> Result<usize>;

    /// Appends the bytes of a state.
    fn write(&self, state: &Self::State, out: &mut Vec<u8>);

    /// Folds the bytes of a state into another.
    fn merge(&self, state: &mut Self::State, bytes: &[u8]) -> Result<()>;

    /// A result for each state.
    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef>;

    /// How many bytes a state occupies.
    fn state_bytes(&self, state: &Self::State) -> usize;

    /// How many bytes the buffers occupy.
    fn scratch_bytes(&self, scratch: &Self::Scratch) -> usize;
}

/// The engine's function for `F`.
pub(super) fn function<F: Fold>(context: &FunctionContext) -> AggregateUDF {
    AggregateUDF::new_from_impl(Function::<F> {
        signature: Signature::user_defined(Volatility::Immutable),
        context: context.clone(),
        fold: PhantomData,
    })
}

#[derive(Debug)]
struct Function<F> {
    signature: Signature,
    context: FunctionContext,
    fold: PhantomData<F>,
}

/// A name means one function.
impl<F: Fold> PartialEq for Function<F> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<F: Fold> Eq for Function<F> {}

impl<F: Fold> Hash for Function<F> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        F::NAME.hash(hasher);
    }
}

impl<F: Fold> Function<F> {
    fn core(&self, args: &AccumulatorArgs<'_>) -> Result<F::Core> {
        if args.is_distinct {
            return misused(F::NAME, "DISTINCT is not supported: leave it out");
        }
        F::core(args, &self.context)
    }
}

impl<F: Fold> AggregateUDFImpl for Function<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        F::coerce(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(F::result())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "state");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    /// Logical plans would print every byte of a model.
    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_display_name(self, &abbreviated(params))
    }

    /// What EXPLAIN prints of a physical plan: two models, two texts.
    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_human_display(self, &abbreviated(params))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(F::documentation())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let core = self.core(&args)?;
        Ok(Box::new(Plain { state: core.start(), scratch: None, core }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let core = self.core(&args)?;
        Ok(Box::new(Grouped { core, states: Vec::new(), states_bytes: 0, scratch: None }))
    }
}

/// `params` with the short name of a model, `kmeans_model(3f2a91c0)`, in the place of its bytes.
fn abbreviated(params: &AggregateFunctionParams) -> AggregateFunctionParams {
    let mut params = params.clone();
    for arg in &mut params.args {
        let Expr::Literal(value, _) = &*arg else { continue };
        if let Some(name) = model_bytes(value).map(ModelSet::short_name) {
            *arg = Expr::Column(Column::new_unqualified(name));
        }
    }
    params
}

/// One state: queries without GROUP BY, and windows.
#[derive(Debug)]
struct Plain<C: Core> {
    core: C,
    state: C::State,
    /// Made by the first update: a stream that only merges needs none.
    scratch: Option<C::Scratch>,
}

impl<C: Core> Accumulator for Plain<C> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let scratch = self.scratch.get_or_insert_with(|| self.core.scratch());
        self.core.update(scratch, values, None, Groups::One(&mut self.state))?;
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = self.core.evaluate(std::slice::from_ref(&self.state))?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn size(&self) -> usize {
        let scratch = self.scratch.as_ref().map_or(0, |scratch| self.core.scratch_bytes(scratch));
        size_of::<Self>() + self.core.state_bytes(&self.state) + scratch
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = std::mem::replace(&mut self.state, self.core.start());
        let mut bytes = Vec::new();
        self.core.write(&state, &mut bytes);
        Ok(vec![ScalarValue::LargeBinary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for bytes in states[0].as_binary::<i64>().iter().flatten() {
            self.core.merge(&mut self.state, bytes)?;
        }
        Ok(())
    }
}

/// A state for each group.
struct Grouped<C: Core> {
    core: C,
    states: Vec<C::State>,
    /// What the states occupy, kept up to date: `size` is asked once a batch.
    states_bytes: usize,
    scratch: Option<C::Scratch>,
}

impl<C: Core> Grouped<C> {
    fn grow(&mut self, groups: usize) {
        while self.states.len() < groups {
            let state = self.core.start();
            self.states_bytes += self.core.state_bytes(&state);
            self.states.push(state);
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<C::State> {
        let taken = emit_to.take_needed(&mut self.states);
        let bytes: usize = taken.iter().map(|state| self.core.state_bytes(state)).sum();
        self.states_bytes -= bytes;
        taken
    }
}

impl<C: Core> GroupsAccumulator for Grouped<C> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let scratch = self.scratch.get_or_insert_with(|| self.core.scratch());
        let Some(first) = groups.first() else { return Ok(()) };
        // The rows of one file have one key, so a batch mostly is of one group.
        let into = if groups.iter().all(|group| group == first) {
            Groups::One(&mut self.states[*first])
        } else {
            Groups::Each { states: &mut self.states, groups }
        };
        self.states_bytes += self.core.update(scratch, values, filter, into)?;
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = self.take(emit_to);
        self.core.evaluate(&states)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.take(emit_to);
        let mut out = States::default();
        states.iter().for_each(|state| out.push(&self.core, state));
        Ok(vec![out.finish()])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let states = values[0].as_binary::<i64>();
        assert_or_internal_err!(states.len() == groups.len(), "a group for each state");
        for (bytes, group) in states.iter().zip(groups) {
            let Some(bytes) = bytes else { continue };
            let state = &mut self.states[*group];
            let before = self.core.state_bytes(state);
            self.core.merge(state, bytes)?;
            self.states_bytes += self.core.state_bytes(state) - before;
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let (mut scratch, mut out) = (self.core.scratch(), States::default());
        let groups: Vec<usize> = (0..CONVERTED_ROWS).collect();
        for start in (0..rows).step_by(CONVERTED_ROWS) {
            let count = CONVERTED_ROWS.min(rows - start);
            let values: Vec<_> = values.iter().map(|array| array.slice(start, count)).collect();
            let filter = filter.map(|filter| filter.slice(start, count));
            let mut states: Vec<_> = (0..count).map(|_| self.core.start()).collect();
            let into = Groups::Each { states: &mut states, groups: &groups[..count] };
            self.core.update(&mut scratch, &values, filter.as_ref(), into)?;
            states.iter().for_each(|state| out.push(&self.core, state));
        }
        Ok(vec![out.finish()])
    }

    fn size(&self) -> usize {
        let scratch = self.scratch.as_ref().map_or(0, |scratch| self.core.scratch_bytes(scratch));
        let spare = (self.states.capacity() - self.states.len()) * size_of::<C::State>();
        size_of::<Self>() + self.states_bytes + spare + scratch
    }
}

/// The array of the states that travel.
#[derive(Default)]
struct States {
    builder: LargeBinaryBuilder,
    bytes: Vec<u8>,
}

impl States {
    fn push<C: Core>(&mut self, core: &C, state: &C::State) {
        self.bytes.clear();
        core.write(state, &mut self.bytes);
        self.builder.append_value(&self.bytes);
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}
