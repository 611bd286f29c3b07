//! The loop: one scan a step for all models that still move, exact merge, new centroids, stop test.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arrow::array::Array;
use datafusion::scalar::ScalarValue;
use ndarray::{Array1, Array2, Axis};

use super::input::Input;
use super::model::{ModelState, Moved, StepFacts, mean_variance, movement};
use super::options::Empty;
use super::params::Params;
use super::space::FeatureSpace;
use super::steps::{FAR, STEP};
use crate::cancel::CancelFlag;
use crate::centroids::farthest::{FarRow, Farthest};
use crate::centroids::model::ModelSet;
use crate::centroids::totals::{ClusterTotals, Totals};
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::functions::{model_literal, read_centroid_sums, read_farthest_rows};

/// What a step works with.
pub(super) struct Loop<'a> {
    /// The rows.
    pub(super) input: &'a Input,
    /// Their range and how columns are weighed.
    pub(super) space: Arc<FeatureSpace>,
    /// When to stop.
    pub(super) params: Arc<Params>,
    /// Who listens.
    pub(super) watch: &'a dyn Observer,
    /// Ends loops that no one waits for.
    pub(super) cancelled: CancelFlag,
    /// The mean of all rows, once a step has found it.
    pub(super) overall: OnceLock<Array1<f64>>,
}

/// Models as the steps take them: checked, and as a value to bind.
#[derive(Clone)]
pub(super) struct BoundModels {
    pub(super) set: Arc<ModelSet>,
    value: ScalarValue,
}

impl BoundModels {
    /// Binds them; with many clusters this takes a while, so not on an async thread.
    pub(super) fn new(set: ModelSet) -> Self {
        Self { value: model_literal(&set), set: Arc::new(set) }
    }

    /// The parameter `$model` of a step.
    pub(super) fn parameter(&self) -> (&'static str, ScalarValue) {
        ("model", self.value.clone())
    }
}

impl Loop<'_> {
    /// Moves every model until it stops; `keep` makes a step durable before the next begins.
    ///
    /// # Errors
    /// The engine's; an input that changes while it is read; an empty cluster where that is an
    /// error.
    pub(super) async fn run(
        &self,
        mut models: Arc<Vec<ModelState>>,
        keep: impl AsyncFn(u64, &Arc<Vec<ModelState>>) -> Result<()>,
    ) -> Result<Arc<Vec<ModelState>>> {
        let started = Instant::now();
        let total = Some(self.params.max_steps());
        self.watch.report(Event::Stage { name: "clustering".into(), total, unit: Unit::Steps });
        while models.iter().any(|model| model.stopped.is_none()) {
            let is_late =
                || self.params.time_limit().is_some_and(|limit| started.elapsed() >= limit);
            let (moved, largest) = self.step(&models, is_late).await?;
            models = Arc::new(moved);
            let number = steps(&models);
            keep(number, &models).await?;
            let left = models.iter().filter(|model| model.stopped.is_none()).count();
            let moved = self.space.coordinates().users_distance(largest);
            self.watch.report(Event::Step { number, moved, models: left });
        }
        self.watch.report(Event::Done);
        Ok(models)
    }

    /// One step of all models that still move; the models after it and the largest movement.
    async fn step(
        &self,
        models: &Arc<Vec<ModelState>>,
        is_late: impl Fn() -> bool,
    ) -> Result<(Vec<ModelState>, f64)> {
        let begun = Instant::now();
        let (space, before) = (Arc::clone(&self.space), Arc::clone(models));
        let bound = compute(move |_| {
            let moving = before.iter().filter(|model| model.stopped.is_none());
            space.set(moving.map(|model| &model.centroids)).map(BoundModels::new)
        });
        let bound = bound.await?;
        let sums = self.sums(&bound).await?;
        let (before, set) = (Arc::clone(models), Arc::clone(&bound.set));
        let cancelled = self.cancelled.clone();
        let factors = Arc::clone(&self.space);
        let (mut moved, overall) = compute(move |_| {
            let moved = merged(&before, &sums, (&set, factors.factors()), &cancelled)?;
            Ok((moved, mean_of(&sums, &set)))
        })
        .await?;
        self.overall.get_or_init(|| overall);
        let moving = models.iter().filter(|model| model.stopped.is_none());
        let mut repaired = Vec::with_capacity(moved.len());
        for (moved, model) in moved.iter_mut().zip(moving) {
            repaired.push(self.repair(model, moved).await?);
        }
        let (space, params) = (Arc::clone(&self.space), Arc::clone(&self.params));
        let (before, seconds, is_late) =
            (Arc::clone(models), begun.elapsed().as_secs_f64(), is_late());
        compute(move |_| {
            let mut after = before.to_vec();
            let moving = after.iter_mut().filter(|model| model.stopped.is_none());
            let mut largest = 0.0_f64;
            for (number, (model, moved)) in moving.zip(moved).enumerate() {
                let facts = StepFacts {
                    step: model.history.len() as u64 + 1,
                    cost: bound.set.distance_scales(number).cost.to_float(moved.cost)
                        / bound.set.weight_scale().factor(),
                    movement: movement(&model.centroids, &moved.centroids, space.factors()),
                    smallest: moved.rows.iter().copied().min().unwrap_or_default(),
                    repaired: repaired[number],
                    seconds,
                };
                largest = largest.max(facts.movement);
                model.variance = Some(moved.variance);
                let limits = (&*params, space.coordinates());
                model.stopped = model.reason_to_stop(&moved.centroids, &facts, limits, is_late);
                model.centroids = moved.centroids;
                model.history.push(facts);
            }
            Ok((after, largest))
        })
        .await
    }

    /// The sums of every partition, after a look at whether all rows came.
    ///
    /// # Errors
    /// An input that changed while it was read.
    pub(super) async fn sums(&self, models: &BoundModels) -> Result<BTreeMap<usize, Totals>> {
        let set = Arc::clone(&models.set);
        let read = move |array: &dyn Array, row| read_centroid_sums(&set, array, row);
        let sums = self.input.step(STEP, &[models.parameter()], read).await?;
        self.space.check_rows(self.input, &sums)?;
        Ok(sums)
    }

    /// Moves empty clusters, in ascending order, to the rows farthest from all centroids that have
    /// rows; returns how many moved. Each such move lowers the cost strictly, so nothing cycles.
    async fn repair(&self, model: &ModelState, moved: &mut Moved) -> Result<usize> {
        if moved.empty.is_empty() || moved.empty.len() == model.k() {
            return Ok(0);
        }
        match self.params.empty() {
            Empty::Keep => return Ok(0),
            Empty::Error => {
                return Err(Error::data(format!(
                    "cluster {} of the model with k = {} lost all its rows: pass --empty far to \
                     move it",
                    moved.empty[0],
                    model.k()
                )));
            }
            Empty::Far => {}
        }
        let used: Vec<usize> =
            (0..model.k()).filter(|cluster| moved.empty.binary_search(cluster).is_err()).collect();
        let others = moved.centroids.select(Axis(0), &used);
        let far = self.farthest(model, others, moved.empty.len()).await?;
        let mut repaired = 0;
        for (&cluster, row) in moved.empty.iter().zip(far) {
            moved.centroids.row_mut(cluster).assign(&Array1::from(row.values));
            repaired += 1;
        }
        Ok(repaired)
    }

    /// At most `limit` distinct rows with d² > 0 that count for the model, farthest first, ties by
    /// their values.
    async fn farthest(
        &self,
        model: &ModelState,
        centroids: Array2<f64>,
        limit: usize,
    ) -> Result<Vec<FarRow>> {
        let space = Arc::clone(&self.space);
        let bound = compute(move |_| space.set([&centroids]).map(BoundModels::new)).await?;
        let values = [bound.parameter(), ("limit", ScalarValue::Int64(i64::try_from(limit).ok()))];
        let set = Arc::clone(&bound.set);
        let read = move |array: &dyn Array, row| read_farthest_rows(&set, limit, array, row);
        let mut parts = self.input.step(FAR, &values, read).await?;
        parts.retain(|partition, _| model.counts(*partition));
        let (set, cancelled) = (bound.set, self.cancelled.clone());
        compute(move |_| {
            let mut far = Farthest::new(limit, set.columns(), 1);
            for rows in parts.values() {
                cancelled.check()?;
                far.merge(rows)?;
            }
            // A mean is exact to the grid of the sums: a row that far off its centroid is on it.
            let scale = set.distance_scales(0).cost;
            let is_off = |row: &&FarRow| scale.quantise(row.squared).is_some_and(|units| units > 0);
            Ok(far.rows(0).iter().filter(is_off).cloned().collect())
        })
        .await
    }
}

