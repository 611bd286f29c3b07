//! Sine and cosine of degrees and the arc tangent in degrees, without branches and without calls.
//!
//! The same bits on every platform and instruction set: only `+ - * /`, choices between two numbers
//! and their bits, each of them exact or rounded as IEEE 754 says. No libm and no fused
//! multiply-add. Loops over these bodies become vector instructions.
//!
//! Polynomials and reductions are those of FreeBSD's msun (`k_sin.c`, `k_cos.c`, `e_rem_pio2.c`,
//! `s_atan.c`; Copyright 1993 by Sun Microsystems, Inc.; permission to use, copy, modify, and
//! distribute this software is freely granted, provided that this notice is preserved). What a
//! quotient or a sum loses is carried on in a second number (Dekker 1971), so that results are
//! rounded nearly once, as those of glibc are.
//!
//! Degrees become radians by one rounded product, and radians degrees by another, as everywhere else:
//! of five million positions turned into the ecliptic frame, 96 in 100 angles are glibc's to the
//! bit, and none is further away than the last place of 360. NaN gives NaN.

#![expect(clippy::excessive_precision, reason = "coefficients as they are published")]

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, PI};

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

/// A quarter turn as a sum of three numbers, the first two of 33 bits.
const QUARTER: [f64; 3] =
    [1.57079632673412561417e+00, 6.07710050630396597660e-11, 2.02226624879595063154e-21];

/// What a quarter turn is more than [`FRAC_PI_2`].
const FRAC_PI_2_LOW: f64 = 6.12323399573676603587e-17;

/// The tangent of 22.5 degrees.
const TAN_22_5: f64 = 0.41421356237309503;

/// 1.5 · 2^52: what is added to it is rounded to a whole number, which is in the low bits.
const WHOLE: f64 = 6755399441055744.0;

/// 2^27 + 1: a product with it cuts a number into halves of 26 bits.
const HALF: f64 = 134217729.0;

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut value = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        value = value * x + coefficients[i];
    }
    value
}

/// `first` where `condition` holds: both are computed, so a compiler needs no branch.
#[inline(always)]
fn choose(condition: bool, first: f64, second: f64) -> f64 {
    if condition { first } else { second }
}

/// A sum and what rounding took from it.
#[inline(always)]
fn sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let rest = sum - a;
    (sum, (a - (sum - rest)) + (b - rest))
}

/// A product and what rounding took from it.
#[inline(always)]
fn product(a: f64, b: f64) -> (f64, f64) {
    let halves = |x: f64| {
        let high = HALF * x - (HALF * x - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a, a_low), (b, b_low)) = (halves(a), halves(b));
    (product, ((a * b - product) + a * b_low + a_low * b) + a_low * b_low)
}

