//! `ecliptic_lon(ra, dec)`, `ecliptic_lat`, `galactic_lon`, `galactic_lat`, and all at once
//! `sky_position(frame, ra, dec)`: positions in other frames, in degrees.
//!
//! Right ascension and declination are ICRS; see [`Frame`] for the frames. Longitudes are in
//! `[0, 360)`. NULL in, NULL out; a position that is none (NaN, infinite, |dec| > 90, ra outside
//! -360..=720) gives NULL. `sky_position` answers `STRUCT(lon, lat)`, which is NULL for such a position, and
//! costs half of two calls.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Float64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::SKY;
use super::arguments::{failed, misused};
use super::positions::{self, Positions};
use crate::grid::{Frame, canonical};

/// The four functions that give one angle, for a session.
pub fn frame_angles() -> Vec<ScalarUDF> {
    let angles = [
        Angle { name: "ecliptic_lon", frame: Frame::Ecliptic, is_lon: true },
        Angle { name: "ecliptic_lat", frame: Frame::Ecliptic, is_lon: false },
        Angle { name: "galactic_lon", frame: Frame::Galactic, is_lon: true },
        Angle { name: "galactic_lat", frame: Frame::Galactic, is_lon: false },
    ];
    let signature = || Signature::user_defined(Volatility::Immutable);
    let function = |angle| ScalarUDF::new_from_impl(FrameAngle { signature: signature(), angle });
    angles.into_iter().map(function).collect()
}

/// The function that gives both angles, for a session.
pub fn sky_position() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(SkyPosition { signature })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Angle {
    name: &'static str,
    frame: Frame,
    is_lon: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FrameAngle {
    signature: Signature,
    angle: Angle,
}

impl ScalarUDFImpl for FrameAngle {
    fn name(&self) -> &str {
        self.angle.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        positions::coerce(self.name(), types, 2, false)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static ALL: LazyLock<[Documentation; 4]> = LazyLock::new(|| {
            ["ecliptic_lon", "ecliptic_lat", "galactic_lon", "galactic_lat"].map(documentation)
        });
        ALL.iter().find(|known| known.syntax_example.starts_with(self.angle.name))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, constant) = positions::rows_of(&args.args, args.number_rows);
        let columns = positions::columns(&args.args, rows)?;
        let Angle { frame, is_lon, .. } = self.angle;
        let found: Float64Array = Positions::of(&columns[0], &columns[1])
            .iter()
            .map(|position| {
                let (ra, dec) = position?;
                let (ra, dec) = canonical(ra, dec).ok()?;
                let (lon, lat) = frame.from_equatorial(ra, dec);
                Some(if is_lon { lon } else { lat })
            })
            .collect();
        let found: ArrayRef = Arc::new(found);
        positions::answer(&found, constant)
    }
}

fn documentation(name: &str) -> Documentation {
    let (frame, angle) = name.split_once('_').expect("frame_angle");
    let angle = if angle == "lon" { "longitude, 0 to 360" } else { "latitude" };
    let description = format!("The {frame} {angle}, in degrees.");
    Documentation::builder(SKY, description, format!("{name}(ra, dec)"))
        .with_argument("ra", "Right ascension (ICRS), in degrees.")
        .with_argument("dec", "Declination (ICRS), in degrees.")
        .with_sql_example(format!("SELECT {name}(ra, decl) FROM sources"))
        .build()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SkyPosition {
    signature: Signature,
}

impl ScalarUDFImpl for SkyPosition {
    fn name(&self) -> &'static str {
        "sky_position"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((frame, position)) = types.split_first() else {
            return misused(self.name(), "found no argument, expected 3");
        };
        if !frame.is_string() && *frame != DataType::Null {
            return misused(self.name(), format_args!("the frame is {frame}, expected its name"));
        }
        let mut types = positions::coerce(self.name(), position, 2, false)?;
        types.insert(0, DataType::Utf8);
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(positions::position_type())
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                SKY,
                "Longitude and latitude in a frame, in degrees, with the longitude in 0 to 360; \
                 NULL for a position that is none.",
                "sky_position(frame, ra, dec)",
            )
            .with_argument("frame", "'equatorial', 'ecliptic' or 'galactic', a constant.")
            .with_argument("ra", "Right ascension (ICRS), in degrees.")
            .with_argument("dec", "Declination (ICRS), in degrees.")
            .with_sql_example("SELECT sky_position('galactic', ra, decl)['lat'] FROM sources")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, constant) = positions::rows_of(&args.args, args.number_rows);
        let (frame, position) = args.args.split_first().expect("coerced to three");
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(frame))) = frame else {
            return misused(self.name(), "the frame must be a constant");
        };
        let frame: Frame = frame.parse().map_err(failed)?;
        let columns = positions::columns(position, rows)?;
        let (mut lons, mut lats) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut known = Vec::with_capacity(rows);
        for position in Positions::of(&columns[0], &columns[1]).iter() {
            let position = position.and_then(|(ra, dec)| canonical(ra, dec).ok());
            let (lon, lat) =
                position.map_or((0.0, 0.0), |(ra, dec)| frame.from_equatorial(ra, dec));
            lons.push(lon);
            lats.push(lat);
            known.push(position.is_some());
        }
        let known = Some(NullBuffer::from(known)).filter(|known| known.null_count() > 0);
        let angles: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::new(lons.into(), known.clone())),
            Arc::new(Float64Array::new(lats.into(), known.clone())),
        ];
        let found: ArrayRef =
            Arc::new(StructArray::new(positions::position_fields(), angles, known));
        debug_assert_eq!(found.len(), rows);
        positions::answer(&found, constant)
    }
}
