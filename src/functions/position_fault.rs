//! `position_fault(lon, lat)`: why a position is unusable, as text; NULL for a usable one.
//!
//! The words are those of [`Reason`]: `null`, `nan`, `infinite`, `lat_out_of_range`,
//! `lon_out_of_range`; the first that applies.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::positions::{self, Positions};
use crate::grid::{Reason, canonical};

/// The function, for a session.
pub fn position_fault() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(PositionFault { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PositionFault {
    signature: Signature,
}

impl ScalarUDFImpl for PositionFault {
    fn name(&self) -> &'static str {
        "position_fault"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce(self.name(), types, 2, false)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "Why a position is unusable: null, nan, infinite, lat_out_of_range or \
                 lon_out_of_range; NULL for a usable one.",
                "position_fault(lon, lat)",
            )
            .with_argument("lon, lat", "A position, in degrees.")
            .with_sql_example("SELECT * FROM sources WHERE position_fault(ra, decl) IS NOT NULL")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, constant) = positions::rows_of(&args.args, args.number_rows);
        let columns = positions::columns(&args.args, rows)?;
        let positions = Positions::of(&columns[0], &columns[1]);
        let fault = |position: Option<(f64, f64)>| match position {
            None => Some(Reason::Null),
            Some((lon, lat)) => canonical(lon, lat).err(),
        };
        // Nearly always there is none: no text is made then.
        let found: ArrayRef = if positions.iter().any(|position| fault(position).is_some()) {
            let names = positions.iter().map(|position| fault(position).map(Reason::name));
            Arc::new(names.collect::<StringArray>())
        } else {
            new_null_array(&DataType::Utf8, rows)
        };
        positions::answer(&found, constant)
    }
}
