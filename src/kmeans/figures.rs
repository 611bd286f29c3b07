//! Figures of a finished model, from exact sums. Pure.
//!
//! | figure | formula |
//! | --- | --- |
//! | cost W | Σ w·d², d the distance to the nearest centroid |
//! | mean distance | Σ w·d / Σ w |
//! | share explained | 1 − W/T, T the cost of one cluster at the overall mean |
//! | Calinski–Harabasz | ((T − W)/(k − 1)) / (W/(n − k)), n = Σ w (Commun. Stat. 3, 1974) |
//! | Davies–Bouldin | mean over i of max over j ≠ i of (Sᵢ + Sⱼ)/‖cᵢ − cⱼ‖, S = mean distance (PAMI 1, 1979) |
//! | simplified silhouette | mean of (b − a)/b; a, b = distance to nearest and second nearest centroid |
//! | silhouette | mean over rows with squared Euclidean distances, as Spark's ClusteringEvaluator |
//!
//! A figure that is not defined (one cluster, W = 0, …) is `None`, never NaN.

use ndarray::{Array2, ArrayView1};

use crate::cancel::CancelFlag;
use crate::error::Result;

/// What was measured for one cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClusterFigures {
    /// Rows whose nearest centroid this is.
    pub rows: u64,
    /// Their weight; equal to `rows` when there is no weight column.
    pub weight: f64,
    /// Σ w·d².
    pub cost: f64,
    /// Σ w·d.
    pub distance: f64,
    /// Largest distance of a row; 0 without rows.
    pub max_distance: f64,
}

impl ClusterFigures {
    /// Σ w·d / Σ w, where there are rows.
    pub fn mean_distance(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.distance / self.weight)
    }
}

/// Figures of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelFigures {
    /// Rows that counted.
    pub rows: u64,
    /// Clusters that have rows.
    pub clusters_used: usize,
    /// Σ w·d².
    pub cost: f64,
    /// Σ w·d / Σ w.
    pub mean_distance: f64,
    /// 1 − W/T.
    pub explained: Option<f64>,
    /// Calinski–Harabasz index.
    pub calinski_harabasz: Option<f64>,
    /// Davies–Bouldin index.
    pub davies_bouldin: Option<f64>,
    /// Simplified silhouette, in [0, 1].
    pub simplified_silhouette: Option<f64>,
    /// Squared Euclidean silhouette, in [−1, 1], if it was asked for.
    pub silhouette: Option<f64>,
}

/// The sums of one model that are not kept per cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ModelSums {
    /// Rows that counted.
    pub(super) rows: u64,
    /// Their weight.
    pub(super) weight: f64,
    /// W: Σ w·d².
    pub(super) cost: f64,
    /// Σ w·d.
    pub(super) distance: f64,
    /// T: the cost of one cluster at the overall mean.
    pub(super) one_cluster_cost: f64,
    /// Σ w·(b − a)/b.
    pub(super) simplified_silhouette: f64,
    /// Σ w·s, if it was asked for.
    pub(super) silhouette: Option<f64>,
}

/// Puts the figures of a model together.
///
/// # Errors
/// Once no one waits: Davies–Bouldin compares all pairs of clusters.
pub(super) fn figures(
    centroids: &Array2<f64>,
    factors: &[f64],
    clusters: &[ClusterFigures],
    totals: &ModelSums,
    cancelled: &CancelFlag,
) -> Result<ModelFigures> {
    let k = clusters.len();
    let mean = |sum: f64| (totals.weight > 0.0).then(|| sum / totals.weight);
    Ok(ModelFigures {
        rows: totals.rows,
        clusters_used: clusters.iter().filter(|cluster| cluster.rows > 0).count(),
        cost: totals.cost,
        mean_distance: mean(totals.distance).unwrap_or(0.0),
        explained: (totals.one_cluster_cost > 0.0)
            .then(|| 1.0 - totals.cost / totals.one_cluster_cost),
        calinski_harabasz: calinski_harabasz(k, totals),
        davies_bouldin: davies_bouldin(centroids, factors, clusters, cancelled)?,
        simplified_silhouette: if k > 1 { mean(totals.simplified_silhouette) } else { None },
        silhouette: if k > 1 { totals.silhouette.and_then(mean) } else { None },
    })
}

fn calinski_harabasz(k: usize, totals: &ModelSums) -> Option<f64> {
    let (k, n) = (k as f64, totals.weight);
    let between = (totals.one_cluster_cost - totals.cost) / (k - 1.0);
    (k > 1.0 && n > k && totals.cost > 0.0).then(|| between / (totals.cost / (n - k)))
}

