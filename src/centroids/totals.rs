//! Integer sums of rows per model and cluster, and the loop that makes them.
//!
//! Integer addition has no order, so the totals of a table do not depend on how its rows were split
//! into batches, streams, files or machines: law 2 and law 3 rest on this file. Sums of up to 4,096
//! rows are 64 bits wide (each of less than 2^51), then 128.

use bytes::{Buf, BufMut};
use ndarray::ArrayView1;

use super::block::{RowBlock, outside_error};
use super::fixed::{self, OFFSET, Scale};
use super::groups::Groups;
use super::kernel::{self, BLOCK, Centroids, Lanes, Nearest};
use super::model::{Model, ModelSet, REST_BITS, Spread, Weight};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};
use crate::isa::{Isa, Task};

/// Sums stay within 128 bits, and within DECIMAL(38, 0), up to this many rows: 2^44.
pub const ROW_LIMIT: u64 = 1 << 44;

/// A block with fewer rows is added row by row.
const FEW_ROWS: usize = 64;

/// Rows whose sums fit 64 bits: 2^12 × 2^51.
const MAX_WAITING_ROWS: usize = 1 << 12;

/// What is summed beside the coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measures {
    /// The squared distance: all that a step needs.
    Step,
    /// The squared distance with its rest, the distance, two silhouettes and the largest distance.
    Scores,
}

impl Measures {
    /// How many sums follow those of the coordinates.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Step => 1,
            Self::Scores => 5,
        }
    }
}

/// The sums of one cluster. All but `rows` are of weighted values; divide by [`ModelSet`]'s scales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterTotals<'a> {
    /// Rows in the cluster.
    pub rows: u64,
    /// The sum of quantised weights.
    pub weight: i128,
    /// A sum for each column.
    pub sums: &'a [i128],
    /// Squared distances.
    pub cost: i128,
    /// What was asked for beyond a step.
    pub scores: Option<ClusterScores>,
}

/// The further sums of one cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterScores {
    /// What quantising the squared distances left over.
    pub cost_rest: i128,
    /// Distances.
    pub distance: i128,
    /// `(b − a)/b`, where `a` and `b` are the distances to the nearest and second nearest centroid; 0
    /// where `b` is 0 or there is no second. Its scale is [`Scale::UNIT`].
    pub simplified_silhouette: i128,
    /// The silhouette over squared distances, of models with a [`Spread`]. Its scale is
    /// [`Scale::UNIT`].
    pub silhouette: i128,
    /// The largest squared distance.
    pub farthest: f64,
}

/// The sums of all clusters of all models.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    measures: Measures,
    columns: usize,
    rows: u64,
    skipped: u64,
    /// For each cluster of each model: rows, weight, sums, measures.
    table: Vec<i128>,
    /// For each cluster the largest squared distance; empty for a step.
    farthest: Vec<f64>,
}

impl Totals {
    /// The totals of no rows.
    pub fn new(models: &ModelSet, measures: Measures) -> Self {
        let (columns, clusters) = (models.columns(), models.clusters());
        let scored = if measures == Measures::Scores { clusters } else { 0 };
        let width = 2 + columns + measures.count();
        Self {
            measures,
            columns,
            rows: 0,
            skipped: 0,
            table: vec![0; clusters * width],
            farthest: vec![0.0; scored],
        }
    }

