//! `sky_grid(columns, rows, margin_percent)`: a plan of equal blocks over the whole sky, as bytes,
//! for SQL by hand.
//!
//! Block `column * rows + row`, both counted from longitude 0 and latitude -90; the frame is that of
//! the positions it is used with. Drivers make plans of other bounds and with splits. NULL in, NULL
//! out.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::arguments::failed;
use super::positions;
use crate::error::Error;
use crate::grid::{Bounds, Frame, Grid, Margin, Plan, Shape};

/// The function, for a session.
pub fn sky_grid() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(SkyGrid { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SkyGrid {
    signature: Signature,
}

impl ScalarUDFImpl for SkyGrid {
    fn name(&self) -> &'static str {
        "sky_grid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce(self.name(), types, 3, false)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::BinaryView)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "A plan of equal blocks over the whole sky, as bytes.",
                "sky_grid(columns, rows, margin_percent)",
            )
            .with_argument("columns", "Blocks along the longitude.")
            .with_argument("rows", "Blocks along the latitude.")
            .with_argument("margin_percent", "The margin of each block, in percent of its sides.")
            .with_sql_example("SELECT block_of(ra, decl, sky_grid(16, 10, 0)) FROM sources")
            .with_related_udf("block_of")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, constant) = positions::rows_of(&args.args, args.number_rows);
        let columns = positions::columns(&args.args, rows)?;
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
        let found: ArrayRef = Arc::new(plans);
        positions::answer(&found, constant)
    }
}

fn encoded([columns, rows, margin_percent]: [f64; 3]) -> Result<Vec<u8>, Error> {
    let shape: Shape = format!("{columns}x{rows}").parse()?;
    let grid = Grid::new(Frame::Equatorial, 0.0, Bounds::sky(0.0), shape)?;
    Ok(Plan::uncut(grid, Margin::percent(margin_percent)?).encode())
}
