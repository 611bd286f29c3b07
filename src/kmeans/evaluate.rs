//! The last scan: what the returned centroids are worth, over all rows and in each partition.
//!
//! Every published figure belongs to the centroids that are returned, not to those before the last
//! update. All models are measured in one scan, and with them one cluster at the overall mean, whose
//! cost is what the share explained compares to. The silhouette needs the means of the clusters as
//! they are now, hence a scan of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::Array;
use ndarray::{Array1, Array2, Axis};

use super::figures::{ClusterFigures, ModelSums, figures};
use super::iterate::{BoundModels, Loop, mean_of};
use super::model::{ModelState, Role};
use super::result::{Diagnosis, ModelResult, PartitionFigures};
use super::space::FeatureSpace;
use super::steps::SCORES;
use crate::cancel::CancelFlag;
use crate::centroids::fixed::Scale;
use crate::centroids::model::{Model, ModelSet, Spread};
use crate::centroids::totals::{ClusterTotals, Totals};
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::functions::read_cluster_scores;

/// Measures stopped models.
///
/// # Errors
/// The engine's; an input that changed while it was read.
pub(super) async fn evaluate(
    work: &Loop<'_>,
    models: &Arc<Vec<ModelState>>,
) -> Result<Vec<ModelResult>> {
    let one_cluster = overall_mean(work, models).await?.insert_axis(Axis(0));
    let (space, all) = (Arc::clone(&work.space), Arc::clone(models));
    let bound = compute(move |_| {
        let centroids = all.iter().map(|model| &model.centroids).chain([&one_cluster]);
        space.set(centroids).map(BoundModels::new)
    });
    let bound = bound.await?;
    let scores = Arc::new(scores(work, &bound).await?);
    let silhouettes = match work.params.silhouette() {
        true => silhouettes(work, models, &bound, &scores).await?,
        false => vec![None; models.len()],
    };
    let (models, space) = (Arc::clone(models), Arc::clone(&work.space));
    let cancelled = work.cancelled.clone();
    compute(move |_| results(&models, &bound.set, &scores, &silhouettes, (&space, &cancelled)))
        .await
}

/// The mean of all rows, from exact sums: those of any model add up to it.
async fn overall_mean(work: &Loop<'_>, models: &Arc<Vec<ModelState>>) -> Result<Array1<f64>> {
    if let Some(overall) = work.overall.get() {
        return Ok(overall.clone());
    }
    let (space, all) = (Arc::clone(&work.space), Arc::clone(models));
    let first = move || all.first().map(|model| model.centroids.clone());
    let bound = compute(move |_| space.set(first().iter()).map(BoundModels::new)).await?;
    let sums = work.sums(&bound).await?;
    compute(move |_| Ok(mean_of(&sums, &bound.set))).await
}

async fn scores(work: &Loop<'_>, bound: &BoundModels) -> Result<BTreeMap<usize, Totals>> {
    let set = Arc::clone(&bound.set);
    let read = move |array: &dyn Array, row| read_cluster_scores(&set, array, row);
    let scores = work.input.step(SCORES, &[bound.parameter()], read).await?;
    work.space.check_rows(work.input, &scores)?;
    Ok(scores)
}

/// The figures of the global models, from exact sums.
fn results(
    models: &[ModelState],
    set: &ModelSet,
    scores: &BTreeMap<usize, Totals>,
    silhouettes: &[Option<f64>],
    (space, cancelled): (&FeatureSpace, &CancelFlag),
) -> Result<Vec<ModelResult>> {
    let measured = measure(models, set, scores);
    let last = set.clusters() - 1;
    let mut whole = ClusterSums::default();
    scores.values().filter_map(|totals| totals.clusters().nth(last)).for_each(|t| whole.add(&t));
    let one_cluster_cost = Units { set, model: models.len() }.cluster(&whole).cost;
    let (mut globals, mut results) = (Vec::new(), Vec::new());
    for (of, &silhouette) in measured.iter().zip(silhouettes) {
        if of.model.role == Role::Global {
            let known = Known { scores, one_cluster_cost, silhouette };
            globals.push(of);
            results.push(of.result(&known, space, cancelled)?);
        }
    }
    mark_best(&mut results);
    for (of, result) in globals.into_iter().zip(&mut results).filter(|(_, result)| result.best) {
        result.diagnosis = diagnosis(of, &measured);
    }
    let coordinates = space.coordinates();
    Ok(results.into_iter().map(|result| result.in_users_units(coordinates)).collect())
}

/// Exact sums of one cluster over some partitions.
#[derive(Debug, Clone, Default)]
struct ClusterSums {
    rows: u64,
    weight: i128,
    sums: Vec<i128>,
    cost: i128,
    cost_rest: i128,
    distance: i128,
    simplified: i128,
    silhouette: i128,
    farthest: f64,
}

