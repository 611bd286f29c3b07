//! The margin of a block: which rows of other blocks it holds copies of, and the radius that this proves.
//!
//! Let a block span latitudes up to `p` from the equator, width `w` and height `h`.
//!
//! - **Percent** `f`: all rows in the closed window that is `f w` wider on the left and on the
//!   right (`da`, at most 90) and `f h` higher below and above (`dd`). A row outside it differs
//!   from every place of the block by more than `dd` in latitude, or by more than `da` in
//!   longitude. In the second case its angle to a place at latitude `b` is at least that to the
//!   half circle through the row and the poles, `asin(cos b sin da)` or more. So the margin is
//!   complete within `min(dd, asin(cos p sin da))`. That is 0 at a pole; a block with
//!   `p + dd >= 90` therefore also takes every row within `dd`, whatever its longitude, and `dd`
//!   is its radius. So it is for a block whose window goes all around.
//! - **Angle** `R`: all rows within `R` of the block; `R` is its radius.
//!
//! Rows within an angle `r` lie at most `asin(sin r / cos p)` from the block's longitudes, as long
//! as `p + r < 90`: the *reach*. Longitudes are compared modulo 360.

use super::distance::{distance_to_block, lon_apart};
use super::{Bounds, Margin, Plan};

/// How far a cap goes from its pole, in units of the margin.
const CAP: f64 = 10.0;

/// The margin of one block.
#[derive(Debug, Clone)]
pub(super) struct MarginArea {
    block: Bounds,
    /// Rows in here are margin rows.
    window: Option<Bounds>,
    /// Rows within this angle are margin rows.
    angle: Option<Angle>,
    /// Boxes that together hold every margin row; longitudes modulo 360.
    pub(super) areas: Vec<Bounds>,
    /// The angle within which the margin holds every row.
    pub(super) radius_deg: f64,
}

/// An angle and the boxes of what lies within it.
#[derive(Debug, Clone)]
struct Angle {
    /// With an allowance for rounding.
    deg: f64,
    /// See [`MarginArea::holds`].
    limit: f64,
}

impl MarginArea {
    /// The margin of a block of a plan, or none if the plan has no margins; `cut` if it is only a part of
    /// its base block.
    pub(super) fn new(plan: &Plan, block: Bounds, cut: bool) -> Option<Self> {
        match plan.margin() {
            Margin::None => None,
            Margin::Percent(percent) => {
                let part = percent / 100.0;
                let (width, height) = sides(plan, &block, cut);
                Some(Self::by_sides(block, (width * part).min(90.0), (height * part).min(90.0)))
            }
            Margin::Arcsec(arcsec) => Some(Self::by_angle(block, arcsec / 3600.0)),
        }
    }

    fn by_sides(block: Bounds, lon_deg: f64, lat_deg: f64) -> Self {
        let mut window = Bounds {
            lon_min: block.lon_min - lon_deg,
            lon_max: block.lon_max + lon_deg,
            lat_min: block.lat_min - lat_deg,
            lat_max: block.lat_max + lat_deg,
        };
        let round = block.width_deg() + 2.0 * lon_deg >= 360.0;
        if round {
            (window.lon_min, window.lon_max) = (f64::NEG_INFINITY, f64::INFINITY);
        }
        let steepest = block.steepest_lat_deg();
        let mut areas = vec![window];
        let mut angle = None;
        let radius_deg = if round {
            lat_deg
        } else if steepest + lat_deg >= 90.0 {
            angle = Some(Angle::new(lat_deg));
            areas.extend(areas_within(&block, allowed(lat_deg)));
            lat_deg
        } else {
            let across = steepest.to_radians().cos() * lon_deg.to_radians().sin();
            lat_deg.min(across.asin().to_degrees())
        };
        // Less than the rounding of window and distance could take away.
        let radius_deg = (radius_deg * (1.0 - 1e-9) - 1e-12).max(0.0);
        Self { block, window: Some(window), angle, areas, radius_deg }
    }

    fn by_angle(block: Bounds, deg: f64) -> Self {
        let areas = areas_within(&block, allowed(deg));
        Self { block, window: None, angle: Some(Angle::new(deg)), areas, radius_deg: deg }
    }

    /// True if a row at this place, owned by another block, is a margin row of this one.
    #[inline]
    pub(super) fn holds(&self, lon: f64, lat: f64) -> bool {
        if self.window.as_ref().is_some_and(|window| holds_turned(window, lon, lat)) {
            return true;
        }
        let Some(angle) = &self.angle else { return false };
        if !self.areas.iter().any(|area| holds_turned(area, lon, lat)) {
            return false;
        }
        // Without trigonometry: beyond a quarter turn the way leads over the pole; else the angle
        // is at least asin(cos lat sin apart), cos lat >= 1 - |lat| / 90, sin apart >= apart / 90.
        let apart = lon_apart(lon, &self.block);
        let to_pole = 90.0 - lat.abs();
        let near = if apart > 90.0 { to_pole <= angle.deg } else { apart * to_pole <= angle.limit };
        near && distance_to_block(lon, lat, &self.block) <= angle.deg
    }
}

