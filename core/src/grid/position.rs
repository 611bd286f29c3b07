//! Which pairs of numbers are positions, and the one form each position has.

use std::fmt;

/// Why a position is unusable: what the quarantine says of a row, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A coordinate is NULL.
    Null,
    /// A coordinate is text that is not a number.
    NotANumber,
    /// A coordinate is NaN.
    Nan,
    /// A coordinate is infinite.
    Infinite,
    /// The latitude is not within -90..=90.
    LatOutOfRange,
    /// The longitude is not within -360..=720: a sentinel must not wrap into a real place.
    LonOutOfRange,
}

impl Reason {
    /// All reasons, in the order of the checks.
    pub const ALL: [Self; 6] = [
        Self::Null,
        Self::NotANumber,
        Self::Nan,
        Self::Infinite,
        Self::LatOutOfRange,
        Self::LonOutOfRange,
    ];

    /// The word that is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::NotANumber => "not_a_number",
            Self::Nan => "nan",
            Self::Infinite => "infinite",
            Self::LatOutOfRange => "lat_out_of_range",
            Self::LonOutOfRange => "lon_out_of_range",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The position with its longitude in `[0, 360)`, or why it is none.
///
/// A latitude is within -90..=90, a longitude within -360..=720; 360 is 0. Longitudes that are in
/// `[0, 360)` already keep their bits, but -0.0 becomes 0.0.
///
/// # Errors
/// The first [`Reason`] that applies.
#[inline]
pub fn canonical(lon_deg: f64, lat_deg: f64) -> Result<(f64, f64), Reason> {
    if !(lat_deg.abs() <= 90.0 && (-360.0..=720.0).contains(&lon_deg)) {
        return Err(reason(lon_deg, lat_deg));
    }
    let turns = if lon_deg < 0.0 {
        360.0
    } else if lon_deg < 360.0 {
        0.0
    } else if lon_deg < 720.0 {
        -360.0
    } else {
        -720.0
    };
    let turned = lon_deg + turns;
    // A tiny negative longitude rounds up to a whole turn.
    let lon_deg = if turned >= 360.0 { 0.0 } else { turned };
    Ok((lon_deg, lat_deg))
}

/// Whether [`canonical`] gives each of these positions back as it is, to the bit.
pub fn all_canonical(lon_deg: &[f64], lat_deg: &[f64]) -> bool {
    // No short cut: a loop without branches is many positions at once.
    lon_deg.iter().zip(lat_deg).fold(true, |all, (lon, lat)| {
        all & lon.is_sign_positive() & (*lon < 360.0) & (lat.abs() <= 90.0)
    })
}

/// Why a position that is unusable is so.
#[cold]
fn reason(lon_deg: f64, lat_deg: f64) -> Reason {
    if lon_deg.is_nan() || lat_deg.is_nan() {
        Reason::Nan
    } else if lon_deg.is_infinite() || lat_deg.is_infinite() {
        Reason::Infinite
    } else if !(-90.0..=90.0).contains(&lat_deg) {
        Reason::LatOutOfRange
    } else {
        Reason::LonOutOfRange
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::zero(0.0, 0.0)]
    #[case::negative_zero(-0.0, 0.0)]
    #[case::whole_turn(360.0, 0.0)]
    #[case::two_turns(720.0, 0.0)]
    #[case::back_a_turn(-360.0, 0.0)]
    #[case::negative(-10.0, 350.0)]
    #[case::hair_below_zero(-1e-20, 0.0)]
    #[case::least_below_zero(-5e-324, 0.0)]
    #[case::hair_below_a_turn(360.0f64.next_down(), 360.0f64.next_down())]
    #[case::hair_below_two_turns(720.0f64.next_down(), 720.0f64.next_down() - 360.0)]
    #[case::kept(358.08941191498536, 358.08941191498536)]
    fn longitudes_have_one_form(#[case] lon: f64, #[case] expected: f64) {
        let (found, _) = canonical(lon, 90.0).unwrap();
        assert_eq!(found.to_bits(), expected.to_bits());
        assert_eq!(all_canonical(&[1.0, lon], &[0.0, 90.0]), found.to_bits() == lon.to_bits());
    }

    #[rstest]
    #[case(f64::NAN, 0.0, Reason::Nan)]
    #[case(f64::INFINITY, f64::NAN, Reason::Nan)]
    #[case(0.0, f64::NEG_INFINITY, Reason::Infinite)]
    #[case(0.0, 90.0000001, Reason::LatOutOfRange)]
    #[case(-999.0, -999.0, Reason::LatOutOfRange)]
    #[case(-999.0, 0.0, Reason::LonOutOfRange)]
    #[case(720.0000001, 0.0, Reason::LonOutOfRange)]
    fn unusable_positions_have_a_reason(#[case] lon: f64, #[case] lat: f64, #[case] why: Reason) {
        assert_eq!(canonical(lon, lat), Err(why));
        assert!(!all_canonical(&[lon, 1.0], &[lat, 0.0]));
    }
}
