//! A box in longitude and latitude: the bounds of the data, of a grid, of a block.

/// Bounds in degrees. Longitude may run below 0, where a seam says so: `-2.5..1.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Lowest longitude.
    pub lon_min: f64,
    /// Highest longitude.
    pub lon_max: f64,
    /// Lowest latitude.
    pub lat_min: f64,
    /// Highest latitude.
    pub lat_max: f64,
}

impl Bounds {
    /// The whole sphere, cut at `seam_deg`: 0..360, or what is left of the seam and 360 below.
    pub fn sky(seam_deg: f64) -> Self {
        let lon_max = if seam_deg > 0.0 { seam_deg } else { 360.0 };
        Self { lon_min: lon_max - 360.0, lon_max, lat_min: -90.0, lat_max: 90.0 }
    }

    /// Width in longitude.
    pub fn width_deg(&self) -> f64 {
        self.lon_max - self.lon_min
    }

    /// Height in latitude.
    pub fn height_deg(&self) -> f64 {
        self.lat_max - self.lat_min
    }

    /// The latitude farthest from the equator, as a positive number.
    pub fn steepest_lat_deg(&self) -> f64 {
        self.lat_min.abs().max(self.lat_max.abs())
    }

    /// True if the width, as an angle on the middle latitude, exceeds the height.
    pub(super) fn is_wide(&self) -> bool {
        let middle = f64::midpoint(self.lat_min, self.lat_max);
        self.width_deg() * middle.to_radians().cos() > self.height_deg()
    }

    /// True if all four numbers are finite, in order, and on the sphere.
    pub(super) fn is_sound(&self) -> bool {
        self.lon_min >= -360.0
            && self.lon_max <= 360.0
            && self.lat_min >= -90.0
            && self.lat_max <= 90.0
            && self.lon_min <= self.lon_max
            && self.lat_min <= self.lat_max
            && self.width_deg() <= 360.0
    }

    /// True if both hold one place at least; borders count.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.lon_min <= other.lon_max
            && other.lon_min <= self.lon_max
            && self.lat_min <= other.lat_max
            && other.lat_min <= self.lat_max
    }

    /// True within the bounds, borders included. One longitude only: no 360 is added.
    #[inline]
    pub(super) fn holds(&self, lon: f64, lat: f64) -> bool {
        lon >= self.lon_min && lon <= self.lon_max && lat >= self.lat_min && lat <= self.lat_max
    }

    /// The same bounds some whole turns away.
    pub(super) fn shifted(&self, by_deg: f64) -> Self {
        Self { lon_min: self.lon_min + by_deg, lon_max: self.lon_max + by_deg, ..*self }
    }
}
