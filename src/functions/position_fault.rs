//! `position_fault(lon, lat)`: why a position is unusable, as text; NULL for a usable one.
//!
//! The words are those of [`Reason`]: `null`, `nan`, `infinite`, `lat_out_of_range`,
//! `lon_out_of_range`; the first that applies.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::{Reason, canonical};

/// The function, for a session.
pub(super) fn position_fault() -> ScalarUDF {
    let documentation = documented(
        "Why a position is unusable: null, nan, infinite, lat_out_of_range or lon_out_of_range; \
         NULL for a usable one.",
        "position_fault(lon, lat)",
    )
    .with_argument("lon, lat", "A position, in degrees.")
    .with_sql_example("SELECT * FROM sources WHERE position_fault(ra, decl) IS NOT NULL")
    .build();
    let types = (positions::coerce_numbers::<2> as _, DataType::Utf8);
    SkyFunction::new("position_fault", types, documentation, faults).answering_null().udf()
}

fn faults(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let columns = positions::columns(arguments, rows)?;
    let positions = Positions::of(&columns[0], &columns[1]);
    let fault = |position: Option<(f64, f64)>| match position {
        None => Some(Reason::Null),
        Some((lon, lat)) => canonical(lon, lat).err(),
    };
    // Nearly always there is none: no text is made then.
    if positions.iter().all(|position| fault(position).is_none()) {
        return Ok(new_null_array(&DataType::Utf8, rows));
    }
    let names = positions.iter().map(|position| fault(position).map(Reason::name));
    Ok(Arc::new(names.collect::<StringArray>()))
}
