//! Mollweide's projection of the sphere on an ellipse (J. P. Snyder, Map Projections, USGS 1395,
//! p. 251): areas keep their proportions.

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

/// The place of longitude -180..=180 and latitude -90..=90, in degrees: x within ±2√2 and growing
/// with the longitude, y within ±√2.
pub fn mollweide(lon_deg: f64, lat_deg: f64) -> (f64, f64) {
    let (lon, lat) = (lon_deg.to_radians(), lat_deg.to_radians());
    let mut theta = lat;
    if FRAC_PI_2 - lat.abs() < 1e-9 {
        theta = FRAC_PI_2.copysign(lat);
    } else {
        for _ in 0..50 {
            let slope = 2.0 + 2.0 * (2.0 * theta).cos();
            let step = (2.0 * theta + (2.0 * theta).sin() - PI * lat.sin()) / slope;
            theta -= step;
            if step.abs() < 1e-14 {
                break;
            }
        }
    }
    (2.0 * SQRT_2 / PI * lon * theta.cos(), SQRT_2 * theta.sin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // Solved to ten digits by an independent script.
    #[rstest]
    #[case((180.0, 0.0), (2.8284271247, 0.0))]
    #[case((0.0, 45.0), (0.0, 0.8372734721))]
    #[case((90.0, 45.0), (1.1397250251, 0.8372734721))]
    #[case((-120.0, -30.0), (-1.7249087727, -0.5713037465))]
    #[case((77.0, 90.0), (0.0, SQRT_2))]
    fn places_on_the_ellipse(#[case] position: (f64, f64), #[case] expected: (f64, f64)) {
        let found = mollweide(position.0, position.1);
        let apart = (found.0 - expected.0).hypot(found.1 - expected.1);
        assert!(apart < 1e-9, "{found:?}");
    }
}
