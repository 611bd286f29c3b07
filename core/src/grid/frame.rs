//! Frames of the sky as rotations of unit vectors.
//!
//! - Equatorial: right ascension and declination, ICRS.
//! - Ecliptic: mean ecliptic of J2000, obliquity 23.439281° (0.006" from IAU 2006, 84381.406"),
//!   without the frame bias of 0.023". Not a geocentric frame: no aberration.
//! - Galactic: the matrix of the Hipparcos catalogue (ESA SP-1200, vol. 1, eq. 1.5.11).
//!
//! Longitudes are in `[0, 360)`; at a pole they are what the arc tangent of rounding gives. Finite
//! numbers are expected; NaN gives NaN.

use std::fmt;
use std::str::FromStr;

use super::UnitVector;
use crate::error::Error;
use crate::isa::{Isa, Task};

/// A frame in which a grid can be laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frame {
    /// Right ascension and declination, ICRS.
    Equatorial,
    /// Mean ecliptic of J2000.
    Ecliptic,
    /// Galactic longitude and latitude.
    Galactic,
}

/// The obliquity of the ecliptic frame, in degrees.
const OBLIQUITY_DEG: f64 = 23.439281;
/// Sine and cosine of the obliquity as numbers, so that no platform's libm has a say.
const SIN_OBLIQUITY: f64 = 0.397776994021848;
const COS_OBLIQUITY: f64 = 0.9174821322657694;

/// Row `i` holds the galactic axis `i` in equatorial coordinates.
const GALACTIC: [[f64; 3]; 3] = [
    [-0.0548755604, -0.8734370902, -0.4838350155],
    [0.4941094279, -0.4448296300, 0.7469822445],
    [-0.8676661490, -0.1980763734, 0.4559837762],
];

impl Frame {
    /// The position in this frame of an equatorial one.
    #[inline(always)]
    pub fn from_equatorial(self, ra_deg: f64, dec_deg: f64) -> (f64, f64) {
        if self == Self::Equatorial {
            return (ra_deg, dec_deg);
        }
        let turned = self.turned(UnitVector::from_degrees(ra_deg, dec_deg));
        (turned.lon_deg(), turned.lat_deg())
    }

    /// [`Self::from_equatorial`] of many positions, to the bit, as longitudes and latitudes.
    pub fn all_from_equatorial(self, ra_deg: &[f64], dec_deg: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.all_with(Isa::best(), ra_deg, dec_deg)
    }

    fn all_with(self, isa: Isa, ra_deg: &[f64], dec_deg: &[f64]) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(ra_deg.len(), dec_deg.len(), "a position has two coordinates");
        let (mut lon, mut lat) = (vec![0.0; ra_deg.len()], vec![0.0; ra_deg.len()]);
        let to = [&mut lon[..], &mut lat[..]];
        isa.run(FromEquatorial { frame: self, from: [ra_deg, dec_deg], to });
        (lon, lat)
    }

    /// The equatorial position of one in this frame: the inverse of [`Self::from_equatorial`].
    #[inline]
    pub fn to_equatorial(self, lon_deg: f64, lat_deg: f64) -> (f64, f64) {
        if self == Self::Equatorial {
            return (lon_deg, lat_deg);
        }
        let turned = self.turned_back(UnitVector::from_degrees(lon_deg, lat_deg));
        (turned.lon_deg(), turned.lat_deg())
    }

    /// An equatorial direction in this frame.
    #[inline(always)]
    pub fn turned(self, UnitVector { x, y, z }: UnitVector) -> UnitVector {
        match self {
            Self::Equatorial => UnitVector { x, y, z },
            Self::Ecliptic => UnitVector {
                x,
                y: y * COS_OBLIQUITY + z * SIN_OBLIQUITY,
                z: z * COS_OBLIQUITY - y * SIN_OBLIQUITY,
            },
            Self::Galactic => {
                let [toward, across, pole] = GALACTIC;
                UnitVector {
                    x: toward[0] * x + toward[1] * y + toward[2] * z,
                    y: across[0] * x + across[1] * y + across[2] * z,
                    z: pole[0] * x + pole[1] * y + pole[2] * z,
                }
            }
        }
    }

    /// A direction of this frame as an equatorial one.
    #[inline]
    pub fn turned_back(self, UnitVector { x, y, z }: UnitVector) -> UnitVector {
        match self {
            Self::Equatorial => UnitVector { x, y, z },
            Self::Ecliptic => UnitVector {
                x,
                y: y * COS_OBLIQUITY - z * SIN_OBLIQUITY,
                z: y * SIN_OBLIQUITY + z * COS_OBLIQUITY,
            },
            Self::Galactic => {
                let [toward, across, pole] = GALACTIC;
                UnitVector {
                    x: toward[0] * x + across[0] * y + pole[0] * z,
                    y: toward[1] * x + across[1] * y + pole[1] * z,
                    z: toward[2] * x + across[2] * y + pole[2] * z,
                }
            }
        }
    }

    /// The obliquity, where the frame has one.
    pub const fn obliquity_deg(self) -> Option<f64> {
        match self {
            Self::Ecliptic => Some(OBLIQUITY_DEG),
            Self::Equatorial | Self::Galactic => None,
        }
    }

    /// The word in options, properties and plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equatorial => "equatorial",
            Self::Ecliptic => "ecliptic",
            Self::Galactic => "galactic",
        }
    }
}

