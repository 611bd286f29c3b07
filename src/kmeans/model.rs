//! A model on its way: its centroids, how partial sums merge into new ones, and when it stops. Pure.
//!
//! Sums are integers, so merging them has no order; a mean is the f64 nearest to the exact
//! quotient. Means are taken here and nowhere else: a partition answers with sums and counts.

use ndarray::Array2;

use super::coordinates::Coordinates;
use super::params::Params;
use crate::cancel::CancelFlag;
use crate::centroids::model::ModelSet;
use crate::centroids::totals::ClusterTotals;
use crate::error::Result;

/// Which partitions make the centroids of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// All, by their sums: the answer.
    Global,
    /// One alone, for diagnosis.
    Local {
        /// Number of the partition.
        partition: usize,
    },
    /// All, by the plain mean of their means, for diagnosis: the mistake to be shown.
    Unweighted,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// No centroid moved, to the bit.
    Still,
    /// The centroids moved no more than the tolerance.
    Tolerance,
    /// The centroids moved less than a distance that was given.
    MaxDelta,
    /// The last allowed step.
    MaxSteps,
    /// The time was up.
    TimeLimit,
}

impl StopReason {
    /// The reason as tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Tolerance => "tolerance",
            Self::MaxDelta => "max_delta",
            Self::MaxSteps => "max_steps",
            Self::TimeLimit => "time_limit",
        }
    }
}

/// What one step did to one model.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepFacts {
    /// The step, from 1.
    pub step: u64,
    /// Cost of the centroids that entered the step.
    #[serde(with = "super::bits::exact")]
    pub cost: f64,
    /// ‖C − C'‖ over all clusters and columns, with the factors.
    #[serde(with = "super::bits::exact")]
    pub movement: f64,
    /// Rows of the smallest cluster.
    pub smallest: u64,
    /// Empty clusters that were moved to a far row.
    pub repaired: usize,
    /// Wall time of the step, shared by all models in it.
    pub seconds: f64,
}

/// A model on its way.
#[derive(Debug, Clone)]
pub(super) struct ModelState {
    /// Which partitions make it.
    pub(super) role: Role,
    /// Number of the start among those of the same k, from 0.
    pub(super) start: u32,
    /// One centroid a row, in its place.
    pub(super) centroids: Array2<f64>,
    /// The mean variance of the columns, with the factors, once a step has found it.
    pub(super) variance: Option<f64>,
    /// Steps so far, in order.
    pub(super) history: Vec<StepFacts>,
    /// Why it stopped, once it has.
    pub(super) stopped: Option<StopReason>,
}

/// A model after the means were taken, before empty clusters are repaired.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    /// New centroids; an empty cluster keeps its old one.
    pub(super) centroids: Array2<f64>,
    /// Rows of each cluster.
    pub(super) rows: Vec<u64>,
    /// Clusters without rows, ascending.
    pub(super) empty: Vec<usize>,
    /// Exact cost of the centroids that entered the step, in units of its scale.
    pub(super) cost: i128,
    /// The mean variance of the columns.
    pub(super) variance: f64,
}

impl ModelState {
    /// A model at its first centroids.
    pub(super) fn at(role: Role, start: u32, centroids: Array2<f64>) -> Self {
        Self { role, start, centroids, variance: None, history: Vec::new(), stopped: None }
    }

    /// Number of clusters.
    pub(super) fn k(&self) -> usize {
        self.centroids.nrows()
    }

    /// True if the partition has a part in this model.
    pub(super) fn counts(&self, partition: usize) -> bool {
        match self.role {
            Role::Global | Role::Unweighted => true,
            Role::Local { partition: own } => partition == own,
        }
    }

