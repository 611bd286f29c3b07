//! Fixed point: floats as integers whose sums do not depend on the order.
//!
//! A column whose magnitude is at most `m` gets the scale `2^s` with `s = min(50 − e(m), 1000)`,
//! where `2^(e(m)−1) ≤ m < 2^e(m)` (C's `frexp`; `e(0) = 50`). A value becomes the integer nearest
//! to `x·2^s`, halves to the even one, at most 2^50 in magnitude. Weights get `31 − e`, squared
//! distances `49 − e`, so that the rounding of the distance has a bit to spare.
//!
//! The integer is found by one addition: `x·2^s + 1.5·2^52` has its last place at 1, so its bits
//! less those of `1.5·2^52` are the integer. That holds while `|x·2^s| < 2^51`, exactly when the
//! top twelve bits are `0x433`; NaN, infinities and values outside the declared range show there.

/// `1.5·2^52`: added to a float, it leaves the nearest integer in the low bits.
pub const SHIFT: f64 = 6_755_399_441_055_744.0;

/// The bits of [`SHIFT`]: what to take from the bits of a shifted float to get the integer.
pub const OFFSET: i64 = 0x4338_0000_0000_0000;

/// The largest integer weight, and the scale of the largest float weight: 2^31.
pub const WEIGHT_LIMIT: i64 = 1 << 31;

/// The exponent of weights, `s_w = 31 − e(max w)`.
const WEIGHT_BITS: i32 = 31;

/// The largest magnitude of a coordinate: its square must stay far from infinity.
pub const MAGNITUDE_LIMIT: f64 = f64::from_bits((1023 + 500) << 52);

/// The binary exponent of a scale: a value `x` is kept as the integer nearest to `x·2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scale {
    exponent: i32,
}

impl Scale {
    /// The scale of integers, and of integer weights.
    pub const ONE: Self = Self { exponent: 0 };

    /// The scale of figures between −1 and 1.
    pub const UNIT: Self = Self { exponent: 49 };

    /// The scale of a column whose magnitude is at most `magnitude`.
    pub fn of_column(magnitude: f64) -> Self {
        Self { exponent: (50 - frexp(magnitude)).min(1000) }
    }

    /// The scale of float weights up to `largest`.
    pub fn of_weight(largest: f64) -> Self {
        Self { exponent: (WEIGHT_BITS - frexp(largest)).min(1000) }
    }

    /// The scale of distances, squared or not, that are at most `bound`.
    pub fn of_distance(bound: f64) -> Self {
        Self { exponent: (49 - frexp(bound)).min(1000) }
    }

    /// The scale whose integers are `2^bits` times as large.
    #[must_use]
    pub fn finer(self, bits: i32) -> Self {
        Self { exponent: self.exponent + bits }
    }

    /// `2^exponent`, the factor that quantises.
    pub fn factor(self) -> f64 {
        power_of_two(self.exponent)
    }

    /// The integer nearest to `x·2^exponent`, halves to even; `None` where `x` is NaN, infinite or
    /// far outside the range the scale was made for.
    pub fn quantise(self, x: f64) -> Option<i64> {
        let bits = shifted_bits(x * self.factor());
        is_in_range(bits).then(|| bits.wrapping_sub(OFFSET))
    }

    /// The float nearest to `sum·2^-exponent`.
    pub fn to_float(self, sum: i128) -> f64 {
        let nearest = sum as f64;
        times_power_of_two(nearest, -self.exponent)
    }