struct FromEquatorial<'a> {
    frame: Frame,
    from: [&'a [f64]; 2],
    to: [&'a mut [f64]; 2],
}

impl Task for FromEquatorial<'_> {
    #[inline(always)]
    fn run(self) {
        let ([ra, dec], [lon, lat]) = (self.from, self.to);
        let to = lon.iter_mut().zip(lat);
        for ((ra, dec), (lon, lat)) in ra.iter().zip(dec).zip(to) {
            (*lon, *lat) = self.frame.from_equatorial(*ra, *dec);
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Frame {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Equatorial, Self::Ecliptic, Self::Galactic]
            .into_iter()
            .find(|frame| frame.name() == text)
            .ok_or_else(|| {
                Error::usage(format!(
                    "frame is '{text}', expected equatorial, ecliptic or galactic"
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::angular_distance;
    use proptest::prelude::*;
    use rstest::rstest;

    #[test]
    fn the_constants_are_those_of_the_obliquity() {
        let (sine, cosine) = OBLIQUITY_DEG.to_radians().sin_cos();
        assert!((sine - SIN_OBLIQUITY).abs() < 1e-16);
        assert!((cosine - COS_OBLIQUITY).abs() < 2e-16);
    }

    // By definition; Pollux of J. Meeus, Astronomical Algorithms, example 13.a, and the galactic
    // centre, both with this obliquity; the first row of the sample of 2017.
    #[rstest]
    #[case((0.0, 0.0), (0.0, 0.0))]
    #[case((90.0, 0.0), (90.0, -23.439281))]
    #[case((90.0, 23.439281), (90.0, 0.0))]
    #[case((17.0, 90.0), (90.0, 66.560719))]
    #[case((116.328942, 28.026183), (113.2156300, 6.6841791))]
    #[case((266.4051, -28.936175), (266.8396166, -5.5363235))]
    #[case((358.08941191498536, 3.039583881799817), (359.45732103090154, 3.548502190027222))]
    fn ecliptic_positions(#[case] equatorial: (f64, f64), #[case] expected: (f64, f64)) {
        let (lon, lat) = Frame::Ecliptic.from_equatorial(equatorial.0, equatorial.1);
        assert!(angular_distance(lon, lat, expected.0, expected.1) < 1e-7, "{lon} {lat}");
    }

    #[test]
    fn the_pole_of_the_ecliptic_is_at_latitude_90() {
        let (_, lat) = Frame::Ecliptic.from_equatorial(270.0, 66.560719);
        assert!((lat - 90.0).abs() < 1e-12, "{lat}");
    }

    // The vernal equinox, the north pole and the galactic centre of the IAU, in ICRS.
    #[rstest]
    #[case((0.0, 0.0), (96.3372723, -60.1885533))]
    #[case((123.0, 90.0), (122.93192, 27.12825))]
    #[case((266.4051, -28.936175), (0.00005, -0.00008))]
    fn galactic_positions(#[case] equatorial: (f64, f64), #[case] expected: (f64, f64)) {
        let (lon, lat) = Frame::Galactic.from_equatorial(equatorial.0, equatorial.1);
        assert!(angular_distance(lon, lat, expected.0, expected.1) < 1e-5, "{lon} {lat}");
    }

    #[test]
    fn names_are_read_back() {
        for frame in [Frame::Equatorial, Frame::Ecliptic, Frame::Galactic] {
            assert_eq!(frame.name().parse::<Frame>().unwrap(), frame);
        }
        let error = "supergalactic".parse::<Frame>().unwrap_err().to_string();
        assert_eq!(error, "frame is 'supergalactic', expected equatorial, ecliptic or galactic");
    }

    /// Positions anywhere, and where angles are special.
    fn position() -> impl Strategy<Value = (f64, f64)> {
        let odd = |angles: Vec<f64>| {
            let near = |x: f64| [x, x.next_up(), x.next_down(), x + 1e-9];
            prop::sample::select(angles.into_iter().flat_map(near).collect::<Vec<_>>())
        };
        let lon = prop_oneof![0.0..360.0f64, odd(vec![0.0, 22.5, 45.0, 90.0, 180.0, 270.0, 360.0])];
        let lat = prop_oneof![-90.0..=90.0f64, odd(vec![-90.0, -45.0, 0.0, OBLIQUITY_DEG, 90.0])];
        (lon, lat.prop_map(|lat: f64| lat.clamp(-90.0, 90.0)))
    }

    proptest! {
        #[test]
        fn many_positions_at_once_have_the_bits_of_each_alone(
            (ra, dec) in prop::collection::vec(position(), 0..40)
                .prop_map(|positions| positions.into_iter().unzip::<f64, f64, Vec<_>, Vec<_>>()),
            frame in prop::sample::select(vec![Frame::Equatorial, Frame::Ecliptic, Frame::Galactic]),
        ) {
            for isa in Isa::available() {
                let (lon, lat) = frame.all_with(isa, &ra, &dec);
                prop_assert_eq!((lon.len(), lat.len()), (ra.len(), ra.len()));
                for i in 0..ra.len() {
                    let (a, b) = frame.from_equatorial(ra[i], dec[i]);
                    let found = (lon[i].to_bits(), lat[i].to_bits());
                    prop_assert_eq!(found, (a.to_bits(), b.to_bits()), "{:?} {} {}", isa, ra[i], dec[i]);
                }
            }
        }

        #[test]
        fn rotations_keep_angles_and_come_back(
            (lon, lat) in (0.0..360.0f64, -90.0..=90.0f64),
            (other_lon, other_lat) in (0.0..360.0f64, -90.0..=90.0f64),
            frame in prop::sample::select(vec![Frame::Ecliptic, Frame::Galactic]),
        ) {
            let (a, b) = frame.from_equatorial(lon, lat);
            prop_assert!((0.0..360.0).contains(&a) && (-90.0..=90.0).contains(&b));
            let (c, d) = frame.from_equatorial(other_lon, other_lat);
            let before = angular_distance(lon, lat, other_lon, other_lat);
            // The published galactic matrix is orthogonal to ten digits.
            prop_assert!((angular_distance(a, b, c, d) - before).abs() < 1e-7);
            let (ra, dec) = frame.to_equatorial(a, b);
            prop_assert!(angular_distance(ra, dec, lon, lat) < 1e-7);
        }
    }
}
