//! The loop: one scan a step for all models that still move, exact merge, new centroids, stop test.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

use arrow::array::Array;
use datafusion::scalar::ScalarValue;
use ndarray::{Array1, Array2, Axis};

use super::input::Input;
use super::model::{ModelState, Moved, StepFacts, movement};
use super::options::{Empty, Params};
use super::space::FeatureSpace;
use super::steps::{FAR, STEP};
use crate::centroids::farthest::{FarRow, Farthest};
use crate::centroids::model::ModelSet;
use crate::centroids::totals::{ClusterTotals, Totals};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::functions::{model_literal, read_centroid_sums, read_farthest_rows};

/// What a step works with.
pub struct Loop<'a> {
    /// The rows.
    pub input: &'a Input,
    /// Their range and how columns are weighed.
    pub space: &'a FeatureSpace,
    /// When to stop.
    pub params: &'a Params,
    /// Whom to tell.
    pub watch: &'a dyn Observer,
    /// The mean of all rows, once a step has found it.
    pub overall: OnceLock<Array1<f64>>,
}

impl Loop<'_> {
    /// Moves every model until it stops; `keep` makes a step durable before the next begins.
    ///
    /// # Errors
    /// The engine's; an input that changes while it is read; an empty cluster where that is an
    /// error.
    pub async fn run(
        &self,
        models: &mut [ModelState],
        keep: impl AsyncFn(u64, &[ModelState]) -> Result<()>,
    ) -> Result<()> {
        let started = Instant::now();
        let total = Some(self.params.max_steps);
        self.watch.report(Event::Stage { name: "clustering".into(), total, unit: Unit::Steps });
        while models.iter().any(|model| model.stopped.is_none()) {
            let late = || self.params.time_limit().is_some_and(|limit| started.elapsed() >= limit);
            let largest = self.step(models, late).await?;
            let number = steps(models);
            keep(number, models).await?;
            let left = models.iter().filter(|model| model.stopped.is_none()).count();
            self.watch.report(Event::Step { number, moved: largest, models: left });
        }
        self.watch.report(Event::Done);
        Ok(())
    }

    /// One step of all models that still move; returns the largest movement.
    async fn step(&self, models: &mut [ModelState], late: impl Fn() -> bool) -> Result<f64> {
        let begun = Instant::now();
        let moving = || (0..models.len()).filter(|&number| models[number].stopped.is_none());
        let moving: Vec<usize> = moving().collect();
        let set = self.space.set(moving.iter().map(|&number| &models[number].centroids))?;
        let sums = self.sums(&set).await?;
        self.overall.get_or_init(|| mean_of(&sums, &set));
        let mut first = 0;
        let mut moved = Vec::with_capacity(moving.len());
        for &number in &moving {
            let k = models[number].k();
            let parts: Vec<(usize, Vec<ClusterTotals<'_>>)> = sums
                .iter()
                .map(|(&place, sums)| (place, sums.clusters().skip(first).take(k).collect()))
                .collect();
            let parts: Vec<(usize, &[ClusterTotals<'_>])> =
                parts.iter().map(|(place, lines)| (*place, lines.as_slice())).collect();
            moved.push(models[number].moved_by(&parts, &set));
            first += k;
        }
        let mut repaired = Vec::with_capacity(moving.len());
        for (moved, &number) in moved.iter_mut().zip(&moving) {
            repaired.push(self.repair(&models[number], moved).await?);
        }
        let (seconds, late) = (begun.elapsed().as_secs_f64(), late());
        let mut largest = 0.0_f64;
        for (place, (moved, &number)) in moved.into_iter().zip(&moving).enumerate() {
            let model = &mut models[number];
            let facts = StepFacts {
                step: model.history.len() as u64 + 1,
                cost: set.distance_scales(place).cost.to_float(moved.cost)
                    / set.weight_scale().factor(),
                movement: movement(&model.centroids, &moved.centroids, self.space.factors()),
                smallest: moved.rows.iter().copied().min().unwrap_or_default(),
                repaired: repaired[place],
                seconds,
            };
            largest = largest.max(facts.movement);
            model.stopped = model.reason_to_stop(&moved.centroids, &facts, self.params, late);
            model.centroids = moved.centroids;
            model.history.push(facts);
        }
        Ok(largest)
    }

    /// The sums of every partition, after a look at whether all rows came.
    ///
    /// # Errors
    /// An input that changed while it was read.
    pub async fn sums(&self, set: &ModelSet) -> Result<BTreeMap<usize, Totals>> {
        let model = model_literal(set);
        let read = |array: &dyn Array, row| read_centroid_sums(set, array, row);
        let sums = self.input.step(STEP, &[("model", model)], read).await?;
        self.space.check_rows(self.input, &sums)?;
        Ok(sums)
    }

    /// Moves empty clusters, in ascending order, to the rows farthest from all centroids that have
    /// rows; returns how many moved. Each such move lowers the cost strictly, so nothing cycles.
    async fn repair(&self, model: &ModelState, moved: &mut Moved) -> Result<usize> {
        if moved.empty.is_empty() || moved.empty.len() == model.k() {
            return Ok(0);
        }
        match self.params.empty {
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
            (0..model.k()).filter(|cluster| !moved.empty.contains(cluster)).collect();
        let others = moved.centroids.select(Axis(0), &used);
        let far = self.farthest(model, &others, moved.empty.len()).await?;
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
        centroids: &Array2<f64>,
        limit: usize,
    ) -> Result<Vec<FarRow>> {
        let set = self.space.set(std::iter::once(centroids))?;
        let values = [
            ("model", model_literal(&set)),
            ("limit", ScalarValue::Int64(i64::try_from(limit).ok())),
        ];
        let read = |array: &dyn Array, row| read_farthest_rows(&set, limit, array, row);
        let parts = self.input.step(FAR, &values, read).await?;
        let mut far = Farthest::new(limit, set.columns(), 1);
        for (_, rows) in parts.iter().filter(|(partition, _)| model.counts(**partition)) {
            far.merge(rows)?;
        }
        // A mean is exact to the grid of the sums: a row that far off its centroid is on it.
        let scale = set.distance_scales(0).cost;
        let is_off = |row: &&FarRow| scale.quantise(row.squared).is_some_and(|units| units > 0);
        Ok(far.rows(0).iter().filter(is_off).cloned().collect())
    }
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
pub fn steps(models: &[ModelState]) -> u64 {
    models.iter().map(|model| model.history.len() as u64).max().unwrap_or_default()
}
