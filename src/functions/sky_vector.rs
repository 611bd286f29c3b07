//! `sky_vector(lon, lat)`: a position as a unit vector, `STRUCT(x, y, z)`.
//!
//! x points to longitude 0 on the equator, y to longitude 90, z to the north pole. NULL for a position that is not
//! usable, see `position_fault`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::{UnitVector, canonical};

/// The function, for a session.
pub(super) fn sky_vector() -> ScalarUDF {
    let documentation = documented(
        "A position as a unit vector: x points to longitude 0 on the equator, y to longitude 90, z to the north \
         pole. NULL where the position is not usable.",
        "sky_vector(lon, lat)",
    )
    .with_argument("lon, lat", "A position, in degrees.")
    .with_sql_example("SELECT sky_vector(ra, decl)['z'] FROM sources")
    .build();
    let types = (positions::coerce_numbers::<2> as _, DataType::Struct(parts()));
    SkyFunction::new("sky_vector", types, documentation, vectors).answering_null().udf()
}

fn parts() -> Fields {
    ["x", "y", "z"].map(|name| Field::new(name, DataType::Float64, true)).to_vec().into()
}

fn vectors(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let columns = positions::columns(arguments, rows)?;
    let positions = Positions::of(&columns[0], &columns[1]);
    let vectors = positions.iter().map(|position| {
        let (lon, lat) = position?;
        canonical(lon, lat).ok()?;
        Some(UnitVector::from_degrees(lon, lat))
    });
    let vectors: Vec<Option<UnitVector>> = vectors.collect();
    let part = |part: fn(&UnitVector) -> f64| -> ArrayRef {
        let parts = vectors.iter().map(|vector| vector.as_ref().map(part));
        Arc::new(parts.collect::<Float64Array>())
    };
    let known = NullBuffer::from_iter(vectors.iter().map(Option::is_some));
    let all = vec![part(|v| v.x), part(|v| v.y), part(|v| v.z)];
    Ok(Arc::new(StructArray::new(parts(), all, Some(known))))
}
