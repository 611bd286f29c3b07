//! `block_of(lon, lat, plan)`: the block that owns a position.
//!
//! The position is in the frame of the plan's grid, in degrees; the plan is a constant, such as
//! [`sky_grid`](super::sky_grid()) makes, or one that a driver binds. NULL in, NULL out; NULL for a
//! position that is none or lies outside the grid, never a wrong block.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::positions::{self, Positions};

/// The function, for a session.
pub fn block_of() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(BlockOf { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BlockOf {
    signature: Signature,
}

impl ScalarUDFImpl for BlockOf {
    fn name(&self) -> &'static str {
        "block_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce_position(self.name(), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "The block that owns a position; NULL outside the grid.",
                "block_of(lon, lat, plan)",
            )
            .with_argument(
                "lon, lat",
                "A position in the frame of the plan, in degrees; or one struct of both.",
            )
            .with_argument("plan", "A plan of blocks, constant or bound.")
            .with_sql_example("SELECT block_of(ra, decl, sky_grid(16, 10, 0)) FROM sources")
            .with_related_udf("places_of")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (plan, position) = args.args.split_last().expect("coerced to a position and a plan");
        let (rows, constant) = positions::rows_of(position, args.number_rows);
        let columns = positions::columns(position, rows)?;
        let places = positions::plan(self.name(), plan)?;
        let blocks = places.as_ref().map(|places| places.plan());
        let found: Int32Array = Positions::in_columns(&columns)
            .iter()
            .map(|position| {
                let (lon, lat) = position?;
                let block = blocks?.block_of(lon, lat)?;
                Some(i32::try_from(block).expect("at most MAX_BLOCKS"))
            })
            .collect();
        let found: ArrayRef = Arc::new(found);
        positions::answer(&found, constant)
    }
}