impl ClusterSums {
    fn add(&mut self, other: &ClusterTotals<'_>) {
        self.rows += other.rows;
        self.weight += other.weight;
        self.sums.resize(other.sums.len(), 0);
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
        self.cost += other.cost;
        if let Some(scores) = &other.scores {
            self.cost_rest += scores.cost_rest;
            self.distance += scores.distance;
            self.simplified += scores.simplified_silhouette;
            self.silhouette += scores.silhouette;
            self.farthest = self.farthest.max(scores.farthest);
        }
    }
}

/// What the integers of one model mean.
#[derive(Clone, Copy)]
struct Units<'a> {
    set: &'a ModelSet,
    /// The number of the model in the set.
    model: usize,
}

/// What the figures of a model need beside its own sums.
struct Known<'a> {
    scores: &'a BTreeMap<usize, Totals>,
    one_cluster_cost: f64,
    silhouette: Option<f64>,
}

impl Units<'_> {
    /// A sum of values of `scale`, each times a quantised weight, as a number.
    fn number(self, scale: Scale, sum: i128) -> f64 {
        scale.to_float(sum) / self.set.weight_scale().factor()
    }

    fn cluster(self, line: &ClusterSums) -> ClusterFigures {
        let scales = self.set.distance_scales(self.model);
        ClusterFigures {
            rows: line.rows,
            weight: self.set.weight_scale().to_float(line.weight),
            cost: self.number(scales.cost, line.cost)
                + self.number(scales.cost_rest, line.cost_rest),
            distance: self.number(scales.distance, line.distance),
            max_distance: line.farthest.sqrt(),
        }
    }

    /// A model's sums over all its clusters.
    fn totals(
        self,
        lines: &[ClusterSums],
        one_cluster_cost: f64,
        silhouette: Option<f64>,
    ) -> ModelSums {
        let mut whole = ClusterSums::default();
        for line in lines {
            whole.rows += line.rows;
            whole.weight += line.weight;
            whole.cost += line.cost;
            whole.cost_rest += line.cost_rest;
            whole.distance += line.distance;
            whole.simplified += line.simplified;
        }
        let cluster = self.cluster(&whole);
        ModelSums {
            rows: cluster.rows,
            weight: cluster.weight,
            cost: cluster.cost,
            distance: cluster.distance,
            one_cluster_cost,
            simplified_silhouette: self.number(Scale::UNIT, whole.simplified),
            silhouette,
        }
    }
}

/// The sums of one model: in each partition that counts for it, and over all of them.
struct Measured<'a> {
    model: &'a ModelState,
    units: Units<'a>,
    parts: BTreeMap<usize, Vec<ClusterSums>>,
    whole: Vec<ClusterSums>,
}

fn measure<'a>(
    models: &'a [ModelState],
    set: &'a ModelSet,
    scores: &BTreeMap<usize, Totals>,
) -> Vec<Measured<'a>> {
    let mut first = 0;
    let each = models.iter().enumerate().map(|(number, model)| {
        let clusters = first..first + model.k();
        first = clusters.end;
        let mut parts = BTreeMap::new();
        let mut whole = vec![ClusterSums::default(); model.k()];
        for (&partition, totals) in scores.iter().filter(|(part, _)| model.counts(**part)) {
            let mut own = vec![ClusterSums::default(); model.k()];
            let lines = totals.clusters().skip(clusters.start).take(model.k());
            for ((own, whole), line) in own.iter_mut().zip(&mut whole).zip(lines) {
                own.add(&line);
                whole.add(&line);
            }
            parts.insert(partition, own);
        }
        Measured { model, units: Units { set, model: number }, parts, whole }
    });
    each.collect()
}

impl Measured<'_> {
    fn result(
        &self,
        &Known { scores, one_cluster_cost, silhouette }: &Known<'_>,
        space: &FeatureSpace,
        cancelled: &CancelFlag,
    ) -> Result<ModelResult> {
        let clusters: Vec<ClusterFigures> =
            self.whole.iter().map(|line| self.units.cluster(line)).collect();
        let totals = self.units.totals(&self.whole, one_cluster_cost, silhouette);
        let centroids = &self.model.centroids;
        let partitions = self.parts.iter().map(|(&partition, lines)| {
            let totals = self.units.totals(lines, one_cluster_cost, None);
            let figures = PartitionFigures {
                rows: totals.rows,
                skipped: scores[&partition].skipped(),
                cost: totals.cost,
                mean_distance: (totals.weight > 0.0).then(|| totals.distance / totals.weight),
                clusters: lines.iter().map(|line| line.rows).collect(),
            };
            (partition, figures)
        });
        let stopped = self.model.stopped;
        let stopped = stopped.ok_or_else(|| Error::internal("a model that moves was measured"))?;
        Ok(ModelResult {
            start: self.model.start,
            best: false,
            centroids: centroids.clone(),
            history: self.model.history.clone(),
            stopped,
            figures: figures(centroids, space.factors(), &clusters, &totals, cancelled)?,
            clusters,
            partitions: partitions.collect(),
            placed_bytes: space.set([centroids])?.encode(),
            bytes: space.users_bytes(centroids),
            diagnosis: None,
        })
    }

    /// The sums of the model over all its clusters and partitions.
    fn totals(&self) -> ModelSums {
        self.units.totals(&self.whole, 0.0, None)
    }

    /// True for the models of as many clusters that run beside the global ones.
    fn compares_to(&self, other: &Self) -> bool {
        other.model.role != Role::Global && other.model.k() == self.model.k()
    }
}

