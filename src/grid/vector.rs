//! Positions as unit vectors: no special case at the poles or at 0/360.

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
    /// The direction of a position in degrees; any finite longitude will do.
    #[inline]
    pub fn from_degrees(lon_deg: f64, lat_deg: f64) -> Self {
        let (sin_lon, cos_lon) = lon_deg.to_radians().sin_cos();
        let (sin_lat, cos_lat) = lat_deg.to_radians().sin_cos();
        Self { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    /// The longitude in `[0, 360)`.
    #[inline]
    pub fn lon_deg(self) -> f64 {
        let lon = self.y.atan2(self.x).to_degrees();
        let lon = if lon < 0.0 { lon + 360.0 } else { lon };
        // Adding a whole turn to a hair below zero gives the whole turn; -0.0 becomes 0.0.
        if lon >= 360.0 { 0.0 } else { lon + 0.0 }
    }

    /// The latitude, by the arc tangent: the arc sine loses half the digits near the poles.
    #[inline]
    pub fn lat_deg(self) -> f64 {
        self.z.atan2(self.x.hypot(self.y)).to_degrees()
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
        sine.atan2(self.dot(other)).to_degrees()
    }
}
