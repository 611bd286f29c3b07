//! Integer sums of rows per model and cluster.
//!
//! Integer addition has no order, so the totals of a table do not depend on how its rows were split
//! into batches, streams, files or machines: law 2 and law 3 rest on this file.

use bytes::{Buf, BufMut};

use super::model::ModelSet;
use crate::error::{Error, Result};

/// Sums stay within 128 bits, and within DECIMAL(38, 0), up to this many rows: 2^44.
pub const ROW_LIMIT: u64 = 1 << 44;

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
    /// where `b` is 0 or there is no second. Its scale is [`Scale::UNIT`](super::fixed::Scale::UNIT).
    pub simplified_silhouette: i128,
    /// The silhouette over squared distances, of models with a [`Spread`](super::model::Spread).
    /// Its scale is [`Scale::UNIT`](super::fixed::Scale::UNIT).
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
    pub(super) table: Vec<i128>,
    /// For each cluster the largest squared distance; empty for a step.
    pub(super) farthest: Vec<f64>,
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

    /// Counts rows.
    pub(super) fn count(&mut self, rows: u64, skipped: u64) -> Result<()> {
        self.rows = self.rows.saturating_add(rows);
        self.skipped = self.skipped.saturating_add(skipped);
        if self.rows > ROW_LIMIT {
            return Err(Error::data(format!("{} rows, expected at most 2^44", self.rows)));
        }
        Ok(())
    }
}

/// Adds numbers one by one.
pub(super) fn add(line: &mut [i128], other: impl Iterator<Item = i128>) {
    for (mine, theirs) in line.iter_mut().zip(other) {
        *mine += theirs;
    }
}
