//! The last scan: what the returned centroids are worth, over all rows and in each partition.
//!
//! Every published figure belongs to the centroids that are returned, not to those before the last
//! update. All models are measured in one scan, and with them one cluster at the overall mean, whose
//! cost is what the share explained compares to. The silhouette needs the means of the clusters as
//! they are now, hence a scan of its own.

use std::collections::BTreeMap;

use arrow::array::Array;
use ndarray::{Array1, Array2, Axis};

use super::figures::{self, ClusterFigures};
use super::iterate::{Loop, mean_of};
use super::model::{ModelState, Role, StopReason};
use super::result::{Diagnosis, ModelResult, PartitionFigures};
use super::steps::SCORES;
use crate::centroids::fixed::Scale;
use crate::centroids::model::{ModelSet, Spread};
use crate::centroids::totals::{ClusterTotals, Totals};
use crate::error::Result;
use crate::functions::{model_literal, read_cluster_scores};

/// Measures stopped models.
///
/// # Errors
/// The engine's; an input that changed while it was read.
pub async fn evaluate(work: &Loop<'_>, models: &[ModelState]) -> Result<Vec<ModelResult>> {
    let one_cluster = overall_mean(work, models).await?.insert_axis(Axis(0));
    let set = work.space.set(models.iter().map(|model| &model.centroids).chain([&one_cluster]))?;
    let scores = scores(work, &set).await?;
    let measured = measure(models, &set, &scores);
    let last = set.clusters() - 1;
    let mut whole = ClusterSums::default();
    scores.values().filter_map(|totals| totals.clusters().nth(last)).for_each(|t| whole.add(&t));
    let one_cluster_cost = Units { set: &set, place: models.len() }.cluster(&whole).cost;
    let silhouettes = match work.params.silhouette {
        true => silhouettes(work, &set, &measured).await?,
        false => vec![None; models.len()],
    };
    let mut results = Vec::new();
    for (of, silhouette) in measured.iter().zip(silhouettes) {
        if of.model.role == Role::Global {
            let mut result = of.result(work, &scores, one_cluster_cost, silhouette)?;
            result.diagnosis = diagnosis(of, &measured);
            results.push(result);
        }
    }
    mark_best(&mut results);
    Ok(results)
}

/// The mean of all rows, from exact sums: those of any model add up to it.
async fn overall_mean(work: &Loop<'_>, models: &[ModelState]) -> Result<Array1<f64>> {
    if let Some(overall) = work.overall.get() {
        return Ok(overall.clone());
    }
    let set = work.space.set(models.iter().take(1).map(|model| &model.centroids))?;
    Ok(mean_of(&work.sums(&set).await?, &set))
}

async fn scores(work: &Loop<'_>, set: &ModelSet) -> Result<BTreeMap<usize, Totals>> {
    let model = model_literal(set);
    let read = |array: &dyn Array, row| read_cluster_scores(set, array, row);
    let scores = work.input.step(SCORES, &[("model", model)], read).await?;
    work.space.check_rows(work.input, &scores)?;
    Ok(scores)
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
    place: usize,
}

impl Units<'_> {
    /// A sum of values of `scale`, each times a quantised weight, as a number.
    fn number(self, scale: Scale, sum: i128) -> f64 {
        scale.to_float(sum) / self.set.weight_scale().factor()
    }

    fn cluster(self, line: &ClusterSums) -> ClusterFigures {
        let scales = self.set.distance_scales(self.place);
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
    ) -> figures::ModelSums {
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
        figures::ModelSums {
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
    let each = models.iter().enumerate().map(|(place, model)| {
        let clusters = first..first + model.k();
        first = clusters.end;
        let mut parts = BTreeMap::new();
        let mut whole = vec![ClusterSums::default(); model.k()];
        for (&partition, totals) in scores.iter().filter(|(place, _)| model.counts(**place)) {
            let mut own = vec![ClusterSums::default(); model.k()];
            let lines = totals.clusters().skip(clusters.start).take(model.k());
            for ((own, whole), line) in own.iter_mut().zip(&mut whole).zip(lines) {
                own.add(&line);
                whole.add(&line);
            }
            parts.insert(partition, own);
        }
        Measured { model, units: Units { set, place }, parts, whole }
    });
    each.collect()
}

impl Measured<'_> {
    fn result(
        &self,
        work: &Loop<'_>,
        scores: &BTreeMap<usize, Totals>,
        one_cluster_cost: f64,
        silhouette: Option<f64>,
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
        Ok(ModelResult {
            start: self.model.start,
            best: false,
            centroids: centroids.clone(),
            history: self.model.history.clone(),
            stopped: self.model.stopped.unwrap_or(StopReason::MaxSteps),
            figures: figures::figures(centroids, work.space.factors(), &clusters, &totals),
            clusters,
            partitions: partitions.collect(),
            bytes: work.space.set(std::iter::once(centroids))?.encode(),
            diagnosis: None,
        })
    }

    /// The sums of the model over all its clusters and partitions.
    fn totals(&self) -> figures::ModelSums {
        self.units.totals(&self.whole, 0.0, None)
    }

    /// True for the models that were started with this one to compare it to.
    fn compares_to(&self, other: &Self) -> bool {
        other.model.role != Role::Global
            && other.model.k() == self.model.k()
            && other.model.start == self.model.start
    }
}

/// What the models that run beside a global one say about it, if there are any.
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
    set: &ModelSet,
    measured: &[Measured<'_>],
) -> Result<Vec<Option<f64>>> {
    let mut models = Vec::with_capacity(measured.len());
    for measured in measured {
        let mut model = set.models()[measured.units.place].clone();
        if measured.model.role == Role::Global {
            model.spread = Some(spread(measured, work.space.factors()));
        }
        models.push(model);
    }
    let set = ModelSet::new(set.bounds().clone(), models)?;
    let scores = scores(work, &set).await?;
    let mut first = 0;
    let each = measured.iter().enumerate().map(|(place, measured)| {
        let clusters = first..first + measured.model.k();
        first = clusters.end;
        let lines = scores
            .values()
            .flat_map(|totals| totals.clusters().skip(clusters.start).take(clusters.len()));
        let sum = lines.filter_map(|line| Some(line.scores?.silhouette)).sum();
        let units = Units { set: &set, place };
        (measured.model.role == Role::Global).then(|| units.number(Scale::UNIT, sum))
    });
    Ok(each.collect())
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
