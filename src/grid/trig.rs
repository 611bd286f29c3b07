//! Sine, cosine and arc tangent in degrees, without branches and without calls.
//!
//! The same bits on every platform and instruction set: only `+ - * /`, choices between two numbers
//! and their bits, each of them exact or rounded as IEEE 754 says. No libm and no fused
//! multiply-add. Loops over these bodies become vector instructions.
//!
//! The polynomials are those of FreeBSD's msun (`k_sin.c`, `k_cos.c`, `s_atan.c`; Copyright 1993 by
//! Sun Microsystems, Inc.; permission to use, copy, modify, and distribute this software is freely
//! granted, provided that this notice is preserved). Reductions are ours: a quarter turn is exactly
//! 90 degrees, so nothing is lost by them.
//!
//! Errors, measured against 113 bits: sine and cosine below 1.6e-16, the arc below 2.3e-14 degrees
//! and 3 units in its last place; glibc with its radians has 1.1e-15 and 3.3e-14. NaN gives NaN.

#![expect(clippy::excessive_precision, reason = "coefficients as they are published")]

/// `(sin x - x) / x³` in powers of x², for |x| up to an eighth of a turn.
const SINE: [f64; 6] = [
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
];

/// `(cos x - 1 + x²/2) / x⁴` in powers of x², for |x| up to an eighth of a turn.
const COSINE: [f64; 6] = [
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
];

/// `(x - atan x) / x³` in powers of x², for |x| up to 7/16.
const ARC: [f64; 11] = [
    3.33333333333329318027e-01,
    -1.99999999998764832476e-01,
    1.42857142725034663711e-01,
    -1.11111104054623557880e-01,
    9.09088713343650656196e-02,
    -7.69187620504482999495e-02,
    6.66107313738753120669e-02,
    -5.83357013379057348645e-02,
    4.97687799461593236017e-02,
    -3.65315727442169155270e-02,
    1.62858201153657823623e-02,
];

/// The tangent of 22.5 degrees.
const TAN_22_5: f64 = 0.41421356237309503;

/// 1.5 · 2^52: what is added to it is rounded to a whole number, which stands in the low bits.
const WHOLE: f64 = 6755399441055744.0;

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum * x + coefficients[i];
    }
    sum
}

/// `first` where `condition` holds: both are computed, so a compiler needs no branch.
#[inline(always)]
fn choose(condition: bool, first: f64, second: f64) -> f64 {
    if condition { first } else { second }
}

/// Sine and cosine of an angle in degrees, of at most 2^52; exact at whole quarter turns.
#[inline(always)]
pub(super) fn sin_cos_deg(deg: f64) -> (f64, f64) {
    let shifted = deg * (1.0 / 90.0) + WHOLE;
    let quarters = shifted.to_bits();
    let x = (deg - 90.0 * (shifted - WHOLE)).to_radians();
    let square = x * x;
    let sine = x + x * square * polynomial(&SINE, square);
    let cosine = 1.0 - (0.5 * square - square * square * polynomial(&COSINE, square));
    let odd = quarters & 1 == 1;
    let negated =
        |number: f64, quarters: u64| f64::from_bits(number.to_bits() ^ ((quarters & 2) << 62));
    (
        negated(choose(odd, cosine, sine), quarters),
        negated(choose(odd, sine, cosine), quarters.wrapping_add(1)),
    )
}

/// The angle between the axis of x and the direction `(x, |y|)`, in degrees, 0..=180.
///
/// Exact at the multiples of 45; 0 for the origin.
#[inline(always)]
pub(super) fn arc_deg(y: f64, x: f64) -> f64 {
    let (height, width) = (y.abs(), x.abs());
    let steep = height > width;
    let (short, long) = (choose(steep, width, height), choose(steep, height, width));
    // From 22.5 to 45 degrees the arc is counted from 45: one division serves both.
    let far = short > TAN_22_5 * long;
    let opposite = choose(far, short - long, short);
    let adjacent = choose(far, short + long, long);
    let ratio = opposite / choose(adjacent == 0.0, 1.0, adjacent);
    let square = ratio * ratio;
    let arc = (ratio - ratio * (square * polynomial(&ARC, square))).to_degrees();
    let arc = choose(far, 45.0 + arc, arc);
    let arc = choose(steep, 90.0 - arc, arc);
    choose(x < 0.0, 180.0 - arc, arc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, (0.0, 1.0))]
    #[case(90.0, (1.0, 0.0))]
    #[case(180.0, (0.0, -1.0))]
    #[case(-90.0, (-1.0, 0.0))]
    #[case(-360.0, (0.0, 1.0))]
    #[case(630.0, (-1.0, 0.0))]
    #[case(720.0, (0.0, 1.0))]
    #[case(90.0 * 2f64.powi(40), (0.0, 1.0))]
    fn quarter_turns_are_exact(#[case] deg: f64, #[case] expected: (f64, f64)) {
        assert_eq!(sin_cos_deg(deg), expected);
    }

    #[rstest]
    #[case((0.0, 1.0), 0.0)]
    #[case((-0.0, 5e-324), 0.0)]
    #[case((1.0, 1.0), 45.0)]
    #[case((5e-324, -5e-324), 135.0)]
    #[case((-0.3, 0.0), 90.0)]
    #[case((0.7, -0.0), 90.0)]
    #[case((0.0, -1.0), 180.0)]
    #[case((0.0, 0.0), 0.0)]
    #[case((-0.0, -0.0), 0.0)]
    fn eighths_of_a_turn_are_exact(#[case] (y, x): (f64, f64), #[case] expected: f64) {
        assert_eq!(arc_deg(y, x).to_bits(), expected.to_bits());
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for (sine, cosine) in [f64::NAN, f64::INFINITY].map(sin_cos_deg) {
            assert!(sine.is_nan() && cosine.is_nan());
        }
        assert!(arc_deg(f64::NAN, 1.0).is_nan() && arc_deg(1.0, f64::NAN).is_nan());
    }

    /// Any size, and near the borders of the reductions.
    fn coordinate() -> impl Strategy<Value = f64> {
        prop_oneof![-1.0..1.0f64, prop::num::f64::POSITIVE, Just(TAN_22_5), Just(1.0), Just(-1.0)]
            .prop_map(|x| x.clamp(-1e300, 1e300))
    }

    proptest! {
        // The reference reduces in radians, and so errs itself: the bound is its.
        #[test]
        fn sines_and_cosines_are_those_of_libm(
            deg in prop_oneof![
                -360.0..720.0f64,
                ((-32..64i32), -1e-9..1e-9f64).prop_map(|(n, x)| 11.25 * f64::from(n) + x),
            ],
        ) {
            let (sine, cosine) = sin_cos_deg(deg);
            prop_assert!((sine - libm::sin(deg.to_radians())).abs() < 2e-15);
            prop_assert!((cosine - libm::cos(deg.to_radians())).abs() < 2e-15);
            prop_assert!(sine.abs() <= 1.0 && cosine.abs() <= 1.0);
        }

        #[test]
        fn arcs_are_those_of_libm(y in coordinate(), x in coordinate()) {
            let expected = libm::atan2(y.abs(), x).to_degrees();
            let found = arc_deg(y, x);
            prop_assert!((found - expected).abs() <= 6e-14, "{found} {expected}");
            prop_assert!((found - expected).abs() <= 2e-15 * expected + 1e-300);
            prop_assert!((0.0..=180.0).contains(&found));
        }
    }
}
