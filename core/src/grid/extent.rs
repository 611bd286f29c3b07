//! The extent of many positions, and where 0/360 is cut so that a field stays in one piece.

use std::str::FromStr;

use super::Bounds;
use crate::error::{Error, Result};

/// Where the cut is when it is found from the data.
const AUTO_CUT_DEG: f64 = 180.0;

/// How the longitudes are cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seam {
    /// At 180 if the field straddles 0/360 and fits in half a turn, else at 0.
    Auto,
    /// At this longitude, 0 <= deg < 360: from there on 360 is subtracted. 0 keeps raw values.
    At(f64),
}

impl FromStr for Seam {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .ok()
            .filter(|deg| (0.0..360.0).contains(deg))
            .map(|deg: f64| Self::At(deg + 0.0))
            .ok_or_else(|| {
                Error::usage(format!("seam is '{text}', expected auto or at least 0 and below 360"))
            })
    }
}

/// What a driver must know of all positions to lay a grid: mergeable in any order.
///
/// Longitudes are canonical, `[0, 360)`. Both ways of cutting are kept, so that one pass over
/// the data will do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    seam: Seam,
    /// Positions seen.
    pub rows: u64,
    /// Least and greatest longitude as they are.
    pub lon: (f64, f64),
    /// Least and greatest longitude, 360 subtracted from the cut on.
    pub cut_lon: (f64, f64),
    /// Least and greatest latitude.
    pub lat: (f64, f64),
}

impl Extent {
    /// The extent of no position.
    pub const fn new(seam: Seam) -> Self {
        let none = (f64::INFINITY, f64::NEG_INFINITY);
        Self { seam, rows: 0, lon: none, cut_lon: none, lat: none }
    }

    /// Takes one canonical position.
    #[inline]
    pub fn add(&mut self, lon_deg: f64, lat_deg: f64) {
        let cut = match self.seam {
            Seam::Auto => AUTO_CUT_DEG,
            Seam::At(deg) => deg,
        };
        let cut_lon = if lon_deg >= cut { lon_deg - 360.0 } else { lon_deg };
        self.rows += 1;
        widen(&mut self.lon, lon_deg, lon_deg);
        widen(&mut self.cut_lon, cut_lon, cut_lon);
        widen(&mut self.lat, lat_deg, lat_deg);
    }

    /// Takes all positions of another extent.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        widen(&mut self.lon, other.lon.0, other.lon.1);
        widen(&mut self.cut_lon, other.cut_lon.0, other.cut_lon.1);
        widen(&mut self.lat, other.lat.0, other.lat.1);
    }

    /// The longitude from which on 360 is subtracted; 0 for raw longitudes.
    pub fn seam_deg(&self) -> f64 {
        match self.seam {
            Seam::At(deg) => deg,
            Seam::Auto => {
                let straddles = self.lon.1 - self.lon.0 > 180.0;
                let fits = self.cut_lon.1 - self.cut_lon.0 < 180.0;
                if straddles && fits { AUTO_CUT_DEG } else { 0.0 }
            }
        }
    }

    /// The bounds of the positions with that seam; none if there are no positions.
    ///
    /// A zero is 0.0, never -0.0, so that the text of a number gives its bits back.
    pub fn bounds(&self) -> Option<Bounds> {
        let lon = if self.seam_deg() > 0.0 { self.cut_lon } else { self.lon };
        (self.rows > 0).then_some(Bounds {
            lon_min: lon.0 + 0.0,
            lon_max: lon.1 + 0.0,
            lat_min: self.lat.0 + 0.0,
            lat_max: self.lat.1 + 0.0,
        })
    }
}

#[inline]
fn widen(range: &mut (f64, f64), low: f64, high: f64) {
    range.0 = range.0.min(low);
    range.1 = range.1.max(high);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(seam: Seam, lons: &[f64], expected: (f64, f64)) {
        let mut extent = Extent::new(seam);
        lons.iter().for_each(|lon| extent.add(*lon, -0.0));
        let bounds = extent.bounds().unwrap();
        assert_eq!((bounds.lon_min, bounds.lon_max), expected);
        assert_eq!(bounds.lat_min.to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn a_field_across_0_360_is_cut_at_180() {
        check(Seam::Auto, &[357.5, 359.0, 0.0, 1.5], (-2.5, 1.5));
    }

    #[test]
    fn a_field_elsewhere_keeps_its_longitudes() {
        check(Seam::Auto, &[357.5, 359.0], (357.5, 359.0));
        check(Seam::Auto, &[179.0, 181.0], (179.0, 181.0));
        check(Seam::Auto, &[0.0, 100.0, 200.0, 300.0], (0.0, 300.0));
    }

    #[test]
    fn a_given_seam_is_obeyed() {
        check(Seam::At(0.0), &[357.5, 1.5], (1.5, 357.5));
        check(Seam::At(90.0), &[80.0, 100.0], (-260.0, 80.0));
    }

    #[test]
    fn no_positions_have_no_bounds() {
        assert_eq!(Extent::new(Seam::Auto).bounds(), None);
    }

    #[test]
    fn seams_are_read() {
        assert_eq!("auto".parse::<Seam>().unwrap(), Seam::Auto);
        assert_eq!("180".parse::<Seam>().unwrap(), Seam::At(180.0));
        for text in ["", "360", "-1", "nan"] {
            assert_eq!(
                text.parse::<Seam>().unwrap_err().to_string(),
                format!("seam is '{text}', expected auto or at least 0 and below 360")
            );
        }
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole(
            rows in prop::collection::vec((0.0..360.0f64, -90.0..=90.0f64), 0..50),
            at in 0..50usize,
        ) {
            let of = |rows: &[(f64, f64)]| {
                let mut extent = Extent::new(Seam::Auto);
                rows.iter().for_each(|(lon, lat)| extent.add(*lon, *lat));
                extent
            };
            let (left, right) = rows.split_at(at.min(rows.len()));
            let mut merged = of(right);
            merged.merge(&of(left));
            prop_assert_eq!(merged, of(&rows));
        }
    }
}