/// What the models that run beside the global ones say about the best of these, if there are any.
fn diagnosis(global: &Measured<'_>, all: &[Measured<'_>]) -> Option<Diagnosis> {
    let beside = || all.iter().filter(|other| global.compares_to(other));
    let unweighted = beside().find(|other| other.model.role == Role::Unweighted)?.totals();
    let local = beside().filter(|other| other.model.role != Role::Unweighted);
    let (distance, weight) = local.fold((0.0, 0.0), |(distance, weight), other| {
        let totals = other.totals();
        (distance + totals.distance, weight + totals.weight)
    });
    let own = global.totals();
    Some(Diagnosis {
        mean_distance: own.distance / own.weight,
        local_mean_distance: distance / weight,
        cost: own.cost,
        unweighted_cost: unweighted.cost,
    })
}

/// The model of lowest cost among those of the same k; of equals, the first.
fn mark_best(results: &mut [ModelResult]) {
    let mut best: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, result) in results.iter().enumerate() {
        let known = best.entry(result.k()).or_insert(number);
        if result.figures.cost < results[*known].figures.cost {
            *known = number;
        }
    }
    for number in best.into_values() {
        results[number].best = true;
    }
}

/// The silhouette sum Σ w·s of each global model, by one more scan.
async fn silhouettes(
    work: &Loop<'_>,
    models: &Arc<Vec<ModelState>>,
    bound: &BoundModels,
    known: &Arc<BTreeMap<usize, Totals>>,
) -> Result<Vec<Option<f64>>> {
    let (all, set, known) = (Arc::clone(models), Arc::clone(&bound.set), Arc::clone(known));
    let space = Arc::clone(&work.space);
    let spreads = compute(move |_| {
        let measured = measure(&all, &set, &known);
        let models = measured.iter().map(|measured| {
            let model = set.models()[measured.units.model].clone();
            match measured.model.role {
                Role::Global => Model { spread: Some(spread(measured, space.factors())), ..model },
                _ => model,
            }
        });
        Ok(BoundModels::new(ModelSet::new(set.bounds().clone(), models.collect())?))
    });
    let bound = spreads.await?;
    let scores = scores(work, &bound).await?;
    let (all, set) = (Arc::clone(models), bound.set);
    compute(move |_| {
        let sums = measure(&all, &set, &scores).into_iter().map(|measured| {
            let sum = measured.whole.iter().map(|line| line.silhouette).sum();
            (measured.model.role == Role::Global).then(|| measured.units.number(Scale::UNIT, sum))
        });
        Ok(sums.collect())
    })
    .await
}

/// Mean and variance of the rows of each cluster, as they are assigned now.
fn spread(measured: &Measured<'_>, factors: &[f64]) -> Spread {
    let set = measured.units.set;
    let mut means: Array2<f64> = measured.model.centroids.clone();
    let mut variances = Vec::with_capacity(means.nrows());
    let mut own_factors = Vec::with_capacity(means.nrows());
    for (cluster, line) in measured.whole.iter().enumerate() {
        let figures = measured.units.cluster(line);
        if line.weight == 0 {
            variances.push(f64::INFINITY);
            own_factors.push(0.0);
            continue;
        }
        let mut shift = 0.0;
        for (column, factor) in factors.iter().enumerate() {
            let centroid = means[[cluster, column]];
            let mean = set.mean(column, line.sums[column], line.weight).unwrap_or(centroid);
            shift += ((mean - centroid) * factor).powi(2);
            means[[cluster, column]] = mean;
        }
        variances.push((figures.cost / figures.weight - shift).max(0.0));
        let alone = figures.weight <= 1.0;
        own_factors.push(if alone { 0.0 } else { figures.weight / (figures.weight - 1.0) });
    }
    Spread { means, variances, own_factors }
}