    /// The float nearest to `(sum / weight)·2^-exponent`: the mean of quantised values, where `sum`
    /// is the sum of value times weight. Rounded once, halves to even, unless it is subnormal. A sum
    /// of zero gives +0.0; a weight of zero has no mean.
    ///
    /// `|sum| < 2^126` and `weight < 2^72`, as a run of at most 2^44 rows guarantees.
    pub fn mean(self, sum: i128, weight: i128) -> Option<f64> {
        let (dividend, divisor) = (sum.unsigned_abs(), u128::try_from(weight).ok()?);
        if divisor == 0 {
            return None;
        }
        if dividend == 0 {
            return Some(0.0);
        }
        // 55 bits of quotient at least: 53 for the float, one to round, one for what is left over.
        let shift = (55 + bit_length(divisor)).saturating_sub(bit_length(dividend));
        debug_assert!(bit_length(dividend) + shift <= 127, "the shifted sum fits 127 bits");
        let shifted = dividend << shift;
        let quotient = shifted / divisor;
        let left_over = u128::from(!shifted.is_multiple_of(divisor));
        let rounded = (quotient | left_over) as f64;
        let signed = if sum < 0 { -rounded } else { rounded };
        #[expect(clippy::cast_possible_wrap, reason = "a shift is at most 127")]
        let shift = shift as i32;
        Some(times_power_of_two(signed, -(self.exponent + shift)))
    }
}

/// The bits of `y + 1.5·2^52`.
#[inline(always)]
pub fn shifted_bits(y: f64) -> i64 {
    (y + SHIFT).to_bits().cast_signed()
}

/// Whether bits of [`shifted_bits`] hold an integer: OR over many rows, tested once.
#[inline(always)]
pub fn is_in_range(bits: i64) -> bool {
    range_difference(bits) == 0
}

/// Zero where [`shifted_bits`] found an integer, else some bit is set; differences can be ORed.
#[inline(always)]
pub fn range_difference(bits: i64) -> u64 {
    (bits ^ OFFSET).cast_unsigned() >> 52
}

/// The `e` with `2^(e−1) ≤ m < 2^e`, and 50 for zero, so that zeros get the scale of integers.
pub fn frexp(m: f64) -> i32 {
    debug_assert!(m.is_finite() && m >= 0.0, "a magnitude is finite, found {m}");
    if m == 0.0 {
        return 50;
    }
    let exponent = |bits: u64| i32::try_from(bits >> 52).expect("eleven bits fit") - 1022;
    if m.is_normal() {
        return exponent(m.to_bits());
    }
    exponent((m * power_of_two(64)).to_bits()) - 64
}

fn bit_length(n: u128) -> u32 {
    128 - n.leading_zeros()
}

/// `2^exponent` for the normal range, −1022 ..= 1023.
fn power_of_two(exponent: i32) -> f64 {
    let biased = u64::try_from(1023 + exponent).expect("scales stay in the normal range");
    debug_assert!((1..2047).contains(&biased), "2^{exponent} is a normal float");
    f64::from_bits(biased << 52)
}