fn davies_bouldin(
    centroids: &Array2<f64>,
    factors: &[f64],
    clusters: &[ClusterFigures],
    cancelled: &CancelFlag,
) -> Result<Option<f64>> {
    let used: Vec<(ArrayView1<'_, f64>, f64)> = centroids
        .rows()
        .into_iter()
        .zip(clusters)
        .filter_map(|(centroid, cluster)| Some((centroid, cluster.mean_distance()?)))
        .collect();
    if used.len() < 2 {
        return Ok(None);
    }
    let worst = |i: usize| {
        cancelled.check()?;
        let others = (0..used.len()).filter(|&j| j != i);
        let ratio = |j: usize| (used[i].1 + used[j].1) / norm(&used[i].0, &used[j].0, factors);
        Ok(others.map(ratio).fold(0.0, f64::max))
    };
    let mean = (0..used.len()).map(worst).sum::<Result<f64>>()? / used.len() as f64;
    Ok(mean.is_finite().then_some(mean))
}

fn norm(a: &ArrayView1<'_, f64>, b: &ArrayView1<'_, f64>, factors: &[f64]) -> f64 {
    let terms = a.iter().zip(b).zip(factors);
    terms.fold(0.0, |sum, ((x, y), f)| sum + ((x - y) * f).powi(2)).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::cancel::CancelOnDrop;

    fn cluster(rows: u64, cost: f64, distance: f64) -> ClusterFigures {
        let weight = rows as f64;
        ClusterFigures { rows, weight, cost, distance, max_distance: 0.0 }
    }

    fn totals(clusters: &[ClusterFigures], one_cluster_cost: f64) -> ModelSums {
        ModelSums {
            rows: clusters.iter().map(|c| c.rows).sum(),
            weight: clusters.iter().map(|c| c.weight).sum(),
            cost: clusters.iter().map(|c| c.cost).sum(),
            distance: clusters.iter().map(|c| c.distance).sum(),
            one_cluster_cost,
            simplified_silhouette: 0.0,
            silhouette: None,
        }
    }

    fn found(
        centroids: &Array2<f64>,
        factors: &[f64],
        clusters: &[ClusterFigures],
        totals: &ModelSums,
    ) -> ModelFigures {
        figures(centroids, factors, clusters, totals, &CancelFlag::default()).unwrap()
    }

    #[test]
    fn one_cluster_has_no_index_that_compares_clusters() {
        let clusters = [cluster(4, 10.0, 5.0)];
        let got = found(&array![[0.0]], &[1.0], &clusters, &totals(&clusters, 10.0));
        assert_eq!(got.calinski_harabasz, None);
        assert_eq!(got.davies_bouldin, None);
        assert_eq!(got.simplified_silhouette, None);
        assert_eq!(got.explained, Some(0.0));
        assert_eq!(got.mean_distance.to_bits(), 1.25_f64.to_bits());
    }

    #[test]
    fn comparing_all_pairs_ends_when_no_one_waits() {
        let guard = CancelOnDrop::default();
        let flag = guard.flag();
        drop(guard);
        let clusters = [cluster(1, 1.0, 1.0), cluster(1, 1.0, 1.0)];
        let centroids = array![[0.0], [2.0]];
        assert!(figures(&centroids, &[1.0], &clusters, &totals(&clusters, 9.0), &flag).is_err());
    }

    #[test]
    fn a_perfect_model_has_no_calinski_harabasz() {
        let clusters = [cluster(1, 0.0, 0.0), cluster(1, 0.0, 0.0)];
        let got = found(&array![[0.0], [2.0]], &[1.0], &clusters, &totals(&clusters, 2.0));
        assert_eq!(got.calinski_harabasz, None);
        assert_eq!(got.davies_bouldin, Some(0.0));
        assert_eq!(got.explained, Some(1.0));
    }

    #[test]
    fn empty_clusters_are_left_out_of_davies_bouldin() {
        // S = 1 and 2, distance 10: (1 + 2)/10 for both.
        let clusters = [cluster(2, 2.0, 2.0), cluster(0, 0.0, 0.0), cluster(1, 4.0, 2.0)];
        let centroids = array![[0.0], [5.0], [10.0]];
        let got = found(&centroids, &[1.0], &clusters, &totals(&clusters, 100.0));
        assert_eq!(got.davies_bouldin, Some(0.3));
        assert_eq!(got.clusters_used, 2);
    }

    #[test]
    fn two_centroids_at_one_place_have_no_davies_bouldin() {
        let clusters = [cluster(1, 1.0, 1.0), cluster(1, 1.0, 1.0)];
        let got = found(&array![[3.0], [3.0]], &[1.0], &clusters, &totals(&clusters, 9.0));
        assert_eq!(got.davies_bouldin, None);
    }
}
