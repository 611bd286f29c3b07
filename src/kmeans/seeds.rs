//! The models a run begins with: every k with every start, and those that diagnosis compares to.

use std::sync::Arc;

use arrow::array::Array;
use datafusion::scalar::ScalarValue;
use ndarray::Array2;

use super::given::given;
use super::iterate::Loop;
use super::model::{ModelState, Role};
use super::options::Start;
use super::start::{self, Chance, Draw, WeightedRows};
use super::steps::SAMPLE;
use crate::centroids::sample::RowSample;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::functions::{model_literal, read_sample_rows};
use crate::session::Session;

/// The number of clusters where none is named.
const DEFAULT_K: usize = 7;
/// Rows of the sample: 256 for each cluster of the largest k, within these bounds.
const SAMPLE_ROWS: std::ops::RangeInclusive<usize> = 20_000..=100_000;
/// Diagnosis runs a model a partition; beyond this many it would cost more than it shows.
const MAX_DIAGNOSED_PARTITIONS: usize = 16;
/// Squares of distances to what is nearer are doubles: 2^500.
const FAR: f64 = f64::from_bits((1023 + 500) << 52);

/// First models, in the order (k, start), then those of the diagnosis.
///
/// # Errors
/// Given centroids that do not fit; the engine's.
pub(super) async fn first_models(work: &Loop<'_>, session: &Session) -> Result<Vec<ModelState>> {
    let params = &work.params;
    let mut models = match params.start() {
        Start::Given => {
            let centroids = given(session, params).await?;
            let placed = work.space.coordinates().place(centroids.clone());
            if let Some((_, far)) = placed.iter().zip(&centroids).find(|(x, _)| x.abs() > FAR) {
                return Err(Error::data(format!(
                    "a given centroid has the coordinate {far:?}, 2^500 times as far as the rows of \
                     its column go: begin nearer to them"
                )));
            }
            vec![ModelState::at(Role::Global, 0, placed)]
        }
        Start::PlusPlus => drawn(work, Draw::PlusPlus).await?,
        Start::Random => drawn(work, Draw::Random).await?,
    };
    if params.diagnose() {
        let partitions = work.input.partitions.len();
        if partitions > MAX_DIAGNOSED_PARTITIONS {
            return Err(Error::usage(format!(
                "diagnose compares up to {MAX_DIAGNOSED_PARTITIONS} partitions, the input has {partitions}"
            )));
        }
        let roles = (0..partitions).map(|partition| Role::Local { partition });
        let roles: Vec<Role> = roles.chain([Role::Unweighted]).collect();
        let first: Vec<ModelState> =
            models.iter().filter(|model| model.start == 0).cloned().collect();
        models.extend(
            first
                .iter()
                .flat_map(|model| roles.iter().map(|&role| ModelState { role, ..model.clone() })),
        );
    }
    Ok(models)
}

async fn drawn(work: &Loop<'_>, draw: Draw) -> Result<Vec<ModelState>> {
    let counts = work.params.k().map_or(vec![DEFAULT_K], |counts| counts.as_slice().to_vec());
    let largest = counts.last().copied().unwrap_or(DEFAULT_K);
    let sample = sampled(work, largest).await?;
    let distinct = sample.weights.len();
    if distinct < largest {
        work.watch.report(Event::Warning(format!(
            "the input has {distinct} distinct rows: {} of {largest} clusters stay empty",
            largest - distinct
        )));
    }
    let (space, params) = (Arc::clone(&work.space), Arc::clone(&work.params));
    let cancelled = work.cancelled.clone();
    compute(move |_| {
        let mut models = Vec::new();
        for &k in &counts {
            for start in 0..params.starts() {
                let from = (draw, Chance { seed: params.seed(), start: start.into() });
                let seeds = start::seeds(&sample, k, from, space.factors(), &cancelled)?;
                models.push(ModelState::at(Role::Global, start, seeds));
            }
        }
        Ok(models)
    })
    .await
}

/// A sample of distinct rows that depends on their values only.
async fn sampled(work: &Loop<'_>, largest_k: usize) -> Result<WeightedRows> {
    let limit = (256 * largest_k).clamp(*SAMPLE_ROWS.start(), *SAMPLE_ROWS.end());
    let set = work.space.set([])?;
    let values = [
        ("model", model_literal(&set)),
        ("seed", ScalarValue::Int64(Some(work.params.seed().cast_signed()))),
        ("limit", ScalarValue::Int64(i64::try_from(limit).ok())),
    ];
    let columns = set.columns();
    let read = move |array: &dyn Array, row| read_sample_rows(limit, columns, array, row);
    let parts = work.input.step(SAMPLE, &values, read).await?;
    let cancelled = work.cancelled.clone();
    compute(move |_| {
        let mut whole = RowSample::new(limit, columns);
        for part in parts.values() {
            cancelled.check()?;
            whole.merge(part)?;
        }
        let rows = whole.rows();
        let flat = rows.iter().flat_map(|row| row.values.iter().copied()).collect();
        Ok(WeightedRows {
            rows: Array2::from_shape_vec((rows.len(), columns), flat)
                .map_err(|cause| Error::internal("a sample of uneven rows").caused_by(cause))?,
            weights: rows.iter().map(|row| set.weight_scale().to_float(row.weight)).collect(),
        })
    })
    .await
}
