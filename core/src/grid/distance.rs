//! Angles on the sphere: between two positions, and between a position and a block.

use super::{Bounds, UnitVector};

/// The angle between two positions, 0..=180 degrees.
///
/// `atan2(|u x v|, u . v)` of the unit vectors: right at any separation, where the arc cosine
/// loses everything below 1e-8 radians. Symmetric, 0 for equal positions; NaN gives NaN.
#[inline]
pub fn angular_distance(lon_a_deg: f64, lat_a_deg: f64, lon_b_deg: f64, lat_b_deg: f64) -> f64 {
    UnitVector::from_degrees(lon_a_deg, lat_a_deg)
        .angle_deg(UnitVector::from_degrees(lon_b_deg, lat_b_deg))
}

/// The angle between a position and the nearest point of `block`, borders included; 0 inside.
///
/// Longitudes may differ by up to two whole turns. On the longitudes of the block the nearest point is due
/// north or south. Elsewhere it is on the edge meridian that is nearer in longitude, since on any
/// parallel the angle grows with the difference of longitudes: at the foot of the perpendicular
/// if that lies on the edge, else at one of its ends.
pub fn distance_to_block(lon_deg: f64, lat_deg: f64, block: &Bounds) -> f64 {
    let apart = lon_apart(lon_deg, block);
    if apart <= 0.0 {
        return (block.lat_min - lat_deg).max(lat_deg - block.lat_max).max(0.0);
    }
    let (sin_apart, cos_apart) = apart.to_radians().sin_cos();
    if apart < 90.0 {
        let (sin_lat, cos_lat) = lat_deg.to_radians().sin_cos();
        let foot = sin_lat.atan2(cos_lat * cos_apart).to_degrees();
        if (block.lat_min..=block.lat_max).contains(&foot) {
            return (cos_lat * sin_apart).min(1.0).asin().to_degrees();
        }
    }
    let position = UnitVector::from_degrees(apart, lat_deg);
    let south = position.angle_deg(UnitVector::from_degrees(0.0, block.lat_min));
    let north = position.angle_deg(UnitVector::from_degrees(0.0, block.lat_max));
    south.min(north)
}

/// How far a longitude is from the longitudes of `block`, 0..=180, whole turns ignored.
#[inline]
pub(super) fn lon_apart(lon_deg: f64, block: &Bounds) -> f64 {
    let mut apart = f64::INFINITY;
    // Both are within -360..=720, so two turns are enough.
    for turn in [-720.0, -360.0, 0.0, 360.0, 720.0] {
        let lon = lon_deg + turn;
        apart = apart.min((block.lon_min - lon).max(lon - block.lon_max).max(0.0));
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case((0.0, 0.0), (0.0, 0.0), 0.0)]
    #[case((0.0, 0.0), (180.0, 0.0), 180.0)]
    #[case((0.0, 90.0), (123.0, -90.0), 180.0)]
    #[case((10.0, 89.0), (190.0, 89.0), 2.0)]
    #[case((359.5, 0.0), (0.5, 0.0), 1.0)]
    #[case((0.0, 0.0), (0.0, 1e-10), 1e-10)]
    fn angles_between_positions(
        #[case] a: (f64, f64),
        #[case] b: (f64, f64),
        #[case] expected: f64,
    ) {
        let found = angular_distance(a.0, a.1, b.0, b.1);
        assert!((found - expected).abs() < 2e-14, "{found}");
        assert_eq!(found.to_bits(), angular_distance(b.0, b.1, a.0, a.1).to_bits());
    }

    #[test]
    fn a_nan_gives_nan() {
        assert!(angular_distance(f64::NAN, 0.0, 0.0, 0.0).is_nan());
    }

    /// The slow answer: the least angle to many points of the border.
    fn distance_by_search(lon: f64, lat: f64, block: &Bounds) -> f64 {
        if lon_apart(lon, block) <= 0.0 && (block.lat_min..=block.lat_max).contains(&lat) {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for i in 0..=400 {
            let t = f64::from(i) / 400.0;
            let x = block.lon_min + block.width_deg() * t;
            let y = block.lat_min + block.height_deg() * t;
            for (a, b) in
                [(x, block.lat_min), (x, block.lat_max), (block.lon_min, y), (block.lon_max, y)]
            {
                least = least.min(angular_distance(lon, lat, a, b));
            }
        }
        least
    }

    proptest! {
        #[test]
        fn the_distance_to_a_block_is_the_least_to_its_points(
            lon in 0.0..360.0f64, lat in -90.0..=90.0f64,
            lon_min in -180.0..180.0f64, width in 0.0..180.0f64,
            lat_min in -90.0..90.0f64, height in 0.0..1.0f64,
        ) {
            let block = Bounds {
                lon_min,
                lon_max: lon_min + width,
                lat_min,
                lat_max: lat_min + height * (90.0 - lat_min),
            };
            let found = distance_to_block(lon, lat, &block);
            let searched = distance_by_search(lon, lat, &block);
            prop_assert!(found <= searched + 1e-12, "{} {}", found, searched);
            // The search misses the foot by half a step of at most 0.45 degrees.
            prop_assert!(found >= searched - 0.25, "{} {}", found, searched);
        }
    }
}