impl Angle {
    fn new(deg: f64) -> Self {
        let deg = allowed(deg);
        let sine = if deg < 90.0 { deg.to_radians().sin() } else { 1.0 };
        Self { deg, limit: 8100.0 * sine * (1.0 + 1e-12) }
    }
}

/// The sides that a percentage refers to: a base block's are those of the step of the grid.
fn sides(plan: &Plan, block: &Bounds, cut: bool) -> (f64, f64) {
    if cut {
        return (block.width_deg(), block.height_deg());
    }
    let (grid, bounds) = (plan.grid(), plan.grid().bounds());
    let columns = f64::from(grid.columns().cells());
    let rows = f64::from(grid.rows().cells());
    (bounds.width_deg() / columns, bounds.height_deg() / rows)
}

/// The angle that is compared with a computed distance, so that rounding loses no row.
fn allowed(deg: f64) -> f64 {
    deg * (1.0 + 1e-12) + 1e-13
}

#[inline]
fn holds_turned(area: &Bounds, lon: f64, lat: f64) -> bool {
    lat >= area.lat_min
        && lat <= area.lat_max
        && (area.holds(lon, lat) || area.holds(lon - 360.0, lat) || area.holds(lon + 360.0, lat))
}

/// Boxes that hold every place within `deg` of the block: one if the angle stays clear of the
/// poles, else one up to the caps and a cap all around each pole that it comes near.
fn areas_within(block: &Bounds, deg: f64) -> Vec<Bounds> {
    let (south, north) = (block.lat_min - deg, block.lat_max + deg);
    let steepest = block.steepest_lat_deg();
    if steepest + deg < 90.0 {
        return vec![beside(block, reach_deg(deg, steepest), south, north)];
    }
    // Below a cap, the way from a row to the block's edge is bounded by the row's own latitude.
    let cap = 90.0 - CAP * deg;
    let around = |lat_min: f64, lat_max: f64| Bounds {
        lon_min: f64::NEG_INFINITY,
        lon_max: f64::INFINITY,
        lat_min,
        lat_max,
    };
    let mut areas = Vec::new();
    let (mut low, mut high) = (south, north);
    if south <= -90.0 {
        low = -cap;
        areas.push(around(south, low.min(north)));
    }
    if north >= 90.0 {
        high = cap;
        areas.push(around(high.max(south), north));
    }
    if low < high {
        areas.push(beside(block, reach_deg(deg, low.abs().max(high.abs())), low, high));
    }
    areas
}

/// The block's longitudes, `reach` wider on both sides, between two latitudes.
fn beside(block: &Bounds, reach_deg: f64, lat_min: f64, lat_max: f64) -> Bounds {
    let (lon_min, lon_max) = if block.width_deg() + 2.0 * reach_deg >= 360.0 {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else {
        (block.lon_min - reach_deg, block.lon_max + reach_deg)
    };
    Bounds { lon_min, lon_max, lat_min, lat_max }
}

/// How far in longitude an angle reaches from a meridian at latitudes up to `lat_deg`; 180 if it
/// reaches around the pole.
fn reach_deg(angle_deg: f64, lat_deg: f64) -> f64 {
    let ratio = angle_deg.to_radians().sin() / lat_deg.to_radians().cos();
    if angle_deg < 90.0 && ratio < 1.0 {
        ratio.asin().to_degrees() * (1.0 + 1e-12) + 1e-12
    } else {
        180.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TEN_ARCSEC: f64 = 10.0 / 3600.0;

    // asin(sin 10" / cos lat) in arc seconds, to a thousandth.
    #[rstest]
    #[case(0.0, 10.0)]
    #[case(30.0, 11.547)]
    #[case(60.0, 20.0)]
    #[case(80.0, 57.588)]
    #[case(85.0, 114.737)]
    #[case(89.0, 572.988)]
    fn the_reach_grows_with_the_latitude(#[case] lat: f64, #[case] expected: f64) {
        assert!((reach_deg(TEN_ARCSEC, lat) * 3600.0 - expected).abs() < 6e-4);
    }

    #[test]
    fn the_radius_of_a_window_is_the_shorter_way_out() {
        let block = Bounds { lon_min: 10.0, lon_max: 20.0, lat_min: 60.0, lat_max: 65.0 };
        let reach = MarginArea::by_sides(block, 0.5, 0.25);
        assert!((reach.radius_deg - 0.21131).abs() < 5e-6, "{}", reach.radius_deg);
    }
}
