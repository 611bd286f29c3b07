//! The loop that makes totals: rows of a block are labelled, measured, and added per model and cluster.
//!
//! Sums of up to 4,096 rows are 64 bits wide (each of less than 2^51), then 128.

use ndarray::ArrayView1;

use super::block::{RowBlock, outside_error};
use super::fixed::{self, OFFSET, Scale};
use super::groups::Groups;
use super::kernel::{self, BLOCK, Centroids, Lanes, Nearest};
use super::model::{Model, ModelSet, REST_BITS, Spread, Weight};
use super::scatter;
use super::totals::{Measures, Totals, add};
use crate::cancel::CancelFlag;
use crate::error::Result;
use crate::isa::{Isa, Task};

/// A block with fewer rows is added row by row.
const FEW_ROWS: usize = 64;

/// Rows whose sums fit 64 bits: 2^12 × 2^51.
const MAX_WAITING_ROWS: usize = 1 << 12;

/// Adds blocks to totals. Holds the scratch, so that a batch allocates nothing.
#[derive(Debug)]
pub struct Adder {
    isa: Isa,
    measures: Measures,
    /// The rows to add; the caller loads them.
    pub block: RowBlock,
    nearest: Nearest,
    /// Sums of rows not yet in any totals: for each model twice clusters × (columns + measures + rows).
    table: Vec<i64>,
    /// How many rows those are.
    waiting: usize,
}

impl Adder {
    /// Scratch for `models`.
    pub fn new(isa: Isa, models: &ModelSet, measures: Measures) -> Self {
        let width = models.columns() + measures.count() + 1;
        let clusters = models.clusters();
        Self {
            isa,
            measures,
            block: RowBlock::new(models.columns(), measures.count()),
            nearest: Nearest::default(),
            table: vec![0; 2 * clusters * width],
            waiting: 0,
        }
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        self.block.bytes() + self.nearest.bytes() + size_of_val(&*self.table)
    }

    /// Adds the rows of the block to the totals of their groups, at the latest when
    /// [flushed](Self::flush): the groups of the next blocks must be the same until then.
    ///
    /// # Errors
    /// Of a row outside the model's box and of more than 2^44 rows; once no one waits.
    pub fn add(
        &mut self,
        models: &ModelSet,
        into: &mut Groups<'_, Totals>,
        cancelled: &CancelFlag,
    ) -> Result<()> {
        self.count(into)?;
        let mut first = 0;
        for (number, model) in models.models().iter().enumerate() {
            cancelled.check()?;
            self.measure(models, number)?;
            match into {
                Groups::One(_)
                    if models.bounds().weight == Weight::None && self.block.rows() >= FEW_ROWS =>
                {
                    self.add_block(first, model.clusters());
                }
                _ => self.add_rows(first, into),
            }
            if self.measures == Measures::Scores {
                self.note_farthest(first, into);
            }
            first += model.clusters();
        }
        self.waiting += self.block.rows();
        if self.waiting + BLOCK > MAX_WAITING_ROWS {
            self.flush(models, into);
        }
        Ok(())
    }

    /// Adds what waits to its totals.
    pub fn flush(&mut self, models: &ModelSet, into: &mut Groups<'_, Totals>) {
        self.waiting = 0;
        let Groups::One(totals) = into else { return };
        let width = self.block.measures.len() + 1;
        let mut wide = totals.table.chunks_exact_mut(width + 1);
        let mut table = &mut self.table[..];
        for model in models.models() {
            let (lines, rest) = table.split_at_mut(2 * model.clusters() * width);
            let (even, odd) = lines.split_at_mut(model.clusters() * width);
            let lines = even.chunks_exact(width).zip(odd.chunks_exact(width));
            for ((even, odd), wide) in lines.zip(&mut wide) {
                let rows = even[width - 1] + odd[width - 1];
                wide[0] += i128::from(rows);
                wide[1] += i128::from(rows);
                let offsets = rows.wrapping_mul(OFFSET);
                let sums = even[..width - 1].iter().zip(odd);
                let sums = sums.map(|(a, b)| a.wrapping_add(*b).wrapping_sub(offsets).into());
                add(&mut wide[2..], sums);
            }
            table = rest;
        }
        self.table.fill(0);
    }

    fn count(&self, into: &mut Groups<'_, Totals>) -> Result<()> {
        let (rows, skipped) = (self.block.rows(), &self.block.skipped);
        if let Groups::One(totals) = into {
            return totals.count(rows as u64, skipped.len() as u64);
        }
        self.block.origins[..rows].iter().try_for_each(|row| into.of(*row).count(1, 0))?;
        skipped.iter().try_for_each(|row| into.of(*row).count(0, 1))
    }

    /// Labels the rows and quantises what is measured about them.
    fn measure(&mut self, models: &ModelSet, number: usize) -> Result<()> {
        let (model, scales) = (&models.models()[number], models.distance_scales(number));
        let rows = self.block.rows();
        let x = &self.block.x;
        let search = match self.measures {
            Measures::Step => kernel::nearest,
            Measures::Scores => kernel::nearest_two,
        };
        search(self.isa, x, rows, Centroids::of(model), &mut self.nearest);
        let mut outside = 0;
        let measures = &mut self.block.measures[models.columns()..];
        let squared = &self.nearest.squared[..rows];
        if let [cost] = measures {
            let cost = &mut cost[..rows];
            let factor = scales.cost.factor();
            self.isa.run(Cost { squared, factor, cost, outside: &mut outside });
        } else {
            let measures: &mut [Lanes<i64>; 5] = measures.try_into().expect("five scores");
            let [cost, rest, distance, simplified, silhouette] = measures;
            let second = &self.nearest.second[..rows];
            self.isa.run(Score {
                squared,
                second,
                cost_factor: scales.cost.factor(),
                distance_factor: scales.distance.factor(),
                out: [cost, rest, distance, simplified],
                outside: &mut outside,
            });
            match &model.spread {
                None => silhouette[..rows].fill(OFFSET),
                Some(spread) => {
                    measure_silhouette(x, &self.nearest, model, spread, silhouette, rows)
                }
            }
        }
        if outside != 0 {
            return Err(outside_error("a row lies farther from the centroids than its box allows"));
        }
        Ok(())
    }