/// `x·2^exponent` in two exact halves: the power alone could leave the range of floats.
pub fn times_power_of_two(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * power_of_two(half) * power_of_two(exponent - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without the trick: scale, round half to even.
    #[expect(clippy::cast_possible_truncation, reason = "the reference stays below 2^51")]
    fn reference(x: f64, scale: Scale) -> i64 {
        (x * scale.factor()).round_ties_even() as i64
    }

    /// The last float below `x`.
    fn below(x: f64) -> f64 {
        f64::from_bits(x.to_bits() - 1)
    }

    #[test]
    fn exponents_are_those_of_frexp() {
        // By hand: 0.5 ≤ m·2^-e < 1.
        for (m, e) in [(1.0, 1), (0.5, 0), (99.0, 7), (128.0, 8), (below(128.0), 7)] {
            assert_eq!(frexp(m), e, "{m}");
        }
        assert_eq!(frexp(f64::MIN_POSITIVE), -1021);
        assert_eq!(frexp(5e-324), -1073);
        assert_eq!(frexp(below(f64::MIN_POSITIVE)), -1022);
        assert_eq!(frexp(0.0), 50);
    }

    #[test]
    fn bounds_zeros_and_subnormals_quantise_like_the_definition() {
        for m in [99.0, 128.0, below(128.0), 1.0, 1e-300, 5e-324, 1e150, below(1e-310)] {
            let scale = Scale::of_column(m);
            for x in [m, -m, 0.0, -0.0, m / 3.0, -m / 7.0, 5e-324, -5e-324] {
                let found = scale.quantise(x).expect("within the range");
                assert_eq!(found, reference(x, scale), "{x} with the magnitude {m}");
                assert!(found.abs() <= 1 << 50, "{x} with the magnitude {m}");
            }
        }
    }

    #[test]
    fn what_is_no_number_or_far_outside_has_no_integer() {
        let scale = Scale::of_column(99.0);
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 256.0, -257.0] {
            assert_eq!(scale.quantise(x), None, "{x}");
        }
    }

    #[test]
    fn a_mean_of_nothing_is_none_and_of_zeros_is_plus_zero() {
        assert_eq!(Scale::ONE.mean(0, 0), None);
        assert_eq!(Scale::ONE.mean(7, 0), None);
        assert_eq!(Scale::ONE.mean(0, 3).map(f64::to_bits), Some(0));
    }

    #[test]
    fn means_of_equal_values_are_the_value() {
        let scale = Scale::of_column(99.0);
        let x = scale.quantise(55.48).expect("within the range");
        for rows in [1_i128, 3, 1 << 44] {
            let mean = scale.mean(i128::from(x) * rows, rows).expect("has rows");
            assert!((mean - 55.48).abs() < 1e-13, "{mean}");
        }
    }

    /// Whether `mean` is the float nearest to `sum / weight`, by comparing distances as integers:
    /// with `mean = f·2^p`, `|sum/weight − mean| ≤ ulp/2` is `2·|sum − weight·f·2^p| ≤ weight·2^p`.
    fn is_nearest(sum: i128, weight: i128, mean: f64) -> bool {
        let bits = mean.abs().to_bits();
        let exponent = i32::try_from(bits >> 52).expect("eleven bits") - 1075;
        let fraction = i128::from((bits & ((1 << 52) - 1)) | (1 << 52));
        let sum = sum.abs();
        // Both sides times 2^-p where p is negative. Inputs are chosen so that all fits 127 bits.
        let (sum, ulp) = if exponent < 0 { (sum << -exponent, 1) } else { (sum, 1 << exponent) };
        let error = 2 * (sum - weight * fraction * ulp);
        let half = weight * ulp;
        let even = fraction % 2 == 0;
        error.abs() < half || (error.abs() == half && even)
            // Below a power of two the floats lie closer: half the step downwards.
            || (fraction == 1 << 52 && error < 0 && 2 * -error <= half)
    }

    proptest! {
        #[test]
        fn quantising_is_rounding_half_to_even(m in 1e-6..1e9f64, part in -1.0..1.0f64) {
            let scale = Scale::of_column(m);
            prop_assert_eq!(scale.quantise(m * part), Some(reference(m * part, scale)));
        }

        #[test]
        fn a_mean_is_the_nearest_float(sum in 1i128..1 << 62, weight in 1i128..1 << 20, negative: bool) {
            let mean = Scale::ONE.mean(if negative { -sum } else { sum }, weight).expect("has rows");
            prop_assert_eq!(mean < 0.0, negative);
            // Keep the reference within 127 bits: |mean| ≥ 1 has at most 52 places after the point.
            prop_assume!(mean.abs() >= 1.0);
            prop_assert!(is_nearest(sum, weight, mean), "{} / {} = {}", sum, weight, mean);
        }

        #[test]
        fn a_mean_of_repeated_ties_rounds_to_even(odd in (1u64 << 52)..(1u64 << 53), weight in 1i128..1 << 30) {
            // (2·odd + 1)/2 lies halfway between odd and odd + 1, for any multiple of both parts.
            let mean = Scale::ONE.mean((2 * i128::from(odd) + 1) * weight, 2 * weight).expect("rows");
            let even = odd + odd % 2;
            let expected = even as f64;
            prop_assert_eq!(mean.to_bits(), expected.to_bits());
        }
    }
}
