//! `places_of(lon, lat, plan)`: all places of a position, as a list of whole numbers.
//!
//! A place is `2 * block` for the block that owns the position, and `2 * block + 1` for each block
//! whose margin holds it; the own one comes first. So `p / 2` is the block, and odd places are
//! margins. NULL in, NULL out; the list is empty for a position that is not usable or lies outside the grid.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::context::FunctionContext;
use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::Assignment;

const NAME: &str = "places_of";

/// The function, for a session.
pub(super) fn places_of(context: &FunctionContext) -> ScalarUDF {
    let documentation = documented(
        "The blocks of a position as a list of numbers: 2 * block for the block that owns it, then \
         2 * block + 1 for each block whose margin holds it.",
        "places_of(lon, lat, plan)",
    )
    .with_argument("lon, lat", positions::POSITION)
    .with_argument("plan", positions::PLAN)
    .with_sql_example("SELECT unnest(places_of(ra, decl, sky_grid(16, 10, 5))) FROM sources")
    .with_related_udf("block_of")
    .build();
    let types = (positions::coerce_position as _, DataType::List(item()));
    let context = context.clone();
    let places = move |arguments: &[ColumnarValue], rows| places(&context, arguments, rows);
    SkyFunction::new(NAME, types, documentation, places).udf()
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int32, true))
}

fn places(context: &FunctionContext, arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (plan, position) = arguments.split_last().expect("coerced to a position and a plan");
    let columns = positions::columns(position, rows)?;
    let Some(places) = positions::plan(NAME, context, plan)? else {
        return Ok(new_null_array(&DataType::List(item()), rows));
    };
    let (mut numbers, mut offsets) = (Vec::with_capacity(rows), Vec::with_capacity(rows + 1));
    let mut found = Vec::new();
    offsets.push(0);
    let positions = Positions::in_columns(&columns);
    for at in positions.located(places.plan().grid()) {
        found.clear();
        if let Some(at) = at {
            places.assign_at(&at, &mut found);
        }
        let number =
            |place: &Assignment| i32::try_from(place.number()).expect("below 2 * MAX_BLOCKS");
        numbers.extend(found.iter().map(number));
        offsets.push(i32::try_from(numbers.len()).expect("a batch has few places"));
    }
    let numbers = Arc::new(Int32Array::new(numbers.into(), None));
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::new(item(), offsets, numbers, positions.known())))
}
