//! First centroids, drawn from a sample of distinct rows. Pure: no engine, no clock, no thread.
//!
//! - `k-means++` after Arthur & Vassilvitskii (SODA 2007) in its greedy form: each seed after the
//!   first is the best of 2 + ⌊ln k⌋ candidates drawn with probability ∝ weight · D².
//! - `random`: distinct rows drawn ∝ weight, without replacement.
//!
//! The sample is ordered by (hash, values), and every draw is a hash of (seed, start, seed number,
//! trial): the same rows give the same seeds, however they were stored or read. Seeds are real
//! rows of the input.

use ndarray::{Array2, ArrayView1, Axis};

use crate::cancel::CancelFlag;
use crate::error::Result;
use crate::splitmix;

/// Distinct rows with their weights, in the order that decides ties.
#[derive(Debug, Clone)]
pub(super) struct WeightedRows {
    /// One row a line, the columns as the user named them.
    pub(super) rows: Array2<f64>,
    /// How much each row counts: its multiplicity times its weight. Above zero.
    pub(super) weights: Vec<f64>,
}

/// How seeds are drawn from a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    /// Greedy k-means++.
    PlusPlus,
    /// Distinct rows by weight.
    Random,
}

/// Where the draws of one start come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    /// The user's seed.
    pub(super) seed: u64,
    /// Number of the start, from 0.
    pub(super) start: u64,
}

impl Chance {
    /// A number in [0, 1) for draw `trial` of seed `number`.
    fn unit(self, number: usize, trial: usize) -> f64 {
        let mut hash = self.seed;
        for part in [self.start, number as u64, trial as u64] {
            hash = splitmix::hash(hash ^ part);
        }
        splitmix::unit(hash)
    }
}

/// Draws `k` seeds; `factors` scales each column inside distances.
///
/// With fewer distinct rows than `k`, all rows are taken and then repeated in order.
///
/// # Errors
/// Once no one waits.
///
/// # Panics
/// On an empty sample: there is nothing to draw from, and the caller has said so already.
pub(super) fn seeds(
    sample: &WeightedRows,
    k: usize,
    (draw, chance): (Draw, Chance),
    factors: &[f64],
    cancelled: &CancelFlag,
) -> Result<Array2<f64>> {
    assert!(!sample.weights.is_empty(), "a sample has at least one row");
    let mut picked = match draw {
        Draw::PlusPlus => plus_plus(sample, k, chance, factors, cancelled)?,
        Draw::Random => random(sample, k, chance, cancelled)?,
    };
    let distinct = picked.len();
    for number in distinct..k {
        picked.push(picked[number % distinct]);
    }
    Ok(sample.rows.select(Axis(0), &picked))
}

fn random(
    sample: &WeightedRows,
    k: usize,
    chance: Chance,
    cancelled: &CancelFlag,
) -> Result<Vec<usize>> {
    let mut weights = sample.weights.clone();
    let count = k.min(weights.len());
    (0..count)
        .map(|number| {
            cancelled.check()?;
            let row = pick(&weights, chance.unit(number, 0));
            weights[row] = 0.0;
            Ok(row)
        })
        .collect()
}

fn plus_plus(
    sample: &WeightedRows,
    k: usize,
    chance: Chance,
    factors: &[f64],
    cancelled: &CancelFlag,
) -> Result<Vec<usize>> {
    let first = pick(&sample.weights, chance.unit(0, 0));
    let mut picked = vec![first];
    let mut nearest = distances(sample, first, factors);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the logarithm of a count is a small positive number"
    )]
    let trials = 2 + (k as f64).ln() as usize;
    while picked.len() < k {
        cancelled.check()?;
        let chances: Vec<f64> = sample.weights.iter().zip(&nearest).map(|(w, d)| w * d).collect();
        if !chances.iter().any(|&chance| chance > 0.0) {
            break; // every distinct row is a seed already
        }
        let number = picked.len();
        let (_, row, distances) = (0..trials)
            .map(|trial| {
                let row = pick(&chances, chance.unit(number, trial));
                let mut candidate = distances(sample, row, factors);
                for (distance, &known) in candidate.iter_mut().zip(&nearest) {
                    *distance = distance.min(known);
                }
                let cost: f64 = sample.weights.iter().zip(&candidate).map(|(w, d)| w * d).sum();
                (cost, row, candidate)
            })
            .reduce(|best, next| if next.0 < best.0 { next } else { best })
            .expect("there are at least two trials");
        picked.push(row);
        nearest = distances;
    }
    Ok(picked)
}