    /// All rows into the table of one model.
    fn add_block(&mut self, first: usize, clusters: usize) {
        let columns = &self.block.measures[..];
        let rows = self.block.rows();
        let width = columns.len() + 1;
        let table = &mut self.table[2 * first * width..][..2 * clusters * width];
        scatter::add_rows(self.isa, columns, &self.nearest.labels, rows, table);
    }

    /// Row by row: several groups, weights, or hardly any rows.
    fn add_rows(&self, first: usize, into: &mut Groups<'_, Totals>) {
        let block = &self.block;
        let width = block.measures.len() + 2;
        for row in 0..block.rows() {
            let line = (first + label(&self.nearest, row)) * width;
            let wide = &mut into.of(block.origins[row]).table[line..line + width];
            let weight = block.weights[row];
            wide[0] += 1;
            wide[1] += i128::from(weight);
            for (sum, measure) in wide[2..].iter_mut().zip(&block.measures) {
                *sum += i128::from(measure[row].wrapping_sub(OFFSET)) * i128::from(weight);
            }
        }
    }

    fn note_farthest(&self, first: usize, into: &mut Groups<'_, Totals>) {
        for row in 0..self.block.rows() {
            let cluster = first + label(&self.nearest, row);
            let most = &mut into.of(self.block.origins[row]).farthest[cluster];
            *most = most.max(self.nearest.squared[row]);
        }
    }
}

fn label(nearest: &Nearest, row: usize) -> usize {
    usize::try_from(nearest.labels[row]).expect("a cluster number")
}

/// Quantises squared distances.
struct Cost<'a> {
    squared: &'a [f64],
    factor: f64,
    cost: &'a mut [i64],
    outside: &'a mut u64,
}

impl Task for Cost<'_> {
    #[inline(always)]
    fn run(self) {
        let mut outside = 0;
        for (cost, squared) in self.cost.iter_mut().zip(self.squared) {
            *cost = fixed::shifted_bits(squared * self.factor);
            outside |= fixed::range_difference(*cost);
        }
        *self.outside = outside;
    }
}

/// Quantises squared distances and what scores need beside them.
struct Score<'a> {
    squared: &'a [f64],
    second: &'a [f64],
    cost_factor: f64,
    distance_factor: f64,
    /// Cost, its rest, distance, simplified silhouette.
    out: [&'a mut Lanes<i64>; 4],
    outside: &'a mut u64,
}

impl Task for Score<'_> {
    #[inline(always)]
    fn run(self) {
        let rest_factor = Scale::ONE.finer(REST_BITS).factor();
        let unit_factor = Scale::UNIT.factor();
        let [cost, rest, distance, simplified] = self.out;
        let mut outside = 0;
        for (row, (squared, second)) in self.squared.iter().zip(self.second).enumerate() {
            let scaled = squared * self.cost_factor;
            cost[row] = fixed::shifted_bits(scaled);
            // The difference to the nearest integer is exact (Sterbenz).
            let left_over = scaled - (f64::from_bits(cost[row].cast_unsigned()) - fixed::SHIFT);
            rest[row] = fixed::shifted_bits(left_over * rest_factor);
            let (a, b) = (squared.sqrt(), second.sqrt());
            distance[row] = fixed::shifted_bits(a * self.distance_factor);
            let part = (b - a) / b;
            let part = if part >= 0.0 { part } else { 0.0 }; // NaN: no second centroid, or b = 0
            simplified[row] = fixed::shifted_bits(part * unit_factor);
            outside |= fixed::range_difference(cost[row]) | fixed::range_difference(distance[row]);
        }
        *self.outside = outside;
    }
}

/// The silhouette of Spark's ClusteringEvaluator: the mean squared distance of a row to the rows of
/// cluster i is `‖x − m_i‖² + V_i`; its own cluster's is times `N/(N − 1)`.
fn measure_silhouette(
    x: &[Lanes<f64>],
    nearest: &Nearest,
    model: &Model,
    spread: &Spread,
    out: &mut Lanes<i64>,
    rows: usize,
) {
    let mean_squared = |row: usize, (mean, variance): (ArrayView1<'_, f64>, &f64)| {
        let term = |j: usize| {
            let t = (x[j][row] - mean[j]) * model.factors.as_ref().map_or(1.0, |f| f[j]);
            t * t
        };
        (1..x.len()).fold(term(0), |sum, j| sum + term(j)) + variance
    };
    for (row, out) in out[..rows].iter_mut().enumerate() {
        let own = label(nearest, row);
        let (mut a, mut b) = (0.0, f64::INFINITY);
        for (cluster, others) in spread.means.rows().into_iter().zip(&spread.variances).enumerate()
        {
            let mean = mean_squared(row, others);
            if cluster == own {
                a = mean * spread.own_factors[own];
            } else if mean < b {
                b = mean;
            }
        }
        let defined = spread.own_factors[own] > 0.0 && a.is_finite() && b.is_finite();
        let most = if a > b { a } else { b };
        let silhouette = if defined && most > 0.0 { (b - a) / most } else { 0.0 };
        *out = fixed::shifted_bits(silhouette * Scale::UNIT.factor());
    }
}