    /// How many rows were used.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many rows could not be used: a NULL, NaN or infinity in a used column, or no weight.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The totals of each cluster, in the order of models and clusters.
    pub fn clusters(&self) -> impl ExactSizeIterator<Item = ClusterTotals<'_>> {
        self.table.chunks_exact(self.width()).enumerate().map(|(cluster, line)| {
            let (head, measures) = line.split_at(2 + self.columns);
            ClusterTotals {
                rows: u64::try_from(head[0]).expect("a count of at most 2^44"),
                weight: head[1],
                sums: &head[2..],
                cost: measures[0],
                scores: (self.measures == Measures::Scores).then(|| ClusterScores {
                    cost_rest: measures[1],
                    distance: measures[2],
                    simplified_silhouette: measures[3],
                    silhouette: measures[4],
                    farthest: self.farthest[cluster],
                }),
            }
        })
    }

    /// Sets the totals of cluster number `cluster`, counted over all models.
    ///
    /// # Errors
    /// Of a cluster that is not there and of sums of another shape.
    pub fn set(&mut self, cluster: usize, found: &ClusterTotals<'_>) -> Result<()> {
        let (columns, width) = (self.columns, self.width());
        let line = self.table.chunks_exact_mut(width).nth(cluster);
        let scored = self.measures == Measures::Scores;
        let Some(line) =
            line.filter(|_| found.sums.len() == columns && scored == found.scores.is_some())
        else {
            return Err(Error::internal("totals are of another model"));
        };
        line[..2].copy_from_slice(&[found.rows.into(), found.weight]);
        line[2..2 + columns].copy_from_slice(found.sums);
        line[2 + columns] = found.cost;
        if let Some(scores) = &found.scores {
            let ClusterScores { cost_rest, distance, simplified_silhouette, silhouette, farthest } =
                *scores;
            let measures = [cost_rest, distance, simplified_silhouette, silhouette];
            line[3 + columns..].copy_from_slice(&measures);
            self.farthest[cluster] = farthest;
        }
        Ok(())
    }

    /// Sets the counts of rows.
    pub fn set_rows(&mut self, rows: u64, skipped: u64) {
        (self.rows, self.skipped) = (rows, skipped);
    }

    /// Adds the totals of other rows of the same model.
    ///
    /// # Errors
    /// Of totals of another shape and of more than 2^44 rows.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let shape = |totals: &Self| (totals.measures, totals.columns, totals.table.len());
        if shape(self) != shape(other) {
            return Err(Error::internal("totals to merge are of another model"));
        }
        self.count(other.rows, other.skipped)?;
        add(&mut self.table, other.table.iter().copied());
        for (mine, theirs) in self.farthest.iter_mut().zip(&other.farthest) {
            *mine = mine.max(*theirs);
        }
        Ok(())
    }

    /// Appends the state that travels between streams: the clusters that have rows.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.rows);
        out.put_u64_le(self.skipped);
        for (cluster, line) in self.table.chunks_exact(self.width()).enumerate() {
            if line[0] == 0 {
                continue;
            }
            out.put_u64_le(cluster as u64);
            line.iter().for_each(|sum| out.put_i128_le(*sum));
            if let Some(farthest) = self.farthest.get(cluster) {
                out.put_f64_le(*farthest);
            }
        }
    }

    /// Adds what [`Self::write`] wrote.
    ///
    /// # Errors
    /// Of bytes of another shape and of more than 2^44 rows.
    pub fn merge_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        let foreign = || Error::internal("a state of k-means sums is of another model");
        let width = self.width();
        let entry = 8 + 16 * width + if self.farthest.is_empty() { 0 } else { 8 };
        if bytes.len() < 16 || !(bytes.len() - 16).is_multiple_of(entry) {
            return Err(foreign());
        }
        self.count(bytes.get_u64_le(), bytes.get_u64_le())?;
        while bytes.has_remaining() {
            let cluster = usize::try_from(bytes.get_u64_le()).ok();
            let cluster = cluster.filter(|cluster| *cluster < self.table.len() / width);
            let cluster = cluster.ok_or_else(foreign)?;
            let line = &mut self.table[cluster * width..][..width];
            line.iter_mut().for_each(|sum| *sum += bytes.get_i128_le());
            if let Some(mine) = self.farthest.get_mut(cluster) {
                *mine = mine.max(bytes.get_f64_le());
            }
        }
        Ok(())
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.table) + size_of_val(&*self.farthest)
    }

    fn width(&self) -> usize {
        2 + self.columns + self.measures.count()
    }

    fn count(&mut self, rows: u64, skipped: u64) -> Result<()> {
        self.rows = self.rows.saturating_add(rows);
        self.skipped = self.skipped.saturating_add(skipped);
        if self.rows > ROW_LIMIT {
            return Err(Error::data(format!("{} rows, expected at most 2^44", self.rows)));
        }
        Ok(())
    }
}

fn add(line: &mut [i128], other: impl Iterator<Item = i128>) {
    for (mine, theirs) in line.iter_mut().zip(other) {
        *mine += theirs;
    }
}

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
    /// Of a row outside the model's box and of more than 2^44 rows; once nobody waits.
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
        if clusters <= sifted_clusters(self.isa) {
            let labels = &self.nearest.labels[..rows];
            self.isa.run(Sift { columns, labels, table: &mut table[..clusters * width] });
        } else {
            scatter(columns, &self.nearest.labels, rows, table);
        }
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

