//! `block_counts(cells, lon, lat)`: how many rows lie in each block of a plan, or in each cell of a
//! finer counting.
//!
//! The answer is `LIST(BIGINT)`, a count for each block or cell in the order of their numbers, with
//! zeros for no rows. Rows whose position is NULL, not usable or outside the grid count
//! nowhere. A state is one dense array, 8 bytes a cell, and merging is addition.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};
use bytes::{Buf, BufMut};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, failed, misused};
use super::context::{FunctionContext, Ready};
use super::fold::{self, Core, Fold};
use super::positions::{self, Positions};
use super::sections::SKY;
use crate::centroids::groups::Groups;
use crate::error::Error;
use crate::grid::Cells;

/// The function, for a session.
pub(super) fn block_counts(context: &FunctionContext) -> AggregateUDF {
    fold::function::<BlockCounts>(context)
}

/// Reads row `row` of an answer.
///
/// # Errors
/// Of an array that is not such an answer.
pub fn read_block_counts(array: &dyn Array, row: usize) -> crate::error::Result<Vec<u64>> {
    if *array.data_type() != BlockCounts::result() || row >= array.len() || array.is_null(row) {
        return Err(Error::internal("expected the counts of blocks"));
    }
    let counts = array.as_list::<i32>().value(row);
    let counts = counts.as_primitive::<Int64Type>().values().iter();
    counts
        .map(|count| u64::try_from(*count))
        .collect::<Result<_, _>>()
        .map_err(|cause| Error::internal("a block counts below zero").caused_by(cause))
}

#[derive(Debug)]
struct BlockCounts;

impl Fold for BlockCounts {
    type Core = Counting;

    const NAME: &'static str = "block_counts";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((cells, position)) = types.split_first() else {
            return misused(Self::NAME, "found no argument, expected 3");
        };
        let mut types = positions::coerce_numbers::<2>(Self::NAME, position)?;
        types.insert(0, positions::coerce_plan(Self::NAME, cells)?);
        Ok(types)
    }

    fn result() -> DataType {
        DataType::List(Arc::new(item()))
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "The number of rows in each block of a plan, as a list in the order of the blocks.",
                "block_counts(plan, lon, lat)",
            )
            .with_argument("plan", "A plan of blocks, as `sky_grid` makes it, or of cells in them: a constant or a bound parameter.")
            .with_argument("lon, lat", "A position in the frame of the plan, in degrees.")
            .with_sql_example("SELECT block_counts(sky_grid(16, 10, 0), ra, decl) FROM sources")
            .with_related_udf("block_of")
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Counting> {
        let cells = match arguments::constant(Self::NAME, "plan", args, 0)? {
            ScalarValue::BinaryView(Some(bytes)) => context.cells(&bytes).map_err(failed)?,
            other => return internal_err!("a plan was not coerced: {}", other.data_type()),
        };
        Ok(Counting { cells })
    }
}

fn item() -> Field {
    Field::new_list_field(DataType::Int64, false)
}

#[derive(Debug)]
struct Counting {
    cells: Ready<Cells>,
}

impl Core for Counting {
    type State = Vec<u64>;
    type Scratch = ();

    fn start(&self) -> Vec<u64> {
        vec![0; self.cells.count()]
    }

    fn scratch(&self) {}

    fn update(
        &self,
        (): &mut (),
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut into: Groups<'_, Vec<u64>>,
    ) -> Result<usize> {
        let positions = Positions::of(&values[1], &values[2]);
        for (row, at) in (0..).zip(positions.located(self.cells.plan().grid())) {
            let passes = filter
                .is_none_or(|filter| filter.is_valid(row as usize) && filter.value(row as usize));
            let Some(at) = at.filter(|_| passes) else { continue };
            if let Some(cell) = self.cells.index_at(&at) {
                into.of(row)[cell as usize] += 1;
            }
        }
        Ok(0)
    }

    fn write(&self, state: &Vec<u64>, out: &mut Vec<u8>) {
        state.iter().for_each(|count| out.put_u64_le(*count));
    }

    fn merge(&self, state: &mut Vec<u64>, mut bytes: &[u8]) -> Result<()> {
        if bytes.len() != 8 * state.len() {
            return Err(failed(Error::internal("a state counts other blocks")));
        }
        state.iter_mut().for_each(|sum| *sum += bytes.get_u64_le());
        Ok(())
    }

    fn evaluate(&self, states: &[Vec<u64>]) -> Result<ArrayRef> {
        let counts = states.iter().flatten();
        let counts = counts.map(|count| i64::try_from(*count).expect("less than 2^63 rows"));
        Ok(Arc::new(ListArray::new(
            Arc::new(item()),
            OffsetBuffer::from_lengths(states.iter().map(Vec::len)),
            Arc::new(Int64Array::from_iter_values(counts)),
            None,
        )))
    }

    fn state_bytes(&self, state: &Vec<u64>) -> usize {
        size_of_val(&**state) + size_of::<Vec<u64>>()
    }

    fn scratch_bytes(&self, (): &()) -> usize {
        0
    }
}
