//! `ecliptic_lon(ra, dec)`, `ecliptic_lat`, `galactic_lon`, `galactic_lat`, and all at once
//! `sky_position(frame, ra, dec)`: positions in other frames, in degrees.
//!
//! Right ascension and declination are ICRS; see [`Frame`] for the frames. Longitudes are in
//! `[0, 360)`. NULL in, NULL out; a position that is none (NaN, infinite, |dec| > 90, ra outside
//! -360..=720) gives NULL. `sky_position` answers `STRUCT(lon, lat)`, which is NULL for such a position, and
//! costs half of two calls.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::arguments::{failed, misused};
use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::{Frame, canonical};

/// The four functions that give one angle, for a session.
pub fn frame_angles() -> Vec<ScalarUDF> {
    let all = [
        ("ecliptic_lon", Frame::Ecliptic, true),
        ("ecliptic_lat", Frame::Ecliptic, false),
        ("galactic_lon", Frame::Galactic, true),
        ("galactic_lat", Frame::Galactic, false),
    ];
    all.map(|(name, frame, is_lon)| frame_angle(name, frame, is_lon)).into()
}

fn frame_angle(name: &'static str, frame: Frame, is_lon: bool) -> ScalarUDF {
    let angle = if is_lon { "longitude, 0 to 360" } else { "latitude" };
    let answers = format!("The {} {angle}, in degrees.", frame.name());
    let documentation = documented(&answers, &format!("{name}(ra, dec)"))
        .with_argument("ra", "Right ascension (ICRS), in degrees.")
        .with_argument("dec", "Declination (ICRS), in degrees.")
        .with_sql_example(format!("SELECT {name}(ra, decl) FROM sources"))
        .build();
    let angles = move |arguments: &[ColumnarValue], rows: usize| -> Result<ArrayRef> {
        let columns = positions::columns(arguments, rows)?;
        let found: Float64Array = Positions::of(&columns[0], &columns[1])
            .iter()
            .map(|position| {
                let (ra, dec) = position?;
                let (ra, dec) = canonical(ra, dec).ok()?;
                let (lon, lat) = frame.from_equatorial(ra, dec);
                Some(if is_lon { lon } else { lat })
            })
            .collect();
        Ok(Arc::new(found))
    };
    let types = (positions::coerce_numbers::<2> as _, DataType::Float64);
    SkyFunction::new(name, types, documentation, angles).udf()
}

const SKY_POSITION: &str = "sky_position";

/// The function that gives both angles, for a session.
pub fn sky_position() -> ScalarUDF {
    let documentation = documented(
        "Longitude and latitude in a frame, in degrees, with the longitude in 0 to 360; NULL for a \
         position that is none.",
        "sky_position(frame, ra, dec)",
    )
    .with_argument("frame", "'equatorial', 'ecliptic' or 'galactic', a constant.")
    .with_argument("ra", "Right ascension (ICRS), in degrees.")
    .with_argument("dec", "Declination (ICRS), in degrees.")
    .with_sql_example("SELECT sky_position('galactic', ra, decl)['lat'] FROM sources")
    .build();
    let types = (coerce as _, positions::position_type());
    SkyFunction::new(SKY_POSITION, types, documentation, both).answering_null().udf()
}

fn coerce(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let Some((frame, position)) = types.split_first() else {
        return misused(function, "found no argument, expected 3");
    };
    if !frame.is_string() && *frame != DataType::Null {
        return misused(function, format_args!("the frame is {frame}, expected its name"));
    }
    let mut types = positions::coerce_numbers::<2>(function, position)?;
    types.insert(0, DataType::Utf8);
    Ok(types)
}

fn both(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (frame, position) = arguments.split_first().expect("coerced to three");
    let ColumnarValue::Scalar(ScalarValue::Utf8(Some(frame))) = frame else {
        return misused(SKY_POSITION, "the frame must be a constant");
    };
    let frame: Frame = frame.parse().map_err(failed)?;
    let columns = positions::columns(position, rows)?;
    let (mut lons, mut lats) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut known = Vec::with_capacity(rows);
    for position in Positions::of(&columns[0], &columns[1]).iter() {
        let position = position.and_then(|(ra, dec)| canonical(ra, dec).ok());
        let (lon, lat) = position.map_or((0.0, 0.0), |(ra, dec)| frame.from_equatorial(ra, dec));
        lons.push(lon);
        lats.push(lat);
        known.push(position.is_some());
    }
    let known = Some(NullBuffer::from(known)).filter(|known| known.null_count() > 0);
    let angles: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::new(lons.into(), known.clone())),
        Arc::new(Float64Array::new(lats.into(), known.clone())),
    ];
    Ok(Arc::new(StructArray::new(positions::position_fields(), angles, known)))
}
