//! A random whole number whose probabilities are integers over 2^48.
//!
//! A normal law that is cut and then rounded has finitely many values, so it is drawn as what it
//! is: a choice among weighted integers. That keeps the generator free of the platform's `exp` and
//! `ln`, whose last bit differs between systems and which a sampler of the normal or the binomial law
//! asks now and then: the weights come from the crate `libm` (plain additions and multiplications,
//! each rounded as IEEE 754 says), and every draw from them is integer arithmetic. One chance in
//! 2^48 is the grain, far below what any sample can show.

use rand::{Rng, distr::Distribution};
use rand_distr::weighted::WeightedAliasIndex;

/// The sum of all weights; a power of two, so that no draw is ever rejected.
const WHOLE: u64 = 1 << 48;

/// A law over consecutive whole numbers.
#[derive(Debug)]
pub(super) struct Discrete {
    first: i32,
    /// Running sums of the weights: value `first + i` owns the chances below `ends[i]` and not below
    /// `ends[i - 1]`.
    ends: Vec<u64>,
    alias: WeightedAliasIndex<u64>,
}

impl Discrete {
    /// Normal with `mean` and standard deviation `sd`, cut to `[lo, hi]`, then rounded.
    ///
    /// Cutting comes first, so `lo` and `hi` own half a bin each.
    pub(super) fn cut_normal(mean: f64, sd: f64, lo: i32, hi: i32) -> Self {
        assert!(lo < hi && sd > 0.0, "an empty interval or no spread");
        // twice the distribution function, up to a constant that the division removes
        let below = |x: f64| libm::erf((x - mean) / (sd * std::f64::consts::SQRT_2));
        let (bottom, top) = (below(f64::from(lo)), below(f64::from(hi)));
        let ends: Vec<u64> = (lo..hi)
            .map(|value| (below(f64::from(value) + 0.5) - bottom) / (top - bottom))
            .map(chances)
            .chain([WHOLE])
            .collect();
        let weights = (0..ends.len()).map(|i| ends[i] - if i == 0 { 0 } else { ends[i - 1] });
        let alias = WeightedAliasIndex::new(weights.collect())
            .expect("fewer than 2^16 weights, none above 2^48, not all zero");
        Self { first: lo, ends, alias }
    }

    /// One value.
    #[inline]
    pub(super) fn sample(&self, draws: &mut impl Rng) -> i32 {
        self.value(self.alias.sample(draws))
    }

    /// How often each value comes up in `n` draws, in ascending order of the values.
    ///
    /// Draws are not made one by one. They are distributed: of the draws that fell into an interval
    /// of chances, each falls into its lower half with probability ½, so a fair bit a draw decides
    /// how many do (a binomial number, drawn as what it is); an interval that belongs to one value
    /// is not divided further. About eight bits a draw: 0.3 s for 10^9.
    pub(super) fn counts(&self, n: u64, draws: &mut impl Rng) -> Vec<(i32, u64)> {
        let mut counts = vec![0; self.ends.len()];
        let mut open = vec![(0, WHOLE, n)];
        while let Some((from, width, n)) = open.pop() {
            let owner = self.ends.partition_point(|end| *end <= from);
            if n == 0 || from + width <= self.ends[owner] {
                counts[owner] += n;
                continue;
            }
            let (half, low) = (width / 2, heads(n, draws));
            open.push((from + half, half, n - low));
            open.push((from, half, low));
        }
        counts.into_iter().enumerate().map(|(i, count)| (self.value(i), count)).collect()
    }

    #[inline]
    fn value(&self, index: usize) -> i32 {
        self.first + i32::try_from(index).expect("between two numbers that fit")
    }
}

/// A probability as chances out of [`WHOLE`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability times 2^48 is exact in both directions, but for the rounding that is asked for"
)]
fn chances(probability: f64) -> u64 {
    (probability.clamp(0.0, 1.0) * WHOLE as f64).round() as u64
}

/// How many of `n` fair bits are ones.
fn heads(n: u64, draws: &mut impl Rng) -> u64 {
    let whole: u64 = (0..n / 64).map(|_| u64::from(draws.next_u64().count_ones())).sum();
    let rest = draws.next_u64() & ((1 << (n % 64)) - 1);
    whole + u64::from(rest.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::draws::Column;

    fn probability(law: &Discrete, value: i32) -> f64 {
        let i = usize::try_from(value - law.first).unwrap();
        let before = if i == 0 { 0 } else { law.ends[i - 1] };
        (law.ends[i] - before) as f64 / WHOLE as f64
    }

    #[test]
    fn the_ends_of_a_cut_normal_own_half_a_bin() {
        // Φ of normal(30, 10) and normal(30, 15) on [18, 99], to five digits, from SciPy
        let (ten, fifteen) =
            (Discrete::cut_normal(30.0, 10.0, 18, 99), Discrete::cut_normal(30.0, 15.0, 18, 99));
        for (found, expected) in [
            (probability(&ten, 18), 0.01130),
            (probability(&ten, 19), 0.02462),
            (probability(&fifteen, 18), 0.01241),
            (probability(&fifteen, 19), 0.02579),
        ] {
            assert!((found - expected).abs() < 5e-6, "{found}, expected {expected}");
        }
    }

    #[test]
    fn one_by_one_and_shared_out_follow_the_same_law() {
        let law = Discrete::cut_normal(30.0, 15.0, 18, 99);
        let n: u64 = 200_000;
        let mut single = [0_u64; 82];
        for row in 0..n {
            let age = law.sample(&mut Column::new(7, "test.single").at(row));
            single[usize::try_from(age - 18).unwrap()] += 1;
        }
        let shared = law.counts(n, &mut Column::new(7, "test.shared").at(0));
        assert_eq!(shared.iter().map(|(_, count)| count).sum::<u64>(), n);
        for counts in [&single[..], &shared.iter().map(|(_, count)| *count).collect::<Vec<_>>()] {
            // χ² over the ages with an expectation above five; 81 degrees of freedom at most,
            // so 150 has a probability below 1e-5
            let chi: f64 = (18..=99)
                .zip(counts)
                .map(|(age, count)| (n as f64 * probability(&law, age), *count as f64))
                .filter(|(expected, _)| *expected > 5.0)
                .map(|(expected, found)| (found - expected).powi(2) / expected)
                .sum();
            assert!((30.0..150.0).contains(&chi), "χ² is {chi}");
        }
    }

    #[test]
    fn sharing_out_loses_no_draw() {
        let law = Discrete::cut_normal(30.0, 15.0, 18, 99);
        for n in [0, 1, 2, 63, 64, 65, 1000] {
            let counts = law.counts(n, &mut Column::new(3, "test.few").at(n));
            assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), n);
        }
    }
}
