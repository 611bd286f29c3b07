//! `angular_distance(lon1, lat1, lon2, lat2)`: the angle between two positions, 0 to 180 degrees.
//!
//! Right at any separation, exactly 0 for equal positions and symmetric to the bit; see
//! [`crate::grid::angular_distance`]. NULL in, NULL out; a position that is not usable gives NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::{self, canonical};

/// The function, for a session.
pub(super) fn angular_distance() -> ScalarUDF {
    let documentation = documented(
        "The angle between two positions, in degrees, from 0 to 180.",
        "angular_distance(lon1, lat1, lon2, lat2)",
    )
    .with_argument("lon1, lat1", "One position, in degrees, in any frame.")
    .with_argument("lon2, lat2", "The other, in the same frame.")
    .with_sql_example("SELECT angular_distance(ra, decl, 83.6331, 22.0145) FROM sources")
    .build();
    let types = (positions::coerce_numbers::<4> as _, DataType::Float64);
    SkyFunction::new("angular_distance", types, documentation, angles).udf()
}

fn angles(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let columns = positions::columns(arguments, rows)?;
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
    Ok(Arc::new(found))
}
