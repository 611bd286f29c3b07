//! The loop: one scan a step for all models that still move, exact merge, new centroids, stop test.

use std::collections::BTreeMap;
use std::time::Instant;

use datafusion::scalar::ScalarValue;
use ndarray::Array2;

use super::extent::Space;
use super::input::{Input, changed};
use super::model::{Model, Moved, Role, StepFacts, Stop, movement};
use super::options::{Empty, Params};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::functions::centroids::{CentroidSums, FarRow, FarthestRows, ModelSet};

/// Moves every model until it stops; `keep` makes a step durable before the next begins.
///
/// # Errors
/// The engine's; an input that changes while it is read; an empty cluster where that is an error.
pub async fn iterate(
    input: &Input,
    space: &Space,
    params: &Params,
    models: &mut [Model],
    keep: impl AsyncFn(u64, &[Model]) -> Result<()>,
    watch: &dyn Observer,
) -> Result<()> {
    let started = Instant::now();
    watch.report(Event::Stage {
        name: "clustering".into(),
        total: Some(params.max_steps),
        unit: Unit::Steps,
    });
    while models.iter().any(|model| model.stopped.is_none()) {
        let begun = Instant::now();
        let moving: Vec<usize> =
            (0..models.len()).filter(|&number| models[number].stopped.is_none()).collect();
        let set = space.set(moving.iter().map(|&number| &models[number].centroids))?;
        let parts = sums(input, space, &set).await?;
        let mut next = Vec::with_capacity(moving.len());
        for (place, &number) in moving.iter().enumerate() {
            let model = &models[number];
            let parts = parts.iter().map(|(&p, sums)| (p, sums.model(place))).collect();
            let moved = model.moved_by(&parts, set.column_scales());
            let (centroids, repaired) = repair(input, space, params, model, &moved).await?;
            next.push((moved, centroids, repaired, set.cost(place, moved_cost(&parts, model))));
        }
        let late = params.time_limit().is_some_and(|limit| started.elapsed() >= limit);
        let seconds = begun.elapsed().as_secs_f64();
        let mut largest = 0.0_f64;
        for (&number, (moved, centroids, repaired, cost)) in moving.iter().zip(next) {
            let model = &mut models[number];
            let facts = StepFacts {
                step: model.history.len() as u64 + 1,
                cost,
                movement: movement(&model.centroids, &centroids, space.factors()),
                smallest: moved.rows.iter().copied().min().unwrap_or_default(),
                repaired,
                seconds,
            };
            largest = largest.max(facts.movement);
            model.stopped = model.reason_to_stop(&centroids, &facts, params, late);
            model.centroids = centroids;
            model.history.push(facts);
        }
        let number = models.iter().map(|model| model.history.len() as u64).max().unwrap_or_default();
        keep(number, models).await?;
        let left = models.iter().filter(|model| model.stopped.is_none()).count();
        watch.report(Event::Step { number, moved: largest, models: left });
    }
    watch.report(Event::Done);
    Ok(())
}