/// Adds the rows of clusters `$first + $k` to `$lines`, one a cluster. Four columns at a time, so that
/// a number is read once for all clusters; written out, or the sums would not become vectors.
macro_rules! sift_clusters {
    ($($k:literal)+, $first:ident, $labels:ident, $columns:ident, $lines:ident) => {{
        let (fours, ones) = $columns.as_chunks::<4>();
        let width = $columns.len() + 1;
        for (at, four) in (0..).step_by(4).zip(fours) {
            let [a, b, c, d] = four.each_ref().map(|column| &column[..$labels.len()]);
            let mut sums = [$( [0_i64 * $k; 4] ),+];
            for row in 0..$labels.len() {
                $(
                    let own = mask($first + $k, $labels[row]);
                    sums[$k][0] = sums[$k][0].wrapping_add(a[row] & own);
                    sums[$k][1] = sums[$k][1].wrapping_add(b[row] & own);
                    sums[$k][2] = sums[$k][2].wrapping_add(c[row] & own);
                    sums[$k][3] = sums[$k][3].wrapping_add(d[row] & own);
                )+
            }
            for (sums, line) in sums.iter().zip($lines.chunks_exact_mut(width)) {
                line[at..at + 4].iter_mut().zip(sums).for_each(|(a, b)| *a = a.wrapping_add(*b));
            }
        }
        for (at, column) in (4 * fours.len()..).zip(ones) {
            let column = &column[..$labels.len()];
            let mut sums = [$( 0_i64 * $k ),+];
            for row in 0..$labels.len() {
                $(
                    let own = mask($first + $k, $labels[row]);
                    sums[$k] = sums[$k].wrapping_add(column[row] & own);
                )+
            }
            for (sum, line) in sums.iter().zip($lines.chunks_exact_mut(width)) {
                line[at] = line[at].wrapping_add(*sum);
            }
        }
        let mut counts = [$( 0_i64 * $k ),+];
        for label in $labels {
            $( counts[$k] -= mask($first + $k, *label); )+
        }
        for (count, line) in counts.iter().zip($lines.chunks_exact_mut(width)) {
            line[width - 1] += count;
        }
    }};
}
/// Up to how many clusters it is faster to [`Sift`] than to [`scatter`]. Measured, see
/// `benches/kernel.rs`.
fn sifted_clusters(isa: Isa) -> usize {
    match isa.lanes() {
        8 => 10,
        4 => 5,
        _ => 1,
    }
}

/// For each cluster, the sums of all rows with the others masked out: for few clusters faster than
/// [`scatter`], which reads and writes memory for each number.
struct Sift<'a> {
    columns: &'a [Lanes<i64>],
    labels: &'a [u64],
    table: &'a mut [i64],
}

impl Task for Sift<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.columns.len() + 1;
        let (columns, labels) = (self.columns, self.labels);
        for (first, lines) in (0..).step_by(4).zip(self.table.chunks_mut(4 * width)) {
            match lines.len() / width {
                4 => sift_clusters!(0 1 2 3, first, labels, columns, lines),
                3 => sift_clusters!(0 1 2, first, labels, columns, lines),
                2 => sift_clusters!(0 1, first, labels, columns, lines),
                _ => sift_clusters!(0, first, labels, columns, lines),
            }
        }
    }
}

/// All bits where `label` is of `cluster`.
#[inline(always)]
fn mask(cluster: u64, label: u64) -> i64 {
    -i64::from(label == cluster)
}

/// Adds the columns and the count of rows to the line of each row's label, even and odd rows to
/// tables of their own: neighbours often share a label, and an addition waits for the last one.
///
/// Wider instructions gain nothing here, so it is no [`Task`].
fn scatter(columns: &[Lanes<i64>], labels: &Lanes<u64>, rows: usize, table: &mut [i64]) {
    macro_rules! few {
        ($c:literal) => {
            scatter_few::<$c>(columns.try_into().expect("matched"), labels, rows, table)
        };
    }
    match columns.len() {
        2 => few!(2),
        3 => few!(3),
        4 => few!(4),
        5 => few!(5),
        6 => few!(6),
        7 => few!(7),
        8 => few!(8),
        9 => few!(9),
        _ => scatter_many(columns, labels, rows, table),
    }
}

fn scatter_few<const C: usize>(
    columns: &[Lanes<i64>; C],
    labels: &Lanes<u64>,
    rows: usize,
    table: &mut [i64],
) {
    debug_assert!(rows <= BLOCK);
    let (even, odd) = table.split_at_mut(table.len() / 2);
    let add = |table: &mut [i64], row: usize| {
        #[expect(clippy::cast_possible_truncation, reason = "a cluster number")]
        let line = &mut table[labels[row] as usize * (C + 1)..][..C + 1];
        for (sum, column) in line.iter_mut().zip(columns) {
            *sum = sum.wrapping_add(column[row]);
        }
        line[C] += 1;
    };
    for row in (0..rows - rows % 2).step_by(2) {
        add(even, row);
        add(odd, row + 1);
    }
    if !rows.is_multiple_of(2) {
        add(even, rows - 1);
    }
}

/// [`scatter`] for any number of columns.
fn scatter_many(columns: &[Lanes<i64>], labels: &Lanes<u64>, rows: usize, table: &mut [i64]) {
    let width = columns.len() + 1;
    for (row, label) in labels[..rows].iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "a cluster number")]
        let line = &mut table[*label as usize * width..][..width];
        for (sum, column) in line.iter_mut().zip(columns) {
            *sum = sum.wrapping_add(column[row]);
        }
        line[width - 1] += 1;
    }
}
