//! The numbers that are summed: the user's, less an origin and times a power of two, without rounding. Pure.
//!
//! A sum is exact to a share of the largest magnitude. Rows that lie close to each other and far from 0
//! are therefore counted from their least value, and values whose squares no double holds are brought to
//! a magnitude of 1. Both are exact for each value: the difference by Sterbenz's lemma (1974), since then
//! a value is at most twice the least one, or because it is one of integers. All other columns stay as they
//! are. What a run finds is put back into the user's numbers at its end.

use ndarray::Array2;

use crate::centroids::fixed::{frexp, times_power_of_two};

/// A column is counted from its least value where its magnitude is this many times its range.
const FAR: f64 = 16.0;
/// Magnitudes within 2^±400 have squares, and sums of squares, that a double holds.
const PLAIN_EXPONENTS: std::ops::RangeInclusive<i32> = -400..=400;
/// The largest power of two that a value is multiplied by.
const LARGEST_EXPONENT: i32 = 1000;
/// From here on not every integer is a double.
const INTEGERS_END: f64 = 9_007_199_254_740_992.0;

/// What is known of a column before its place is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnRange {
    /// The least value, as the double nearest to it.
    pub(super) lo: f64,
    /// The greatest value, likewise.
    pub(super) hi: f64,
    /// True if the column holds integers.
    pub(super) integer: bool,
}

/// Where the numbers of a column are: `(x - origin)·2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// What is taken from each value: an integer where the column holds integers.
    pub(super) origin: f64,
    /// The power of two that each difference is multiplied by.
    pub(super) exponent: i32,
    /// True if the column holds integers.
    pub(super) integer: bool,
}

impl Place {
    /// Numbers as they are.
    pub(super) const PLAIN: Self = Self { origin: 0.0, exponent: 0, integer: false };

    /// The place as a property of a result: origin, exponent, and `integer` or `float`.
    pub(super) fn to_text(self) -> String {
        let kind = if self.integer { "integer" } else { "float" };
        format!("{:?} {} {kind}", self.origin, self.exponent)
    }

    /// Reads what [`Self::to_text`] has written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (origin, exponent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let integer = match words.next()? {
            "integer" => true,
            "float" => false,
            _ => return None,
        };
        words.next().is_none().then_some(Self { origin, exponent, integer })
    }

    /// True if the numbers stay as they are.
    pub(super) fn is_plain(self) -> bool {
        self.origin == 0.0 && self.exponent == 0
    }
}

/// The places of all columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coordinates {
    places: Vec<Place>,
    /// The least and the greatest number of each column, in its place.
    ranges: Vec<(f64, f64)>,
    /// Distances are those of the user times 2^unit.
    unit: i32,
}

impl Coordinates {
    /// The places for columns of these ranges; `scaled` where distances have no unit.
    pub(super) fn of(columns: &[ColumnRange], scaled: bool) -> Self {
        let near: Vec<(f64, f64, f64)> = columns.iter().map(from_origin).collect();
        let exponents = near.iter().map(|&(_, lo, hi)| match f64::max(lo.abs(), hi.abs()) {
            0.0 => None,
            magnitude => Some(frexp(magnitude).clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)),
        });
        let exponents: Vec<Option<i32>> = exponents.collect();
        let plain = exponents.iter().flatten().all(|found| PLAIN_EXPONENTS.contains(found));
        let largest = exponents.iter().flatten().copied().max().unwrap_or(0);
        // A column of zeros is as it is in any place; in this one its factor is 1.
        let exponent = |found: Option<i32>| if plain { 0 } else { -found.unwrap_or(largest) };
        let places = near.iter().zip(&exponents).zip(columns);
        let places = places.map(|((&(origin, ..), &found), column)| Place {
            origin,
            exponent: exponent(found),
            integer: column.integer,
        });
        let ranges = near.iter().zip(&exponents).map(|(&(_, lo, hi), &found)| {
            let exponent = exponent(found);
            (times_power_of_two(lo, exponent), times_power_of_two(hi, exponent))
        });
        Self {
            places: places.collect(),
            ranges: ranges.collect(),
            unit: if plain || scaled { 0 } else { -largest },
        }
    }

    /// The places, in the order of the columns.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The least and the greatest number of each column, in its place.
    pub(super) fn ranges(&self) -> &[(f64, f64)] {
        &self.ranges
    }

    /// What differences of a column are multiplied by, so that distances of all columns compare.
    pub(super) fn factors(&self) -> Vec<f64> {
        let factor = |place: &Place| times_power_of_two(1.0, self.unit - place.exponent);
        self.places.iter().map(factor).collect()
    }

    /// `factors` of differences as they are for the user's numbers and distances.
    pub(super) fn users_factors(&self, factors: &[f64]) -> Vec<f64> {
        let factors = factors.iter().zip(&self.places);
        factors.map(|(f, place)| times_power_of_two(*f, place.exponent - self.unit)).collect()
    }

    /// The user's centroids in their places.
    pub(super) fn place(&self, mut centroids: Array2<f64>) -> Array2<f64> {
        for mut centroid in centroids.rows_mut() {
            for (value, place) in centroid.iter_mut().zip(&self.places) {
                *value = times_power_of_two(*value - place.origin, place.exponent);
            }
        }
        centroids
    }

    /// Centroids as the user's numbers: each the double nearest to it.
    pub(super) fn users(&self, mut centroids: Array2<f64>) -> Array2<f64> {
        for mut centroid in centroids.rows_mut() {
            for (value, place) in centroid.iter_mut().zip(&self.places) {
                // A value that is not moved keeps its sign, also that of zero.
                if !place.is_plain() {
                    *value = times_power_of_two(*value, -place.exponent) + place.origin;
                }
            }
        }
        centroids
    }

    /// A distance in the user's units.
    pub(super) fn users_distance(&self, distance: f64) -> f64 {
        times_power_of_two(distance, -self.unit)
    }

    /// A squared distance, or a sum of such, in the user's units; infinite where no double holds it.
    pub(super) fn users_cost(&self, cost: f64) -> f64 {
        times_power_of_two(times_power_of_two(cost, -self.unit), -self.unit)
    }

    /// The power of two that distances are to be multiplied by for the user, if there is one.
    pub(super) fn distance_factor(&self) -> Option<f64> {
        (self.unit != 0).then(|| times_power_of_two(1.0, -self.unit))
    }
}

