//! `ecliptic_lon(ra, dec)`, `ecliptic_lat`, `galactic_lon`, `galactic_lat`, and all at once
//! `sky_position(frame, ra, dec)`: positions in other frames, in degrees.
//!
//! Right ascension and declination are ICRS; see [`Frame`] for the frames. Longitudes are in
//! `[0, 360)`. NULL in, NULL out; a position that is not usable (NaN, infinite, |dec| > 90, ra outside
//! -360..=720) gives NULL. `sky_position` answers `STRUCT(lon, lat)`, which is NULL for such a position, and
//! costs as much as one of the others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::arguments::{failed, misused};
use super::positions::{self, Positions};
use super::sky_function::{SkyFunction, documented};
use crate::grid::{Frame, canonical};

/// The four functions that give one angle, for a session.
pub(super) fn frame_angles() -> Vec<ScalarUDF> {
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
        let [lon, lat] = turned(frame, &columns[0], &columns[1]);
        Ok(Arc::new(if is_lon { lon } else { lat }))
    };
    let types = (positions::coerce_numbers::<2> as _, DataType::Float64);
    SkyFunction::new(name, types, documentation, angles).udf()
}

const SKY_POSITION: &str = "sky_position";

/// The function that gives both angles, for a session.
pub(super) fn sky_position() -> ScalarUDF {
    let documentation = documented(
        "Longitude and latitude in a frame, in degrees, with the longitude from 0 to 360; NULL where the \
         position is not usable.",
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
    let [lon, lat] = turned(frame, &columns[0], &columns[1]);
    let known = lon.nulls().cloned();
    Ok(Arc::new(StructArray::new(
        positions::position_fields(),
        vec![Arc::new(lon), Arc::new(lat)],
        known,
    )))
}

/// Longitudes and latitudes in a frame, NULL where a row has no position. They share nothing with the
/// input, which may be a slice of something large, and are held and accounted for by themselves.
fn turned(frame: Frame, ra: &ArrayRef, dec: &ArrayRef) -> [Float64Array; 2] {
    let positions = Positions::of(ra, dec);
    if let Some([ra, dec]) = positions.canonical() {
        let (lon, lat) = frame.all_from_equatorial(ra.values(), dec.values());
        return [lon.into(), lat.into()];
    }
    let usable = |position: Option<(f64, f64)>| {
        let position = position.and_then(|(ra, dec)| canonical(ra, dec).ok());
        (position.is_some(), position.unwrap_or_default())
    };
    let (known, (ra, dec)): (Vec<bool>, (Vec<f64>, Vec<f64>)) =
        positions.iter().map(usable).unzip();
    let known = Some(NullBuffer::from(known)).filter(|known| known.null_count() > 0);
    let (lon, lat) = frame.all_from_equatorial(&ra, &dec);
    [Float64Array::new(lon.into(), known.clone()), Float64Array::new(lat.into(), known)]
}