/// New centroids of the models that still move, from the sums of the partitions.
fn merged(
    models: &[ModelState],
    sums: &BTreeMap<usize, Totals>,
    (set, factors): (&ModelSet, &[f64]),
    cancelled: &CancelFlag,
) -> Result<Vec<Moved>> {
    let mut first = 0;
    let mut moved = Vec::new();
    let moving = models.iter().filter(|model| model.stopped.is_none());
    for (number, model) in moving.enumerate() {
        let k = model.k();
        let parts: Vec<(usize, Vec<ClusterTotals<'_>>)> = sums
            .iter()
            .map(|(&partition, sums)| (partition, sums.clusters().skip(first).take(k).collect()))
            .collect();
        let parts: Vec<(usize, &[ClusterTotals<'_>])> =
            parts.iter().map(|(partition, lines)| (*partition, lines.as_slice())).collect();
        let known = model.variance;
        let variance = || mean_variance(model, &parts, (set, number), factors);
        let variance = known.unwrap_or_else(variance);
        moved.push(Moved { variance, ..model.moved_by(&parts, set, cancelled)? });
        first += k;
    }
    Ok(moved)
}

/// The mean of all rows, from the exact sums of the first model of a set.
pub(super) fn mean_of(sums: &BTreeMap<usize, Totals>, set: &ModelSet) -> Array1<f64> {
    let k = set.models()[0].clusters();
    let lines = || sums.values().flat_map(|totals| totals.clusters().take(k));
    let weight: i128 = lines().map(|line| line.weight).sum();
    let mean = |column: usize| {
        let sum = lines().map(|line| line.sums[column]).sum();
        set.mean(column, sum, weight).unwrap_or_default()
    };
    (0..set.columns()).map(mean).collect()
}

/// Steps that the models have done: those that still move have done the most.
fn steps(models: &[ModelState]) -> u64 {
    models.iter().map(|model| model.history.len() as u64).max().unwrap_or_default()
}