/// The origin of a column, and bounds of what is left of its values.
fn from_origin(&ColumnRange { lo, hi, integer }: &ColumnRange) -> (f64, f64, f64) {
    let magnitude = f64::max(lo.abs(), hi.abs());
    let is_far = lo.is_sign_negative() == hi.is_sign_negative()
        && lo != 0.0
        && hi != 0.0
        && magnitude >= FAR * (hi - lo);
    if !is_far {
        return (0.0, lo, hi);
    }
    if integer && magnitude >= INTEGERS_END {
        // The bounds were rounded: one double further holds every value.
        let origin = lo.next_down().max(-(2.0_f64.powi(63)));
        return (origin, 0.0, hi.next_up() - origin);
    }
    (lo, 0.0, hi - lo)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn column(lo: f64, hi: f64) -> ColumnRange {
        ColumnRange { lo, hi, integer: false }
    }

    fn bits(numbers: &[f64]) -> Vec<u64> {
        numbers.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn ordinary_columns_stay_as_they_are() {
        let found =
            Coordinates::of(&[column(18.0, 99.0), column(-5.0, 5.0), column(0.0, 0.0)], false);
        assert!(found.places().iter().all(|place| place.is_plain()));
        let centroids = array![[20.0, -0.0, 0.0]];
        assert_eq!(
            bits(found.users(centroids.clone()).as_slice().unwrap()),
            bits(centroids.as_slice().unwrap())
        );
        assert_eq!(found.distance_factor(), None);
    }

    #[test]
    fn rows_far_from_0_are_counted_from_the_least() {
        let found = Coordinates::of(&[column(1e9, 1e9 + 8.0), column(-1e9 - 8.0, -1e9)], false);
        let origins: Vec<f64> = found.places().iter().map(|place| place.origin).collect();
        assert_eq!(origins, [1e9, -1e9 - 8.0]);
        assert_eq!(found.ranges(), [(0.0, 8.0), (0.0, 8.0)]);
        assert_eq!(found.users(array![[2.5, 2.5]]), array![[1e9 + 2.5, -1e9 - 5.5]]);
        assert_eq!(found.place(array![[1e9 + 2.5, -1e9 - 5.5]]), array![[2.5, 2.5]]);
    }

    #[test]
    fn integers_that_no_double_holds_have_an_origin_below_all() {
        let least = 2.0_f64.powi(62);
        let found = Coordinates::of(&[ColumnRange { lo: least, hi: least, integer: true }], false);
        let place = found.places()[0];
        assert!(place.origin < least && found.ranges()[0].1 > least - place.origin);
    }

    #[test]
    fn huge_and_tiny_columns_are_brought_to_1_and_compare_as_before() {
        let found = Coordinates::of(&[column(-1e300, 1e300), column(0.0, 1e200)], false);
        let highs: Vec<f64> = found.ranges().iter().map(|range| range.1).collect();
        assert!(highs.iter().all(|high| (0.5..1.0).contains(high)), "{highs:?}");
        let factors = found.factors();
        assert_eq!(bits(&found.users_factors(&factors)), bits(&[1.0, 1.0]));
        // A difference of the whole range, as a distance of the user.
        let distance = found.users_distance(highs[1] * factors[1]);
        assert_eq!(distance.to_bits(), 1e200_f64.to_bits());
        assert!(found.users_cost(1.0).is_infinite());
    }

    #[test]
    fn a_column_of_zeros_beside_tiny_values_has_the_factor_1() {
        let found = Coordinates::of(&[column(0.0, f64::MIN_POSITIVE), column(0.0, 0.0)], false);
        assert_eq!(found.factors(), [1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn differences_from_the_origin_are_exact(lo in 1e-300..1e300f64, share in 0.0..0.06f64, part in 0.0..1.0f64) {
            let hi = lo + lo * share;
            let found = Coordinates::of(&[column(lo, hi)], false);
            let x = (lo + (hi - lo) * part).clamp(lo, hi);
            let left = x - found.places()[0].origin;
            // Added back without rounding: the parts are those of x.
            prop_assert_eq!((found.places()[0].origin + left).to_bits(), x.to_bits());
        }
    }
}
