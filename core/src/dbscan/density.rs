//! How many rows within which distance make a row core: the two parameters of DBSCAN, checked.

use crate::error::{Error, Result};

/// At least `min_points` rows within `eps`, the row itself among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Density {
    eps: f64,
    eps_squared: f64,
    min_points: usize,
}

impl Density {
    /// `eps` in the unit of the coordinates.
    ///
    /// # Errors
    /// `eps` not positive and finite, or so small or large that its square is not a normal number;
    /// `min_points` 0.
    pub fn new(eps: f64, min_points: usize) -> Result<Self> {
        let eps_squared = eps * eps;
        if !(eps > 0.0 && eps_squared.is_normal()) {
            return Err(Error::usage(format!(
                "eps is {eps}, expected a distance above 0 whose square is a normal number \
                 (about 1.5e-154 to 1.3e154)"
            )));
        }
        if min_points == 0 {
            return Err(Error::usage(
                "min-points is 0, expected at least 1: a row is always near itself",
            ));
        }
        Ok(Self { eps, eps_squared, min_points })
    }

    /// `eps_deg` is an angle; rows are unit vectors, their distance the chord 2 sin(eps/2).
    ///
    /// The chord is good to 5e-10 of an angle of 0.1″: only pairs closer than that to `eps_deg`
    /// may be judged otherwise than by their angle.
    ///
    /// # Errors
    /// An angle that is not above 0 and at most 180 degrees; `min_points` 0.
    pub fn on_sphere(eps_deg: f64, min_points: usize) -> Result<Self> {
        if !(eps_deg > 0.0 && eps_deg <= 180.0) {
            return Err(Error::usage(format!(
                "eps is {eps_deg} degrees, expected an angle above 0 and at most 180"
            )));
        }
        Self::new(2.0 * (eps_deg.to_radians() / 2.0).sin(), min_points)
    }

    /// The largest distance that is near; on the sphere the chord.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// What every squared distance is compared with.
    pub fn eps_squared(&self) -> f64 {
        self.eps_squared
    }

    /// Rows that must be near a core row, itself included.
    pub fn min_points(&self) -> usize {
        self.min_points
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    #[case(1e-160)]
    #[case(1e200)]
    fn an_eps_that_cannot_be_compared_is_refused(#[case] eps: f64) {
        let message = Density::new(eps, 5).unwrap_err().to_string();
        assert!(message.starts_with(&format!("eps is {eps}, expected")), "{message}");
    }

    #[test]
    fn no_rows_at_all_cannot_make_a_core() {
        assert!(Density::new(1.0, 0).unwrap_err().to_string().starts_with("min-points is 0"));
    }

    #[rstest]
    #[case(0.0)]
    #[case(180.1)]
    #[case(f64::NAN)]
    fn an_angle_beyond_half_a_turn_is_refused(#[case] eps_deg: f64) {
        assert!(Density::on_sphere(eps_deg, 5).is_err());
    }
}
