//! `sky_grid(columns, rows, margin_percent)`: a plan of equal blocks over the whole sky, as bytes,
//! for SQL by hand.
//!
//! Block `column * rows + row`, both counted from longitude 0 and latitude -90; the frame is that of
//! the positions it is used with. Drivers make plans of other bounds and with splits. NULL in, NULL
//! out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::arguments::failed;
use super::positions;
use super::sky_function::{SkyFunction, documented};
use crate::error::Error;
use crate::grid::{Bounds, Frame, Grid, GridShape, Margin, Plan};

/// The function, for a session.
pub(super) fn sky_grid() -> ScalarUDF {
    let documentation = documented(
        "A plan of equal blocks over the whole sky, as bytes.",
        "sky_grid(columns, rows, margin_percent)",
    )
    .with_argument("columns", "Blocks along the longitude.")
    .with_argument("rows", "Blocks along the latitude.")
    .with_argument("margin_percent", "The margin of each block, in percent of its sides.")
    .with_sql_example("SELECT block_of(ra, decl, sky_grid(16, 10, 0)) FROM sources")
    .with_related_udf("block_of")
    .build();
    let types = (positions::coerce_numbers::<3> as _, DataType::BinaryView);
    SkyFunction::new("sky_grid", types, documentation, grids).udf()
}

fn grids(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let columns = positions::columns(arguments, rows)?;
    let numbers: Vec<_> =
        columns.iter().map(|column| column.as_primitive::<Float64Type>()).collect();
    let plans = (0..rows).map(|row| {
        if numbers.iter().any(|column| column.is_null(row)) {
            return Ok(None);
        }
        encoded([0, 1, 2].map(|column| numbers[column].value(row))).map(Some)
    });
    let plans: BinaryViewArray =
        plans.collect::<Result<Vec<_>, Error>>().map_err(failed)?.into_iter().collect();
    Ok(Arc::new(plans))
}

fn encoded([columns, rows, margin_percent]: [f64; 3]) -> Result<Vec<u8>, Error> {
    let shape: GridShape = format!("{columns}x{rows}").parse()?;
    let grid = Grid::new(Frame::Equatorial, 0.0, Bounds::sky(0.0), shape)?;
    Ok(Plan::uncut(grid, Margin::percent(margin_percent)?).encode())
}
