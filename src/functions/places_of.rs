//! `places_of(lon, lat, plan)`: all places of a position, as a list of whole numbers.
//!
//! A place is `2 * block` for the block that owns the position, and `2 * block + 1` for each block
//! whose margin holds it; the own one comes first. So `p / 2` is the block, and odd places are
//! margins. NULL in, NULL out; the list is empty for a position that is none or lies outside the grid.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Builder, ListBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::positions::{self, Positions};

/// The function, for a session.
pub fn places_of() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(PlacesOf { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PlacesOf {
    signature: Signature,
}

impl ScalarUDFImpl for PlacesOf {
    fn name(&self) -> &'static str {
        "places_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce_position(self.name(), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "All places of a position: twice the number of its own block, and twice plus one \
                 that of each block whose margin holds it.",
                "places_of(lon, lat, plan)",
            )
            .with_argument(
                "lon, lat",
                "A position in the frame of the plan, in degrees; or one struct of both.",
            )
            .with_argument("plan", "A plan of blocks, constant or bound.")
            .with_sql_example(
                "SELECT unnest(places_of(ra, decl, sky_grid(16, 10, 5))) FROM sources",
            )
            .with_related_udf("block_of")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (plan, position) = args.args.split_last().expect("coerced to a position and a plan");
        let (rows, constant) = positions::rows_of(position, args.number_rows);
        let columns = positions::columns(position, rows)?;
        let places = positions::plan(self.name(), plan)?;
        let mut lists = ListBuilder::with_capacity(Int32Builder::with_capacity(rows), rows);
        let mut found = Vec::new();
        for position in Positions::in_columns(&columns).iter() {
            let (Some(places), Some((lon, lat))) = (&places, position) else {
                lists.append(false);
                continue;
            };
            found.clear();
            places.places_of(lon, lat, &mut found);
            for place in &found {
                let number = i32::try_from(place.number()).expect("below 2 * MAX_BLOCKS");
                lists.values().append_value(number);
            }
            lists.append(true);
        }
        let found: ArrayRef = Arc::new(lists.finish());
        positions::answer(&found, constant)
    }
}