    /// Merges the sums of the partitions, one line a cluster, and takes the means.
    ///
    /// # Errors
    /// Once no one waits.
    pub(super) fn moved_by(
        &self,
        parts: &[(usize, &[ClusterTotals<'_>])],
        set: &ModelSet,
        cancelled: &CancelFlag,
    ) -> Result<Moved> {
        let own = parts.iter().filter(|(partition, _)| self.counts(*partition));
        let own: Vec<&[ClusterTotals<'_>]> = own.map(|(_, clusters)| *clusters).collect();
        let mut moved = Moved {
            centroids: self.centroids.clone(),
            rows: Vec::with_capacity(self.k()),
            empty: Vec::new(),
            cost: 0,
            variance: 0.0,
        };
        for (cluster, mut centroid) in moved.centroids.rows_mut().into_iter().enumerate() {
            cancelled.check()?;
            let lines = || own.iter().map(|part| &part[cluster]);
            let rows = lines().map(|line| line.rows).sum();
            moved.rows.push(rows);
            moved.cost += lines().map(|line| line.cost).sum::<i128>();
            if rows == 0 {
                moved.empty.push(cluster);
                continue;
            }
            let weight: i128 = lines().map(|line| line.weight).sum();
            for (column, value) in centroid.iter_mut().enumerate() {
                // Rows that lie on the centroid, to the grid of the sums, leave it as it is.
                let sum: i128 = lines().map(|line| line.sums[column]).sum();
                let old = set.column_scale(column).quantise(*value);
                if self.role != Role::Unweighted
                    && old.is_some_and(|old| i128::from(old) * weight == sum)
                {
                    continue;
                }
                let mean = match self.role {
                    Role::Global | Role::Local { .. } => set.mean(column, sum, weight),
                    Role::Unweighted => mean_of_means(lines(), column, set),
                };
                // A cluster whose rows all weigh nothing has no mean; it stays where it is.
                *value = mean.unwrap_or(*value);
            }
        }
        Ok(moved)
    }

    /// The reason to stop after a step that ended with these facts, if there is one.
    pub(super) fn reason_to_stop(
        &self,
        next: &Array2<f64>,
        facts: &StepFacts,
        (params, coordinates): (&Params, &Coordinates),
        late: bool,
    ) -> Option<StopReason> {
        let share = params.tolerance().filter(|share| *share > 0.0);
        let is_small = |share| facts.movement.powi(2) <= share * self.variance.unwrap_or(0.0);
        let moved = coordinates.users_distance(facts.movement);
        let same = self.centroids.iter().zip(next).all(|(a, b)| a.to_bits() == b.to_bits());
        if same && facts.repaired == 0 {
            Some(StopReason::Still)
        } else if share.is_some_and(is_small) {
            Some(StopReason::Tolerance)
        } else if params.max_delta().is_some_and(|limit| moved < limit) {
            Some(StopReason::MaxDelta)
        } else if facts.step >= params.max_steps() {
            Some(StopReason::MaxSteps)
        } else if late {
            Some(StopReason::TimeLimit)
        } else {
            None
        }
    }
}

/// The mean variance of the columns, with the factors: what rows cost in a single cluster at their mean,
/// a row and column. That cost is within the clusters and between them, from the exact sums of a step.
pub(super) fn mean_variance(
    model: &ModelState,
    parts: &[(usize, &[ClusterTotals<'_>])],
    (set, number): (&ModelSet, usize),
    factors: &[f64],
) -> f64 {
    let own: Vec<_> = parts.iter().filter(|(part, _)| model.counts(*part)).collect();
    let (columns, weights) = (set.columns(), set.weight_scale());
    let lines = |cluster: usize| own.iter().map(move |(_, lines)| &lines[cluster]);
    let mut clusters = Vec::with_capacity(model.k());
    let (mut whole, mut weight, mut cost) = (vec![0_i128; columns], 0_i128, 0_i128);
    for cluster in 0..model.k() {
        let own: i128 = lines(cluster).map(|line| line.weight).sum();
        let sums = (0..columns).map(|j| lines(cluster).map(|line| line.sums[j]).sum());
        let sums: Vec<i128> = sums.collect();
        whole.iter_mut().zip(&sums).for_each(|(whole, sum)| *whole += sum);
        weight += own;
        cost += lines(cluster).map(|line| line.cost).sum::<i128>();
        clusters.push((own, sums));
    }
    let mut total = set.distance_scales(number).cost.to_float(cost) / weights.factor();
    for ((own, sums), centroid) in clusters.iter().zip(model.centroids.rows()) {
        for (j, (factor, at)) in factors.iter().zip(centroid).enumerate() {
            let mean = |sum, weight| set.mean(j, sum, weight).unwrap_or(*at);
            let (own_mean, mean) = (mean(sums[j], *own), mean(whole[j], weight));
            let between = ((own_mean - mean) * factor).powi(2) - ((own_mean - at) * factor).powi(2);
            total += weights.to_float(*own) * between;
        }
    }
    let rows = weights.to_float(weight) * columns as f64;
    if rows > 0.0 { (total / rows).max(0.0) } else { 0.0 }
}

/// ‖a − b‖ over all clusters and columns (Frobenius), each column times its factor.
pub(super) fn movement(a: &Array2<f64>, b: &Array2<f64>, factors: &[f64]) -> f64 {
    let terms = a.iter().zip(b).zip(factors.iter().cycle());
    terms.fold(0.0, |sum, ((x, y), f)| sum + ((x - y) * f).powi(2)).sqrt()
}

/// The plain mean of the means of the partitions that have rows, in the order of the partitions.
fn mean_of_means<'a>(
    parts: impl Iterator<Item = &'a ClusterTotals<'a>>,
    column: usize,
    set: &ModelSet,
) -> Option<f64> {
    let means = parts.filter_map(|part| set.mean(column, part.sums[column], part.weight));
    let (sum, count) = means.fold((0.0, 0.0), |(sum, count), mean| (sum + mean, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
