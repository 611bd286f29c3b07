//! `block_of(lon, lat, plan)`: the block that owns a position.
//!
//! The position is in the frame of the plan's grid, in degrees; the plan is a constant, such as
//! `sky_grid` makes, or one that a driver binds. NULL in, NULL out; NULL for a
//! position that is not usable or lies outside the grid, never a wrong block.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{ArrayRef, Int32Array, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::context::FunctionContext;
use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};

const NAME: &str = "block_of";

/// The function, for a session.
pub(super) fn block_of(context: &FunctionContext) -> ScalarUDF {
    let documentation = documented(
        "The number of the block that owns a position; NULL outside the grid.",
        "block_of(lon, lat, plan)",
    )
    .with_argument("lon, lat", positions::POSITION)
    .with_argument("plan", positions::PLAN)
    .with_sql_example("SELECT block_of(ra, decl, sky_grid(16, 10, 0)) FROM sources")
    .with_related_udf("places_of")
    .build();
    let types = (positions::coerce_position as _, DataType::Int32);
    let context = context.clone();
    let blocks = move |arguments: &[ColumnarValue], rows| blocks(&context, arguments, rows);
    SkyFunction::new(NAME, types, documentation, blocks).udf()
}

fn blocks(context: &FunctionContext, arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (plan, position) = arguments.split_last().expect("coerced to a position and a plan");
    let columns = positions::columns(position, rows)?;
    let Some(places) = positions::plan(NAME, context, plan)? else {
        return Ok(new_null_array(&DataType::Int32, rows));
    };
    let plan = places.plan();
    let mut found = Vec::with_capacity(rows);
    let mut known = NullBufferBuilder::new(rows);
    for at in Positions::in_columns(&columns).located(plan.grid()) {
        let block = at.map(|at| plan.block_at(&at));
        found.push(i32::try_from(block.unwrap_or_default()).expect("at most MAX_BLOCKS"));
        known.append(block.is_some());
    }
    Ok(Arc::new(Int32Array::new(found.into(), known.finish())))
}
