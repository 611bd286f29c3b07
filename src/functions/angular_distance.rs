//! `angular_distance(lon1, lat1, lon2, lat2)`: the angle between two positions, 0 to 180 degrees.
//!
//! Right at any separation, exactly 0 for equal positions and symmetric to the bit; see
//! [`crate::grid::angular_distance`]. NULL in, NULL out; a position that is none gives NULL.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::positions::{self, Positions};
use crate::grid::{self, canonical};

/// The function, for a session.
pub fn angular_distance() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(AngularDistance { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AngularDistance {
    signature: Signature,
}

impl ScalarUDFImpl for AngularDistance {
    fn name(&self) -> &'static str {
        "angular_distance"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce(self.name(), types, 4, false)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "The angle between two positions, in degrees, 0 to 180.",
                "angular_distance(lon1, lat1, lon2, lat2)",
            )
            .with_argument("lon1, lat1", "One position, in degrees, in any frame.")
            .with_argument("lon2, lat2", "The other, in the same frame.")
            .with_sql_example("SELECT angular_distance(ra, decl, 83.6331, 22.0145) FROM sources")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, constant) = positions::rows_of(&args.args, args.number_rows);
        let columns = positions::columns(&args.args, rows)?;
        let usable =
            |position: Option<(f64, f64)>| position.and_then(|(lon, lat)| canonical(lon, lat).ok());
        let (first, second) = (&columns[..2], &columns[2..]);
        let first = Positions::of(&first[0], &first[1]);
        let second = Positions::of(&second[0], &second[1]);
        let found: Float64Array = first
            .iter()
            .zip(second.iter())
            .map(|(a, b)| {
                let (a, b) = (usable(a)?, usable(b)?);
                Some(grid::angular_distance(a.0, a.1, b.0, b.1))
            })
            .collect();
        let found: ArrayRef = Arc::new(found);
        positions::answer(&found, constant)
    }
}