/// The first row at which the running sum of `weights` exceeds `unit` of the whole.
fn pick(weights: &[f64], unit: f64) -> usize {
    let target = unit * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let mut last = 0;
    for (row, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            sum += weight;
            last = row;
            if sum > target {
                break;
            }
        }
    }
    last
}

fn distances(sample: &WeightedRows, row: usize, factors: &[f64]) -> Vec<f64> {
    let centre = sample.rows.row(row);
    sample.rows.rows().into_iter().map(|other| squared(&other, &centre, factors)).collect()
}

fn squared(a: &ArrayView1<'_, f64>, b: &ArrayView1<'_, f64>, factors: &[f64]) -> f64 {
    let terms = a.iter().zip(b).zip(factors);
    terms.fold(0.0, |sum, ((x, y), f)| {
        let t = (x - y) * f;
        sum + t * t
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::cancel::CancelOnDrop;

    const CHANCE: Chance = Chance { seed: 42, start: 0 };

    fn sample(values: &[f64]) -> WeightedRows {
        let rows = Array2::from_shape_vec((values.len(), 1), values.to_vec()).unwrap();
        WeightedRows { rows, weights: vec![1.0; values.len()] }
    }

    fn drawn(
        sample: &WeightedRows,
        k: usize,
        from: (Draw, Chance),
        factors: &[f64],
    ) -> Array2<f64> {
        seeds(sample, k, from, factors, &CancelFlag::default()).unwrap()
    }

    fn bits(seeds: &Array2<f64>) -> BTreeSet<u64> {
        seeds.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn drawing_ends_when_no_one_waits() {
        let guard = CancelOnDrop::default();
        let flag = guard.flag();
        drop(guard);
        for draw in [Draw::PlusPlus, Draw::Random] {
            assert!(seeds(&sample(&[1.0, 2.0]), 2, (draw, CHANCE), &[1.0], &flag).is_err());
        }
    }

    #[test]
    fn two_far_groups_get_a_seed_each() {
        let sample = sample(&[0.0, 0.1, 0.2, 1e6, 1e6 + 0.1]);
        for start in 0..50 {
            let seeds = drawn(&sample, 2, (Draw::PlusPlus, Chance { seed: 1, start }), &[1.0]);
            assert!(seeds.iter().any(|&x| x < 1.0) && seeds.iter().any(|&x| x > 1.0), "{seeds}");
        }
    }

    #[test]
    fn more_seeds_than_distinct_rows_repeat_them_in_order() {
        for draw in [Draw::PlusPlus, Draw::Random] {
            let seeds = drawn(&sample(&[1.0, 2.0, 3.0]), 7, (draw, CHANCE), &[1.0]);
            assert_eq!(bits(&seeds).len(), 3);
            for number in 3..7 {
                assert_eq!(seeds.row(number), seeds.row(number - 3));
            }
        }
    }

    #[test]
    fn a_row_of_weight_zero_is_never_drawn() {
        let rows = array![[1.0], [2.0], [3.0]];
        let sample = WeightedRows { rows, weights: vec![1.0, 0.0, 1.0] };
        for start in 0..50 {
            for draw in [Draw::PlusPlus, Draw::Random] {
                let seeds = drawn(&sample, 2, (draw, Chance { seed: 7, start }), &[1.0]);
                assert!(seeds.iter().all(|&x| x.to_bits() != 2.0_f64.to_bits()), "{seeds}");
            }
        }
    }

    #[test]
    fn a_factor_of_zero_makes_a_column_invisible() {
        let rows = array![[0.0, 5.0], [0.0, 9.0], [1.0, 5.0]];
        let sample = WeightedRows { rows, weights: vec![1.0; 3] };
        let seeds = drawn(&sample, 2, (Draw::PlusPlus, CHANCE), &[1.0, 0.0]);
        assert_eq!(bits(&seeds.select(Axis(1), &[0])).len(), 2);
    }

    proptest! {
        #[test]
        fn seeds_are_distinct_rows_of_the_sample(
            values in proptest::collection::btree_set(-1000_i32..1000, 1..60),
            k in 1_usize..20,
            seed: u64,
            plus_plus: bool,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let draw = if plus_plus { Draw::PlusPlus } else { Draw::Random };
            let seeds = drawn(&sample(&values), k, (draw, Chance { seed, start: 3 }), &[1.0]);
            prop_assert_eq!(seeds.nrows(), k);
            prop_assert_eq!(bits(&seeds).len(), k.min(values.len()));
            prop_assert!(seeds.iter().all(|x| values.contains(x)));
        }
    }
}
