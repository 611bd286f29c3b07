//! Positions as unit vectors: no special case at the poles or at 0/360.

use super::trig::{arc_deg, length, sin_cos_deg};

/// A direction: `(cos lat cos lon, cos lat sin lon, sin lat)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitVector {
    /// Towards longitude 0 on the equator.
    pub x: f64,
    /// Towards longitude 90 on the equator.
    pub y: f64,
    /// Towards the north pole.
    pub z: f64,
}

impl UnitVector {
    /// The direction of a position in degrees; any longitude of less than a million quarter turns
    /// will do.
    #[inline(always)]
    pub fn from_degrees(lon_deg: f64, lat_deg: f64) -> Self {
        let (sin_lon, cos_lon) = sin_cos_deg(lon_deg);
        let (sin_lat, cos_lat) = sin_cos_deg(lat_deg);
        Self { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    /// The longitude in `[0, 360)`.
    #[inline(always)]
    pub fn lon_deg(self) -> f64 {
        let arc = arc_deg(self.y, self.x);
        let lon = if self.y < 0.0 { 360.0 - arc } else { arc };
        // A hair below a whole turn is rounded to it.
        if lon >= 360.0 { 0.0 } else { lon }
    }

    /// The latitude, by the arc tangent: the arc sine loses half the digits near the poles.
    #[inline(always)]
    pub fn lat_deg(self) -> f64 {
        arc_deg(self.z, length(self.x, self.y)).copysign(self.z)
    }

    /// The cosine of the angle to `other`.
    #[inline]
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The angle to `other`, 0..=180, good to a few 1e-14 degrees at any separation.
    ///
    /// Symmetric to the bit, and exactly 0 for equal vectors: the products of the cross product
    /// cancel without rounding.
    #[inline]
    pub fn angle_deg(self, other: Self) -> f64 {
        let x = self.y * other.z - self.z * other.y;
        let y = self.z * other.x - self.x * other.z;
        let z = self.x * other.y - self.y * other.x;
        let sine = (x * x + y * y + z * z).sqrt();
        arc_deg(sine, self.dot(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case((0.0, 0.0, 1.0), (0.0, 90.0))]
    #[case((-0.0, -0.0, -1.0), (0.0, -90.0))]
    #[case((1.0, -1e-20, 0.0), (0.0, 0.0))]
    #[case((1.0, -0.0, -0.0), (0.0, -0.0))]
    #[case((-1.0, -0.0, 0.0), (180.0, 0.0))]
    #[case((0.0, -1.0, 0.0), (270.0, 0.0))]
    #[case((0.5, -0.5, -0.5f64.sqrt()), (315.0, -45.0))]
    #[case((1e-200, 0.0, -1.0), (0.0, -90.0))]
    fn directions_have_angles(#[case] xyz: (f64, f64, f64), #[case] expected: (f64, f64)) {
        let direction = UnitVector { x: xyz.0, y: xyz.1, z: xyz.2 };
        let found = [direction.lon_deg(), direction.lat_deg()];
        assert_eq!(
            found.map(f64::to_bits),
            [expected.0, expected.1].map(f64::to_bits),
            "{found:?}"
        );
    }

    #[test]
    fn poles_come_back_exactly() {
        for (lon, lat) in [(17.0, 90.0), (123.456, -90.0), (359.9, 90.0)] {
            let found = UnitVector::from_degrees(lon, lat).lat_deg();
            assert_eq!(found.to_bits(), lat.to_bits());
        }
    }
}