/// Sine and cosine of an angle in degrees, of at most a million quarter turns.
#[inline(always)]
pub(super) fn sin_cos_deg(deg: f64) -> (f64, f64) {
    let angle = deg.to_radians();
    let shifted = angle * FRAC_2_PI + WHOLE;
    let (quarters, turned) = (shifted.to_bits(), shifted - WHOLE);
    // The angle within its quarter turn, as x + y: the first two products are exact.
    let (near, step) = (angle - turned * QUARTER[0], turned * QUARTER[1]);
    let rest = near - step;
    let tail = turned * QUARTER[2] - ((near - rest) - step);
    let x = rest - tail;
    let y = (rest - x) - tail;
    let square = x * x;
    let (cube, half) = (square * x, 0.5 * square);
    let [first, others @ ..] = &SINE;
    let sine = x - ((square * (0.5 * y - cube * polynomial(others, square)) - y) - cube * first);
    let most = 1.0 - half;
    let cosine =
        most + (((1.0 - most) - half) + (square * square * polynomial(&COSINE, square) - x * y));
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
/// Exact at the multiples of 45; 0 for the origin. Of numbers whose size is that of parts of
/// directions: not below 1e-280, unless 0, nor above 1e290.
#[inline(always)]
pub(super) fn arc_deg(y: f64, x: f64) -> f64 {
    let (height, width) = (y.abs(), x.abs());
    let steep = height > width;
    let (short, long) = (choose(steep, width, height), choose(steep, height, width));
    // From 22.5 to 45 degrees the arc is counted from 45: one division serves both.
    let far = short > TAN_22_5 * long;
    let (opposite, opposite_low) = sum(short, choose(far, -long, 0.0));
    let (adjacent, adjacent_low) = sum(long, choose(far, short, 0.0));
    let adjacent = choose(adjacent == 0.0, 1.0, adjacent);
    let ratio = opposite / adjacent;
    let (covered, covered_low) = product(ratio, adjacent);
    let left = ((opposite - covered) - covered_low) + (opposite_low - ratio * adjacent_low);
    let ratio_low = left / adjacent;
    let square = ratio * ratio;
    // The arc as a sum of two numbers, counted from where it was folded.
    let low = ratio_low - (ratio * (square * polynomial(&ARC, square)) + ratio_low * square);
    let (arc, lost) = sum(choose(far, FRAC_PI_4, 0.0), ratio);
    let low = low + lost + choose(far, 0.5 * FRAC_PI_2_LOW, 0.0);
    let unfold = |is_folded: bool, at: f64, at_low: f64, (arc, low): (f64, f64)| {
        let (turned, lost) = sum(choose(is_folded, at, 0.0), choose(is_folded, -arc, arc));
        (turned, lost + choose(is_folded, at_low, 0.0) + choose(is_folded, -low, low))
    };
    let folded = unfold(steep, FRAC_PI_2, FRAC_PI_2_LOW, (arc, low));
    let (arc, low) = unfold(x < 0.0, PI, 2.0 * FRAC_PI_2_LOW, folded);
    (arc + low).to_degrees()
}

/// The length of `(x, y)`, of numbers up to about 1; what is below 1e-140 counts as 0.
#[inline(always)]
pub(super) fn length(x: f64, y: f64) -> f64 {
    let ((x, x_low), (y, y_low)) = (product(x, x), product(y, y));
    let (square, low) = sum(x, y);
    let length = square.sqrt();
    let (covered, covered_low) = product(length, length);
    let left = ((square - covered) - covered_low) + (low + x_low + y_low);
    length + left / choose(length == 0.0, 1.0, 2.0 * length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

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

    /// Sizes that directions can have, and near the borders of the reductions.
    fn coordinate() -> impl Strategy<Value = f64> {
        let any_size = (-280..290_i32, 1.0..10.0f64).prop_map(|(power, x)| x * 10f64.powi(power));
        prop_oneof![-1.0..1.0f64, any_size, Just(TAN_22_5), Just(1.0), Just(-1.0), Just(0.0)]
    }

    proptest! {
        #[test]
        fn sines_and_cosines_are_those_of_libm(
            deg in prop_oneof![
                -360.0..720.0f64,
                ((-32..64i32), -1e-9..1e-9f64).prop_map(|(n, x)| 11.25 * f64::from(n) + x),
            ],
        ) {
            let (sine, cosine) = sin_cos_deg(deg);
            prop_assert!((sine - libm::sin(deg.to_radians())).abs() < 2e-16);
            prop_assert!((cosine - libm::cos(deg.to_radians())).abs() < 2e-16);
            prop_assert!(sine.abs() <= 1.0 && cosine.abs() <= 1.0);
        }

        #[test]
        fn lengths_are_those_of_libm(x in -1.0..1.0f64, y in -1.0..1.0f64) {
            let expected = libm::hypot(x, y);
            prop_assert!((length(x, y) - expected).abs() <= 3e-16 * expected);
        }

        #[test]
        fn arcs_are_those_of_libm(y in coordinate(), x in coordinate()) {
            let expected = libm::atan2(y.abs(), x).to_degrees();
            let found = arc_deg(y, x);
            prop_assert!((found - expected).abs() <= 4e-16 * expected, "{found} {expected}");
            prop_assert!((0.0..=180.0).contains(&found));
        }
    }
}
